//! A metric kept on the device: ring[(step − 1) mod rows, column] = Σᵢ values`[i]`.

use crate::cpu::Real;
use crate::plan::Target;
use crate::{DType, Tensor, TensorType};

use super::cursor::{ROWS, STEP, WORDS};
use super::launch::shader;
use super::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature,
    arity, expect_dtype,
};

const SHADER: Shader = shader!("record");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "record",
    shaders: &[SHADER],
    cases,
};

/// Sums the values of this step's rows into the step's place in a ring. Inputs: ring, \[rows, columns\], updated in
/// place; cursor, the clock's; values, \[batch\], of which the first cursor\[ROWS\] count. No output.
///
/// The sum is kept, not the mean: the host adds sums over steps and divides by all their rows, so that a short last
/// batch weighs as much as it has rows.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// The ring's column, one for each metric.
    pub column: usize,
}

impl Op for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [ring, cursor, values] = arity::<3>(inputs)?;
        expect_dtype("ring", ring, DType::F32)?;
        expect_dtype("values", values, DType::F32)?;
        let (&[rows, columns], &[_]) = (ring.shape.dims(), values.shape.dims()) else {
            return Err(format!(
                "the ring must be [rows, columns] and the values [batch], got {ring} and {values}"
            ));
        };
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

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let (rows, columns) = signature.inputs[0].shape.rows_and_columns();
        let batch = signature.inputs[2].elements();
        let fan: u32 = if batch <= 256 { 8 } else { 16 };
        let workgroup = fan * fan;
        Ok(Launch::new(SHADER, "record")
            .set("FAN", fan)
            .set("WORKGROUP", workgroup)
            .param("ring_rows", rows)
            .param("columns", columns)
            .param("column", self.column)
            .param("batch", batch as usize)
            .bind(Binding::Input(1))
            .bind(Binding::Input(2))
            .bind(Binding::Input(0))
            .iterations(batch.div_ceil(u64::from(workgroup)) + 2 * u64::from(fan))
            .flops(batch)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // γ of the whole length: a sum in parts has fewer roundings. All other elements stay as they are.
        let (rows, columns) = sample.signature.inputs[0].shape.rows_and_columns();
        let cursor = &sample.inputs[1];
        let counted = cursor[ROWS] as usize;
        let terms: f64 = sample.inputs[2].iter().take(counted).map(|x| x.abs()).sum();
        let mut bound = vec![0.0; rows * columns];
        bound[place(cursor[STEP] as u32, rows) * columns + self.column] =
            Sample::gamma(counted) * terms + 1e-37;
        vec![bound]
    }
}

/// The step's row in a ring.
fn place(step: u32, rows: usize) -> usize {
    step.wrapping_sub(1) as usize % rows
}

impl Compute for Record {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (rows, columns) = io.matrix(0);
        let (cursor, values) = (io.words(1), io.input(2));
        let counted = values.len().min(cursor[ROWS] as usize);
        let at = place(cursor[STEP], rows) * columns + self.column;
        io.output(0)[at] = T::total(&values[..counted]);
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
                    .constant(&[rows, columns], Fill::Uniform(-1.0, 1.0))
                    .words(&[WORDS], Fill::Words(cursor.clone()))
                    .constant(&[batch], Fill::Uniform(-2.0, 3.0)),
            );
        }
    }
    cases
}

impl Tensor {
    /// Sums the first rows of these values, as many as the clock's `cursor` counts, into the step's row of `ring`,
    /// \[rows, columns\], a variable. The handle is for [`Program::update`](crate::Program::update).
    #[track_caller]
    pub fn record(&self, ring: &Tensor, cursor: &Tensor, column: usize) -> Tensor {
        self.graph()
            .apply_one(Record { column }, &[ring, cursor, self])
    }
}
