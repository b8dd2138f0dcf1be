//! The dense layer: y = f(xW + b).

use serde::{Deserialize, Serialize};

use crate::{Result, Shape, Tensor};

use super::layer::{saved_as, single};
use super::{Activation, Call, Constraint, Initializer, Layer, Parameter, Regularizer};

/// y = f(xW + b) over the last dimension: x `[…, inputs]`, W `[inputs, units]`, b `[units]`, y `[…, units]`.
///
/// ```
/// use kiln::prelude::*;
///
/// let layer = Dense::new(10).activation(Relu).kernel_initializer(Initializer::HeUniform);
/// assert_eq!(layer.units, 10);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dense {
    /// Columns of W.
    pub units: usize,
    /// f. Default: linear.
    pub activation: Activation,
    /// Whether b is there. Default: true.
    pub use_bias: bool,
    /// The first values of W. Default: Glorot uniform.
    pub kernel_initializer: Initializer,
    /// The first values of b. Default: zeros.
    pub bias_initializer: Initializer,
    /// A penalty on W that is part of the loss. Default: none.
    #[serde(default)]
    pub kernel_regularizer: Option<Regularizer>,
    /// A penalty on b that is part of the loss. Default: none.
    #[serde(default)]
    pub bias_regularizer: Option<Regularizer>,
    /// A penalty on the output, divided by the rows of the batch, that is part of the loss. Default: none.
    #[serde(default)]
    pub activity_regularizer: Option<Regularizer>,
    /// What W is put under after every update. Default: none.
    #[serde(default)]
    pub kernel_constraint: Option<Constraint>,
    /// What b is put under after every update. Default: none.
    #[serde(default)]
    pub bias_constraint: Option<Constraint>,
}

impl Dense {
    /// A linear layer with Keras' defaults.
    pub fn new(units: usize) -> Self {
        Dense {
            units,
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
            kernel_regularizer: None,
            bias_regularizer: None,
            activity_regularizer: None,
            kernel_constraint: None,
            bias_constraint: None,
        }
    }

    /// Sets f.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Leaves out b.
    pub fn without_bias(mut self) -> Self {
        self.use_bias = false;
        self
    }

    /// Sets how W begins.
    pub fn kernel_initializer(mut self, initializer: Initializer) -> Self {
        self.kernel_initializer = initializer;
        self
    }

    /// Sets how b begins.
    pub fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.bias_initializer = initializer;
        self
    }

    /// Adds a penalty on W to the loss.
    pub fn kernel_regularizer(mut self, regularizer: Regularizer) -> Self {
        self.kernel_regularizer = Some(regularizer);
        self
    }

    /// Adds a penalty on b to the loss.
    pub fn bias_regularizer(mut self, regularizer: Regularizer) -> Self {
        self.bias_regularizer = Some(regularizer);
        self
    }

    /// Adds a penalty on the output to the loss: L1, L2 or both.
    pub fn activity_regularizer(mut self, regularizer: Regularizer) -> Self {
        self.activity_regularizer = Some(regularizer);
        self
    }

    /// Puts W under a constraint after every update.
    pub fn kernel_constraint(mut self, constraint: Constraint) -> Self {
        self.kernel_constraint = Some(constraint);
        self
    }

    /// Puts b under a constraint after every update.
    pub fn bias_constraint(mut self, constraint: Constraint) -> Self {
        self.bias_constraint = Some(constraint);
        self
    }
}

impl Layer for Dense {
    saved_as!("Dense");

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let mut dims = single(inputs)?.dims().to_vec();
        let Some(columns) = dims.last_mut() else {
            return Err("needs samples of at least one dimension, got single numbers".into());
        };
        *columns = self.activation.columns(self.units);
        Ok(dims.into())
    }

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        let columns = inputs.first().and_then(|input| input.dims().last());
        let shape = [columns.copied().unwrap_or(1), self.units];
        let kernel = Parameter {
            constraint: self.kernel_constraint,
            ..Parameter::new("kernel", shape, self.kernel_initializer)
        };
        let bias = self.use_bias.then(|| Parameter {
            constraint: self.bias_constraint,
            ..Parameter::new("bias", [self.units], self.bias_initializer)
        });
        std::iter::once(kernel).chain(bias).collect()
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let x = &inputs[0];
        let shape = x.shape();
        let flat = shape.rank() == 2;
        let rows = if flat {
            x.clone()
        } else {
            let (rows, columns) = shape.rows_and_columns();
            x.reshape([rows, columns])
        };
        let kernel = call.weight("kernel");
        let bias = self.use_bias.then(|| call.weight("bias"));
        let penalised = [
            (self.kernel_regularizer, Some(&kernel)),
            (self.bias_regularizer, bias.as_ref()),
        ];
        for (regularizer, weight) in penalised {
            if let (Some(regularizer), Some(weight)) = (regularizer, weight) {
                call.add_loss(&regularizer.penalty(weight));
            }
        }
        let mut y = rows.matmul(&kernel);
        if let Some(bias) = &bias {
            y = y.add(bias);
        }
        if let (false, Some((_, outer))) = (flat, shape.dims().split_last()) {
            y = y.reshape([outer, &[self.units]].concat());
        }
        let y = call.activate(self.activation, &y);
        if let Some(regularizer) = self.activity_regularizer {
            call.add_loss(&regularizer.row_penalty(&y));
        }
        y
    }

    fn validate(&self) -> Result<()> {
        if self.units == 0 {
            return Err(crate::Error::argument(
                "units",
                "a dense layer needs at least one unit, got 0",
            ));
        }
        self.activation.validate(self.units)?;
        let regularizers = [self.kernel_regularizer, self.bias_regularizer];
        for regularizer in regularizers.into_iter().flatten() {
            regularizer.validate()?;
        }
        self.activity_regularizer
            .map_or(Ok(()), Regularizer::validate_activity)
    }

    fn detail(&self) -> Option<String> {
        Some(self.activation.to_string())
    }
}
