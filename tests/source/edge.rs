//! The edge: the clock on the wall, threads, files, the environment, progress bars and waits that block have one place.

use crate::scan::{Source, Word, sources};

/// What only `src/edge` names, as the words of a source.
const SYSTEM: [&[&str]; 9] = [
    &["Instant"],
    &["SystemTime"],
    &["std", "::", "thread"],
    &["std", "::", "fs"],
    &["std", "::", "env"],
    &["rayon"],
    &["indicatif"],
    &["pollster"],
    &["tokio"],
];

fn is_edge(source: &Source) -> bool {
    source.path.starts_with("src/edge/")
}

/// The lines at which a sequence of words stands.
fn lines(words: &[Word], sought: &[&str]) -> Vec<usize> {
    let stands = |window: &&[Word]| {
        window
            .iter()
            .map(|word| word.text.as_str())
            .eq(sought.iter().copied())
    };
    let windows = words.windows(sought.len()).filter(stands);
    windows.map(|window| window[0].line).collect()
}

#[test]
fn only_the_edge_names_the_system() {
    let (mut outside, mut inside) = (Vec::new(), 0);
    for source in sources() {
        for sought in SYSTEM {
            let lines = lines(&source.words, sought);
            if is_edge(&source) {
                inside += lines.len();
                continue;
            }
            let told = lines
                .iter()
                .map(|line| format!("{}:{line} {}", source.path, sought.concat()));
            outside.extend(told);
        }
    }
    assert!(inside >= 10, "the edge names the system {inside} times");
    assert!(outside.is_empty(), "{}", outside.join("\n"));
}

/// The words between the braces of each function that is `async`.
fn async_bodies(words: &[Word]) -> Vec<&[Word]> {
    let mut bodies = Vec::new();
    for start in 0..words.len() {
        let is = |offset: usize, text: &str| {
            words
                .get(start + offset)
                .is_some_and(|word| word.text == text)
        };
        if !(is(0, "async") && is(1, "fn")) {
            continue;
        }
        let Some(open) = words[start..].iter().position(|word| word.text == "{") else {
            continue;
        };
        let mut depth = 0;
        let end = words[start + open..].iter().position(|word| {
            depth += i32::from(word.text == "{") - i32::from(word.text == "}");
            depth == 0
        });
        bodies.push(&words[start + open..start + open + end.unwrap_or(0)]);
    }
    bodies
}

#[test]
fn nothing_blocks_inside_an_async_function() {
    let (mut seen, mut blocking) = (0, Vec::new());
    for source in sources() {
        for body in async_bodies(&source.words) {
            seen += 1;
            for sought in [
                &["block_on"][..],
                &["clock", "::", "pause"],
                &["wait_timeout"],
                // Doors that block, which have a way without.
                &["session_now"],
                &["through_losses"],
                &[".", "set_weights", "("],
                &[".", "read_values", "("],
            ] {
                let lines = lines(body, sought);
                blocking.extend(
                    lines
                        .iter()
                        .map(|line| format!("{}:{line} {}", source.path, sought.concat())),
                );
            }
        }
    }
    assert!(seen >= 30, "{seen} async functions were seen");
    assert!(blocking.is_empty(), "{}", blocking.join("\n"));
}
