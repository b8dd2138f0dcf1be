//! Files of the model as it trains.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use crate::edge::files;
use crate::{Error, Result};

use super::monitor::at_least_one;
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
/// figure: `models/{epoch}-{val_loss}.safetensors`. A file appears whole or not at all.
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

    /// Whether a file may be one of its own: old ones are taken away, and a checkpoint may say anything.
    fn could_write(&self, path: &Path) -> bool {
        let Some(path) = path.to_str() else {
            return false;
        };
        let (Some(begin), Some(end)) = (self.path.find('{'), self.path.rfind('}')) else {
            return path == self.path;
        };
        let between = path
            .strip_prefix(&self.path[..begin])
            .and_then(|rest| rest.strip_suffix(self.path.get(end + 1..)?));
        between.is_some_and(|figures| !figures.contains(['/', '\\']))
    }

    fn path(&self, moment: &Moment<'_>) -> Result<PathBuf> {
        let mut path = self.path.replace("{epoch}", &moment.epoch().to_string());
        while let Some((before, rest)) = path.split_once('{') {
            let Some((name, after)) = rest.split_once('}') else {
                let message = format!("`{}` has a brace that is not closed", self.path);
                return Err(Error::argument("path", message));
            };
            path = format!("{before}{:.4}{after}", moment.figure(name)?);
        }
        Ok(path.into())
    }
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
        Ok(())
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        // First: an epoch that is not saved must not raise the bar for those that are.
        if !moment.epoch().is_multiple_of(self.every) {
            return Ok(());
        }
        if self.keep == Keep::Best && !self.monitor.improves(moment)? {
            return Ok(());
        }
        let path = self.path(moment)?;
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
        if let Some(path) = written.iter().find(|path| !self.could_write(path)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_it_could_not_have_written_is_none_to_take_away() {
        let own = ModelCheckpoint::new("models/{epoch}-{loss}.safetensors");
        assert!(own.could_write(Path::new("models/12-0.5000.safetensors")));
        for other in [
            "models/../secrets.safetensors",
            "/etc/passwd",
            "models/12.txt",
            "12-0.5000.safetensors",
        ] {
            assert!(!own.could_write(Path::new(other)), "{other}");
        }
        let fixed = ModelCheckpoint::new("best.safetensors");
        assert!(fixed.could_write(Path::new("best.safetensors")));
        assert!(!fixed.could_write(Path::new("best.safetensors.bak")));
    }
}
