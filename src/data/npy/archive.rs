//! `.npz` files: zip archives of `.npy` files, stored or deflated.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::data::array::ArrayHeader;
use crate::data::foreign::{Wanted, told};
use crate::data::source::UnpackedLimit;
use crate::error::{Error, Result};
use crate::reserve::reserved;

use super::header::{MAGIC, UnreadArray};
use super::{Archive, Array};

/// Every array of an archive, by its name; `path` is named in errors.
pub(super) fn read(
    mut file: impl Read + Seek,
    path: &Path,
    limit: UnpackedLimit,
) -> Result<Archive> {
    let packed = file.seek(SeekFrom::End(0));
    let packed = packed.map_err(|refusal| Error::io(path, refusal))?;
    let other = other_kind(&mut file).map_err(|refusal| Error::io(path, refusal))?;
    if let Some(other) = other {
        return Err(Error::format(path, None, other));
    }
    let counted = check_counts(&mut file, packed).map_err(|refusal| Error::io(path, refusal))?;
    counted.map_err(|message| Error::format(path, None, message))?;
    let mut unpacked = 0_u64;
    let mut archive = ZipArchive::new(file).map_err(|refusal| unfit(path, refusal))?;
    let (mut arrays, mut others) = (BTreeMap::new(), BTreeMap::new());
    for index in 0..archive.len() {
        let Some(full) = archive.name_for_index(index) else {
            continue;
        };
        let full = full.map_err(|refusal| unfit(path, refusal))?.into_owned();
        // Of `a.npy.npy` the name is `a.npy`.
        let name = full.strip_suffix(".npy").unwrap_or(&full).to_string();
        let named = |message: String| Error::format(path, None, format!("`{name}`: {message}"));
        let found = match archive.by_index(index) {
            Ok(mut entry) => {
                let said = entry.size();
                let mut allow = || {
                    unpacked = unpacked.saturating_add(said);
                    limit.check(packed, unpacked)
                };
                array_in(&mut entry, said, &full, &mut allow)
            }
            Err(
                refusal @ (ZipError::UnsupportedArchive(_)
                | ZipError::CompressionMethodNotSupported(_)),
            ) => Err(UnreadArray::OtherType(refusal.to_string())),
            Err(refusal) => return Err(unfit(path, refusal)),
        };
        match found {
            Ok(_) if arrays.contains_key(&name) => {
                return Err(named("two arrays have this name".into()));
            }
            Ok(array) => {
                arrays.insert(name, array);
            }
            Err(UnreadArray::OtherType(message)) => {
                others.insert(name, message);
            }
            Err(UnreadArray::Damaged(message)) => return Err(named(message)),
        }
    }
    Ok(Archive {
        path: path.into(),
        arrays,
        others,
    })
}

/// What the file is where it does not begin as an archive does.
fn other_kind(file: &mut (impl Read + Seek)) -> io::Result<Option<String>> {
    file.seek(SeekFrom::Start(0))?;
    let mut begin = Vec::new();
    append(file, &mut begin, 1 << 12)?;
    let is_archive = begin.starts_with(b"PK");
    Ok((!is_archive)
        .then(|| told(&begin, Wanted::Archive))
        .flatten())
}

/// The array in a file of an archive, which says that the file has `said` bytes; they are read once `allow` is asked.
fn array_in(
    file: &mut impl Read,
    said: u64,
    full_name: &str,
    allow: &mut impl FnMut() -> io::Result<()>,
) -> Result<Array, UnreadArray> {
    let damaged = |refusal: io::Error| UnreadArray::Damaged(refusal.to_string());
    let mut magic = Vec::new();
    let begin = file.take(MAGIC.len() as u64).read_to_end(&mut magic);
    begin.map_err(damaged)?;
    if magic != MAGIC {
        return Err(if full_name.ends_with(".npy") {
            "it does not begin as a .npy file does".into()
        } else {
            UnreadArray::OtherType("it is a file that holds no array".into())
        });
    }
    // What is no array of numbers is passed over, however large it is.
    let mut begun = magic;
    read_header(file, &mut begun).map_err(damaged)?;
    if let Err(other @ UnreadArray::OtherType(_)) = ArrayHeader::parse(&begun) {
        return Err(other);
    }
    allow().map_err(damaged)?;
    let room = reserved(usize::try_from(said).ok(), "the array");
    let mut bytes = room.map_err(|refusal| UnreadArray::Damaged(refusal.to_string()))?;
    bytes.append(&mut begun);
    // A file ends where it says, and its checksum is compared where the reader sees that: one byte further.
    let rest = file.take(said.saturating_add(1)).read_to_end(&mut bytes);
    rest.map_err(damaged)?;
    Array::parse(bytes)
}

