//! Writing the format: the header of a file, and the bytes of its tensors.

use std::borrow::Cow;

use super::{MAX_HEADER, MAX_TENSORS, METADATA, fits};

/// A tensor to be written.
#[derive(Debug, Clone)]
pub(crate) struct NewTensor<'a> {
    pub name: String,
    pub shape: Vec<usize>,
    pub elements: Elements<'a>,
}

/// The elements of a tensor to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Elements<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    U32(&'a [u32]),
}

impl<'a> Elements<'a> {
    pub fn len(self) -> usize {
        match self {
            Elements::F32(values) => values.len(),
            Elements::F64(values) => values.len(),
            Elements::U32(values) => values.len(),
        }
    }

    fn dtype(self) -> &'static str {
        match self {
            Elements::F32(_) => "F32",
            Elements::F64(_) => "F64",
            Elements::U32(_) => "U32",
        }
    }

    /// The tensor's bytes, little-endian.
    pub fn bytes(self) -> Cow<'a, [u8]> {
        match self {
            Elements::F32(v) => little(v, |value| value.to_le_bytes()),
            Elements::F64(v) => little(v, |value| value.to_le_bytes()),
            Elements::U32(v) => little(v, |value| value.to_le_bytes()),
        }
    }
}

fn little<'a, T: bytemuck::NoUninit, const N: usize>(
    values: &'a [T],
    bytes: fn(&T) -> [u8; N],
) -> Cow<'a, [u8]> {
    if cfg!(target_endian = "little") {
        bytemuck::cast_slice(values).into()
    } else {
        values.iter().flat_map(bytes).collect::<Vec<u8>>().into()
    }
}

/// The length and the header of a file of these tensors, in their order: what comes before their bytes.
pub(crate) fn header(
    tensors: &[NewTensor<'_>],
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, String> {
    if tensors.len() > MAX_TENSORS {
        let len = tensors.len();
        return Err(format!("{len} tensors are more than {MAX_TENSORS}"));
    }
    for (name, text) in metadata {
        fits(text).map_err(|message| format!("its `{name}` {message}"))?;
    }
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let texts = metadata
        .iter()
        .map(|(name, text)| format!("{}:{}", quoted(name), quoted(text)));
    let mut entries = vec![format!(
        "{}:{{{}}}",
        quoted(METADATA),
        texts.collect::<Vec<_>>().join(",")
    )];
    let mut end = 0;
    for NewTensor {
        name,
        shape,
        elements,
    } in tensors
    {
        let begin = end;
        end += elements.bytes().len();
        let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
        entries.push(format!(
            r#"{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{begin},{end}]}}"#,
            quoted(name),
            elements.dtype(),
            dims.join(",")
        ));
    }
    let mut json = format!("{{{}}}", entries.join(",")).into_bytes();
    // The tensors begin at a multiple of eight bytes.
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    if header.len() > MAX_HEADER {
        let len = header.len();
        return Err(format!(
            "its header would be {len} bytes long; {MAX_HEADER} are the most"
        ));
    }
    Ok(header)
}
