//! The element types of the format.

use std::fmt;

use serde::Deserialize;
use serde::de::Deserializer;

/// The element types that are read, and by their names all others: the format gets new ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dtype {
    F16,
    BF16,
    F32,
    F64,
    U32,
    Other(String),
}

/// The bits of an element of the types that are not read.
const OTHER_BITS: &[(&str, usize)] = &[
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("BOOL", 8),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("F8_E5M2FNUZ", 8),
    ("F8_E4M3FNUZ", 8),
    ("I16", 16),
    ("U16", 16),
    ("I32", 32),
    ("I64", 64),
    ("U64", 64),
    ("C64", 64),
];

impl Dtype {
    /// The bits of an element; none of a type that came after this was written.
    pub(super) fn bits(&self) -> Option<usize> {
        match self {
            Dtype::F16 | Dtype::BF16 => Some(16),
            Dtype::F32 | Dtype::U32 => Some(32),
            Dtype::F64 => Some(64),
            Dtype::Other(name) => {
                let known = OTHER_BITS.iter().find(|(known, _)| known == name);
                known.map(|(_, bits)| *bits)
            }
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dtype::Other(name) => f.write_str(name),
            known => write!(f, "{known:?}"),
        }
    }
}

impl<'de> Deserialize<'de> for Dtype {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(match name.as_str() {
            "F16" => Dtype::F16,
            "BF16" => Dtype::BF16,
            "F32" => Dtype::F32,
            "F64" => Dtype::F64,
            "U32" => Dtype::U32,
            _ => Dtype::Other(name),
        })
    }
}
