//! A layer from a closure.

use std::fmt;

use crate::Tensor;

use super::{Call, Layer};

type ForwardFn = dyn Fn(&[Tensor]) -> Tensor + Send + Sync;

/// A layer without weights that is one closure over tensors.
///
/// A model file cannot keep it: such a model saves its weights alone. A layer with weights implements [`Layer`].
///
/// ```
/// use kiln::prelude::*;
///
/// let squared = Lambda::new(|x| x[0].square());
/// let model = Sequential::new(3).layer(squared).dense(1, Linear);
/// assert_eq!(model.parameter_count(), 4);
/// ```
pub struct Lambda(Box<ForwardFn>);

impl Lambda {
    /// The layer that computes this. Tensors have the batch as first dimension, and so must the result.
    pub fn new(forward: impl Fn(&[Tensor]) -> Tensor + Send + Sync + 'static) -> Self {
        Lambda(Box::new(forward))
    }
}

impl Layer for Lambda {
    fn class(&self) -> &'static str {
        "Lambda"
    }

    fn takes_integers(&self) -> bool {
        true
    }

    fn forward(&self, inputs: &[Tensor], _call: &mut Call) -> Tensor {
        (self.0)(inputs)
    }
}

impl fmt::Debug for Lambda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lambda")
    }
}