/// Appends the header of an array after its magic word, or as much of it as there is; of a header of unusual length nothing.
fn read_header(file: &mut impl Read, begun: &mut Vec<u8>) -> io::Result<()> {
    // Long enough for any type and shape, and for records of hundreds of fields.
    const MAX_HEADER: u64 = 1 << 20;
    append(file, begun, 4)?;
    let len = match begun[MAGIC.len()..] {
        [1, _, low, high] => u64::from(u16::from_le_bytes([low, high])),
        [_, _, first, second] => {
            append(file, begun, 2)?;
            let [third, fourth] = begun[MAGIC.len() + 4..] else {
                return Ok(());
            };
            u64::from(u32::from_le_bytes([first, second, third, fourth]))
        }
        _ => return Ok(()),
    };
    if len > MAX_HEADER {
        return Ok(());
    }
    append(file, begun, len)
}

/// Appends the next `len` bytes, or those that there are.
fn append(file: &mut impl Read, begun: &mut Vec<u8>, len: u64) -> io::Result<()> {
    file.take(len).read_to_end(begun).map(drop)
}

/// The bytes of an archive of these arrays; `path` is named in errors.
pub(super) fn to_bytes<'a>(
    arrays: impl IntoIterator<Item = (&'a str, &'a Array)>,
    path: &Path,
) -> Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, array) in arrays {
        let entry = archive.start_file(format!("{name}.npy"), options.large_file(true));
        entry.map_err(|refusal| match refusal {
            ZipError::InvalidArchive(_) => {
                Error::argument("arrays", format!("two of them are named `{name}`"))
            }
            other => unfit(path, other),
        })?;
        let written = archive.write_all(&array.to_bytes());
        written.map_err(|refusal| Error::io(path, refusal))?;
    }
    let file = archive.finish().map_err(|refusal| unfit(path, refusal))?;
    Ok(file.into_inner())
}

/// Refuses a directory that says to list more files than an archive of arrays has: room for them is made before they are
/// read. The counts stand at the archive's end, and in the large form of the format in a record that may be anywhere.
fn check_counts(file: &mut (impl Read + Seek), len: u64) -> io::Result<Result<(), String>> {
    const MAX_FILES: u64 = 10_000;
    // Each is tried as the archive's end, with its directory read anew. One is, unless an array holds such bytes by chance.
    const MAX_ENDS: usize = 16;
    // The end, with the longest comment.
    const TAIL: u64 = (1 << 16) + 100;
    let begin = len.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(begin))?;
    let mut tail = Vec::new();
    file.by_ref().take(TAIL).read_to_end(&mut tail)?;
    let (mut most, mut ends) = (0_u64, 0);
    for end in tail
        .windows(12)
        .filter(|end| end.starts_with(b"PK\x05\x06"))
    {
        most = most.max(u64::from(u16::from_le_bytes([end[10], end[11]])));
        ends += 1;
    }
    if ends > MAX_ENDS {
        return Ok(Err(format!("it tells its end {ends} times")));
    }
    if tail.windows(4).any(|end| end == b"PK\x06\x07") {
        file.seek(SeekFrom::Start(0))?;
        let mut window = Vec::new();
        loop {
            let read = file.by_ref().take(1 << 20).read_to_end(&mut window)?;
            for record in window.windows(40).filter(|r| r.starts_with(b"PK\x06\x06")) {
                for count in [&record[24..32], &record[32..40]] {
                    let bytes = count.as_chunks().0;
                    most = most.max(bytes.first().map_or(0, |count| u64::from_le_bytes(*count)));
                }
            }
            if read == 0 {
                break;
            }
            window.drain(..window.len().saturating_sub(39));
        }
    }
    if most > MAX_FILES {
        return Ok(Err(format!(
            "its directory says to list {most} files; {MAX_FILES} arrays are the most"
        )));
    }
    Ok(Ok(()))
}

fn unfit(path: &Path, refusal: ZipError) -> Error {
    match refusal {
        ZipError::Io(refusal) => Error::io(path, refusal),
        other => Error::format(path, None, format!("this is no sound .npz file: {other}")),
    }
}
