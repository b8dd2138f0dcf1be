//! Operations of other frameworks that are a few of Kiln's.

use kiln::Tensor;
use kiln::op::MatMul;

use crate::conform::Stop;

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

/// The product of vectors, matrices, and stacks of matrices, whose leading dimensions broadcast, as NumPy's `matmul`.
pub fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor, Stop> {
    let (left, right) = (a.shape().dims().to_vec(), b.shape().dims().to_vec());
    if left.is_empty() || right.is_empty() {
        return Stop::unsupported("products of scalars");
    }
    if right.len() > 2 {
        return stacked(a, b);
    }
    let (&k, rows) = left.split_last().unwrap_or((&1, &[]));
    let columns = &right[1..];
    let a = a.reshape([rows.iter().product(), k]);
    let b = b.reshape([right[0], columns.iter().product()]);
    Ok(a.matmul(&b).reshape([rows, columns].concat()))
}

/// The products of the matrices of two stacks, one by one.
fn stacked(a: &Tensor, b: &Tensor) -> Result<Tensor, Stop> {
    let vector = a.shape().rank() == 1;
    let a = match vector {
        true => a.reshape([1, a.shape().elements() as usize]),
        false => a.clone(),
    };
    let (left, right) = (a.shape().dims().to_vec(), b.shape().dims().to_vec());
    let (lead_a, [m, k]) = left.split_at(left.len() - 2) else {
        return Stop::unsupported("products of scalars");
    };
    let (lead_b, [_, n]) = right.split_at(right.len() - 2) else {
        return Stop::unsupported("products of scalars");
    };
    let rank = lead_a.len().max(lead_b.len());
    let size = |lead: &[usize], axis: usize| {
        let at = (axis + lead.len()).checked_sub(rank);
        at.map_or(1, |at| lead[at])
    };
    let lead: Vec<usize> = (0..rank)
        .map(|axis| size(lead_a, axis).max(size(lead_b, axis)))
        .collect();
    let count: usize = lead.iter().product();
    let stack = |x: &Tensor, rows: usize, columns: usize| {
        let wide = x.expand([&lead[..], &[rows, columns]].concat());
        wide.reshape([count, rows, columns])
    };
    let (a, b) = (stack(&a, *m, *k), stack(b, *k, *n));
    let matrix = |x: &Tensor, at: usize| {
        let dims = x.shape().dims()[1..].to_vec();
        x.slice(0, at, 1).reshape(dims)
    };
    let product = |at: usize| {
        let product = matrix(&a, at).matmul(&matrix(&b, at));
        product.reshape([1, *m, *n])
    };
    let products: Vec<Tensor> = (0..count).map(product).collect();
    let rest: Vec<&Tensor> = products.iter().skip(1).collect();
    let shape = match vector {
        true => [&lead[..], &[*n]].concat(),
        false => [&lead[..], &[*m, *n]].concat(),
    };
    Ok(products[0].concat(&rest, 0).reshape(shape))
}

/// xWᵀ + b over the last dimension of x, with W `[out, in]`: PyTorch's linear layer.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let shape = x.shape();
    let (rows, columns) = shape.rows_and_columns();
    let transposed = MatMul {
        transpose_b: true,
        ..MatMul::default()
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
