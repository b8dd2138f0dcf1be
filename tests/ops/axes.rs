//! Axes of tensor methods: counted from 0, or from the back where negative; one sentence refuses what is none.

use kiln::op::Extremum;
use kiln::{Device, Graph, Plan, Program, Tensor};

/// A call along an axis of x `[2, 3, 4]`; `at` is the axis from the front, for what depends on its size.
type Call = fn(x: &Tensor, axis: isize, at: usize) -> Tensor;

/// u32 from 0 on, `len` of them below `below`.
fn indices(x: &Tensor, shape: &[usize], below: usize) -> Tensor {
    let len: usize = shape.iter().product();
    let words: Vec<u32> = (0..len).map(|i| (i % below) as u32).collect();
    let name = format!("indices of {below}, {shape:?}");
    let kind = kiln::TensorType::u32(shape);
    let initial = kiln::Initial::Words(words.into());
    x.graph().variable(name, kind, initial)
}

/// Numbers of this axis only, repeated along the others.
fn channels(x: &Tensor, at: usize) -> Tensor {
    let len = x.shape().dims().get(at).copied().unwrap_or(1);
    let values: Vec<f32> = (1..=len).map(|i| i as f32).collect();
    x.graph().constant([len], &values)
}

const CALLS: [(&str, Call); 23] = [
    ("sum_over", |x, axis, _| x.sum_over(axis)),
    ("largest", |x, axis, _| x.largest(axis)),
    ("least", |x, axis, _| x.least(axis)),
    ("argmax", |x, axis, _| x.argmax(axis).one_hot(4)),
    ("argmin", |x, axis, _| x.argmin(axis).one_hot(4)),
    ("extremum", |x, axis, _| {
        let op = Extremum {
            axis,
            last: true,
            ..Extremum::default()
        };
        x.extremum(op).0
    }),
    ("log_sum_exp", |x, axis, _| x.log_sum_exp(axis)),
    ("softmax", |x, axis, _| x.softmax(axis)),
    ("log_softmax", |x, axis, _| x.log_softmax(axis)),
    ("sparsemax", |x, axis, _| x.sparsemax(axis)),
    ("glu", |x, axis, _| x.concat(&[x], axis).glu(axis)),
    ("slice", |x, axis, _| x.slice(axis, 1, 1)),
    ("concat", |x, axis, _| x.concat(&[&x.exp()], axis)),
    ("concat of many", |x, axis, _| x.concat(&[x; 20], axis)),
    ("pad", |x, axis, _| x.pad(axis, 1, 2)),
    ("take", |x, axis, _| x.take(axis, &indices(x, &[5, 1], 2))),
    ("take_along", |x, axis, at| {
        x.take_along(axis, &indices(x, &[2, 3, 4], [2, 3, 4][at]))
    }),
    ("scatter_along", |x, axis, at| {
        x.scatter_along(axis, &indices(x, &[2, 3, 4], [2, 3, 4][at]), [2, 3, 4])
    }),
    ("standardize", |x, axis, _| x.standardize(axis, 1e-3).0),
    ("unit_norm", |x, axis, _| x.unit_norm(axis)),
    ("batch_norm", |x, axis, at| {
        let values = channels(x, at);
        x.batch_norm(axis, [&values, &values], None, None, 1e-3)
    }),
    ("batch_norm_training", |x, axis, _| {
        x.batch_norm_training(axis, None, None, 1e-3, None).0
    }),
    // To the front.
    ("permute", |x, axis, at| {
        let others = (0..3).filter(|&other| other != at as isize);
        x.permute(&[axis].into_iter().chain(others).collect::<Vec<_>>())
    }),
];

fn input(graph: &Graph) -> Tensor {
    let values: Vec<f32> = (0..24)
        .map(|i| ((i * 7) % 11) as f32 * 0.25 - 1.0)
        .collect();
    graph.parameter("x", [2, 3, 4], &values)
}

/// The value and the gradient of its squares, with the shape of the value.
fn run(call: Call, axis: isize, at: usize) -> (Vec<usize>, Vec<f32>, Vec<f32>) {
    let graph = Graph::new();
    let x = input(&graph);
    let y = call(&x, axis, at);
    let dx = graph.gradients(&y.square(), &[&x]).remove(0);
    let program = Program::new("run").fetch("y", &y).fetch("dx", &dx);
    let device = Device::cpu();
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("run", 1).unwrap();
    let [y_values, dx_values] = ["y", "dx"].map(|name| session.read(name).unwrap());
    (y.shape().dims().to_vec(), y_values, dx_values)
}

#[test]
fn a_negative_axis_counts_from_the_back() {
    for (name, call) in CALLS {
        for at in 0..3 {
            let front = run(call, at as isize, at);
            let back = run(call, at as isize - 3, at);
            assert_eq!(front, back, "{name} along {at}");
        }
    }
}

#[test]
fn a_new_axis_counts_from_the_back_of_the_result() {
    let graph = Graph::new();
    let x = input(&graph);
    let shapes: [[usize; 4]; 4] = [[5, 2, 3, 4], [2, 5, 3, 4], [2, 3, 5, 4], [2, 3, 4, 5]];
    for (at, dims) in (0..).zip(shapes) {
        for axis in [at, at - 4] {
            assert_eq!(x.repeat(axis, 5).shape().dims(), dims, "{axis}");
        }
    }
    graph.check().unwrap();
    for axis in [4, -5] {
        let graph = Graph::new();
        input(&graph).repeat(axis, 5);
        let said = graph.check().unwrap_err().to_string();
        let wanted = format!("axis must be one of 4 dimensions, got {axis} for [2, 3, 4]");
        assert!(said.contains(&wanted), "{said}");
    }
}

#[test]
fn what_is_no_axis_is_refused_with_one_sentence() {
    for (name, call) in CALLS {
        for axis in [3, -4, isize::MAX, isize::MIN] {
            let graph = Graph::new();
            call(&input(&graph), axis, 0);
            let said = graph.check().unwrap_err().to_string();
            let wanted = format!("axis must be one of 3 dimensions, got {axis} for [2, 3, 4]");
            assert!(said.contains(&wanted), "{name}: {said}");
            assert!(said.contains(file!()), "{name}: {said}");
        }
        let graph = Graph::new();
        call(&graph.input("scalar", []), 0, 0);
        assert!(graph.check().is_err(), "{name} of a scalar");
    }
}
