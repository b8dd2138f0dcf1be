//! A model as a layer of another.

use crate::{Preprocessing, Result, Shape, Tensor, TensorType};

use super::unit::scaled;
use super::{Call, Config, Functional, Layer, LayerRef, Parameter, Sequential};

/// A model of one output is a layer too: what it keeps is called `model/dense/kernel`, and calls of one handle
/// ([`LayerRef`]) share it, as with any layer. Scalers of its inputs and targets become part of the graph; steps that fill or encode
/// the cells of a table are refused.
///
/// ```
/// use kiln::prelude::*;
///
/// let encoder = Functional::from(Sequential::new(8).dense(6, Tanh).dense(3, Tanh)).named("encoder");
/// let (a, b) = (Input::named("a", 8), Input::named("b", 8));
/// let both = Concatenate::default().on([&encoder.on(&a), &encoder.on(&b)]);
/// let model = Functional::new([&a, &b], &Dense::new(1).on(&both));
/// assert_eq!(model.parameter_count(), (9 * 6 + 7 * 3) + 7);
/// ```
impl Layer for Functional {
    fn class(&self) -> &'static str {
        "Functional"
    }

    fn parameters(&self, _inputs: &[Shape]) -> Vec<Parameter> {
        Functional::parameters(self).collect()
    }

    fn output_type(&self, inputs: &[TensorType]) -> Result<TensorType, String> {
        Functional::validate(self).map_err(|refusal| refusal.to_string())?;
        let steps = self.preprocessing.as_ref();
        if steps.is_some_and(|steps| steps.scalers().is_none()) {
            return Err(
                "fills or encodes cells of a table, which is done before any layer: leave its preprocessing out, and give the \
                 model around it steps that do so"
                    .into(),
            );
        }
        let [output] = &self.outputs[..] else {
            let count = self.outputs.len();
            return Err(format!("must have one output to be a layer, got {count}"));
        };
        let own: Vec<TensorType> = self.inputs.iter().map(|i| i.kind.widened()).collect();
        if own == inputs {
            return Ok(TensorType::f32(&output.shape));
        }
        let told = |kinds: &[TensorType]| {
            let kinds: Vec<String> = kinds.iter().map(TensorType::to_string).collect();
            kinds.join(", ")
        };
        Err(format!("takes {}, got {}", told(&own), told(inputs)))
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let of_call = |parameter: Parameter| {
            let tensor = call.weight(&parameter.name);
            (parameter, tensor)
        };
        let parameters: Vec<(Parameter, Tensor)> =
            Functional::parameters(self).map(of_call).collect();
        let scalers = self.preprocessing.as_ref().and_then(Preprocessing::scalers);
        let scaled = |x: &Tensor| {
            let scalers = scalers.iter().flatten();
            scalers.fold(x.clone(), |x, scaler| scaled(scaler, &x))
        };
        let inputs: Vec<Tensor> = inputs.iter().map(scaled).collect();
        let pass = self.pass(&inputs, &parameters, call, Some(call.stream));
        call.updates.extend(pass.updates);
        call.losses.extend(pass.losses);
        match pass.outputs.into_iter().next() {
            Some(output) => {
                let after = output.after.clone();
                call.activated = Some(output);
                after
            }
            None => call.refuse("has no output"),
        }
    }

    fn validate(&self) -> Result<()> {
        Functional::validate(self)
    }

    fn config(&self) -> Option<Config> {
        self.describe().ok().as_ref().and_then(Config::of)
    }
}

impl From<Sequential> for LayerRef {
    fn from(model: Sequential) -> Self {
        Functional::from(model).into()
    }
}
