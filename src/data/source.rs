//! A file's bytes, decompressed where they are gzipped, and what to say when they cannot be read.

use std::cell::Cell;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use crate::edge::files::File;
use crate::error::{Error, Result};

/// The first two bytes of a gzip file (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The most bytes that compressed data may unpack to: the first number, and the second for each compressed byte. The sets that
/// people train on unpack to less than twenty a byte; files made to fill the reader's memory unpack to a thousand.
const MAX_UNPACKED: (u64, u64) = (8 << 20, 200);

/// Refuses more bytes than `packed` compressed ones may come to.
pub(super) fn check_unpacked(packed: u64, unpacked: u64) -> io::Result<()> {
    let (free, each) = MAX_UNPACKED;
    if unpacked <= packed.saturating_mul(each).saturating_add(free) {
        return Ok(());
    }
    Err(io::Error::new(
        ErrorKind::InvalidData,
        format!(
            "{packed} bytes come to more than {unpacked}, over {each} each: unpack the file yourself where you trust it"
        ),
    ))
}

/// Counts the bytes that are read.
struct CountedReader<R>(R, Rc<Cell<u64>>);

impl<R: Read> Read for CountedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.set(self.1.get() + read as u64);
        Ok(read)
    }
}

/// Decompressed data, as long as there is no more of it than [`check_unpacked`] allows.
struct Unpacked<R> {
    reader: R,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.unpacked += read as u64;
        check_unpacked(self.packed.get(), self.unpacked)?;
        Ok(read)
    }
}

/// Opens `path` for reading; a gzipped file is decompressed on the way.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = File::open(path).map_err(|refusal| Error::io(path, refusal))?;
    unpacked(BufReader::new(file), path)
}

/// The bytes of `reader`, decompressed if they are gzipped; `path` is named in errors.
pub(super) fn unpacked<'a>(reader: impl Read + 'a, path: &Path) -> Result<Box<dyn Read + 'a>> {
    decompressed(reader).map_err(|refusal| unreadable(path, refusal))
}

/// The bytes of `reader`, decompressed if they begin as a gzip file does.
fn decompressed<'a>(mut reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(GZIP_MAGIC.len() as u64)
        .read_to_end(&mut start)?;
    let gzipped = start == GZIP_MAGIC;
    let whole = Cursor::new(start).chain(reader);
    Ok(if gzipped {
        let packed = Rc::new(Cell::new(0));
        Box::new(Unpacked {
            reader: MultiGzDecoder::new(CountedReader(whole, Rc::clone(&packed))),
            packed,
            unpacked: 0,
        })
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
