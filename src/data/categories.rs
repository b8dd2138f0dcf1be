//! Columns of categories turned into a column of zeros and ones for each category.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::reserve::reserved;

use super::Dataset;
use super::table::ColumnNames;

/// How many categories each column has; 0 for a column of numbers, which stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CategoryColumns {
    categories: Vec<usize>,
}

impl CategoryColumns {
    pub(super) fn fit(train: &Dataset) -> Self {
        let categories = (0..train.columns()).map(|column| train.categories(column).len());
        CategoryColumns {
            categories: categories.collect(),
        }
    }

    /// The columns it takes.
    pub(super) fn columns(&self) -> usize {
        self.categories.len()
    }

    /// The columns it makes; none where there are more than can be counted.
    pub(super) fn outputs(&self) -> Option<usize> {
        let widths = self.categories.iter().map(|count| (*count).max(1));
        widths.into_iter().try_fold(0, usize::checked_add)
    }

    /// Which of the columns that it makes stand for a category.
    pub(super) fn indicators(&self) -> Vec<bool> {
        let of = |count: &usize| vec![*count > 0; (*count).max(1)];
        self.categories.iter().flat_map(of).collect()
    }

    /// The names of the columns that it makes: `island=Biscoe`; none where the table has none.
    pub(super) fn names(&self, table: &ColumnNames) -> Vec<String> {
        let names = table.names.iter().enumerate();
        let of = |(column, name): (usize, &String)| match table.categories(column) {
            [] => vec![name.clone()],
            categories => {
                let named = categories
                    .iter()
                    .map(|category| format!("{name}={category}"));
                named.collect()
            }
        };
        names.flat_map(of).collect()
    }

    /// The wider rows of whole rows.
    pub(super) fn transform_rows(&self, rows: &[f32]) -> Result<Vec<f32>> {
        let count = rows.len() / self.columns();
        let len = self
            .outputs()
            .and_then(|outputs| outputs.checked_mul(count));
        let mut wide = reserved(len, "the columns of categories")?;
        for (number, row) in rows.chunks_exact(self.columns()).enumerate() {
            for (column, (x, count)) in row.iter().zip(&self.categories).enumerate() {
                if *count == 0 {
                    wide.push(*x);
                    continue;
                }
                if !(x.fract() == 0.0 && *x >= 0.0 && *x < *count as f32) {
                    let mend = if x.is_nan() {
                        "impute the missing cell before"
                    } else {
                        "read it with the categories of the training set"
                    };
                    return Err(Error::data(format!(
                        "row {number}, column {column} (counted from 0) is {x}, which is none of {count} categories: {mend}"
                    )));
                }
                wide.extend(
                    (0..*count).map(|category| f32::from(u8::from(category == *x as usize))),
                );
            }
        }
        Ok(wide)
    }
}
