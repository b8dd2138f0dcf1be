//! Reads the sources of the crate as words: what a file imports, and where its functions begin and end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A word of a source: a name, a number or one sign; `::` is one word, a string or a character is `"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    /// Its line, from 1.
    pub line: usize,
}

/// A file of `src` with its words; code under `#[cfg(test)]` is left out.
pub struct Source {
    /// Its path from the root of the crate, with `/`.
    pub path: String,
    /// The module that it is, without `crate`.
    pub module: Vec<String>,
    /// How many lines it has.
    pub lines: usize,
    pub words: Vec<Word>,
}

/// A path that a file imports or names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The path as it is written, but without braces: `crate::graph::Node`, `super::Op`.
    pub path: Vec<String>,
    /// The name that it has in the file: that of its last part, unless there is an `as`.
    pub name: String,
    /// Whether it is a re-export: an import with a visibility, which is what others may name, and nothing that the file uses.
    pub reexport: bool,
    pub line: usize,
}

/// The words of a text, without comments.
pub fn words(text: &str) -> Vec<Word> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let (mut found, mut i, mut line) = (Vec::new(), 0, 1);
    while i < chars.len() {
        let (start, first) = (i, line);
        let c = at(i);
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
            continue;
        }
        if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    ('\n', _) => (line, i) = (line + 1, i + 1),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
            continue;
        }
        if c.is_whitespace() {
            line += usize::from(c == '\n');
            i += 1;
            continue;
        }
        // r"…", r#"…"#, br"…"
        let mut j = i + usize::from(c == 'b');
        let raw = at(j) == 'r' && {
            j += 1;
            while at(j) == '#' {
                j += 1;
            }
            at(j) == '"'
        };
        if raw {
            let hashes = chars[i..j].iter().filter(|c| **c == '#').count();
            i = j + 1;
            while i < chars.len() {
                line += usize::from(at(i) == '\n');
                let closed = at(i) == '"' && (1..=hashes).all(|k| at(i + k) == '#');
                i += 1;
                if closed {
                    i += hashes;
                    break;
                }
            }
            found.push(("\"".to_string(), first));
            continue;
        }
        let quoted = i + usize::from(c == 'b');
        // 'a' and '\n' are characters, 'a is a lifetime.
        let character = at(quoted) == '\'' && (at(quoted + 1) == '\\' || at(quoted + 2) == '\'');
        if at(quoted) == '"' || character {
            let end = at(quoted);
            i = quoted + 1;
            while i < chars.len() && at(i) != end {
                line += usize::from(at(i) == '\n');
                i += 1 + usize::from(at(i) == '\\');
                // The character after a backslash may be the end of a line.
                line += usize::from(at(i - 1) == '\n' && at(i - 2) == '\\');
            }
            i += 1;
            found.push(("\"".to_string(), first));
            continue;
        }
        if is_name(c) {
            while is_name(at(i)) {
                i += 1;
            }
        } else if c == ':' && at(i + 1) == ':' {
            i += 2;
        } else {
            i += 1;
        }
        found.push((chars[start..i].iter().collect(), first));
    }
    let word = |(text, line)| Word { text, line };
    found.into_iter().map(word).collect()
}

