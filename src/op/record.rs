//! A metric kept on the device: ring[(step − 1) mod rows, column, part] = Σᵢ values`[i]` over the rows of each part of the
//! batch.
//!
//! Parts, because workgroups cannot wait for each other: each sums its own rows, and the host adds the few sums in f64. A sum
//! is two numbers, what f32 holds of it and the rest, so that sums of either sign may cancel.

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature,
    arity, expect_dtype, shader,
};
use crate::number::Real;
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

use super::cursor::{ROWS, STEP, WORDS};

const SHADER: Shader = shader!("record", "pair");

pub const ENTRY: Entry = Entry::new("record", &[SHADER], cases);

/// Sums the values of this step's rows into the step's place in a ring. Inputs: ring, \[rows, columns, numbers\], updated in
/// place; cursor, the clock's; values, \[batch\], of which the first cursor\[ROWS\] count. No output. The batch lies in
/// `Parts::of` it, each of which has two numbers.
///
/// The sum is kept, not the mean: the host adds sums over steps and divides by all their rows, so that a short last
/// batch weighs as much as it has rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    /// The ring's column, one for each metric.
    pub column: usize,
}

/// How a batch is cut into parts that are summed each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// How many.
    pub count: usize,
    /// Rows of each but the last, which may be shorter.
    pub rows: usize,
}

impl Parts {
    /// Numbers of a column in a step's row of the ring: two for each part.
    pub fn numbers(self) -> usize {
        2 * self.count
    }

    /// The parts of a batch: of 32 rows, or more where there would be more than 64 of them.
    pub fn of(batch: usize) -> Self {
        let rows = batch.div_ceil(64).max(1).next_multiple_of(32);
        Parts {
            count: batch.div_ceil(rows),
            rows,
        }
    }
}

impl Op for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [ring, cursor, values] = arity::<3>(inputs)?;
        expect_dtype("ring", ring, DType::F32)?;
        expect_dtype("values", values, DType::F32)?;
        let (&[rows, columns, numbers], &[batch]) = (ring.shape.dims(), values.shape.dims()) else {
            return Err(format!(
                "the ring must be [rows, columns, numbers] and the values [batch], got {ring} and {values}"
            ));
        };
        if numbers != Parts::of(batch).numbers() {
            return Err(format!(
                "a batch of {batch} has {} numbers, but the ring is {ring}",
                Parts::of(batch).numbers()
            ));
        }
        if *cursor != TensorType::u32([WORDS]) {
            return Err(format!("cursor must be [{WORDS}] u32, got {cursor}"));
        }
        if rows == 0 || self.column >= columns {
            return Err(format!("column {} of a ring of {ring}", self.column));
        }
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0]
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        match input {
            // A step's sums of one column.
            0 => signature.inputs[0].shape.dims()[2] as u64,
            _ => signature.inputs[input].elements(),
        }
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        const WORKGROUP: u32 = 32;
        let ring = signature.inputs[0].shape.dims();
        let batch = signature.inputs[2].elements() as usize;
        let parts = Parts::of(batch);
        Ok(Launch::new(SHADER, "record")
            .set("WORKGROUP", WORKGROUP)
            .param("ring_rows", ring[0])
            .param("columns", ring[1])
            .param("column", self.column)
            .param("parts", parts.count)
            .param("part_rows", parts.rows)
            .param("batch", batch)
            .bind(Binding::Input(1))
            .bind(Binding::Input(2))
            .bind(Binding::Input(0))
            .grid([parts.count as u32, 1, 1])
            .iterations((parts.rows as u64).div_ceil(u64::from(WORKGROUP)) + u64::from(WORKGROUP))
            .flops(batch as u64)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // What f32 holds of a sum may be the next number, and the rest of it accordingly. All other elements stay as they are.
        let ring = sample.signature.inputs[0].shape.dims();
        let cursor = &sample.inputs[1];
        let (counted, values) = (cursor[ROWS] as usize, &sample.inputs[2]);
        let at = place(cursor[STEP] as u32, ring, self.column);
        let mut bound = vec![0.0; ring.iter().product()];
        let pairs = bound[at].chunks_exact_mut(2);
        for (pair, terms) in pairs.zip(parts(values, counted)) {
            let sum: f64 = terms.iter().map(|x| x.abs()).sum();
            pair.fill(2.0 * Sample::gamma(1) * sum + 1e-37);
        }
        vec![bound]
    }
}

