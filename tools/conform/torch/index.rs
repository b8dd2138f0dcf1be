//! PyTorch's functions with indices, and those that order, from Kiln's tensors.

use kiln::Tensor;

use super::Call;
use super::arguments::Arguments;
use super::tensor::{at_least_vector, axis};
use crate::conform::Stop;
use crate::conform::operation::rearrange;
use crate::conform::operation::reduce;

/// The output of the function of that name, if it is one of these; further ones are the call's.
pub fn apply(
    name: &str,
    call: &mut Call<'_>,
    given: &mut Arguments<'_>,
) -> Result<Option<Tensor>, Stop> {
    Ok(Some(match name {
        "embedding" => {
            let weight = call.tensor(given, 1, "weight")?;
            if given.get(3, "max_norm").is_some() {
                return Stop::unsupported("embeddings of bounded norms");
            }
            if given.get(2, "padding_idx").is_some()
                || given.flag(5, "scale_grad_by_freq", false)?
            {
                return Stop::unsupported("embeddings with gradients of their own");
            }
            given.ignore(7, &["norm_type", "sparse"]);
            let indices = call.name(given, 0, "input")?;
            let rows = weight.shape().dims()[0];
            weight.take(0, &places(call, &indices, rows)?)
        }
        "index_select" => {
            let x = call.tensor(given, 0, "input")?;
            let shape = x.shape();
            let x = at_least_vector(&x);
            let axis = axis(given, 1, "dim", 0.0, &x)?;
            let indices = call.name(given, 2, "index")?;
            let len = x.shape().dims()[axis];
            let y = x.take(axis as isize, &places(call, &indices, len)?);
            if shape.rank() == 0 { y.reshape([]) } else { y }
        }
        "gather" => {
            let x = at_least_vector(&call.tensor(given, 0, "input")?);
            let axis = axis(given, 1, "dim", 0.0, &x)?;
            let indices = call.name(given, 2, "index")?;
            let indices = places(call, &indices, x.shape().dims()[axis])?;
            let shape = indices.shape();
            let indices = at_least_vector(&indices);
            let y = cut(&x, indices.shape().dims(), Some(axis)).take_along(axis as isize, &indices);
            y.reshape(shape)
        }
        "scatter_add" => {
            let x = call.tensor(given, 0, "input")?;
            let shape = x.shape();
            let x = at_least_vector(&x);
            let axis = axis(given, 1, "dim", 0.0, &x)?;
            let indices = call.name(given, 2, "index")?;
            let source = call.tensor(given, 3, "src")?;
            let indices = places(call, &indices, x.shape().dims()[axis])?;
            let (indices, source) = (at_least_vector(&indices), at_least_vector(&source));
            let source = cut(&source, indices.shape().dims(), None);
            x.add(&scattered(&x, axis, &indices, &source))
                .reshape(shape)
        }
        "index_add" => {
            let x = call.tensor(given, 0, "input")?;
            let axis = axis(given, 1, "dim", 0.0, &x)?;
            let name = call.name(given, 2, "index")?;
            let source = call.tensor(given, 3, "source")?;
            let alpha = given.number(4, "alpha", 1.0)? as f32;
            let shape = x.shape();
            let (x, source) = (at_least_vector(&x), at_least_vector(&source));
            // One index for each element.
            let indices = call.case.tensor(&name)?;
            let dims = source.shape().dims().to_vec();
            let inner: usize = dims[axis + 1..].iter().product();
            let index = |at: usize| indices.values[at / inner % dims[axis]] as usize;
            let all: Vec<usize> = (0..dims.iter().product()).map(index).collect();
            let indices = rearrange::constants(x.graph(), &dims, &all);
            let y = x.add(&scattered(&x, axis, &indices, &source).scale(alpha));
            y.reshape(shape)
        }
        "sort" | "topk" => {
            let x = call.tensor(given, 0, "input")?;
            let scalar = x.shape().rank() == 0;
            let x = at_least_vector(&x);
            let (k, at) = match name {
                "sort" => (None, 1),
                _ => (Some(given.number(1, "k", 1.0)? as usize), 2),
            };
            let axis = axis(given, at, "dim", -1.0, &x)?;
            let largest = given.flag(
                at + 1,
                if k.is_some() { "largest" } else { "descending" },
                k.is_some(),
            )?;
            given.ignore(at + 3, &["sorted", "stable"]);
            let k = k.unwrap_or(x.shape().dims()[axis]);
            let [values, indices] = reduce::top(&x, axis, k, !largest);
            let as_given = |t: Tensor| if scalar { t.reshape([]) } else { t };
            let [values, indices] = [values, indices].map(as_given);
            call.outputs = vec![indices];
            values
        }
        _ => return Ok(None),
    }))
}

/// Whole numbers that the case gives as indices of a dimension of `len`; negative ones count from the back.
fn places(call: &mut Call<'_>, name: &str, len: usize) -> Result<Tensor, Stop> {
    let indices = call.case.tensor(name)?;
    call.work.places(name, indices, len)
}

/// The front of a tensor in every dimension but one.
fn cut(x: &Tensor, dims: &[usize], but: Option<usize>) -> Tensor {
    let axes = dims
        .iter()
        .enumerate()
        .filter(|(axis, _)| Some(*axis) != but);
    axes.fold(x.clone(), |x, (axis, &len)| match x.shape().dims()[axis] {
        whole if whole == len => x,
        _ => x.slice(axis as isize, 0, len),
    })
}

/// Elements added up at their indices in a tensor of x's shape.
fn scattered(x: &Tensor, axis: usize, indices: &Tensor, source: &Tensor) -> Tensor {
    let to = x.shape().dims().to_vec();
    let mut narrow = source.shape().dims().to_vec();
    narrow[axis] = to[axis];
    let sums = source.scatter_along(axis as isize, indices, narrow.as_slice());
    let axes = narrow.iter().enumerate();
    axes.fold(sums, |sums, (axis, &len)| match to[axis] - len {
        0 => sums,
        more => sums.pad(axis as isize, 0, more),
    })
}
