//! Group normalisation.

use serde::{Deserialize, Serialize};

use crate::nn::layer::{saved_as, single};
use crate::nn::{Call, Layer, Parameter};
use crate::range::{above_zero, within};
use crate::{Result, Shape, Tensor};

use super::{affine, channels, kept};

/// γ·(x − μ)/√(v + ε) + β with mean and variance over groups of neighbouring channels of each sample, all other dimensions
/// included (Wu and He, 2018). With a channel a group it is instance normalisation.
///
/// The channels are the last dimension, as in Keras; in PyTorch they come first. Keras' default of ε is 1e-3, PyTorch's
/// 1e-5.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GroupNormalization {
    /// The number of groups, which divides that of the channels. Default: 32.
    pub groups: usize,
    /// ε, above 0. Default: 1e-3.
    pub epsilon: f32,
    /// Whether β is there. Default: true.
    pub center: bool,
    /// Whether γ is there. Default: true.
    pub scale: bool,
}

impl Default for GroupNormalization {
    fn default() -> Self {
        Self::new(32)
    }
}

impl GroupNormalization {
    /// A layer of `groups` groups, else with Keras' defaults.
    pub fn new(groups: usize) -> Self {
        GroupNormalization {
            groups,
            epsilon: 1e-3,
            center: true,
            scale: true,
        }
    }
}

impl Layer for GroupNormalization {
    saved_as!("GroupNormalization");

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        affine(&[channels(inputs, -1)], self.scale, self.center).collect()
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let shape = single(inputs)?;
        match shape.dims().last() {
            Some(channels) if self.groups > 0 && channels % self.groups == 0 => Ok(shape.clone()),
            _ => Err(format!(
                "{} groups of the channels of {shape}, the last dimension",
                self.groups
            )),
        }
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let x = &inputs[0];
        let [gamma, beta] = kept(call, self.scale, self.center);
        let (gamma, beta) = (gamma.as_ref(), beta.as_ref());
        let rank = x.shape().rank();
        if rank <= 2 {
            return x.group_norm(self.groups, gamma, beta, self.epsilon);
        }
        // The tensor method's channels come second.
        let rank = rank as isize;
        let second: Vec<isize> = [0, -1].into_iter().chain(1..rank - 1).collect();
        let last: Vec<isize> = [0].into_iter().chain(2..rank).chain([1]).collect();
        x.permute(&second)
            .group_norm(self.groups, gamma, beta, self.epsilon)
            .permute(&last)
    }

    fn validate(&self) -> Result<()> {
        within(self.groups > 0, "groups", "at least 1", self.groups)?;
        above_zero("epsilon", self.epsilon)
    }
}