/// Where the sums of a step lie in a ring `[rows, columns, numbers]`.
pub(super) fn place(step: u32, ring: &[usize], column: usize) -> std::ops::Range<usize> {
    let (rows, columns, numbers) = (ring[0], ring[1], ring[2]);
    let start = (step.wrapping_sub(1) as usize % rows * columns + column) * numbers;
    start..start + numbers
}

/// A sum as what the type holds of it, and the rest.
#[inline(always)]
pub(super) fn pair_of<T: Real>(sum: f64) -> [T; 2] {
    let high = T::constant(sum);
    let rest = sum - high.double();
    let low = if rest.is_finite() {
        T::constant(rest)
    } else {
        T::zero()
    };
    [high, low]
}

/// Stores a sum as a pair.
#[inline(always)]
pub(super) fn store<T: Real>(pair: &mut [T], sum: f64) {
    pair.copy_from_slice(&pair_of(sum));
}

/// The values of each part that count.
fn parts<T>(values: &[T], counted: usize) -> impl Iterator<Item = &[T]> {
    let parts = Parts::of(values.len());
    let counted = counted.min(values.len());
    let starts = (0..parts.count).map(move |part| part * parts.rows);
    starts.map(move |start| &values[start.min(counted)..(start + parts.rows).min(counted)])
}

/// Σ values in f64, in eight chains that run side by side.
#[inline(always)]
pub(super) fn total<T: Real>(values: &[T]) -> f64 {
    let mut sums = [0.0; 8];
    let chunks = values.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks.chain(std::iter::once(rest)) {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value.double();
        }
    }
    sums.iter().sum()
}

impl Compute for Record {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (cursor, values) = (io.words(1), io.input(2));
        let at = place(cursor[STEP], io.dims(0), self.column);
        let pairs = io.output(0)[at].chunks_exact_mut(2);
        for (pair, values) in pairs.zip(parts(values, cursor[ROWS] as usize)) {
            store(pair, total(values));
        }
    }
}

fn cases() -> Vec<Case> {
    // Batch, rows counted, step, rows and columns of the ring.
    let settings = [
        (1, 1, 1, 1, 1),
        (1, 0, 1, 1, 1),
        (2, 1, 2, 1, 1),
        (3, 3, 1, 5, 2),
        (17, 17, 5, 5, 2),
        (17, 3, 6, 5, 2),
        (32, 32, 1000, 33, 3),
        (32, 0, 33, 33, 3),
        (33, 33, 34, 33, 3),
        (64, 63, 255, 256, 4),
        (65, 65, 256, 256, 4),
        (255, 255, 257, 256, 4),
        (256, 256, 4_294_967_295, 257, 1),
        (257, 257, 12, 17, 5),
        (1000, 999, 17, 17, 5),
        (60_000, 60_000, 3, 100, 2),
        (65_536, 65_536, 99, 100, 2),
        (70_000, 69_999, 100, 100, 2),
    ];
    let mut cases = Vec::new();
    for (batch, counted, step, rows, columns) in settings {
        let mut cursor = vec![0; WORDS];
        (cursor[STEP], cursor[ROWS]) = (step, counted);
        for column in [0, columns - 1] {
            cases.push(
                Case::new(Record { column })
                    .constant(
                        &[rows, columns, Parts::of(batch).numbers()],
                        Fill::Uniform(-1.0, 1.0),
                    )
                    .words(&[WORDS], Fill::Words(cursor.clone()))
                    .constant(&[batch], Fill::Uniform(-2.0, 3.0)),
            );
        }
    }
    cases
}

impl Tensor {
    /// Sums the first rows of these values, as many as the clock's `cursor` counts, into the step's row of `ring`,
    /// \[rows, columns, numbers\], where the batch lies in `Parts::of` it.
    #[track_caller]
    pub(crate) fn record(&self, ring: &Tensor, cursor: &Tensor, column: usize) -> Tensor {
        self.graph()
            .apply_one(Record { column }, &[ring, cursor, self])
    }
}
