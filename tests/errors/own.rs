//! What programs record themselves: tensors, layers, losses, metrics, models inside graphs.

use kiln::nn::{Call, Parameter};
use kiln::prelude::*;
use kiln::train::{Form, RowFunction};
use kiln::{Plan, Shape};

use super::{labelled, model, refuses, says};

pub fn all() {
    tensors_that_do_not_fit_name_the_op_and_the_shapes();
    a_layer_of_ones_own_is_refused_by_its_name_and_its_line();
    a_loss_of_ones_own_is_refused_when_the_model_is_compiled();
    a_softmax_of_one_unit_is_refused();
    a_model_inside_a_graph_takes_what_it_was_made_for();
    names_that_nothing_has_are_answered_with_those_that_are();
}

/// The graph's refusal of what was recorded.
fn refusal(record: impl FnOnce(&Graph) -> Tensor) -> Result<Plan> {
    let graph = Graph::new();
    let y = record(&graph);
    let program = Program::new("p").fetch("y", &y);
    Plan::compile(&graph, Device::cpu().target(), [program])
}

#[test]
pub fn tensors_that_do_not_fit_name_the_op_and_the_shapes() {
    let x = |graph: &Graph| graph.input("x", [3, 4]);
    let labels = |graph: &Graph| graph.labels("labels", [5]);
    let line = |line: u32| format!("own.rs:{line})");
    let axis = |got: &str| {
        [
            "axis must be one of 2 dimensions".to_string(),
            got.into(),
            "[3, 4]".into(),
        ]
    };
    type Along = fn(&Tensor, isize) -> Tensor;
    let along: [(&str, Along); 12] = [
        ("sum", |x, axis| x.sum_over(axis)),
        ("extremum", |x, axis| x.largest(axis)),
        ("extremum", |x, axis| x.argmin(axis)),
        ("softmax", |x, axis| x.softmax(axis)),
        ("log_softmax", |x, axis| x.log_softmax(axis)),
        ("sparsemax", |x, axis| x.sparsemax(axis)),
        ("glu", |x, axis| x.glu(axis)),
        ("slice", |x, axis| x.slice(axis, 0, 1)),
        ("concat", |x, axis| x.concat(&[x], axis)),
        ("pad", |x, axis| x.pad(axis, 1, 1)),
        ("permute", |x, axis| x.permute(&[0, axis])),
        ("take", |x, axis| {
            x.take(axis, &x.graph().constant([1], &[0]))
        }),
    ];
    for (op, record) in along {
        for beyond in [2, -3] {
            let words = axis(&format!("got {beyond}"));
            let words: Vec<&str> = words.iter().map(String::as_str).chain([op]).collect();
            says(refusal(|graph| record(&x(graph), beyond)), &words);
        }
    }
    says(
        refusal(|graph| x(graph) + labels(graph)),
        &["add", "f32", "u32"],
    );
    says(
        refusal(|graph| x(graph) / graph.input("y", [3])),
        &["div", "[3, 4]", "[3]"],
    );
    let from_number = refusal(|graph| 2.0 - labels(graph));
    says(from_number, &["f32", "[5] u32", &line(line!() - 1)]);
    let negated = refusal(|graph| -labels(graph));
    says(negated, &["f32", "[5] u32", &line(line!() - 1)]);
    says(
        refusal(|graph| x(graph).matmul(&x(graph).relu())),
        &["already a variable `x`"],
    );
    says(
        refusal(|graph| x(graph).slice(1, 3, 2)),
        &["slice", "3", "2", "[3, 4]"],
    );
    says(refusal(|graph| x(graph).slice(1, 0, 0)), &["slice", "0"]);
    says(
        refusal(|graph| x(graph).permute(&[0])),
        &["permute", "[3, 4]"],
    );
    says(
        refusal(|graph| x(graph).permute(&[1, 1])),
        &["permute", "1"],
    );
    says(
        refusal(|graph| x(graph).repeat(0, 0)),
        &["repeat", "0 times"],
    );
    says(refusal(|graph| x(graph).repeat(4, 2)), &["repeat", "got 4"]);
    says(
        refusal(|graph| x(graph).expand([4])),
        &["expand", "[3, 4]", "[4]"],
    );
    says(
        refusal(|graph| x(graph).take(0, &graph.input("rows", [2]))),
        &["take", "indices", "u32"],
    );
    says(refusal(|graph| labels(graph).one_hot(0)), &["one_hot", "0"]);
    says(refusal(|graph| x(graph).one_hot(3)), &["one_hot", "f32"]);
    says(refusal(|graph| x(graph).glu(0)), &["glu", "3"]);
    says(
        refusal(|graph| graph.constant([2], &[1, 2, 3])),
        &["[2]", "3 values of u32"],
    );
    says(
        refusal(|graph| graph.constant([2, 2], &[0.5])),
        &["[2, 2]", "1 values of f32"],
    );
    says(
        refusal(|graph| graph.constant([3], &[1, 2, 3]) * 2.0),
        &["u32"],
    );
    says(
        refusal(|graph| x(graph).clamp(f32::NAN, 1.0)),
        &["clamp", "NaN"],
    );
}

