//! How far a device may be off: the bounds of the ops that a head stands for, and what a computed output carries into them.

use crate::contract::{Io, Op, Sample, Signature, View, ViewMut};
use crate::number::UNIT;
use crate::op::cursor::{ROWS, STEP};
use crate::op::gather::gathered;
use crate::op::record::{Parts, place};
use crate::op::{
    Accuracy, CrossEntropy, CrossEntropyBackward, Form, PointwiseLoss, RowReduction,
    RowReductionBackward, matmul,
};
use crate::{DType, TensorType};

use super::{Head, RowLoss};

pub(super) fn bound(head: &Head, sample: &Sample<'_>) -> Vec<Vec<f64>> {
    let types = &sample.signature.inputs;
    let ring = types[0].shape.dims();
    let kind = head.outputs(types);
    let (batch, columns) = kind.shape.rows_and_columns();
    let cursor = &sample.inputs[1];
    let (y, y_errors) = head.outputs_with_errors(sample);
    let target = head.target(types);
    let t = if head.gather {
        let stored = [types[3].shape.dims()[0], target.elements() as usize / batch];
        let indices = sample.inputs[4].iter().map(|&index| index as u32);
        gathered(&sample.inputs[3], stored, indices)
    } else {
        sample.inputs[3].clone()
    };
    let counted = (cursor[ROWS] as usize).min(batch);
    let per_row = TensorType::f32([batch]);
    let part = |op: &dyn Op, more: Option<Vec<f64>>, output: TensorType| {
        let mut kinds = vec![kind.clone(), target.clone()];
        let mut inputs = vec![y.clone(), t.clone()];
        if let Some(more) = more {
            kinds.push(per_row.clone());
            inputs.push(more);
        }
        reference(op, kinds, inputs, output)
    };
    let mut bounds = vec![vec![0.0; ring.iter().product()]];
    let mut columns_of_ring = vec![(head.loss_op(false), head.loss_column)];
    if let Some((accuracy, column)) = head.accuracy {
        columns_of_ring.push((Box::new(accuracy), column));
    }
    for (op, column) in columns_of_ring {
        let (values, mut errors) = part(op.as_ref(), None, per_row.clone());
        let is_loss = column == head.loss_column;
        for (r, error) in errors.iter_mut().enumerate() {
            let row = r * columns..(r + 1) * columns;
            let (y, e) = (&y[row.clone()], &y_errors[row]);
            *error += match head.accuracy {
                Some((kind, _)) if !is_loss => undecided(kind, y, e),
                _ => head.loss.carried(y, &t, r, e),
            };
        }
        let at = place(cursor[STEP] as u32, ring, column);
        let rows = Parts::of(batch).rows;
        for (p, pair) in bounds[0][at].chunks_exact_mut(2).enumerate() {
            let own = (p * rows).min(counted)..((p + 1) * rows).min(counted);
            let sum: f64 = values[own.clone()].iter().map(|value| value.abs()).sum();
            // Either number of a sum is off by the rounding of the first.
            let rounding = 2.0 * Sample::gamma(1) * sum;
            pair.fill(errors[own].iter().sum::<f64>() + rounding + 1e-37);
        }
    }
    if head.gradient {
        let scale = head.scale(|word| cursor[word] as u32);
        let share = f64::from(scale) / counted.max(1) as f64;
        let dloss = (0..batch).map(|r| if r < counted { share } else { 0.0 });
        let (dy, mut errors) = part(
            head.loss_op(true).as_ref(),
            Some(dloss.collect()),
            kind.clone(),
        );
        // The share itself is a division; a logit's error moves its own slope and those of its row.
        let carried = y_errors.chunks(columns).flat_map(|row| {
            let sum: f64 = row.iter().sum();
            row.iter()
                .map(move |own| head.loss.slope_carried(columns, *own, sum))
        });
        for ((error, dy), carried) in errors.iter_mut().zip(&dy).zip(carried) {
            *error = 1.01 * *error + 12.0 * UNIT * dy.abs() + 1.01 * share * carried;
        }
        bounds.push(errors);
    }
    bounds
}

impl Head {
    /// The op for the loss of each row, or for its gradient.
    fn loss_op(&self, gradient: bool) -> Box<dyn Op> {
        let terms = match self.loss {
            RowLoss::CrossEntropy => {
                let rows = CrossEntropy { form: Form::Logits };
                return if gradient {
                    Box::new(CrossEntropyBackward(rows))
                } else {
                    Box::new(rows)
                };
            }
            RowLoss::Binary(form) => PointwiseLoss::binary(form),
            RowLoss::Squared(scale) => PointwiseLoss::squared(scale),
        };
        if gradient {
            Box::new(RowReductionBackward(terms))
        } else {
            Box::new(RowReduction(terms))
        }
    }

