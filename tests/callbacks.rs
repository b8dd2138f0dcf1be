//! Callbacks: stop rules, rates, files and logs, against runs whose figures are known.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use kiln::prelude::*;
use kiln::train::{
    Callback, CsvLog, EarlyStopping, JsonLines, Lambda, LearningRateScheduler, ModelCheckpoint,
    Moment, ReduceOnPlateau, StopAfter, StopAt, TensorBoard, Timing,
};

/// y = 2x − 1 with some noise that can be learnt by heart.
fn line(rows: usize) -> Dataset {
    let x: Vec<[f32; 1]> = (0..rows).map(|i| [i as f32 / rows as f32]).collect();
    let noise = |i: usize| ((i * 7919) % 13) as f32 / 13.0 - 0.5;
    let y: Vec<[f32; 1]> = (0..rows)
        .map(|i| [2.0 * x[i][0] - 1.0 + 0.3 * noise(i)])
        .collect();
    Dataset::from_rows(&x, &y).unwrap()
}

fn model(optimizer: impl Optimizer + 'static) -> Model {
    let network = Sequential::new(1).dense(16, Tanh).dense(1, Linear).seed(3);
    network
        .compile_on(&Device::cpu(), MeanSquaredError, optimizer, [])
        .unwrap()
}

fn fit<'a>(epochs: u64) -> Fit<'a> {
    Fit::epochs(epochs).batch_size(8).silent()
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("kiln-callbacks-{name}-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    path
}

#[track_caller]
fn refused(outcome: kiln::Result<kiln::train::History>, parts: &[&str]) {
    let message = outcome.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
}

#[test]
fn early_stopping_waits_for_its_patience_and_brings_back_the_best_weights() {
    let (train, test) = line(60).split(0.5, 1).unwrap();
    let mut stopping = EarlyStopping::new("val_loss", 3).restore_best_weights(true);
    let mut model = model(Sgd::new(0.6));
    let settings = fit(400).validation(&test).callback(&mut stopping);
    let history = model.fit(&train, settings).unwrap();
    let losses = history.get("val_loss");
    let (epoch, best) = stopping.best().unwrap();
    assert_eq!(
        losses.len() as u64,
        epoch + 3,
        "three epochs after the best one"
    );
    assert_eq!(best, losses.iter().copied().fold(f64::INFINITY, f64::min));
    assert_eq!(losses[epoch as usize - 1], best);
    assert!(
        history
            .stop
            .to_string()
            .contains("val_loss did not get better in 3 epochs"),
        "{}",
        history.stop
    );
    assert_eq!(model.evaluate(&test).unwrap().loss, best);
}

#[test]
fn a_baseline_must_be_beaten_and_the_first_epochs_may_be_left_out() {
    let data = line(32);
    let stopping = EarlyStopping::new("loss", 4).baseline(0.0);
    let history = model(Sgd::new(0.1))
        .fit(&data, fit(50).callback(stopping))
        .unwrap();
    assert_eq!(history.epochs.len(), 4);
    let stopping = EarlyStopping::new("loss", 4)
        .baseline(0.0)
        .start_from_epoch(6);
    let history = model(Sgd::new(0.1))
        .fit(&data, fit(50).callback(stopping))
        .unwrap();
    assert_eq!(history.epochs.len(), 10);
    let stopping = EarlyStopping::new("loss", 2).min_delta(10.0);
    let history = model(Sgd::new(0.1))
        .fit(&data, fit(50).callback(stopping))
        .unwrap();
    assert_eq!(
        history.epochs.len(),
        3,
        "only the first epoch is an improvement"
    );
}

#[test]
fn a_run_stops_at_a_target_figure() {
    let data = line(32);
    let history = model(Adam::new(0.02))
        .fit(&data, fit(500).callback(StopAt::new("loss", 0.05)))
        .unwrap();
    let losses = history.loss();
    assert!(
        losses.len() < 500 && losses[losses.len() - 1] <= 0.05 && losses[losses.len() - 2] > 0.05
    );
    assert!(history.stop.to_string().contains("reached the target 0.05"));
    refused(
        model(Adam::new(0.02)).fit(&data, fit(1).callback(StopAt::new("loss", f64::NAN))),
        &["target", "NaN"],
    );
}

#[test]
fn a_run_stops_when_its_seconds_are_over() {
    let data = line(64);
    let history = model(Sgd::new(0.01))
        .fit(
            &data,
            Fit::steps(u64::from(u32::MAX) - 1)
                .batch_size(8)
                .silent()
                .callback(StopAfter::seconds(0.3)),
        )
        .unwrap();
    assert!(history.stop.to_string().contains("0.3 seconds are over"));
    assert!(history.steps > 64 && history.steps.is_multiple_of(8));
    for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(
            model(Sgd::new(0.1)).fit(&data, fit(1).callback(StopAfter::seconds(seconds))),
            &["seconds", "above 0"],
        );
    }
    refused(
        model(Sgd::new(0.1)).fit(&data, fit(1).callback(StopAfter::joules(-1.0))),
        &["joules", "-1"],
    );
    refused(
        model(Sgd::new(0.1)).fit(&data, fit(1).callback(StopAfter::seconds(1.0).every(0))),
        &["every", "0"],
    );
}

