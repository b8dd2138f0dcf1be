//! Words of Rust source in nested groups, and the modules, items, imports and methods that they declare.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::expand::expand;
use super::scan::words;

/// A token, or the tokens between two brackets.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Token(String),
    Group(char, Vec<Tree>),
}

impl Tree {
    pub fn is(&self, text: &str) -> bool {
        matches!(self, Tree::Token(token) if token == text)
    }

    /// The identifier that this is, if it is one.
    pub fn word(&self) -> Option<&str> {
        match self {
            Tree::Token(token) if token.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                Some(token)
            }
            _ => None,
        }
    }

    /// What stands between these brackets, if this is such a group.
    pub fn within(&self, open: char) -> Option<&[Tree]> {
        match self {
            Tree::Group(bracket, trees) if *bracket == open => Some(trees),
            _ => None,
        }
    }
}

/// The tokens of a text, without comments; `=>` and `->` are one token each.
pub fn trees(text: &str) -> Vec<Tree> {
    let mut open: Vec<(char, Vec<Tree>)> = vec![(' ', Vec::new())];
    for word in words(text) {
        let trees = &mut open.last_mut().unwrap().1;
        match word.text.as_str() {
            "(" | "[" | "{" => open.push((word.text.chars().next().unwrap(), Vec::new())),
            ")" | "]" | "}" => {
                let (bracket, inside) = open.pop().unwrap();
                let outside = &mut open.last_mut().unwrap().1;
                outside.push(Tree::Group(bracket, inside));
            }
            ">" => match trees.last_mut() {
                Some(Tree::Token(sign)) if sign == "=" || sign == "-" => sign.push('>'),
                _ => trees.push(Tree::Token(word.text)),
            },
            _ => trees.push(Tree::Token(word.text)),
        }
    }
    assert_eq!(open.len(), 1, "brackets are not closed");
    open.remove(0).1
}

/// What is declared at the level of a module.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub name: String,
    /// `struct`, `fn` …
    pub kind: &'static str,
    /// Whether it is plainly `pub`, not `pub(crate)` or the like.
    pub public: bool,
    /// Names of what it holds that counts as an item too: a trait's methods, types and constants.
    pub inner: Vec<String>,
}

/// An import: the path, the name that it has here (`*` for all), and whether it is exported again.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    pub path: Vec<String>,
    pub name: String,
    pub public: bool,
}

/// The public functions and constants of an `impl` of a type; of none where a macro writes the type's name.
#[derive(Debug, Clone, PartialEq)]
pub struct Methods {
    pub of: Option<String>,
    pub names: Vec<String>,
}

/// What a module declares.
#[derive(Debug, Default)]
pub struct Module {
    pub items: Vec<Item>,
    pub imports: Vec<Import>,
    pub methods: Vec<Methods>,
    /// Names of the modules within it that are plainly `pub`.
    pub public: Vec<String>,
}

/// All modules of a crate by their path, the root's being empty.
pub type Modules = BTreeMap<Vec<String>, Module>;

/// Macros, each with its rules: pattern and body.
type Macros = BTreeMap<String, Vec<(Vec<Tree>, Vec<Tree>)>>;

/// Reads the modules of the crate whose root this file is.
pub fn read(root: &Path) -> Modules {
    let folder = root.parent().unwrap();
    read_twice(|reader| reader.file(root, folder.to_path_buf(), Vec::new()))
}

/// The modules of a crate that is one text.
pub fn parse(text: &str) -> Modules {
    read_twice(|reader| reader.module(&trees(text), None, Vec::new()))
}

/// Once for the macros, which modules use that stand before them, and once with them.
fn read_twice(read: impl Fn(&mut Reader)) -> Modules {
    let mut reader = Reader::default();
    read(&mut reader);
    reader.modules.clear();
    read(&mut reader);
    reader.modules
}

#[derive(Default)]
struct Reader {
    modules: Modules,
    macros: Macros,
}

impl Reader {
    fn file(&mut self, file: &Path, folder: PathBuf, path: Vec<String>) {
        let text = fs::read_to_string(file).unwrap();
        self.module(&trees(&text), Some(folder), path);
    }

    /// Reads the items of a module; those of its own files lie in `folder`.
    fn module(&mut self, trees: &[Tree], folder: Option<PathBuf>, path: Vec<String>) {
        self.modules.insert(path.clone(), Module::default());
        let mut rest = trees;
        while !rest.is_empty() {
            rest = self.item(rest, folder.as_deref(), &path);
        }
    }

