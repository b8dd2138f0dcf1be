//! Checkpoints: the state of a run in one safetensors file, every part of it under a checksum.
//!
//! | tensor | what it holds |
//! |---|---|
//! | `state/<variable>` | a variable of the session: weights, `dense/kernel`, states of the optimizer, `dense/kernel.m` … |
//! | `run/step_losses` | the loss of every step, f64 |
//! | `run/epochs` | a row for each epoch: samples, nanoseconds, loss, metrics, and those on validation data, f64 |
//! | `run/sums` | sums of loss and metrics over the epoch under way, f64 |
//! | `callback/<number>/<variable>` | the snapshot that a callback keeps |
//! | `header_crc32` | the CRC-32 of all that comes before the tensors' bytes |
//!
//! The metadata has `format` = `kiln checkpoint`, `version`, `checksums`, a JSON object of the CRC-32 of each tensor's
//! bytes in hexadecimal digits, and `run`, the JSON of the rest. What is empty has no tensor. A file of version 1 stays
//! readable: one is among the tests.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::formats::safetensors::{Dtype, Elements, File, NewTensor, header};
use crate::formats::{Disk, System};
use crate::reserve::reserved;
use crate::train::{Epoch, History, Kept, Order, RunState, Stop};
use crate::{DType, Error, Result, Snapshot, TensorType, Values, formats};

const FORMAT: &str = "kiln checkpoint";
const VERSION: &str = "1";
const HEADER_CHECKSUM: &str = "header_crc32";

/// Columns of the table of epochs that are always there: samples, time, loss.
const FIXED_COLUMNS: usize = 3;

/// What is said of a run beside its tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    model_steps: u64,
    model_epochs: u64,
    /// The bits of the factor.
    rate_factor: Option<u32>,
    order: Order,
    steps: u64,
    seen: u64,
    elapsed_nanos: u64,
    first_step_nanos: u64,
    ended: Ended,
    notes: Vec<String>,
    metrics: Vec<String>,
    /// None in a run without validation.
    val_metrics: Option<Vec<String>>,
    callbacks: Vec<serde_json::Value>,
    /// Which callbacks keep a snapshot.
    snapshots: BTreeSet<usize>,
    /// The tensors of numbers that devices keep in 16 bits.
    halves: BTreeSet<String>,
}

/// Why the run ended, or how it will; numbers that may be infinite as their bits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Ended {
    Epochs(u64),
    Steps(u64),
    Loss { loss: u64, threshold: u64 },
    Callback(String),
    Paused(String),
    Interrupted,
    Data,
}

impl From<&Stop> for Ended {
    fn from(stop: &Stop) -> Self {
        match stop {
            Stop::Epochs(epochs) => Ended::Epochs(*epochs),
            Stop::Steps(steps) => Ended::Steps(*steps),
            Stop::Loss { loss, threshold } => Ended::Loss {
                loss: loss.to_bits(),
                threshold: threshold.to_bits(),
            },
            Stop::Callback(reason) => Ended::Callback(reason.clone()),
            Stop::Paused(reason) => Ended::Paused(reason.clone()),
            Stop::Interrupted => Ended::Interrupted,
            Stop::Data => Ended::Data,
        }
    }
}

impl From<Ended> for Stop {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Epochs(epochs) => Stop::Epochs(epochs),
            Ended::Steps(steps) => Stop::Steps(steps),
            Ended::Loss { loss, threshold } => Stop::Loss {
                loss: f64::from_bits(loss),
                threshold: f64::from_bits(threshold),
            },
            Ended::Callback(reason) => Stop::Callback(reason),
            Ended::Paused(reason) => Stop::Paused(reason),
            Ended::Interrupted => Stop::Interrupted,
            Ended::Data => Stop::Data,
        }
    }
}

