//! Tables of things that are known by names: look-up by the names of Keras' functions and classes alike.

use crate::{Error, Result};

/// Something with its usual settings, and the names that it is known by, the first of which is its own.
pub(crate) type Named<T> = (T, &'static [&'static str]);

/// A name without what tells a function's (`he_normal`) from a class's (`HeNormal`).
pub(crate) fn plain(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}

/// What a table has under that name.
pub(crate) fn find<T: Clone>(
    what: &'static str,
    name: &str,
    table: &'static [Named<T>],
) -> Result<T> {
    let wanted = plain(name);
    let is = |(_, names): &&Named<T>| names.iter().any(|known| plain(known) == wanted);
    let found = table.iter().find(is);
    found
        .map(|(known, _)| known.clone())
        .ok_or_else(|| Error::not_found(what, name, table.iter().map(|(_, names)| names[0])))
}