    /// Reads the item that `trees` begin with, and returns those after it.
    fn item<'a>(
        &mut self,
        trees: &'a [Tree],
        folder: Option<&Path>,
        path: &[String],
    ) -> &'a [Tree] {
        let mut tests = false;
        let mut rest = trees;
        while let [hash, tail @ ..] = rest
            && hash.is("#")
        {
            let tail = if tail[0].is("!") { &tail[1..] } else { tail };
            let attribute = tail[0].within('[').unwrap();
            tests |= is_test(attribute);
            rest = &tail[1..];
        }
        let Some(first) = rest.first() else {
            return rest;
        };
        let (public, rest) = visibility(first, rest);
        // Up to the item's end: a semicolon, or the braces of its body.
        let braces = |tree: &Tree| tree.within('{').is_some();
        let word = rest.first().and_then(Tree::word).unwrap_or_default();
        let by_semicolon = ["use", "const", "static", "type"].contains(&word) && !rest[1].is("fn");
        let ends = |tree: &Tree| tree.is(";") || (!by_semicolon && braces(tree));
        let end = rest.iter().position(ends).map_or(rest.len(), |at| at + 1);
        let (item, after) = rest.split_at(end);
        if !tests {
            self.declare(item, public, folder, path);
        }
        after
    }

    fn declare(&mut self, item: &[Tree], public: bool, folder: Option<&Path>, path: &[String]) {
        let word = |at: usize| item.get(at).and_then(Tree::word).unwrap_or_default();
        let body = item.last().and_then(|tree| tree.within('{'));
        let own = self.modules.get_mut(path).unwrap();
        let kinds = [
            "struct", "enum", "union", "trait", "type", "const", "static", "fn",
        ];
        let at = item
            .iter()
            .take(4)
            .position(|tree| kinds.iter().any(|kind| tree.is(kind)));
        match word(0) {
            "mod" => {
                let name = word(1).to_string();
                if public {
                    own.public.push(name.clone());
                }
                let inside = [path, std::slice::from_ref(&name)].concat();
                let within = folder.map(|folder| folder.join(&name));
                match (body, folder) {
                    (Some(body), _) => self.module(body, within, inside),
                    (None, Some(folder)) => {
                        let alone = folder.join(format!("{name}.rs"));
                        let file = if alone.exists() {
                            alone
                        } else {
                            folder.join(&name).join("mod.rs")
                        };
                        self.file(&file, folder.join(&name), inside);
                    }
                    (None, None) => panic!("no file for the module {name}"),
                }
            }
            "use" => {
                imports(&item[1..], &[], public, &mut own.imports);
            }
            "impl" => own.methods.extend(methods(item)),
            "macro_rules" => {
                let (name, rules) = (word(2).to_string(), body.unwrap());
                // `pattern => body;`
                let group = |tree: &Tree| match tree {
                    Tree::Group(_, trees) => trees.clone(),
                    Tree::Token(token) => panic!("{token} in {name}"),
                };
                let rules = rules
                    .split(|tree| tree.is(";"))
                    .filter(|rule| !rule.is_empty());
                let rules = rules.map(|rule| (group(&rule[0]), group(&rule[2])));
                self.macros.insert(name.clone(), rules.collect());
            }
            _ if call(item).is_some() => {
                let name = call(item).unwrap_or_default().to_string();
                self.expand(&name, item, folder, path);
            }
            _ => {
                let Some(at) = at else { return };
                // `const fn` is a function.
                let at = if item[at].is("const") && ["fn", "unsafe"].contains(&word(at + 1)) {
                    at + 1
                } else {
                    at
                };
                let kind = kinds.iter().find(|kind| item[at].is(kind)).unwrap();
                let inner = if *kind == "trait" {
                    functions(body.unwrap_or_default(), false)
                } else {
                    Vec::new()
                };
                let name = word(at + 1).to_string();
                own.items.push(Item {
                    name,
                    kind,
                    public,
                    inner,
                });
            }
        }
    }

    /// Declares what a macro of this crate writes.
    fn expand(&mut self, name: &str, item: &[Tree], folder: Option<&Path>, path: &[String]) {
        let Some(rules) = self.macros.get(name) else {
            return;
        };
        let arguments = item.iter().rev().find_map(|tree| match tree {
            Tree::Group(_, trees) => Some(trees.as_slice()),
            Tree::Token(_) => None,
        });
        let written = expand(rules, arguments.unwrap()).unwrap_or_default();
        let mut rest = &written[..];
        while !rest.is_empty() {
            rest = self.item(rest, folder, path);
        }
    }
}

