//! Files that appear whole or not at all, and reading them back.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::edge::files;
use crate::edge::files::{File, Permissions};
use crate::reserve::reserved;
use crate::{Error, Result};

use super::Disk;

/// The ending of a file that is being written.
pub(crate) const PART: &str = "part";

/// Writes a file that appears whole or not at all, whatever happens meanwhile: the process killed, the disk full, the
/// power gone.
///
/// The parts are written one after the other under a name of their own in the same folder, synced, renamed to `path`, and
/// the folder is synced. Once this returns, the file is on the disk. Where anything fails up to the renaming, what `path` was
/// is still there and nothing is left beside it. Where only the folder cannot be synced, the new file is there, whole, and
/// the error tells that it may not outlast a loss of power: `path` is then either what it was or the new file. A process
/// that ended in between leaves a file `.<name>.<process>-<number>.part`, and so does a disk that refuses to take it away.
///
/// A symbolic link stays one: the file that it leads to is written. A file that was there hands on its permissions; other hard
/// links to it keep what it held, as the name alone leads to the new file.
///
/// # Errors
///
/// [`Error::Io`] with the path that was to be written: where the system refuses, and where there is something else there than a
/// plain file that may be written, such as a folder, a device, a pipe or a file that is read-only.
pub(crate) fn write<'a>(
    disk: &dyn Disk,
    path: impl AsRef<Path>,
    parts: impl IntoIterator<Item = impl AsRef<[u8]> + 'a>,
) -> Result<()> {
    let path = path.as_ref();
    let refused = |refusal: std::io::Error| Error::io(path, refusal);
    let path = &destination(path).map_err(refused)?;
    let permissions = permissions(path).map_err(refused)?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let (beside, mut file) = create(disk, path).map_err(refused)?;
    // Before anything is in it: what few may read, others do not read meanwhile.
    let permitted = permissions.map_or(Ok(()), |own| hand_on(own, &beside));
    let mut parts = parts.into_iter();
    let written = permitted.and_then(|()| parts.try_for_each(|part| file.write_all(part.as_ref())));
    let written = written.and_then(|()| file.flush());
    // Closed before it is renamed: Windows wants it so.
    drop(file);
    let renamed = written.and_then(|()| disk.rename(&beside, path));
    if let Err(refusal) = renamed {
        // If that fails too, the first error is the one to tell.
        disk.remove(&beside).unwrap_or_default();
        return Err(refused(refusal));
    }
    disk.sync_folder(folder).map_err(refused)
}

/// More symbolic links in a row than any system follows.
const MAX_LINKS: usize = 64;

/// The path of the file that is written at `path`: where links lead to, whether a file is there yet or not.
fn destination(path: &Path) -> std::io::Result<PathBuf> {
    check_plain(path)?;
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        let Ok(target) = files::read_link(&path) else {
            // No link, or nothing at all.
            return Ok(path);
        };
        path = match path.parent() {
            Some(folder) => folder.join(target),
            None => target,
        };
    }
    Err(std::io::Error::new(
        ErrorKind::InvalidInput,
        format!("more than {MAX_LINKS} symbolic links lead on from it"),
    ))
}

/// The permissions of the file that is at `path`, if one is; refuses one that may not be written, which a file beside it could take
/// the place of all the same.
fn permissions(path: &Path) -> std::io::Result<Option<Permissions>> {
    check_writable(path)?;
    match files::metadata(path) {
        Err(refusal) if refusal.kind() == ErrorKind::NotFound => Ok(None),
        metadata => Ok(Some(metadata?.permissions())),
    }
}

/// Gives a new file these permissions where it has others: there are disks on which they cannot be set.
fn hand_on(permissions: Permissions, beside: &Path) -> std::io::Result<()> {
    match files::metadata(beside) {
        // On a disk of a program's own.
        Err(refusal) if refusal.kind() == ErrorKind::NotFound => Ok(()),
        Ok(new) if new.permissions() == permissions => Ok(()),
        new => new.and_then(|_| files::set_permissions(beside, permissions)),
    }
}

/// Refuses a path at which there is no plain file that may be written, unless there is nothing yet.
///
/// # Errors
///
/// The errors of [`check_plain`], and [`ErrorKind::PermissionDenied`] for a file that is read-only, for whoever writes.
pub(crate) fn check_writable(path: &Path) -> std::io::Result<()> {
    check_plain(path)?;
    let metadata = match files::metadata(path) {
        Err(refusal) if refusal.kind() == ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    // A system asks its administrator nothing.
    if metadata.permissions().readonly() {
        let message = "this file is read-only: permit that it is written, or take another name";
        return Err(std::io::Error::new(ErrorKind::PermissionDenied, message));
    }
    files::OpenOptions::new().write(true).open(path).map(drop)
}

/// Refuses a path at which there is something else than a plain file, or than a link to one.
///
/// # Errors
///
/// What the system raises, and [`ErrorKind::InvalidInput`] for a folder, a device, a pipe or a socket.
pub(crate) fn check_plain(path: &Path) -> std::io::Result<()> {
    let metadata = match files::metadata(path) {
        Err(refusal) if refusal.kind() == ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() {
        "this is no plain file but a folder"
    } else {
        "this is no plain file but a device, a pipe or a socket"
    };
    Err(std::io::Error::new(ErrorKind::InvalidInput, what))
}

/// Bytes of a name that finds room in another one beside it: systems take 255.
const MAX_NAME: usize = 200;

/// A new file in the folder of `path`, under a name that no other writer uses.
fn create(disk: &dyn Disk, path: &Path) -> std::io::Result<(PathBuf, Box<dyn Write + Send>)> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let mut name = OsString::from(".");
        let own = path.file_name().unwrap_or_default();
        if own.len() <= MAX_NAME {
            name.push(own);
        }
        name.push(format!(".{}-{number}.{PART}", std::process::id()));
        let beside = path.with_file_name(name);
        match disk.create(&beside) {
            Ok(file) => return Ok((beside, file)),
            // Left by a process that was killed and had the number that this one has now.
            Err(refusal) if refusal.kind() == ErrorKind::AlreadyExists => {}
            Err(refusal) => return Err(refusal),
        }
    }
}

/// Reads a file whole, with room for no more than it says to hold.
///
/// # Errors
///
/// [`Error::Io`] where the system refuses, and where `path` is no plain file: a pipe or a device may have no end.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let refused = |refusal: std::io::Error| Error::io(path, refusal);
    check_plain(path).map_err(refused)?;
    let len = files::metadata(path).map_err(refused)?.len();
    let mut bytes = reserved(usize::try_from(len).ok(), "the file")?;
    let file = File::open(path).map_err(refused)?;
    file.take(len).read_to_end(&mut bytes).map_err(refused)?;
    Ok(bytes)
}
