//! The head of a model in one call: each row's loss and accuracy, summed into the step's place in a ring, and the gradient
//! of the batch's mean loss.
//!
//! Models are not written in it: the plan joins a loss, an accuracy, their records and the gradients behind them, all of
//! which read the same outputs and targets. The formulas are those of the ops that it stands for.

use crate::cpu::Real;
use crate::plan::Target;
use crate::{DType, TensorType};

use super::cross_entropy::{loss_of_logits, slopes_of_logits};
use super::cursor::{ROWS, STEP, WORDS};
use super::gather::row_of;
use super::launch::shader;
use super::record::{Parts, place};
use super::rows::{RowTarget, Rows, Targets, dense, sparse};
use super::{
    Accuracy, BinaryCrossEntropy, BinaryCrossEntropyBackward, Binding, Case, Compute, CrossEntropy,
    CrossEntropyBackward, Entry, Fill, Form, Io, Launches, Op, Sample, Shader, Signature,
    SquaredError, SquaredErrorBackward, UNIT, View, ViewMut, expect_dtype,
};

const SHADER: Shader = shader!(
    "head",
    "cross_entropy_rows",
    "binary_cross_entropy_terms",
    "rows"
);

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "head",
    shaders: &[SHADER],
    cases,
};

/// A loss of each row that a head can compute.
#[derive(Debug, Clone, Copy)]
pub enum RowLoss {
    /// Of logits.
    CrossEntropy,
    /// Of logits or probabilities.
    Binary(BinaryCrossEntropy),
    /// Of numbers.
    Squared(SquaredError),
}

/// Inputs: ring \[rows, columns, parts\], updated in place; cursor; y \[batch, columns\]; the target, shaped as y, or labels
/// u32 \[batch\]; and where `gather` says so indices u32 \[batch\], by which the target's rows are chosen from a data set.
/// Output: dy, if `gradient`.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// The loss, recorded in the ring's column `loss_column`.
    pub loss: RowLoss,
    /// Where the loss goes.
    pub loss_column: usize,
    /// An accuracy, and the ring's column where it goes.
    pub accuracy: Option<(Accuracy, usize)>,
    /// Whether the target's rows are chosen by indices.
    pub gather: bool,
    /// Whether dy, the gradient of the mean loss over the batch's own rows, is wanted.
    pub gradient: bool,
}

impl Head {
    /// The op for the loss of each row.
    fn rows(&self) -> Box<dyn Op> {
        match self.loss {
            RowLoss::CrossEntropy => Box::new(CrossEntropy { form: Form::Logits }),
            RowLoss::Binary(loss) => Box::new(loss),
            RowLoss::Squared(loss) => Box::new(loss),
        }
    }

    /// The op for its gradient.
    fn slopes(&self) -> Box<dyn Op> {
        match self.loss {
            RowLoss::CrossEntropy => {
                Box::new(CrossEntropyBackward(CrossEntropy { form: Form::Logits }))
            }
            RowLoss::Binary(loss) => Box::new(BinaryCrossEntropyBackward(loss)),
            RowLoss::Squared(loss) => Box::new(SquaredErrorBackward(loss)),
        }
    }

    /// The target's type once its rows are chosen.
    fn target(&self, inputs: &[TensorType]) -> TensorType {
        let (y, t) = (&inputs[2], &inputs[3]);
        match (self.gather, t.dtype) {
            (true, DType::U32) => TensorType::u32(&y.shape.dims()[..1]),
            (true, DType::F32) => y.clone(),
            _ => t.clone(),
        }
    }
}

