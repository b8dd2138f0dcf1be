//! What callbacks refuse when a run begins.

use kiln::prelude::*;
use kiln::train::{
    Callback, CsvLog, LearningRateScheduler, Mode, Moment, Monitor, StopAfter, StopAt, TensorBoard,
    TerminateOnNaN, Timing,
};

use super::{labelled, model, refuses, says};

pub fn all() {
    settings_of_callbacks_out_of_range_name_the_field();
    a_figure_that_the_run_does_not_measure_is_refused();
    files_that_cannot_be_written_are_named();
}

fn with(callback: impl Callback) -> Result<History> {
    let data = labelled(vec![0.0; 8], vec![0, 1, 2, 0]);
    model().fit(&data, Fit::epochs(2).silent().callback(callback))
}

#[test]
pub fn settings_of_callbacks_out_of_range_name_the_field() {
    refuses(
        with(EarlyStopping::new("loss", 1).min_delta(-0.1)),
        "min_delta",
        &["-0.1"],
    );
    refuses(
        with(EarlyStopping::new("loss", 1).min_delta(f64::NAN)),
        "min_delta",
        &["NaN"],
    );
    refuses(
        with(EarlyStopping::new("loss", 0)),
        "patience",
        &["at least 1", "got 0"],
    );
    refuses(
        with(EarlyStopping::new("loss", 1).baseline(f64::NAN)),
        "baseline",
        &["a number", "NaN"],
    );
    let never = ["at least 1", "got 0", "`every`"];
    let lambda = kiln::train::Lambda::new(|_: &mut Moment<'_>| Ok(()));
    refuses(with(lambda.at(Timing::Steps(0))), "Timing::Steps", &never);
    refuses(
        with(TerminateOnNaN::default().every(0)),
        "Timing::Steps",
        &never,
    );
    refuses(
        with(ReduceOnPlateau::new("loss").factor(1.0)),
        "factor",
        &["below 1", "got 1"],
    );
    refuses(
        with(ReduceOnPlateau::new("loss").factor(0.0)),
        "factor",
        &["above 0", "got 0"],
    );
    refuses(
        with(ReduceOnPlateau::new("loss").patience(0)),
        "patience",
        &["at least 1"],
    );
    refuses(
        with(ReduceOnPlateau::new("loss").min_delta(-1.0)),
        "min_delta",
        &["-1"],
    );
    let below = ReduceOnPlateau::new("loss").min_learning_rate(-1.0);
    refuses(with(below), "min_learning_rate", &["-1"]);
    refuses(
        with(LearningRateScheduler::new(|_, _| -1.0)),
        "learning_rate",
        &["-1"],
    );
    refuses(with(StopAfter::seconds(0.0)), "seconds", &["above 0"]);
    refuses(with(StopAfter::seconds(f64::NAN)), "seconds", &["above 0"]);
    refuses(
        with(StopAfter::seconds(1.0).every(0)),
        "Timing::Steps",
        &never,
    );
    refuses(
        with(StopAfter::joules(0.0)),
        "joules",
        &["above 0", "got 0"],
    );
    refuses(with(StopAt::new("loss", f64::NAN)), "target", &["NaN"]);
    refuses(
        with(ModelCheckpoint::new("m").every(0)),
        "every",
        &["at least 1"],
    );
    refuses(
        with(ModelCheckpoint::new("m").last(0)),
        "last",
        &["at least 1"],
    );
    refuses(with(ModelCheckpoint::new("m-{epoch")), "path", &["brace"]);
}

#[test]
pub fn a_figure_that_the_run_does_not_measure_is_refused() {
    refuses(
        with(EarlyStopping::new("val_loss", 1)),
        "monitor",
        &["val_loss", "validation"],
    );
    refuses(
        with(ReduceOnPlateau::new("val_loss")),
        "monitor",
        &["val_loss", "validation"],
    );
    refuses(
        with(StopAt::new("val_accuracy", 0.9)),
        "monitor",
        &["val_accuracy", "validation"],
    );
    refuses(
        with(ModelCheckpoint::new("m").best("val_loss")),
        "monitor",
        &["val_loss", "validation"],
    );
    // Which way a metric of one's own gets better must be said.
    let own = |watched: Monitor| {
        let gain = Metric::from_fn("gain", |y, target| y.mul(target).sum_over(1));
        let objective = Objective::new("output", MeanSquaredError).metric(gain);
        let output = Dense::new(1).named("output");
        let input = Input::named("x", 2);
        let output = output.on(&input);
        let network = Functional::new([&input], [&output]);
        let model = network.compile_with(&Device::cpu(), [objective], Sgd::new(0.1));
        let mut model = model.unwrap();
        let data = Dataset::from_rows(&[[0.0, 1.0], [1.0, 0.0]], &[[1.0], [0.0]]).unwrap();
        let stopping = EarlyStopping::new(watched, 1);
        model.fit(&data, Fit::epochs(2).silent().callback(stopping))
    };
    let watched = Monitor::new("gain");
    refuses(own(watched.clone()), "monitor", &["gain", "`mode`"]);
    assert_eq!(own(watched.mode(Mode::Max)).unwrap().steps, 2);
    // A name that no epoch will have is told before the first step.
    let data = labelled(vec![0.0; 8], vec![0, 1, 2, 0]);
    let unknown = |callback: &mut dyn Callback| {
        let mut model = model();
        let before = model.weights().unwrap();
        let fit = Fit::epochs(2).silent().validation_split(0.5);
        let outcome = model.fit(&data, fit.callback(callback));
        says(
            outcome,
            &["no such figure", "loss", "accuracy", "val_accuracy"],
        );
        assert_eq!(model.weights().unwrap(), before);
    };
    unknown(&mut EarlyStopping::new("no such figure", 1));
    let rising = Monitor::new("no such figure").mode(Mode::Max);
    unknown(&mut StopAt::new(rising, 1.0));
    unknown(&mut ReduceOnPlateau::new("no such figure"));
    unknown(&mut ModelCheckpoint::new("m").best("no such figure"));
    let best = kiln::train::Checkpoints::in_folder("no such folder").keep_best("no such figure");
    let outcome = model().fit(&data, Fit::epochs(1).silent().checkpoints(best));
    says(outcome, &["no such figure", "loss", "accuracy"]);
    assert!(!std::path::Path::new("no such folder").exists());
}

#[test]
pub fn files_that_cannot_be_written_are_named() {
    let folder = std::env::temp_dir().join(format!("kiln-errors-callbacks-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("file");
    std::fs::write(&file, b"").unwrap();
    says(with(CsvLog::new(file.join("log.csv"))), &["log.csv"]);
    says(
        with(kiln::train::JsonLines::new(file.join("log.jsonl"))),
        &["log.jsonl"],
    );
    says(with(TensorBoard::new(file.join("board"))), &["board"]);
    let inside = file.join("m.safetensors");
    says(
        with(ModelCheckpoint::new(inside.to_string_lossy())),
        &["m.safetensors"],
    );
    std::fs::remove_dir_all(folder).unwrap();
}
