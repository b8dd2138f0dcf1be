//! The form in which a fitted scaler stands in a model file: its means and scales.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::StandardScaler;

#[derive(Serialize, Deserialize)]
struct Parts {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

pub(crate) fn serialize<S: Serializer>(
    scaler: &Option<StandardScaler>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let parts = scaler.as_ref().map(|s| Parts {
        mean: s.mean().to_vec(),
        scale: s.scale().to_vec(),
    });
    parts.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<StandardScaler>, D::Error> {
    let parts = Option::<Parts>::deserialize(deserializer)?;
    let scaler = parts.map(|Parts { mean, scale }| StandardScaler::from_parts(mean, scale));
    scaler.transpose().map_err(serde::de::Error::custom)
}
