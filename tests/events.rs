//! What the library tells a subscriber of `tracing`; it prints nothing itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{alone, device, devices};
use kiln::prelude::*;
use kiln::train::{Checkpoints, Every, Lambda, Recovery, RunState};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Keeps every event of the library as a line: level, message, fields.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &match field.name() {
            "message" => format!(" {value:?}"),
            name => format!(" {name}={value:?}"),
        };
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("kiln") && *metadata.level() <= Level::DEBUG
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

/// What `work` makes the library say.
fn told(work: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), work);
    std::mem::take(&mut lines.0.lock().unwrap())
}

#[track_caller]
fn holds(lines: &[String], words: &[&str]) {
    let found = lines
        .iter()
        .any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "no line of {lines:#?} says {words:?}");
}

#[test]
fn an_opened_plan_is_told_with_its_device_and_bytes() {
    let lines = told(|| {
        let model = Sequential::new(2).dense(3, Relu).dense(1, Linear);
        let mut model = model
            .compile_on(&Device::cpu(), MeanSquaredError, Adam::default(), [])
            .unwrap();
        model.predict(&[1.0, 2.0]).unwrap();
    });
    holds(&lines, &["DEBUG", "plan opened", "device=cpu", "bytes="]);
}

#[test]
fn the_device_chosen_or_why_there_is_none_is_told() {
    let lines = told(|| drop(Device::best().unwrap()));
    let chosen = lines.iter().any(|line| line.contains("device chosen"));
    let processor = lines
        .iter()
        .any(|line| line.contains("the processor computes"));
    assert!(chosen != processor, "{lines:#?}");
}

#[test]
fn a_tuning_table_of_another_driver_is_told_to_be_ignored() {
    let file = std::env::temp_dir().join(format!("kiln-events-{}.txt", std::process::id()));
    std::fs::write(&file, "kiln tuning 1\nadapter another\ndriver another\n").unwrap();
    let lines = told(|| drop(Device::cpu().with_tuning(&file).unwrap()));
    holds(&lines, &["WARN", "tuning table", "adapter=another"]);
    std::fs::remove_file(file).unwrap();
}

/// 64 rows, a network that is more than one kernel, and how it trains.
fn training(device: &Device) -> (Dataset, Model, Fit<'static>) {
    let feature = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
    let features: Vec<f32> = (0..64 * 3).map(feature).collect();
    let values = features
        .chunks(3)
        .map(|row| row[0] * row[1] - row[2])
        .collect();
    let targets = Targets::Values { values, columns: 1 };
    let data = Dataset::new(features, 3, targets).unwrap();
    let model = Sequential::new(3).dense(40, Tanh).dense(1, Linear).seed(3);
    let model = model
        .compile_on(device, MeanSquaredError, Adam::new(0.01), [])
        .unwrap();
    (data, model, Fit::epochs(40).batch_size(8).silent())
}

fn bits(model: &mut Model) -> Vec<u32> {
    let weights = model.weights().unwrap();
    let values = weights.iter().flat_map(|weights| &weights.values);
    values.map(|value| value.to_bits()).collect()
}

