//! Callbacks: stop rules, rates, files and logs, against runs whose figures are known.

use std::fs;
use std::path::PathBuf;

use kiln::prelude::*;
use kiln::train::{
    Checkpoints, CsvLog, Every, Interrupt, JsonLines, Lambda, LearningRateScheduler, Mode, Moment,
    Monitor, R2, StopAfter, StopAt, TensorBoard, Timing,
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

/// A run of an epoch for each of these, whose losses are in their order: the targets are that far from what the model says,
/// and it hardly learns.
fn scripted<'a>(levels: &[f32], callback: impl Callback + 'a) -> History {
    let batches: Vec<_> = levels
        .iter()
        .map(|level| Dataset::from_rows(&[[0.5]; 8], &[[10.0 * level]; 8]))
        .collect();
    let settings = fit(levels.len() as u64).steps_per_epoch(1);
    model(Sgd::new(1e-9))
        .fit_batches(batches, settings.callback(callback))
        .unwrap()
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
    let losses = history.get("val_loss").unwrap();
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
    let stopping = |patience| EarlyStopping::new("loss", patience);
    for (stopping, levels, epochs) in [
        // The last that is better is the second.
        (stopping(3), &[5., 4., 4.5, 4.5, 4.5, 1.][..], 5),
        (stopping(3).baseline(1e6), &[5., 4., 4.5, 4.5, 4.5, 1.], 5),
        // None beats the baseline, so that all are waited.
        (stopping(3).baseline(0.0), &[5., 4., 4.5, 4.5, 4.5, 1.], 3),
        // As in Keras 3, one that is the best so far ends no run, beaten baseline or not.
        (stopping(3).baseline(0.0), &[5., 4., 3.5, 3., 3.2, 1.], 5),
        (stopping(1).baseline(0.0), &[5., 4., 3., 2., 1.], 5),
        (
            stopping(3).start_from_epoch(4),
            &[1., 2., 3., 4., 5., 6., 7., 8., 9.],
            8,
        ),
        (
            EarlyStopping::new(Monitor::new("loss").mode(Mode::Max), 1),
            &[1., 2., 3., 2., 9.],
            4,
        ),
    ] {
        let told = format!("{stopping:?}");
        let history = scripted(levels, stopping);
        assert_eq!(history.epochs.len(), epochs, "{told} {levels:?}");
    }
    let data = line(32);
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
fn the_best_file_of_several_runs_is_that_of_the_best_epoch_of_all() {
    let folder = folder("again");
    let path = folder.join("{epoch}.safetensors");
    let mut best = ModelCheckpoint::new(path.to_string_lossy()).best("loss");
    scripted(&[9., 5., 7.], &mut best);
    assert_eq!(best.files().last().unwrap(), &folder.join("2.safetensors"));
    // As in Keras, where the bar stays: nothing here is better than 5, and then 4 is.
    scripted(&[8., 7., 6.], &mut best);
    assert_eq!(best.files().last().unwrap(), &folder.join("2.safetensors"));
    scripted(&[8., 7., 6., 4.], &mut best);
    assert_eq!(best.files().last().unwrap(), &folder.join("4.safetensors"));
    assert!(!folder.join("2.safetensors").exists());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_best_file_is_that_of_the_epochs_that_are_saved() {
    let folder = folder("every");
    let path = folder.join("{epoch}.safetensors");
    let mut best = ModelCheckpoint::new(path.to_string_lossy())
        .best("loss")
        .every(2);
    // The third epoch is the best and is not saved; the fourth is better than the second, the sixth is not.
    scripted(&[9., 5., 1., 3., 2., 4.], &mut best);
    let files: Vec<_> = best.files().cloned().collect();
    assert_eq!(files, [folder.join("4.safetensors")]);
    assert!(!folder.join("2.safetensors").exists());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn metrics_tell_which_way_they_get_better() {
    // Every value of these is at 2 or below, so that at once a target of 2 is reached by what falls, and −9 by what rises.
    let data = line(32);
    for (metric, rises) in [
        (Metric::R2Score(R2::default()), true),
        (Metric::ExplainedVariance(R2::default()), true),
        (Metric::MeanAbsoluteError.with_name("inaccuracy"), false),
    ] {
        let network = Sequential::new(1).dense(16, Tanh).dense(1, Linear).seed(3);
        let name = metric.name().to_string();
        let device = Device::cpu();
        let compiled = network.compile_on(&device, MeanSquaredError, Sgd::new(0.1), [metric]);
        let mut model = compiled.unwrap();
        let target = if rises { -9.0 } else { 2.0 };
        let stop = StopAt::new(&name, target);
        let history = model.fit(&data, fit(3).callback(stop)).unwrap();
        assert_eq!(history.epochs.len(), 1, "{name}: {:?}", history.get(&name));
        let folder = folder(&name);
        let checkpoints = Checkpoints::in_folder(&folder)
            .keep_last(1)
            .keep_best(&name);
        let history = model.fit(&data, fit(4).checkpoints(checkpoints)).unwrap();
        let figures = history.get(&name).unwrap();
        let better = |a: f64, b: f64| if rises { a > b } else { a < b };
        let best = (0..4).fold(0, |best, i| {
            if better(figures[i], figures[best]) {
                i
            } else {
                best
            }
        });
        let kept = |epoch: usize| folder.join(format!("step-{:010}.safetensors", 4 * epoch));
        for epoch in 1..=4 {
            let stays = epoch == best + 1 || epoch == 4;
            assert_eq!(
                kept(epoch).exists(),
                stays,
                "{name}, epoch {epoch}: {figures:?}"
            );
        }
        fs::remove_dir_all(folder).unwrap();
    }
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
    // A misspelt name is not taken for one that only lacks validation data.
    for name in ["val_los", "los", "val_accuracy"] {
        refused(
            model(Sgd::new(0.1)).fit(&data, fit(3).callback(EarlyStopping::new(name, 1))),
            &["no figure of an epoch", name, "there is: loss"],
        );
    }
    refused(
        model(Sgd::new(0.1)).fit(
            &data,
            fit(3)
                .validation_split(0.2)
                .callback(ReduceOnPlateau::new("val_los")),
        ),
        &["val_los", "there is: loss, val_loss"],
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
        self.every.map_or(Timing::Overlapping, Timing::Steps)
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

/// An interrupted run keeps its history, writes its last state, and goes on from there as if it had never stopped.
fn interrupted(name: &str, interrupt: &Interrupt, raise: impl FnOnce() + Send + 'static) {
    let (data, folder) = (line(32), folder(name));
    // Only the end of the run comes before that many steps.
    let checkpoints = || Checkpoints::in_folder(&folder).every(Every::Steps(u64::MAX));
    let endless = fit(100_000_000)
        .interrupt(interrupt)
        .checkpoints(checkpoints());
    let raising = std::thread::spawn(raise);
    let history = model(Adam::new(0.01)).fit(&data, endless).unwrap();
    raising.join().unwrap();
    assert_eq!(history.stop, Stop::Interrupted);
    assert_eq!(history.stop.to_string(), "it was interrupted");
    let steps = history.steps;
    assert!(steps > 0);
    assert_eq!(history.step_losses.len() as u64, steps);
    // Four steps an epoch, and what was done of the last.
    assert_eq!(history.epochs.len() as u64, steps.div_ceil(4));
    let newest = Checkpoints::newest(&folder).unwrap().unwrap();
    assert_eq!(newest.state.steps, steps);
    assert_eq!(newest.state.history.step_losses, history.step_losses);
    let mut resumed = model(Adam::new(0.01));
    let rest = fit(u64::MAX).max_steps(steps + 5);
    let rest = rest.resume_from(&folder).checkpoints(checkpoints());
    let whole = resumed.fit(&data, rest).unwrap();
    let mut never = model(Adam::new(0.01));
    let other = never
        .fit(&data, fit(u64::MAX).max_steps(steps + 5))
        .unwrap();
    assert_eq!(whole.step_losses, other.step_losses);
    assert_eq!(resumed.weights().unwrap(), never.weights().unwrap());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_interrupt_ends_a_run_after_its_running_steps_with_a_checkpoint() {
    let interrupt = Interrupt::default();
    let raising = interrupt.clone();
    interrupted("interrupt", &interrupt, move || {
        std::thread::sleep(std::time::Duration::from_millis(30));
        raising.raise();
    });
    // One that is raised already lets the first steps be done, and is still raised for the next run.
    assert!(interrupt.is_raised());
    let mut stopped = model(Sgd::new(0.1));
    let again = fit(100_000_000).interrupt(&interrupt);
    let history = stopped.fit(&line(32), again).unwrap();
    assert_eq!(history.stop, Stop::Interrupted);
    assert!(history.steps > 0 && history.steps < 100_000_000);
    interrupt.lower();
    let history = stopped
        .fit(&line(32), fit(2).interrupt(&interrupt))
        .unwrap();
    assert_eq!(history.stop, Stop::Epochs(2));
}

/// The one test of this process that may handle its signals.
#[cfg(all(unix, feature = "ctrl-c"))]
#[test]
fn control_c_ends_a_run_as_an_interrupt_does() {
    let interrupt = Interrupt::on_ctrl_c().unwrap();
    refused(
        Interrupt::on_ctrl_c().map(|_| unreachable!()),
        &["ctrl_c", "cannot be handled"],
    );
    let process = std::process::id().to_string();
    interrupted("ctrl-c", &interrupt, move || {
        std::thread::sleep(std::time::Duration::from_millis(30));
        let kill = std::process::Command::new("kill")
            .args(["-INT", &process])
            .status();
        assert!(kill.unwrap().success());
    });
}

#[test]
fn a_second_program_needs_no_more_than_the_prelude() {
    let input = Input::named("x", 1);
    let hidden = Dense::new(8)
        .activation(Tanh)
        .kernel_regularizer(Regularizer::L2(1e-3))
        .kernel_constraint(Constraint::max_norm(2.0))
        .on(&input);
    let line = Dense::new(1).named("line").on(&hidden);
    let objective = Objective::new("line", MeanSquaredError);
    let data = self::line(32);
    let objectives = || [objective.clone()];
    let run = |compile: &dyn Fn(Functional) -> Result<Model>| -> Result<History> {
        let mut model = compile(Functional::new([&input], [&line]))?;
        let plateau = ReduceOnPlateau::new("loss");
        let stopping = EarlyStopping::new("loss", 5);
        model.fit(&data, fit(3).callback(stopping).callback(plateau))
    };
    let compiles: [&dyn Fn(Functional) -> Result<Model>; 2] = [
        &|network| network.compile_with(&Device::cpu(), objectives(), AdamW::new(0.01)),
        &|network| network.compile_with(&Device::cpu(), objectives(), RmsProp::new(0.01)),
    ];
    for compile in compiles {
        let history = run(compile).unwrap();
        assert!(history.loss()[2] < history.loss()[0]);
    }
}
