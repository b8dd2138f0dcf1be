//! How much the crate promises: the items that a program outside it can name; and how many type names mean two things.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::rust::{self, Modules};

/// Items that may be public at most: types, traits, functions, constants, macros, and the methods of those types and
/// traits; neither fields nor variants. What is public is what we promise. The bound shrinks, to 900 in the end.
const MAX_PUBLIC_ITEMS: usize = 1050;

/// Names that may belong to more than one type, `Backward` apart, which each op's file has.
const MAX_NAMES_USED_TWICE: usize = 15;

/// The module and name of an item.
type Place = (Vec<String>, String);

/// What a path leads to.
enum Found {
    Module(Vec<String>),
    Item(Place),
}

/// Where a path leads from a module; none where it leaves the crate, or to an enum's variant.
fn resolve(modules: &Modules, from: &[String], path: &[String], depth: usize) -> Option<Found> {
    let mut at = from.to_vec();
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        match first.as_str() {
            "crate" => at.clear(),
            "super" => drop(at.pop()),
            "self" => {}
            _ => break,
        }
        rest = tail;
    }
    while let [name, tail @ ..] = rest {
        let inside = [&at[..], std::slice::from_ref(name)].concat();
        if modules.contains_key(&inside) {
            (at, rest) = (inside, tail);
            continue;
        }
        let module = &modules[&at];
        if module.items.iter().any(|item| item.name == *name) {
            return tail.is_empty().then(|| Found::Item((at, name.clone())));
        }
        // Paths of imports that lead back to themselves end here.
        let depth = depth.checked_sub(1)?;
        let named = module.imports.iter().filter(|import| import.name == *name);
        let globs = module.imports.iter().filter(|import| import.name == "*");
        let through = named.map(|import| import.path.clone());
        let through = through
            .chain(globs.map(|import| [&import.path[..], std::slice::from_ref(name)].concat()));
        let mut leads = through.filter_map(|path| resolve(modules, &at, &path, depth));
        return match leads.next()? {
            Found::Module(module) => resolve(modules, &module, tail, depth),
            found => tail.is_empty().then_some(found),
        };
    }
    Some(Found::Module(at))
}

/// How deep imports of imports are followed.
const DEPTH: usize = 8;

/// Every item that a program outside can name.
fn reachable(modules: &Modules) -> BTreeSet<Place> {
    let mut items = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![Vec::new()];
    while let Some(path) = open.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let module = &modules[&path];
        let public = module.items.iter().filter(|item| item.public);
        items.extend(public.map(|item| (path.clone(), item.name.clone())));
        open.extend(
            module
                .public
                .iter()
                .map(|name| [&path[..], std::slice::from_ref(name)].concat()),
        );
        for import in module.imports.iter().filter(|import| import.public) {
            match resolve(modules, &path, &import.path, DEPTH) {
                Some(Found::Module(module)) => open.push(module),
                Some(Found::Item(place)) => drop(items.insert(place)),
                None => {}
            }
        }
    }
    items
}

/// Public items for each module: those that can be named, and their methods.
fn surface(modules: &Modules) -> BTreeMap<String, Vec<String>> {
    let reachable = reachable(modules);
    let mut surface: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, module) in modules {
        let mut names = Vec::new();
        for item in &module.items {
            if reachable.contains(&(path.clone(), item.name.clone())) {
                names.push(item.name.clone());
                names.extend(
                    item.inner
                        .iter()
                        .map(|inner| format!("{}::{inner}", item.name)),
                );
            }
        }
        for methods in &module.methods {
            let of = methods.of.as_ref();
            let place = of.map(|of| resolve(modules, path, std::slice::from_ref(of), DEPTH));
            // What a macro names is taken for public.
            let counts = match place {
                None => true,
                Some(Some(Found::Item(place))) => reachable.contains(&place),
                Some(_) => false,
            };
            if counts {
                let of = of.map_or("$", String::as_str);
                names.extend(methods.names.iter().map(|name| format!("{of}::{name}")));
            }
        }
        surface.insert(path.join("::"), names);
    }
    surface
}

fn house() -> Modules {
    rust::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"))
}

#[test]
fn the_crate_promises_few_items() {
    let surface = surface(&house());
    let mut rooms: BTreeMap<&str, usize> = BTreeMap::new();
    for (module, names) in &surface {
        let room = module.split("::").next().unwrap_or_default();
        *rooms.entry(room).or_default() += names.len();
        if !names.is_empty() {
            println!("{module}: {}", names.join(" "));
        }
    }
    let count: usize = rooms.values().sum();
    println!("{count} public items: {rooms:?}");
    // The scan has seen the house.
    assert!(count > 300, "{rooms:?}");
    assert!(
        count <= MAX_PUBLIC_ITEMS,
        "{count} public items, more than {MAX_PUBLIC_ITEMS}: {rooms:?}"
    );
}

/// Names of types and traits that are declared in more than one place, with the modules.
fn names_used_twice(modules: &Modules) -> BTreeMap<&str, Vec<String>> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (path, module) in modules {
        for item in &module.items {
            if ["struct", "enum", "union", "trait", "type"].contains(&item.kind) {
                places.entry(&item.name).or_default().push(path.join("::"));
            }
        }
    }
    // A macro's types have no name here.
    places.retain(|name, places| places.len() > 1 && *name != "Backward" && !name.is_empty());
    places
}

#[test]
fn a_types_name_is_used_once() {
    let modules = house();
    let twice = names_used_twice(&modules);
    for (name, places) in &twice {
        println!("{name}: {}", places.join(", "));
    }
    println!("{} names are used more than once", twice.len());
    assert!(
        twice.len() <= MAX_NAMES_USED_TWICE,
        "{} names of types are used more than once, more than {MAX_NAMES_USED_TWICE}: {twice:#?}",
        twice.len()
    );
}

#[test]
fn what_cannot_be_named_from_outside_does_not_count() {
    let text = "
        mod hidden {
            pub struct Kept;
            pub struct Inner;
            impl Kept { pub fn method(&self) {} fn own(&self) {} pub(crate) fn near(&self) {} }
            impl Inner { pub fn method(&self) {} }
            pub trait Walk { fn walk(&self); }
            pub mod deeper { pub fn unseen() {} }
        }
        mod of_kept { use super::hidden::Kept; impl Kept { pub fn elsewhere(&self) {} } }
        pub mod shown { pub use super::hidden::{Kept as Known, Walk}; pub fn free() {} pub(crate) fn near() {} }
        pub mod all { pub use self::parts::*; mod parts { pub const ONE: u32 = 1; } }
        pub use outside::Thing;
        pub struct Root;
    ";
    let surface = surface(&rust::parse(text));
    let names = |module: &str| surface[module].join(" ");
    assert_eq!(names("hidden"), "Kept Walk Walk::walk Kept::method");
    assert_eq!(names("of_kept"), "Kept::elsewhere");
    assert_eq!(
        (names("shown"), names("all::parts"), names("")),
        ("free".into(), "ONE".into(), "Root".into())
    );
    assert_eq!(names("hidden::deeper"), "");
}

#[test]
fn a_name_in_two_modules_is_found() {
    let modules = rust::parse(
        "mod a { struct Parts; struct Backward; fn Parts() {} } mod b { enum Parts {} struct Backward; struct Own; }",
    );
    let twice = names_used_twice(&modules);
    assert_eq!(
        twice.into_iter().collect::<Vec<_>>(),
        [("Parts", vec!["a".to_string(), "b".to_string()])]
    );
}
