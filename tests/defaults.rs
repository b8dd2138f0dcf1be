//! The table of defaults in `docs/defaults.md` is what the code has; `KILN_WRITE_DOCS=1` writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write;
use std::path::PathBuf;

use kiln::optim::{AdamW, Common, OptimizerConfig, Schedule};
use serde::Serialize;
use serde_json::Value;

/// Settings as a file has them: numbers in their shortest form.
fn settings(of: &impl Serialize) -> Value {
    serde_json::from_str(&serde_json::to_string(of).unwrap()).unwrap()
}

/// One line: names and values, those that are only there when they are set left out.
fn listed(value: &Value) -> String {
    let Value::Object(map) = value else {
        return value.to_string();
    };
    let settings = map.iter().filter(|(name, _)| *name != "common");
    let settings = settings.map(|(name, value)| match value {
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

/// Sections of the file, each between two lines of its name, and what stands there.
fn sections() -> [(&'static str, String); 2] {
    [("optimizers", optimizers()), ("schedules", schedules())]
}

#[test]
fn the_table_of_defaults_is_what_the_code_has() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/defaults.md");
    let mut file = std::fs::read_to_string(&path).unwrap();
    let write = std::env::var_os("KILN_WRITE_DOCS").is_some();
    for (name, text) in sections() {
        let (begin, end) = (
            format!("<!-- {name} -->\n"),
            format!("<!-- end of {name} -->"),
        );
        let from = file.find(&begin).expect("the section begins") + begin.len();
        let to = file.find(&end).expect("the section ends");
        if write {
            file.replace_range(from..to, &format!("\n{text}\n"));
        } else {
            assert_eq!(
                file[from..to].trim(),
                text.trim(),
                "docs/defaults.md, {name}"
            );
        }
    }
    if write {
        std::fs::write(&path, file).unwrap();
    }
}
