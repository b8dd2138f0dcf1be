//! A penalty on what flows through, as a layer of its own.

use serde::{Deserialize, Serialize};

use crate::{Result, Shape, Tensor};

use super::layer::{saved_as, single};
use super::{Call, Layer, Regularizer};

/// Hands its input on and adds (l1·Σ|x| + l2·Σ x²)/rows to the loss, over the rows of the batch, as Keras does.
///
/// After the last activation it changes nothing of what a cross-entropy reads: the logits, where nothing saturates.
///
/// ```
/// use kiln::nn::ActivityRegularization;
/// use kiln::prelude::*;
///
/// let sparse = ActivityRegularization { l1: 1e-3, l2: 0.0 };
/// let model = Sequential::new(8).dense(16, Relu).layer(sparse).dense(1, Sigmoid);
/// assert_eq!(model.parameter_count(), 9 * 16 + 17);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ActivityRegularization {
    /// The factor of magnitudes, at least 0. Default: 0.
    pub l1: f32,
    /// The factor of squares, at least 0. Default: 0.
    pub l2: f32,
}

impl ActivityRegularization {
    fn regularizer(self) -> Regularizer {
        let ActivityRegularization { l1, l2 } = self;
        Regularizer::L1L2 { l1, l2 }
    }
}

impl Layer for ActivityRegularization {
    saved_as!("ActivityRegularization");

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        single(inputs).cloned()
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        call.add_loss(&self.regularizer().row_penalty(&inputs[0]));
        call.hand_on(&inputs[0])
    }

    fn validate(&self) -> Result<()> {
        self.regularizer().validate()
    }
}
