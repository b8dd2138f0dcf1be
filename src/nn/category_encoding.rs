//! The layer that makes numbers of integers.

use serde::{Deserialize, Serialize};

use crate::range::within;
use crate::{Result, Tensor};

use super::layer::saved_as;
use super::{Call, Layer};

/// How [`CategoryEncoding`] writes an integer as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutputMode {
    /// A row of `num_tokens` numbers for each integer: a one in its place, zeros elsewhere.
    OneHot,
}

/// Integers as numbers: Keras' layer of this name, with `output_mode="one_hot"`.
///
/// Samples `[…]` of u32 become `[…, num_tokens]`; a last dimension of 1 is replaced. An integer that is not below
/// `num_tokens` gives NaN, which training reports.
///
/// ```
/// use kiln::prelude::*;
///
/// // Twelve tokens of fifty.
/// let model = Sequential::new(TensorType::u32([12]))
///     .layer(CategoryEncoding::one_hot(50))
///     .layer(Flatten)
///     .dense(2, Softmax);
/// assert_eq!(model.parameter_count(), (12 * 50 + 1) * 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryEncoding {
    /// How many different integers there are.
    pub num_tokens: usize,
    /// How an integer is written.
    output_mode: OutputMode,
}

impl CategoryEncoding {
    /// A one in the place of each integer, zeros elsewhere.
    pub fn one_hot(num_tokens: usize) -> Self {
        CategoryEncoding {
            num_tokens,
            output_mode: OutputMode::OneHot,
        }
    }
}

impl Layer for CategoryEncoding {
    saved_as!("CategoryEncoding");

    fn takes_integers(&self) -> bool {
        true
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let [integers] = inputs else {
            return call.refuse(format!("takes one input, got {}", inputs.len()));
        };
        let shape = integers.shape();
        match shape.dims() {
            [rest @ .., 1] if !rest.is_empty() => integers.reshape(rest).one_hot(self.num_tokens),
            _ => integers.one_hot(self.num_tokens),
        }
    }

    fn validate(&self) -> Result<()> {
        within(
            self.num_tokens > 0,
            "num_tokens",
            "at least 1",
            self.num_tokens,
        )
    }
}
