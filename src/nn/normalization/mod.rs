//! Layers that bring values to a common scale, and what they share: settings, checks and the tensors γ and β.

mod batch;
mod group;
mod layer;
mod masked;
mod rms;
mod unit;

use crate::range::{above_zero, within};
use crate::{Result, Shape, Tensor};

use super::axes::dimension;
use super::layer::single;
use super::{Call, Initializer, Parameter};

pub use batch::BatchNormalization;
pub use group::GroupNormalization;
pub use layer::LayerNormalization;
pub use rms::RMSNormalization;
pub use unit::UnitNormalization;

/// The default dimension of channels in a model file that does not name it.
fn last() -> isize {
    -1
}

/// The default number of dimensions in a model file that does not name it.
fn one() -> usize {
    1
}

/// γ and β, where they are there.
fn kept(call: &Call, scale: bool, center: bool) -> [Option<Tensor>; 2] {
    [
        scale.then(|| call.weight("gamma")),
        center.then(|| call.weight("beta")),
    ]
}

/// γ and β of that shape, where they are there.
fn affine(shape: &[usize], scale: bool, center: bool) -> impl Iterator<Item = Parameter> {
    let of = |name: &str, value: f32| Parameter::new(name, shape, Initializer::Constant(value));
    let gamma = scale.then(|| of("gamma", 1.0));
    let beta = center.then(|| of("beta", 0.0));
    gamma.into_iter().chain(beta)
}

/// The size of the channels' dimension of a sample; one where there is none, which the shape rule refuses.
fn channels(inputs: &[Shape], axis: isize) -> usize {
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

/// Checks ε and the number of dimensions that are normalised together.
fn in_range(epsilon: f32, dims: usize) -> Result<()> {
    above_zero("epsilon", epsilon)?;
    within(dims > 0, "dims", "at least 1", dims)
}