impl RunState {
    /// Writes the state to one file, which appears whole or not at all: see [`io::write`](crate::formats::write()).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the system refuses.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_on(&System, path)
    }

    /// [`RunState::save`] by the operations of a disk of one's own.
    pub fn save_on(&self, disk: &dyn Disk, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let parts = Parts::of(self, path)?;
        let (head, bytes) = parts.bytes(path)?;
        formats::write(disk, path, std::iter::once(head.into()).chain(bytes))?;
        tracing::info!(path = %path.display(), step = self.steps, "checkpoint written");
        Ok(())
    }

    /// Reads a file of [`RunState::save`], of this version of Kiln or an earlier one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the system refuses; [`Error::Format`] with the file and the part of it that is damaged: any
    /// change of its bytes is found.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_bytes(&formats::read(path)?, path)
    }

    /// Reads the bytes of such a file; `path` stands for the file in errors.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::parse(bytes, path)?;
        verified(&file, path)?;
        Read { file, path }.state()
    }
}

/// The tensors of a state, and the rest of it.
struct Parts<'a> {
    tensors: Vec<NewTensor<'a>>,
    /// The figures of epochs, which are no tensor of the state's own.
    epochs: Vec<f64>,
    columns: usize,
    run: Run,
}

impl<'a> Parts<'a> {
    fn of(state: &'a RunState, path: &Path) -> Result<Self> {
        let history = &state.history;
        let first = history.epochs.first();
        let names = |figures: &[(String, f64)]| -> Vec<String> {
            figures.iter().map(|(name, _)| name.clone()).collect()
        };
        // Those of a state from an older file are only in its epochs.
        let metrics = match first {
            Some(epoch) => names(&epoch.metrics),
            None => state.metrics.clone(),
        };
        let val_metrics = first.and_then(|epoch| epoch.val_loss.map(|_| names(&epoch.val_metrics)));
        let mut columns = FIXED_COLUMNS + metrics.len();
        columns += val_metrics.as_ref().map_or(0, |names| 1 + names.len());
        let mut epochs = Vec::new();
        for epoch in &history.epochs {
            let before = epochs.len();
            epochs.extend([
                epoch.samples as f64,
                epoch.time.as_nanos() as f64,
                epoch.loss,
            ]);
            epochs.extend(epoch.metrics.iter().map(|(_, value)| *value));
            epochs.extend(epoch.val_loss);
            epochs.extend(epoch.val_metrics.iter().map(|(_, value)| *value));
            let same = first.is_none_or(|first| {
                let named = |a: &[(String, f64)], b: &[(String, f64)]| names(a) == names(b);
                named(&epoch.metrics, &first.metrics)
                    && named(&epoch.val_metrics, &first.val_metrics)
            });
            if !same || epochs.len() - before != columns {
                let message = "the epochs of its history do not have the same figures";
                return Err(Error::format(path, None, message));
            }
        }
        let mut parts = Parts {
            tensors: Vec::new(),
            epochs,
            columns,
            run: Run {
                model_steps: state.model_steps,
                model_epochs: state.model_epochs,
                rate_factor: state.rate_factor.map(f32::to_bits),
                order: state.order,
                steps: state.steps,
                seen: state.seen,
                elapsed_nanos: nanos(state.elapsed),
                first_step_nanos: nanos(history.first_step),
                ended: Ended::from(&history.stop),
                notes: history.notes.clone(),
                metrics,
                val_metrics,
                callbacks: Vec::new(),
                snapshots: BTreeSet::new(),
                halves: BTreeSet::new(),
            },
        };
        parts.add_snapshot("state", &state.snapshot);
        for (number, kept) in state.callbacks.iter().enumerate() {
            parts.run.callbacks.push(kept.values.clone());
            if let Some(snapshot) = &kept.snapshot {
                parts.run.snapshots.insert(number);
                parts.add_snapshot(&format!("callback/{number}"), snapshot);
            }
        }
        parts.add("run/step_losses", Elements::F64(&history.step_losses));
        parts.add("run/sums", Elements::F64(&state.sums));
        Ok(parts)
    }

    fn add(&mut self, name: &str, elements: Elements<'a>) {
        let len = elements.len();
        if len > 0 {
            self.tensors.push(NewTensor {
                name: name.into(),
                shape: vec![len],
                elements,
            });
        }
    }

