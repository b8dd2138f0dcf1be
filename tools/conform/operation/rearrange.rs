//! Elements in other places: padding, slices with steps, tiles, triangles, running sums. From Kiln's tensors.

use std::sync::atomic::{AtomicUsize, Ordering};

use kiln::{Graph, Initial, Tensor, TensorType};

use super::algebra::dimension;
use crate::conform::Stop;

/// Whole numbers that never change.
pub fn constants(graph: &Graph, shape: &[usize], values: &[usize]) -> Tensor {
    // Names are unique in a graph.
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = format!("places.{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let words: Vec<u32> = values.iter().map(|&value| value as u32).collect();
    let initial = Initial::Words(words.as_slice().into());
    graph.variable(name, TensorType::u32(shape), initial)
}

/// The elements of one dimension at places that are known beforehand; a stretch of them is a slice.
pub fn pick(x: &Tensor, axis: usize, places: &[usize]) -> Result<Tensor, Stop> {
    let Some(&first) = places.first() else {
        return Stop::unsupported("tensors without elements");
    };
    if places.iter().copied().eq(first..first + places.len()) {
        return Ok(x.slice(axis as isize, first, places.len()));
    }
    let places = constants(x.graph(), &[places.len()], places);
    Ok(x.take(axis as isize, &places))
}

/// `start..end` in steps, as NumPy: negative numbers count from the back, and what lies outside is cut off.
pub fn stretch(x: &Tensor, axis: usize, start: i64, end: i64, step: i64) -> Result<Tensor, Stop> {
    let len = x.shape().dims()[axis] as i64;
    let from_front = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
    let (first, stop) = match step > 0 {
        true => (
            from_front(start).clamp(0, len),
            from_front(end).clamp(0, len),
        ),
        false => (
            from_front(start).clamp(-1, len - 1),
            from_front(end).clamp(-1, len - 1),
        ),
    };
    let mut places = Vec::new();
    let mut at = first;
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        places.push(at as usize);
        at += step;
    }
    pick(x, axis, &places)
}

/// Parts of these sizes along a dimension.
pub fn split(x: &Tensor, axis: usize, sizes: &[usize]) -> Result<Vec<Tensor>, Stop> {
    if sizes.contains(&0) {
        return Stop::unsupported("tensors without elements");
    }
    let mut start = 0;
    let part = |&size: &usize| {
        let part = x.slice(axis as isize, start, size);
        start += size;
        part
    };
    Ok(sizes.iter().map(part).collect())
}

/// Parts of `size` along a dimension, the last of what is left.
pub fn sizes(len: usize, size: usize) -> Vec<usize> {
    let starts = (0..len).step_by(size.max(1));
    starts.map(|start| size.min(len - start)).collect()
}

/// What stands beside a tensor that is padded.
#[derive(Debug, Clone, Copy)]
pub enum Padding {
    /// This number.
    Constant(f32),
    /// The tensor in a mirror, without its edge.
    Reflect,
    /// Its edge.
    Replicate,
    /// Its other end.
    Circular,
}

impl Padding {
    /// By PyTorch's and ONNX' names.
    pub fn named(name: &str, value: f64) -> Result<Self, Stop> {
        Ok(match name {
            "constant" => Padding::Constant(value as f32),
            "reflect" => Padding::Reflect,
            "replicate" | "edge" => Padding::Replicate,
            "circular" | "wrap" => Padding::Circular,
            other => return Stop::unsupported(format!("padding {other}")),
        })
    }

    /// This many elements more before and after a dimension; fewer where negative.
    pub fn apply(self, x: &Tensor, axis: usize, before: i64, after: i64) -> Result<Tensor, Stop> {
        // What goes round goes round what is left.
        let crops = before.min(0) + after.min(0) < 0;
        if crops && matches!(self, Padding::Circular) {
            let len = x.shape().dims()[axis] as i64;
            let left = stretch(x, axis, (-before).max(0), len + after.min(0), 1)?;
            return self.apply(&left, axis, before.max(0), after.max(0));
        }
        let len = x.shape().dims()[axis] as i64;
        let wanted = -before..len + after;
        let place = |at: i64| match self {
            Padding::Reflect if len > 1 => {
                let turn = at.rem_euclid(2 * (len - 1));
                turn.min(2 * (len - 1) - turn)
            }
            Padding::Circular => at.rem_euclid(len),
            _ => at.clamp(0, len - 1),
        };
        let Padding::Constant(value) = self else {
            let places: Vec<usize> = wanted.map(|at| place(at) as usize).collect();
            return pick(x, axis, &places);
        };
        let x = stretch(x, axis, (-before).max(0), len + after.min(0), 1)?;
        let (before, after) = (before.max(0) as usize, after.max(0) as usize);
        if value == 0.0 {
            return Ok(x.pad(axis as isize, before, after));
        }
        let beside = |size: usize| {
            let mut dims = x.shape().dims().to_vec();
            dims[axis] = size;
            x.graph().constant([], &[value]).expand(dims)
        };
        let front = (before > 0).then(|| beside(before));
        let back = (after > 0).then(|| beside(after));
        let parts: Vec<&Tensor> = front.iter().chain([&x]).chain(back.iter()).collect();
        Ok(parts[0].concat(&parts[1..], axis as isize))
    }

