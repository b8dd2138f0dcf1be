//! Losses and metrics by name: the entries of a table, look-up, and the form that files keep.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lookup::plain;
use crate::nn::Config;
use crate::{Error, Result};

/// A loss or metric in a table.
pub(super) struct Listing<T> {
    /// The loss or metric with the settings that it has by default.
    pub example: fn() -> T,
    /// The same with settings from a file, where it has settings.
    pub read: Option<fn(&Config) -> Result<T>>,
    /// Names beside its own.
    pub short: &'static [&'static str],
    /// Whether a name alone tells all settings.
    pub has_default: bool,
}

/// What stands in a table.
pub(super) trait Listed: Sized + 'static {
    /// What it is, for errors.
    const WHAT: &'static str;
    /// Every entry.
    const TABLE: &'static [Listing<Self>];

    /// The name in files.
    fn listed_name(&self) -> &str;
}

/// The form in files: the name alone where there are no settings, else the settings under the name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Tagged {
    Name(String),
    Settings(BTreeMap<String, Config>),
}

impl<T: Listed> Listing<T> {
    /// An entry without settings.
    pub const fn new(example: fn() -> T, short: &'static [&'static str]) -> Self {
        Listing {
            example,
            read: None,
            short,
            has_default: true,
        }
    }

    fn is(&self, name: &str) -> bool {
        let wanted = plain(name);
        let own = (self.example)();
        plain(own.listed_name()) == wanted || self.short.iter().any(|short| plain(short) == wanted)
    }
}

/// The loss or metric of that name by default: the name of Keras' function or class, or a short one.
///
/// # Errors
///
/// [`Error::NotFound`] with all names.
pub(super) fn by_default<T: Listed>(name: &str) -> Result<T> {
    match find::<T>(name) {
        Some(entry) if entry.has_default => Ok((entry.example)()),
        _ => Err(not_found::<T>(name)),
    }
}

/// Whether a file can keep what has that name and those settings.
pub(super) fn is_listed<T: Listed>(name: &str, config: Option<&Config>) -> bool {
    config.is_some() && find::<T>(name).is_some()
}

fn find<T: Listed>(name: &str) -> Option<&'static Listing<T>> {
    T::TABLE.iter().find(|entry| entry.is(name))
}

fn not_found<T: Listed>(name: &str) -> Error {
    let complete = T::TABLE.iter().filter(|entry| entry.has_default);
    let known = complete.map(|entry| (entry.example)().listed_name().to_string());
    Error::not_found(T::WHAT, name, known)
}

impl Tagged {
    /// A name with the settings under it, if there are any.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where a file cannot keep it: a function that only the program itself knows.
    pub fn new<T: Listed>(name: &str, config: Option<Config>) -> Result<Self> {
        let Some(config) = config.filter(|config| is_listed::<T>(name, Some(config))) else {
            let message = format!("`{name}` is a {} that a file cannot keep", T::WHAT);
            return Err(Error::data(message));
        };
        if Config::of(&()).as_ref() == Some(&config) {
            return Ok(Tagged::Name(name.into()));
        }
        Ok(Tagged::settings(name, config))
    }

    /// Settings under a name.
    pub fn settings(name: &str, config: Config) -> Self {
        Tagged::Settings(BTreeMap::from([(name.into(), config)]))
    }

    /// The settings under that name.
    pub fn under(&self, name: &str) -> Option<&Config> {
        match self {
            Tagged::Name(_) => None,
            Tagged::Settings(settings) => settings.get(name),
        }
    }

    /// What the file kept.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for another name than those of the table, [`Error::Data`] for other settings.
    pub fn read<T: Listed>(&self) -> Result<T> {
        let (name, config) = match self {
            Tagged::Name(name) => (name, None),
            Tagged::Settings(settings) => match settings.iter().next() {
                Some((name, config)) if settings.len() == 1 => (name, Some(config)),
                _ => return Err(Error::data(format!("must name one {}", T::WHAT))),
            },
        };
        let Some(config) = config else {
            return by_default(name);
        };
        let entry = find::<T>(name).ok_or_else(|| not_found::<T>(name))?;
        match entry.read {
            Some(read) => read(config),
            None => Ok((entry.example)()),
        }
    }
}
