//! Reductions over several dimensions, from Kiln's over one.

use kiln::Tensor;
use kiln::op::Extremum;

use super::algebra::dimension;
use crate::conform::Stop;

/// A reduction over the last dimension of a matrix.
pub type Reduction = fn(&Tensor) -> Tensor;

/// The dimensions that are named, in order, counted from the back where negative; all where there is no list.
pub fn dimensions(axes: Option<&[i64]>, rank: usize) -> Result<Vec<usize>, Stop> {
    let Some(axes) = axes else {
        return Ok((0..rank).collect());
    };
    // A scalar may be spoken of as a vector.
    let axes = axes.iter().filter(|_| rank > 0);
    let mut axes = axes
        .map(|&axis| dimension(axis, rank))
        .collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// The sizes that are left of `dims` without those dimensions, or with ones in their place.
fn left(dims: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    let sizes = dims.iter().enumerate();
    let size = |(axis, &dim): (usize, &usize)| match axes.contains(&axis) {
        true => keep.then_some(1),
        false => Some(dim),
    };
    sizes.filter_map(size).collect()
}

/// A tensor as a matrix whose rows go along those dimensions.
fn rows(x: &Tensor, axes: &[usize]) -> Tensor {
    let dims = x.shape().dims().to_vec();
    let rest = (0..dims.len()).filter(|axis| !axes.contains(axis));
    let order = rest.chain(axes.iter().copied()).map(|axis| axis as isize);
    let order: Vec<isize> = order.collect();
    let len = axes.iter().map(|&axis| dims[axis]).product::<usize>();
    let count = dims.iter().product::<usize>() / len.max(1);
    let moved = match order.is_sorted() {
        true => x.clone(),
        false => x.permute(&order),
    };
    moved.reshape([count, len])
}

/// What `of` gives for the rows along some dimensions, which are dropped or kept with size one.
pub fn over(x: &Tensor, axes: Option<&[i64]>, keep: bool, of: Reduction) -> Result<Tensor, Stop> {
    let dims = x.shape().dims().to_vec();
    if dims.contains(&0) {
        return Stop::unsupported("reductions of nothing other than sums");
    }
    let axes = dimensions(axes, dims.len())?;
    Ok(of(&rows(x, &axes)).reshape(left(&dims, &axes, keep)))
}

/// The sum over some dimensions.
pub fn sum(x: &Tensor, axes: Option<&[i64]>, keep: bool) -> Result<Tensor, Stop> {
    let dims = x.shape().dims().to_vec();
    let axes = dimensions(axes, dims.len())?;
    let sum = match axes.len() == dims.len() {
        true => x.sum(),
        false => axes
            .iter()
            .rev()
            .fold(x.clone(), |sum, &axis| sum.sum_over(axis as isize)),
    };
    Ok(sum.reshape(left(&dims, &axes, keep)))
}

/// The mean over some dimensions.
pub fn mean(x: &Tensor, axes: Option<&[i64]>, keep: bool) -> Result<Tensor, Stop> {
    let sum = sum(x, axes, keep)?;
    let parts = x.shape().elements() as f64 / sum.shape().elements() as f64;
    Ok(sum.scale((1.0 / parts) as f32))
}

/// The mean square of what is left of the mean, where `correction` is taken from the number.
pub fn variance(
    x: &Tensor,
    axes: Option<&[i64]>,
    keep: bool,
    correction: f64,
) -> Result<Tensor, Stop> {
    let centred = x.sub(&mean(x, axes, true)?);
    let sum = sum(&centred.square(), axes, keep)?;
    let parts = x.shape().elements() as f64 / sum.shape().elements() as f64;
    Ok(sum.scale((1.0 / (parts - correction).max(0.0)) as f32))
}

/// (Σ|x|^p)^(1/p) over some dimensions; for p = 0 the number of elements that are not 0, for ±∞ the largest and the least.
pub fn norm(x: &Tensor, p: f64, axes: Option<&[i64]>, keep: bool) -> Result<Tensor, Stop> {
    let sizes = dimensions(axes, x.shape().rank())?;
    let alone = sizes.iter().all(|&axis| x.shape().dims()[axis] == 1);
    Ok(match p {
        // Of one number it is the same for every p but 0.
        p if alone && p != 0.0 => sum(&x.abs(), axes, keep)?,
        f64::INFINITY => over(&x.abs(), axes, keep, largest)?,
        f64::NEG_INFINITY => over(&x.abs(), axes, keep, least)?,
        0.0 => sum(&x.abs().sign(), axes, keep)?,
        1.0 => sum(&x.abs(), axes, keep)?,
        2.0 => sum(&x.square(), axes, keep)?.sqrt(),
        p => sum(&x.abs().pow(p as f32), axes, keep)?.pow((1.0 / p) as f32),
    })
}

pub fn largest(x: &Tensor) -> Tensor {
    x.largest(-1)
}

pub fn least(x: &Tensor) -> Tensor {
    x.least(-1)
}

pub fn log_sum_exp(x: &Tensor) -> Tensor {
    x.log_sum_exp(-1)
}

/// The product of each row, by halves.
pub fn product(x: &Tensor) -> Tensor {
    let mut product = x.clone();
    loop {
        let (rows, len) = product.shape().rows_and_columns();
        if len <= 1 {
            return product.reshape([rows]);
        }
        let half = len / 2;
        let part = |start: usize, len: usize| product.slice(1, start, len);
        let pairs = part(0, half).mul(&part(half, half));
        product = match len % 2 {
            0 => pairs,
            _ => pairs.concat(&[&part(len - 1, 1)], 1),
        };
    }
}

/// Where the largest or least element along a dimension is, and the element. Its gradient goes to it alone.
pub fn extremum(x: &Tensor, axis: usize, least: bool, last: bool, keep: bool) -> [Tensor; 2] {
    let op = Extremum {
        axis: axis as isize,
        least,
        last,
        shared: false,
    };
    let shape = left(x.shape().dims(), &[axis], keep);
    let (value, index) = x.extremum(op);
    [value, index].map(|tensor| tensor.reshape(shape.as_slice()))
}

/// The k largest or least along a dimension, in order, and their indices: one by one, each left out of the next search.
pub fn top(x: &Tensor, axis: usize, k: usize, least: bool) -> [Tensor; 2] {
    let dims = x.shape().dims().to_vec();
    let worst = if least {
        f32::INFINITY
    } else {
        f32::NEG_INFINITY
    };
    let worst = x.graph().constant([], &[worst]);
    // The place of the classes that `one_hot` puts last.
    let mut order: Vec<isize> = (0..dims.len() as isize - 1).collect();
    order.insert(axis, -1);
    let (mut rest, mut found) = (x.clone(), Vec::new());
    for turn in 0..k {
        let [_, index] = extremum(&rest, axis, least, false, false);
        if turn + 1 < k {
            let taken = index.one_hot(dims[axis]).permute(&order);
            rest = taken.choose(&worst, &rest);
        }
        found.push(index.reshape(left(&dims, &[axis], true)));
    }
    let (first, others) = found.split_at(1);
    let indices = first[0].concat(&others.iter().collect::<Vec<_>>(), axis as isize);
    [x.take_along(axis as isize, &indices), indices]
}
