//! The floors of the house: a room imports only from its own floor and those below, and files form no large circles.

use std::collections::{BTreeMap, BTreeSet};

use crate::scan::{Named, Source, sources};

/// The rooms of `src` from the ground up. Rooms of one floor may import each other, but not in a circle; only the nodes of
/// the graph and the trait that nodes hold know each other.
const FLOORS: [&[&str]; 9] = [
    &[
        "data", "edge", "error", "formats", "identity", "lookup", "number", "range", "reserve",
        "schedule", "shape", "target",
    ],
    &["autodiff", "contract", "graph", "tensor"],
    &["op"],
    &["plan"],
    &["nn", "optim"],
    &["cpu", "gpu"],
    &["check", "device", "session"],
    &["train"],
    &["explain", "onnx"],
];

/// The floor whose rooms are one circle by what they are.
const GRAPH_FLOOR: usize = 1;

/// The most files that may import each other in a circle.
const MAX_CIRCLE: usize = 4;

/// Arrows up that are known and on their way out: the file that imports, and the room that it imports from. This list only
/// ever gets shorter.
const KNOWN_ARROWS: &[(&str, &str)] = &[];

/// Circles of more files that are known and on their way out, by the start of their files' paths.
const KNOWN_CIRCLES: &[&[&str]] = &[];

/// One file's use of what another defines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    from: String,
    /// The room that is named.
    room: String,
    /// The file in which that is defined, with re-exports followed.
    to: String,
    line: usize,
    path: String,
    reexport: bool,
}

/// The files by their modules, and what each imports.
struct House {
    files: BTreeMap<Vec<String>, String>,
    named: BTreeMap<Vec<String>, Vec<Named>>,
}

impl House {
    fn new(sources: &[Source]) -> Self {
        let files = |source: &Source| (source.module.clone(), source.path.clone());
        let named = |source: &Source| (source.module.clone(), source.named());
        House {
            files: sources.iter().map(files).collect(),
            named: sources.iter().map(named).collect(),
        }
    }

    /// A path as it is written in a module, from the root of the crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Vec<String> {
        let mut rest = path;
        let mut base = module.to_vec();
        match rest[0].as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            _ => {}
        }
        while rest.first().is_some_and(|part| part == "super") {
            base.pop();
            rest = &rest[1..];
        }
        base.extend_from_slice(rest);
        base
    }

    /// The module that defines what a path from the root names: re-exports are followed.
    fn defining(&self, path: &[String], depth: usize) -> Vec<String> {
        let modules = (0..=path.len()).rev();
        let len = modules
            .into_iter()
            .find(|&len| self.files.contains_key(&path[..len]))
            .unwrap_or(0);
        let (module, rest) = path.split_at(len);
        let Some(name) = rest.first().filter(|_| depth < 8) else {
            return module.to_vec();
        };
        let imports = self.named.get(module).map_or(&[][..], Vec::as_slice);
        let import = imports.iter().find(|named| named.name == *name);
        match import {
            Some(import) => {
                let mut whole = self.absolute(module, &import.path);
                whole.extend_from_slice(&rest[1..]);
                self.defining(&whole, depth + 1)
            }
            None => module.to_vec(),
        }
    }

    fn arrows(&self) -> Vec<Arrow> {
        let mut arrows = Vec::new();
        // The root re-exports what users see, and imports nothing for itself.
        for (module, named) in self.named.iter().filter(|(module, _)| !module.is_empty()) {
            for named in named {
                let path = self.absolute(module, &named.path);
                let to = self.defining(&path, 0);
                let is_room = |room: &&String| self.files.contains_key(&vec![(*room).clone()]);
                let Some(room) = path.first().filter(is_room).or(to.first()) else {
                    continue;
                };
                let arrow = Arrow {
                    from: self.files[module].clone(),
                    room: room.clone(),
                    to: self.files[&to].clone(),
                    line: named.line,
                    path: named.path.join("::"),
                    reexport: named.reexport,
                };
                if arrow.from != arrow.to {
                    arrows.push(arrow);
                }
            }
        }
        arrows
    }
}

/// The room in which a file lies.
fn room_of(file: &str) -> &str {
    let inner = file.trim_start_matches("src/");
    let end = inner.find(['/', '.']).unwrap_or(inner.len());
    &inner[..end]
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

/// Arrows that lead up: to a room on a higher floor, by its name or by where what is named lies.
fn up(arrows: &[Arrow]) -> Vec<&Arrow> {
    let rises = |arrow: &&Arrow| {
        let own = floor_of(room_of(&arrow.from));
        [arrow.room.as_str(), room_of(&arrow.to)]
            .iter()
            .any(|room| floor_of(room) > own)
    };
    arrows.iter().filter(rises).collect()
}

/// Sets of nodes in which each reaches each other, of two and more.
fn circles(arrows: &BTreeSet<(&str, &str)>) -> Vec<Vec<String>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in arrows {
        next.entry(from).or_default().push(to);
    }
    let reached = |start: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(node) = open.pop() {
            for to in next.get(node).map_or(&[][..], Vec::as_slice) {
                if seen.insert(to.to_string()) {
                    open.push(to);
                }
            }
        }
        seen
    };
    let all: BTreeMap<&str, BTreeSet<String>> = next.keys().map(|n| (*n, reached(n))).collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (node, seen) in &all {
        let back = |other: &&String| all.get(other.as_str()).is_some_and(|s| s.contains(*node));
        if seen.contains(*node) {
            found.insert(seen.iter().filter(back).cloned().collect());
        }
    }
    found
        .into_iter()
        .filter(|circle| circle.len() > 1)
        .collect()
}

