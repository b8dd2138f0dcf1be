//! The head of a model in one call: each row's loss and accuracy, summed into the step's place in a ring, and the gradient
//! of the batch's mean loss.
//!
//! Models are not written in it: the plan joins a loss, an accuracy, their records and their gradients, all of
//! which read the same outputs and targets. The formulas are those of the ops that it stands for.

mod bound;
mod cases;
mod compute;

use crate::contract::{
    Binding, Entry, Launch, Launches, Op, RowLoss, Sample, Shader, Signature, expect_dtype, shader,
};
use crate::number::{Product, Real};
use crate::op::shape::rows::{Rows, dense, sparse};
use crate::target::Target;
use crate::{DType, TensorType};

use super::cursor::{SCALE, WORDS};
use super::gather::gathered;
use super::record::Parts;
use super::{Accuracy, Form};

/// A head's kernel: how it comes by the outputs, and what all heads share.
macro_rules! head {
    ($($part:literal),+) => {
        shader!(
            "head",
            $($part,)+
            "cross_entropy_rows",
            "binary_cross_entropy_terms",
            "rows",
            "pair"
        )
    };
}

const STORED: Shader = head!("head_stored");

const DENSE: Shader = head!("head_dense", "head_single");

/// The head that computes the last layer from an input stored as f16.
const DENSE_HALF: Shader = head!("head_dense", "head_half", "halves");

pub const ENTRY: Entry = Entry::new("head", &[STORED, DENSE, DENSE_HALF], cases::cases);

/// The last layer, if a head computes its outputs too: y = x·W + b, of logits or numbers, a few columns wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastLayer {
    /// Whether there is a bias.
    pub bias: bool,
    /// Whether the rows of x are chosen by the indices, from a data set.
    pub gather: bool,
}

impl LastLayer {
    /// Columns of the widest layer that a head computes: beyond, a product of its own is worth a dispatch.
    pub const MAX_COLUMNS: usize = 32;
    /// Inputs of the longest row that a head multiplies.
    pub const MAX_INPUTS: usize = 2048;
}

/// Inputs: ring \[rows, columns, numbers\], updated in place; cursor; y \[batch, columns\], or x \[batch, inputs\] of the last layer, which may be f16;
/// the target, shaped as y, or labels u32 \[batch\]; where something is gathered indices u32 \[batch\], by which rows are
/// chosen from a data set; W \[inputs, columns\] and bias \[columns\] of the last layer. Output: dy, if `gradient`.
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
    /// The last layer, if its outputs are computed here.
    pub last: Option<LastLayer>,
    /// Whether dy, the gradient of the mean loss over the batch's own rows, is wanted.
    pub gradient: bool,
    /// Whether dy is times the loss scale in the cursor's word [`SCALE`].
    pub scaled: bool,
}

impl Head {
    /// The loss scale.
    fn scale(&self, cursor: impl FnOnce(usize) -> u32) -> f32 {
        if self.scaled {
            f32::from_bits(cursor(SCALE))
        } else {
            1.0
        }
    }

    /// Whether there are indices, the fifth input.
    fn has_indices(&self) -> bool {
        self.gather || self.last.is_some_and(|last| last.gather)
    }

    /// The input with the last layer's W; its bias is the next.
    fn kernel(&self) -> usize {
        4 + usize::from(self.has_indices())
    }

    /// The number of inputs.
    fn inputs(&self) -> usize {
        let last = self.last.map_or(0, |last| 1 + usize::from(last.bias));
        self.kernel() + last
    }

    /// The type of y, given or computed.
    fn outputs(&self, inputs: &[TensorType]) -> TensorType {
        let Some(last) = self.last else {
            return inputs[2].clone();
        };
        let rows = if last.gather { &inputs[4] } else { &inputs[2] };
        let batch = rows.shape.dims().first().copied().unwrap_or(0);
        TensorType::f32([batch, inputs[self.kernel()].shape.rows_and_columns().1])
    }

    /// The target's type once its rows are chosen.
    fn target(&self, inputs: &[TensorType]) -> TensorType {
        let (y, t) = (self.outputs(inputs), &inputs[3]);
        match (self.gather, t.dtype) {
            (true, DType::U32) => TensorType::u32(&y.shape.dims()[..1]),
            (true, DType::F32) => y,
            _ => t.clone(),
        }
    }

