//! Layers that move elements without changing them: flatten, reshape, permute, repeat.

use serde::{Deserialize, Serialize};

use crate::{Result, Shape, Tensor};

use super::layer::{saved_as, single};
use super::{Call, Layer};

/// The elements of a sample in one row: `[28, 28]` to `[784]`. A single number becomes a row of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flatten;

impl Layer for Flatten {
    saved_as!("Flatten");

    fn takes_integers(&self) -> bool {
        true
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let elements = single(inputs)?.elements();
        Ok([usize::try_from(elements).unwrap_or(usize::MAX)].into())
    }

    fn forward(&self, inputs: &[Tensor], _call: &mut Call) -> Tensor {
        let shape = inputs[0].shape();
        let (rows, sample) = shape.dims().split_at(1.min(shape.rank()));
        inputs[0].reshape([rows, &[sample.iter().product()]].concat())
    }
}

/// The elements of a sample in the same order under another shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reshape {
    /// The sizes of a sample; one of them may be −1 and takes what is left.
    pub target_shape: Vec<i64>,
}

impl Reshape {
    /// To samples of this shape, in which −1 may stand once for what is left.
    pub fn new(target_shape: impl Into<Vec<i64>>) -> Self {
        Reshape {
            target_shape: target_shape.into(),
        }
    }

    fn target(&self, sample: &Shape) -> Result<Shape, String> {
        let unfit = || {
            format!(
                "{:?} is no shape of the elements of {sample}",
                self.target_shape
            )
        };
        let open = self.target_shape.iter().filter(|&&dim| dim == -1).count();
        let known = self.target_shape.iter().filter(|&&dim| dim != -1);
        let known: Vec<usize> = known
            .map(|&dim| usize::try_from(dim).map_err(|_negative| unfit()))
            .collect::<Result<_, _>>()?;
        let product = Shape::from(known).elements();
        let rest = match open {
            0 if product == sample.elements() => 1,
            1 if product > 0 && sample.elements().is_multiple_of(product) => {
                usize::try_from(sample.elements() / product).unwrap_or(usize::MAX)
            }
            _ => return Err(unfit()),
        };
        let dims = self.target_shape.iter();
        let dims = dims.map(|&dim| usize::try_from(dim).unwrap_or(rest));
        Ok(dims.collect::<Vec<_>>().into())
    }
}

impl Layer for Reshape {
    saved_as!("Reshape");

    fn takes_integers(&self) -> bool {
        true
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.target(single(inputs)?)
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let shape = inputs[0].shape();
        let (rows, sample) = shape.dims().split_at(1.min(shape.rank()));
        match self.target(&sample.into()) {
            Ok(target) => inputs[0].reshape([rows, target.dims()].concat()),
            Err(message) => call.refuse(message),
        }
    }
}

/// The dimensions of a sample in another order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permute {
    /// Dimension k of the output is this one of the input; counted from 1, as in Keras, the batch being 0.
    pub dims: Vec<usize>,
}

impl Permute {
    /// The order, counted from 1: `[2, 1]` turns matrices.
    pub fn new(dims: impl Into<Vec<usize>>) -> Self {
        Permute { dims: dims.into() }
    }
}

impl Layer for Permute {
    saved_as!("Permute");

    fn takes_integers(&self) -> bool {
        true
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let sample = single(inputs)?;
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(1..=sample.rank()) {
            return Err(format!(
                "{:?} does not name each dimension of {sample} once, counted from 1",
                self.dims
            ));
        }
        let dims = self.dims.iter().map(|&dim| sample.dims()[dim - 1]);
        Ok(dims.collect::<Vec<_>>().into())
    }

    fn forward(&self, inputs: &[Tensor], _call: &mut Call) -> Tensor {
        let dims = self.dims.iter().map(|&dim| dim as isize);
        let order: Vec<isize> = [0].into_iter().chain(dims).collect();
        inputs[0].permute(&order)
    }
}

/// A row repeated: `[features]` to `[n, features]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepeatVector {
    /// How many times; at least 1.
    pub n: usize,
}

impl RepeatVector {
    /// `n` times.
    pub fn new(n: usize) -> Self {
        RepeatVector { n }
    }
}

impl Layer for RepeatVector {
    saved_as!("RepeatVector");

    fn takes_integers(&self) -> bool {
        true
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match single(inputs)?.dims() {
            &[features] => Ok([self.n, features].into()),
            _ => Err(format!("takes samples of one dimension, got {}", inputs[0])),
        }
    }

    fn forward(&self, inputs: &[Tensor], _call: &mut Call) -> Tensor {
        inputs[0].repeat(1, self.n)
    }

    fn validate(&self) -> Result<()> {
        if self.n == 0 {
            let message = "times to repeat must be at least 1, got 0";
            return Err(crate::Error::argument("n", message));
        }
        Ok(())
    }
}
