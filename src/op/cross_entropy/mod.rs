//! Cross-entropy of each row: lossᵣ = −Σⱼ tᵣⱼ·ln pᵣⱼ, for a target of shares `[rows, classes]` or of class labels `[rows]`.
//!
//! For logits, p = softmax z: loss = Σ t·(ln Σ e^z − z), and dz = (softmax z·Σt − t)·dloss. For probabilities as Keras 3
//! has it for shares: q = p/Σp, kept between 1e-7 and 1 − 1e-7, loss = −Σ t·ln q, and with 0 for the derivative outside
//! dpᵢ = (Σⱼ tⱼ·[qⱼ inside] − tᵢ·[qᵢ inside]/qᵢ)/Σp·dloss. A label stands for a one in its row.

mod bound;
mod cases;
mod rows;
mod second;

use crate::contract::{
    Compute, Entry, Io, Launches, Op, RowLoss, Sample, Shader, Signature, Vjp, arity, shader,
};
use crate::number::Real;
use crate::number::parallel::{Table, pieces};
use crate::op::shape::rows::{Rows, TargetRows, dense, sparse};
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

use super::Form;
use super::softmax::{Powers, largest, powers};

use bound::{probabilities_error, probabilities_slope_errors, targets};
use second::{second_of_logits, second_of_probabilities};

pub(super) use bound::{logits_error, logits_slope_errors};
pub(super) use rows::{
    loss_of_logits, loss_of_powers, loss_of_probabilities, slopes_of_logits, slopes_of_powers,
    slopes_of_probabilities,
};

const SHADER: Shader = shader!("cross_entropy", "cross_entropy_rows", "rows");

pub const ENTRY: Entry = Entry::new("cross_entropy", &[SHADER], cases::cases);

/// loss = −Σ t·ln p over the last dimension. y: `[rows, classes]`; t: the same, or labels `[rows]` of u32; loss: `[rows]`.
///
/// A label that names no class gives NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CrossEntropy {
    /// Whether y are logits or probabilities.
    pub form: Form,
}

/// dy. Inputs: y, t, dloss; output dy, shaped as y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backward(pub CrossEntropy);

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, t] = arity::<2>(inputs)?;
        let rows = match t.dtype {
            DType::F32 | DType::F16 | DType::U8 => dense(y, t)?,
            DType::U32 => sparse(y, t)?,
        };
        Ok(vec![TensorType::f32(rows)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (y, t) = (&vjp.inputs[0], &vjp.inputs[1]);
        if vjp.wanted[1] {
            return Err("the target of cross_entropy has no gradient".into());
        }
        let dy = y.graph().apply_one(Backward(*self), &[y, t, vjp.dy()?]);
        Ok(vec![Some(dy), None])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let (entry, trees) = match self.form {
            Form::Logits => ("forward_logits", 4),
            Form::Probabilities => ("forward_probabilities", 2),
        };
        let rows = Rows::new(&signature.inputs[0].shape, 2, target);
        Ok(rows
            .launch(SHADER, entry, 2, trees)
            .set("SPARSE", is_sparse(signature))
            .bind_all(2, 1)
            .into())
    }

    fn row_loss(&self) -> Option<RowLoss> {
        (self.form == Form::Logits).then_some(RowLoss::CrossEntropy)
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let rows = targets(sample);
        vec![
            rows.map(|(y, t)| match self.form {
                Form::Logits => logits_error(y, &t),
                Form::Probabilities => probabilities_error(y, &t),
            } + 1e-37)
            .collect(),
        ]
    }
}