#[test]
fn a_checkpoint_written_and_gone_on_from_is_told_with_its_path() {
    let folder = std::env::temp_dir().join(format!("kiln-events-{}", std::process::id()));
    let lines = told(|| {
        let checkpoints = Checkpoints::in_folder(&folder).every(Every::Steps(100));
        let (data, mut model, fit) = training(&Device::cpu());
        model.fit(&data, fit.checkpoints(checkpoints)).unwrap();
        let (data, mut model, fit) = training(&Device::cpu());
        model.fit(&data, fit.resume_from(&folder)).unwrap();
    });
    holds(&lines, &["INFO", "checkpoint written", "path=", "step=100"]);
    holds(&lines, &["INFO", "run resumed", "path=", "step=320"]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn that_a_checkpoint_of_before_does_not_say_into_how_many_parts_batches_were_split_is_told() {
    let mut last = None;
    let take = |state: &RunState| {
        last = Some(state.clone());
        Ok(())
    };
    let (data, mut model, fit) = training(&Device::cpu());
    let fit = fit.micro_batches(2).states(Every::Epochs(1000), take);
    model.fit(&data, fit.max_steps(3)).unwrap();
    let mut state = last.unwrap();
    state.order.micro = 1;
    let lines = told(|| {
        let (data, mut model, fit) = training(&Device::cpu());
        model
            .fit(&data, fit.micro_batches(2).resume(state))
            .unwrap();
    });
    holds(&lines, &["WARN", "parts=2", "not checked"]);
}

#[test]
fn a_device_lost_and_made_again_and_the_step_that_training_goes_on_from_are_told() {
    // Another test on the device would make it again, and be told so.
    let _alone = alone();
    let Some(device) = device().filter(|device| device.adapter_summary().is_some()) else {
        return;
    };
    let lines = told(|| {
        let (data, mut model, fit) = training(device);
        let mut whole = true;
        let lose = Lambda::new(move |moment| {
            if std::mem::take(&mut whole) {
                moment.model.device().destroy();
            }
            Ok(())
        });
        model.fit(&data, fit.callback(lose)).unwrap();
    });
    holds(
        &lines,
        &["WARN", "device lost in training", "step=", "reason="],
    );
    holds(&lines, &["WARN", "device lost", "reason="]);
    holds(&lines, &["INFO", "device made again", "generation="]);
    holds(&lines, &["INFO", "training goes on", "step=0"]);
}

#[test]
fn states_are_kept_while_later_steps_run_and_change_no_bit() {
    let _alone = alone();
    for device in devices() {
        // Long enough for many submissions.
        let fit = || Fit::epochs(1000).batch_size(8).silent();
        let (data, mut undisturbed, _) = training(&device);
        undisturbed.fit(&data, fit()).unwrap();
        let (data, mut model, _) = training(&device);
        let recovery = Recovery {
            every: Some(Duration::ZERO),
            ..Recovery::default()
        };
        let fit = fit().recovery(recovery);
        let lines = told(|| drop(model.fit(&data, fit).unwrap()));
        assert_eq!(bits(&mut model), bits(&mut undisturbed), "{device}");
        if device.adapter_summary().is_none() {
            continue;
        }
        let kept = lines.iter().filter(|line| line.contains("state kept"));
        let after = kept.clone().filter(|line| line.contains("copied=true"));
        let (kept, after) = (kept.count(), after.count());
        // The first is waited for.
        assert!(kept > 2 && after == kept - 1, "{lines:#?}");
    }
}

#[test]
fn a_set_larger_than_the_largest_bindings_comes_in_parts_and_that_is_told() {
    let _alone = alone();
    let Some(device) = device().filter(|device| device.adapter_summary().is_some()) else {
        return;
    };
    let small = device.clone().with_target(|target| kiln::plan::Target {
        max_binding_bytes: 1 << 17,
        ..target
    });
    // 720 000 bytes, where four bindings hold 512 KiB.
    let rows = 60_000;
    let features: Vec<f32> = (0..rows * 3).map(|i| (i % 97) as f32 / 97.0).collect();
    let values = features.chunks(3).map(|row| row[0]).collect();
    let data = Dataset::new(features, 3, Targets::Values { values, columns: 1 }).unwrap();
    let fit = || Fit::epochs(1).batch_size(500).silent();
    let (_, mut divided, _) = training(&small);
    let lines = told(|| drop(divided.fit(&data, fit()).unwrap()));
    holds(&lines, &["INFO", "they come in parts", "rows=60000"]);
    // To the bits of those that come in parts because they are asked to.
    let (_, mut asked, _) = training(device);
    let lines = told(|| drop(asked.fit(&data, fit().chunk_rows(7000)).unwrap()));
    assert!(!lines.iter().any(|line| line.contains("they come in parts")));
    assert_eq!(bits(&mut divided), bits(&mut asked));
}