impl Op for Head {
    fn name(&self) -> &'static str {
        if self.gradient {
            "head"
        } else {
            "head.forward"
        }
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let wanted = 4 + usize::from(self.gather);
        if inputs.len() != wanted {
            return Err(format!("takes {wanted} inputs, got {}", inputs.len()));
        }
        let (ring, cursor, y, t) = (&inputs[0], &inputs[1], &inputs[2], &inputs[3]);
        expect_dtype("ring", ring, DType::F32)?;
        if *cursor != TensorType::u32([WORDS]) {
            return Err(format!("the cursor must be [{WORDS}] u32, got {cursor}"));
        }
        let &[batch, columns] = y.shape.dims() else {
            return Err(format!("y must be [batch, columns], got {y}"));
        };
        let fits = matches!(ring.shape.dims(), &[rows, ring_columns, parts]
            if rows > 0 && parts == Parts::of(batch).count && self.loss_column < ring_columns
                && self.accuracy.is_none_or(|(_, column)| column < ring_columns));
        if !fits {
            return Err(format!("the ring {ring} does not fit a batch of {batch}"));
        }
        if self.gather {
            let row = if t.dtype == DType::U32 {
                &[][..]
            } else {
                &[columns]
            };
            let data = t.shape.dims().split_first();
            let numbered = data.is_some_and(|(&n, rest)| n > 0 && rest == row);
            if !numbered || inputs[4] != TensorType::u32([batch]) {
                return Err(format!("targets {t} for rows {} of y {y}", inputs[4]));
            }
        }
        let target = self.target(inputs);
        match target.dtype {
            DType::F32 => dense(y, &target)?,
            DType::U32 => sparse(y, &target)?,
        };
        let sparse = target.dtype == DType::U32;
        if sparse != matches!(self.accuracy, Some((Accuracy::Sparse, _))) && self.accuracy.is_some()
            || sparse && !matches!(self.loss, RowLoss::CrossEntropy)
        {
            return Err(format!("{:?} does not take {target}", self.loss));
        }
        Ok(if self.gradient {
            vec![y.clone()]
        } else {
            Vec::new()
        })
    }

    fn writes(&self) -> &[usize] {
        &[0]
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let types = &signature.inputs;
        let (ring, t) = (types[0].shape.dims(), &types[3]);
        let (batch, columns) = types[2].shape.rows_and_columns();
        let parts = Parts::of(batch);
        let entry = if self.gradient {
            "forward_backward"
        } else {
            "forward"
        };
        // A part's rows at once: 32, or as many as a workgroup has lanes for.
        let rows = Rows::of(32, columns as u64, 7, target).within(32);
        let (loss, scale) = match self.loss {
            RowLoss::CrossEntropy => (0u32, 0.0),
            RowLoss::Binary(_) => (1, 0.0),
            RowLoss::Squared(SquaredError { scale }) => (2, scale),
        };
        let (kind, threshold) = match self.accuracy {
            None => (0u32, 0.0),
            Some((Accuracy::Binary { threshold }, _)) => (1, threshold),
            Some(_) => (2, 0.0),
        };
        let last = match self.gather {
            true => t.shape.dims()[0] - 1,
            false => 0,
        };
        let launch = rows
            .part(SHADER, entry, parts.rows, 8)
            .set("LOSS", loss)
            .set(
                "LOGITS",
                !matches!(self.loss, RowLoss::Binary(loss) if !loss.logits()),
            )
            .set("ACCURACY", kind)
            .set("SPARSE", t.dtype == DType::U32)
            .set("GATHER", self.gather)
            .param("batch", batch)
            .param("columns", columns)
            .param("part_rows", parts.rows)
            .param("parts", parts.count)
            .param("ring_rows", ring[0])
            .param("ring_columns", ring[1])
            .param("loss_column", self.loss_column)
            .param(
                "metric_column",
                self.accuracy.map_or(0, |(_, column)| column),
            )
            .param("last", last)
            .param("threshold", threshold)
            .param("scale", scale)
            .bind(Binding::Input(1))
            .bind(Binding::Input(2))
            .bind(Binding::Input(3))
            // Never read where there is nothing to gather.
            .bind(Binding::Input(if self.gather { 4 } else { 1 }))
            .bind(Binding::Input(0))
            .grid([parts.count as u32, 1, 1])
            .flops((batch * columns) as u64 * 12);
        let launch = if self.gradient {
            launch.bind(Binding::Output(0))
        } else {
            launch
        };
        Ok(launch.into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let types = &sample.signature.inputs;
        let ring = types[0].shape.dims();
        let (batch, columns) = types[2].shape.rows_and_columns();
        let (cursor, y) = (&sample.inputs[1], &sample.inputs[2]);
        let target = self.target(types);
        let t = match self.gather {
            true => {
                let width = target.elements() as usize / batch;
                let rows = types[3].shape.dims()[0];
                let row = |&index: &f64| {
                    let start = row_of(index as u32, rows) * width;
                    sample.inputs[3][start..start + width].to_vec()
                };
                sample.inputs[4].iter().flat_map(row).collect()
            }
            false => sample.inputs[3].clone(),
        };
        let counted = (cursor[ROWS] as usize).min(batch);
        let per_row = TensorType::f32([batch]);
        let part = |op: &dyn Op, more: Option<Vec<f64>>, output: TensorType| {
            let mut kinds = vec![types[2].clone(), target.clone()];
            let mut inputs = vec![y.clone(), t.clone()];
            if let Some(more) = more {
                kinds.push(per_row.clone());
                inputs.push(more);
            }
            reference(op, kinds, inputs, output)
        };
        let mut bounds = vec![vec![0.0; ring.iter().product()]];
        let mut columns_of_ring = vec![(self.rows(), self.loss_column)];
        if let Some((accuracy, column)) = self.accuracy {
            columns_of_ring.push((Box::new(accuracy), column));
        }
        for (op, column) in columns_of_ring {
            let (values, errors) = part(op.as_ref(), None, per_row.clone());
            let at = place(cursor[STEP] as u32, ring, column);
            let rows = Parts::of(batch).rows;
            for (p, bound) in bounds[0][at].iter_mut().enumerate() {
                let own = (p * rows).min(counted)..((p + 1) * rows).min(counted);
                let sum: f64 = values[own.clone()].iter().map(|value| value.abs()).sum();
                *bound = errors[own].iter().sum::<f64>() + Sample::gamma(rows) * sum + 1e-37;
            }
        }
        if self.gradient {
            let share = 1.0 / counted.max(1) as f64;
            let dloss = (0..batch).map(|r| if r < counted { share } else { 0.0 });
            let (dy, mut errors) = part(
                self.slopes().as_ref(),
                Some(dloss.collect()),
                types[2].clone(),
            );
            // The share itself is a division.
            for (error, dy) in errors.iter_mut().zip(&dy) {
                *error = 1.01 * *error + 12.0 * UNIT * dy.abs();
            }
            debug_assert_eq!(dy.len(), batch * columns);
            bounds.push(errors);
        }
        bounds
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
    let view = |i: usize| {
        let kind = signature.inputs.get(i)?;
        Some(match kind.dtype {
            DType::F32 => View::Floats(&inputs[i][..]),
            DType::U32 => View::Words(&words[i][..]),
        })
    };
    let mut written = [const { None }; super::MAX_OPERANDS];
    written[0] = Some(ViewMut::Floats(&mut result[..]));
    op.compute_f64(&mut Io::new(&signature, std::array::from_fn(view), written));
    let results = [result];
    let bound = op.bound(&Sample {
        inputs: &inputs,
        results: &results,
        signature: &signature,
    });
    let [result] = results;
    (result, bound.into_iter().next().unwrap_or_default())
}

impl Compute for Head {
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (batch, columns) = io.matrix(2);
        let (y, targets) = (io.input(2), Targets::of(io, 3));
        let cursor = io.words(1);
        let counted = (cursor[ROWS] as usize).min(batch);
        let indices = self.gather.then(|| io.words(4));
        let (ring, data_rows) = (io.dims(0), io.dims(3).first().copied().unwrap_or(1));
        let share = T::one() / T::of(counted.max(1) as f64);
        let loss_at = place(cursor[STEP], ring, self.loss_column).start;
        let accuracy = self
            .accuracy
            .map(|(kind, column)| (kind, place(cursor[STEP], ring, column).start));
        let parts = Parts::of(batch);
        for part in 0..parts.count {
            let (mut loss, mut right) = (T::zero(), T::zero());
            for r in part * parts.rows..((part + 1) * parts.rows).min(batch) {
                let row = indices.map_or(r, |indices| row_of(indices[r], data_rows));
                let (y, target) = (&y[r * columns..][..columns], targets.row(row, columns));
                if r < counted {
                    loss += self.loss.of_row(y, target);
                    if let Some((kind, _)) = accuracy {
                        right += kind.of_row(y, target);
                    }
                }
                if self.gradient {
                    let dloss = if r < counted { share } else { T::zero() };
                    let dy = &mut io.output(1)[r * columns..][..columns];
                    self.loss.slopes_of_row(y, target, dloss, dy);
                }
            }
            io.output(0)[loss_at + part] = loss;
            if let Some((_, at)) = accuracy {
                io.output(0)[at + part] = right;
            }
        }
    }
}

