//! Missing cells, which are NaN, filled by a number taken from the training part's column.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::range::finite;

use super::Dataset;
use super::scaling::{columns, quantile};

/// What a missing cell becomes, as in scikit-learn's `SimpleImputer`.
///
/// A column of categories gets its most frequent one, whichever is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Fill {
    /// The mean of the column's numbers.
    Mean,
    /// The median of the column's numbers.
    Median,
    /// The most frequent number; the smallest of those that are equally frequent.
    MostFrequent,
    /// This number, in columns of numbers.
    Constant(f32),
}

/// The number that a missing cell of each column becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Imputer {
    fills: Vec<f32>,
}

impl Imputer {
    pub(super) fn fit(train: &Dataset, fill: Fill) -> Result<Self> {
        if let Fill::Constant(value) = fill {
            finite("fill", value)?;
        }
        train.check_not_infinite()?;
        let mut fills = Vec::with_capacity(train.columns());
        for (index, mut numbers) in columns(train)?.enumerate() {
            let of_categories = !train.categories(index).is_empty();
            if let (Fill::Constant(value), false) = (fill, of_categories) {
                fills.push(value);
                continue;
            }
            if numbers.is_empty() {
                let column = train.describe_column(index);
                return Err(Error::data(format!(
                    "{column} has no number to fill its missing cells with: leave the column out"
                )));
            }
            numbers.sort_unstable_by(f32::total_cmp);
            fills.push(match fill {
                _ if of_categories => most_frequent(&numbers),
                Fill::Mean => {
                    let sum: f64 = numbers.iter().map(|x| f64::from(*x)).sum();
                    (sum / numbers.len() as f64) as f32
                }
                Fill::Median => quantile(&numbers, 0.5) as f32,
                Fill::MostFrequent | Fill::Constant(_) => most_frequent(&numbers),
            });
        }
        Ok(Imputer { fills })
    }

    /// Fills the missing cells of whole rows.
    pub(super) fn transform_rows(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.fills.len()) {
            let missing = row.iter_mut().zip(&self.fills).filter(|(x, _)| x.is_nan());
            missing.for_each(|(x, fill)| *x = *fill);
        }
    }

    pub(super) fn columns(&self) -> usize {
        self.fills.len()
    }

    /// Whether every fill is a number: a file may hold anything.
    pub(super) fn is_sound(&self) -> bool {
        !self.fills.is_empty() && self.fills.iter().all(|fill| fill.is_finite())
    }
}

/// The most frequent of sorted numbers, at least one; the smallest of equally frequent ones.
fn most_frequent(sorted: &[f32]) -> f32 {
    let runs = sorted.chunk_by(|a, b| a == b);
    let longest = runs.fold(&sorted[..0], |longest, run| {
        if run.len() > longest.len() {
            run
        } else {
            longest
        }
    });
    longest.first().copied().unwrap_or(f32::NAN)
}