    fn add_snapshot(&mut self, prefix: &str, snapshot: &'a Snapshot) {
        for (name, (kind, values)) in &snapshot.variables {
            let name = format!("{prefix}/{name}");
            if kind.dtype == DType::F16 {
                self.run.halves.insert(name.clone());
            }
            self.tensors.push(NewTensor {
                name,
                shape: kind.shape.dims().to_vec(),
                elements: match values {
                    Values::F32(values) => Elements::F32(values),
                    Values::F64(values) => Elements::F64(values),
                    Values::U32(values) => Elements::U32(values),
                },
            });
        }
    }

    /// The header of the file, and the bytes of its tensors.
    fn bytes(&'a self, path: &Path) -> Result<(Vec<u8>, impl Iterator<Item = Cow<'a, [u8]>>)> {
        let mut tensors = self.tensors.clone();
        if !self.epochs.is_empty() {
            tensors.push(NewTensor {
                name: "run/epochs".into(),
                shape: vec![self.epochs.len() / self.columns, self.columns],
                elements: Elements::F64(&self.epochs),
            });
        }
        let mut checksums = BTreeMap::new();
        for NewTensor { name, elements, .. } in &tensors {
            checksums.insert(name.clone(), digits(crc32fast::hash(&elements.bytes())));
        }
        let undescribed = |error: serde_json::Error| {
            Error::format(path, None, format!("the run cannot be described: {error}"))
        };
        let metadata = [
            ("format", FORMAT.to_string()),
            ("version", VERSION.to_string()),
            (
                "checksums",
                serde_json::to_string(&checksums).map_err(undescribed)?,
            ),
            (
                "run",
                serde_json::to_string(&self.run).map_err(undescribed)?,
            ),
        ];
        // Its own bytes are no part of the header.
        let mut described = tensors.clone();
        described.push(NewTensor {
            name: HEADER_CHECKSUM.into(),
            shape: vec![1],
            elements: Elements::U32(&[0]),
        });
        let head = header(&described, &metadata).map_err(|message| {
            Error::format(path, None, format!("it cannot be written: {message}"))
        })?;
        let last = crc32fast::hash(&head).to_le_bytes().to_vec();
        let bytes = tensors.into_iter().map(|tensor| tensor.elements.bytes());
        Ok((head, bytes.chain([last.into()])))
    }
}

/// A checksum as the file has it.
fn digits(checksum: u32) -> String {
    format!("{checksum:08x}")
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Compares every checksum of a file: the header's first, which holds the others.
fn verified(file: &File<'_>, path: &Path) -> Result<()> {
    let unfit = |message: String| Err(Error::format(path, None, message));
    if file.text("format") != Some(FORMAT) {
        return unfit("its header does not say that it is a checkpoint of kiln".into());
    }
    let last = file.tensor(HEADER_CHECKSUM)?.words()?;
    let found = crc32fast::hash(file.head);
    if last != [found] {
        return unfit(format!(
            "the header is damaged: its checksum is {}, not {}",
            digits(found),
            last.first().map_or(String::new(), |&said| digits(said))
        ));
    }
    match file.text("version") {
        Some(VERSION) => {}
        version => {
            return unfit(format!(
                "checkpoint version {} is not known, only {VERSION} is",
                version.unwrap_or("none")
            ));
        }
    }
    let said: BTreeMap<String, String> = file.json("checksums")?;
    for name in file.names().filter(|name| *name != HEADER_CHECKSUM) {
        let found = digits(crc32fast::hash(file.tensor(name)?.bytes));
        let said = said.get(name).map_or("none", String::as_str);
        if said != found {
            return unfit(format!(
                "the tensor `{name}` is damaged: its checksum is {found}, not {said}"
            ));
        }
    }
    match said.keys().find(|name| file.find(name).is_none()) {
        Some(name) => unfit(format!("it has no tensor `{name}`")),
        None => Ok(()),
    }
}

/// A file whose checksums are right. Whoever wrote it may not have been Kiln, so nothing else is believed.
struct Read<'a> {
    file: File<'a>,
    path: &'a Path,
}

