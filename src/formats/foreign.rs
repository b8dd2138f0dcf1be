//! Files of other programs, known by their first bytes: what they are, and how what is in them comes here.

use std::fmt;

/// What wrote a file that is read here only by a detour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileOf {
    /// HDF5, as `.h5`.
    Hdf5,
    /// A `.keras` archive.
    Keras,
    /// `.pt` and `.pth`, as an archive or in the older form.
    PyTorch,
    /// A model of ONNX.
    Onnx,
    /// `saved_model.pb`.
    SavedModel,
    /// TensorFlow Lite.
    TfLite,
    Gguf,
    Pickle,
    /// An archive of NumPy's arrays.
    Npz,
    /// One of NumPy's arrays.
    Npy,
    /// A workbook of Excel.
    Excel,
    /// Any other archive.
    Zip,
    Gzip,
    /// Packed by a program of this name.
    Packed(&'static str),
    /// An image of this format.
    Image(&'static str),
    Parquet,
    /// Arrow and Feather.
    Arrow,
    Sqlite,
}

/// How files begin that nothing here reads.
const BEGINNINGS: [(&[u8], FileOf); 14] = [
    (b"\x89PNG\r\n\x1a\n", FileOf::Image("PNG")),
    (b"\xff\xd8\xff", FileOf::Image("JPEG")),
    (b"GIF87a", FileOf::Image("GIF")),
    (b"GIF89a", FileOf::Image("GIF")),
    (b"II*\0", FileOf::Image("TIFF")),
    (b"MM\0*", FileOf::Image("TIFF")),
    (b"ARROW1\0\0", FileOf::Arrow),
    (b"FEA1", FileOf::Arrow),
    (b"SQLite format 3\0", FileOf::Sqlite),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileOf::Excel),
    (b"BZh91AY&SY", FileOf::Packed("bzip2")),
    (b"\xfd7zXZ\0", FileOf::Packed("xz")),
    (b"\x28\xb5\x2f\xfd", FileOf::Packed("zstd")),
    (b"7z\xbc\xaf\x27\x1c", FileOf::Packed("7z")),
];

/// How PyTorch's older files begin: a pickle of this number.
const TORCH_MAGIC: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// What a file is by its first bytes; none where they are those of no format known here.
pub(crate) fn file_of(bytes: &[u8]) -> Option<FileOf> {
    let after = |begin: &[u8]| bytes.strip_prefix(begin);
    if after(b"PK\x03\x04").or(after(b"PK\x05\x06")).is_some() {
        return Some(archive(bytes));
    }
    if after(b"\x89HDF\r\n\x1a\n").is_some() {
        return Some(FileOf::Hdf5);
    }
    if after(b"\x93NUMPY").is_some() {
        return Some(FileOf::Npy);
    }
    if after(b"GGUF").is_some() {
        return Some(FileOf::Gguf);
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return Some(FileOf::TfLite);
    }
    if let Some((_, file)) = BEGINNINGS.iter().find(|(begin, _)| after(begin).is_some()) {
        return Some(*file);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some(FileOf::Packed("tar"));
    }
    if after(b"RIFF").is_some() && bytes.get(8..12) == Some(b"WEBP") {
        return Some(FileOf::Image("WebP"));
    }
    if after(b"PAR1").is_some() && bytes.ends_with(b"PAR1") {
        return Some(FileOf::Parquet);
    }
    // A safetensors file begins with the length of its header: short beginnings may be such a number.
    let is_length = bytes.get(4..8) == Some(&[0; 4]);
    if after(b"\x1f\x8b\x08").is_some() && !(is_length && bytes.get(8) == Some(&b'{')) {
        return Some(FileOf::Gzip);
    }
    // The length of a pickle's first frame has zeros there, too.
    let is_framed = matches!(bytes, [0x80, 4..=5, 0x95, ..]) && bytes.get(8) != Some(&b'{');
    if is_length && !is_framed {
        return None;
    }
    // A pickle says its version first, and the newer ones the length of their first frame.
    if let &[0x80, version @ 2..=5, next, ..] = bytes {
        if bytes[2..].starts_with(TORCH_MAGIC) {
            return Some(FileOf::PyTorch);
        }
        let begins = if version >= 4 {
            next == 0x95
        } else {
            b"](}cX".contains(&next)
        };
        return begins.then_some(FileOf::Pickle);
    }
    // Protocol buffers: the version of the format as field 1, then another field of few.
    match bytes {
        [0x08, 1, 0x12, ..] => Some(FileOf::SavedModel),
        [
            0x08,
            2..=40,
            0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42,
            ..,
        ] => Some(FileOf::Onnx),
        _ => None,
    }
}

/// What an archive is by the names of its files, which stand before each of them and again at its end.
fn archive(bytes: &[u8]) -> FileOf {
    let ends = [
        &bytes[..bytes.len().min(1 << 12)],
        &bytes[bytes.len().saturating_sub(1 << 16)..],
    ];
    let holds = |name: &[u8]| {
        let mut places = ends.iter().flat_map(|end| end.windows(name.len()));
        places.any(|place| place == name)
    };
    if holds(b"/data.pkl") {
        FileOf::PyTorch
    } else if holds(b"model.weights.h5") || (holds(b"config.json") && holds(b"metadata.json")) {
        FileOf::Keras
    } else if holds(b".npy") || bytes.starts_with(b"PK\x05\x06") {
        FileOf::Npz
    } else if holds(b"xl/workbook") {
        FileOf::Excel
    } else {
        FileOf::Zip
    }
}

