//! Scaling: every feature moved and divided by numbers that were taken from the training part.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::range::within;

use super::table::{ColumnNames, check_rows};
use super::{Dataset, Targets, TypedValues};

/// Subtracts a number from each column and divides by another: `z = (x − center) / scale`.
///
/// Fit it on the training part only, and transform both parts with it; a center that has seen the test rows lets them
/// leak into training. The definitions are those of scikit-learn:
///
/// | constructor | center | scale |
/// |---|---|---|
/// | [`Scaler::standard`] (`StandardScaler`) | the mean | the population's standard deviation (divided by `rows`, not `rows − 1`) |
/// | [`Scaler::min_max`] (`MinMaxScaler`) | what becomes 0 | (max − min)/(high − low) |
/// | [`Scaler::robust`] (`RobustScaler`) | the median | the distance of the quartiles |
///
/// A column without spread is divided by 1 and becomes constant. Missing cells (NaN) do not count and stay; sums are taken
/// in f64.
///
/// It remembers the names of the columns that it was fitted on: a table with names is put in their order by them, and columns that
/// are missing or unknown are refused.
///
/// ```
/// use kiln::{Dataset, Scaler};
///
/// let train = Dataset::from_rows(&[[1., 5.], [3., 5.]], &[[0.], [1.]])?;
/// let scaler = Scaler::standard(&train)?;
/// assert_eq!(scaler.transform(&train)?.features(), [-1., 0., 1., 0.]);
/// assert_eq!((scaler.center, scaler.scale), (vec![2., 5.], vec![1., 1.]));
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ScalerFile")]
#[non_exhaustive]
pub struct Scaler {
    /// What is subtracted from each column.
    pub center: Vec<f64>,
    /// What each column is divided by: 1 where it is constant.
    pub scale: Vec<f64>,
    /// What is known of the columns.
    #[serde(rename = "columns", skip_serializing_if = "ColumnNames::is_empty")]
    pub(super) names: ColumnNames,
}

/// A scaler as a model file has it, before its numbers are checked.
#[derive(Deserialize)]
struct ScalerFile {
    center: Vec<f64>,
    scale: Vec<f64>,
    #[serde(default)]
    columns: ColumnNames,
}

impl TryFrom<ScalerFile> for Scaler {
    type Error = Error;

    fn try_from(file: ScalerFile) -> Result<Self> {
        let scaler = Scaler::from_parts(file.center, file.scale)?;
        if !file.columns.is_of(scaler.columns()) {
            let message = format!("must be as many as the {} scales", scaler.columns());
            return Err(Error::argument("columns", message));
        }
        Ok(Scaler {
            names: file.columns,
            ..scaler
        })
    }
}

impl Scaler {
    /// Every column to mean 0 and standard deviation 1.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where a feature is infinite, and where a column has no number at all.
    pub fn standard(train: &Dataset) -> Result<Self> {
        Self::fit(train, 0.0, |column| {
            let rows = column.len() as f64;
            let sum: f64 = column.iter().map(|x| f64::from(*x)).sum();
            let mean = sum / rows;
            // A second pass over the deviations: the sum of squares less the squared sum would cancel.
            let squares: f64 = column.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum();
            (mean, (squares / rows).sqrt())
        })
    }

    /// Every column's least number to `low`, its greatest to `high`; scikit-learn's default is 0 and 1.
    ///
    /// # Errors
    ///
    /// The same errors as [`standard`](Self::standard), and [`Error::Argument`] where `low` is not below `high` or one is not finite.
    pub fn min_max(train: &Dataset, low: f32, high: f32) -> Result<Self> {
        let fits = low < high && low.is_finite() && high.is_finite();
        let given = format!("{high} above {low}");
        within(fits, "high", "finite and above low", given)?;
        let (low, high) = (f64::from(low), f64::from(high));
        // A constant column is its own least number, which becomes `low`.
        Self::fit(train, low, |column| {
            let least = column.iter().copied().fold(f32::INFINITY, f32::min);
            let greatest = column.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let scale = (f64::from(greatest) - f64::from(least)) / (high - low);
            (f64::from(least) - low * scale, scale)
        })
    }

    /// Every column's median to 0 and the distance of its quartiles to 1, which outliers do not move.
    ///
    /// Quantiles are interpolated between neighbours, as NumPy does.
    ///
    /// # Errors
    ///
    /// The same errors as [`standard`](Self::standard).
    pub fn robust(train: &Dataset) -> Result<Self> {
        Self::fit(train, 0.0, |column| {
            column.sort_unstable_by(f32::total_cmp);
            let spread = quantile(column, 0.75) - quantile(column, 0.25);
            (quantile(column, 0.5), spread)
        })
    }

    /// Takes center and scale of each column from its numbers; a constant column becomes `constant`, divided by 1.
    fn fit(
        train: &Dataset,
        constant: f64,
        parts: impl Fn(&mut [f32]) -> (f64, f64),
    ) -> Result<Self> {
        train.check_not_infinite()?;
        let mut fitted = Scaler {
            center: Vec::with_capacity(train.columns()),
            scale: Vec::with_capacity(train.columns()),
            names: train.table.clone(),
        };
        for (index, mut numbers) in columns(train)?.enumerate() {
            let Some(first) = numbers.first().copied() else {
                let column = train.describe_column(index);
                return Err(Error::data(format!(
                    "{column} has no number to scale by: leave the column out"
                )));
            };
            // Exact, where the rounding of a long sum would leave a tiny deviation to be blown up.
            let (center, scale) = if numbers.iter().all(|x| *x == first) {
                (f64::from(first) - constant, 1.0)
            } else {
                parts(&mut numbers)
            };
            fitted.center.push(center);
            // Quartiles may be equal where not all numbers are.
            fitted.scale.push(if scale > 0.0 { scale } else { 1.0 });
        }
        Ok(fitted)
    }

