//! The file operations that writers use: those of the system, or others that a program or a test gives.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use crate::edge::files;
use crate::edge::files::{File, OpenOptions};

/// Where files are written: the system's own disks by default.
///
/// Writing a file whole or not at all needs these five operations and no others: it is created under a name of its own in the same
/// folder, synced, renamed, and the folder is synced. A test gives a disk that fails in one of them.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a folder and those above it, where they are not there yet.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes a file that must not be there yet, not even as a link. Its `flush` brings what was written down to the disk.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Write + Send>>;

    /// Gives a file another name in one step, in place of one that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file away.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Brings the names in a folder down to the disk, where the system can.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// The system's own disks.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Disk for System {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        files::create_dir_all(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Box::new(NewFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        files::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        files::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        // Windows opens no folders, and brings names down by itself.
        if cfg!(unix) {
            File::open(path)?.sync_all()
        } else {
            Ok(())
        }
    }
}

/// A file of the system that is being written.
struct NewFile(File);

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}