/// The index after the bracket that closes the one at `open`.
pub fn closed(words: &[Word], open: usize) -> usize {
    let mut depth = 0;
    for (i, word) in words.iter().enumerate().skip(open) {
        match word.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    words.len()
}

/// Whether these words stand at `at`.
fn reads(words: &[Word], at: usize, expected: &[&str]) -> bool {
    let own = words.get(at..at + expected.len());
    own.is_some_and(|own| {
        own.iter()
            .zip(expected)
            .all(|(word, text)| word.text == *text)
    })
}

/// Leaves out the modules and functions under `#[cfg(test)]`.
fn without_tests(words: Vec<Word>) -> Vec<Word> {
    let (mut kept, mut i) = (Vec::new(), 0);
    while i < words.len() {
        if reads(&words, i, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            while i < words.len() && words[i].text != "{" && words[i].text != ";" {
                i += 1;
            }
            i = match words.get(i).is_some_and(|word| word.text == "{") {
                true => closed(&words, i),
                false => i + 1,
            };
        } else {
            kept.push(words[i].clone());
            i += 1;
        }
    }
    kept
}

impl Source {
    /// A file of this path and text.
    pub fn new(path: &str, text: &str) -> Self {
        let module = path
            .trim_start_matches("src/")
            .trim_end_matches(".rs")
            .split('/')
            .filter(|part| !matches!(*part, "mod" | "lib"))
            .map(str::to_string)
            .collect();
        Source {
            path: path.to_string(),
            module,
            lines: text.lines().count(),
            words: without_tests(words(text)),
        }
    }

    /// The modules that lie in files of their own below this one.
    fn children(&self) -> BTreeSet<&str> {
        (0..self.words.len())
            .filter(|&i| reads(&self.words, i, &["mod"]) && reads(&self.words, i + 2, &[";"]))
            .map(|i| self.words[i + 1].text.as_str())
            .collect()
    }

    /// Everything of the crate that the file imports or names by a path.
    pub fn named(&self) -> Vec<Named> {
        let children = self.children();
        let own =
            |name: &str| matches!(name, "crate" | "super" | "self") || children.contains(name);
        let (mut all, mut i) = (Vec::new(), 0);
        while i < self.words.len() {
            let word = &self.words[i];
            let before = i.checked_sub(1).map_or("", |i| self.words[i].text.as_str());
            // `use<'a>` is a bound on a type.
            let import = word.text == "use" && !reads(&self.words, i + 1, &["<"]);
            if import {
                let reexport = before == "pub" || before == ")";
                let mut leaves = Vec::new();
                i = self.tree(i + 1, &mut Vec::new(), reexport, &mut leaves);
                all.extend(leaves.into_iter().filter(|leaf| own(&leaf.path[0])));
            } else if own(&word.text)
                && !["::", "in"].contains(&before)
                && reads(&self.words, i + 1, &["::"])
            {
                let mut path = vec![word.text.clone()];
                let mut j = i + 1;
                while reads(&self.words, j, &["::"])
                    && self.words.get(j + 1).is_some_and(|word| {
                        word.text
                            .starts_with(|c: char| c.is_alphabetic() || c == '_')
                    })
                {
                    path.push(self.words[j + 1].text.clone());
                    j += 2;
                }
                all.push(Named {
                    name: path.last().cloned().unwrap_or_default(),
                    path,
                    reexport: false,
                    line: word.line,
                });
                i = j;
            } else {
                i += 1;
            }
        }
        all
    }

    /// The leaves of the tree of imports at `i`; the index after it.
    fn tree(
        &self,
        mut i: usize,
        path: &mut Vec<String>,
        reexport: bool,
        leaves: &mut Vec<Named>,
    ) -> usize {
        let depth = path.len();
        let line = self.words[i].line;
        loop {
            match self.words[i].text.as_str() {
                "{" => {
                    i += 1;
                    while self.words[i].text != "}" {
                        i = self.tree(i, path, reexport, leaves);
                        i += usize::from(self.words[i].text == ",");
                    }
                    path.truncate(depth);
                    return i + 1;
                }
                "::" => i += 1,
                "," | "}" | ";" | "as" => break,
                name => {
                    path.push(name.to_string());
                    i += 1;
                }
            }
        }
        let renamed = self.words[i].text == "as";
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        let name = match renamed {
            true => self.words[i + 1].text.clone(),
            false => path.last().cloned().unwrap_or_default(),
        };
        leaves.push(Named {
            path: path.clone(),
            name,
            reexport,
            line,
        });
        path.truncate(depth);
        i + 2 * usize::from(renamed)
    }

    /// The functions that have a body: name, first and last line.
    pub fn functions(&self) -> Vec<(String, usize, usize)> {
        let mut all = Vec::new();
        for i in 0..self.words.len() {
            let name = self.words.get(i + 1).map_or("", |word| word.text.as_str());
            let named = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
            if self.words[i].text != "fn" || !named {
                continue;
            }
            // Arguments and where-clauses come before the body; a function of a trait may have none.
            let mut j = i + 2;
            while j < self.words.len() && !matches!(self.words[j].text.as_str(), "{" | ";") {
                j = match self.words[j].text.as_str() {
                    "(" | "[" => closed(&self.words, j),
                    _ => j + 1,
                };
            }
            if reads(&self.words, j, &["{"]) {
                let end = closed(&self.words, j) - 1;
                all.push((name.to_string(), self.words[i].line, self.words[end].line));
            }
        }
        all
    }
}

/// All files of `src`, in the order of their paths.
pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut found) = (vec![root.join("src")], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                found.insert(name.replace('\\', "/"), fs::read_to_string(&path).unwrap());
            }
        }
    }
    let source = |(path, text): (String, String)| Source::new(&path, &text);
    found.into_iter().map(source).collect()
}

#[test]
fn comments_strings_and_characters_are_no_words() {
    let text = "// use crate::a;\n/* fn /* b */ */ let c: &'x str = \"use \\\" crate\"; r#\"\"{\"#; '{'; b'\\''";
    let texts: Vec<String> = words(text).into_iter().map(|word| word.text).collect();
    let expected = "let c : & ' x str = \" ; \" ; \" ; \"";
    assert_eq!(texts.join(" "), expected);
    assert_eq!(words("a\n\"b\nc\"\nd").last().unwrap().line, 4);
}

#[test]
fn imports_are_seen_in_every_form() {
    let text = "mod deep;\nuse std::fmt;\nuse crate::{Error, graph::{self, Node as N},\n    op::*};\npub(crate) use deep::Well;\n
        fn f() { use super::super::plan::Plan; deep::down(crate::nn::Layer::new(x::y::<super::Z>())); }
        #[cfg(test)]\nmod tests { use crate::train::Model; }";
    let source = Source::new("src/room/part.rs", text);
    let seen: Vec<String> = source
        .named()
        .iter()
        .map(|named| {
            format!(
                "{} {} {}",
                named.path.join("::"),
                named.name,
                named.reexport
            )
        })
        .collect();
    let expected = [
        "crate::Error Error false",
        "crate::graph graph false",
        "crate::graph::Node N false",
        "crate::op::* * false",
        "deep::Well Well true",
        "super::super::plan::Plan Plan false",
        "deep::down down false",
        "crate::nn::Layer::new new false",
        "super::Z Z false",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn functions_end_where_their_bodies_do() {
    let text = "trait T { fn none(&self) -> [u8; 2]; }\nfn one<F: Fn(u32)>(f: F)\nwhere\n    F: Send,\n{\n    if a { '}' } else { \"}\" };\n}\nfn two() {}\n";
    let source = Source::new("src/a.rs", text);
    let expected = [("one".to_string(), 2, 7), ("two".to_string(), 8, 8)];
    assert_eq!(source.functions(), expected);
}
