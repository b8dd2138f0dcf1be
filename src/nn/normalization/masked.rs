//! Means and variances of a batch of which a mask leaves out positions.

use crate::Tensor;

/// Above 0 and below any share of a batch: where all is masked, the mean and variance are 0.
const TINY: f32 = 1e-30;

/// The mean and biased variance of every channel of x, dimension `axis`, over the positions where `mask` is not 0: its shape
/// is that of x without the last dimension. With the clock's `cursor` only rows of the batch at hand count.
pub fn moments(
    x: &Tensor,
    mask: &Tensor,
    axis: usize,
    cursor: Option<&Tensor>,
) -> (Tensor, Tensor) {
    let dims = x.shape().dims().to_vec();
    let rank = dims.len();
    let mut weights = mask.clone();
    if let Some(cursor) = cursor {
        // The gradient of a mean over the batch's own rows is the same positive number there, and 0 in the rows after them.
        let counted = mask.batch_mean(cursor);
        weights = mask.mul(&mask.graph().gradients(&counted, &[mask])[0]);
    }
    let weights = weights.repeat(-1, dims[rank - 1]);
    let others = (0..rank).filter(|&i| i != axis);
    let order: Vec<isize> = others.chain([axis]).map(|axis| axis as isize).collect();
    let channels = dims[axis];
    let all = dims.iter().product::<usize>() / channels.max(1);
    let matrix = |t: &Tensor| t.permute(&order).reshape([all, channels]);
    let (x, weights) = (matrix(x), matrix(&weights));
    let total = weights.sum_over(0).offset(TINY);
    // What is left out may be anything, NaN too.
    let x = weights.choose(&x, &x.graph().constant([], &[0.0]));
    let mean = x.mul(&weights).sum_over(0).div(&total);
    let distance = x.sub(&mean);
    let variance = distance.square().mul(&weights).sum_over(0).div(&total);
    (mean, variance)
}
