//! Event files that TensorBoard reads: figures of epochs, and histograms of weights.
//!
//! An event file is a row of records, each the length of its data, a checksum of that, the data and a checksum of them
//! (the TFRecord format); the data are protocol buffers of the messages `Event`, `Summary` and `HistogramProto`
//! (tensorboard/compat/proto/*.proto). The checksum is CRC-32C, turned and moved as that format wants it.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use crate::edge::clock::unix_time;
use crate::edge::files;
use crate::edge::files::{File, OpenOptions};
use crate::{Error, Result};

use super::{Callback, Kept, Moment, Timing};

/// Writes figures to `<folder>/train` and `<folder>/validation` under Keras' names (`epoch_loss` …), and histograms of
/// weights now and then.
///
/// A run that goes on from an earlier state marks where: of epochs that it repeats TensorBoard shows the later ones.
#[derive(Debug)]
pub struct TensorBoard {
    folder: PathBuf,
    histograms: u64,
    train: Option<Events>,
    validation: Option<Events>,
    /// Whether the run goes on from a state, so that what files say of later epochs is no longer so.
    goes_on: bool,
}

impl TensorBoard {
    /// Writes to this folder, which is made if it is not there; no histograms.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        TensorBoard {
            folder: folder.into(),
            histograms: 0,
            train: None,
            validation: None,
            goes_on: false,
        }
    }

    /// Writes histograms of all weights whenever this many epochs are done; default 0, never. The device waits while they are read.
    pub fn histograms(mut self, epochs: u64) -> Self {
        self.histograms = epochs;
        self
    }
}

impl Callback for TensorBoard {
    fn timing(&self) -> Timing {
        match self.histograms {
            0 => Timing::Overlapping,
            _ => Timing::Epochs,
        }
    }

    fn begin(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.train = Some(Events::create(self.folder.join("train"))?);
        if moment.validates {
            self.validation = Some(Events::create(self.folder.join("validation"))?);
        }
        self.goes_on = moment.resumed;
        Ok(())
    }

    fn restore(&mut self, _kept: &Kept) -> Result<()> {
        self.goes_on = true;
        Ok(())
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        let step = moment.epoch() - 1;
        if std::mem::take(&mut self.goes_on) {
            for events in [&mut self.train, &mut self.validation] {
                events
                    .as_mut()
                    .map_or(Ok(()), |events| events.start(step))?;
            }
        }
        if let Some(figures) = moment.history.epochs.last() {
            for (name, value) in figures.figures() {
                let (events, name) = match name.strip_prefix("val_") {
                    Some(name) => (&mut self.validation, name),
                    None => (&mut self.train, name.as_str()),
                };
                if let Some(events) = events {
                    let tag = format!("epoch_{name}");
                    events.summary(&tag, step, |of_tag| of_tag.float(2, value as f32))?;
                }
            }
        }
        let due = self.histograms > 0 && moment.epoch().is_multiple_of(self.histograms);
        if let (true, Some(events)) = (due, &mut self.train) {
            for weights in moment.model.weights()? {
                let histogram = histogram(&weights.values);
                events.summary(&weights.name, step, |of_tag| of_tag.bytes(5, &histogram.0))?;
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    fn create(folder: PathBuf) -> Result<Self> {
        files::create_dir_all(&folder).map_err(|refusal| Error::io(&folder, refusal))?;
        let (path, file) = loop {
            let now = unix_time();
            // The name that TensorBoard looks for, unique within the process. It reads files in the order of their names, and so
            // by time: a run that goes on within the same second comes later.
            static FILES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
            let number = FILES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let name = format!(
                "events.out.tfevents.{:010}.kiln.{:09}.{}.{number}",
                now.as_secs(),
                now.subsec_nanos(),
                std::process::id()
            );
            let path = folder.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => break (path, file),
                // Another process had this one's number in this moment.
                Err(refusal) if refusal.kind() == ErrorKind::AlreadyExists => {}
                Err(refusal) => return Err(Error::io(path, refusal)),
            }
        };
        let mut events = Events { path, file };
        let mut event = Message::event(0);
        event.bytes(3, b"brain.Event:2");
        events.record(&event.0)?;
        Ok(events)
    }

    /// Writes that a session starts with this step (`SessionLog`, status START): what is there of it and of later ones no longer
    /// counts.
    fn start(&mut self, step: u64) -> Result<()> {
        let mut session = Message::default();
        session.varint(1 << 3);
        session.varint(1);
        let mut event = Message::event(step);
        event.bytes(7, &session.0);
        self.record(&event.0)
    }

    /// Writes what `value` makes of the message of a tag.
    fn summary(&mut self, tag: &str, step: u64, value: impl FnOnce(&mut Message)) -> Result<()> {
        let mut of_tag = Message::default();
        of_tag.bytes(1, tag.as_bytes());
        value(&mut of_tag);
        let mut summary = Message::default();
        summary.bytes(1, &of_tag.0);
        let mut event = Message::event(step);
        event.bytes(5, &summary.0);
        self.record(&event.0)
    }

    fn record(&mut self, data: &[u8]) -> Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked_checksum(&length).to_le_bytes());
        record.extend(data);
        record.extend(masked_checksum(data).to_le_bytes());
        let written = self.file.write_all(&record);
        written.map_err(|refusal| Error::io(&self.path, refusal))
    }
}