    /// A scaler of known centers and scales, one of each per column.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where there are none, where the two differ in length, where a center is not finite, and where
    /// a scale is not finite or not above 0.
    pub fn from_parts(center: Vec<f64>, scale: Vec<f64>) -> Result<Self> {
        if center.is_empty() || center.len() != scale.len() {
            let message = format!(
                "{} scales for {} centers: give one of each per column, and at least one",
                scale.len(),
                center.len()
            );
            return Err(Error::argument("scale", message));
        }
        if let Some(column) = center.iter().position(|x| !x.is_finite()) {
            let message = format!(
                "column {column} (counted from 0) has center {}, which is not finite",
                center[column]
            );
            return Err(Error::argument("center", message));
        }
        if let Some(column) = scale.iter().position(|x| !(x.is_finite() && *x > 0.0)) {
            let message = format!(
                "column {column} (counted from 0) has scale {}, which must be finite and above 0",
                scale[column]
            );
            return Err(Error::argument("scale", message));
        }
        Ok(Scaler {
            center,
            scale,
            names: ColumnNames::default(),
        })
    }

    /// The same without the names of the columns.
    pub(crate) fn without_names(self) -> Self {
        Scaler {
            names: ColumnNames::default(),
            ..self
        }
    }

    /// Leaves the columns as they are for which `keep` says so: center 0, scale 1.
    pub(super) fn keeping(mut self, keep: &[bool]) -> Self {
        let parts = self.center.iter_mut().zip(&mut self.scale).zip(keep);
        for ((center, scale), _) in parts.filter(|(_, keep)| **keep) {
            (*center, *scale) = (0.0, 1.0);
        }
        self
    }

    /// A copy of `data` with its features scaled; targets and names stay. NaN stays NaN. A column of categories becomes one of
    /// numbers: scaled cells are no numbers of categories.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where `data` does not have the columns that were fitted.
    pub fn transform(&self, data: &Dataset) -> Result<Dataset> {
        let cells = TypedValues::F32(Cow::Borrowed(data.cells()?));
        let cells = self.names.arranged("scaler", &data.table, cells)?;
        data.check_columns("scaler", self.columns())?;
        let mut cells = cells.numbers()?.into_owned();
        self.transform_rows(&mut cells)?;
        let table = self.names.or(&data.table).without_categories();
        data.with_table(cells, data.columns(), table)
    }

    /// Scales row-major rows in place.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where `rows` is not a whole number of rows of as many columns as were fitted.
    pub fn transform_rows(&self, rows: &mut [f32]) -> Result<()> {
        check_rows("scaler", rows.len(), self.columns())?;
        for row in rows.chunks_exact_mut(self.columns().max(1)) {
            for ((x, center), scale) in row.iter_mut().zip(&self.center).zip(&self.scale) {
                *x = ((f64::from(*x) - center) / scale) as f32;
            }
        }
        Ok(())
    }

    /// Every column of the targets to mean 0 and standard deviation 1, for
    /// [`Sequential::target_scaling`](crate::nn::Sequential::target_scaling): the model scales its targets and brings predictions back
    /// to their unit.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the targets are no numbers or are those of several outputs, where one is infinite, and where a column
    /// has no number at all.
    pub fn targets(train: &Dataset) -> Result<Self> {
        let values = train.target_values()?.to_vec();
        let columns = values.len() / train.rows();
        Self::standard(&Dataset::new(values, columns, Targets::None)?)
    }

    /// Brings scaled row-major rows back in place: x·scale + center, the inverse of [`transform_rows`](Self::transform_rows).
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where `rows` is not a whole number of rows of as many columns as were fitted.
    pub fn inverse_rows(&self, rows: &mut [f32]) -> Result<()> {
        check_rows("scaler", rows.len(), self.columns())?;
        for row in rows.chunks_exact_mut(self.columns().max(1)) {
            for ((x, center), scale) in row.iter_mut().zip(&self.center).zip(&self.scale) {
                *x = (f64::from(*x) * scale + center) as f32;
            }
        }
        Ok(())
    }

    /// The number of columns that it was fitted on.
    pub(crate) fn columns(&self) -> usize {
        self.center.len()
    }
}

/// The numbers of each column, missing cells left out.
pub(super) fn columns(data: &Dataset) -> Result<impl Iterator<Item = Vec<f32>>> {
    let (cells, width) = (data.cells()?, data.columns());
    Ok((0..width).map(move |column| {
        let cells = cells.iter().skip(column).step_by(width);
        cells.copied().filter(|x| !x.is_nan()).collect()
    }))
}

/// The quantile of sorted numbers, at least one, on the line between its neighbours.
pub(super) fn quantile(sorted: &[f32], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let (low, high) = (f64::from(sorted[below]), f64::from(sorted[above]));
    low + (high - low) * (place - below as f64)
}
