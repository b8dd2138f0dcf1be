//! The layer of scalar products between samples.

use serde::{Deserialize, Serialize};

use crate::{Result, Shape, Tensor};

use super::axes::dimension;
use super::layer::saved_as;
use super::{Call, Layer};

/// Keras' least square of a norm that is divided by.
const LEAST_SQUARE: f32 = 1e-12;

/// The products of two inputs summed over one dimension of each: y`[b, i, j]` = Σₖ a`[b, i, k]`·c`[b, j, k]`.
///
/// What is left of the first input's dimensions comes first; two vectors give one number, `[1]`. Normalised, it is the
/// cosine of their angle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dot {
    /// The dimensions summed over, counted with the batch as 0, or from the back where negative, as in Keras.
    pub axes: (isize, isize),
    /// Whether both are divided by their norms along these dimensions first. Default: false.
    pub normalize: bool,
}

impl Dot {
    /// Over this dimension of both.
    pub fn new(axis: isize) -> Self {
        Dot {
            axes: (axis, axis),
            normalize: false,
        }
    }
}

impl Layer for Dot {
    saved_as!("Dot");

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [a, b] = inputs else {
            return Err(format!("takes two inputs, got {}", inputs.len()));
        };
        let first = dimension(self.axes.0, a.rank())? - 1;
        let second = dimension(self.axes.1, b.rank())? - 1;
        let (summed, other) = (a.dims()[first], b.dims()[second]);
        if summed != other {
            return Err(format!(
                "the axes {:?} of {a} and {b} differ in size: {summed} and {other}",
                self.axes
            ));
        }
        let left = |shape: &Shape, axis: usize| {
            let mut dims = shape.dims().to_vec();
            dims.remove(axis);
            dims
        };
        let dims = [left(a, first), left(b, second)].concat();
        Ok(if dims.is_empty() {
            [1].into()
        } else {
            dims.into()
        })
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let shape = |x: &Tensor| Shape::from(x.shape().dims().get(1..).unwrap_or_default());
        let shapes: Vec<Shape> = inputs.iter().map(shape).collect();
        let output = match self.output_shape(&shapes) {
            Ok(output) => output,
            Err(message) => return call.refuse(message),
        };
        let rows = inputs[0].shape().dims()[0];
        // [batch, what is left, summed].
        let table = |x: &Tensor, axis: isize| -> Result<Tensor, String> {
            let dims = x.shape().dims().to_vec();
            let axis = dimension(axis, dims.len() - 1)?;
            let others = (0..dims.len()).filter(|&i| i != axis);
            let order: Vec<isize> = others.chain([axis]).map(|axis| axis as isize).collect();
            let moved = if axis + 1 == dims.len() {
                x.clone()
            } else {
                x.permute(&order)
            };
            let summed = dims[axis];
            let left = dims[1..].iter().product::<usize>() / summed.max(1);
            let table = moved.reshape([rows, left, summed]);
            if !self.normalize {
                return Ok(table);
            }
            let table = table.with_squares(2);
            let squares = table.square().sum_over(2).reshape([rows, left, 1]);
            let least = table.graph().constant([1], &[LEAST_SQUARE]);
            Ok(table.div(&squares.maximum(&least).sqrt()))
        };
        let tables = table(&inputs[0], self.axes.0)
            .and_then(|a| table(&inputs[1], self.axes.1).map(|b| (a, b)));
        let (a, b) = match tables {
            Ok(tables) => tables,
            Err(message) => return call.refuse(message),
        };
        let sizes = |x: &Tensor| (x.shape().dims()[1], x.shape().dims()[2]);
        let ((i, k), (j, _)) = (sizes(&a), sizes(&b));
        let products = a.reshape([rows, i, 1, k]).mul(&b.reshape([rows, 1, j, k]));
        let dims = [&[rows], output.dims()].concat();
        products.sum_over(3).reshape(dims)
    }
}
