//! An activation as a layer of its own: `Sequential::new(4).layer(Relu)`.

use crate::{Result, Shape, Tensor};

use super::layer::{saved_as, single};
use super::{Activation, Call, Layer};

impl Layer for Activation {
    saved_as!("Activation");

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let mut dims = single(inputs)?.dims().to_vec();
        if let Some(columns) = dims.last_mut() {
            Activation::validate(*self, *columns).map_err(|error| error.to_string())?;
            *columns = self.columns(*columns);
        }
        Ok(dims.into())
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        call.activate(*self, &inputs[0])
    }

    fn validate(&self) -> Result<()> {
        // Two columns suit them all: what the input has is for the shape rule to see.
        Activation::validate(*self, 2)
    }
}