    /// The last layer's product, and its input's rows.
    fn product<T: Real>(
        &self,
        inputs: &[TensorType],
        x: &[T],
        indices: Option<&[u32]>,
    ) -> (Product, Vec<T>) {
        let (batch, columns) = self.outputs(inputs).shape.rows_and_columns();
        let (rows, width) = inputs[2].shape.rows_and_columns();
        let product = Product {
            m: batch,
            n: columns,
            k: width,
            transpose_a: false,
            transpose_b: false,
        };
        let gathers = self.last.is_some_and(|last| last.gather);
        let x = match indices {
            Some(indices) if gathers => gathered(x, [rows, width], indices.iter().copied()),
            _ => x.to_vec(),
        };
        (product, x)
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
        let wanted = self.inputs();
        if inputs.len() != wanted {
            return Err(format!("takes {wanted} inputs, got {}", inputs.len()));
        }
        let y = self.outputs(inputs);
        let (ring, cursor, y, t) = (&inputs[0], &inputs[1], &y, &inputs[3]);
        expect_dtype("ring", ring, DType::F32)?;
        if *cursor != TensorType::u32([WORDS]) {
            return Err(format!("the cursor must be [{WORDS}] u32, got {cursor}"));
        }
        let &[batch, columns] = y.shape.dims() else {
            return Err(format!("y must be [batch, columns], got {y}"));
        };
        let fits = matches!(ring.shape.dims(), &[rows, ring_columns, numbers]
            if rows > 0 && numbers == Parts::of(batch).numbers() && self.loss_column < ring_columns
                && self.accuracy.is_none_or(|(_, column)| column < ring_columns));
        if !fits {
            return Err(format!("the ring {ring} does not fit a batch of {batch}"));
        }
        if let Some(last) = self.last {
            let (x, w) = (&inputs[2], &inputs[self.kernel()]);
            let fits = x.shape.rank() == 2
                && (x.dtype == DType::F32 || x.dtype == DType::F16 && !last.gather)
                && w.shape.dims() == [x.shape.rows_and_columns().1, columns]
                && columns <= LastLayer::MAX_COLUMNS
                && x.shape.rows_and_columns().1 <= LastLayer::MAX_INPUTS
                && (!last.bias || inputs[self.kernel() + 1].shape.dims() == [columns])
                && (!last.gather || inputs[4] == TensorType::u32([batch]));
            if !fits {
                return Err(format!("the last layer takes {x} and {w} to {y}"));
            }
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
            DType::F32 | DType::F16 | DType::U8 => dense(y, &target)?,
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

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        let ring = signature.inputs[0].shape.dims();
        match input {
            // A step's row of the ring.
            0 => (ring[1] * ring[2]) as u64,
            2 if self.last.is_some_and(|last| last.gather) => {
                let width = signature.inputs[2].shape.rows_and_columns().1;
                signature.inputs[4].elements() * width as u64
            }
            3 => self.target(&signature.inputs).elements(),
            _ => signature.inputs[input].elements(),
        }
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let types = &signature.inputs;
        let (ring, t) = (types[0].shape.dims(), &types[3]);
        let (batch, columns) = self.outputs(types).shape.rows_and_columns();
        let parts = Parts::of(batch);
        let entry = if self.gradient {
            "forward_backward"
        } else {
            "forward"
        };
        let rows = Rows::of(32, columns as u64, 7, target).within(32);
        let (loss, scale) = match self.loss {
            RowLoss::CrossEntropy => (0u32, 0.0),
            RowLoss::Binary(_) => (1, 0.0),
            RowLoss::Squared(scale) => (2, scale),
        };
        let (kind, threshold) = match self.accuracy {
            None => (0u32, 0.0),
            Some((Accuracy::Binary { threshold }, _)) => (1, threshold),
            Some(_) => (2, 0.0),
        };
        let (inputs, gather_x) = self.last.map_or((0, false), |last| {
            (types[2].shape.rows_and_columns().1, last.gather)
        });
        let last_row = |input: usize, gathers: bool| {
            if gathers {
                types[input].shape.dims()[0] - 1
            } else {
                0
            }
        };
        let shader = match (self.last, types[2].dtype) {
            (None, _) => STORED,
            (_, DType::F16) => DENSE_HALF,
            _ => DENSE,
        };
        let launch = Launch::new(shader, entry)
            .set("LOSS", loss)
            .set("LOGITS", self.loss != RowLoss::Binary(Form::Probabilities))
            .set("ACCURACY", kind)
            .set("SPARSE", t.dtype == DType::U32)
            .set("GATHER", self.gather)
            .set("SCALED", self.scaled)
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
            .param("last", last_row(3, self.gather))
            .param("threshold", threshold)
            .param("scale", scale)
            .param("inputs", inputs)
            .param("last_x", last_row(2, gather_x))
            .bind(Binding::Input(1))
            .bind(Binding::Input(3))
            // Never read where there is nothing to gather.
            .bind(Binding::Input(if self.has_indices() { 4 } else { 1 }))
            .bind(Binding::Input(2))
            .grid([parts.count as u32, 1, 1])
            .flops((batch * columns) as u64 * 12);
        let launch = match self.last {
            None => rows.part(launch, parts.rows, 8),
            Some(last) => {
                // 32 rows of eight lanes: enough invocations for the product.
                let rows = rows.with_lanes(8);
                let (kernel, chunks) = (self.kernel(), parts.rows.div_ceil(32) as u64);
                let tile = 32 * columns as u64;
                let steps = inputs.div_ceil(4) as u64 * 6 + 2;
                let launch = rows.part(launch, parts.rows, 8);
                let iterations = launch.iterations + chunks * (tile.div_ceil(256) * steps + 1);
                launch
                    .set("GATHER_X", gather_x)
                    .set("BIAS", last.bias)
                    .set("X_VEC", inputs.is_multiple_of(4))
                    .set("TILE", tile as u32)
                    .bind(Binding::Input(kernel))
                    .bind(Binding::Input(kernel + usize::from(last.bias)))
                    .iterations(iterations)
                    .flops((batch * columns) as u64 * (12 + 2 * inputs as u64))
            }
        };
        let launch = launch.bind(Binding::Input(0));
        let launch = if self.gradient {
            launch.bind(Binding::Output(0))
        } else {
            launch
        };
        Ok(launch.into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        bound::bound(self, sample)
    }
}
