//! PyTorch's functions that move, choose, compare and reduce, from Kiln's tensors.

use kiln::Tensor;
use serde_json::Value;

use super::Call;
use super::arguments::Arguments;
use super::index;
use crate::conform::Stop;
use crate::conform::case::number;
use crate::conform::operation::algebra::{self, dimension};
use crate::conform::operation::distance;
use crate::conform::operation::einsum::einsum;
use crate::conform::operation::rearrange::{self, Padding};
use crate::conform::operation::reduce;
use crate::conform::settings::integers;

/// The output of the function of that name, if it is one of these; further ones are the call's.
pub fn apply(
    name: &str,
    call: &mut Call<'_>,
    given: &mut Arguments<'_>,
) -> Result<Option<Tensor>, Stop> {
    if let Some(mode) = name.strip_prefix("pad.") {
        let x = call.tensor(given, 0, "input")?;
        let pads = list(given, 1, "pad")?.unwrap_or_default();
        given.ignore(3, &["mode"]);
        let value = given.number(3, "value", 0.0)?;
        let mode = mode.trim_end_matches("_negative");
        return Padding::named(mode, value)?
            .around_last(&x, &pads)
            .map(Some);
    }
    if let Some(y) = reductions(name, call, given)? {
        return Ok(Some(y));
    }
    if let Some(y) = index::apply(name, call, given)? {
        return Ok(Some(y));
    }
    if let Some(y) = shaped(name, call, given)? {
        return Ok(Some(y));
    }
    if let Some(of) = comparison(name) {
        let a = call.tensor(given, 0, "input")?;
        let b = match given.get(1, "other").and_then(number) {
            Some(value) => a.graph().constant([], &[value as f32]),
            None => call.tensor(given, 1, "other")?,
        };
        return Ok(Some(of(&a, &b)));
    }
    Ok(Some(match name {
        "addcmul" => {
            let (x, a) = (
                call.tensor(given, 0, "input")?,
                call.tensor(given, 1, "tensor1")?,
            );
            let b = call.tensor(given, 2, "tensor2")?;
            let value = given.number(3, "value", 1.0)? as f32;
            x.add(&a.mul(&b).scale(value))
        }
        "lerp" => {
            let (x, end) = (
                call.tensor(given, 0, "input")?,
                call.tensor(given, 1, "end")?,
            );
            let apart = end.sub(&x);
            let weight = given.get(2, "weight");
            match weight.and_then(number) {
                Some(weight) => x.add(&apart.scale(weight as f32)),
                None => x.add(&apart.mul(&call.tensor(given, 2, "weight")?)),
            }
        }
        "pow" => {
            let x = call.tensor(given, 0, "input")?;
            match given.get(1, "exponent").and_then(number) {
                Some(exponent) => x.pow(exponent as f32),
                None => x.power(&call.tensor(given, 1, "exponent")?),
            }
        }
        "logaddexp" => {
            let (a, b) = (
                call.tensor(given, 0, "input")?,
                call.tensor(given, 1, "other")?,
            );
            let zero = a.graph().constant([], &[0.0]);
            // Both as broadcast, side by side.
            let shape = a.add(&b.mul(&zero)).shape();
            let wide = [shape.dims(), &[1]].concat();
            let [a, b] = [&a, &b].map(|x| x.expand(&shape).reshape(wide.as_slice()));
            a.concat(&[&b], -1).log_sum_exp(-1)
        }
        "div.trunc_rounding" | "div.floor_rounding" => {
            let (a, b) = (
                call.tensor(given, 0, "input")?,
                call.tensor(given, 1, "other")?,
            );
            let y = a.div(&b);
            match given.get(2, "rounding_mode").and_then(Value::as_str) {
                Some("trunc") => y.abs().floor().mul(&y.sign()),
                Some("floor") => y.floor(),
                _ => y,
            }
        }
        "where" => {
            let condition = call.tensor(given, 1, "condition")?;
            let (a, b) = (
                call.tensor(given, 0, "input")?,
                call.tensor(given, 2, "other")?,
            );
            condition.choose(&a, &b)
        }
        "masked_fill" => {
            let (x, mask) = (
                call.tensor(given, 0, "input")?,
                call.tensor(given, 1, "mask")?,
            );
            let value = match given.get(2, "value").and_then(number) {
                Some(value) => x.graph().constant([], &[value as f32]),
                None => call.tensor(given, 2, "value")?,
            };
            mask.choose(&value, &x)
        }
        "bmm" | "bmm.triton_optimized" => {
            let (a, b) = (
                call.tensor(given, 0, "input")?,
                call.tensor(given, 1, "mat2")?,
            );
            algebra::matmul(&a, &b)?
        }
        "cat" | "concat" | "stack" => {
            let parts = tensors(call, given)?;
            let rank = parts[0].shape().rank() + usize::from(name == "stack");
            let axis = dimension(given.number(1, "dim", 0.0)? as i64, rank)?;
            let parts: Vec<Tensor> = match name {
                "stack" => parts.iter().map(|x| unsqueezed(x, axis)).collect(),
                _ => parts,
            };
            let rest: Vec<&Tensor> = parts.iter().skip(1).collect();
            parts[0].concat(&rest, axis as isize)
        }
        "split" | "split.list_args" => {
            let x = call.tensor(given, 0, "input")?;
            let axis = axis(given, 2, "dim", 0.0, &x)?;
            let sizes = match list(given, 1, "split_size_or_sections")?.unwrap_or_default()[..] {
                [size] => rearrange::sizes(x.shape().dims()[axis], size as usize),
                ref sizes => sizes.iter().map(|&size| size as usize).collect(),
            };
            let mut parts = rearrange::split(&x, axis, &sizes)?;
            call.outputs = parts.split_off(1);
            parts.remove(0)
        }
        "einsum" => {
            let equation = given.get(1, "equation").and_then(Value::as_str);
            einsum(equation.unwrap_or_default(), &tensors(call, given)?)?
        }
        "permute" => {
            let x = call.tensor(given, 0, "input")?;
            let rank = x.shape().rank();
            let order = list(given, 1, "dims")?.unwrap_or_default();
            let order: Vec<isize> = order.iter().map(|&axis| axis as isize).collect();
            if rank == 0 {
                x.scale(1.0)
            } else {
                x.permute(&order)
            }
        }
        "transpose" => {
            let x = call.tensor(given, 0, "input")?;
            let first = axis(given, 1, "dim0", 0.0, &x)?;
            rearrange::swap(&x, first, axis(given, 2, "dim1", 1.0, &x)?).scale(1.0)
        }
        "tril" | "triu" => {
            let x = call.tensor(given, 0, "input")?;
            let k = given.number(1, "diagonal", 0.0)? as i64;
            rearrange::triangle(&x, k, name == "triu")
        }
        "cumsum" => {
            let x = call.tensor(given, 0, "input")?;
            given.ignore(0, &["dtype"]);
            let vector = at_least_vector(&x);
            let axis = axis(given, 1, "dim", 0.0, &vector)?;
            rearrange::running_sum(&vector, axis, false, false).reshape(x.shape())
        }
        "channel_shuffle" => {
            let x = call.tensor(given, 0, "input")?;
            rearrange::shuffle(&x, given.number(1, "groups", 1.0)? as usize)
        }
        "pixel_shuffle" => {
            let x = call.tensor(given, 0, "input")?;
            let r = given.number(1, "upscale_factor", 1.0)? as usize;
            rearrange::pixels(&x, r, true)
        }
        "pixel_unshuffle" => {
            let x = call.tensor(given, 0, "input")?;
            let r = given.number(1, "downscale_factor", 1.0)? as usize;
            rearrange::pixels(&x, r, false)
        }
        "bilinear" => {
            let (a, b) = (
                call.tensor(given, 0, "input1")?,
                call.tensor(given, 1, "input2")?,
            );
            let weight = call.tensor(given, 2, "weight")?;
            let bias = match given.get(3, "bias") {
                None => None,
                Some(_) => Some(call.tensor(given, 3, "bias")?),
            };
            distance::bilinear(&a, &b, &weight, bias.as_ref())
        }
        "cosine_similarity" => {
            let (a, b) = (call.tensor(given, 0, "x1")?, call.tensor(given, 1, "x2")?);
            let axis = given.number(2, "dim", 1.0)? as i64;
            distance::cosine(&a, &b, axis, given.number(3, "eps", 1e-8)?)?
        }
        "pairwise_distance" => {
            let (a, b) = (call.tensor(given, 0, "x1")?, call.tensor(given, 1, "x2")?);
            let (p, eps) = (given.number(2, "p", 2.0)?, given.number(3, "eps", 1e-6)?);
            distance::pairwise(&a, &b, p, eps, given.flag(4, "keepdim", false)?)?
        }
        "pdist" => {
            let x = call.tensor(given, 0, "input")?;
            distance::pairs(&x, given.number(1, "p", 2.0)?)?
        }
        "cdist" => {
            let (a, b) = (call.tensor(given, 0, "x1")?, call.tensor(given, 1, "x2")?);
            given.ignore(4, &["compute_mode"]);
            distance::all(&a, &b, given.number(2, "p", 2.0)?)?
        }
        _ => return Ok(None),
    }))
}