/// Buckets of a histogram, between the least and the greatest number.
const BUCKETS: usize = 30;

/// The message `HistogramProto` of these numbers; those that are not finite are left out.
fn histogram(values: &[f32]) -> Message {
    let finite = values.iter().filter(|x| x.is_finite());
    let finite: Vec<f64> = finite.map(|x| f64::from(*x)).collect();
    let least = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut message = Message::default();
    if finite.is_empty() {
        return message;
    }
    let width = ((greatest - least) / BUCKETS as f64).max(f64::MIN_POSITIVE);
    let mut counts = [0.0; BUCKETS];
    for x in &finite {
        counts[(((x - least) / width) as usize).min(BUCKETS - 1)] += 1.0;
    }
    let limits: Vec<f64> = (1..=BUCKETS).map(|i| least + width * i as f64).collect();
    message.double(1, least);
    message.double(2, greatest);
    message.double(3, finite.len() as f64);
    message.double(4, finite.iter().sum());
    message.double(5, finite.iter().map(|x| x * x).sum());
    message.doubles(6, &limits);
    message.doubles(7, &counts);
    message
}

/// A protocol buffer: fields of a number and a wire type (0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes).
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    /// An `Event` of now: wall time and step.
    fn event(step: u64) -> Self {
        let mut event = Message::default();
        event.double(1, unix_time().as_secs_f64());
        event.varint(2 << 3);
        event.varint(step);
        event
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }

    fn double(&mut self, field: u64, value: f64) {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
    }

    fn doubles(&mut self, field: u64, values: &[f64]) {
        let packed = values.iter().flat_map(|value| value.to_le_bytes());
        self.bytes(field, &packed.collect::<Vec<u8>>());
    }
}

/// The checksum as records hold it: turned by 15 bits, and moved.
fn masked_checksum(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (RFC 3720, appendix B.4), bit by bit: records are short.
fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_its_standard() {
        // RFC 3720, appendix B.4: 32 bytes of zeros, of ones, and counting up.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let counting: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&counting), 0x46dd_794e);
    }

    #[test]
    fn a_histogram_counts_every_finite_number_once() {
        let message = histogram(&[1.0, 2.0, f32::NAN, 4.0, 4.0]);
        let counts = &message.0[message.0.len() - 8 * BUCKETS..];
        let counts = counts
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes(b.try_into().unwrap()));
        let counts: Vec<f64> = counts.collect();
        assert_eq!(
            (counts[0], counts[10], counts[BUCKETS - 1]),
            (1.0, 1.0, 2.0)
        );
        assert_eq!(counts.iter().sum::<f64>(), 4.0);
        assert!(histogram(&[f32::NAN]).0.is_empty());
    }
}