impl Read<'_> {
    fn state(self) -> Result<RunState> {
        let run: Run = self.file.json("run")?;
        let mut callbacks = Vec::new();
        for (number, values) in run.callbacks.iter().enumerate() {
            let snapshot = match run.snapshots.contains(&number) {
                true => Some(self.snapshot(&format!("callback/{number}/"), &run.halves)?),
                false => None,
            };
            callbacks.push(Kept {
                values: values.clone(),
                snapshot,
            });
        }
        Ok(RunState {
            snapshot: self.snapshot("state/", &run.halves)?,
            model_steps: run.model_steps,
            model_epochs: run.model_epochs,
            rate_factor: run.rate_factor.map(f32::from_bits),
            order: run.order,
            steps: run.steps,
            seen: run.seen,
            sums: self.doubles("run/sums")?,
            metrics: run.metrics.clone(),
            elapsed: Duration::from_nanos(run.elapsed_nanos),
            callbacks,
            history: self.history(run)?,
        })
    }

    /// The variables whose tensors' names begin so.
    fn snapshot(&self, prefix: &str, halves: &BTreeSet<String>) -> Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        for name in self.file.names_with(prefix) {
            let variable = &name[prefix.len()..];
            let tensor = self.file.tensor(name)?;
            let (dtype, values) = match tensor.dtype {
                Dtype::U32 => (DType::U32, Values::U32(tensor.words()?)),
                Dtype::F64 => (DType::F32, Values::F64(tensor.doubles()?)),
                _ => (DType::F32, Values::F32(tensor.floats()?)),
            };
            let dtype = match halves.contains(name) {
                true => DType::F16,
                false => dtype,
            };
            let kind = TensorType {
                shape: tensor.shape.into(),
                dtype,
            };
            snapshot.variables.insert(variable.into(), (kind, values));
        }
        Ok(snapshot)
    }

    /// A list of numbers; one that is empty has no tensor.
    fn doubles(&self, name: &str) -> Result<Vec<f64>> {
        match self.file.find(name) {
            Some(tensor) => tensor.doubles(),
            None => Ok(Vec::new()),
        }
    }

    fn history(&self, run: Run) -> Result<History> {
        let table = self.doubles("run/epochs")?;
        let validation = run.val_metrics.as_ref().map_or(0, |names| 1 + names.len());
        let columns = FIXED_COLUMNS + run.metrics.len() + validation;
        if !table.len().is_multiple_of(columns) {
            let message = format!(
                "the tensor `run/epochs` has {} numbers, no whole rows of {columns}",
                table.len()
            );
            return Err(Error::format(self.path, None, message));
        }
        let named = |names: &[String], values: &[f64]| {
            let pairs = names.iter().cloned().zip(values.iter().copied());
            pairs.collect::<Vec<_>>()
        };
        let mut epochs = reserved(Some(table.len() / columns), "the epochs")?;
        for row in table.chunks_exact(columns) {
            let (fixed, figures) = row.split_at(FIXED_COLUMNS);
            let (metrics, validated) = figures.split_at(run.metrics.len());
            epochs.push(Epoch {
                samples: fixed[0] as u64,
                time: Duration::from_nanos(fixed[1] as u64),
                loss: fixed[2],
                metrics: named(&run.metrics, metrics),
                val_loss: validated.first().copied(),
                val_metrics: match (&run.val_metrics, validated) {
                    (Some(names), [_, values @ ..]) => named(names, values),
                    _ => Vec::new(),
                },
            });
        }
        Ok(History {
            epochs,
            stop: run.ended.into(),
            steps: run.steps,
            step_losses: self.doubles("run/step_losses")?,
            first_step: Duration::from_nanos(run.first_step_nanos),
            notes: run.notes,
            counters: crate::gpu::Counters::default(),
        })
    }
}
