//! Distances and products of vectors, from Kiln's tensors.

use kiln::Tensor;

use super::reduce;
use crate::conform::Stop;

/// The norms of all differences between rows of a `[…, m, k]` and of b `[…, n, k]`: `[…, m, n]`.
pub fn all(a: &Tensor, b: &Tensor, p: f64) -> Result<Tensor, Stop> {
    let rank = a.shape().rank();
    let wide = |x: &Tensor, at: usize| {
        let mut dims = x.shape().dims().to_vec();
        dims.insert(at, 1);
        x.reshape(dims)
    };
    let apart = wide(a, rank - 1).sub(&wide(b, rank - 2));
    reduce::norm(&apart, p, Some(&[-1]), false)
}

/// The norms of the differences between each two rows.
pub fn pairs(x: &Tensor, p: f64) -> Result<Tensor, Stop> {
    let rows = x.shape().dims()[0];
    let pairs = (0..rows).flat_map(|i| (i + 1..rows).map(move |j| (i, j)));
    let (first, second): (Vec<usize>, Vec<usize>) = pairs.unzip();
    let [first, second] = [first, second].map(|places| {
        let places = super::rearrange::constants(x.graph(), &[places.len()], &places);
        x.take(0, &places)
    });
    reduce::norm(&first.sub(&second), p, Some(&[-1]), false)
}

/// The norm of a − b + ε along the last dimension.
pub fn pairwise(a: &Tensor, b: &Tensor, p: f64, epsilon: f64, keep: bool) -> Result<Tensor, Stop> {
    let apart = a.sub(b).offset(epsilon as f32);
    reduce::norm(&apart, p, Some(&[-1]), keep)
}

/// a·b/(|a|·|b|) along a dimension, both lengths no less than ε.
pub fn cosine(a: &Tensor, b: &Tensor, axis: i64, epsilon: f64) -> Result<Tensor, Stop> {
    let shape = a.add(b).shape();
    let (a, b) = (&a.expand(&shape), &b.expand(&shape));
    let length = |x: &Tensor| -> Result<Tensor, Stop> {
        let length = reduce::norm(x, 2.0, Some(&[axis]), true)?;
        let least = x.graph().constant([], &[epsilon as f32]);
        Ok(length.maximum(&least))
    };
    let product = a.div(&length(a)?).mul(&b.div(&length(b)?));
    reduce::sum(&product, Some(&[axis]), false)
}

/// yₖ = aᵀWₖb + biasₖ over the last dimensions, with W `[k, i, j]`.
pub fn bilinear(a: &Tensor, b: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let [k, i, j] = [0, 1, 2].map(|axis| weight.shape().dims()[axis]);
    let lead = a.shape().dims()[..a.shape().rank() - 1].to_vec();
    let rows: usize = lead.iter().product();
    // a·W for every k side by side, times b.
    let wide = weight.permute(&[1, 0, 2]).reshape([i, k * j]);
    let left = a.reshape([rows, i]).matmul(&wide).reshape([rows, k, j]);
    let y = left.mul(&b.reshape([rows, 1, j])).sum_over(2);
    let y = bias.map_or(y.clone(), |bias| y.add(bias));
    y.reshape([lead, vec![k]].concat())
}

/// Each channel, dimension 1, divided by (k + α/size·Σx²)^β over the `size` channels around it.
pub fn local_response(
    x: &Tensor,
    (before, after): (usize, usize),
    [alpha, beta, k]: [f64; 3],
) -> Tensor {
    let size = before + after + 1;
    let channels = x.shape().dims()[1];
    let squares = x.square().pad(1, before, after);
    let window = |start: usize| squares.slice(1, start, channels);
    let sum = (1..size).fold(window(0), |sum, start| sum.add(&window(start)));
    let base = sum.scale((alpha / size as f64) as f32).offset(k as f32);
    x.div(&base.pow(beta as f32))
}