impl fmt::Display for FileOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (keras, torch) = (
            "write its weights in Python with `numpy.savez(\"weights.npz\", **{v.path: v.numpy() for v in \
             model.weights})`, build the same network here, and read them with `Model::import_weights` and `Import::keras()`",
            "write its weights in Python with `safetensors.torch.save_file(model.state_dict(), \
             \"weights.safetensors\")`, build the same network here, and read them with `Model::import_weights` and \
             `Import::pytorch()`",
        );
        match self {
            FileOf::Hdf5 => write!(f, "this is an HDF5 file, as Keras' `.h5` is: load it in Keras, {keras}"),
            FileOf::Keras => write!(f, "this is a model of Keras (`.keras`): load it in Keras, {keras}"),
            FileOf::PyTorch => write!(f, "this is a file of PyTorch (`.pt`): load it in PyTorch, {torch}"),
            FileOf::Onnx => f.write_str(
                "this is a model of ONNX: write its weights in Python with `numpy.savez(\"weights.npz\", **{t.name: \
                 onnx.numpy_helper.to_array(t) for t in onnx.load(file).graph.initializer})`, build the same network here, \
                 and read them with `Model::import_weights`",
            ),
            FileOf::SavedModel => write!(f, "this is a SavedModel of TensorFlow: load it in Keras, {keras}"),
            FileOf::TfLite => f.write_str(
                "this is a model of TensorFlow Lite, whose weights are not read: take the model that it was made from",
            ),
            FileOf::Gguf => f.write_str(
                "this is a GGUF file, whose weights are not read: take the safetensors files that it was made from",
            ),
            FileOf::Pickle => f.write_str(
                "this is a pickle, which only Python reads, and which may run any program there: load it where you trust it, \
                 and write its arrays with `numpy.savez` or `safetensors.numpy.save_file`",
            ),
            FileOf::Npz => f.write_str(
                "this is an archive of NumPy's arrays (`.npz`), which holds weights without a network: build the network, \
                 and read them with `Model::load_weights` or `Model::import_weights`",
            ),
            FileOf::Npy => f.write_str(
                "this is one array of NumPy (`.npy`): read it with `kiln::data::Array::load`, and give it to a model with \
                 `Model::set_weights`",
            ),
            FileOf::Zip => f.write_str(
                "this is a zip archive without arrays of NumPy: unpack it, and read the files in it",
            ),
            FileOf::Gzip => f.write_str("this is a gzipped file: unpack it first"),
            FileOf::Packed(by) => write!(f, "this is a file packed by {by}: unpack it first"),
            FileOf::Image(format) => write!(f, "this is an image ({format}), which holds no weights"),
            FileOf::Excel => f.write_str("this is a workbook of Excel, which holds no weights"),
            FileOf::Parquet => f.write_str("this is a table in Parquet, which holds no weights"),
            FileOf::Arrow => f.write_str("this is a table of Arrow or Feather, which holds no weights"),
            FileOf::Sqlite => f.write_str("this is a database of SQLite, which holds no weights"),
        }
    }
}

/// What a text is that was left in a file's place; none where the bytes are no such text.
pub(crate) fn stands_in(bytes: &[u8]) -> Option<&'static str> {
    let begin = bytes.trim_ascii_start();
    let is = |tag: &[u8]| {
        begin
            .get(..tag.len())
            .is_some_and(|own| own.eq_ignore_ascii_case(tag))
    };
    if is(b"<!doctype html") || is(b"<html") {
        return Some(
            "this is a page of the web (HTML) in the place of the file: it may say why the file itself was not sent",
        );
    }
    is(b"version https://git-lfs.github.com/").then_some(
        "this is a pointer of Git LFS in the place of the file: `git lfs pull` brings the file itself",
    )
}

/// What a text is to those who read weights; none where the bytes are no text.
pub(crate) fn text_without_weights(bytes: &[u8]) -> Option<&'static str> {
    if let Some(message) = stands_in(bytes) {
        return Some(message);
    }
    if !is_text(bytes) {
        return None;
    }
    let is_json = bytes.trim_ascii_start().starts_with(b"{");
    let is_index = is_json && bytes.windows(12).any(|own| own == b"\"weight_map\"");
    Some(if is_index {
        "this is the index of a model in several files: read those that it lists, one after the other, with \
         `load_weights_by_name`"
    } else if is_json {
        "this is no safetensors file but JSON, which may describe a model, and holds no weights"
    } else {
        "this is no safetensors file but a text, which holds no weights"
    })
}

/// Whether the beginning of a file is text in UTF-8.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    let begin = &bytes[..bytes.len().min(1 << 10)];
    // A character may be cut at the end.
    let text = match str::from_utf8(begin) {
        Ok(text) => text,
        Err(refusal) if refusal.error_len().is_none() => {
            str::from_utf8(&begin[..refusal.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let odd = |c: char| c.is_control() && !c.is_whitespace();
    !text.is_empty() && !text.contains(odd)
}
