//! Batches of an iterator's rows: pieces of any length, cut anew in the order in which the iterator gives them.

use std::ops::Range;

use crate::session::ElementsRef;
use crate::{Dataset, Error, Result};

use crate::train::prepare::Prepared;
use crate::train::programs::Recipe;

/// Pieces of any length from an iterator, cut anew.
pub(in crate::train) struct Batches<'a> {
    pieces: Box<dyn Iterator<Item = Result<Dataset>> + 'a>,
    class_weight: Vec<(u32, f32)>,
    /// Rows that were taken, and how many of them were used.
    held: Option<(Table, usize)>,
    taken: u64,
    pub steps_per_epoch: Option<u64>,
    over: bool,
}

/// The columns of some rows.
#[derive(Default)]
pub(in crate::train) struct Table {
    pub rows: usize,
    pub features: Vec<f32>,
    pub values: Vec<f32>,
    pub labels: Vec<u32>,
    pub weights: Vec<f32>,
}

impl<'a> Batches<'a> {
    pub fn new<I>(pieces: I, class_weight: &[(u32, f32)], steps_per_epoch: Option<u64>) -> Self
    where
        I: Iterator<Item = Result<Dataset>> + 'a,
    {
        Batches {
            pieces: Box::new(pieces),
            class_weight: class_weight.to_vec(),
            held: None,
            taken: 0,
            steps_per_epoch,
            over: false,
        }
    }

    /// Rows of the piece that was taken last.
    pub fn held_rows(&self) -> usize {
        self.held.as_ref().map_or(0, |(table, _)| table.rows)
    }

    /// Takes the next piece, if there is one: its rows, and how many weights each has.
    pub fn take(&mut self, recipe: &Recipe<'_>) -> Result<Option<(usize, usize)>> {
        if self.over {
            return Ok(None);
        }
        let Some(piece) = self.pieces.next() else {
            self.over = true;
            return Ok(None);
        };
        let number = self.taken;
        self.taken += 1;
        let data = piece?;
        let named = |error: Error| Error::data(format!("batch {number}: {error}"));
        let weights = recipe.class_weights(&data, &self.class_weight);
        let weights = weights.map_err(named)?;
        let mut prepared = recipe.prepare(&data).map_err(named)?;
        if let Some(weights) = weights {
            prepared.weights = Some(weights.into());
        }
        let table = Table::of(prepared);
        let told = (table.rows, table.weights.len() / table.rows);
        self.held = Some((table, 0));
        Ok(Some(told))
    }

    /// The next `count` rows; fewer only where the iterator has ended.
    pub fn rows(&mut self, recipe: &Recipe<'_>, weights: usize, count: usize) -> Result<Table> {
        let mut rows = Table::default();
        while rows.rows < count {
            if self.held.is_none() && self.take(recipe)?.is_none() {
                break;
            }
            let Some((table, used)) = &mut self.held else {
                break;
            };
            let own = table.weights.len() / table.rows;
            if own != weights {
                let number = self.taken - 1;
                let message =
                    format!("batch {number} has {own} weights a row, the first has {weights}");
                return Err(Error::data(message));
            }
            let end = table.rows.min(*used + count - rows.rows);
            rows.append(table, *used..end);
            *used = end;
            if end == table.rows {
                self.held = None;
            }
        }
        Ok(rows)
    }
}

impl Table {
    fn of(data: Prepared<'_>) -> Self {
        Table {
            rows: data.rows,
            features: data.features.into_owned(),
            values: data.values.map(|y| y.into_owned()).unwrap_or_default(),
            labels: data.labels.map(|y| y.into_owned()).unwrap_or_default(),
            weights: data.weights.map(|w| w.into_owned()).unwrap_or_default(),
        }
    }

    /// In the order of [`Prepared::arrays`].
    pub fn arrays(&self) -> [ElementsRef<'_>; 4] {
        [
            ElementsRef::F32(&self.features),
            ElementsRef::F32(&self.values),
            ElementsRef::U32(&self.labels),
            ElementsRef::F32(&self.weights),
        ]
    }

    /// Adds rows of another.
    fn append(&mut self, other: &Table, range: Range<usize>) {
        fn rows<T: Copy>(to: &mut Vec<T>, from: &[T], count: usize, range: &Range<usize>) {
            let width = from.len() / count.max(1);
            to.extend_from_slice(&from[range.start * width..range.end * width]);
        }
        rows(&mut self.features, &other.features, other.rows, &range);
        rows(&mut self.values, &other.values, other.rows, &range);
        rows(&mut self.labels, &other.labels, other.rows, &range);
        rows(&mut self.weights, &other.weights, other.rows, &range);
        self.rows += range.len();
    }
}
