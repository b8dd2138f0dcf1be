//! The head of a model in one call: each row's loss and accuracy, summed into the step's place in a ring, and the gradient
//! of the batch's mean loss.
//!
//! Models are not written in it: the plan joins a loss, an accuracy, their records and the gradients behind them, all of
//! which read the same outputs and targets. The formulas are those of the ops that it stands for.

mod cases;

use crate::cpu::{Product, Real};
use crate::plan::Target;
use crate::{DType, TensorType};

use super::cross_entropy::{loss_of_logits, loss_of_powers, slopes_of_logits, slopes_of_powers};
use super::cursor::{ROWS, STEP, WORDS};
use super::gather::row_of;
use super::launch::shader;
use super::record::{Parts, place};
use super::rows::{RowTarget, Rows, Targets, dense, sparse};
use super::softmax::{Powers, largest, powers};
use super::{
    Accuracy, BinaryCrossEntropy, BinaryCrossEntropyBackward, Binding, Compute, CrossEntropy,
    CrossEntropyBackward, Entry, Form, Io, Launch, Launches, Op, Sample, Shader, Signature,
    SquaredError, SquaredErrorBackward, UNIT, View, ViewMut, expect_dtype, matmul,
};

const STORED: Shader = shader!(
    "head",
    "head_stored",
    "cross_entropy_rows",
    "binary_cross_entropy_terms",
    "rows"
);

const DENSE: Shader = shader!(
    "head",
    "head_dense",
    "cross_entropy_rows",
    "binary_cross_entropy_terms",
    "rows"
);

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "head",
    shaders: &[STORED, DENSE],
    cases: cases::cases,
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

/// The last layer, if a head computes its outputs too: y = x·W + b, of logits or numbers, a few columns wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastLayer {
    /// Whether there is a bias.
    pub bias: bool,
    /// Whether the rows of x are chosen by the indices, from a data set.
    pub gather: bool,
}

impl LastLayer {
    /// The widest layer, and its longest input, that a head computes: beyond it a product of its own is worth a dispatch.
    pub const MOST_COLUMNS: usize = 32;
    /// See [`Self::MOST_COLUMNS`].
    pub const MOST_INPUTS: usize = 2048;
}

/// Inputs: ring \[rows, columns, parts\], updated in place; cursor; y \[batch, columns\], or x \[batch, inputs\] of the last layer;
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
        let gathered = self.last.is_some_and(|last| last.gather);
        let x = match indices {
            Some(indices) if gathered => indices
                .iter()
                .flat_map(|&index| &x[row_of(index, rows) * width..][..width])
                .copied()
                .collect(),
            _ => x.to_vec(),
        };
        (product, x)
    }

    /// y, computed by the last layer.
    fn computed<T: Real>(&self, io: &Io<'_, T>) -> Option<Vec<T>> {
        let last = self.last?;
        let indices = self.has_indices().then(|| io.words(4));
        let (product, x) = self.product(&io.signature().inputs, io.input(2), indices);
        let mut y = vec![T::zero(); product.m * product.n];
        T::product(&product, &x, io.input(self.kernel()), &mut y, &|_, _| {});
        if last.bias {
            for row in y.chunks_exact_mut(product.n) {
                for (y, &bias) in row.iter_mut().zip(io.input(self.kernel() + 1)) {
                    *y += bias;
                }
            }
        }
        Some(y)
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
        let fits = matches!(ring.shape.dims(), &[rows, ring_columns, parts]
            if rows > 0 && parts == Parts::of(batch).count && self.loss_column < ring_columns
                && self.accuracy.is_none_or(|(_, column)| column < ring_columns));
        if !fits {
            return Err(format!("the ring {ring} does not fit a batch of {batch}"));
        }
        if let Some(last) = self.last {
            let (x, w) = (&inputs[2], &inputs[self.kernel()]);
            let fits = x.shape.rank() == 2
                && w.shape.dims() == [x.shape.rows_and_columns().1, columns]
                && columns <= LastLayer::MOST_COLUMNS
                && x.shape.rows_and_columns().1 <= LastLayer::MOST_INPUTS
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
            RowLoss::Squared(SquaredError { scale }) => (2, scale),
        };
        let (kind, threshold) = match self.accuracy {
            None => (0u32, 0.0),
            Some((Accuracy::Binary { threshold }, _)) => (1, threshold),
            Some(_) => (2, 0.0),
        };
        let last_row = |input: usize, gathered: bool| match gathered {
            true => types[input].shape.dims()[0] - 1,
            false => 0,
        };
        let shader = if self.last.is_some() { DENSE } else { STORED };
        let launch = Launch::new(shader, entry)
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
            .param("last", last_row(3, self.gather))
            .param("threshold", threshold)
            .param("scale", scale)
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
                let inputs = types[2].shape.rows_and_columns().1;
                // 32 rows of eight lanes: enough invocations for the product.
                let rows = rows.with_lanes(8);
                let (kernel, chunks) = (self.kernel(), parts.rows.div_ceil(32) as u64);
                let tile = 32 * columns as u64;
                let steps = inputs.div_ceil(4) as u64 * 6 + 2;
                let launch = rows.part(launch, parts.rows, 8);
                let iterations = launch.iterations + chunks * (tile.div_ceil(256) * steps + 1);
                launch
                    .set("GATHER_X", last.gather)
                    .set("BIAS", last.bias)
                    .set("X_VEC", inputs.is_multiple_of(4))
                    .set("TILE", tile as u32)
                    .param("inputs", inputs)
                    .param("last_x", last_row(2, last.gather))
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
        let types = &sample.signature.inputs;
        let ring = types[0].shape.dims();
        let kind = self.outputs(types);
        let (batch, columns) = kind.shape.rows_and_columns();
        let cursor = &sample.inputs[1];
        let (y, y_errors) = self.outputs_with_errors(sample);
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
            let mut kinds = vec![kind.clone(), target.clone()];
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
            let (values, mut errors) = part(op.as_ref(), None, per_row.clone());
            let is_loss = column == self.loss_column;
            for (r, error) in errors.iter_mut().enumerate() {
                let row = r * columns..(r + 1) * columns;
                let (y, e) = (&y[row.clone()], &y_errors[row]);
                *error += match self.accuracy {
                    Some((kind, _)) if !is_loss => undecided(kind, y, e),
                    _ => self.loss.carried(y, &t, r, e),
                };
            }
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
            let (dy, mut errors) =
                part(self.slopes().as_ref(), Some(dloss.collect()), kind.clone());
            // The share itself is a division; a logit's error moves its own slope and those of its row.
            let carried = y_errors.chunks(columns).flat_map(|row| {
                let sum: f64 = row.iter().sum();
                row.iter()
                    .map(move |own| self.loss.slope_carried(columns, *own, sum))
            });
            for ((error, dy), carried) in errors.iter_mut().zip(&dy).zip(carried) {
                *error = 1.01 * *error + 12.0 * UNIT * dy.abs() + 1.01 * share * carried;
            }
            bounds.push(errors);
        }
        bounds
    }
}

