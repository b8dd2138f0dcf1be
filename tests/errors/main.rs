//! Bad input gets a typed error whose sentence names what, where and how to mend it; nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod callbacks;
mod data;
mod files;
mod fit;
mod graph;
mod metrics;
mod nn;
mod optim;
mod own;
mod sizes;

use std::cell::Cell;

use kiln::prelude::*;

thread_local! {
    /// The refusals that this thread has looked at.
    static REFUSALS: Cell<usize> = const { Cell::new(0) };
}

/// The error's sentence holds every one of the words.
#[track_caller]
fn says<T>(outcome: Result<T>, words: &[&str]) {
    let message = outcome.err().expect("an error").to_string();
    // A sentence, not the name of a variant or a value of Rust's.
    let is_sentence = message.split(' ').count() >= 3
        && !["Some(", "Error::", "Err(", "\n\n"]
            .iter()
            .any(|odd| message.contains(odd));
    assert!(is_sentence, "`{message}` is no sentence");
    for word in words {
        assert!(message.contains(word), "`{message}` does not say `{word}`");
    }
    REFUSALS.set(REFUSALS.get() + 1);
}

/// The error is that of an argument of this name, and its sentence holds every one of the words.
#[track_caller]
fn refuses<T>(outcome: Result<T>, argument: &str, words: &[&str]) {
    let error = outcome.err().expect("an error");
    match &error {
        Error::Argument { name, .. } => assert_eq!(*name, argument, "{error}"),
        other => panic!("not an error of the argument `{argument}`: {other}"),
    }
    says::<()>(Err(error), words);
}

fn model() -> Model {
    let model = Sequential::new(2).dense(4, Relu).dense(3, Softmax);
    model
        .compile_on(
            &Device::cpu(),
            SparseCategoricalCrossentropy,
            Adam::default(),
            [Accuracy],
        )
        .unwrap()
}

fn labelled(features: Vec<f32>, labels: Vec<u32>) -> Dataset {
    let classes = labels.iter().max().map_or(1, |&label| label as usize + 1);
    Dataset::new(features, 2, Targets::Labels { labels, classes }).unwrap()
}

#[test]
fn an_error_that_leaves_main_prints_its_sentence() {
    // What `fn main() -> Result<()>` prints of it is its `Debug`.
    let error = Csv::new().read("no/such/file.csv").unwrap_err();
    assert!(
        error.to_string().starts_with("no/such/file.csv: "),
        "{error}"
    );
    assert_eq!(format!("{error:?}"), error.to_string());
    let fields = format!("{error:#?}");
    assert!(
        fields.starts_with("Io {\n    path: \"no/such/file.csv\",\n    source: "),
        "{fields}"
    );
    let error = Error::argument("rate", "must be at least 0, got -1");
    let fields = "Argument {\n    name: \"rate\",\n    message: \"must be at least 0, got -1\",\n}";
    assert_eq!(format!("{error:#?}"), fields);
}

#[test]
fn more_than_five_hundred_bad_values_are_refused() {
    let before = REFUSALS.get();
    graph::all();
    nn::all();
    optim::all();
    metrics::all();
    data::all();
    fit::all();
    callbacks::all();
    files::all();
    own::all();
    sizes::all();
    let refused = REFUSALS.get() - before;
    assert!(refused >= 500, "only {refused}");
}
