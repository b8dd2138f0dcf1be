//! Texts in other encodings, brought into UTF-8.

use std::borrow::Cow;

use crate::error::{Error, Result};

use super::records::{Unread, line_ends};

/// How the characters of a file are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Latin1,
    Windows1252,
    Utf16(ByteOrder),
}

/// Which byte of two comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
    /// By the byte order mark, and little-endian without one.
    Marked,
}

/// The characters of Windows-1252 from 0x80 to 0x9f, U+FFFD where there is none; the others are those of Latin-1.
const WINDOWS: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž',
    '\u{fffd}', '\u{fffd}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}',
    'ž', 'Ÿ',
];

impl Encoding {
    /// The encoding of that name, in any case and with any of the usual dashes.
    pub fn from_name(name: &str) -> Result<Self> {
        let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        Ok(match plain.to_ascii_lowercase().as_str() {
            "utf8" | "utf8sig" => Encoding::Utf8,
            "latin1" | "iso88591" => Encoding::Latin1,
            "windows1252" | "cp1252" => Encoding::Windows1252,
            "utf16" => Encoding::Utf16(ByteOrder::Marked),
            "utf16le" => Encoding::Utf16(ByteOrder::Little),
            "utf16be" => Encoding::Utf16(ByteOrder::Big),
            _ => {
                let message = format!(
                    "must be utf-8, utf-16, utf-16le, utf-16be, latin-1 or windows-1252, got `{name}`"
                );
                return Err(Error::argument("encoding", message));
            }
        })
    }

    /// The text in UTF-8, without a byte order mark. UTF-8 itself is checked cell by cell, where a cell is used.
    pub fn decode(self, bytes: &[u8]) -> Result<Cow<'_, [u8]>, Unread> {
        match self {
            Encoding::Utf8 => {
                not_other(bytes)?;
                // Some editors begin a file with a byte order mark; it is no part of the first cell.
                Ok(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).into())
            }
            Encoding::Latin1 => {
                let text: String = bytes.iter().copied().map(char::from).collect();
                Ok(text.into_bytes().into())
            }
            Encoding::Windows1252 => windows(bytes).map(|text| text.into_bytes().into()),
            Encoding::Utf16(order) => utf16(bytes, order).map(|text| text.into_bytes().into()),
        }
    }
}

/// Refuses a text that begins as one in UTF-16 or UTF-32 does, which is a table of bad cells in UTF-8.
fn not_other(bytes: &[u8]) -> Result<(), Unread> {
    let found = match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => "UTF-32",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => "UTF-16",
        _ => return Ok(()),
    };
    let mend = match (found, bytes) {
        ("UTF-32", _) => "which is not read: save it as UTF-8",
        (_, [0, ..]) => "`.encoding(\"utf-16be\")` reads it",
        _ => "`.encoding(\"utf-16\")` reads it",
    };
    let first = &bytes[..bytes.len().min(4)];
    Err((
        1,
        format!("its first bytes {first:02x?} are those of a text in {found}, not UTF-8; {mend}"),
    ))
}

fn windows(bytes: &[u8]) -> Result<String, Unread> {
    let mut text = String::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        let place = byte.checked_sub(0x80).map(usize::from);
        let c = place.and_then(|place| WINDOWS.get(place).copied());
        let c = c.unwrap_or(char::from(*byte));
        if c == '\u{fffd}' {
            return Err((
                1 + line_ends(bytes, 0..at),
                format!("the byte {byte:02x} stands for no character in Windows-1252"),
            ));
        }
        text.push(c);
    }
    Ok(text)
}

fn utf16(bytes: &[u8], order: ByteOrder) -> Result<String, Unread> {
    let (marked_big, bytes) = match bytes {
        [0xff, 0xfe, rest @ ..] if order != ByteOrder::Big => (false, rest),
        [0xfe, 0xff, rest @ ..] if order != ByteOrder::Little => (true, rest),
        _ => (order == ByteOrder::Big, bytes),
    };
    let (units, rest) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| match marked_big {
        true => u16::from_be_bytes(*unit),
        false => u16::from_le_bytes(*unit),
    });
    let mut text = String::with_capacity(bytes.len());
    let unread = |text: &str, message: String| {
        let line = 1 + line_ends(text.as_bytes(), 0..text.len());
        Err((line, message))
    };
    for c in char::decode_utf16(units) {
        match c {
            Ok(c) => text.push(c),
            Err(unpaired) => {
                let unit = unpaired.unpaired_surrogate();
                let message =
                    format!("{unit:04x} is half of a character in UTF-16, without the other half");
                return unread(&text, message);
            }
        }
    }
    if !rest.is_empty() {
        let message = "it ends within a character: the text in UTF-16 is cut off, or it is in another encoding";
        return unread(&text, message.into());
    }
    Ok(text)
}