/// Circles among files: a re-export is no use.
fn file_circles(arrows: &[Arrow]) -> Vec<Vec<String>> {
    let used = arrows.iter().filter(|arrow| !arrow.reexport);
    circles(
        &used
            .map(|arrow| (arrow.from.as_str(), arrow.to.as_str()))
            .collect(),
    )
}

#[test]
fn no_arrow_leads_up() {
    let sources = sources();
    let arrows = House::new(&sources).arrows();
    let rooms: BTreeSet<&str> = sources.iter().map(|source| room_of(&source.path)).collect();
    for room in rooms.iter().filter(|room| **room != "lib") {
        assert!(
            floor_of(room).is_some(),
            "src/{room} has no floor: give it one in FLOORS"
        );
    }
    let wrong: Vec<String> = up(&arrows)
        .into_iter()
        .filter(|arrow| !KNOWN_ARROWS.contains(&(arrow.from.as_str(), arrow.room.as_str())))
        .map(|arrow| {
            format!(
                "{}:{} imports {} from {}",
                arrow.from, arrow.line, arrow.path, arrow.to
            )
        })
        .collect();
    println!(
        "{} files, {} arrows, {} up",
        sources.len(),
        arrows.len(),
        wrong.len()
    );
    assert!(
        sources.len() > 200 && arrows.len() > 1000,
        "the scan has not seen the house"
    );
    assert!(wrong.is_empty(), "arrows up:\n{}", wrong.join("\n"));
}

#[test]
fn no_rooms_of_a_floor_form_a_circle() {
    let arrows = House::new(&sources()).arrows();
    let between = arrows
        .iter()
        .map(|arrow| (room_of(&arrow.from), room_of(&arrow.to)));
    let level = |&(from, to): &(&str, &str)| {
        floor_of(from) == floor_of(to) && floor_of(from) != Some(GRAPH_FLOOR)
    };
    let found = circles(&between.filter(level).collect());
    assert!(found.is_empty(), "rooms that import each other: {found:?}");
}

#[test]
fn files_form_no_large_circle() {
    let arrows = House::new(&sources()).arrows();
    let known = |circle: &&Vec<String>| {
        KNOWN_CIRCLES.iter().any(|starts| {
            circle
                .iter()
                .all(|file| starts.iter().any(|start| file.starts_with(start)))
        })
    };
    let found = file_circles(&arrows);
    let largest = found.iter().map(Vec::len).max().unwrap_or(0);
    println!("{} circles, the largest of {largest} files", found.len());
    let large = found.iter().filter(|circle| circle.len() > MAX_CIRCLE);
    let wrong: Vec<&Vec<String>> = large.filter(|circle| !known(circle)).collect();
    let describe = |circle: &&Vec<String>| {
        let inner = |arrow: &&Arrow| {
            !arrow.reexport && circle.contains(&arrow.from) && circle.contains(&arrow.to)
        };
        let lines: BTreeSet<String> = arrows
            .iter()
            .filter(inner)
            .map(|arrow| format!("  {} -> {}", arrow.from, arrow.to))
            .collect();
        format!(
            "{} files:\n{}",
            circle.len(),
            Vec::from_iter(lines).join("\n")
        )
    };
    let told: Vec<String> = wrong.iter().map(describe).collect();
    assert!(
        wrong.is_empty(),
        "circles of more than {MAX_CIRCLE} files:\n{}",
        told.join("\n")
    );
}

#[test]
fn the_scan_sees_an_arrow_up_and_a_circle() {
    let texts = [
        (
            "src/lib.rs",
            "mod graph; mod op; mod train; pub use train::Model;",
        ),
        (
            "src/graph.rs",
            "use crate::op::Sum; fn f() { crate::train::run::go() }",
        ),
        ("src/op/mod.rs", "mod sum; mod max; pub use sum::Sum;"),
        ("src/op/sum.rs", "use super::max::Max; use crate::Model;"),
        ("src/op/max.rs", "use super::Sum; use crate::graph::Graph;"),
        ("src/train/mod.rs", "mod run; pub struct Model;"),
        (
            "src/train/run.rs",
            "use super::super::op; use super::Model;",
        ),
    ];
    let sources: Vec<Source> = texts
        .iter()
        .map(|(path, text)| Source::new(path, text))
        .collect();
    let arrows = House::new(&sources).arrows();
    let seen: Vec<String> = up(&arrows)
        .iter()
        .map(|arrow| format!("{} {} {}", arrow.from, arrow.path, arrow.to))
        .collect();
    let expected = [
        "src/graph.rs crate::op::Sum src/op/sum.rs",
        "src/graph.rs crate::train::run::go src/train/run.rs",
        "src/op/sum.rs crate::Model src/train/mod.rs",
    ];
    assert_eq!(seen, expected);
    let circle = ["src/graph.rs", "src/op/max.rs", "src/op/sum.rs"];
    assert_eq!(file_circles(&arrows), [circle]);
}
