//! Checkpoints of a run in a folder: when they are written, which are kept, and the newest that is sound.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::edge::files;
use crate::formats::{Disk, PART, System};
use crate::{Error, Result};

use super::callback::{Monitor, at_least_one};
use super::fit::Resumed;
use super::history::figure;
use super::hook::{Every, StateHook};
use super::model::Model;
use super::state::{Order, RunState};

/// Where and how often a run writes its state, for [`Fit::checkpoints`](super::Fit::checkpoints).
///
/// A file holds all that [`Fit::resume_from`](super::Fit::resume_from) needs to end in the same bits as a run that never
/// stopped: [`RunState`]. Files for those who only use the model are
/// [`ModelCheckpoint`](super::ModelCheckpoint)'s business.
///
/// ```
/// use kiln::prelude::*;
/// use kiln::train::{Checkpoints, Every};
///
/// # let folder = std::env::temp_dir().join(format!("kiln-doc-{}", std::process::id()));
/// let data = Dataset::from_rows(&[[0., 0.], [0., 1.], [1., 0.], [1., 1.]], &[[0.], [1.], [1.], [0.]])?;
/// let network = Sequential::new(2).dense(8, Tanh).dense(1, Sigmoid).seed(1);
/// let mut model = network.compile_on(&Device::cpu(), BinaryCrossentropy, Adam::new(0.05), [Accuracy])?;
/// // Started again after a crash, the same lines go on from the newest checkpoint.
/// let checkpoints = Checkpoints::in_folder(&folder).every(Every::Epochs(10)).keep_last(3);
/// let fit = Fit::epochs(100).silent().checkpoints(checkpoints).resume_from(&folder);
/// model.fit(&data, fit)?;
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    every: Every,
    last: u64,
    /// The figure by which the best one stays too.
    pub(super) best: Option<Monitor>,
    disk: Arc<dyn Disk>,
}

impl Checkpoints {
    /// Writes to this folder, which is made if it is not there and is this run's alone: a file after every epoch and at the
    /// end, of which the last two stay.
    ///
    /// The run is refused where the newest sound checkpoint in it is of another run, or of a later step than the one that it
    /// goes on from. An old file that cannot be taken away stays until the next one is written, with a warning.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Checkpoints {
            folder: folder.into(),
            every: Every::Epochs(1),
            last: 2,
            best: None,
            disk: Arc::new(System),
        }
    }

    /// How often a checkpoint is written; default after every epoch. The device waits while the state is read.
    pub fn every(mut self, every: Every) -> Self {
        self.every = every;
        self
    }

    /// How many of the last checkpoints stay, at least 1; default 2, so that there is another where one is damaged.
    pub fn keep_last(mut self, files: u64) -> Self {
        self.last = files;
        self
    }

    /// Keeps the checkpoint of the best epoch too, by a figure such as `val_loss`. Only checkpoints written at the end of an epoch
    /// are compared.
    pub fn keep_best(mut self, figure: impl Into<Monitor>) -> Self {
        self.best = Some(figure.into());
        self
    }

    /// Writes by the operations of a disk of one's own in place of the system's.
    pub fn on_disk(mut self, disk: impl Disk + 'static) -> Self {
        self.disk = Arc::new(disk);
        self
    }

    /// The newest checkpoint in a folder whose checksums are right, with its file, and the errors of newer ones that were
    /// passed over; none where there is no checkpoint or no folder.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] where there are checkpoints and all of them are damaged, [`Error::Io`] where the system refuses.
    pub fn newest(folder: impl AsRef<Path>) -> Result<Option<Newest>> {
        let mut passed_over = Vec::new();
        for (_, path) in files(folder.as_ref())?.into_iter().rev() {
            match RunState::load(&path) {
                Ok(state) => {
                    return Ok(Some(Newest {
                        state,
                        path,
                        passed_over,
                    }));
                }
                Err(damage @ Error::Format { .. }) => {
                    tracing::warn!(
                        path = %path.display(),
                        error = %damage,
                        "checkpoint damaged, an older one is looked for"
                    );
                    passed_over.push(damage);
                }
                Err(other) => return Err(other),
            }
        }
        match passed_over.into_iter().next() {
            Some(damage) => Err(damage),
            None => Ok(None),
        }
    }

    /// Refuses settings out of range, and a folder with checkpoints that the run does not come from; makes the folder.
    pub(super) fn begin(
        &mut self,
        resumed: Option<&Resumed>,
        validates: bool,
        model: &Model,
    ) -> Result<()> {
        self.every.validate()?;
        at_least_one("keep_last", self.last)?;
        if let Some(monitor) = &mut self.best {
            monitor.begin(validates, model)?;
        }
        let refused = |refusal| Error::io(&self.folder, refusal);
        self.disk.create_folder(&self.folder).map_err(refused)?;
        self.begin_beside(resumed)?;
        // Left by a process that was killed while it wrote.
        for path in parts(&self.folder)? {
            self.disk.remove(&path).map_err(refused)?;
        }
        Ok(())
    }

    /// Refuses a folder whose newest sound checkpoint is of another run, or of a later step than the one the run goes on from:
    /// [`newest`](Self::newest) would take that in place of what this run writes.
    fn begin_beside(&self, resumed: Option<&Resumed>) -> Result<()> {
        let refused = |message: String| Err(Error::argument("checkpoints", message));
        for (_, path) in files(&self.folder)?.into_iter().rev() {
            if resumed.is_some_and(|resumed| resumed.path.as_ref() == Some(&path)) {
                return Ok(());
            }
            let of_another = || {
                refused(format!(
                    "would be written beside those of another run, such as {}: `resume_from` the folder, or give another one",
                    path.display()
                ))
            };
            let Some(Resumed { state, .. }) = resumed else {
                return of_another();
            };
            let there = match RunState::load(&path) {
                Ok(there) => there,
                // It is passed over, and written over when the run gets there.
                Err(Error::Format { .. }) => continue,
                Err(other) => return Err(other),
            };
            let bits = |state: &RunState, steps: usize| {
                let losses = state.history.step_losses.iter().take(steps);
                losses.map(|loss| loss.to_bits()).collect::<Vec<_>>()
            };
            // A run's losses are as good as its name.
            let (own, others) = (&state.history.step_losses, &there.history.step_losses);
            let common = own.len().min(others.len());
            let same = Order {
                few: state.order.few,
                ..there.order
            } == state.order;
            if !same || bits(state, common) != bits(&there, common) {
                return of_another();
            }
            if there.steps > state.steps {
                return refused(format!(
                    "would be written beside {} of step {}, which is later than step {} that the run goes on from, and would be \
                     taken in their place: `resume_from` the folder, take that file away, or give another folder",
                    path.display(),
                    there.steps,
                    state.steps
                ));
            }
            return Ok(());
        }
        Ok(())
    }

    pub(super) fn hook<'a>(self) -> StateHook<'a> {
        StateHook::new(self.every, move |state| self.write(state))
    }

    /// Writes a checkpoint, and then takes away those that are not to stay.
    fn write(&self, state: &RunState) -> Result<()> {
        if let (Some(monitor), Some(epoch)) = (&self.best, state.history.epochs.last()) {
            figure(Some(epoch), &monitor.name)?;
        }
        let path = self.folder.join(name(state.steps));
        state.save_on(self.disk.as_ref(), path)?;
        let files = files(&self.folder)?;
        let last = usize::try_from(self.last).unwrap_or(usize::MAX);
        let best = self.best_of(&files, state);
        // Files of later steps are damaged: the run went on from an earlier one.
        let older: Vec<&(u64, PathBuf)> = files.iter().filter(|(s, _)| *s <= state.steps).collect();
        let spare = older.len().saturating_sub(last);
        for (step, path) in older.into_iter().take(spare) {
            if Some(*step) != best {
                // The next one tries again; a file too many is no reason to end a run.
                if let Err(error) = self.disk.remove(path) {
                    tracing::warn!(path = %path.display(), %error, "old checkpoint not taken away");
                }
            }
        }
        Ok(())
    }

    /// The step of the best one of the files that were written at the end of an epoch.
    fn best_of(&self, files: &[(u64, PathBuf)], state: &RunState) -> Option<u64> {
        let monitor = self.best.as_ref()?;
        let per_epoch = state.order.rows.div_ceil(state.order.batch.max(1)).max(1);
        let mut best: Option<(u64, f64)> = None;
        for (step, _) in files.iter().filter(|(step, _)| step % per_epoch == 0) {
            let epoch = usize::try_from(step / per_epoch).unwrap_or(usize::MAX);
            let figures = epoch
                .checked_sub(1)
                .and_then(|e| state.history.epochs.get(e));
            let figure = figures.and_then(|epoch| epoch.get(&monitor.name));
            if let Some(value) = figure.filter(|value| !value.is_nan())
                && best.is_none_or(|(_, known)| monitor.is_better(value, known))
            {
                best = Some((*step, value));
            }
        }
        best.map(|(step, _)| step)
    }
}