/// Adds a row of three, which only three columns have room for.
#[derive(Debug)]
struct PlusThree;

impl Layer for PlusThree {
    fn class(&self) -> &'static str {
        "PlusThree"
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        if inputs[0].shape().rank() > 2 {
            return call.refuse("takes rows of numbers");
        }
        &inputs[0] + call.graph.constant([3], &[1.0, 2.0, 3.0])
    }
}

/// The line of the sum above.
const SUM: u32 = line!() - 5;

/// Keeps a tensor under one name and asks for another.
#[derive(Debug)]
struct Forgetful;

impl Layer for Forgetful {
    fn class(&self) -> &'static str {
        "Forgetful"
    }

    fn parameters(&self, _inputs: &[Shape]) -> Vec<Parameter> {
        vec![Parameter::new("scale", [1], Initializer::Constant(1.0))]
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        &inputs[0] * call.weight("factor")
    }
}

fn compiled(network: Sequential) -> Result<Model> {
    network.compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
}

#[test]
pub fn a_layer_of_ones_own_is_refused_by_its_name_and_its_line() {
    let said = |network: Sequential, words: &[&str]| {
        let outcome = compiled(network);
        let message = outcome.as_ref().err().map(ToString::to_string);
        let message = message.unwrap_or_default();
        let places = message.matches("own.rs:").count();
        assert_eq!(places, 1, "a place once: {message}");
        assert!(!message.contains("1009"), "no number of a trial: {message}");
        says(outcome, words);
    };
    let at = |line: u32| format!("own.rs:{line})");
    let line = line!() + 1;
    let lambda = Lambda::new(|x| &x[0] + x[0].graph().constant([3], &[1.0, 2.0, 3.0]));
    said(
        Sequential::new(8).layer(lambda),
        &["lambda: add: ", "[batch, 8]", "[3]", &at(line)],
    );
    said(
        Sequential::new(8).layer(PlusThree.named("plus")),
        &["plus: add: ", "[batch, 8] and [3]", &at(SUM)],
    );
    said(
        Sequential::new([2, 3]).layer(PlusThree),
        &["plus_three: takes rows of numbers"],
    );
    said(
        Sequential::new(2).layer(Forgetful),
        &["forgetful: ", "no tensor `factor`"],
    );
    let line = line!() + 1;
    let summed = Sequential::new(4).layer(Lambda::new(|x| x[0].sum_over(0)));
    said(
        summed,
        &["lambda: ", "its output is [4]", "no row", &at(line)],
    );
    let network = Sequential::new(4).layer(Lambda::new(|x| x[0].reshape([5, 5])));
    says(
        compiled(network),
        &["lambda: reshape: ", "25", "a batch of 1009 rows"],
    );
    // A layer of Kiln's is refused where the program has it.
    let line = line!() + 1;
    let network = Sequential::new(4).layer(Reshape::new([3]));
    said(network, &["reshape: ", "[4]", "[3]", &at(line)]);
}

/// A number for each element.
#[derive(Debug)]
struct Elements;

impl RowFunction for Elements {
    fn name(&self) -> &str {
        "elements"
    }

    fn rows(&self, y: &Tensor, target: &Tensor, _form: Form) -> Tensor {
        (y - target).square()
    }
}

/// The line of the square above.
const SQUARE: u32 = line!() - 5;

/// What it is given.
#[derive(Debug)]
struct Same;

impl RowFunction for Same {
    fn name(&self) -> &str {
        "same"
    }

    fn rows(&self, y: &Tensor, _target: &Tensor, _form: Form) -> Tensor {
        y.clone()
    }
}

#[test]
pub fn a_loss_of_ones_own_is_refused_when_the_model_is_compiled() {
    let with = |loss: Loss, metrics: Vec<Metric>| {
        let network = Sequential::new(2).dense(3, Tanh);
        network.compile_on(&Device::cpu(), loss, Sgd::new(0.1), metrics)
    };
    let row = "must give a number for each row of [batch, 3], [batch], got";
    let at = |line: u32| format!("own.rs:{line})");
    let line = line!() + 1;
    let loss = Loss::from_fn("squares", |y, target| (y - target).square());
    says(
        with(loss, vec![]),
        &[
            "squares: ",
            row,
            "f32 [batch, 3]",
            "`sum_over(-1)`",
            &at(line),
        ],
    );
    let line = line!() + 1;
    let loss = Loss::from_fn("mean", |y, target| (y - target).square().mean());
    says(with(loss, vec![]), &["mean: ", row, "f32 []", &at(line)]);
    let line = line!() + 1;
    let loss = Loss::from_fn("output", |y, _| y.clone());
    says(with(loss, vec![]), &["output: ", row, &at(line)]);
    let line = line!() + 1;
    let loss = Loss::from_fn("classes", |y, _| y.argmax(1));
    says(
        with(loss, vec![]),
        &["classes: ", row, "u32 [batch]", &at(line)],
    );
    let four = |y: &Tensor| y.graph().constant([4], &[0.0; 4]);
    let line = line!() + 1;
    let loss = Loss::from_fn("wide", move |y, _| (y + four(y)).sum_over(1));
    let words = ["add", "[batch, 3]", "[4]", &at(line)];
    says(with(loss, vec![]), &words);
    says(
        with(Elements.into(), vec![]),
        &["elements: ", row, &at(SQUARE)],
    );
    refuses(with(Same.into(), vec![]), "loss", &["`same`", row]);
    let line = line!() + 1;
    let metric = Metric::from_fn("gain", |y, target| y * target);
    says(
        with(MeanSquaredError, vec![metric]),
        &["gain: ", row, &at(line)],
    );
    says(
        with(MeanSquaredError, vec![Loss::from(Elements).into()]),
        &["elements: ", row, &at(SQUARE)],
    );
}

