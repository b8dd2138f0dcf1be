//! Activation functions: y = f(x), and dx from dy.

use kiln::nn::Activation;
use kiln::{Device, Tensor};

use super::Stop;
use super::case::Case;
use super::check::Check;
use super::compute::Work;
use super::settings::Settings;

/// A function that Kiln has.
#[derive(Debug, Clone, Copy)]
pub enum Function {
    Activation(Activation),
    Exponential,
}

impl Function {
    /// f(x).
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Function::Activation(activation) => activation.apply(x),
            Function::Exponential => x.exp(),
        }
    }
}

/// x → y, and dx = dy·f′(x).
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let mut work = Work::new();
    let mut settings = Settings::of(case);
    let rank = case.tensor("x")?.shape.len();
    let function = named(&case.op, &mut settings, rank)?;
    settings.finish()?;
    let (x, dy) = (work.input(case, "x")?, work.input(case, "dy")?);
    let y = function.apply(&x);
    work.fetch("y", &y);
    for dx in work.graph.gradients(&y.mul(&dy), &[&x]) {
        work.fetch("dx", &dx);
    }
    for (name, array) in work.run(device)? {
        check.tensor(&name, &array)?;
    }
    Ok(())
}

/// The function of that name in Keras with its settings, for an input of `rank` dimensions.
pub fn named(name: &str, settings: &mut Settings<'_>, rank: usize) -> Result<Function, Stop> {
    let activation = match name {
        "relu" => rectifier(settings)?,
        "leaky_relu" => {
            let slope = settings.number("negative_slope", 0.2)?;
            Activation::LeakyRelu(slope as f32)
        }
        "softmax" => {
            last_axis(settings.number("axis", -1.0)? as i64, rank, "softmax")?;
            Activation::Softmax
        }
        "exponential" => return Ok(Function::Exponential),
        "linear" | "sigmoid" | "tanh" => Activation::named(name, None)?,
        other => return Stop::unsupported(format!("op {other}")),
    };
    Ok(Function::Activation(activation))
}

/// Keras' ReLU, which has a slope below 0 as leaky ReLU has.
pub fn rectifier(settings: &mut Settings<'_>) -> Result<Activation, Stop> {
    settings.without(&["max_value", "threshold"])?;
    let slope = settings.number("negative_slope", 0.0)?;
    if slope == 0.0 {
        return Ok(Activation::Relu);
    }
    Ok(Activation::LeakyRelu(slope as f32))
}

/// An axis from the front or, negative, from the back must be the last.
pub fn last_axis(axis: i64, rank: usize, op: &str) -> Result<(), Stop> {
    if rank > 0 && (axis == -1 || axis == rank as i64 - 1) {
        return Ok(());
    }
    Stop::unsupported(format!("{op} over another axis than the last"))
}
