//! The arguments of PyTorch's modules and functions, by position or by keyword.

use serde_json::Value;

use crate::conform::Stop;
use crate::conform::case::{Case, number};
use crate::conform::settings::{self, Settings};

/// Arguments by position or by keyword.
pub struct Arguments<'a> {
    positional: &'a [Value],
    pub keywords: Settings<'a>,
    /// How many of the positional ones were asked for.
    seen: usize,
}

impl<'a> Arguments<'a> {
    /// The lists of these names in `config`.
    pub fn of(case: &'a Case, positional: &str, keywords: &str) -> Result<Self, Stop> {
        let wrong = |name: &str| Stop::Failed(case.error(format!("config.{name} is missing")));
        let positional = case
            .config
            .get(positional)
            .and_then(Value::as_array)
            .ok_or_else(|| wrong(positional))?;
        let keywords = match case.config.get(keywords) {
            None | Some(Value::Null) => &*settings::NOTHING,
            Some(keywords) => keywords
                .as_object()
                .ok_or_else(|| wrong(keywords.as_str().unwrap_or("kwargs")))?,
        };
        Ok(Arguments {
            positional,
            keywords: Settings::within(case, keywords),
            seen: 0,
        })
    }

    /// The argument, unless it is missing or null.
    pub fn get(&mut self, position: usize, keyword: &str) -> Option<&'a Value> {
        self.seen = self.seen.max(position + 1);
        let given = self
            .positional
            .get(position)
            .filter(|value| !value.is_null());
        given.or_else(|| self.keywords.get(keyword))
    }

    /// A number, or `default` where it is missing.
    pub fn number(&mut self, position: usize, keyword: &str, default: f64) -> Result<f64, Stop> {
        match self.get(position, keyword) {
            None => Ok(default),
            Some(value) => {
                number(value).map_or_else(|| Stop::unsupported(format!("{keyword} {value}")), Ok)
            }
        }
    }

    /// A switch, or `default` where it is missing.
    pub fn flag(&mut self, position: usize, keyword: &str, default: bool) -> Result<bool, Stop> {
        match self.get(position, keyword) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Stop::unsupported(format!("{keyword} {value}")),
        }
    }

    /// Leading positional arguments, and keywords, that the tensors tell as well.
    pub fn ignore(&mut self, positions: usize, keywords: &[&str]) {
        self.seen = self.seen.max(positions);
        self.keywords.ignore(keywords);
    }

    /// Every argument was asked for.
    pub fn finish(self) -> Result<(), Stop> {
        if self.positional.len() > self.seen {
            return Stop::unsupported("more positional arguments");
        }
        self.keywords.finish()
    }
}
