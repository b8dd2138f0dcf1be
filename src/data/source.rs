//! A file's bytes, decompressed where they are gzipped, and what to say when they cannot be read.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::GzDecoder;

use crate::edge::files::File;
use crate::error::{Error, Result};

/// The first two bytes of a gzip file (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The most bytes that compressed data may unpack to where the caller does not say: the first number, and the second for each
/// compressed byte. The sets that people train on unpack to less than twenty a byte; files made to fill the reader's memory
/// unpack to a thousand.
const MAX_UNPACKED: (u64, u64) = (8 << 20, 200);

/// The most bytes that compressed data may unpack to.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnpackedLimit {
    /// As the caller says; by default [`MAX_UNPACKED`].
    pub bytes: Option<u64>,
    /// How a caller who trusts the data has it read, for the message.
    pub mend: &'static str,
}

impl UnpackedLimit {
    /// What `packed` compressed bytes may come to where nobody says more.
    pub fn by_default(packed: u64) -> u64 {
        let (free, each) = MAX_UNPACKED;
        packed.saturating_mul(each).saturating_add(free)
    }

    /// Refuses more bytes than `packed` compressed ones may come to.
    pub fn check(self, packed: u64, unpacked: u64) -> io::Result<()> {
        let most = self.bytes.unwrap_or(Self::by_default(packed));
        if unpacked <= most {
            return Ok(());
        }
        let mend = self.mend;
        Err(io::Error::new(
            ErrorKind::InvalidData,
            UnpackedTooLarge(format!(
                "its {packed} bytes come to more than the limit of {most} when they are unpacked: where you trust them, {mend}"
            )),
        ))
    }
}

/// That sound data comes to more bytes than are allowed.
#[derive(Debug)]
struct UnpackedTooLarge(String);

impl fmt::Display for UnpackedTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnpackedTooLarge {}

/// Counts the bytes that are read.
struct CountedReader<R>(R, Rc<Cell<u64>>);

impl<R: Read> Read for CountedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.set(self.1.get() + read as u64);
        Ok(read)
    }
}

/// Decompressed data, as long as there is no more of it than the limit.
struct Unpacked<R> {
    reader: R,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
    limit: UnpackedLimit,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.unpacked += read as u64;
        self.limit.check(self.packed.get(), self.unpacked)?;
        Ok(read)
    }
}

/// The data of all gzip members of a file, one after the other. Zeros may follow a member, as tapes and archives pad files.
struct GzipMembers<R> {
    /// None after the last one.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let rest = self.member.take().map(GzDecoder::into_inner);
            self.member = rest.map(next_member).transpose()?.flatten();
        }
        Ok(0)
    }
}

/// The member that begins after zeros; none where the file ends.
fn next_member<R: BufRead>(mut rest: R) -> io::Result<Option<GzDecoder<R>>> {
    loop {
        let bytes = rest.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let (ended, begins) = (bytes.is_empty(), zeros < bytes.len());
        rest.consume(zeros);
        if ended {
            return Ok(None);
        }
        if begins {
            return Ok(Some(GzDecoder::new(rest)));
        }
    }
}

/// Opens `path` for reading; a gzipped file is decompressed on the way.
pub(super) fn open(path: &Path, limit: UnpackedLimit) -> Result<Box<dyn Read>> {
    let file = File::open(path).map_err(|refusal| Error::io(path, refusal))?;
    unpacked(BufReader::new(file), path, limit)
}

/// The bytes of `reader`, decompressed if they are gzipped; `path` is named in errors.
pub(super) fn unpacked<'a>(
    reader: impl Read + 'a,
    path: &Path,
    limit: UnpackedLimit,
) -> Result<Box<dyn Read + 'a>> {
    decompressed(reader, limit).map_err(|refusal| unreadable(path, refusal))
}

/// The bytes of `reader`, decompressed if they begin as a gzip file does.
fn decompressed<'a>(
    mut reader: impl Read + 'a,
    limit: UnpackedLimit,
) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(GZIP_MAGIC.len() as u64)
        .read_to_end(&mut start)?;
    let gzipped = start == GZIP_MAGIC;
    let whole = Cursor::new(start).chain(reader);
    Ok(if gzipped {
        let packed = Rc::new(Cell::new(0));
        let counted = BufReader::new(CountedReader(whole, Rc::clone(&packed)));
        let member = Some(GzDecoder::new(counted));
        Box::new(Unpacked {
            reader: GzipMembers { member },
            packed,
            unpacked: 0,
            limit,
        })
    } else {
        Box::new(whole)
    })
}

/// The error of a failed read: damaged gzip data and too much of it are the file's fault, anything else the system's.
pub(super) fn unreadable(path: &Path, refusal: io::Error) -> Error {
    let too_large = refusal
        .get_ref()
        .is_some_and(|own| own.is::<UnpackedTooLarge>());
    let message = match refusal.kind() {
        _ if too_large => refusal.to_string(),
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
            format!("the gzip data is damaged or cut off: {refusal}")
        }
        _ => return Error::io(path, refusal),
    };
    Error::format(path, None, message)
}
