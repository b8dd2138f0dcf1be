//! One number from the losses of many rows.

use serde::{Deserialize, Serialize};

use crate::Tensor;

use super::rows::{EPSILON, over};

/// What becomes of the losses l of n rows with weights w.
///
/// `fit` takes the first, and others by [`Loss::reduction`](super::Loss::reduction). PyTorch's `mean` of a loss with class
/// weights is [`Reduction::MeanWithSampleWeight`], and its `mean` of an elementwise loss is
/// [`Reduction::SumOverBatchSize`] of the mean over each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reduction {
    /// Σ w·l/n, Keras' default: by the number of rows, whatever they weigh. Rows that are left out do not count.
    #[default]
    SumOverBatchSize,
    /// The same under its other name.
    Mean,
    /// Σ w·l.
    Sum,
    /// Σ w·l/Σ w.
    MeanWithSampleWeight,
    /// w·l, each row by itself.
    None,
}

impl Reduction {
    /// Whether it divides by the number of rows.
    pub(crate) fn is_mean(self) -> bool {
        matches!(self, Reduction::SumOverBatchSize | Reduction::Mean)
    }

    /// Keras' name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reduction::SumOverBatchSize => "sum_over_batch_size",
            Reduction::Mean => "mean",
            Reduction::Sum => "sum",
            Reduction::MeanWithSampleWeight => "mean_with_sample_weight",
            Reduction::None => "none",
        }
    }

    /// Reduces the losses of rows, with a weight for each row (or what broadcasts to the rows), and with ones for rows
    /// that count and zeros for those that a loss leaves out.
    #[track_caller]
    pub(super) fn apply(
        self,
        rows: &Tensor,
        weights: Option<&Tensor>,
        kept: Option<&Tensor>,
    ) -> Tensor {
        let weighted = weights.map_or(rows.clone(), |weights| rows.mul(weights));
        let weighted = kept.map_or(weighted.clone(), |kept| weighted.mul(kept));
        match self {
            Reduction::None => weighted,
            Reduction::Sum => weighted.sum(),
            Reduction::SumOverBatchSize | Reduction::Mean => match kept {
                None => weighted.mean(),
                Some(kept) => weighted.sum().div(&kept.sum().offset(EPSILON)),
            },
            Reduction::MeanWithSampleWeight => match (weights, kept) {
                (None, None) => weighted.mean(),
                (Some(all), None) | (None, Some(all)) => over(&weighted.sum(), &all.sum()),
                (Some(weights), Some(kept)) => over(&weighted.sum(), &weights.mul(kept).sum()),
            },
        }
    }
}
