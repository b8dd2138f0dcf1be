//! Files of another kind than a reader of data takes: what they are, and how what is in them is read.

use crate::formats::{FileOf, file_of, is_text, stands_in};

/// What a reader of data takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A table in text.
    Table,
    /// One of NumPy's arrays.
    Array,
    /// An archive of these.
    Archive,
    /// An IDX file.
    Idx,
}

/// What a file is by its first bytes, or by all of them, where that is something else than is wanted, and what to do with it.
pub(super) fn told(bytes: &[u8], wanted: Wanted) -> Option<String> {
    if is_safetensors(bytes) {
        return Some(
            "this is a safetensors file, which holds a model or its weights: `Model::load` and `Model::load_weights` read it".into(),
        );
    }
    // Some of these files begin with letters, as a table may, but do not go on so.
    let is_table = wanted == Wanted::Table && is_text(bytes);
    let file = if is_table { None } else { file_of(bytes) };
    if let Some(message) = file.and_then(|file| of_program(file, wanted)) {
        return Some(message);
    }
    if is_idx(bytes) && wanted != Wanted::Idx {
        return Some(
            "this is an IDX file, as MNIST's are: `kiln::data::idx::read` reads it".into(),
        );
    }
    if wanted == Wanted::Idx {
        return None;
    }
    if let Some(message) = stands_in(bytes) {
        return Some(message.into());
    }
    if bytes.trim_ascii_start().starts_with(b"%PDF-") {
        return Some("this is a document (PDF): write its table as CSV".into());
    }
    if wanted == Wanted::Table {
        return None;
    }
    if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = bytes {
        return Some(
            "this is a text in UTF-16: where it is a table, `Csv` reads it with `.encoding(\"utf-16\")`".into(),
        );
    }
    is_text(bytes).then(|| "this is a text: where it is a table, `Csv` reads it".into())
}

/// What a text is that could not be read as a table, and what to do with it. A table may begin as JSON does, with a cell of it.
#[cfg(feature = "csv")]
pub(super) fn told_unread(bytes: &[u8]) -> Option<&'static str> {
    is_json(bytes).then_some(
        "this is JSON and no table: write it as CSV in Python with `pandas.read_json(file).to_csv(\"table.csv\", index=False)`",
    )
}

/// What a file of a known program is to a reader of data; none where it is what is wanted.
fn of_program(file: FileOf, wanted: Wanted) -> Option<String> {
    let arrays = "write its arrays in Python with `numpy.savez`, and read them with `kiln::data::npy::load_all`";
    let table = |reader: &str| {
        format!(
            "write it as text in Python with `pandas.{reader}(file).to_csv(\"table.csv\", index=False)`"
        )
    };
    let model = |of: &str| {
        format!(
            "this is a model of {of} and no data: `Model::load` tells how its weights come here"
        )
    };
    Some(match file {
        FileOf::Npy if wanted == Wanted::Array => return None,
        FileOf::Npz if wanted == Wanted::Archive => return None,
        FileOf::Npy => {
            "this is one array of NumPy (`.npy`): `kiln::data::Array::load` reads it".into()
        }
        FileOf::Npz => {
            "this is an archive of NumPy's arrays (`.npz`): `kiln::data::npy::load_all` reads it"
                .into()
        }
        FileOf::Hdf5 => format!("this is an HDF5 file: {arrays}"),
        FileOf::Pickle => format!(
            "this is a pickle, which only Python reads: load it where you trust it, and {arrays}"
        ),
        FileOf::PyTorch => {
            format!("this is a file of PyTorch (`.pt`): load it in PyTorch, and {arrays}")
        }
        FileOf::Keras => model("Keras"),
        FileOf::Onnx => model("ONNX"),
        FileOf::SavedModel => model("TensorFlow"),
        FileOf::TfLite => model("TensorFlow Lite"),
        FileOf::Gguf => model("GGUF"),
        FileOf::Zip => "this is a zip archive: unpack it, and read the files in it".into(),
        FileOf::Gzip => "this is a gzipped file: unpack it first".into(),
        FileOf::Packed(by) => format!(
            "this is a file packed by {by}: unpack it first; gzipped tables are read as they are"
        ),
        FileOf::Image(format) => format!(
            "this is an image ({format}): decode it, and give its pixels to `Dataset::images`"
        ),
        FileOf::Excel => format!(
            "this is a workbook of Excel: save it as CSV, or {}",
            table("read_excel")
        ),
        FileOf::Parquet => format!("this is a table in Parquet: {}", table("read_parquet")),
        FileOf::Arrow => format!(
            "this is a table of Arrow or Feather: {}",
            table("read_feather")
        ),
        FileOf::Sqlite => {
            "this is a database of SQLite: write the table that you want as CSV".into()
        }
    })
}

/// Whether a file begins with the length of a header and the header's first sign, as safetensors files do.
fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((len, rest)) = bytes.split_first_chunk::<8>() else {
        return false;
    };
    let len = u64::from_le_bytes(*len);
    (2..1 << 32).contains(&len) && rest.starts_with(b"{\"")
}

/// Whether a file begins as an IDX file does: zeros, a type, and how many dimensions there are, as few as data have.
fn is_idx(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, 8 | 9 | 11..=14, 1..=8, 0, ..])
}

/// Whether a text begins as JSON does that is an object, a list of objects, or objects line by line.
#[cfg(feature = "csv")]
fn is_json(bytes: &[u8]) -> bool {
    let begin = bytes.trim_ascii_start();
    let object = begin.strip_prefix(b"[").unwrap_or(begin);
    let inner = object.trim_ascii_start().strip_prefix(b"{");
    inner.is_some_and(|inner| inner.trim_ascii_start().starts_with(b"\""))
}
