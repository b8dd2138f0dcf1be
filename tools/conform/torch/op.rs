//! PyTorch's functions: outputs, and gradients of their tensors.

use kiln::{Device, Tensor};

use super::Call;
use super::activation;
use super::arguments::Arguments;
use super::loss::Loss;
use super::normalization;
use super::tensor::{self, list};
use crate::conform::Stop;
use crate::conform::case::Case;
use crate::conform::check::Check;
use crate::conform::keras::layer::whole;
use crate::conform::operation::algebra;
use crate::conform::operation::reduce;

/// in0, in1 … → y0, din0 …
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let mut call = Call::new(case);
    let mut given = Arguments::of(case, "args", "kwargs")?;
    let y = match case.op.strip_prefix("nn.functional.").unwrap_or(&case.op) {
        "prelu" => {
            let (x, slope) = (
                call.tensor(&mut given, 0, "input")?,
                call.tensor(&mut given, 1, "weight")?,
            );
            activation::prelu(&x, &slope)
        }
        "clamp" => {
            let mut y = call.tensor(&mut given, 0, "input")?;
            if given.get(1, "min").is_some() {
                y = y.maximum(&call.tensor(&mut given, 1, "min")?);
            }
            if given.get(2, "max").is_some() {
                y = y.minimum(&call.tensor(&mut given, 2, "max")?);
            }
            y
        }
        name @ ("maximum" | "minimum" | "max.binary" | "min.binary" | "fmax" | "fmin") => {
            let (a, b) = two(&mut call, &mut given)?;
            if name.contains("min") {
                a.minimum(&b)
            } else {
                a.maximum(&b)
            }
        }
        name @ ("add" | "sub") => {
            let (a, b) = two(&mut call, &mut given)?;
            let b = scaled(b, given.number(2, "alpha", 1.0)?);
            if name == "add" { a.add(&b) } else { a.sub(&b) }
        }
        "mul" => {
            let (a, b) = two(&mut call, &mut given)?;
            a.mul(&b)
        }
        "div" | "div.no_rounding_mode" | "true_divide" => {
            let (a, b) = two(&mut call, &mut given)?;
            a.div(&b)
        }
        "rsub" => {
            let (a, b) = two(&mut call, &mut given)?;
            b.sub(&scaled(a, given.number(2, "alpha", 1.0)?))
        }
        "matmul" | "mm" | "mv" | "dot" | "inner" => {
            let (a, b) = two(&mut call, &mut given)?;
            algebra::matmul(&a, &b)?
        }
        "addmm" | "addmm.decomposed" => {
            let (c, a) = two(&mut call, &mut given)?;
            let b = call.tensor(&mut given, 2, "mat2")?;
            let product = scaled(a.matmul(&b), given.number(3, "alpha", 1.0)?);
            product.add(&scaled(c, given.number(4, "beta", 1.0)?))
        }
        "linear" => {
            let (x, weight) = two(&mut call, &mut given)?;
            let bias = match given.get(2, "bias") {
                None => None,
                Some(_) => Some(call.tensor(&mut given, 2, "bias")?),
            };
            algebra::linear(&x, &weight, bias.as_ref())
        }
        name @ ("sum" | "mean") => {
            let x = call.tensor(&mut given, 0, "input")?;
            let axes = list(&mut given, 1, "dim")?;
            let keep = given.flag(2, "keepdim", false)?;
            let reduce = if name == "sum" {
                reduce::sum
            } else {
                reduce::mean
            };
            reduce(&x, axes.as_deref(), keep)?
        }
        "reshape" | "view" => {
            let x = call.tensor(&mut given, 0, "input")?;
            let shape = list(&mut given, 1, "shape")?.unwrap_or_default();
            x.reshape(whole(case, &shape, x.shape().elements() as usize)?)
        }
        "flatten" => {
            let x = call.tensor(&mut given, 0, "input")?;
            let (first, last) = (
                given.number(1, "start_dim", 0.0)?,
                given.number(2, "end_dim", -1.0)?,
            );
            algebra::flatten(&x, first as i64, last as i64)?
        }
        name if Loss::known(name) => {
            let loss = Loss::of(name, &mut given)?;
            // Weights of classes are part of the target, which has no gradient.
            let data = matches!(name, "cross_entropy" | "nll_loss");
            let mut optional = |keyword: &str| match given.keywords.get(keyword) {
                None => Ok(None),
                Some(value) => {
                    let name = value.as_str().and_then(|text| text.strip_prefix("tensor:"));
                    let name = name.unwrap_or_default();
                    match data {
                        true => call.work.input(case, name).map(Some),
                        false => call.parameter(name).map(Some),
                    }
                }
            };
            let (weight, pos_weight) = (optional("weight")?, optional("pos_weight")?);
            loss.apply(&mut call, &mut given, weight.as_ref(), pos_weight.as_ref())?
        }
        name => {
            let unknown = || Stop::Unsupported(format!("op {}", case.op));
            let y = match normalization::torch(name, &mut call, &mut given)? {
                Some(y) => Some(y),
                None => tensor::apply(name, &mut call, &mut given)?,
            };
            if let Some(y) = y {
                given.finish()?;
                return call.compare(&y, device, check);
            }
            let x = call
                .tensor(&mut given, 0, "input")
                .map_err(|_not_one| unknown())?;
            activation::apply(name, &x, &mut given, 1)?.ok_or_else(unknown)?
        }
    };
    given.finish()?;
    call.compare(&y, device, check)
}

fn two(call: &mut Call<'_>, given: &mut Arguments<'_>) -> Result<(Tensor, Tensor), Stop> {
    Ok((
        call.tensor(given, 0, "input")?,
        call.tensor(given, 1, "other")?,
    ))
}

fn scaled(x: Tensor, factor: f64) -> Tensor {
    if factor == 1.0 {
        x
    } else {
        x.scale(factor as f32)
    }
}
