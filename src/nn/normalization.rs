//! Layers that bring values to a common scale: batch, layer and RMS normalisation, and vectors of length 1.

use serde::{Deserialize, Serialize};

use crate::op::RunningAverage;
use crate::{Error, Result, Shape, Tensor};

use super::layer::single;
use super::{Call, Config, Initializer, Layer, Parameter};

/// γ·(x − μ)/√(v + ε) + β for every channel, the last dimension (Ioffe and Szegedy, 2015): in training with mean and variance
/// of the batch, otherwise with running averages of them.
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

    fn kept(&self, call: &Call, names: [&str; 2]) -> [Option<Tensor>; 2] {
        let [scale, center] = names;
        [
            self.scale.then(|| call.weight(scale)),
            self.center.then(|| call.weight(center)),
        ]
    }
}

/// The size of the last dimension.
fn channels(inputs: &[Shape]) -> usize {
    let last = inputs.first().and_then(|shape| shape.dims().last());
    last.copied().unwrap_or(1)
}

fn above_zero(epsilon: f32) -> Result<()> {
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
        let channels = channels(inputs);
        let of =
            |name: &str, value: f32| Parameter::new(name, [channels], Initializer::Constant(value));
        let gamma = self.scale.then(|| of("gamma", 1.0));
        let beta = self.center.then(|| of("beta", 0.0));
        let averages = [
            of("moving_mean", 0.0).state(),
            of("moving_variance", 1.0).state(),
        ];
        gamma.into_iter().chain(beta).chain(averages).collect()
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match single(inputs)?.dims() {
            [] => Err("needs at least one dimension beside the batch".into()),
            dims => Ok(dims.into()),
        }
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let x = &inputs[0];
        let [gamma, beta] = self.kept(call, ["gamma", "beta"]);
        let averages = [call.weight("moving_mean"), call.weight("moving_variance")];
        if !(call.training() && call.trainable()) {
            let [mean, variance] = &averages;
            let averages = [mean, variance];
            let (gamma, beta) = (gamma.as_ref(), beta.as_ref());
            return x.batch_norm(-1, averages, gamma, beta, self.epsilon);
        }
        let cursor = call.clock().map(|clock| clock.cursor.clone());
        let (gamma, beta) = (gamma.as_ref(), beta.as_ref());
        let (y, mean, variance) =
            x.batch_norm_training(-1, gamma, beta, self.epsilon, cursor.as_ref());
        let shape = x.shape();
        let rows = shape.dims().first().copied().unwrap_or(1).max(1);
        let values = shape.elements() as usize / channels(&[shape]).max(1);
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

/// γ·(x − μ)/√(v + ε) + β with mean and variance over the last dimension of each sample (Ba et al., 2016).
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
}

/// γ·x/√(mean of x² + ε) over the last dimension of each sample (Zhang and Sennrich, 2019).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RMSNormalization {
    /// ε, above 0. Default: 1e-6.
    pub epsilon: f32,
}

/// x/|x| along the last dimension of each sample: vectors of length 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct UnitNormalization {}

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
        }
    }

    /// Sets ε.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
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
        RMSNormalization { epsilon: 1e-6 }
    }

    /// Sets ε.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }
}

impl UnitNormalization {
    /// The layer; it has no settings.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Layer for LayerNormalization {
    fn class(&self) -> &'static str {
        "LayerNormalization"
    }

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        let channels = channels(inputs);
        let of =
            |name: &str, value: f32| Parameter::new(name, [channels], Initializer::Constant(value));
        let gamma = self.scale.then(|| of("gamma", 1.0));
        let beta = self.center.then(|| of("beta", 0.0));
        gamma.into_iter().chain(beta).collect()
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        single(inputs).cloned()
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let gamma = self.scale.then(|| call.weight("gamma"));
        let beta = self.center.then(|| call.weight("beta"));
        inputs[0].layer_norm(1, gamma.as_ref(), beta.as_ref(), self.epsilon)
    }

    fn validate(&self) -> Result<()> {
        above_zero(self.epsilon)
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
        vec![Parameter::new("scale", [channels(inputs)], one)]
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        single(inputs).cloned()
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        inputs[0].rms_norm(1, Some(&call.weight("scale")), self.epsilon)
    }

    fn validate(&self) -> Result<()> {
        above_zero(self.epsilon)
    }

    fn config(&self) -> Option<Config> {
        Config::of(self)
    }
}

impl Layer for UnitNormalization {
    fn class(&self) -> &'static str {
        "UnitNormalization"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        single(inputs).cloned()
    }

    fn forward(&self, inputs: &[Tensor], _call: &mut Call) -> Tensor {
        inputs[0].unit_norm(-1)
    }

    fn config(&self) -> Option<Config> {
        Config::of(self)
    }
}
