//! Logs of the epochs' figures in text files.

use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use crate::edge::files::{File, OpenOptions};
use crate::formats::check_plain;
use crate::train::history::Epoch;
use crate::{Error, Result};

use super::{Callback, Kept, Moment, Timing};

/// A plain file that grows by a line an epoch; each is handed to the system as soon as it is known.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    append: bool,
    file: Option<File>,
}

impl Lines {
    fn new(path: impl Into<PathBuf>) -> Self {
        Lines {
            path: path.into(),
            append: false,
            file: None,
        }
    }

    /// Opens the file; whether nothing is in it yet. A run that goes on keeps what it has written.
    fn open(&mut self, moment: &Moment<'_>) -> Result<bool> {
        check_plain(&self.path).map_err(|refusal| Error::io(&self.path, refusal))?;
        let mut options = OpenOptions::new();
        options.create(true);
        let options = if self.append || moment.resumed {
            options.append(true)
        } else {
            options.write(true).truncate(true)
        };
        let opened = options.open(&self.path);
        let opened = opened.and_then(|file| Ok((file.metadata()?.len() == 0, file)));
        let (empty, file) = opened.map_err(|refusal| Error::io(&self.path, refusal))?;
        self.file = Some(file);
        Ok(empty)
    }

    fn len(&self) -> Result<u64> {
        let Some(file) = &self.file else {
            return Ok(0);
        };
        let metadata = file.metadata();
        metadata
            .map(|metadata| metadata.len())
            .map_err(|refusal| Error::io(&self.path, refusal))
    }

    /// Takes away the lines that were written after the file was so long: the run comes by there again.
    fn cut(&mut self, len: u64) -> Result<()> {
        let now = self.len()?;
        let Some(file) = self.file.as_mut().filter(|_| now > len) else {
            return Ok(());
        };
        let cut = file.set_len(len).and_then(|()| file.seek(SeekFrom::End(0)));
        cut.map(drop)
            .map_err(|refusal| Error::io(&self.path, refusal))
    }

    fn write(&mut self, line: &str) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        writeln!(file, "{line}").map_err(|refusal| Error::io(&self.path, refusal))
    }
}

/// A CSV file with a column for the epoch, counted from 0 as Keras' `CSVLogger` counts, and one for each figure.
#[derive(Debug)]
pub struct CsvLog {
    lines: Lines,
    /// Whether the next epoch writes the header first.
    header: bool,
}

impl CsvLog {
    /// Writes to this file, from the beginning.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        CsvLog {
            lines: Lines::new(path),
            header: true,
        }
    }

    /// Whether lines are added to a file that is there; default false.
    pub fn append(mut self, append: bool) -> Self {
        self.lines.append = append;
        self
    }
}

impl Callback for CsvLog {
    fn timing(&self) -> Timing {
        Timing::Overlapping
    }

    fn begin(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.header = self.lines.open(moment)?;
        Ok(())
    }

    fn state(&self) -> Result<Kept> {
        Kept::of(&(self.lines.len()?, self.header))
    }

    fn restore(&mut self, kept: &Kept) -> Result<()> {
        let (len, header) = kept.values()?;
        self.lines.cut(len)?;
        self.header = header || self.lines.len()? == 0;
        Ok(())
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        let figures = moment.history.epochs.last().map(Epoch::figures);
        let (names, cells): (Vec<String>, Vec<String>) = figures
            .into_iter()
            .flatten()
            .map(|(name, value)| (name, value.to_string()))
            .unzip();
        if std::mem::take(&mut self.header) {
            self.lines.write(&format!("epoch,{}", names.join(",")))?;
        }
        self.lines
            .write(&format!("{},{}", moment.epoch() - 1, cells.join(",")))
    }
}

/// A file with a JSON object on each line: `{"epoch":0,"step":24,"seconds":0.1,"loss":0.69}`. What is not finite stands as text.
#[derive(Debug)]
pub struct JsonLines {
    lines: Lines,
}

impl JsonLines {
    /// Writes to this file, from the beginning.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        JsonLines {
            lines: Lines::new(path),
        }
    }

    /// Whether lines are added to a file that is there; default false.
    pub fn append(mut self, append: bool) -> Self {
        self.lines.append = append;
        self
    }
}

impl Callback for JsonLines {
    fn timing(&self) -> Timing {
        Timing::Overlapping
    }

    fn begin(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.lines.open(moment).map(|_empty| ())
    }

    fn state(&self) -> Result<Kept> {
        Kept::of(&self.lines.len()?)
    }

    fn restore(&mut self, kept: &Kept) -> Result<()> {
        self.lines.cut(kept.values()?)
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        let mut object = serde_json::Map::new();
        object.insert("epoch".into(), (moment.epoch() - 1).into());
        object.insert("step".into(), moment.step.into());
        object.insert("seconds".into(), moment.elapsed.as_secs_f64().into());
        let figures = moment.history.epochs.last().map(Epoch::figures);
        for (name, value) in figures.into_iter().flatten() {
            let number = serde_json::Number::from_f64(value);
            let value = number.map_or_else(|| value.to_string().into(), serde_json::Value::Number);
            object.insert(name, value);
        }
        self.lines
            .write(&serde_json::Value::Object(object).to_string())
    }
}