    /// y, and how far a device's may be off.
    fn outputs_with_errors(&self, sample: &Sample<'_>) -> (Vec<f64>, Vec<f64>) {
        let y = &sample.inputs[2];
        let Some(last) = self.last else {
            return (y.clone(), vec![0.0; y.len()]);
        };
        let indices: Option<Vec<u32>> = self
            .has_indices()
            .then(|| sample.inputs[4].iter().map(|&index| index as u32).collect());
        let (product, x) = self.product(&sample.signature.inputs, y, indices.as_deref());
        let w = &sample.inputs[self.kernel()];
        let mut y = vec![0.0; product.m * product.n];
        product.plain(&x, w, &mut y);
        let mut errors = matmul::rounding(&product, &x, w);
        for (at, (y, error)) in y.iter_mut().zip(&mut errors).enumerate() {
            if last.bias {
                *y += sample.inputs[self.kernel() + 1][at % product.n];
                *error += 2.0 * UNIT * y.abs();
            }
        }
        (y, errors)
    }
}

/// What the accuracy of a row may be off by when its numbers are: 1 where the largest is not sure, or the threshold near.
fn undecided(kind: Accuracy, y: &[f64], errors: &[f64]) -> f64 {
    let most = errors.iter().copied().fold(0.0, f64::max);
    let near = |gap: f64| gap <= 2.0 * most && most > 0.0;
    let open = match kind {
        Accuracy::Binary { threshold } => y.iter().any(|y| near((y - f64::from(threshold)).abs())),
        Accuracy::Categorical | Accuracy::Sparse => {
            let mut sorted = y.to_vec();
            sorted.sort_by(|a, b| b.total_cmp(a));
            matches!(sorted[..], [first, second, ..] if near(first - second))
        }
    };
    f64::from(u8::from(open))
}

impl RowLoss {
    /// How far a row's loss moves when its numbers move by `errors`.
    fn carried(self, y: &[f64], t: &[f64], r: usize, errors: &[f64]) -> f64 {
        let sum: f64 = errors.iter().sum();
        match self {
            // |p − t| ≤ 1 for shares that sum to one.
            RowLoss::CrossEntropy => sum,
            // |sigmoid z − t| ≤ 1.
            RowLoss::Binary(_) => sum / y.len() as f64,
            RowLoss::Squared(scale) => {
                let t = &t[r * y.len()..(r + 1) * y.len()];
                let terms = y.iter().zip(t).zip(errors);
                let moved = terms.map(|((y, t), e)| e * (2.0 * (y - t).abs() + e));
                f64::from(scale) * moved.sum::<f64>()
            }
        }
    }

    /// How far a slope moves when its own number moves by `own`, and all of its row by `sum` together.
    fn slope_carried(self, columns: usize, own: f64, sum: f64) -> f64 {
        match self {
            // ∂p_i/∂z_j = p_i·(δ_ij − p_j), at most ¼.
            RowLoss::CrossEntropy => 0.25 * sum,
            RowLoss::Binary(_) => 0.25 * own / columns as f64,
            RowLoss::Squared(scale) => 2.0 * f64::from(scale) * own,
        }
    }
}

/// An op's result on these inputs, and its bound.
fn reference(
    op: &dyn Op,
    kinds: Vec<TensorType>,
    inputs: Vec<Vec<f64>>,
    output: TensorType,
) -> (Vec<f64>, Vec<f64>) {
    let mut result = vec![0.0; output.elements() as usize];
    let signature = Signature {
        inputs: kinds,
        outputs: vec![output],
    };
    let words: Vec<Vec<u32>> = inputs
        .iter()
        .map(|values| values.iter().map(|&value| value as u32).collect())
        .collect();
    let mut io = Io::empty(&signature);
    for (i, kind) in signature.inputs.iter().enumerate() {
        let view = match kind.dtype {
            DType::U32 => View::Words(&words[i][..]),
            _ => View::Floats(&inputs[i][..]),
        };
        io.set_input(i, Some(view));
    }
    io.set_written(0, Some(ViewMut::Floats(&mut result[..])));
    op.compute_f64(&mut io);
    let results = [result];
    let bound = op.bound(&Sample {
        inputs: &inputs,
        results: &results,
        signature: &signature,
    });
    let [result] = results;
    (result, bound.into_iter().next().unwrap_or_default())
}
