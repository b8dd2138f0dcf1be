//! Activation functions: y = f(x), and dx from dy.

use kiln::nn::Activation;
use kiln::{Device, Tensor};

use crate::conform::Stop;
use crate::conform::case::Case;
use crate::conform::check::Check;
use crate::conform::compute::Work;
use crate::conform::settings::Settings;

/// A function that Kiln has.
#[derive(Debug, Clone, Copy)]
pub enum Function {
    Activation(Activation),
    /// One that goes along a dimension.
    Along(fn(&Tensor, isize) -> Tensor, isize),
}

impl Function {
    /// f(x).
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Function::Activation(activation) => activation.apply(x),
            Function::Along(function, axis) => function(x, axis),
        }
    }
}

/// x → y, and dx = dy·f′(x).
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let mut work = Work::new();
    let mut settings = Settings::of(case);
    let function = named(&case.op, &mut settings)?;
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

/// The function of that name in Keras with its settings.
pub fn named(name: &str, settings: &mut Settings<'_>) -> Result<Function, Stop> {
    let along: Option<fn(&Tensor, isize) -> Tensor> = match name {
        "softmax" => Some(Tensor::softmax),
        "log_softmax" => Some(Tensor::log_softmax),
        "sparsemax" => Some(Tensor::sparsemax),
        "glu" => Some(Tensor::glu),
        _ => None,
    };
    if let Some(along) = along {
        return Ok(Function::Along(
            along,
            settings.number("axis", -1.0)? as isize,
        ));
    }
    match name {
        "relu" => return Ok(Function::Activation(rectifier(settings)?)),
        "threshold" => {
            return Ok(Function::Activation(Activation::Threshold {
                threshold: settings.required("threshold")? as f32,
                value: settings.required("default_value")? as f32,
            }));
        }
        "gelu" if settings.flag("approximate", false)? => {
            return Ok(Function::Activation(Activation::GeluTanh));
        }
        _ => {}
    }
    let known = Activation::from_name(name).ok();
    let mut number = |key: &str, default: f32| {
        let number = settings.number(key, f64::from(default))?;
        Ok::<f32, Stop>(number as f32)
    };
    let activation = match known {
        Some(Activation::LeakyRelu(slope)) => {
            Activation::LeakyRelu(number("negative_slope", slope)?)
        }
        Some(Activation::Elu(alpha)) => Activation::Elu(number("alpha", alpha)?),
        Some(Activation::Celu(alpha)) => Activation::Celu(number("alpha", alpha)?),
        Some(Activation::SoftShrink(t)) => Activation::SoftShrink(number("threshold", t)?),
        Some(Activation::HardShrink(t)) => Activation::HardShrink(number("threshold", t)?),
        Some(Activation::Squareplus(b)) => Activation::Squareplus(number("b", b)?),
        Some(activation) => activation,
        None => return Stop::unsupported(format!("op {name}")),
    };
    Ok(Function::Activation(activation))
}

/// Keras' ReLU with its settings.
pub fn rectifier(settings: &mut Settings<'_>) -> Result<Activation, Stop> {
    let max_value = settings
        .get("max_value")
        .and_then(crate::conform::case::number);
    let negative_slope = settings.number("negative_slope", 0.0)? as f32;
    let threshold = settings.number("threshold", 0.0)? as f32;
    Ok(match (max_value, negative_slope, threshold) {
        (None, 0.0, 0.0) => Activation::Relu,
        (None, slope, 0.0) => Activation::LeakyRelu(slope),
        (max, _, _) => Activation::Rectify {
            max_value: max.map(|max| max as f32),
            negative_slope,
            threshold,
        },
    })
}

/// An axis from the front or, negative, from the back must be the last.
pub fn last_axis(axis: i64, rank: usize, op: &str) -> Result<(), Stop> {
    if rank > 0 && (axis == -1 || axis == rank as i64 - 1) {
        return Ok(());
    }
    Stop::unsupported(format!("{op} over another axis than the last"))
}
