//! The settings of a layer as model files keep them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Result};

/// The settings of a layer in a model file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Config(Value);

impl Config {
    /// The settings as they serialise; none where they do not.
    pub fn of(settings: &impl Serialize) -> Option<Config> {
        serde_json::to_value(settings).ok().map(Config)
    }

    /// The settings as they were.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where they are not those of a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(self.0.clone()).map_err(|error| Error::data(error.to_string()))
    }
}
