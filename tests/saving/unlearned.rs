//! Names of a table of which nothing was learned: the model forgets them.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use kiln::prelude::*;
use kiln::train::{Every, Member, Population, RunState};

fn table(columns: [&str; 2]) -> Dataset {
    let [first, second] = columns;
    let text = format!("{first},{second},y\n1,0,1\n0,1,0\n1,1,1\n");
    let csv = Csv::new().target("y");
    csv.read_from(text.as_bytes(), "table.csv").unwrap()
}

fn model() -> Model {
    let network = Sequential::new(2).dense(1, Sigmoid);
    network
        .compile_on(&Device::cpu(), BinaryCrossentropy, Sgd::new(0.1), [])
        .unwrap()
}

fn fit<'a>() -> Fit<'a> {
    Fit::epochs(2).silent()
}

#[test]
fn a_population_forgets_the_names_of_a_table_that_it_refused() {
    let member = Member {
        seed: 1,
        learning_rate: 0.1,
    };
    let mut population = Population::new(
        Functional::from(Sequential::new(2).dense(1, Sigmoid)),
        [member],
        &Device::cpu(),
        BinaryCrossentropy,
        kiln::optim::OptimizerConfig::default(),
        [],
    )
    .unwrap();
    let weighted = table(["a", "b"]).with_weights(vec![1.0, 2.0, 3.0]).unwrap();
    let refusal = population.fit(&weighted, fit()).unwrap_err().to_string();
    assert!(refusal.contains("have weights"), "{refusal}");
    population.fit(&table(["c", "d"]), fit()).unwrap();
    let names = population.member(0).unwrap();
    assert_eq!(names.feature_names(), ["c", "d"]);
}

#[test]
fn a_refused_resume_leaves_no_names() {
    let mut states: Vec<RunState> = Vec::new();
    let keep = |state: &RunState| {
        states.push(state.clone());
        Ok(())
    };
    let first = table(["a", "b"]);
    model()
        .fit(&first, fit().states(Every::Epochs(1), keep))
        .unwrap();
    let state = states.pop().unwrap();
    let mut other = model();
    // Rows without a target.
    let bare = Dataset::new(vec![1.0, 0.0], 2, Targets::None).unwrap();
    other.fit(&bare, fit().resume(state)).unwrap_err();
    assert!(other.feature_names().is_empty());
    other.fit(&table(["c", "d"]), fit()).unwrap();
    assert_eq!(other.feature_names(), ["c", "d"]);
}

#[test]
fn a_run_that_is_dropped_before_its_first_step_leaves_no_names() {
    let mut own = model();
    let before = own.weights().unwrap();
    let first = table(["a", "b"]);
    {
        let mut training = pin!(own.fit_async(&first, fit().slice(Duration::ZERO)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(training.as_mut().poll(&mut context).is_pending());
    }
    let other = table(["c", "d"]);
    own.predict(&other).unwrap();
    assert_eq!(own.weights().unwrap(), before);
    own.fit(&other, fit()).unwrap();
    assert_eq!(own.feature_names(), ["c", "d"]);
}
