//! The names in `docs/catalogue.md` are those that the crate's tables have.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kiln::nn::built_in_classes;
use kiln::op;
use kiln::optim::OptimizerConfig;
use kiln::prelude::*;

use crate::common::known;
use crate::documented;

/// Names as code, in the order of their table.
fn listed<S: AsRef<str>>(names: impl IntoIterator<Item = S>, least: usize) -> String {
    let names: Vec<String> = names
        .into_iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    assert!(names.len() >= least, "{names:?}");
    let different: BTreeSet<&String> = names.iter().collect();
    assert_eq!(different.len(), names.len(), "{names:?}");
    // Lines of at most 120 characters.
    let mut text = String::new();
    let mut line = 0;
    for (at, name) in names.iter().enumerate() {
        let end = if at + 1 < names.len() { "," } else { "" };
        if line > 0 && line + name.len() + 2 > 118 {
            text.push('\n');
            line = 0;
        } else if line > 0 {
            text.push(' ');
        }
        text.push_str(name);
        text.push_str(end);
        line += name.len() + 2;
    }
    text + "\n"
}

/// What a look-up knows: each is another thing, and found by the names of Keras' function and class alike.
fn names<T: PartialEq + std::fmt::Debug>(from_name: fn(&str) -> Result<T>) -> Vec<String> {
    let all = known(from_name);
    for (at, (name, one)) in all.iter().enumerate() {
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        let class: String = name.split('_').map(capital).collect();
        assert_eq!(from_name(&class).unwrap(), *one, "{class}");
        assert!(all[..at].iter().all(|(_, other)| other != one), "{name}");
    }
    let unknown = from_name("max").err().unwrap().to_string();
    assert!(unknown.contains("`max`"), "{unknown}");
    assert!(all.iter().all(|(name, _)| unknown.contains(name)));
    all.into_iter().map(|(name, _)| name).collect()
}

/// The first word of an optimizer's entry in a model file.
fn name_of(config: &OptimizerConfig) -> String {
    let value = serde_json::to_value(config).unwrap();
    value.as_object().unwrap().keys().next().unwrap().clone()
}

/// All text of the Rust files in a folder of `src`.
fn source(folder: &str) -> String {
    let mut text = String::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = open.pop() {
        let mut entries: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

/// Types that are callbacks, by the lines that say so: a program names one in its code, and no table does.
fn callbacks() -> BTreeSet<String> {
    let text = source("src/train");
    let lines = text.lines().filter(|line| line.starts_with("impl"));
    let types = lines.filter_map(|line| line.split_once(" Callback for "));
    let names = types.map(|(_, rest)| rest.split(['<', ' ']).next().unwrap().to_string());
    names.filter(|name| !name.starts_with('&')).collect()
}

/// Functions that make a schedule, by the lines that begin them.
fn schedules() -> Vec<String> {
    let text = source("src/schedule");
    let functions = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub fn "));
    let schedules =
        functions.filter(|line| line.contains("-> Self") || line.contains("-> Schedule"));
    schedules
        .map(|line| line.split('(').next().unwrap().to_string())
        .collect()
}

#[test]
fn the_catalogue_lists_what_the_code_has() {
    let optimizers = OptimizerConfig::defaults();
    let ops: BTreeSet<&str> = op::all().iter().map(|entry| entry.name).collect();
    documented::holds(
        "docs/catalogue.md",
        [
            ("layers", listed(built_in_classes(), 25)),
            ("activations", listed(names(Activation::from_name), 25)),
            (
                "losses",
                listed(Loss::all().map(|loss| loss.name().to_string()), 20),
            ),
            (
                "metrics",
                listed(Metric::all().iter().map(|metric| metric.name()), 30),
            ),
            ("optimizers", listed(optimizers.iter().map(name_of), 15)),
            ("schedules", listed(schedules(), 8)),
            ("initializers", listed(names(Initializer::from_name), 10)),
            ("regularizers", listed(names(Regularizer::from_name), 4)),
            ("constraints", listed(names(Constraint::from_name), 4)),
            ("callbacks", listed(callbacks(), 10)),
            ("ops", listed(ops, 40)),
        ],
    );
}
