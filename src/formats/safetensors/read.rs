//! Reading the format: the header is checked before any tensor is looked at.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::formats::{file_of, text_without_weights};
use crate::number::{first_beyond_f32, half_value};
use crate::reserve::reserved;
use crate::{Error, Result};

use super::dtype::Dtype;
use super::{MAX_HEADER, MAX_TENSORS, METADATA, fits};

/// More dimensions than any tensor of use has.
const MAX_DIMENSIONS: usize = 32;

/// A file as it was read: the header is checked, and every place lies within the bytes.
#[derive(Debug)]
pub(crate) struct File<'a> {
    path: &'a Path,
    /// The length and the header, as they are in the file.
    pub head: &'a [u8],
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, TensorEntry>,
    data: &'a [u8],
}

/// A tensor of a file.
#[derive(Debug)]
pub(crate) struct StoredTensor<'a> {
    path: &'a Path,
    name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: &'a [u8],
}

/// A tensor as the header has it. What else is said of it is passed over, as by the format's own reader.
#[derive(Debug, Deserialize)]
struct TensorEntry {
    dtype: Dtype,
    shape: Dims,
    data_offsets: (usize, usize),
}

/// A shape of few dimensions.
#[derive(Debug)]
struct Dims(Vec<usize>);

impl<'de> Deserialize<'de> for Dims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sizes;
        impl<'de> Visitor<'de> for Sizes {
            type Value = Dims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of sizes")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut sizes: S) -> Result<Dims, S::Error> {
                let mut dims = Vec::new();
                while let Some(size) = sizes.next_element()? {
                    if dims.len() == MAX_DIMENSIONS {
                        let message = format!("{MAX_DIMENSIONS} dimensions are the most");
                        return Err(de::Error::custom(message));
                    }
                    dims.push(size);
                }
                Ok(Dims(dims))
            }
        }
        deserializer.deserialize_seq(Sizes)
    }
}

/// The header's object. A name that comes twice is refused.
#[derive(Debug, Default)]
struct FileHeader {
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, TensorEntry>,
}

impl<'de> Deserialize<'de> for FileHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = FileHeader;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<FileHeader, M::Error> {
                let mut header = FileHeader::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == METADATA {
                        // Null, or texts by name; what is no text among them is passed over unread.
                        let all: Option<BTreeMap<String, Box<RawValue>>> = map.next_value()?;
                        let text = |(name, raw): (String, Box<RawValue>)| {
                            Some((name, serde_json::from_str(raw.get()).ok()?))
                        };
                        header.metadata = all.into_iter().flatten().filter_map(text).collect();
                        continue;
                    }
                    if header.tensors.len() == MAX_TENSORS {
                        let message = format!("{MAX_TENSORS} tensors are the most");
                        return Err(de::Error::custom(message));
                    }
                    let described = map.next_value()?;
                    if header.tensors.insert(name.clone(), described).is_some() {
                        return Err(de::Error::custom(format!("two tensors are named `{name}`")));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Names)
    }
}

impl<'a> File<'a> {
    /// Reads the header and checks that the tensors lie one after the other, to the last byte.
    pub fn parse(bytes: &'a [u8], path: &'a Path) -> Result<Self> {
        let unfit = |message: String| {
            let other = file_of(bytes).map(|other| other.to_string());
            let other = other.or_else(|| text_without_weights(bytes).map(Into::into));
            let message =
                other.unwrap_or_else(|| format!("this is no safetensors file: {message}"));
            Error::format(path, None, message)
        };
        let Some((len, rest)) = bytes.split_first_chunk::<8>() else {
            return Err(unfit(format!("it has {} bytes", bytes.len())));
        };
        let said = u64::from_le_bytes(*len);
        let len = usize::try_from(said).unwrap_or(usize::MAX);
        if len > MAX_HEADER {
            return Err(unfit(format!(
                "its header would be {said} bytes long; {MAX_HEADER} are the most"
            )));
        }
        let Some((json, data)) = rest.split_at_checked(len) else {
            return Err(unfit(format!(
                "its header would be {said} bytes long, and {} follow",
                rest.len()
            )));
        };
        let header: FileHeader =
            serde_json::from_slice(json).map_err(|error| unfit(format!("its header: {error}")))?;
        for (name, entry) in &header.tensors {
            entry
                .check(data.len())
                .map_err(|message| unfit(format!("the tensor `{name}` {message}")))?;
        }
        let entries = header.tensors.iter();
        let mut places: Vec<_> = entries.map(|(name, e)| (e.data_offsets, name)).collect();
        places.sort_by_key(|(place, _)| *place);
        let mut end = 0;
        for ((begin, after), name) in places {
            if begin != end {
                return Err(unfit(format!(
                    "the tensor `{name}` begins at byte {begin} of the data, but the one before it ends at {end}"
                )));
            }
            end = after;
        }
        if end != data.len() {
            return Err(unfit(format!(
                "its tensors end at byte {end} of {} of data",
                data.len()
            )));
        }
        Ok(File {
            path,
            head: &bytes[..8 + len],
            metadata: header.metadata,
            tensors: header.tensors,
            data,
        })
    }