impl Compute for CrossEntropy {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (rows, columns) = io.matrix(0);
        let y = io.input(0);
        let targets = TargetRows::of(io, 1);
        let operands = (io.output(0), Table(y, columns));
        pieces::<T, _>(
            rows,
            16 * columns,
            operands,
            #[inline(always)]
            |first, (loss, Table(y, _))| {
                // Powers of as many rows at once as fit, because a row may be shorter than a vector.
                let mut room = [T::zero(); 256];
                let group = (room.len() / columns).max(1);
                let groups = loss.chunks_mut(group).zip(y.chunks(group * columns));
                for (g, (loss, y)) in groups.enumerate() {
                    let logits = self.form == Form::Logits;
                    let together = logits && y.len() <= room.len();
                    if together {
                        powers(y, columns, &mut room[..y.len()]);
                    }
                    let rows = loss.iter_mut().zip(y.chunks_exact(columns));
                    for (i, (loss, y)) in rows.enumerate() {
                        let powers = || match room.get(i * columns..(i + 1) * columns) {
                            Some(own) if together => Powers {
                                largest: largest(y),
                                sum: T::total(own),
                            },
                            _ => Powers::of(y),
                        };
                        *loss = match (targets.row(first + g * group + i, columns), self.form) {
                            (None, _) => T::nan(),
                            (Some(t), Form::Logits) => loss_of_powers(y, t, powers()),
                            (Some(t), Form::Probabilities) => loss_of_probabilities(y, t),
                        };
                    }
                }
            },
        );
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "cross_entropy.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, _, _] = arity::<3>(inputs)?;
        Ok(vec![y.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        if vjp.wanted[1] {
            return Err("the target of cross_entropy has no gradient".into());
        }
        let (y, t, dloss, g) = (&vjp.inputs[0], &vjp.inputs[1], &vjp.inputs[2], vjp.dy()?);
        let (rows, classes) = y.shape().rows_and_columns();
        let sum = |terms: &Tensor| terms.sum_over(1).reshape([rows, 1]);
        let [flat_y, g] = [y, g].map(|tensor| tensor.reshape([rows, classes]));
        let t = match t.dtype() {
            DType::U32 => t.reshape([rows]).one_hot(classes),
            _ => t.reshape([rows, classes]),
        };
        let dloss_wide = dloss.reshape([rows, 1]);
        let (slopes, by_y) = match self.0.form {
            Form::Logits => second_of_logits(&flat_y, &sum(&t), &t, &g),
            Form::Probabilities => second_of_probabilities(&flat_y, &t, &g, &sum),
        };
        let by_y = || by_y.mul(&dloss_wide).reshape(y.shape());
        let by_dloss = || g.mul(&slopes).sum_over(1).reshape(dloss.shape());
        Ok(vec![
            vjp.wanted[0].then(by_y),
            None,
            vjp.wanted[2].then(by_dloss),
        ])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let (entry, trees) = match self.0.form {
            Form::Logits => ("backward_logits", 3),
            Form::Probabilities => ("backward_probabilities", 2),
        };
        let rows = Rows::new(&signature.inputs[0].shape, 3, target);
        Ok(rows
            .launch(SHADER, entry, 3, trees)
            .set("SPARSE", is_sparse(signature))
            .bind_all(3, 1)
            .into())
    }

    fn row_loss_gradient(&self) -> Option<RowLoss> {
        self.0.row_loss()
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // The slope's error times dloss, and the rounding of that product.
        let mut bound = sample.relative(0, 1.0);
        let mut bounds = bound.iter_mut();
        for ((y, t), dloss) in targets(sample).zip(&sample.inputs[2]) {
            let errors = match self.0.form {
                Form::Logits => logits_slope_errors(y, &t),
                Form::Probabilities => probabilities_slope_errors(y, &t),
            };
            for (error, bound) in errors.into_iter().zip(&mut bounds) {
                *bound += (error + 1e-37) * dloss.abs();
            }
        }
        vec![bound]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (rows, columns) = io.matrix(0);
        let (y, dloss) = (io.input(0), io.input(2));
        let targets = TargetRows::of(io, 1);
        let operands = (Table(io.output(0), columns), Table(y, columns), dloss);
        pieces::<T, _>(
            rows,
            24 * columns,
            operands,
            #[inline(always)]
            |first, (Table(dy, _), Table(y, _), dloss)| {
                if self.0.form == Form::Logits {
                    powers(y, columns, dy);
                }
                let rows = dy.chunks_exact_mut(columns).zip(y.chunks_exact(columns));
                for (r, ((dy, y), &dloss)) in (first..).zip(rows.zip(dloss)) {
                    match (targets.row(r, columns), self.0.form) {
                        (None, _) => dy.fill(T::nan()),
                        (Some(t), Form::Logits) => slopes_of_powers(t, dloss, dy),
                        (Some(t), Form::Probabilities) => slopes_of_probabilities(y, t, dloss, dy),
                    }
                }
            },
        );
    }
}

fn is_sparse(signature: &Signature) -> bool {
    signature.inputs[1].dtype == DType::U32
}

/// # Losses
impl Tensor {
    /// The cross-entropy −Σ t·ln p over the last dimension, the classes, which is dropped: a loss for each row.
    ///
    /// The target is either shares of this tensor's shape, such as one-hot rows, or class labels (u32), one for each
    /// row. A label that names no class gives NaN.
    #[track_caller]
    pub fn cross_entropy(&self, target: &Tensor, form: Form) -> Tensor {
        self.graph()
            .apply_one(CrossEntropy { form }, &[self, target])
    }
}
