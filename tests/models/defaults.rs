//! The table of defaults in `docs/defaults.md` is what the code has; `KILN_WRITE_DOCS=1` writes it anew.

use std::fmt::Write;

use kiln::nn::{ActivityRegularization, Constraint, GroupNormalization};
use kiln::optim::{AdamW, Common, LossScale, OptimizerConfig, Schedule};
use kiln::prelude::*;
use kiln::train::{Checkpoints, Loss, StopAfter, StopAt, TensorBoard};
use serde::Serialize;
use serde_json::Value;

use crate::common::known;
use crate::documented;

/// Settings as a file has them: numbers in their shortest form.
fn settings(of: &impl Serialize) -> Value {
    serde_json::from_str(&serde_json::to_string(of).unwrap()).unwrap()
}

/// The same with numbers that were f32 in their shortest form again.
fn short(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => settings(&(number.as_f64().unwrap() as f32)),
        Value::Object(map) => {
            let short = map.into_iter().map(|(name, value)| (name, short(value)));
            Value::Object(short.collect())
        }
        other => other,
    }
}

/// One line: names and values; of the settings that every optimizer has, those that differ from the common defaults.
fn listed(value: &Value) -> String {
    let Value::Object(map) = value else {
        return value.to_string();
    };
    let defaults = settings(&Common::default());
    let own = map.iter().filter(|(name, _)| *name != "common");
    let common = map.get("common").and_then(Value::as_object);
    let changed = common.into_iter().flatten();
    let changed = changed.filter(|(name, value)| defaults[name.as_str()] != **value);
    let settings = own.chain(changed).map(|(name, value)| match value {
        Value::Object(map) if map.len() == 1 && map.contains_key("constant") => {
            format!("{name} {}", map["constant"])
        }
        value => format!("{name} {value}"),
    });
    settings.collect::<Vec<_>>().join(", ")
}

fn named(config: &OptimizerConfig) -> (String, Value) {
    let Value::Object(map) = settings(config) else {
        panic!("settings are an object");
    };
    let (name, value) = map.into_iter().next().unwrap();
    (name, value)
}

fn optimizers() -> String {
    let mut text = String::from("| optimizer | settings |\n|---|---|\n");
    for config in OptimizerConfig::defaults() {
        let (name, value) = named(&config);
        writeln!(text, "| {name} | {} |", listed(&value)).unwrap();
    }
    let decay = AdamW::new(0.001).common.weight_decay;
    writeln!(text, "| AdamW | as adam, weight_decay {decay} |").unwrap();
    let common = listed(&settings(&Common::default()));
    writeln!(text, "| every one | {common} |").unwrap();
    text
}

fn schedules() -> String {
    let mut text = String::from("| schedule | settings |\n|---|---|\n");
    for (call, schedule) in [
        (
            "exponential_decay(0.1, 1000, 0.9)",
            Schedule::exponential_decay(0.1, 1000, 0.9),
        ),
        (
            "inverse_time_decay(0.1, 1000, 0.5)",
            Schedule::inverse_time_decay(0.1, 1000, 0.5),
        ),
        (
            "polynomial_decay(0.1, 1000)",
            Schedule::polynomial_decay(0.1, 1000),
        ),
        ("cosine_decay(0.1, 1000)", Schedule::cosine_decay(0.1, 1000)),
        (
            "cosine_decay_restarts(0.1, 1000)",
            Schedule::cosine_decay_restarts(0.1, 1000),
        ),
        ("one_cycle(0.1, 1000)", Schedule::one_cycle(0.1, 1000)),
    ] {
        let Value::Object(map) = settings(&schedule) else {
            panic!("settings are an object");
        };
        let value = map.into_iter().next().unwrap().1;
        writeln!(text, "| {call} | {} |", listed(&value)).unwrap();
    }
    text
}

fn layers() -> String {
    let of = |layer: &dyn Layer| layer.config();
    let all: [(&str, Option<kiln::nn::Config>); 18] = [
        ("Dense::new(1)", of(&Dense::new(1))),
        ("PRelu::default()", of(&PRelu::default())),
        (
            "BatchNormalization::default()",
            of(&BatchNormalization::default()),
        ),
        (
            "LayerNormalization::default()",
            of(&LayerNormalization::default()),
        ),
        (
            "GroupNormalization::new(2)",
            of(&GroupNormalization::new(2)),
        ),
        (
            "RMSNormalization::default()",
            of(&RMSNormalization::default()),
        ),
        (
            "UnitNormalization::default()",
            of(&UnitNormalization::default()),
        ),
        ("Dropout::new(0.5)", of(&Dropout::new(0.5))),
        ("AlphaDropout::new(0.5)", of(&AlphaDropout::new(0.5))),
        ("GaussianDropout::new(0.5)", of(&GaussianDropout::new(0.5))),
        ("GaussianNoise::new(0.1)", of(&GaussianNoise::new(0.1))),
        (
            "ActivityRegularization::default()",
            of(&ActivityRegularization::default()),
        ),
        ("Rescaling::new(2.0)", of(&Rescaling::new(2.0))),
        (
            "CategoryEncoding::one_hot(9)",
            of(&CategoryEncoding::one_hot(9)),
        ),
        ("Concatenate::default()", of(&Concatenate::default())),
        ("Dot::new(1)", of(&Dot::new(1))),
        ("RepeatVector::new(2)", of(&RepeatVector::new(2))),
        ("Softmax::default()", of(&kiln::nn::Softmax::default())),
    ];
    let mut text = String::from("| layer | settings |\n|---|---|\n");
    for (call, config) in all {
        let config = config.unwrap_or_else(|| panic!("{call} has settings"));
        writeln!(text, "| {call} | {} |", listed(&short(settings(&config)))).unwrap();
    }
    text
}