/// 1 where it holds, else 0.
fn comparison(name: &str) -> Option<fn(&Tensor, &Tensor) -> Tensor> {
    Some(match name {
        "eq" => Tensor::equal,
        "ne" => |a, b| a.equal(b).neg().offset(1.0),
        "gt" => Tensor::greater,
        "ge" => Tensor::greater_equal,
        "lt" => |a, b| b.greater(a),
        "le" => |a, b| b.greater_equal(a),
        _ => return None,
    })
}

/// Functions that change no number.
fn shaped(
    name: &str,
    call: &mut Call<'_>,
    given: &mut Arguments<'_>,
) -> Result<Option<Tensor>, Stop> {
    let known = [
        "squeeze",
        "unsqueeze",
        "expand",
        "repeat",
        "tile",
        "flip",
        "roll",
        "narrow",
        "chunk",
        "unbind",
    ];
    if !known.contains(&name) {
        return Ok(None);
    }
    let x = call.tensor(given, 0, "input")?;
    let dims = x.shape().dims().to_vec();
    Ok(Some(match name {
        "squeeze" => {
            let axes = list(given, 1, "dim")?;
            let axes = axes.map(|axes| reduce::dimensions(Some(&axes), dims.len()));
            let axes = axes.transpose()?;
            let gone = |axis: usize| axes.as_ref().is_none_or(|axes| axes.contains(&axis));
            let kept = dims.iter().enumerate();
            let kept = kept.filter(|&(axis, &dim)| dim != 1 || !gone(axis));
            x.reshape(kept.map(|(_, &dim)| dim).collect::<Vec<_>>())
        }
        "unsqueeze" => {
            let at = given.number(1, "dim", 0.0)? as i64;
            unsqueezed(&x, dimension(at, dims.len() + 1)?)
        }
        "expand" => {
            let wanted = list(given, 1, "size")?.unwrap_or_default();
            let extra = wanted.len() - dims.len();
            let size = |(axis, &size): (usize, &i64)| match size {
                -1 => dims[axis - extra],
                size => size as usize,
            };
            x.expand(wanted.iter().enumerate().map(size).collect::<Vec<_>>())
        }
        "repeat" | "tile" => {
            let times = list(given, 1, "dims")?.unwrap_or_default();
            let extra = times.len().saturating_sub(dims.len());
            let mut y = x.reshape([vec![1; extra], dims.clone()].concat());
            let skipped = y.shape().rank() - times.len();
            for (axis, &times) in times.iter().enumerate() {
                y = rearrange::tile(&y, axis + skipped, times as usize);
            }
            y
        }
        "flip" => {
            let axes = list(given, 1, "dims")?.unwrap_or_default();
            let axes = reduce::dimensions(Some(&axes), dims.len())?;
            let mut y = x;
            for axis in axes {
                let places: Vec<usize> = (0..dims[axis]).rev().collect();
                y = rearrange::pick(&y, axis, &places)?;
            }
            y
        }
        "roll" => {
            let shifts = list(given, 1, "shifts")?.unwrap_or_default();
            let (mut y, axes) = match list(given, 2, "dims")? {
                Some(axes) if !axes.is_empty() => (x, axes),
                _ => (x.reshape([dims.iter().product::<usize>()]), vec![0]),
            };
            for (axis, shift) in axes.into_iter().zip(shifts) {
                let axis = dimension(axis, y.shape().rank())?;
                let len = y.shape().dims()[axis] as i64;
                let place = |at: i64| (at - shift).rem_euclid(len) as usize;
                let places: Vec<usize> = (0..len).map(place).collect();
                y = rearrange::pick(&y, axis, &places)?;
            }
            y.reshape(dims)
        }
        "narrow" => {
            let axis = axis(given, 1, "dim", 0.0, &x)?;
            let start = given.number(2, "start", 0.0)? as i64;
            let len = given.number(3, "length", 1.0)? as i64;
            let start = if start < 0 {
                start + dims[axis] as i64
            } else {
                start
            };
            rearrange::stretch(&x, axis, start, start + len, 1)?
        }
        _ => {
            let at = if name == "chunk" { 2 } else { 1 };
            let axis = axis(given, at, "dim", 0.0, &x)?;
            let len = dims[axis];
            let size = match name {
                "chunk" => len.div_ceil(given.number(1, "chunks", 1.0)? as usize),
                _ => 1,
            };
            let mut parts = rearrange::split(&x, axis, &rearrange::sizes(len, size))?;
            if name == "unbind" {
                let mut left = dims.clone();
                left.remove(axis);
                parts = parts.iter().map(|x| x.reshape(left.as_slice())).collect();
            }
            call.outputs = parts.split_off(1);
            parts.remove(0)
        }
    }))
}

