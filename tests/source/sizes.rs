//! Files and functions that a reader can hold in the head: none of `src` is longer than a few screens.

use crate::scan::{Source, sources};

/// The most lines of a file.
const MAX_FILE: usize = 400;

/// The most lines of a function.
const MAX_FUNCTION: usize = 100;

/// Files that are still longer and on their way to being several. This list only ever gets shorter.
const KNOWN_FILES: &[&str] = &[];

/// Functions that are still longer, with their files. This list only ever gets shorter.
const KNOWN_FUNCTIONS: &[(&str, &str)] = &[];

/// The functions of a file that are too long, with their lengths.
fn long_functions(source: &Source) -> Vec<(String, usize)> {
    let length = |(name, first, last): (String, usize, usize)| (name, last - first + 1);
    let all = source.functions().into_iter().map(length);
    all.filter(|(_, lines)| *lines > MAX_FUNCTION).collect()
}

#[test]
fn no_file_is_long() {
    let sources = sources();
    let total: usize = sources.iter().map(|source| source.lines).sum();
    let longest = sources.iter().max_by_key(|source| source.lines).unwrap();
    println!(
        "{} files, {total} lines, {} has {}",
        sources.len(),
        longest.path,
        longest.lines
    );
    assert!(sources.len() > 200, "the scan has not seen the house");
    let long = sources.iter().filter(|source| source.lines > MAX_FILE);
    let new: Vec<String> = long
        .filter(|source| !KNOWN_FILES.contains(&source.path.as_str()))
        .map(|source| format!("{}: {} lines", source.path, source.lines))
        .collect();
    assert!(
        new.is_empty(),
        "files of more than {MAX_FILE} lines:\n{}",
        new.join("\n")
    );
}

#[test]
fn no_function_is_long() {
    let sources = sources();
    let count: usize = sources.iter().map(|source| source.functions().len()).sum();
    println!("{count} functions");
    assert!(count > 2000, "the scan has not seen the house");
    let long = sources.iter().flat_map(|source| {
        let named = move |(name, lines)| (source.path.as_str(), name, lines);
        long_functions(source).into_iter().map(named)
    });
    let new: Vec<String> = long
        .filter(|(path, name, _)| !KNOWN_FUNCTIONS.contains(&(path, name.as_str())))
        .map(|(path, name, lines)| format!("{path}: {name} has {lines} lines"))
        .collect();
    assert!(
        new.is_empty(),
        "functions of more than {MAX_FUNCTION} lines:\n{}",
        new.join("\n")
    );
}

#[test]
fn the_scan_measures_functions() {
    let body = "    let brace = '{';\n".repeat(99);
    let text = format!("fn short() {{\n}}\n\nfn long(a: [u8; 3]) -> u32 {{\n{body}}}\n");
    let source = Source::new("src/a.rs", &text);
    assert_eq!(source.lines, 104);
    assert_eq!(long_functions(&source), [("long".to_string(), 101)]);
}
