//! Operations of other frameworks that are a few of Kiln's.

use kiln::Tensor;
use kiln::op::MatMul;

use super::Stop;

/// The sum over some dimensions, counted from the back where negative; over all where there is no list.
pub fn sum(x: &Tensor, axes: Option<&[i64]>, keep: bool) -> Result<Tensor, Stop> {
    let dims = x.shape().dims().to_vec();
    let mut axes = match axes {
        None => (0..dims.len()).collect(),
        Some(axes) => axes
            .iter()
            .map(|&axis| dimension(axis, dims.len()))
            .collect::<Result<Vec<_>, _>>()?,
    };
    axes.sort_unstable();
    axes.dedup();
    let sum = match axes.len() == dims.len() {
        true => x.sum(),
        false => axes
            .iter()
            .rev()
            .fold(x.clone(), |sum, &axis| sum.sum_over(axis)),
    };
    if !keep {
        return Ok(sum);
    }
    let kept = dims
        .iter()
        .enumerate()
        .map(|(axis, &dim)| if axes.contains(&axis) { 1 } else { dim });
    Ok(sum.reshape(kept.collect::<Vec<usize>>()))
}

/// The mean over some dimensions, as [`sum`].
pub fn mean(x: &Tensor, axes: Option<&[i64]>, keep: bool) -> Result<Tensor, Stop> {
    let sum = sum(x, axes, keep)?;
    let parts = x.shape().elements() as f64 / sum.shape().elements() as f64;
    Ok(sum.scale((1.0 / parts) as f32))
}

/// A dimension counted from the front, or from the back where negative.
pub fn dimension(axis: i64, rank: usize) -> Result<usize, Stop> {
    let from_front = if axis < 0 { axis + rank as i64 } else { axis };
    let fits = usize::try_from(from_front)
        .ok()
        .filter(|&axis| axis < rank.max(1));
    fits.ok_or_else(|| Stop::Unsupported(format!("dimension {axis} of {rank}")))
}

/// Dimensions `first..=last` made one.
pub fn flatten(x: &Tensor, first: i64, last: i64) -> Result<Tensor, Stop> {
    let dims = x.shape().dims().to_vec();
    let (first, last) = (dimension(first, dims.len())?, dimension(last, dims.len())?);
    let Some((before, rest)) = dims.split_at_checked(first).filter(|_| !dims.is_empty()) else {
        return Ok(x.reshape([1]));
    };
    let (middle, after) = rest.split_at(last + 1 - first);
    Ok(x.reshape([before, &[middle.iter().product()], after].concat()))
}

/// The product of vectors, matrices, and of stacks of matrices with one matrix, as NumPy's `matmul`.
pub fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor, Stop> {
    let (left, right) = (a.shape().dims().to_vec(), b.shape().dims().to_vec());
    let (Some((&k, rows)), 1..=2) = (left.split_last(), right.len()) else {
        return Stop::unsupported("products of stacks of matrices");
    };
    let columns = &right[1..];
    let a = a.reshape([rows.iter().product(), k]);
    let b = b.reshape([right[0], columns.iter().product()]);
    Ok(a.matmul(&b).reshape([rows, columns].concat()))
}

/// xWᵀ + b over the last dimension of x, with W `[out, in]`: PyTorch's linear layer.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let shape = x.shape();
    let (rows, columns) = shape.rows_and_columns();
    let transposed = MatMul {
        transpose_a: false,
        transpose_b: true,
    };
    let product = x
        .graph()
        .apply_one(transposed, &[&x.reshape([rows, columns]), weight]);
    let sum = bias.map_or(product.clone(), |bias| product.add(bias));
    wide(&sum, x)
}

/// xW + b over the last dimension of x, with W `[in, out]`: Keras' dense layer.
pub fn dense(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let shape = x.shape();
    let (rows, columns) = shape.rows_and_columns();
    let product = x.reshape([rows, columns]).matmul(kernel);
    let sum = bias.map_or(product.clone(), |bias| product.add(bias));
    wide(&sum, x)
}

/// A matrix with the rows of x under x's leading dimensions.
fn wide(matrix: &Tensor, x: &Tensor) -> Tensor {
    let (_, columns) = matrix.shape().rows_and_columns();
    let mut dims = x.shape().dims().to_vec();
    dims.pop();
    dims.push(columns);
    matrix.reshape(dims)
}
