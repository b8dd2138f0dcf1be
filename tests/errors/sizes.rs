//! Sizes that no machine has: refused before anything is multiplied, made or counted.

use kiln::data::Array;
use kiln::nn::Permute;
use kiln::prelude::*;
use kiln::train::Every;
use kiln::{DType, Plan, Shape, TensorType};

use super::{labelled, model, says};

pub fn all() {
    graphs_of_absurd_sizes_are_refused();
    models_of_absurd_sizes_are_refused();
    data_of_absurd_sizes_is_refused();
    runs_of_absurd_sizes_are_refused();
}

const HUGE: usize = usize::MAX;
/// Its square is beyond 64 bits, it is not.
const WIDE: usize = 1 << 40;

#[test]
pub fn graphs_of_absurd_sizes_are_refused() {
    let refused = |record: &dyn Fn(&Graph) -> Tensor| {
        let graph = Graph::new();
        let y = record(&graph);
        let program = kiln::Program::new("p").fetch("y", &y);
        let target = kiln::plan::Target::cpu();
        says(Plan::compile(&graph, &target, [program]).map(drop), &[]);
    };
    for shape in [
        Shape::from([HUGE]),
        [WIDE, WIDE].into(),
        // Without elements, but sums over one dimension would have as many as the others.
        [WIDE, WIDE, 0].into(),
        [0, HUGE, HUGE].into(),
        vec![2; 70].into(),
    ] {
        refused(&|graph| graph.input("x", &shape).relu());
        refused(&|graph| {
            let kind = TensorType {
                shape: shape.clone(),
                dtype: DType::U32,
            };
            let labels = graph.variable("x", kind, kiln::Initial::Zeros);
            graph.input("table", [3, 2]).add(&labels)
        });
        refused(&|graph| graph.input("x", [4]).reshape(&shape));
        refused(&|graph| graph.input("x", [0, 4]).reshape(&shape));
        refused(&|graph| graph.parameter("x", &shape, &[1.0]));
    }
    let x = |graph: &Graph| graph.input("x", [3, 4]);
    refused(&|graph| x(graph).slice(isize::MAX, 0, 1));
    refused(&|graph| x(graph).slice(1, HUGE, 2));
    refused(&|graph| x(graph).slice(1, 2, HUGE));
    refused(&|graph| x(graph).concat(&[&graph.input("z", [3, 4])], isize::MIN));
    // The sides fit, what they make does not.
    refused(&|graph| {
        let (a, b) = (graph.input("a", [WIDE, 1]), graph.input("b", [1, WIDE]));
        a.matmul(&b)
    });
    refused(&|graph| graph.input("a", [WIDE, 1]).add(&graph.input("b", [WIDE])));
}

#[test]
pub fn models_of_absurd_sizes_are_refused() {
    let rows = || labelled(vec![0.0; 8], vec![0, 1, 0, 1]);
    let refused = |network: Sequential| {
        let (loss, optimizer) = (SparseCategoricalCrossentropy, Adam::default());
        let model = network.compile_on(&Device::cpu(), loss, optimizer, []);
        // What data makes of it.
        let outcome = model.and_then(|mut model| model.fit(&rows(), Fit::epochs(1).silent()));
        says(outcome.map(drop), &[]);
    };
    refused(Sequential::new(HUGE).dense(2, Softmax));
    refused(
        Sequential::new([WIDE, WIDE])
            .layer(Flatten)
            .dense(2, Softmax),
    );
    refused(Sequential::new(2).dense(HUGE, Relu).dense(2, Softmax));
    refused(Sequential::new(2).dense(WIDE, Relu).dense(WIDE, Softmax));
    refused(Sequential::new(2).layer(RepeatVector::new(HUGE)));
    refused(
        Sequential::new(2)
            .layer(RepeatVector::new(WIDE))
            .layer(Flatten),
    );
    for target in [vec![i64::MAX, -1], vec![i64::MAX, i64::MAX], vec![i64::MIN]] {
        refused(Sequential::new(2).layer(Reshape::new(target)));
    }
    refused(Sequential::new([1, 2]).layer(Permute::new([HUGE, 1])));
    let merged = |count: usize| {
        let x = Input::named("x", [2]);
        let wide = Dense::new(HUGE / 2).on(&x);
        let joined = Concatenate::default().on(vec![wide.clone(); count]);
        let network = Functional::new(&x, &Dense::new(2).on(&joined));
        let (loss, optimizer) = (MeanSquaredError, Sgd::new(0.1));
        network.compile_on(&Device::cpu(), loss, optimizer, [])
    };
    for count in [1, 2, 5] {
        let outcome = merged(count).and_then(|mut model| model.predict(&[1.0, 2.0]));
        says(outcome.map(drop), &[]);
    }
}