fn reductions(
    name: &str,
    call: &mut Call<'_>,
    given: &mut Arguments<'_>,
) -> Result<Option<Tensor>, Stop> {
    let of: reduce::Reduction = match name {
        "amax" | "max.reduction_no_dim" => reduce::largest,
        "amin" | "min.reduction_no_dim" => reduce::least,
        "logsumexp" => reduce::log_sum_exp,
        "prod" => reduce::product,
        "argmax" | "argmin" | "max.reduction_with_dim" | "min.reduction_with_dim" => {
            return extremum(name, call, given).map(Some);
        }
        "std" | "var" | "std.unbiased" | "var.unbiased" => {
            return spread(name, call, given).map(Some);
        }
        "norm" | "norm.fro" | "norm.inf" => {
            let x = call.tensor(given, 0, "input")?;
            let p = match given.get(1, "p") {
                Some(Value::String(text)) if text == "nuc" => return Ok(None),
                Some(value) => number(value).unwrap_or(2.0),
                None => 2.0,
            };
            let axes = list(given, 2, "dim")?;
            let keep = given.flag(3, "keepdim", false)?;
            return reduce::norm(&x, p, axes.as_deref(), keep).map(Some);
        }
        _ => return Ok(None),
    };
    let x = call.tensor(given, 0, "input")?;
    given.ignore(0, &["dtype"]);
    let axes = list(given, 1, "dim")?.filter(|axes| !axes.is_empty());
    let keep = given.flag(2, "keepdim", false)?;
    reduce::over(&x, axes.as_deref(), keep, of).map(Some)
}