impl RowLoss {
    pub(super) fn of_row<T: Real>(self, y: &[T], target: Option<RowTarget<'_, T>>) -> T {
        match (self, target) {
            (RowLoss::CrossEntropy, Some(target)) => loss_of_logits(y, target),
            (RowLoss::Binary(loss), Some(RowTarget::Shares(t))) => {
                let sum: T = y.iter().zip(t).map(|(&y, &t)| loss.term(y, t)).sum();
                sum / T::of(y.len() as f64)
            }
            (RowLoss::Squared(SquaredError { scale }), Some(RowTarget::Shares(t))) => {
                let squares = y.iter().zip(t).map(|(&y, &t)| (y - t) * (y - t));
                T::of(f64::from(scale)) * squares.sum()
            }
            _ => T::nan(),
        }
    }

    pub(super) fn slopes_of_row<T: Real>(
        self,
        y: &[T],
        target: Option<RowTarget<'_, T>>,
        dloss: T,
        dy: &mut [T],
    ) {
        match (self, target) {
            (RowLoss::CrossEntropy, Some(target)) => slopes_of_logits(y, target, dloss, dy),
            (RowLoss::Binary(loss), Some(RowTarget::Shares(t))) => {
                let count = T::of(y.len() as f64);
                for ((dy, &y), &t) in dy.iter_mut().zip(y).zip(t) {
                    *dy = loss.slope(y, t) * dloss / count;
                }
            }
            (RowLoss::Squared(SquaredError { scale }), Some(RowTarget::Shares(t))) => {
                let scale = T::of(2.0 * f64::from(scale));
                for ((dy, &y), &t) in dy.iter_mut().zip(y).zip(t) {
                    *dy = scale * (y - t) * dloss;
                }
            }
            _ => dy.fill(T::nan()),
        }
    }
}