#[test]
pub fn data_of_absurd_sizes_is_refused() {
    says(Dataset::new(Vec::new(), HUGE, Targets::None), &[]);
    says(Dataset::new(vec![1.0; 3], HUGE, Targets::None), &["3"]);
    let values = Targets::Values {
        values: vec![1.0],
        columns: HUGE,
    };
    says(Dataset::new(vec![1.0], 1, values), &["1"]);
    // One label of a file makes as many classes as it likes.
    let (most, rows) = (u32::MAX - 1, vec![0.0; 8]);
    let of_file = labelled(rows, vec![most, 0, most, 0]);
    let (train, test) = of_file.split_stratified(0.5, 1).unwrap();
    assert_eq!((train.rows(), test.rows()), (2, 2));
    assert_eq!(of_file.stratified_k_fold(2, 1).unwrap().count(), 2);
    let weigh = |class| Fit::epochs(1).silent().class_weight([(class, 2.0)]);
    says(model().fit(&of_file, weigh(0)).map(drop), &["4294967294"]);
    says(
        model().fit(&of_file, weigh(u32::MAX)).map(drop),
        &["4294967295"],
    );
    let beyond = of_file.with_classes(HUGE).unwrap();
    says(beyond.class_counts(), &["memory"]);
    says(beyond.balanced_class_weights(), &["memory"]);
    says(beyond.one_hot(), &["one-hot"]);
    says(Array::from_f32(&[WIDE, WIDE], &[1.0]), &["1"]);
    let empty = Array::from_f32(&[0, WIDE, WIDE], &[]).unwrap();
    says(Dataset::from_arrays(&empty, &empty), &[]);
    let table = "1,2,0\n3,4,1\n";
    for csv in [
        Csv::new().target(HUGE),
        Csv::new().skip(HUGE),
        Csv::new().categorical(HUGE),
    ] {
        says(csv.read_from(table.as_bytes(), "table.csv"), &["column"]);
    }
    says(model().predict(&vec![1.0; 3]), &["3"]);
}

#[test]
pub fn runs_of_absurd_sizes_are_refused() {
    let data = labelled(vec![0.0; 8], vec![0, 1, 2, 1]);
    let refused = |fit: Fit<'_>| says(model().fit(&data, fit.silent()).map(drop), &[]);
    refused(Fit::epochs(1).batch_size(4).micro_batches(u32::MAX));
    refused(Fit::steps(u64::MAX));
    refused(Fit::epochs(1).chunk_rows(0));
    refused(Fit::epochs(1).states(Every::Steps(0), |_| Ok(())));
    says(model().inspect(HUGE, HUGE).map(drop), &[]);
    says(model().inspect(HUGE, 1).map(drop), &[]);
    // More than there is is all that there is.
    for fit in [
        Fit::epochs(1).batch_size(HUGE),
        Fit::epochs(1).chunk_rows(HUGE),
        Fit::epochs(1).max_steps(u64::MAX),
        Fit::epochs(1).states(Every::Steps(u64::MAX), |_| Ok(())),
    ] {
        model().fit(&data, fit.silent()).unwrap();
    }
    assert_eq!(model().find_nan(&data, HUGE).unwrap(), None);
}