    /// A text of the metadata.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(String::as_str)
    }

    /// What the JSON of that name in the metadata says.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let unfit = |message: String| Error::format(self.path, None, message);
        let text = self
            .text(name)
            .ok_or_else(|| unfit(format!("its metadata has no `{name}`")))?;
        fits(text).map_err(|message| unfit(format!("its `{name}` {message}")))?;
        serde_json::from_str(text).map_err(|error| unfit(format!("its `{name}`: {error}")))
    }

    /// The names of the tensors that begin so.
    pub fn names_with(&self, prefix: &str) -> impl Iterator<Item = &str> {
        let from = self.tensors.range(prefix.to_string()..);
        let names = from.map(|(name, _)| name.as_str());
        names.take_while(move |name| name.starts_with(prefix))
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The tensor of that name.
    pub fn find(&self, name: &str) -> Option<StoredTensor<'a>> {
        let entry = self.tensors.get(name)?;
        Some(StoredTensor {
            path: self.path,
            name: name.into(),
            dtype: entry.dtype.clone(),
            shape: entry.shape.0.clone(),
            bytes: &self.data[entry.data_offsets.0..entry.data_offsets.1],
        })
    }

    /// The tensor of that name, which must be there.
    pub fn tensor(&self, name: &str) -> Result<StoredTensor<'a>> {
        self.find(name)
            .ok_or_else(|| Error::format(self.path, None, format!("it has no tensor `{name}`")))
    }
}

impl TensorEntry {
    /// Refuses a tensor whose place is not within `bytes` bytes of data, or not of its size.
    fn check(&self, bytes: usize) -> Result<(), String> {
        let (begin, end) = self.data_offsets;
        let sized = |bits: usize| {
            let mut dims = self.shape.0.iter();
            let size = dims.try_fold(bits, |n, &dim| n.checked_mul(dim));
            size.is_some() && size == (end - begin).checked_mul(8)
        };
        // How wide a type of a later version of the format is, nobody knows here.
        if begin <= end && end <= bytes && self.dtype.bits().is_none_or(sized) {
            return Ok(());
        }
        Err(format!(
            "is {} {:?} in bytes {begin} to {end} of {bytes}, which does not fit",
            self.dtype, self.shape.0
        ))
    }
}

impl StoredTensor<'_> {
    /// Whether its elements are floats that [`floats`](Self::floats) reads.
    pub fn is_float(&self) -> bool {
        !matches!(self.dtype, Dtype::U32 | Dtype::Other(_))
    }

    fn decoded<T, const N: usize>(&self, decode: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
        let mut values = reserved(Some(self.bytes.len() / N), "the tensor's elements")?;
        let elements = self.bytes.as_chunks::<N>().0;
        values.extend(elements.iter().map(|&bytes| decode(bytes)));
        Ok(values)
    }

    fn other<T>(&self, wanted: &str) -> Result<T> {
        let message = format!("the tensor `{}` is {}, not {wanted}", self.name, self.dtype);
        Err(Error::format(self.path, None, message))
    }

    /// The first of its numbers that f32 does not hold.
    pub fn beyond_f32(&self) -> Option<f64> {
        if self.dtype != Dtype::F64 {
            return None;
        }
        let numbers = self.bytes.as_chunks().0.iter();
        first_beyond_f32(numbers.map(|&bytes| f64::from_le_bytes(bytes)))
    }

    /// The elements as f32; wider floats are rounded to the nearest.
    pub fn floats(&self) -> Result<Vec<f32>> {
        if let Some(number) = self.beyond_f32() {
            return self.other(&format!("of numbers that f32 holds: there is {number:e}"));
        }
        self.rounded()
    }

    /// The elements as f32, rounded to the nearest; one that is [beyond](Self::beyond_f32) what f32 holds is infinite.
    pub fn rounded(&self) -> Result<Vec<f32>> {
        match self.dtype {
            Dtype::F32 => self.decoded(f32::from_le_bytes),
            Dtype::F64 => self.decoded(|bytes| f64::from_le_bytes(bytes) as f32),
            Dtype::BF16 => {
                self.decoded(|bytes| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16))
            }
            Dtype::F16 => self.decoded(|bytes| half_value(u16::from_le_bytes(bytes))),
            _ => self.other("floats"),
        }
    }

    /// The elements, which must be f64.
    pub fn doubles(&self) -> Result<Vec<f64>> {
        match self.dtype {
            Dtype::F64 => self.decoded(f64::from_le_bytes),
            _ => self.other("F64"),
        }
    }

    /// The elements, which must be u32.
    pub fn words(&self) -> Result<Vec<u32>> {
        match self.dtype {
            Dtype::U32 => self.decoded(u32::from_le_bytes),
            _ => self.other("U32"),
        }
    }
}