fn cases() -> Vec<Case> {
    // Batch, rows that count, columns, step.
    let shapes = [
        (1, 1, 1, 1),
        (2, 1, 3, 2),
        (3, 3, 2, 1),
        (17, 17, 10, 5),
        (32, 32, 10, 6),
        (33, 20, 1, 7),
        (64, 64, 33, 1000),
        (65, 65, 17, 255),
        (128, 100, 10, 4_294_967_295),
        (257, 257, 3, 12),
        (1000, 0, 10, 17),
        (2100, 2099, 2, 18),
        (3, 3, 1000, 19),
        (33, 33, 257, 20),
    ];
    let binary = |form| RowLoss::Binary(BinaryCrossEntropy { form });
    let mut cases = Vec::new();
    for (number, (batch, counted, columns, step)) in shapes.into_iter().enumerate() {
        let kinds = [
            (RowLoss::CrossEntropy, true),
            (RowLoss::CrossEntropy, false),
            (binary(Form::Logits), false),
            (binary(Form::Probabilities), false),
            (RowLoss::Squared(SquaredError { scale: 0.5 }), false),
        ];
        for (turn, (loss, labels)) in kinds.into_iter().enumerate() {
            let gather = (number + turn) % 2 == 0;
            let accuracy = match (labels, loss) {
                _ if (number + turn) % 4 == 3 => None,
                (true, _) => Some((Accuracy::Sparse, 1)),
                (_, RowLoss::CrossEntropy) => Some((Accuracy::Categorical, 0)),
                _ => Some((Accuracy::Binary { threshold: 0.3 }, 2)),
            };
            let op = Head {
                loss,
                loss_column: if accuracy.is_some_and(|(_, column)| column == 0) {
                    1
                } else {
                    0
                },
                accuracy,
                gather,
                gradient: (number + turn) % 3 != 0,
            };
            let mut cursor = vec![0; WORDS];
            (cursor[STEP], cursor[ROWS]) = (step, counted);
            let y = match loss {
                RowLoss::Binary(loss) if !loss.logits() => Fill::Uniform(0.01, 0.99),
                _ => Fill::Uniform(-4.0, 4.0),
            };
            let ring = [5, 3, Parts::of(batch).count];
            let rows = if gather { batch + 3 } else { batch };
            let case = Case::new(op)
                .constant(&ring, Fill::Uniform(-1.0, 1.0))
                .words(&[WORDS], Fill::Words(cursor))
                .constant(&[batch, columns], y);
            let case = match loss {
                _ if labels => case.words(&[rows], Fill::Below(columns as u32)),
                RowLoss::CrossEntropy => case.constant(&[rows, columns], Fill::OneHot),
                RowLoss::Binary(_) => case.constant(&[rows, columns], Fill::Binary),
                RowLoss::Squared(_) => case.constant(&[rows, columns], Fill::Uniform(-2.0, 2.0)),
            };
            cases.push(if gather {
                case.words(&[batch], Fill::Below(rows as u32 + 2))
            } else {
                case
            });
        }
    }
    cases
}
