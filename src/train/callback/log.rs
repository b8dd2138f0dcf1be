//! Logs of the epochs' figures in text files.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use crate::edge::files::{File, OpenOptions};
use crate::formats::check_writable;
use crate::train::history::Epoch;
use crate::{Error, Result};

use super::monitor::figure_names;
use super::{Callback, Kept, Moment, Timing};

/// A plain file that grows by a line an epoch; each is handed to the system as soon as it is known.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    append: bool,
    file: Option<File>,
    /// Whether what the file holds goes when the first line is written: a run that is refused before leaves it as it is.
    replaces: bool,
    /// Whether the last line of the file is ended before the first one is written.
    breaks: bool,
}

impl Lines {
    fn new(path: impl Into<PathBuf>) -> Self {
        Lines {
            path: path.into(),
            append: false,
            file: None,
            replaces: false,
            breaks: false,
        }
    }

    /// Opens the file; whether nothing will be in it before the first line. A run that goes on keeps what it has written.
    fn open(&mut self, moment: &Moment<'_>) -> Result<bool> {
        check_writable(&self.path).map_err(|refusal| Error::io(&self.path, refusal))?;
        self.replaces = !self.append && !moment.resumed;
        let mut options = OpenOptions::new();
        options.create(true);
        let options = if self.replaces {
            options.write(true).truncate(false)
        } else {
            options.append(true)
        };
        let refused = |refusal| Error::io(&self.path, refusal);
        let file = options.open(&self.path).map_err(refused)?;
        let len = file.metadata().map_err(refused)?.len();
        self.breaks = !self.replaces && !ends_line(&self.path, len).map_err(refused)?;
        self.file = Some(file);
        Ok(self.replaces || len == 0)
    }

    /// The first record of the file, which may have line breaks within quotes.
    fn first_record(&self) -> Result<String> {
        let refused = |refusal| Error::io(&self.path, refusal);
        let mut file = BufReader::new(File::open(&self.path).map_err(refused)?);
        let mut record = Vec::new();
        loop {
            let read = file.read_until(b'\n', &mut record).map_err(refused)?;
            let quotes = record.iter().filter(|&&byte| byte == b'"').count();
            if read == 0 || quotes % 2 == 0 {
                return Ok(String::from_utf8_lossy(&record).into_owned());
            }
        }
    }

    fn len(&self) -> Result<u64> {
        let Some(file) = self.file.as_ref().filter(|_| !self.replaces) else {
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
        let ends = cut.and_then(|_| ends_line(&self.path, len));
        self.breaks = !ends.map_err(|refusal| Error::io(&self.path, refusal))?;
        Ok(())
    }

    fn write(&mut self, line: &str) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let begun = if std::mem::take(&mut self.replaces) {
            file.set_len(0)
        } else if std::mem::take(&mut self.breaks) {
            writeln!(file)
        } else {
            Ok(())
        };
        let written = begun.and_then(|()| writeln!(file, "{line}"));
        written.map_err(|refusal| Error::io(&self.path, refusal))
    }
}

/// Whether a file of this length is empty or ends with a line break.
fn ends_line(path: &PathBuf, len: u64) -> std::io::Result<bool> {
    if len == 0 {
        return Ok(true);
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// A cell of a CSV file, in quotes where it needs them (RFC 4180).
fn cell(text: &str) -> String {
    let plain = !text.contains([',', '"', '\n', '\r']) && text == text.trim();
    if plain {
        return text.into();
    }
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// The cells of a record as [`cell`] writes them.
fn cells(record: &str) -> Vec<String> {
    let record = record.trim_start_matches('\u{feff}');
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut letters = record.trim_end_matches(['\n', '\r']).chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_none() => quoted = false,
            '"' if !quoted => quoted = true,
            ',' if !quoted => cells.push(String::new()),
            letter => {
                if let Some(cell) = cells.last_mut() {
                    cell.push(letter);
                }
            }
        }
    }
    cells
}

/// A CSV file with a column for the epoch, counted from 0 as Keras' `CSVLogger` counts, and one for each figure. Names with commas
/// or quotes stand in quotes.
#[derive(Debug)]
pub struct CsvLog {
    lines: Lines,
    /// The names of the columns.
    columns: Vec<String>,
    /// Whether the next epoch writes the header first.
    header: bool,
}

impl CsvLog {
    /// Writes to this file, from the beginning.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        CsvLog {
            lines: Lines::new(path),
            columns: Vec::new(),
            header: true,
        }
    }

    /// Whether lines are added to a file that is there; default false. A file with other columns than the run's is refused before
    /// it begins.
    pub fn append(mut self, append: bool) -> Self {
        self.lines.append = append;
        self
    }

    /// Refuses a file whose header has other columns.
    fn check_header(&self) -> Result<()> {
        let there = cells(&self.lines.first_record()?);
        if there == self.columns {
            return Ok(());
        }
        let message = format!(
            "would add lines of {} to {}, whose columns are {}: take another file, or measure the same figures",
            self.columns.join(", "),
            self.lines.path.display(),
            there.join(", ")
        );
        Err(Error::argument("append", message))
    }
}

impl Callback for CsvLog {
    fn timing(&self) -> Timing {
        Timing::Overlapping
    }

    fn begin(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.columns = vec!["epoch".into()];
        let figures = figure_names(moment.validates, moment.model)?;
        self.columns.extend(figures);
        self.header = self.lines.open(moment)?;
        // The file of a resumed run is first cut to what it was.
        if self.header || moment.resumed {
            return Ok(());
        }
        self.check_header()
    }

    fn state(&self) -> Result<Kept> {
        Kept::of(&(self.lines.len()?, self.header))
    }

    fn restore(&mut self, kept: &Kept) -> Result<()> {
        let (len, header) = kept.values()?;
        self.lines.cut(len)?;
        self.header = header || self.lines.len()? == 0;
        if self.header {
            return Ok(());
        }
        self.check_header()
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        if std::mem::take(&mut self.header) {
            let names = self.columns.iter().map(|name| cell(name));
            self.lines.write(&names.collect::<Vec<_>>().join(","))?;
        }
        let figures = moment.history.epochs.last().map(Epoch::figures);
        let figures = figures.into_iter().flatten();
        let figures: String = figures.map(|(_, value)| format!(",{value}")).collect();
        self.lines
            .write(&format!("{}{figures}", moment.epoch() - 1))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_as_they_were_written() {
        for row in [
            vec!["epoch", "loss"],
            vec!["mae, mean", "the \"best\"", "two\nlines", " blank ", ""],
            vec!["\"", ",", "\"\"", "a,\"b\",c"],
        ] {
            let record = row
                .iter()
                .map(|text| cell(text))
                .collect::<Vec<_>>()
                .join(",");
            assert_eq!(cells(&format!("{record}\r\n")), row, "{record}");
        }
        assert_eq!(cells("\u{feff}\"epoch\",\"loss\"\n"), ["epoch", "loss"]);
    }
}