#[test]
pub fn a_softmax_of_one_unit_is_refused() {
    use kiln::nn::Activation::{LogSoftmax, Sparsemax};
    for activation in [Softmax, LogSoftmax, Sparsemax] {
        refuses(
            compiled(Sequential::new(4).dense(1, activation)),
            "layers",
            &["`dense`", "single unit", "Sigmoid"],
        );
    }
    // Within a model, too.
    refuses(
        compiled(Sequential::new(4).dense(1, Softmax).dense(2, Linear)),
        "layers",
        &["`dense`", "single unit"],
    );
    let softmax = kiln::nn::Softmax::default();
    refuses(
        compiled(Sequential::new(4).dense(1, Linear).layer(softmax)),
        "layers",
        &["`softmax`", "single unit"],
    );
    compiled(Sequential::new(4).dense(1, Sigmoid)).unwrap();
}

#[test]
pub fn a_model_inside_a_graph_takes_what_it_was_made_for() {
    let mut model = model();
    let graph = Graph::new();
    let rows = |shape: &[usize]| Graph::new().input("x", shape);
    let at = |line: u32| format!("own.rs:{line})");
    let foreign = model.apply(&graph, rows(&[5, 2]));
    says(foreign, &["apply", "another graph", &at(line!() - 1)]);
    let mut refused = |x: Tensor, words: &[&str]| says(model.apply(&graph, &x), words);
    refused(graph.input("a", [5, 3]), &["`input`", "[2]", "[5, 3]"]);
    refused(graph.input("b", [2]), &["`input`", "[2]"]);
    refused(graph.input("c", []), &["a batch of rows"]);
    refused(graph.labels("d", [5, 2]), &["f32", "u32"]);
    let (p, q) = (graph.input("p", [5, 2]), graph.input("q", [6, 2]));
    says(
        model.apply(&graph, [p.clone(), p.clone()]),
        &["1 inputs", "got 2"],
    );
    let (a, b) = (Input::named("a", 2), Input::named("b", 2));
    let both = Functional::new([&a, &b], &Add.on([&a, &b]));
    says(both.apply(&graph, [p.clone(), q]), &["`b`", "6 rows"]);
    let applied = model.apply(&graph, &p).unwrap();
    says(applied.on(graph.input("e", [5, 4])), &["`input`", "[5, 4]"]);
    let other = Sequential::new(2).dense(7, Relu);
    let mut other = compiled(other).unwrap();
    let program = Program::new("p").fetch("y", &applied.outputs[0]);
    let plan = Plan::compile(&graph, Device::cpu().target(), [program]).unwrap();
    let mut session = Device::cpu().open(&plan).unwrap();
    refuses(
        other.take_weights(&applied, &mut session),
        "applied",
        &["[2, 7]", "[2, 4]"],
    );
    says(
        Functional::from(Sequential::new(3)).apply(&graph, &p),
        &["layers", "at least one"],
    );
}

#[test]
pub fn names_that_nothing_has_are_answered_with_those_that_are() {
    let data = labelled(vec![0.0; 8], vec![0, 1, 2, 0]);
    let mut model = model();
    let history = model.fit(&data, Fit::epochs(2).silent()).unwrap();
    for name in ["acuracy", "val_loss", "val_accuracy", ""] {
        says(
            history.get(name),
            &[&format!("`{name}`"), "there is: loss, accuracy"],
        );
    }
    assert_eq!(history.get("accuracy").unwrap().len(), 2);
    let stopping = EarlyStopping::new("val_los", 1);
    let fit = Fit::epochs(1).silent().callback(stopping);
    says(
        model.fit(&data, fit),
        &["`val_los`", "there is: loss, accuracy"],
    );
    says(
        model.predict(&data).and_then(|y| y.output("price")),
        &["`price`", "dense_1"],
    );
    says(Loss::from_name("msee"), &["`msee`", "mean_squared_error"]);
    says(Metric::from_name("acuracy"), &["`acuracy`", "accuracy"]);
    says(Initializer::from_name("he"), &["`he`", "he_normal"]);
    says(Activation::from_name("Relux"), &["`Relux`", "relu"]);
}
