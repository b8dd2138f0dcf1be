//! Vectors brought to length 1.

use serde::{Deserialize, Serialize};

use crate::nn::layer::{saved_as, single};
use crate::nn::{Axes, Call, Layer};
use crate::{Result, Shape, Tensor};

/// x/|x| along one dimension of each sample, or along several together: vectors of length 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UnitNormalization {
    /// The dimensions, counted with the batch as 0, or from the back where negative. Default: −1, the last.
    #[serde(default)]
    pub axis: Axes,
}

impl Layer for UnitNormalization {
    saved_as!("UnitNormalization");

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let shape = single(inputs)?;
        self.axis.of_samples(shape.rank())?;
        Ok(shape.clone())
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let y = self.axis.apply(&inputs[0], Tensor::unit_norm);
        y.unwrap_or_else(|message| call.refuse(message))
    }
}
