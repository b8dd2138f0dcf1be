//! What a call of a `macro_rules` macro writes: enough of the language for the macros of this crate.

use std::collections::BTreeMap;

use super::rust::Tree;

/// What a pattern's names stand for: some tokens, or one binding for each repetition.
#[derive(Debug, Clone, Default)]
struct Bindings {
    single: BTreeMap<String, Vec<Tree>>,
    repeated: Vec<(Vec<String>, Vec<Bindings>)>,
}

/// The part of a pattern or body that comes first.
enum Part<'a> {
    /// `$name:kind`, or `$name` in a body.
    Name(&'a str, Option<&'a str>),
    /// `$(…)*`, with a separator or without, and the sign after it.
    Repeated(&'a [Tree], Option<&'a Tree>, &'a str),
    Other(&'a Tree),
}

/// Splits the first part off.
fn first(trees: &[Tree], in_pattern: bool) -> Option<(Part<'_>, &[Tree])> {
    let sign = |tree: &Tree| ["*", "+", "?"].iter().any(|sign| tree.is(sign));
    Some(match trees {
        [] => return None,
        [dollar, Tree::Group('(', inside), tail @ ..] if dollar.is("$") => match tail {
            [Tree::Token(op), rest @ ..] if sign(&tail[0]) => {
                (Part::Repeated(inside, None, op), rest)
            }
            [separator, Tree::Token(op), rest @ ..] => {
                (Part::Repeated(inside, Some(separator), op), rest)
            }
            _ => panic!("a repetition without a sign"),
        },
        [
            dollar,
            Tree::Token(name),
            colon,
            Tree::Token(kind),
            rest @ ..,
        ] if dollar.is("$") && in_pattern && colon.is(":") => (Part::Name(name, Some(kind)), rest),
        [dollar, Tree::Token(name), rest @ ..] if dollar.is("$") => (Part::Name(name, None), rest),
        [tree, rest @ ..] => (Part::Other(tree), rest),
    })
}

/// What the first rule whose pattern fits writes; nothing where none fits.
pub fn expand(rules: &[(Vec<Tree>, Vec<Tree>)], arguments: &[Tree]) -> Option<Vec<Tree>> {
    rules.iter().find_map(|(pattern, body)| {
        let mut bindings = Bindings::default();
        let rest = fits(pattern, arguments, &[], &mut bindings)?;
        rest.is_empty().then(|| {
            let mut written = Vec::new();
            write(body, &[&bindings], &mut written);
            written
        })
    })
}

/// Whether `tree` can begin what the pattern describes, or what comes after it where the pattern may be empty.
fn begins(tree: &Tree, pattern: &[Tree], after: &[Tree]) -> bool {
    match first(pattern, true) {
        None => !after.is_empty() && begins(tree, after, &[]),
        Some((Part::Name(..), _)) => false,
        Some((Part::Other(Tree::Group(bracket, _)), _)) => tree.within(*bracket).is_some(),
        Some((Part::Other(own), _)) => own == tree,
        Some((Part::Repeated(inside, _, op), rest)) => {
            begins(tree, inside, &[]) || (op != "+" && begins(tree, rest, after))
        }
    }
}

/// Takes what the pattern describes off the input; none where it does not fit. `after` is the pattern that follows.
fn fits<'a>(
    pattern: &[Tree],
    input: &'a [Tree],
    after: &[Tree],
    bindings: &mut Bindings,
) -> Option<&'a [Tree]> {
    let Some((part, rest)) = first(pattern, true) else {
        return Some(input);
    };
    let input = match part {
        Part::Name(name, kind) => {
            let one = matches!(kind, Some("ident" | "tt"));
            let end = input
                .iter()
                .position(|tree| begins(tree, rest, after))
                .unwrap_or(input.len());
            let end = if one { 1 } else { end };
            if input.len() < end || end == 0 || (kind == Some("ident") && input[0].word().is_none())
            {
                return None;
            }
            bindings.single.insert(name.into(), input[..end].to_vec());
            &input[end..]
        }
        Part::Other(Tree::Group(bracket, inside)) => {
            let (group, tail) = input.split_first()?;
            let left = fits(inside, group.within(*bracket)?, &[], bindings)?;
            if !left.is_empty() {
                return None;
            }
            tail
        }
        Part::Other(tree) => input.strip_prefix(std::slice::from_ref(tree))?,
        Part::Repeated(inside, separator, op) => {
            let mut follow = separator.cloned().into_iter().collect::<Vec<_>>();
            if follow.is_empty() {
                follow = [rest, after].concat();
            }
            let (mut input, mut all) = (input, Vec::new());
            while op != "?" || all.is_empty() {
                let mut own = Bindings::default();
                let at = match (separator, all.is_empty()) {
                    (Some(separator), false) => input.strip_prefix(std::slice::from_ref(separator)),
                    _ => Some(input),
                };
                let left = at
                    .filter(|at| !at.is_empty())
                    .and_then(|at| fits(inside, at, &follow, &mut own));
                let Some(left) = left else { break };
                input = left;
                all.push(own);
            }
            bindings.repeated.push((names(inside), all));
            input
        }
    };
    fits(rest, input, after, bindings)
}

/// The names within a pattern or body.
fn names(trees: &[Tree]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, tree) in trees.iter().enumerate() {
        match tree {
            Tree::Group(_, inside) => found.extend(names(inside)),
            Tree::Token(name) if at > 0 && trees[at - 1].is("$") => found.push(name.clone()),
            Tree::Token(_) => {}
        }
    }
    found
}

/// Writes the body with what its names stand for, the innermost bindings last.
fn write(body: &[Tree], bindings: &[&Bindings], written: &mut Vec<Tree>) {
    let mut rest = body;
    while let Some((part, tail)) = first(rest, false) {
        rest = tail;
        match part {
            Part::Name(name, _) => match bindings.iter().rev().find_map(|own| own.single.get(name))
            {
                Some(trees) => written.extend(trees.iter().cloned()),
                // `$crate`, or a name of a macro within.
                None => written.extend(["$", name].map(|text| Tree::Token(text.into()))),
            },
            Part::Repeated(inside, separator, _) => {
                let wanted = names(inside);
                let known = |names: &[String]| names.iter().any(|name| wanted.contains(name));
                let repetitions = bindings.iter().rev().flat_map(|own| &own.repeated);
                let repetitions = repetitions
                    .filter(|(names, _)| known(names))
                    .map(|(_, all)| all);
                let all = repetitions.max_by_key(|all| all.len());
                for (at, own) in all.into_iter().flatten().enumerate() {
                    if at > 0 {
                        written.extend(separator.cloned());
                    }
                    write(inside, &[bindings, &[own]].concat(), written);
                }
            }
            Part::Other(Tree::Group(bracket, inside)) => {
                let mut group = Vec::new();
                write(inside, bindings, &mut group);
                written.push(Tree::Group(*bracket, group));
            }
            Part::Other(tree) => written.push(tree.clone()),
        }
    }
}
