//! Softmax as a layer with settings: along any dimension, and with a mask.

use serde::{Deserialize, Serialize};

use crate::{Result, Shape, Tensor};

use super::layer::saved_as;
use super::{Axes, Call, Layer};

/// What Keras adds to what is masked.
const FAR_BELOW: f32 = 1e9;

/// Shares along one dimension of each sample, or along several together, which sum to 1: e^x/Σe^x.
///
/// A second input is a mask in the shape of the first, or one that broadcasts to it: where it is 0 there is no share. Where
/// all of a row is masked there is nothing to share but by x, as in Keras. As the last layer of a classifier
/// [`Activation::Softmax`](super::Activation::Softmax) is the better one: a cross-entropy then reads what is before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Softmax {
    /// The dimensions, counted with the batch as 0, or from the back where negative. Default: −1, the last.
    pub axis: Axes,
}

impl Layer for Softmax {
    saved_as!("Softmax");

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let ([x] | [x, _]) = inputs else {
            return Err(format!(
                "takes an input and a mask, got {} inputs",
                inputs.len()
            ));
        };
        self.axis.of_samples(x.rank())?;
        let Some(mask) = inputs.get(1) else {
            return Ok(x.clone());
        };
        let mut pairs = mask.dims().iter().rev().zip(x.dims().iter().rev());
        if mask.rank() > x.rank() || !pairs.all(|(&mask, &x)| mask == x || mask == 1) {
            return Err(format!("the mask {mask} does not broadcast to {x}"));
        }
        Ok(x.clone())
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let x = match inputs.get(1) {
            None => inputs[0].clone(),
            Some(mask) => inputs[0].add(&mask.offset(-1.0).scale(FAR_BELOW)),
        };
        let y = self.axis.apply(&x, Tensor::softmax);
        y.unwrap_or_else(|message| call.refuse(message))
    }
}