/// The name of the macro that an item calls, by its path or without: `name! { … }`.
fn call(item: &[Tree]) -> Option<&str> {
    let at = item.iter().position(|tree| tree.is("!"))?;
    let path = item[..at]
        .iter()
        .all(|tree| tree.is("::") || tree.is("$") || tree.word().is_some());
    let called = matches!(item.get(at + 1), Some(Tree::Group(..)));
    (path && called).then(|| item[at - 1].word())?
}

fn is_test(attribute: &[Tree]) -> bool {
    attribute
        .first()
        .is_some_and(|tree| tree.is("cfg") || tree.is("test"))
        && attribute.iter().any(|tree| match tree {
            Tree::Token(token) => token == "test",
            Tree::Group(_, trees) => trees.first().is_some_and(|tree| tree.is("test")),
        })
}

/// Whether the item is plainly `pub`, and what comes after the word.
fn visibility<'a>(first: &Tree, rest: &'a [Tree]) -> (bool, &'a [Tree]) {
    if !first.is("pub") {
        return (false, rest);
    }
    match rest.get(1).and_then(|tree| tree.within('(')) {
        Some([scope, ..])
            if ["crate", "super", "self", "in"]
                .iter()
                .any(|word| scope.is(word)) =>
        {
            (false, &rest[2..])
        }
        _ => (true, &rest[1..]),
    }
}

/// The imports of the tree of paths that a `use` holds.
fn imports(trees: &[Tree], prefix: &[String], public: bool, found: &mut Vec<Import>) {
    for part in trees.split(|tree| tree.is(",") || tree.is(";")) {
        let mut path = prefix.to_vec();
        let mut alias = None;
        for (at, tree) in part.iter().enumerate() {
            match tree {
                Tree::Group(_, inside) => imports(inside, &path, public, found),
                tree if tree.is("as") => alias = part[at + 1].word(),
                tree if tree.is("*") => alias = Some("*"),
                tree if alias.is_none() => path.extend(tree.word().map(str::to_string)),
                _ => {}
            }
        }
        if part.is_empty() || part.iter().any(|tree| tree.within('{').is_some()) {
            continue;
        }
        // `{self}` is the path before it.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = alias
            .or(path.last().map(String::as_str))
            .unwrap_or_default()
            .to_string();
        found.push(Import { path, name, public });
    }
}

/// The methods of an `impl` of a type itself; none of a trait.
fn methods(item: &[Tree]) -> Option<Methods> {
    let (body, head) = item.split_last()?;
    let mut angles = 0i32;
    let mut name = None;
    let mut after_path = false;
    for (at, tree) in head.iter().enumerate().skip(1) {
        match tree {
            tree if tree.is("<") => angles += 1,
            tree if tree.is(">") => angles -= 1,
            _ if angles > 0 => {}
            tree if tree.is("for") => return None,
            tree if tree.is("where") => after_path = true,
            _ if after_path => {}
            tree if tree.is("$") => name = None,
            tree => {
                let of_macro = at > 0 && head[at - 1].is("$");
                if let (Some(word), false) = (tree.word(), of_macro) {
                    name = Some(word.to_string());
                }
            }
        }
    }
    let names = functions(body.within('{')?, true);
    Some(Methods { of: name, names })
}

/// The names of functions, constants and types in the body of a trait or an `impl`; of those that are `pub` only, if asked.
fn functions(body: &[Tree], public: bool) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let end = rest
            .iter()
            .position(|tree| tree.is(";") || tree.within('{').is_some());
        let (item, tail) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
        rest = tail;
        // The attributes lead, each a `#` and a group.
        let mut item = item;
        while let [hash, _, tail @ ..] = item
            && hash.is("#")
        {
            item = tail;
        }
        let Some(first) = item.first() else { continue };
        let (is_public, item) = visibility(first, item);
        let word = |tree: &Tree| ["fn", "const", "type"].iter().any(|kind| tree.is(kind));
        let Some(at) = item.iter().position(word) else {
            continue;
        };
        let at = if item.get(at + 1).is_some_and(|tree| tree.is("fn")) {
            at + 1
        } else {
            at
        };
        if !public || is_public {
            let name = item.get(at + 1).and_then(Tree::word);
            names.push(name.unwrap_or("$").to_string());
        }
    }
    names
}

