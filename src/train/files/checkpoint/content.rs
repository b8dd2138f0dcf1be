//! What a checkpoint holds: a state as tensors and a header, and back.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::data::LearnedNames;
use crate::formats::safetensors::{Dtype, Elements, File, NewTensor, header};
use crate::reserve::reserved;
use crate::train::{Epoch, History, Kept, MemberState, RunState};
use crate::{DType, Error, Result, Snapshot, TensorType, Values};

use super::{
    FIXED_COLUMNS, FORMAT, HEADER_CHECKSUM, MemberHeader, RunHeader, VERSION, digits, nanos,
};

/// The tensors of a state, and the rest of it.
pub(super) struct Content<'a> {
    tensors: Vec<NewTensor<'a>>,
    /// The figures of epochs by the tensor's name, which are no tensor of the state's own.
    epochs: Vec<(String, Vec<f64>)>,
    columns: usize,
    run: RunHeader,
}

impl<'a> Content<'a> {
    pub(super) fn of(state: &'a RunState, path: &Path) -> Result<Self> {
        let history = &state.history;
        let first = history.epochs.first();
        // The metrics of a state from an older file are only in its epochs.
        let metrics = match first {
            Some(epoch) => names(&epoch.metrics),
            None => state.metrics.clone(),
        };
        let val_metrics = first.and_then(|epoch| epoch.val_loss.map(|_| names(&epoch.val_metrics)));
        let mut columns = FIXED_COLUMNS + metrics.len();
        columns += val_metrics.as_ref().map_or(0, |names| 1 + names.len());
        let mut content = Content {
            tensors: Vec::new(),
            epochs: Vec::new(),
            columns,
            run: RunHeader {
                model_steps: state.model_steps,
                model_epochs: state.model_epochs,
                rate_factor: state.rate_factor.map(f32::to_bits),
                order: state.order,
                steps: state.steps,
                seen: state.seen,
                elapsed_nanos: nanos(state.elapsed),
                first_step_nanos: nanos(history.first_step),
                ended: history.stop.clone(),
                notes: history.notes.clone(),
                metrics,
                val_metrics,
                callbacks: Vec::new(),
                names: state.names.describe(),
                snapshots: BTreeSet::new(),
                halves: BTreeSet::new(),
                members: Vec::new(),
            },
        };
        content.add_epochs("run", history, path)?;
        content.add_snapshot("state", &state.snapshot);
        for (number, kept) in state.callbacks.iter().enumerate() {
            content.run.callbacks.push(kept.values.clone());
            if let Some(snapshot) = &kept.snapshot {
                content.run.snapshots.insert(number);
                content.add_snapshot(&format!("callback/{number}"), snapshot);
            }
        }
        content.add("run/step_losses", Elements::F64(&history.step_losses));
        content.add("run/sums", Elements::F64(&state.sums));
        for (number, member) in state.members.iter().enumerate() {
            let (prefix, history) = (format!("member/{number}"), &member.history);
            content.add_epochs(&prefix, history, path)?;
            let losses = Elements::F64(&history.step_losses);
            content.add(&format!("{prefix}/step_losses"), losses);
            if let Some(ended) = &member.ended {
                content.add_snapshot(&format!("{prefix}/state"), ended);
            }
            content.run.members.push(MemberHeader {
                steps: history.steps,
                first_step_nanos: nanos(history.first_step),
                ended: history.stop.clone(),
                kept: member.ended.is_some(),
            });
        }
        Ok(content)
    }

    /// Adds the figures of the epochs of a history, a row for each.
    fn add_epochs(&mut self, prefix: &str, history: &History, path: &Path) -> Result<()> {
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
            let validated = epoch.val_loss.map(|_| names(&epoch.val_metrics));
            let same =
                names(&epoch.metrics) == self.run.metrics && validated == self.run.val_metrics;
            if !same || epochs.len() - before != self.columns {
                let message = "the epochs of its history do not have the same figures";
                return Err(Error::format(path, None, message));
            }
        }
        if !epochs.is_empty() {
            self.epochs.push((format!("{prefix}/epochs"), epochs));
        }
        Ok(())
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
    pub(super) fn bytes(
        &'a self,
        path: &Path,
    ) -> Result<(Vec<u8>, impl Iterator<Item = Cow<'a, [u8]>>)> {
        let mut tensors = self.tensors.clone();
        for (name, epochs) in &self.epochs {
            tensors.push(NewTensor {
                name: name.clone(),
                shape: vec![epochs.len() / self.columns, self.columns],
                elements: Elements::F64(epochs),
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

/// The names of figures.
fn names(figures: &[(String, f64)]) -> Vec<String> {
    figures.iter().map(|(name, _)| name.clone()).collect()
}

/// A file whose checksums are right. Whoever wrote it may not have been Kiln, so nothing else is believed.
pub(super) struct Read<'a> {
    pub file: File<'a>,
    pub path: &'a Path,
}

impl Read<'_> {
    pub(super) fn state(self) -> Result<RunState> {
        let run: RunHeader = self.file.json("run")?;
        let mut callbacks = Vec::new();
        for (number, values) in run.callbacks.iter().enumerate() {
            let prefix = format!("callback/{number}/");
            let snapshot = if run.snapshots.contains(&number) {
                Some(self.snapshot(&prefix, &run.halves)?)
            } else {
                None
            };
            callbacks.push(Kept {
                values: values.clone(),
                snapshot,
            });
        }
        let mut members = Vec::new();
        for (number, member) in run.members.iter().enumerate() {
            let prefix = format!("member/{number}");
            let ended = if member.kept {
                Some(self.snapshot(&format!("{prefix}/state/"), &run.halves)?)
            } else {
                None
            };
            let mut history = self.history(&run, &prefix)?;
            history.steps = member.steps;
            history.stop = member.ended.clone();
            history.first_step = Duration::from_nanos(member.first_step_nanos);
            members.push(MemberState { history, ended });
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
            history: self.history(&run, "run")?,
            names: run.names.map_or_else(Default::default, LearnedNames::from),
            members,
        })
    }

    /// The variables whose tensors' names begin with `prefix`.
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
            let half = halves.contains(name);
            let dtype = if half { DType::F16 } else { dtype };
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

    fn history(&self, run: &RunHeader, prefix: &str) -> Result<History> {
        let name = format!("{prefix}/epochs");
        let table = self.doubles(&name)?;
        let validation = run.val_metrics.as_ref().map_or(0, |names| 1 + names.len());
        let columns = FIXED_COLUMNS + run.metrics.len() + validation;
        if !table.len().is_multiple_of(columns) {
            let message = format!(
                "the tensor `{name}` has {} numbers, no whole rows of {columns}",
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
            stop: run.ended.clone(),
            steps: run.steps,
            step_losses: self.doubles(&format!("{prefix}/step_losses"))?,
            first_step: Duration::from_nanos(run.first_step_nanos),
            notes: run.notes.clone(),
            counters: crate::gpu::Counters::default(),
        })
    }
}
