//! Layers that make one tensor of several, element by element: sums, products, means, extremes.
//!
//! Samples of different shapes are broadcast as NumPy does, a lower rank filled up in front, as in Keras.

use serde::{Deserialize, Serialize};

use crate::op::shape::broadcast::broadcast;
use crate::{Result, Shape, Tensor};

use super::layer::saved_as;
use super::{Call, Layer};

/// The common shape of several, or which two do not broadcast.
fn common(inputs: &[Shape]) -> Result<Shape, String> {
    let Some((first, rest)) = inputs.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return Err(format!("takes at least two inputs, got {}", inputs.len()));
    };
    let mut common = first.clone();
    for shape in rest {
        let dims = broadcast(common.dims(), shape.dims());
        let unfit = || format!("shapes {common} and {shape} do not broadcast");
        common = dims.ok_or_else(unfit)?.into();
    }
    Ok(common)
}

/// Every input under as many dimensions as the largest has.
fn aligned(inputs: &[Tensor]) -> Vec<Tensor> {
    let rank = inputs.iter().map(|x| x.shape().rank()).max().unwrap_or(0);
    let align = |x: &Tensor| {
        let mut dims = x.shape().dims().to_vec();
        if dims.len() == rank {
            return x.clone();
        }
        let missing = rank - dims.len();
        dims.splice(1..1, std::iter::repeat_n(1, missing));
        x.reshape(dims)
    };
    inputs.iter().map(align).collect()
}

fn folded(inputs: &[Tensor], combine: fn(&Tensor, &Tensor) -> Tensor) -> Tensor {
    let inputs = aligned(inputs);
    let rest = inputs.iter().skip(1);
    rest.fold(inputs[0].clone(), |y, x| combine(&y, x))
}

macro_rules! merges {
    ($($(#[$doc:meta])* $name:ident: $forward:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        pub struct $name;

        impl Layer for $name {
            saved_as!(stringify!($name));

            fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
                common(inputs)
            }

            fn forward(&self, inputs: &[Tensor], _call: &mut Call) -> Tensor {
                let forward: fn(&[Tensor]) -> Tensor = $forward;
                forward(inputs)
            }
        }
    )*};
}

merges! {
    /// The sum of two inputs or more, element by element.
    Add: |inputs| folded(inputs, Tensor::add);
    /// The first of two inputs less the second, element by element; of more, less all of the others.
    Subtract: |inputs| folded(inputs, Tensor::sub);
    /// The product of two inputs or more, element by element.
    Multiply: |inputs| folded(inputs, Tensor::mul);
    /// The mean of two inputs or more, element by element.
    Average: |inputs| folded(inputs, Tensor::add).scale(1.0 / inputs.len() as f32);
    /// The largest of two inputs or more, element by element; of equals the gradient goes to the first.
    Maximum: |inputs| folded(inputs, Tensor::maximum);
    /// The smallest of two inputs or more, element by element; of equals the gradient goes to the first.
    Minimum: |inputs| folded(inputs, Tensor::minimum);
}
