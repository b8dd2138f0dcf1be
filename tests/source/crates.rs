//! What a user of the crate compiles: few other crates.

use std::collections::BTreeSet;
use std::process::Command;

/// With default features, on Linux, this crate and what only builds it among them. An addition that goes beyond is to be
/// weighed against what every user's first build costs, or to go behind a feature.
const MAX_CRATES: usize = 140;

/// The same without a GPU: a game or a server that only computes on its processor.
const MAX_CRATES_WITHOUT_GPU: usize = 50;

/// The crates that a build with these arguments takes.
fn crates(arguments: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["tree", "--package", "kiln", "--locked", "--offline"]);
    cargo.args(["--edges", "normal,build", "--prefix", "none", "--no-dedupe"]);
    let output = cargo.args(arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let tree = String::from_utf8(output.stdout).unwrap();
    let crates: BTreeSet<String> = tree.lines().map(str::to_string).collect();
    println!("{} crates with {arguments:?}", crates.len());
    crates
}

fn has(crates: &BTreeSet<String>, name: &str) -> bool {
    let start = format!("{name} v");
    crates.iter().any(|known| known.starts_with(&start))
}

fn listed(crates: &BTreeSet<String>) -> String {
    let names: Vec<&str> = crates.iter().map(String::as_str).collect();
    names.join("\n")
}

#[test]
fn a_users_build_takes_few_crates() {
    let all = crates(&[]);
    assert!(has(&all, "wgpu-core"), "{}", listed(&all));
    assert!(!has(&all, "stats_alloc"), "{}", listed(&all));
    assert!(all.len() <= MAX_CRATES, "{}\n{}", all.len(), listed(&all));
}

#[test]
fn a_build_without_a_gpu_takes_fewer_than_half() {
    let few = crates(&["--no-default-features", "--features", "parallel"]);
    assert!(has(&few, "rayon"), "{}", listed(&few));
    for absent in ["wgpu", "naga", "zip", "csv", "indicatif"] {
        assert!(!has(&few, absent), "{absent}\n{}", listed(&few));
    }
    assert!(
        few.len() < MAX_CRATES_WITHOUT_GPU,
        "{}\n{}",
        few.len(),
        listed(&few)
    );
}
