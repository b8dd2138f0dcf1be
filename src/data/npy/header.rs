//! The header of a `.npy` file: a magic word, a version, and a Python dictionary of type, memory order and shape.

use std::fmt;

const MAGIC: &[u8] = b"\x93NUMPY";

/// More dimensions than any array of use has.
const MAX_DIMENSIONS: usize = 32;

/// What the bytes after the header are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ArrayHeader {
    pub kind: ElementKind,
    /// Whether the first index runs fastest.
    pub fortran: bool,
    pub shape: Vec<usize>,
}

/// The type of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ElementKind {
    class: ElementClass,
    width: usize,
    big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ElementClass {
    Boolean,
    Signed,
    Unsigned,
    Float,
}

impl ElementKind {
    /// A type by NumPy's letters, such as `<f4`.
    fn parse(text: &str) -> Option<Self> {
        let (order, rest) = text.split_at_checked(1)?;
        let (class, width) = rest.split_at_checked(1)?;
        let width = width.parse().ok()?;
        let class = match (class, width) {
            ("b", 1) => ElementClass::Boolean,
            ("i", 1 | 2 | 4 | 8) => ElementClass::Signed,
            ("u", 1 | 2 | 4 | 8) => ElementClass::Unsigned,
            ("f", 2 | 4 | 8) => ElementClass::Float,
            _ => return None,
        };
        let big_endian = match order {
            "<" => false,
            ">" => true,
            "|" if width == 1 => false,
            _ => return None,
        };
        Some(ElementKind {
            class,
            width,
            big_endian,
        })
    }

    /// Bytes of an element.
    pub fn width(self) -> usize {
        self.width
    }

    pub fn is_integer(self) -> bool {
        self.class != ElementClass::Float
    }

    /// Whether elements are bytes from 0 to 255.
    pub fn is_u8(self) -> bool {
        self.class == ElementClass::Unsigned && self.width == 1
    }

    /// The number in the bytes of an element.
    pub fn float(self, bytes: &[u8]) -> f64 {
        let place = |i: usize| {
            if self.big_endian {
                self.width - 1 - i
            } else {
                i
            }
        };
        let bits =
            (0..self.width).fold(0u64, |bits, i| bits | u64::from(bytes[place(i)]) << (8 * i));
        match (self.class, self.width) {
            (ElementClass::Boolean, _) => f64::from(u8::from(bits != 0)),
            (ElementClass::Unsigned, _) => bits as f64,
            (ElementClass::Signed, width) => {
                // The sign bit goes to the top and comes back down with its copies.
                let unused = 64 - 8 * width as u32;
                ((bits << unused) as i64 >> unused) as f64
            }
            (ElementClass::Float, 2) => half(bits as u16),
            (ElementClass::Float, 4) => f64::from(f32::from_bits(bits as u32)),
            (ElementClass::Float, _) => f64::from_bits(bits),
        }
    }
}

/// The number of an IEEE 754 half.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

impl fmt::Display for ElementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.class {
            ElementClass::Boolean => "boolean",
            ElementClass::Signed => "integer",
            ElementClass::Unsigned => "unsigned integer",
            ElementClass::Float => "float",
        };
        write!(f, "{class} elements of {} bytes", self.width)
    }
}

impl ArrayHeader {
    /// That of little-endian floats, row-major.
    pub fn of_f32(shape: &[usize]) -> Self {
        ArrayHeader {
            kind: ElementKind {
                class: ElementClass::Float,
                width: 4,
                big_endian: false,
            },
            fortran: false,
            shape: shape.to_vec(),
        }
    }

    /// Bytes of all elements, if they can be counted.
    pub fn bytes(&self) -> Option<usize> {
        let dims = self.shape.iter();
        dims.copied().try_fold(self.kind.width, usize::checked_mul)
    }

    /// The header of a file and the bytes after it.
    pub fn parse(file: &[u8]) -> Result<(Self, &[u8]), String> {
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
            other => return Err(format!("version {other} of the format is not known")),
        };
        let (text, data) = rest.split_at_checked(len).ok_or(cut_off)?;
        let text = str::from_utf8(text).map_err(|refusal| format!("the header: {refusal}"))?;
        Ok((Self::dictionary(text)?, data))
    }

    /// The dictionary `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, its keys in any order.
    fn dictionary(text: &str) -> Result<Self, String> {
        let unread = || format!("the header `{}` is not understood", text.trim());
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
                "descr" => {
                    let (name, after) = quoted(value).ok_or_else(unread)?;
                    let known = ElementKind::parse(name);
                    kind = Some(
                        known.ok_or_else(|| format!("elements of type `{name}` are not read"))?,
                    );
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
    list.split(',').map(|dim| dim.trim().parse().ok()).collect()
}