/// The largest or least along a dimension and where it is, or where it is in all.
fn extremum(name: &str, call: &mut Call<'_>, given: &mut Arguments<'_>) -> Result<Tensor, Stop> {
    let x = call.tensor(given, 0, "input")?;
    let least = name.contains("min");
    let only_where = name.starts_with("arg");
    let keep = given.flag(2, "keepdim", false)?;
    let dims = x.shape().dims().to_vec();
    let elements: usize = dims.iter().product();
    let (x, axis) = match given.get(1, "dim") {
        Some(_) if !dims.is_empty() => {
            let axis = axis(given, 1, "dim", 0.0, &x)?;
            (x, axis)
        }
        // In all; a scalar may be spoken of as a vector.
        _ => (x.reshape([elements]), 0),
    };
    let [value, index] = reduce::extremum(&x, axis, least, false, keep && !dims.is_empty());
    if only_where {
        return Ok(index);
    }
    call.outputs = vec![index];
    Ok(value)
}

fn spread(name: &str, call: &mut Call<'_>, given: &mut Arguments<'_>) -> Result<Tensor, Stop> {
    let x = call.tensor(given, 0, "input")?;
    let old = name.ends_with(".unbiased");
    // `unbiased` stands in the place of the dimension, or after it.
    let unbiased = match old {
        true => given.flag(1, "unbiased", true)?,
        false => given.flag(2, "unbiased", true)?,
    };
    let axes = match old {
        true => None,
        false => list(given, 1, "dim")?,
    };
    let keep = given.flag(3, "keepdim", false)?;
    let correction = given.number(4, "correction", f64::from(u8::from(unbiased)))?;
    let variance = reduce::variance(&x, axes.as_deref(), keep, correction)?;
    Ok(match name.starts_with("std") {
        true => variance.sqrt(),
        false => variance,
    })
}

