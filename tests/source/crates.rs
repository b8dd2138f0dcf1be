//! What a user of the crate compiles: few other crates.

use std::collections::BTreeSet;
use std::process::Command;

/// With default features, on Linux, this crate and what only builds it among them. An addition that goes beyond is to be
/// weighed against what every user's first build costs, or to go behind a feature.
const MOST: usize = 140;

#[test]
fn a_users_build_takes_few_crates() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["tree", "--package", "kiln", "--locked", "--offline"]);
    cargo.args(["--edges", "normal,build", "--prefix", "none", "--no-dedupe"]);
    let output = cargo.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");

    let tree = String::from_utf8(output.stdout).unwrap();
    let crates: BTreeSet<&str> = tree.lines().collect();
    println!("{} crates", crates.len());
    let all: Vec<&str> = crates.iter().copied().collect();
    assert!(
        all.iter().any(|name| name.starts_with("wgpu-core v")),
        "{all:?}"
    );
    assert!(
        all.iter().all(|name| !name.starts_with("stats_alloc v")),
        "{all:?}"
    );
    assert!(
        all.len() <= MOST,
        "{} crates, more than {MOST}:\n{}",
        all.len(),
        all.join("\n")
    );
}