#[test]
fn the_reader_sees_items_and_neither_comments_nor_literals() {
    let text = r##"
        //! fn nothing() {}
        /* pub struct Neither; /* nested */ */
        const TEXT: &str = "pub fn no() { \" }";
        const RAW: &str = r#"pub struct "No"; {"#;
        const QUOTE: char = '"'; const BRACE: char = '{'; const TICK: char = '\'';
        pub(crate) struct Hidden<'a>(&'a str);
        #[derive(Debug)] pub struct Shown { pub field: u32 }
        impl<'a, F: Fn(u32) -> u32> Hidden<'a> { pub const fn made() -> u32 { 1 } fn own(&self) {} pub const ONE: u32 = 1; }
        impl std::fmt::Display for Shown { fn fmt(&self) -> u32 { 1 } }
        pub trait Walk { type Way; fn walk(&self); fn twice(&self) { self.walk() } }
        #[cfg(test)] mod tests { pub struct Only; }
        mod inner { pub(super) use super::{Shown as Seen, Walk}; pub use super::*; }
    "##;
    let modules = parse(text);
    let root = &modules[&Vec::new()];
    let names: Vec<(&str, bool)> = root
        .items
        .iter()
        .map(|item| (item.name.as_str(), item.public))
        .collect();
    let constants = ["TEXT", "RAW", "QUOTE", "BRACE", "TICK"].map(|name| (name, false));
    assert_eq!(names[..5], constants);
    assert_eq!(
        names[5..],
        [("Hidden", false), ("Shown", true), ("Walk", true)]
    );
    assert_eq!(root.items[7].inner, ["Way", "walk", "twice"]);
    let methods = Methods {
        of: Some("Hidden".into()),
        names: vec!["made".into(), "ONE".into()],
    };
    assert_eq!(root.methods, [methods]);
    assert_eq!(modules.len(), 2);
    let inner = &modules[&vec!["inner".to_string()]];
    let imports: Vec<(String, &str, bool)> = inner
        .imports
        .iter()
        .map(|import| (import.path.join("::"), import.name.as_str(), import.public))
        .collect();
    assert_eq!(
        imports,
        [
            ("super::Shown".into(), "Seen", false),
            ("super::Walk".into(), "Walk", false),
            ("super".into(), "*", true),
        ]
    );
}

#[test]
fn what_a_macro_writes_is_seen() {
    let text = "
        macro_rules! methods { ($($(#[$doc:meta])* $name:ident => $f:expr;)*) => { impl Tensor { $($(#[$doc])* pub fn $name(&self) {})* } }; }
        methods! { /// One.
            one => 1; two => f(2, 3); three => 3; }
        $crate::of::settings!(First);
        settings!(Second);
        macro_rules! settings { ($of:ty) => { impl $of { pub fn a(&self) {} pub fn b(&self) {} } }; }
        macro_rules! layers { ($($name:ident),*) => { $(pub struct $name;)* }; }
        layers!(A, B);
        macro_rules! optimizer {
            ($name:ident $label:literal { $($field:ident: $type:ty = $default:expr $(, $check:path)?;)* }) => {
                pub struct $name { $(pub $field: $type,)* }
                impl $name { pub fn new() -> Self { $name { $($field: $default),* } } $(pub fn $field(self) {} $($check();)?)* }
            };
        }
        optimizer! { Sgd \"sgd\" { momentum: f32 = 0.0, check::share; nesterov: Vec<u32> = f(1); } }
        macro_rules! table { ($then:ident) => { $then! {{ relu; tanh; }} }; }
        macro_rules! named { ({ $($name:ident;)* }) => { impl Tensor { $(pub fn $name() {})* } }; }
        table!(named);
    ";
    let modules = parse(text);
    let root = &modules[&Vec::new()];
    let found: Vec<String> = root
        .methods
        .iter()
        .map(|own| format!("{} {}", own.of.as_deref().unwrap(), own.names.join(" ")))
        .collect();
    assert_eq!(
        found,
        [
            "Tensor one two three",
            "First a b",
            "Second a b",
            "Sgd new momentum nesterov",
            "Tensor relu tanh"
        ]
    );
    let items: Vec<&str> = root.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(items, ["A", "B", "Sgd"]);
}
