//! Layers that bring values to a common scale: batch, layer and RMS normalisation, and vectors of length 1.

use serde::{Deserialize, Serialize};

use crate::op::RunningAverage;
use crate::{Error, Result, Shape, Tensor};

use super::concatenate::dimension;
use super::layer::single;
use super::{Call, Config, Initializer, Layer, Parameter};

/// γ·(x − μ)/√(v + ε) + β for every channel (Ioffe and Szegedy, 2015): in training with mean and variance of the batch,
/// otherwise with running averages of them.
///
/// Defaults and averages are those of Keras: average ← momentum·average + (1 − momentum)·value with the biased variance.
/// PyTorch's `momentum` is one less ours, its ε 1e-5, and its running variance unbiased: [`BatchNormalization::pytorch`].
/// A frozen layer uses its averages in training too, as in Keras.
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
    pub axis: i32,
}

pub(super) fn last() -> i32 {
    -1
}

fn one() -> usize {
    1
}

impl Default for BatchNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchNormalization {
    /// With Keras' defaults.
    pub fn new() -> Self {
        BatchNormalization {
            momentum: 0.99,
            epsilon: 1e-3,
            center: true,
            scale: true,
            unbiased: false,
            axis: -1,
        }
    }

    /// With PyTorch's defaults: momentum 0.9 (0.1 there), ε 1e-5, unbiased running variance.
    pub fn pytorch() -> Self {
        BatchNormalization {
            momentum: 0.9,
            epsilon: 1e-5,
            unbiased: true,
            ..Self::new()
        }
    }

    /// Sets the share of the old average that stays.
    pub fn momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets ε.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Sets the dimension of the channels, counted with the batch as 0.
    pub fn axis(mut self, axis: i32) -> Self {
        self.axis = axis;
        self
    }
}

/// γ and β, where they are there.
pub(super) fn kept(call: &Call, scale: bool, center: bool) -> [Option<Tensor>; 2] {
    [
        scale.then(|| call.weight("gamma")),
        center.then(|| call.weight("beta")),
    ]
}

/// γ and β of that shape, where they are there.
pub(super) fn affine(
    shape: &[usize],
    scale: bool,
    center: bool,
) -> impl Iterator<Item = Parameter> {
    let of = |name: &str, value: f32| Parameter::new(name, shape, Initializer::Constant(value));
    let gamma = scale.then(|| of("gamma", 1.0));
    let beta = center.then(|| of("beta", 0.0));
    gamma.into_iter().chain(beta)
}

/// The size of the channels' dimension of a sample; one where there is none, which the shape rule refuses.
pub(super) fn channels(inputs: &[Shape], axis: i32) -> usize {
    let size = inputs.first().and_then(|shape| {
        let at = dimension(axis, shape.rank()).ok()?;
        shape.dims().get(at - 1)
    });
    size.copied().unwrap_or(1)
}

/// The sizes of the last `dims` dimensions of a sample.
fn trailing(inputs: &[Shape], dims: usize) -> Vec<usize> {
    let shape = inputs.first().map(Shape::dims).unwrap_or_default();
    shape[shape.len() - dims.min(shape.len())..].to_vec()
}

/// The one input, if it has that many dimensions.
fn of_dims(inputs: &[Shape], dims: usize) -> Result<Shape, String> {
    let shape = single(inputs)?;
    if shape.rank() < dims {
        return Err(format!(
            "works on {dims} dimensions of samples, got {shape}"
        ));
    }
    Ok(shape.clone())
}

fn dims_in_range(dims: usize) -> Result<()> {
    if dims > 0 {
        return Ok(());
    }
    Err(Error::argument("dims", "must be at least 1, got 0"))
}

pub(super) fn above_zero(epsilon: f32) -> Result<()> {
    if epsilon > 0.0 && epsilon.is_finite() {
        return Ok(());
    }
    Err(Error::argument(
        "epsilon",
        format!("must be above 0 and finite, got {epsilon}"),
    ))
}

