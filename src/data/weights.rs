//! Weights of a data set's rows: what their losses are multiplied by.

use crate::error::{Error, Result};

use super::Dataset;
use super::dataset::named;

impl Dataset {
    /// Gives every row a weight: what its loss is multiplied by in training and evaluation (Keras' `sample_weight`).
    ///
    /// The loss of a batch is Σ w·l over its number of rows, whatever they weigh. Metrics do not look at weights but where
    /// they are [weighted ones](crate::train::Objective::weighted_metric).
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there are not as many weights as rows, or one is not a finite number.
    pub fn with_weights(self, weights: Vec<f32>) -> Result<Self> {
        self.with_output_weights("", weights)
    }

    /// Gives every row a weight for the output of that name alone, as an entry of a dictionary that is Keras'
    /// `sample_weight`. Outputs without one of their own have those of [`with_weights`](Self::with_weights), if any.
    ///
    /// # Errors
    ///
    /// The same errors as [`with_weights`](Self::with_weights). Whether there is such an output is seen when a model is given the data.
    pub fn with_output_weights(
        mut self,
        output: impl Into<String>,
        weights: Vec<f32>,
    ) -> Result<Self> {
        let output = output.into();
        self.check_weights(&weights)
            .map_err(|error| named(&output, error))?;
        self.weights.retain(|(known, _)| *known != output);
        self.weights.push((output, weights));
        Ok(self)
    }

    fn check_weights(&self, weights: &[f32]) -> Result<()> {
        if weights.len() != self.rows() {
            let (given, rows) = (weights.len(), self.rows());
            return Err(Error::data(format!(
                "{given} weights for {rows} rows: give one per row"
            )));
        }
        match weights.iter().position(|weight| !weight.is_finite()) {
            None => Ok(()),
            Some(row) => Err(Error::data(format!(
                "the weight of row {row} is {}, not a number",
                weights[row]
            ))),
        }
    }

    /// The weights of the rows; none where all weigh the same.
    pub fn weights(&self) -> Option<&[f32]> {
        let mut all = self.weights.iter();
        let plain = all.find(|(output, _)| output.is_empty());
        plain.map(|(_, weights)| &weights[..])
    }

    /// The weights of the rows for single outputs, with their names.
    pub(crate) fn output_weights(&self) -> impl Iterator<Item = &(String, Vec<f32>)> {
        self.weights.iter().filter(|(output, _)| !output.is_empty())
    }
}
