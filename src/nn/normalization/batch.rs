//! Batch normalisation.

use serde::{Deserialize, Serialize};

use crate::nn::axes::dimension;
use crate::nn::layer::{saved_as, single};
use crate::nn::{Call, Initializer, Layer, Parameter};
use crate::op::RunningAverage;
use crate::range::{above_zero, within};
use crate::{Result, Shape, Tensor};

use super::{affine, channels, kept, last, masked};

/// γ·(x − μ)/√(v + ε) + β for every channel (Ioffe and Szegedy, 2015): in training with mean and variance of the batch,
/// otherwise with running averages of them.
///
/// Defaults and averages are those of Keras: average ← momentum·average + (1 − momentum)·value with the biased variance.
/// PyTorch's `momentum` is one less ours, its ε 1e-5, and its running variance unbiased: [`BatchNormalization::pytorch`].
/// A frozen layer uses its averages in training too, as in Keras.
///
/// A second input is a mask in the shape of the first without its last dimension: positions where it is 0 have no part in
/// the batch's mean and variance, but are normalised too.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BatchNormalization {
    /// The share of the old average that stays, in [0, 1]. Default: 0.99.
    pub momentum: f32,
    /// ε, above 0. Default: 1e-3.
    pub epsilon: f32,
    /// Whether β is there. Default: true.
    pub center: bool,
    /// Whether γ is there. Default: true.
    pub scale: bool,
    /// Whether the running variance is the unbiased one. Default: false.
    pub unbiased: bool,
    /// The dimension of the channels, counted with the batch as 0, or from the back where negative. Default: −1, the last.
    #[serde(default = "last")]
    pub axis: isize,
}

/// Keras' defaults.
impl Default for BatchNormalization {
    fn default() -> Self {
        BatchNormalization {
            momentum: 0.99,
            epsilon: 1e-3,
            center: true,
            scale: true,
            unbiased: false,
            axis: -1,
        }
    }
}

impl BatchNormalization {
    /// With PyTorch's defaults: momentum 0.9 (0.1 there), ε 1e-5, unbiased running variance.
    pub fn pytorch() -> Self {
        BatchNormalization {
            momentum: 0.9,
            epsilon: 1e-5,
            unbiased: true,
            ..Self::default()
        }
    }
}

impl Layer for BatchNormalization {
    saved_as!("BatchNormalization");

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        let channels = channels(inputs, self.axis);
        let of =
            |name: &str, value: f32| Parameter::new(name, [channels], Initializer::Constant(value));
        let averages = [
            of("moving_mean", 0.0).state(),
            of("moving_variance", 1.0).state(),
        ];
        affine(&[channels], self.scale, self.center)
            .chain(averages)
            .collect()
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [shape, mask @ ..] = inputs else {
            return single(inputs).cloned();
        };
        dimension(self.axis, shape.rank())?;
        let (_, positions) = shape.dims().split_last().unwrap_or((&0, &[]));
        match mask {
            [mask] if mask.dims() != positions => {
                let positions = Shape::from(positions);
                Err(format!("the mask of {shape} is {positions}, got {mask}"))
            }
            [_] if self.unbiased => Err("the unbiased variance takes no mask".into()),
            [] | [_] => Ok(shape.clone()),
            _ => Err(format!(
                "takes an input and a mask, got {} inputs",
                inputs.len()
            )),
        }
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let x = &inputs[0];
        let [gamma, beta] = kept(call, self.scale, self.center);
        let axis = self.axis;
        let averages = [call.weight("moving_mean"), call.weight("moving_variance")];
        if !(call.training && call.trainable) {
            let [mean, variance] = &averages;
            let averages = [mean, variance];
            let (gamma, beta) = (gamma.as_ref(), beta.as_ref());
            return x.batch_norm(axis, averages, gamma, beta, self.epsilon);
        }
        let cursor = call.clock.as_ref().map(|clock| clock.cursor.clone());
        let (gamma, beta) = (gamma.as_ref(), beta.as_ref());
        let (y, mean, variance) = match inputs.get(1) {
            None => x.batch_norm_training(axis, gamma, beta, self.epsilon, cursor.as_ref()),
            Some(mask) => {
                let Ok(at) = dimension(self.axis, x.shape().rank().saturating_sub(1)) else {
                    return call.refuse(format!("axis {axis} of {}", x.shape()));
                };
                let (mean, variance) = masked::moments(x, mask, at, cursor.as_ref());
                let y = x.batch_norm(axis, [&mean, &variance], gamma, beta, self.epsilon);
                (y, mean, variance)
            }
        };
        let shape = x.shape();
        let rows = shape.dims().first().copied().unwrap_or(1).max(1);
        let channels = mean.shape().elements() as usize;
        let values = shape.elements() as usize / channels.max(1);
        for ((average, value), is_variance) in
            averages.iter().zip([mean, variance]).zip([false, true])
        {
            let op = RunningAverage {
                keep: self.momentum,
                unbiased: (self.unbiased && is_variance).then_some(values),
                ragged: cursor.as_ref().map(|_| values / rows),
            };
            let operands: Vec<&Tensor> = [average, &value].into_iter().chain(&cursor).collect();
            call.updates.push(average.graph().apply_one(op, &operands));
        }
        y
    }

    fn validate(&self) -> Result<()> {
        let fits = (0.0..=1.0).contains(&self.momentum);
        within(fits, "momentum", "between 0 and 1", self.momentum)?;
        above_zero("epsilon", self.epsilon)
    }
}
