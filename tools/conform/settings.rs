//! The arguments that a case was made with. One that nobody asked about is one that Kiln does not have.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::Stop;
use super::case::{Case, number};

/// No settings at all.
pub static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// The settings of a case, or of one object in its `config`.
pub struct Settings<'a> {
    case: &'a Case,
    map: &'a Map<String, Value>,
    seen: BTreeSet<&'a str>,
}

impl<'a> Settings<'a> {
    /// The whole `config`.
    pub fn of(case: &'a Case) -> Self {
        Self::within(case, &case.config)
    }

    /// An object within it.
    pub fn within(case: &'a Case, map: &'a Map<String, Value>) -> Self {
        let seen = BTreeSet::new();
        Settings { case, map, seen }
    }

    /// The value, unless it is missing or null.
    pub fn get(&mut self, key: &str) -> Option<&'a Value> {
        let (key, value) = self.map.get_key_value(key)?;
        self.seen.insert(key);
        (!value.is_null()).then_some(value)
    }

    /// A number, or `default` where it is missing.
    pub fn number(&mut self, key: &str, default: f64) -> Result<f64, Stop> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => number(value).ok_or_else(|| self.wrong(key, value, "no number")),
        }
    }

    /// A number that must be there.
    pub fn required(&mut self, key: &str) -> Result<f64, Stop> {
        let missing = || Stop::Failed(self.case.error(format!("config has no `{key}`")));
        let value = self.map.get(key).ok_or_else(missing)?;
        self.number(key, f64::NAN).and_then(|number| match value {
            Value::Null => Err(self.wrong(key, value, "no number")),
            _ => Ok(number),
        })
    }

    /// A whole number from 0 that must be there.
    pub fn count(&mut self, key: &str) -> Result<u32, Stop> {
        let count = self.required(key)?;
        if count.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&count) {
            return Ok(count as u32);
        }
        Err(Stop::Failed(
            self.case
                .error(format!("config.{key} is {count}, no count")),
        ))
    }

    /// A switch, or `default` where it is missing; 0 and 1 will do.
    pub fn flag(&mut self, key: &str, default: bool) -> Result<bool, Stop> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => match value.as_i64() {
                Some(number @ (0 | 1)) => Ok(number == 1),
                _ => Err(self.wrong(key, value, "neither true nor false")),
            },
        }
    }

    /// A text, or `default` where it is missing.
    pub fn text(&mut self, key: &str, default: &'a str) -> Result<&'a str, Stop> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::String(text)) => Ok(text),
            Some(value) => Err(self.wrong(key, value, "no text")),
        }
    }

    /// Whole numbers: a list, or one alone.
    pub fn integers(&mut self, key: &str) -> Result<Option<Vec<i64>>, Stop> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        integers(value)
            .map(Some)
            .ok_or_else(|| self.wrong(key, value, "no list of integers"))
    }

    /// Settings without a bearing on the result.
    pub fn ignore(&mut self, keys: &[&str]) {
        for key in keys {
            self.get(key);
        }
    }

    /// Settings that must be as if they were not there: missing, null, false, zero or empty.
    pub fn without(&mut self, keys: &[&str]) -> Result<(), Stop> {
        keys.iter().try_for_each(|key| match self.get(key) {
            Some(value) if !is_nothing(value) => Stop::unsupported(*key),
            _ => Ok(()),
        })
    }

    /// Every setting that has a value was asked about; the first that was not is not supported.
    pub fn finish(mut self) -> Result<(), Stop> {
        let unseen = self
            .map
            .keys()
            .find(|key| !self.seen.contains(key.as_str()));
        match unseen.cloned() {
            None => Ok(()),
            Some(key) => {
                self.without(&[&key])?;
                self.finish()
            }
        }
    }

    fn wrong(&self, key: &str, value: &Value, what: &str) -> Stop {
        Stop::Failed(self.case.error(format!("config.{key} is {value}, {what}")))
    }
}

/// Whole numbers: a list, or one alone.
pub fn integers(value: &Value) -> Option<Vec<i64>> {
    match value {
        Value::Array(values) => values.iter().map(Value::as_i64).collect(),
        value => value.as_i64().map(|value| vec![value]),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Object(map) => map.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Bool(true) | Value::String(_) => false,
    }
}