impl Layer for BatchNormalization {
    fn class(&self) -> &'static str {
        "BatchNormalization"
    }

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
        let shape = single(inputs)?;
        dimension(self.axis, shape.rank())?;
        Ok(shape.clone())
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let x = &inputs[0];
        let [gamma, beta] = kept(call, self.scale, self.center);
        let axis = self.axis as isize;
        let averages = [call.weight("moving_mean"), call.weight("moving_variance")];
        if !(call.training() && call.trainable()) {
            let [mean, variance] = &averages;
            let averages = [mean, variance];
            let (gamma, beta) = (gamma.as_ref(), beta.as_ref());
            return x.batch_norm(axis, averages, gamma, beta, self.epsilon);
        }
        let cursor = call.clock().map(|clock| clock.cursor.clone());
        let (gamma, beta) = (gamma.as_ref(), beta.as_ref());
        let (y, mean, variance) =
            x.batch_norm_training(axis, gamma, beta, self.epsilon, cursor.as_ref());
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
            for update in average.running_average(op, &value, cursor.as_ref()) {
                call.update(&update);
            }
        }
        y
    }

    fn validate(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.momentum) {
            let message = format!("must be between 0 and 1, got {}", self.momentum);
            return Err(Error::argument("momentum", message));
        }
        above_zero(self.epsilon)
    }

    fn config(&self) -> Option<Config> {
        Config::of(self)
    }
}

/// γ·(x − μ)/√(v + ε) + β with mean and variance over the last dimensions of each sample (Ba et al., 2016).
///
/// Keras' default of ε is 1e-3, PyTorch's 1e-5.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LayerNormalization {
    /// ε, above 0. Default: 1e-3.
    pub epsilon: f32,
    /// Whether β is there. Default: true.
    pub center: bool,
    /// Whether γ is there. Default: true.
    pub scale: bool,
    /// How many of the last dimensions are normalised together; γ and β have their shape. Default: 1.
    #[serde(default = "one")]
    pub dims: usize,
}

/// γ·x/√(mean of x² + ε) over the last dimensions of each sample (Zhang and Sennrich, 2019).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RMSNormalization {
    /// ε, above 0. Default: 1e-6.
    pub epsilon: f32,
    /// How many of the last dimensions are normalised together; γ has their shape. Default: 1.
    #[serde(default = "one")]
    pub dims: usize,
}

impl Default for LayerNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerNormalization {
    /// With Keras' defaults.
    pub fn new() -> Self {
        LayerNormalization {
            epsilon: 1e-3,
            center: true,
            scale: true,
            dims: 1,
        }
    }

    /// Sets ε.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Sets how many of the last dimensions are normalised together.
    pub fn dims(mut self, dims: usize) -> Self {
        self.dims = dims;
        self
    }
}

impl Default for RMSNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl RMSNormalization {
    /// With Keras' default.
    pub fn new() -> Self {
        RMSNormalization {
            epsilon: 1e-6,
            dims: 1,
        }
    }

    /// Sets ε.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Sets how many of the last dimensions are normalised together.
    pub fn dims(mut self, dims: usize) -> Self {
        self.dims = dims;
        self
    }
}

impl Layer for LayerNormalization {
    fn class(&self) -> &'static str {
        "LayerNormalization"
    }

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        affine(&trailing(inputs, self.dims), self.scale, self.center).collect()
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        of_dims(inputs, self.dims)
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let [gamma, beta] = kept(call, self.scale, self.center);
        inputs[0].layer_norm(self.dims, gamma.as_ref(), beta.as_ref(), self.epsilon)
    }

    fn validate(&self) -> Result<()> {
        above_zero(self.epsilon)?;
        dims_in_range(self.dims)
    }

    fn config(&self) -> Option<Config> {
        Config::of(self)
    }
}

impl Layer for RMSNormalization {
    fn class(&self) -> &'static str {
        "RMSNormalization"
    }

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        let one = Initializer::Constant(1.0);
        vec![Parameter::new("scale", trailing(inputs, self.dims), one)]
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        of_dims(inputs, self.dims)
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        inputs[0].rms_norm(self.dims, Some(&call.weight("scale")), self.epsilon)
    }

    fn validate(&self) -> Result<()> {
        above_zero(self.epsilon)?;
        dims_in_range(self.dims)
    }

    fn config(&self) -> Option<Config> {
        Config::of(self)
    }
}