    /// PyTorch's list: before and after the last dimension, then those of the one before …
    pub fn around_last(self, x: &Tensor, pads: &[i64]) -> Result<Tensor, Stop> {
        let mut y = x.clone();
        for (number, pair) in pads.chunks_exact(2).enumerate() {
            let axis = dimension(-1 - number as i64, x.shape().rank())?;
            y = self.apply(&y, axis, pair[0], pair[1])?;
        }
        Ok(y)
    }
}

/// The tensor `times` times along a dimension.
pub fn tile(x: &Tensor, axis: usize, times: usize) -> Tensor {
    let mut dims = x.shape().dims().to_vec();
    dims[axis] *= times;
    x.repeat(axis as isize, times).reshape(dims)
}

/// Where the last two dimensions are on the diagonal `k` or on the wanted side of it the elements, else 0.
pub fn triangle(x: &Tensor, k: i64, upper: bool) -> Tensor {
    let (_, columns) = x.shape().rows_and_columns();
    let dims = x.shape().dims().to_vec();
    let rows = dims[dims.len() - 2];
    let kept = |at: usize| {
        let above = (at % columns) as i64 - (at / columns) as i64;
        let kept = if upper { above >= k } else { above <= k };
        f32::from(u8::from(kept))
    };
    let mask: Vec<f32> = (0..rows * columns).map(kept).collect();
    let zero = x.graph().constant([], &[0.0]);
    let mask = x.graph().constant([rows, columns], &mask);
    mask.choose(x, &zero)
}

/// Sums of all elements up to each, itself included or not, from the front or the back: in doubling steps.
pub fn running_sum(x: &Tensor, axis: usize, exclusive: bool, reverse: bool) -> Tensor {
    let len = x.shape().dims()[axis];
    let at = axis as isize;
    let shift = |x: &Tensor, by: usize| match (by < len, reverse) {
        (false, _) => x.sub(x),
        (true, false) => x.slice(at, 0, len - by).pad(at, by, 0),
        (true, true) => x.slice(at, by, len - by).pad(at, 0, by),
    };
    let mut sum = if exclusive { shift(x, 1) } else { x.clone() };
    let mut step = 1;
    while step < len {
        sum = sum.add(&shift(&sum, step));
        step *= 2;
    }
    sum
}

/// Channels, dimension `rank − 3`, in blocks of r² as a picture r times as large, or back.
pub fn pixels(x: &Tensor, r: usize, larger: bool) -> Tensor {
    let dims = x.shape().dims().to_vec();
    let (lead, last) = dims.split_at(dims.len() - 3);
    let n: usize = lead.iter().product();
    let (c, h, w) = (last[0], last[1], last[2]);
    let (parts, order, to) = match larger {
        true => (
            [n, c / (r * r), r, r, h, w],
            [0, 1, 4, 2, 5, 3],
            [c / (r * r), h * r, w * r],
        ),
        false => (
            [n, c, h / r, r, w / r, r],
            [0, 1, 3, 5, 2, 4],
            [c * r * r, h / r, w / r],
        ),
    };
    x.reshape(parts)
        .permute(&order)
        .reshape([lead, &to].concat())
}

/// Dimension 1 in `groups` groups of neighbours, the first of each first.
pub fn shuffle(x: &Tensor, groups: usize) -> Tensor {
    let dims = x.shape().dims().to_vec();
    let rest: usize = dims[2..].iter().product();
    x.reshape([dims[0], groups, dims[1] / groups, rest])
        .permute(&[0, 2, 1, 3])
        .reshape(dims)
}

/// Dimensions `first` and `second` in each other's place.
pub fn swap(x: &Tensor, first: usize, second: usize) -> Tensor {
    let mut order: Vec<isize> = (0..x.shape().rank() as isize).collect();
    if first == second {
        return x.clone();
    }
    order.swap(first, second);
    x.permute(&order)
}
