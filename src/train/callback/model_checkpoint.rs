//! Files of the model as it trains.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use crate::edge::files;
use crate::formats::check_writable;
use crate::{Error, Result};

use super::monitor::{at_least_one, figure_names};
use super::template::Template;
use super::{Callback, Kept, Moment, Monitor};

/// Which files a [`ModelCheckpoint`] keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// One, of the best epoch so far.
    Best,
    /// The files of the last epochs that were saved, as many as this.
    Last(u64),
    /// All.
    All,
}

/// Saves the model after epochs, by [`Model::save`](crate::train::Model::save): Keras' callback of that name.
///
/// In the path `{epoch}` stands for the epoch's number, counted from 1, and the name of a figure in braces for the
/// figure, in Python's forms where one is given: `models/{epoch:02d}-{val_loss:.2f}.safetensors`. Folders that are not there
/// are made; what names no figure of the run is refused before it begins. A file appears whole or not at all.
#[derive(Debug, Clone)]
pub struct ModelCheckpoint {
    path: String,
    monitor: Monitor,
    keep: Keep,
    every: u64,
    written: VecDeque<PathBuf>,
}

impl ModelCheckpoint {
    /// Saves every epoch to this path and keeps all the files that differ in name; watches `val_loss`.
    pub fn new(path: impl Into<String>) -> Self {
        ModelCheckpoint {
            path: path.into(),
            monitor: Monitor::new("val_loss"),
            keep: Keep::All,
            every: 1,
            written: VecDeque::new(),
        }
    }

    /// Saves only epochs that are the best so far by this figure, and keeps one file. As in Keras, one callback in several runs
    /// (`&mut`) goes on from the best of the runs before: give each a new one where each is to have its own best.
    pub fn best(mut self, monitor: impl Into<Monitor>) -> Self {
        self.monitor = monitor.into();
        self.keep = Keep::Best;
        self
    }

    /// Keeps the last `files` files; at least 1.
    pub fn last(mut self, files: u64) -> Self {
        self.keep = Keep::Last(files);
        self
    }

    /// Saves whenever this many epochs are done, of which [`best`](Self::best) then takes the best; default 1.
    pub fn every(mut self, epochs: u64) -> Self {
        self.every = epochs;
        self
    }

    /// The files that are there, oldest first.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.written.iter()
    }

    fn template(&self) -> Result<Template> {
        Template::parse(&self.path)
    }
}

/// Makes the folder of a file where it is not there.
fn make_folder(folder: &Path, file: &Path) -> Result<()> {
    files::create_dir_all(folder).map_err(|refusal| Error::io(file, refusal))
}

impl Callback for ModelCheckpoint {
    fn begin(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        at_least_one("every", self.every)?;
        if let Keep::Last(files) = self.keep {
            at_least_one("last", files)?;
        }
        if self.keep == Keep::Best {
            self.monitor.begin(moment.validates, moment.model)?;
        }
        let template = self.template()?;
        template.check(&figure_names(moment.validates, moment.model)?)?;
        moment.model.check_description()?;
        if let Some(path) = template.fixed() {
            check_writable(path).map_err(|refusal| Error::io(path, refusal))?;
        }
        let folder = template.folder();
        folder.map_or(Ok(()), |folder| make_folder(folder, Path::new(&self.path)))
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        // First: an epoch that is not saved must not raise the bar for those that are.
        if !moment.epoch().is_multiple_of(self.every) {
            return Ok(());
        }
        if self.keep == Keep::Best && !self.monitor.improves(moment)? {
            return Ok(());
        }
        let path = self
            .template()?
            .path(moment.epoch(), |name| moment.figure(name))?;
        if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
            make_folder(folder, &path)?;
        }
        moment.model.save(&path)?;
        self.written.retain(|known| *known != path);
        self.written.push_back(path);
        let most = match self.keep {
            Keep::Best => 1,
            Keep::Last(files) => usize::try_from(files).unwrap_or(usize::MAX),
            Keep::All => usize::MAX,
        };
        while self.written.len() > most {
            if let Some(old) = self.written.pop_front() {
                match files::remove_file(&old) {
                    // Somebody else may have taken it away.
                    Err(refusal) if refusal.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::io(old, refusal));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn state(&self) -> Result<Kept> {
        Kept::of(&(self.monitor.bits(), &self.written))
    }

    fn restore(&mut self, kept: &Kept) -> Result<()> {
        let (best, written): (Option<u64>, VecDeque<PathBuf>) = kept.values()?;
        let template = self.template()?;
        if let Some(path) = written.iter().find(|path| !template.could_write(path)) {
            let message = format!(
                "holds {}, which is no file of `{}`",
                path.display(),
                self.path
            );
            return Err(Error::argument("resume", message));
        }
        self.written = written;
        self.monitor.best = best.map(f64::from_bits);
        Ok(())
    }
}
