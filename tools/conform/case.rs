//! A case on disk: NAME.json says what it is, NAME.safetensors holds its tensors.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kiln::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Map, Value};

use super::Stop;

/// The element types that cases have; booleans are stored as u8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    F32,
    F64,
    Integer,
    Byte,
}

/// A tensor's elements, row-major. Every type that cases have fits into f64, but for integers beyond 2⁵³.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub kind: Kind,
    pub values: Vec<f64>,
}

impl Array {
    /// Numbers of this shape.
    pub fn floats(shape: &[usize], values: Vec<f64>) -> Self {
        let (shape, kind) = (shape.to_vec(), Kind::F32);
        Array {
            shape,
            kind,
            values,
        }
    }

    /// The elements as the device takes them.
    pub fn to_f32(&self) -> Vec<f32> {
        self.values.iter().map(|&value| value as f32).collect()
    }

    /// Rows `first..end` of the first dimension.
    pub fn rows(&self, first: usize, end: usize) -> Array {
        let mut shape = self.shape.clone();
        let row: usize = shape.iter().skip(1).product();
        if let Some(rows) = shape.first_mut() {
            *rows = end - first;
        }
        let values = self.values[first * row..end * row].to_vec();
        Array {
            shape,
            kind: self.kind,
            values,
        }
    }

    /// One entry of the first dimension, which is dropped.
    pub fn entry(&self, index: usize) -> Array {
        let mut entry = self.rows(index, index + 1);
        entry.shape.remove(0);
        entry
    }
}

/// A case in memory.
#[derive(Debug)]
pub struct Case {
    /// The file that says what it is.
    pub path: PathBuf,
    pub suite: String,
    pub name: String,
    pub kind: String,
    /// The class or function as its source spells it.
    pub op: String,
    pub config: Map<String, Value>,
    /// The source's own rounding noise, by tensor.
    pub noise: BTreeMap<String, f64>,
    /// Relative and absolute tolerance, where the case has its own.
    pub tolerance: Option<(f64, f64)>,
    tensors: BTreeMap<String, Array>,
    /// Tensors that were asked for: what is left over at the end was not tested.
    seen: RefCell<BTreeSet<String>>,
}

impl Case {
    /// Reads NAME.json and NAME.safetensors; `path` is either.
    pub fn read(path: &Path) -> Result<Case> {
        let (path, beside) = (
            path.with_extension("json"),
            path.with_extension("safetensors"),
        );
        let file = |path: &Path| std::fs::read(path).map_err(|error| Error::io(path, error));
        Self::parse(&path, &file(&path)?, &file(&beside)?)
    }

    /// The case in the bytes of its two files; `path` is that of the first.
    pub fn parse(path: &Path, text: &[u8], tensors: &[u8]) -> Result<Case> {
        let unfit = |message: String| Error::format(path, None, message);
        let meta: Map<String, Value> = serde_json::from_slice(text)
            .map_err(|error| unfit(format!("this is no JSON object: {error}")))?;
        let text = |key: &str| match meta.get(key) {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(unfit(format!("`{key}` is missing, or is no text"))),
        };
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let config = match meta.get("config") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(config)) => config.clone(),
            Some(_) => return Err(unfit("`config` is no object".into())),
        };
        let mut noise = BTreeMap::new();
        for (name, value) in meta
            .get("f64_err")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let value = number(value).filter(|value| *value >= 0.0);
            let value = value.ok_or_else(|| unfit(format!("`f64_err` of {name} is no number")))?;
            noise.insert(name.clone(), value);
        }
        let tolerance = match meta.get("tol") {
            None | Some(Value::Null) => None,
            Some(tol) => {
                let part = |key| tol.get(key).and_then(number);
                let both = part("rtol").zip(part("atol"));
                Some(both.ok_or_else(|| unfit("`tol` lacks the numbers rtol and atol".into()))?)
            }
        };
        Ok(Case {
            suite: text("suite")?,
            name: stem.unwrap_or_default(),
            kind: text("kind")?,
            op: text("op")?,
            config,
            noise,
            tolerance,
            tensors: read_tensors(tensors, &path.with_extension("safetensors"))?,
            seen: RefCell::default(),
            path: path.into(),
        })
    }

    /// An error about this case's files.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::format(&self.path, None, message)
    }

    /// The tensor of that name, which the case must have.
    pub fn tensor(&self, name: &str) -> Result<&Array, Stop> {
        let tensor = self.find(name);
        tensor.ok_or_else(|| Stop::Failed(self.error(format!("there is no tensor `{name}`"))))
    }

    /// The tensor of that name, if the case has it.
    pub fn find(&self, name: &str) -> Option<&Array> {
        let tensor = self.tensors.get(name)?;
        self.seen.borrow_mut().insert(name.to_string());
        Some(tensor)
    }

    /// The names of all tensors that begin with `prefix`, without it, in order.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let names = self
            .tensors
            .keys()
            .filter_map(|name| name.strip_prefix(prefix));
        names.map(String::from).collect()
    }

    /// The tensors that nobody asked for.
    pub fn unseen(&self) -> Vec<&str> {
        let seen = self.seen.borrow();
        let names = self.tensors.keys().map(String::as_str);
        names.filter(|name| !seen.contains(*name)).collect()
    }
}

/// A number of the JSON files, where those that are not finite are words.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(word) => match word.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn read_tensors(bytes: &[u8], path: &Path) -> Result<BTreeMap<String, Array>> {
    let unfit = |message: String| Error::format(path, None, message);
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| unfit(format!("this is no whole safetensors file: {error}")))?;
    let array = |(name, view): (&str, TensorView<'_>)| {
        let (kind, values) = elements(&view)
            .ok_or_else(|| unfit(format!("`{name}` is {:?}, which no case has", view.dtype())))?;
        let shape = view.shape().to_vec();
        Ok((
            name.to_string(),
            Array {
                shape,
                kind,
                values,
            },
        ))
    };
    file.iter().map(array).collect()
}

fn elements(view: &TensorView<'_>) -> Option<(Kind, Vec<f64>)> {
    fn read<const N: usize>(bytes: &[u8], element: fn([u8; N]) -> f64) -> Vec<f64> {
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|bytes| element(*bytes))
            .collect()
    }
    let bytes = view.data();
    Some(match view.dtype() {
        Dtype::F32 => (Kind::F32, read(bytes, |b| f64::from(f32::from_le_bytes(b)))),
        Dtype::F64 => (Kind::F64, read(bytes, f64::from_le_bytes)),
        Dtype::I32 => (
            Kind::Integer,
            read(bytes, |b| f64::from(i32::from_le_bytes(b))),
        ),
        Dtype::I64 => (Kind::Integer, read(bytes, |b| i64::from_le_bytes(b) as f64)),
        Dtype::U8 | Dtype::BOOL => (Kind::Byte, read(bytes, |[b]: [u8; 1]| f64::from(b))),
        _ => return None,
    })
}
