//! The header of a `.npy` file: a magic word, a version, and a Python dictionary of type, memory order and shape.

use crate::data::array::{ArrayHeader, ElementClass, ElementKind};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// More dimensions than any array of use has.
const MAX_DIMENSIONS: usize = 32;

/// Why an array is not read.
#[derive(Debug)]
pub enum UnreadArray {
    /// The file is not what its format asks for.
    Damaged(String),
    /// The elements are no numbers, or of a type that is not known here.
    OtherType(String),
}

impl UnreadArray {
    /// What is wrong.
    pub fn message(self) -> String {
        match self {
            UnreadArray::Damaged(message) | UnreadArray::OtherType(message) => message,
        }
    }
}

impl From<&str> for UnreadArray {
    fn from(message: &str) -> Self {
        UnreadArray::Damaged(message.into())
    }
}

impl ArrayHeader {
    /// The header of a file and the bytes after it.
    pub fn parse(file: &[u8]) -> Result<(Self, &[u8]), UnreadArray> {
        let rest = file
            .strip_prefix(MAGIC)
            .ok_or("it does not begin as a .npy file does")?;
        let cut_off = "the header is cut off";
        let (&[major, _minor], rest) = rest.split_first_chunk::<2>().ok_or(cut_off)?;
        let (len, rest) = match major {
            1 => {
                let (len, rest) = rest.split_first_chunk().ok_or(cut_off)?;
                (usize::from(u16::from_le_bytes(*len)), rest)
            }
            2 | 3 => {
                let (len, rest) = rest.split_first_chunk().ok_or(cut_off)?;
                (u32::from_le_bytes(*len) as usize, rest)
            }
            other => {
                let message = format!("version {other} of the format is not known");
                return Err(UnreadArray::OtherType(message));
            }
        };
        let (text, data) = rest.split_at_checked(len).ok_or(cut_off)?;
        // Versions 1 and 2 are in Latin-1, each byte of which is the character of its number.
        let text = if major < 3 {
            text.iter().copied().map(char::from).collect()
        } else {
            String::from_utf8(text.to_vec())
                .map_err(|refusal| UnreadArray::Damaged(format!("the header: {refusal}")))?
        };
        Ok((Self::dictionary(&text)?, data))
    }

    /// The dictionary `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, its keys in any order.
    fn dictionary(text: &str) -> Result<Self, UnreadArray> {
        let unread = || {
            let message = format!("the header `{}` is not understood", text.trim());
            UnreadArray::Damaged(message)
        };
        let other =
            |name: &str| UnreadArray::OtherType(format!("elements of type `{name}` are not read"));
        let mut rest = text.trim().strip_prefix('{').ok_or_else(unread)?;
        let (mut kind, mut fortran, mut shape) = (None, None, None);
        loop {
            rest = rest.trim_start();
            if let Some(end) = rest.strip_prefix('}') {
                if end.trim().is_empty() {
                    break;
                }
                return Err(unread());
            }
            let (key, after) = quoted(rest).ok_or_else(unread)?;
            let value = after.trim_start().strip_prefix(':').ok_or_else(unread)?;
            let value = value.trim_start();
            rest = match key {
                // Elements of several fields are described by a list of these.
                "descr" if value.starts_with('[') => return Err(other(value.trim())),
                "descr" => {
                    let (name, after) = quoted(value).ok_or_else(unread)?;
                    kind = Some(ElementKind::parse(name).ok_or_else(|| other(name))?);
                    after
                }
                "fortran_order" => {
                    match (value.strip_prefix("True"), value.strip_prefix("False")) {
                        (Some(after), _) => {
                            fortran = Some(true);
                            after
                        }
                        (_, Some(after)) => {
                            fortran = Some(false);
                            after
                        }
                        _ => return Err(unread()),
                    }
                }
                "shape" => {
                    let inside = value.strip_prefix('(').ok_or_else(unread)?;
                    let (list, after) = inside.split_once(')').ok_or_else(unread)?;
                    shape = Some(dimensions(list).ok_or_else(unread)?);
                    after
                }
                _ => return Err(unread()),
            };
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        match (kind, fortran, shape) {
            (Some(kind), Some(fortran), Some(shape)) => Ok(ArrayHeader {
                kind,
                fortran,
                shape,
            }),
            _ => Err(unread()),
        }
    }

    /// Magic word, version, length and dictionary of a file of little-endian elements, padded so that these begin at a multiple of 64
    /// bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let order = match (self.kind.width, self.kind.big_endian) {
            (1, _) => '|',
            (_, true) => '>',
            (_, false) => '<',
        };
        let class = match self.kind.class {
            ElementClass::Boolean => 'b',
            ElementClass::Signed => 'i',
            ElementClass::Unsigned => 'u',
            ElementClass::Float => 'f',
        };
        let dims: String = self.shape.iter().map(|dim| format!("{dim}, ")).collect();
        let dims = match self.shape.len() {
            1 => dims.trim_end(),
            _ => dims.trim_end_matches(", "),
        };
        let fortran = if self.fortran { "True" } else { "False" };
        let mut text = format!(
            "{{'descr': '{order}{class}{}', 'fortran_order': {fortran}, 'shape': ({dims}), }}",
            self.kind.width
        );
        // 12 bytes before the dictionary in version 2, a line feed after it.
        let padding = (12 + text.len() + 1).next_multiple_of(64) - (12 + text.len() + 1);
        text.extend(std::iter::repeat_n(' ', padding));
        text.push('\n');
        let mut bytes = MAGIC.to_vec();
        bytes.extend([2, 0]);
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.bytes());
        bytes
    }
}

/// A quoted text at the beginning, and what stands after it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| *c == '\'' || *c == '"')?;
    text[1..].split_once(quote)
}

/// The numbers of a tuple.
fn dimensions(list: &str) -> Option<Vec<usize>> {
    let list = list.trim();
    let list = list.strip_suffix(',').unwrap_or(list);
    if list.is_empty() {
        return Some(Vec::new());
    }
    if list.split(',').count() > MAX_DIMENSIONS {
        return None;
    }
    // Python 2 writes long integers as `2L`.
    let number = |dim: &str| dim.strip_suffix('L').unwrap_or(dim).parse().ok();
    list.split(',').map(|dim| number(dim.trim())).collect()
}
