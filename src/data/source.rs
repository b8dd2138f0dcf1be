//! A file's bytes, decompressed where they are gzipped, and what to say when they cannot be read.

use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

/// The first two bytes of a gzip file (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Opens `path` for reading; a gzipped file is decompressed on the way.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = File::open(path).map_err(|refusal| Error::io(path, refusal))?;
    decompressed(BufReader::new(file)).map_err(|refusal| unreadable(path, refusal))
}

/// The bytes of `reader`, decompressed if they begin as a gzip file does.
pub(super) fn decompressed<'a>(mut reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(GZIP_MAGIC.len() as u64)
        .read_to_end(&mut start)?;
    let gzipped = start == GZIP_MAGIC;
    let whole = Cursor::new(start).chain(reader);
    Ok(if gzipped {
        Box::new(MultiGzDecoder::new(whole))
    } else {
        Box::new(whole)
    })
}

/// The error of a failed read: damaged gzip data is the file's fault, anything else the system's.
pub(super) fn unreadable(path: &Path, refusal: io::Error) -> Error {
    match refusal.kind() {
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
            Error::format(
                path,
                None,
                format!("the gzip data is damaged or cut off: {refusal}"),
            )
        }
        _ => Error::io(path, refusal),
    }
}
