//! Checkpoints: the state of a run in one safetensors file, every part of it under a checksum.
//!
//! | tensor | what it holds |
//! |---|---|
//! | `state/<variable>` | a variable of the session: weights, `dense/kernel`, states of the optimizer, `dense/kernel.m` … |
//! | `run/step_losses` | the loss of every step, f64 |
//! | `run/epochs` | a row for each epoch: samples, nanoseconds, loss, metrics, and those on validation data, f64 |
//! | `run/sums` | sums of loss and metrics over the epoch under way, f64 |
//! | `callback/<number>/<variable>` | the snapshot that a callback keeps |
//! | `member/<number>/step_losses`, `member/<number>/epochs` | the same of a member of a population |
//! | `member/<number>/state/<variable>` | what a member ended with that others went on beside |
//! | `header_crc32` | the CRC-32 of all that comes before the tensors' bytes |
//!
//! The metadata has `format` = `kiln checkpoint`, `version`, `checksums`, a JSON object of the CRC-32 of each tensor's
//! bytes in hexadecimal digits, and `run`, the JSON of the rest. What is empty has no tensor. A file of version 1 stays
//! readable: one is among the tests.

mod content;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::data::NamesDescription;
use crate::formats::safetensors::File;
use crate::formats::{Disk, System};
use crate::train::{Order, RunState, Stop};
use crate::{Error, Result, formats};

use content::{Content, Read};

const FORMAT: &str = "kiln checkpoint";
const VERSION: &str = "1";
const HEADER_CHECKSUM: &str = "header_crc32";

/// Columns of the table of epochs that are always there: samples, time, loss.
const FIXED_COLUMNS: usize = 3;

/// What is said of a run beside its tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunHeader {
    model_steps: u64,
    model_epochs: u64,
    /// The bits of the factor.
    rate_factor: Option<u32>,
    order: Order,
    steps: u64,
    seen: u64,
    elapsed_nanos: u64,
    first_step_nanos: u64,
    ended: Stop,
    notes: Vec<String>,
    metrics: Vec<String>,
    /// None in a run without validation.
    val_metrics: Option<Vec<String>>,
    callbacks: Vec<serde_json::Value>,
    /// None of a model that learned from a table without names, and in files of before they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    names: Option<NamesDescription>,
    /// Which callbacks keep a snapshot.
    snapshots: BTreeSet<usize>,
    /// The tensors of numbers that devices keep in 16 bits.
    halves: BTreeSet<String>,
    /// The members of a population; a model has none, and its file does not say so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    members: Vec<MemberHeader>,
}

/// What is said of a member of a population beside its tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberHeader {
    steps: u64,
    first_step_nanos: u64,
    ended: Stop,
    /// Whether the member keeps what it ended with.
    kept: bool,
}

impl RunState {
    /// Writes the state to one file, which appears whole or not at all whatever happens meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the system refuses.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_on(&System, path)
    }

    /// [`RunState::save`] by the operations of a disk of one's own.
    pub(in crate::train) fn save_on(&self, disk: &dyn Disk, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let content = Content::of(self, path)?;
        let (head, bytes) = content.bytes(path)?;
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
    /// The errors of [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::parse(bytes, path)?;
        verified(&file, path)?;
        Read { file, path }.state()
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
