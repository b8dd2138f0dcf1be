//! The guide's table of lines: what it says of its programs is so, and each is about as short as in Keras.

use std::collections::BTreeMap;

/// How many times the lines of a Keras program ours may have.
const MAX_RATIO: f64 = 1.3;

/// The lines of the first program under each heading of the third level, without blank ones.
fn programs(guide: &str) -> BTreeMap<&str, usize> {
    let sections = guide.split("\n### ").skip(1);
    let sections = sections.map(|section| section.split("\n## ").next().unwrap());
    let lines = |section: &str| {
        let program = section.split("```rust\n").nth(1)?;
        let program = program.split("\n```").next()?;
        Some(
            program
                .lines()
                .filter(|line| !line.trim().is_empty())
                .count(),
        )
    };
    let named = sections.map(|section| (section.lines().next().unwrap(), lines(section)));
    named
        .map(|(name, lines)| {
            (
                name,
                lines.unwrap_or_else(|| panic!("{name} has no program")),
            )
        })
        .collect()
}

#[test]
fn tutorials_have_the_lines_that_the_guide_says_and_hardly_more_than_in_keras() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide.md");
    let guide = std::fs::read_to_string(path).unwrap();
    let programs = programs(&guide);
    let rows = guide.lines().filter(|line| line.starts_with("| ["));
    let mut told = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = cells[1].trim_start_matches('[').split(']').next().unwrap();
        let [here, keras]: [usize; 2] = [2, 3].map(|cell| cells[cell].parse().unwrap());
        let ratio = here as f64 / keras as f64;
        assert!(ratio <= MAX_RATIO, "{name}: {here} lines for {keras}");
        told.insert(name, here);
    }
    assert_eq!(told, programs);
    assert_eq!(told.len(), 10);
}