#[test]
fn joules_are_counted_or_refused_before_the_run() {
    let counter = fs::read_to_string("/sys/class/powercap/intel-rapl:0/energy_uj").is_ok();
    let outcome = model(Sgd::new(0.01)).fit(
        &line(64),
        Fit::steps(u64::from(u32::MAX) - 1)
            .silent()
            .callback(StopAfter::joules(1.0)),
    );
    match counter {
        true => assert!(outcome.unwrap().stop.to_string().contains("joules")),
        false => refused(outcome, &["joules", "cannot be counted here"]),
    }
}

#[test]
fn a_plateau_lowers_the_rate_and_a_cool_down_waits() {
    let data = line(32);
    let mut rates = Vec::new();
    let plateau = ReduceOnPlateau::new("loss")
        .factor(0.5)
        .patience(2)
        .min_delta(10.0)
        .cooldown(2)
        .min_learning_rate(0.02);
    let mut model = model(Sgd::new(0.08));
    let record = Lambda::new(|moment: &mut Moment<'_>| {
        rates.push(moment.model.learning_rate()?);
        Ok(())
    });
    model
        .fit(&data, fit(13).callback(plateau).callback(record))
        .unwrap();
    // Epoch 1 is the best; epochs 2 and 3 are waited for; 4 and 5 cool down …
    let expected = [
        0.08, 0.08, 0.04, 0.04, 0.04, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02,
    ];
    for (epoch, (rate, expected)) in rates.iter().zip(expected).enumerate() {
        assert!(
            (rate - expected).abs() < 1e-6,
            "epoch {}: {rates:?}",
            epoch + 1
        );
    }
    for (plateau, name) in [
        (ReduceOnPlateau::new("loss").factor(1.0), "factor"),
        (ReduceOnPlateau::new("loss").factor(-0.5), "factor"),
        (ReduceOnPlateau::new("loss").patience(0), "patience"),
        (ReduceOnPlateau::new("loss").min_delta(-1.0), "min_delta"),
        (
            ReduceOnPlateau::new("loss").min_learning_rate(f64::NAN),
            "min_learning_rate",
        ),
    ] {
        refused(
            self::model(Sgd::new(0.1)).fit(&data, fit(1).callback(plateau)),
            &[name],
        );
    }
}

#[test]
fn the_rate_of_an_epoch_is_what_the_scheduler_says() {
    let data = line(32);
    let mut weights = Vec::new();
    let scheduler =
        LearningRateScheduler::new(|epoch, rate| if epoch == 1 { 0.0 } else { rate.max(0.1) });
    let record = Lambda::new(|moment: &mut Moment<'_>| {
        weights.push(moment.model.weights()?[0].values.clone());
        Ok(())
    });
    let mut model = model(Sgd::new(0.1));
    model
        .fit(&data, fit(3).callback(scheduler).callback(record))
        .unwrap();
    assert_eq!(weights[0], weights[1], "an epoch at rate 0");
    assert_ne!(weights[1], weights[2]);
    // The same as three runs at these rates.
    let mut other = self::model(Sgd::new(0.1));
    other.fit(&data, fit(1)).unwrap();
    assert_eq!(other.weights().unwrap()[0].values, weights[0]);
}