/// What [`Checkpoints::newest`] found.
#[derive(Debug, Clone)]
pub struct Newest {
    /// The state of the run.
    pub state: RunState,
    /// The file that holds it.
    pub path: PathBuf,
    /// Why newer files were passed over, the newest first.
    pub passed_over: Vec<Error>,
}

impl Newest {
    /// The state to go on from, with a note in its history of where it comes from.
    pub(super) fn resumed(self) -> Resumed {
        let (mut state, path) = (self.state, self.path);
        let damaged = self.passed_over.iter();
        let damaged = damaged.map(|damage| format!("passed over a damaged checkpoint: {damage}"));
        let note = format!("resumed from {} at step {}", path.display(), state.steps);
        state.history.notes.extend(damaged.chain([note]));
        tracing::info!(path = %path.display(), step = state.steps, "run resumed");
        Resumed {
            state,
            path: Some(path),
        }
    }
}

const PREFIX: &str = "step-";
const ENDING: &str = ".safetensors";

fn name(step: u64) -> String {
    format!("{PREFIX}{step:010}{ENDING}")
}

fn step(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(ENDING)?;
    digits.parse().ok().filter(|step| self::name(*step) == name)
}

/// The checkpoints in a folder by their steps, the newest last.
fn files(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut files = listed(folder, step)?;
    files.sort();
    Ok(files)
}

/// What writers that were killed left of checkpoints in a folder.
fn parts(folder: &Path) -> Result<Vec<PathBuf>> {
    let left = |name: &str| {
        let unfinished = name.starts_with(&format!(".{PREFIX}")) && name.ends_with(PART);
        unfinished.then_some(())
    };
    let found = listed(folder, left)?;
    Ok(found.into_iter().map(|((), path)| path).collect())
}

fn listed<T>(folder: &Path, wanted: impl Fn(&str) -> Option<T>) -> Result<Vec<(T, PathBuf)>> {
    // No path stands for the folder at work, as where a file is written.
    let folder = if folder == Path::new("") {
        Path::new(".")
    } else {
        folder
    };
    let refused = |refusal| Error::io(folder, refusal);
    let entries = match files::read_dir(folder) {
        Ok(entries) => entries,
        Err(refusal) if refusal.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(refusal) => return Err(refused(refusal)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(refused)?;
        if let Some(what) = entry.file_name().to_str().and_then(&wanted) {
            found.push((what, entry.path()));
        }
    }
    Ok(found)
}