pub fn at_least_vector(x: &Tensor) -> Tensor {
    if x.shape().rank() == 0 {
        x.reshape([1])
    } else {
        x.clone()
    }
}

fn unsqueezed(x: &Tensor, axis: usize) -> Tensor {
    let mut dims = x.shape().dims().to_vec();
    dims.insert(axis, 1);
    x.reshape(dims)
}

/// A list of tensors in the first place.
fn tensors(call: &mut Call<'_>, given: &mut Arguments<'_>) -> Result<Vec<Tensor>, Stop> {
    let list = given.get(0, "tensors").and_then(Value::as_array);
    let names = list.into_iter().flatten().filter_map(Value::as_str);
    let names = names.filter_map(|name| name.strip_prefix("tensor:"));
    let tensors = names.map(|name| call.parameter(name));
    let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
    match tensors.is_empty() {
        true => Stop::unsupported("a list of no tensors"),
        false => Ok(tensors),
    }
}

/// The dimension that an argument names.
pub fn axis(
    given: &mut Arguments<'_>,
    position: usize,
    keyword: &str,
    default: f64,
    x: &Tensor,
) -> Result<usize, Stop> {
    dimension(
        given.number(position, keyword, default)? as i64,
        x.shape().rank(),
    )
}

/// Whole numbers, or one alone.
pub fn list(
    given: &mut Arguments<'_>,
    position: usize,
    keyword: &str,
) -> Result<Option<Vec<i64>>, Stop> {
    match given.get(position, keyword) {
        None => Ok(None),
        Some(value) => match integers(value) {
            Some(list) => Ok(Some(list)),
            None => Stop::unsupported(format!("{keyword} {}", Value::to_string(value))),
        },
    }
}

/// The module that pads, by its name, with what it was made with.
pub fn padding(
    name: &str,
    module: &mut Arguments<'_>,
) -> Result<Option<(Padding, Vec<i64>)>, Stop> {
    let kinds = ["Constant", "Zero", "Reflection", "Replication", "Circular"];
    let found = kinds.iter().find_map(|kind| {
        let digit = name
            .strip_prefix(kind)?
            .strip_prefix("Pad")?
            .strip_suffix('d')?;
        Some((*kind, digit.parse::<usize>().ok()?))
    });
    let Some((kind, spatial)) = found else {
        return Ok(None);
    };
    let value = match kind {
        "Constant" => module.number(1, "value", 0.0)?,
        _ => 0.0,
    };
    let mode = match kind {
        "Reflection" => Padding::Reflect,
        "Replication" => Padding::Replicate,
        "Circular" => Padding::Circular,
        _ => Padding::Constant(value as f32),
    };
    let pads = match list(module, 0, "padding")?.unwrap_or_default()[..] {
        [all] => vec![all; 2 * spatial],
        ref pads => pads.to_vec(),
    };
    Ok(Some((mode, pads)))
}
