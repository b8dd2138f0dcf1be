//! What the library tells a subscriber of `tracing`; it prints nothing itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use kiln::prelude::*;
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
