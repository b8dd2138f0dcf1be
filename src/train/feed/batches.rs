//! Batches of an iterator's rows: pieces of any length, cut anew in the order in which the iterator gives them.

use std::ops::Range;

use crate::data::LearnedNames;
use crate::session::{ElementsRef, HostElements};
use crate::{Dataset, Error, Result};

use crate::train::prepare::Prepared;
use crate::train::programs::Recipe;

/// Pieces of any length from an iterator, cut anew.
pub(in crate::train) struct Batches<'a> {
    pieces: Box<dyn Iterator<Item = Result<Dataset>> + Send + 'a>,
    class_weight: Vec<(u32, f32)>,
    /// Rows that were taken, and how many of them were used.
    held: Option<(HeldRows, usize)>,
    taken: u64,
    pub steps_per_epoch: Option<u64>,
    /// The names of the first piece.
    pub names: LearnedNames,
    over: bool,
}

/// The arrays of some rows.
#[derive(Default)]
pub(in crate::train) struct HeldRows {
    pub rows: usize,
    /// Weights of a row.
    weights: usize,
    /// In the order of [`Prepared::arrays`]; none before the first rows.
    arrays: Vec<HostElements<'static>>,
}

impl<'a> Batches<'a> {
    pub fn new<I>(pieces: I, class_weight: &[(u32, f32)], steps_per_epoch: Option<u64>) -> Self
    where
        I: Iterator<Item = Result<Dataset>> + Send + 'a,
    {
        Batches {
            pieces: Box::new(pieces),
            class_weight: class_weight.to_vec(),
            held: None,
            taken: 0,
            steps_per_epoch,
            names: LearnedNames::default(),
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
        let prepared = recipe.prepare_weighted(&data, &self.class_weight);
        let named = |error: Error| Error::data(format!("batch {number}: {error}"));
        let table = HeldRows::of(prepared.map_err(named)?);
        if number == 0 {
            self.names = LearnedNames::of(&data);
        }
        let told = (table.rows, table.weights);
        self.held = Some((table, 0));
        Ok(Some(told))
    }

    /// The next `count` rows; fewer only where the iterator has ended.
    pub fn rows(&mut self, recipe: &Recipe<'_>, weights: usize, count: usize) -> Result<HeldRows> {
        let mut rows = HeldRows::default();
        while rows.rows < count {
            if self.held.is_none() && self.take(recipe)?.is_none() {
                break;
            }
            let Some((table, used)) = &mut self.held else {
                break;
            };
            let own = table.weights;
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

impl HeldRows {
    fn of(data: Prepared<'_>) -> Self {
        HeldRows {
            rows: data.rows,
            weights: data.weight_columns(),
            arrays: data.into_arrays(),
        }
    }

    /// In the order of [`Prepared::arrays`].
    pub fn arrays(&self) -> Vec<ElementsRef<'_>> {
        self.arrays.iter().map(HostElements::as_ref).collect()
    }

    /// Adds rows of another.
    fn append(&mut self, other: &HeldRows, range: Range<usize>) {
        let own = other.arrays().into_iter().map(|elements| {
            let width = elements.len() / other.rows;
            elements.range(range.start * width..range.end * width)
        });
        if self.arrays.is_empty() {
            let begun = |elements: ElementsRef<'_>| match elements {
                ElementsRef::F32(values) => HostElements::F32(values.to_vec().into()),
                ElementsRef::U32(values) => HostElements::U32(values.to_vec().into()),
            };
            self.arrays = own.map(begun).collect();
            self.weights = other.weights;
        } else {
            let pairs = self.arrays.iter_mut().zip(own);
            pairs.for_each(|(array, more)| array.extend(more));
        }
        self.rows += range.len();
    }
}