impl Head {
    /// y, and how far a device's may be off.
    fn outputs_with_errors(&self, sample: &Sample<'_>) -> (Vec<f64>, Vec<f64>) {
        let y = &sample.inputs[2];
        let Some(last) = self.last else {
            return (y.clone(), vec![0.0; y.len()]);
        };
        let indices: Vec<u32> = match self.has_indices() {
            true => sample.inputs[4].iter().map(|&index| index as u32).collect(),
            false => Vec::new(),
        };
        let (product, x) = self.product(&sample.signature.inputs, y, Some(&indices));
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
            RowLoss::Squared(SquaredError { scale }) => {
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
            RowLoss::Squared(SquaredError { scale }) => 2.0 * f64::from(scale) * own,
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

/// Most elements that are computed at once: of several rows, because a row may be shorter than a vector.
const ROOM: usize = 256;

/// A loss that is a sum over elements, each by itself.
#[derive(Clone, Copy)]
enum Terms {
    Binary(Form),
    Squared(f32),
}

/// The outputs and targets of a batch of numbers.
struct Batch<'a, T> {
    y: &'a [T],
    t: &'a [T],
    indices: Option<&'a [u32]>,
    columns: usize,
    counted: usize,
}

impl Head {
    /// The loss and the accuracy of the rows of a part, summed; their slopes are stored.
    #[inline(always)]
    fn part<T: Real>(
        &self,
        batch: &Batch<'_, T>,
        first: usize,
        rows: usize,
        terms: Terms,
        io: &mut Io<'_, T>,
    ) -> [T; 2] {
        let columns = batch.columns;
        let end = (first + rows).min(batch.y.len() / columns);
        let data_rows = batch.t.len() / columns;
        let share = T::one() / T::of(batch.counted.max(1) as f64);
        let (mut loss, mut right) = (T::zero(), T::zero());
        let mut targets = [T::zero(); ROOM];
        let mut values = [T::zero(); ROOM];
        for first in (first..end).step_by(ROOM / columns) {
            let rows = (end - first).min(ROOM / columns);
            let (targets, values) = (
                &mut targets[..rows * columns],
                &mut values[..rows * columns],
            );
            for (r, target) in targets.chunks_exact_mut(columns).enumerate() {
                let row = first + r;
                let row = batch
                    .indices
                    .map_or(row, |indices| row_of(indices[row], data_rows));
                target.copy_from_slice(&batch.t[row * columns..][..columns]);
            }
            let y = &batch.y[first * columns..][..rows * columns];
            let live = batch.counted.saturating_sub(first).min(rows);
            terms.losses(y, targets, values);
            loss += T::total(&values[..live * columns]);
            if let Some((kind, _)) = self.accuracy {
                let rows = y.chunks_exact(columns).zip(targets.chunks_exact(columns));
                for (y, t) in rows.take(live) {
                    right += kind.of_row(y, Some(RowTarget::Shares(t)));
                }
            }
            if self.gradient {
                let dy = &mut io.output(1)[first * columns..][..rows * columns];
                let (own, behind) = dy.split_at_mut(live * columns);
                terms.slopes(y, targets, share, columns, own);
                behind.fill(T::zero());
            }
        }
        [loss * terms.factor(columns), right]
    }
}

impl Terms {
    #[inline(always)]
    fn losses<T: Real>(self, y: &[T], t: &[T], losses: &mut [T]) {
        const LOGITS: BinaryCrossEntropy = BinaryCrossEntropy { form: Form::Logits };
        let terms = losses.iter_mut().zip(y.iter().zip(t));
        // The form told apart outside of the loops, so that they vectorise.
        match self {
            Terms::Binary(Form::Logits) => terms.for_each(
                #[inline(always)]
                |(loss, (&y, &t))| *loss = LOGITS.term(y, t),
            ),
            Terms::Binary(form) => {
                terms.for_each(|(loss, (&y, &t))| *loss = BinaryCrossEntropy { form }.term(y, t));
            }
            Terms::Squared(_) => terms.for_each(
                #[inline(always)]
                |(loss, (&y, &t))| *loss = (y - t) * (y - t),
            ),
        }
    }

    /// dy for the first rows, as many as `dy` has.
    #[inline(always)]
    fn slopes<T: Real>(self, y: &[T], t: &[T], share: T, columns: usize, dy: &mut [T]) {
        const LOGITS: BinaryCrossEntropy = BinaryCrossEntropy { form: Form::Logits };
        let count = T::of(columns as f64);
        let slopes = dy.iter_mut().zip(y.iter().zip(t));
        match self {
            Terms::Binary(Form::Logits) => slopes.for_each(
                #[inline(always)]
                |(dy, (&y, &t))| *dy = LOGITS.slope(y, t) * share / count,
            ),
            Terms::Binary(form) => slopes.for_each(|(dy, (&y, &t))| {
                *dy = BinaryCrossEntropy { form }.slope(y, t) * share / count;
            }),
            Terms::Squared(scale) => {
                let scale = T::of(2.0 * f64::from(scale));
                slopes.for_each(
                    #[inline(always)]
                    |(dy, (&y, &t))| *dy = scale * (y - t) * share,
                );
            }
        }
    }

    /// What the sum of a row's terms is multiplied by.
    fn factor<T: Real>(self, columns: usize) -> T {
        match self {
            Terms::Binary(_) => T::one() / T::of(columns as f64),
            Terms::Squared(scale) => T::of(f64::from(scale)),
        }
    }
}

impl Compute for Head {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (batch, columns) = match self.last {
            None => io.matrix(2),
            Some(_) => self
                .outputs(&io.signature().inputs)
                .shape
                .rows_and_columns(),
        };
        // Only plans for GPUs compute the last layer here, so that this allocates in tests only.
        let computed = self.computed(io);
        let (given, targets) = (io.input(2), Targets::of(io, 3));
        let y = computed.as_deref().unwrap_or(given);
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
        if let (Targets::Dense(t), Some(terms)) = (targets, self.loss.terms())
            && columns <= ROOM
        {
            let batch = Batch {
                y: &y[..batch * columns],
                t,
                indices,
                columns,
                counted,
            };
            let accuracy_at = accuracy.map(|(_, at)| at);
            for part in 0..parts.count {
                let [loss, right] = self.part(&batch, part * parts.rows, parts.rows, terms, io);
                io.output(0)[loss_at + part] = loss;
                if let Some(at) = accuracy_at {
                    io.output(0)[at + part] = right;
                }
            }
            return;
        }
        // Loss and slopes take the same powers: in one loop over all rows, which may be shorter than a vector.
        let stored = self.gradient && matches!(self.loss, RowLoss::CrossEntropy);
        if stored {
            powers(&y[..batch * columns], columns, io.output(1));
        }
        for part in 0..parts.count {
            let (mut loss, mut right) = (T::zero(), T::zero());
            for r in part * parts.rows..((part + 1) * parts.rows).min(batch) {
                let row = indices.map_or(r, |indices| row_of(indices[r], data_rows));
                let (y, target) = (&y[r * columns..][..columns], targets.row(row, columns));
                if r < counted {
                    loss += match target {
                        Some(target) if stored => {
                            let dy = &io.output(1)[r * columns..][..columns];
                            let powers = Powers {
                                largest: largest(y),
                                sum: T::total(dy),
                            };
                            loss_of_powers(y, target, powers)
                        }
                        target => self.loss.of_row(y, target),
                    };
                    if let Some((kind, _)) = accuracy {
                        right += kind.of_row(y, target);
                    }
                }
                if self.gradient {
                    let dloss = if r < counted { share } else { T::zero() };
                    let dy = &mut io.output(1)[r * columns..][..columns];
                    match target {
                        Some(target) if stored => slopes_of_powers(target, dloss, dy),
                        target => self.loss.slopes_of_row(y, target, dloss, dy),
                    }
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
    /// What a loss adds up, if every element stands by itself.
    fn terms(self) -> Option<Terms> {
        match self {
            RowLoss::CrossEntropy => None,
            RowLoss::Binary(loss) => Some(Terms::Binary(loss.form)),
            RowLoss::Squared(loss) => Some(Terms::Squared(loss.scale)),
        }
    }

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
