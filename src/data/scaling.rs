//! Standardisation: every feature to mean 0 and standard deviation 1.

use super::Dataset;
use crate::error::{Error, Result};

/// Subtracts each column's mean and divides by its standard deviation: `z = (x − mean) / scale`.
///
/// Fit it on the training part only, and transform both parts with it; a mean that has seen the test rows lets them
/// leak into training. The definitions are those of scikit-learn's `StandardScaler`: the population's standard
/// deviation (divided by `rows`, not `rows − 1`), and a scale of 1 for a constant column, which becomes 0. Sums are
/// taken in f64.
///
/// ```
/// use kiln::{Dataset, StandardScaler};
///
/// let train = Dataset::from_rows(&[[1., 5.], [3., 5.]], &[[0.], [1.]])?;
/// let scaler = StandardScaler::fit(&train)?;
/// assert_eq!((scaler.mean(), scaler.scale()), (&[2., 5.][..], &[1., 1.][..]));
/// assert_eq!(scaler.transform(&train)?.features(), [-1., 0., 1., 0.]);
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StandardScaler {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl StandardScaler {
    /// Takes each column's mean and standard deviation from `train`.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where a feature is NaN or infinite.
    pub fn fit(train: &Dataset) -> Result<Self> {
        train.check_finite_features()?;
        let (rows, columns) = (train.rows() as f64, train.columns());
        let first = &train.features()[..columns];

        let mut mean = vec![0.0; columns];
        let mut constant = vec![true; columns];
        for row in train.features().chunks_exact(columns) {
            for (column, x) in row.iter().enumerate() {
                mean[column] += f64::from(*x);
                constant[column] &= *x == first[column];
            }
        }
        mean.iter_mut().for_each(|sum| *sum /= rows);

        // A second pass over the deviations: the sum of squares less the squared sum would cancel.
        let mut scale = vec![0.0; columns];
        for row in train.features().chunks_exact(columns) {
            for (column, x) in row.iter().enumerate() {
                scale[column] += (f64::from(*x) - mean[column]).powi(2);
            }
        }
        for column in 0..columns {
            scale[column] = (scale[column] / rows).sqrt();
            if constant[column] {
                // Exact, where the rounding of a long sum would leave a tiny deviation to be blown up.
                (mean[column], scale[column]) = (f64::from(first[column]), 1.0);
            }
        }
        Ok(StandardScaler { mean, scale })
    }

    /// A scaler of known means and scales, one of each per column, such as a model file holds.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where there are none, where the two differ in length, where a mean is not finite, and where
    /// a scale is not finite or not above 0.
    pub fn from_parts(mean: Vec<f64>, scale: Vec<f64>) -> Result<Self> {
        if mean.is_empty() || mean.len() != scale.len() {
            let message = format!(
                "{} scales for {} means: give one of each per column, and at least one",
                scale.len(),
                mean.len()
            );
            return Err(Error::argument("scale", message));
        }
        if let Some(column) = mean.iter().position(|x| !x.is_finite()) {
            let message = format!(
                "column {column} (counted from 0) has mean {}, which is not finite",
                mean[column]
            );
            return Err(Error::argument("mean", message));
        }
        if let Some(column) = scale.iter().position(|x| !(x.is_finite() && *x > 0.0)) {
            let message = format!(
                "column {column} (counted from 0) has scale {}, which must be finite and above 0",
                scale[column]
            );
            return Err(Error::argument("scale", message));
        }
        Ok(StandardScaler { mean, scale })
    }

    /// A copy of `data` with its features standardised; targets and names stay. NaN stays NaN.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where `data` does not have as many columns as the data that was fitted.
    pub fn transform(&self, data: &Dataset) -> Result<Dataset> {
        if data.columns() != self.mean.len() {
            return Err(Error::data(format!(
                "the scaler was fitted on {} columns and the data has {}: give it the same columns in the same order",
                self.mean.len(),
                data.columns()
            )));
        }
        let mut features = data.features().to_vec();
        self.transform_rows(&mut features)?;
        data.like(features, data.targets().clone())
    }

    /// Standardises row-major rows in place.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where `rows` is not a whole number of rows of as many columns as were fitted.
    pub fn transform_rows(&self, rows: &mut [f32]) -> Result<()> {
        let columns = self.mean.len();
        if !rows.len().is_multiple_of(columns) {
            return Err(Error::data(format!(
                "{} features are not whole rows of the {columns} columns that the scaler was fitted on",
                rows.len()
            )));
        }
        for row in rows.chunks_exact_mut(columns) {
            for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *x = ((f64::from(*x) - mean) / scale) as f32;
            }
        }
        Ok(())
    }

    /// Each column's mean.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// What each column is divided by: its standard deviation, or 1 where it is constant.
    pub fn scale(&self) -> &[f64] {
        &self.scale
    }
}