#[test]
fn the_best_and_the_last_models_are_kept_in_files() {
    let folder = folder("files");
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let data = line(32);
    let mut best = ModelCheckpoint::new(path("best-{epoch}-{loss}.safetensors")).best("loss");
    let mut last = ModelCheckpoint::new(path("last-{epoch}.safetensors")).last(2);
    let mut every = ModelCheckpoint::new(path("every-{epoch}.safetensors")).every(3);
    let mut model = model(Sgd::new(0.1));
    let settings = fit(7)
        .callback(&mut best)
        .callback(&mut last)
        .callback(&mut every);
    let history = model.fit(&data, settings).unwrap();
    let lowest = (1..=7)
        .min_by(|a, b| history.loss()[a - 1].total_cmp(&history.loss()[b - 1]))
        .unwrap();
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let kept = format!(
        "best-{lowest}-{:.4}.safetensors",
        history.loss()[lowest - 1]
    );
    assert_eq!(
        names,
        [
            &kept,
            "every-3.safetensors",
            "every-6.safetensors",
            "last-6.safetensors",
            "last-7.safetensors"
        ]
    );
    let mut loaded = Model::load_on(&Device::cpu(), folder.join("last-7.safetensors")).unwrap();
    assert_eq!(
        loaded.predict(&[0.3][..]).unwrap(),
        model.predict(&[0.3][..]).unwrap()
    );
    let unknown = ModelCheckpoint::new(path("{accuracy}.safetensors"));
    refused(
        model.fit(&data, fit(1).callback(unknown)),
        &["accuracy", "loss"],
    );
    let open = ModelCheckpoint::new(path("{loss.safetensors"));
    refused(model.fit(&data, fit(1).callback(open)), &["path", "brace"]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn logs_hold_what_the_history_holds() {
    let folder = folder("logs");
    let (train, test) = line(60).split(0.5, 1).unwrap();
    let (csv, json) = (folder.join("log.csv"), folder.join("log.jsonl"));
    let board = TensorBoard::new(folder.join("board")).histograms(2);
    let settings = fit(4)
        .validation(&test)
        .callback(CsvLog::new(&csv))
        .callback(JsonLines::new(&json))
        .callback(board);
    let mut model = model(Adam::new(0.01));
    let history = model.fit(&train, settings).unwrap();
    let text = fs::read_to_string(&csv).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("epoch,loss,val_loss"));
    for (number, epoch) in history.epochs.iter().enumerate() {
        let line = format!("{number},{},{}", epoch.loss, epoch.val_loss.unwrap());
        assert_eq!(lines.next(), Some(line.as_str()));
    }
    let text = fs::read_to_string(&json).unwrap();
    assert_eq!(text.lines().count(), 4);
    for (line, epoch) in text.lines().zip(&history.epochs) {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["val_loss"].as_f64(), epoch.val_loss);
    }
    // A log that goes on has its header once.
    model
        .fit(
            &train,
            fit(2)
                .validation(&test)
                .callback(CsvLog::new(&csv).append(true)),
        )
        .unwrap();
    let text = fs::read_to_string(&csv).unwrap();
    assert_eq!(
        (text.lines().count(), text.matches("epoch").count()),
        (7, 1)
    );
    for part in ["train", "validation"] {
        let file = fs::read_dir(folder.join("board").join(part))
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        let bytes = fs::read(file.path()).unwrap();
        assert_eq!(
            records(&bytes),
            if part == "train" {
                1 + 4 + 2 * 4
            } else {
                1 + 4
            }
        );
    }
    refused(
        model.fit(
            &train,
            fit(1).callback(CsvLog::new(folder.join("no/such/folder.csv"))),
        ),
        &["folder.csv"],
    );
    fs::remove_dir_all(folder).unwrap();
}

/// The records of an event file, whose lengths must fill it.
fn records(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes = &bytes[8 + 4 + length + 4..];
        count += 1;
    }
    count
}

#[test]
fn a_figure_that_is_not_measured_is_refused_with_those_that_are() {
    let data = line(32);
    refused(
        model(Sgd::new(0.1)).fit(&data, fit(3).callback(EarlyStopping::new("val_loss", 1))),
        &["monitor", "val_loss", "validation"],
    );
    refused(
        model(Sgd::new(0.1)).fit(&data, fit(3).callback(EarlyStopping::new("accuracy", 1))),
        &["accuracy", "loss"],
    );
    refused(
        model(Sgd::new(0.1)).fit(&data, fit(3).callback(EarlyStopping::new("loss", 0))),
        &["patience"],
    );
}

/// Counts its calls, and fails in an epoch if asked to.
#[derive(Default)]
struct Counts {
    begun: u64,
    epochs: u64,
    steps: Vec<u64>,
    ended: u64,
    every: Option<u64>,
    fails: bool,
}

impl Callback for Counts {
    fn timing(&self) -> Timing {
        self.every.map_or(Timing::Behind, Timing::Steps)
    }

    fn begin(&mut self, _moment: &mut Moment<'_>) -> Result<()> {
        self.begun += 1;
        Ok(())
    }

    fn epoch(&mut self, _moment: &mut Moment<'_>) -> Result<()> {
        self.epochs += 1;
        match self.fails {
            true => Err(Error::data("this callback fails")),
            false => Ok(()),
        }
    }

    fn steps(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.steps.push(moment.step);
        Ok(())
    }

    fn end(&mut self, _moment: &mut Moment<'_>) -> Result<()> {
        self.ended += 1;
        Ok(())
    }
}

#[test]
fn a_callback_is_called_after_the_steps_that_it_asks_for() {
    // 32 rows in batches of 8 are 4 steps an epoch.
    let mut counts = Counts {
        every: Some(3),
        ..Counts::default()
    };
    model(Sgd::new(0.1))
        .fit(&line(32), fit(3).callback(&mut counts))
        .unwrap();
    assert_eq!((counts.begun, counts.epochs, counts.ended), (1, 3, 1));
    assert_eq!(counts.steps, [3, 6, 9, 12]);
    let mut counts = Counts {
        fails: true,
        ..Counts::default()
    };
    refused(
        model(Sgd::new(0.1)).fit(&line(32), fit(3).callback(&mut counts)),
        &["this callback fails"],
    );
    assert_eq!((counts.epochs, counts.ended), (1, 1));
}

#[test]
fn callbacks_do_not_change_what_is_trained() {
    let data = line(60);
    let mut plain = model(Adam::new(0.01));
    plain.fit(&data, fit(5)).unwrap();
    for every in [None, Some(1), Some(7)] {
        let mut watched = model(Adam::new(0.01));
        let counts = Counts {
            every,
            ..Counts::default()
        };
        watched.fit(&data, fit(5).callback(counts)).unwrap();
        assert_eq!(watched.weights().unwrap(), plain.weights().unwrap());
    }
}