fn losses() -> String {
    let mut text = String::from("| loss | settings |\n|---|---|\n");
    for loss in Loss::all() {
        let own = match &settings(&loss)["loss"] {
            Value::Object(map) => map.values().map(listed).collect::<Vec<_>>().join(", "),
            _ => String::new(),
        };
        writeln!(text, "| {} | {own} |", loss.name()).unwrap();
    }
    let mut spec = settings(&MeanSquaredError);
    if let Value::Object(map) = &mut spec {
        map.remove("loss");
    }
    writeln!(text, "| every one | {} |", listed(&spec)).unwrap();
    text
}

/// A line for each of a kind that has settings, by name: those of a variant, without the variant's name.
fn variants<T: Serialize>(
    kind: &str,
    all: impl IntoIterator<Item = (impl std::fmt::Display, T)>,
    least: usize,
) -> String {
    let mut text = format!("| {kind} | settings |\n|---|---|\n");
    let mut lines = 0;
    for (name, value) in all {
        let Value::Object(map) = settings(&value) else {
            continue;
        };
        let own: Vec<String> = map.values().map(listed).collect();
        writeln!(text, "| {name} | {} |", own.join(", ")).unwrap();
        lines += 1;
    }
    assert!(lines >= least, "{lines} of {kind}");
    text
}

fn metrics() -> String {
    let point = kiln::train::Point::from(0.5);
    let metrics = Metric::all();
    let named = metrics.iter().map(|metric| (metric.name(), metric));
    let points = [
        Metric::SensitivityAtSpecificity(point),
        Metric::SpecificityAtSensitivity(point),
        Metric::PrecisionAtRecall(point),
        Metric::RecallAtPrecision(point),
    ];
    let named = named.chain(points.iter().map(|metric| (metric.name(), metric)));
    variants("metric", named, 20)
}

fn activations() -> String {
    variants("activation", known(Activation::from_name), 6)
}

/// The settings of what only tells them in its debug form, without what it keeps as it goes.
fn debugged(of: &impl std::fmt::Debug) -> String {
    const KEPT: [&str; 18] = [
        "begun",
        "folder",
        "disk",
        "waited",
        "best",
        "best_epoch",
        "cooling",
        "written",
        "train",
        "validation",
        "callbacks",
        "hooks",
        "interrupt",
        "resume",
        "one_batch",
        "checkpoints",
        "path",
        "folder",
    ];
    // What a monitor learns in a run is no setting of it either.
    let text = format!("{of:?}").replace(", best: None, rises: false }", " }");
    let inner = text.split_once(" { ").map_or("", |(_, rest)| rest);
    let inner = inner.strip_suffix(" }").unwrap_or(inner);
    let (mut depth, mut fields) = (0, vec![String::new()]);
    for letter in inner.chars() {
        match letter {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                fields.push(String::new());
                continue;
            }
            _ => {}
        }
        fields.last_mut().unwrap().push(letter);
    }
    let fields = fields
        .iter()
        .filter_map(|field| field.trim().split_once(": "));
    let own = fields.filter(|(name, _)| !KEPT.contains(name));
    let told = own.map(|(name, value)| format!("{name} {}", value.replace('|', "\\|")));
    told.collect::<Vec<_>>().join(", ")
}

fn training() -> String {
    let mut text = String::from("| what | settings |\n|---|---|\n");
    let rows = [
        ("Fit::epochs(1)", debugged(&Fit::epochs(1))),
        (
            "EarlyStopping::new(\"val_loss\", 1)",
            debugged(&EarlyStopping::new("val_loss", 1)),
        ),
        (
            "ReduceOnPlateau::new(\"val_loss\")",
            debugged(&ReduceOnPlateau::new("val_loss")),
        ),
        (
            "ModelCheckpoint::new(path)",
            debugged(&ModelCheckpoint::new("path")),
        ),
        (
            "TensorBoard::new(folder)",
            debugged(&TensorBoard::new("folder")),
        ),
        (
            "Objective::new(\"y\", MeanSquaredError)",
            debugged(&Objective::new("y", MeanSquaredError)),
        ),
        ("Options::default()", debugged(&kiln::Options::default())),
        (
            "Checkpoints::in_folder(folder)",
            debugged(&Checkpoints::in_folder("folder")),
        ),
        ("LossScale::default()", debugged(&LossScale::default())),
        ("Csv::new()", debugged(&Csv::new())),
        (
            "StopAfter::seconds(1.0)",
            debugged(&StopAfter::seconds(1.0)),
        ),
        (
            "StopAt::new(\"loss\", 0.1)",
            debugged(&StopAt::new("loss", 0.1)),
        ),
    ];
    for (call, settings) in rows {
        assert!(!settings.is_empty(), "{call}");
        writeln!(text, "| {call} | {settings} |").unwrap();
    }
    text
}

/// Sections of the file, each between two lines of its name, and what stands there.
fn sections() -> [(&'static str, String); 10] {
    [
        ("activations", activations()),
        (
            "initializers",
            variants("initializer", known(Initializer::from_name), 8),
        ),
        (
            "regularizers",
            variants("regularizer", known(Regularizer::from_name), 4),
        ),
        (
            "constraints",
            variants("constraint", known(Constraint::from_name), 3),
        ),
        ("optimizers", optimizers()),
        ("schedules", schedules()),
        ("layers", layers()),
        ("losses", losses()),
        ("metrics", metrics()),
        ("training", training()),
    ]
}

#[test]
fn the_table_of_defaults_is_what_the_code_has() {
    documented::holds("docs/defaults.md", sections());
}
