//! Moments of an epoch's targets and errors, for each column: what R², explained variance and correlations over all rows
//! come from.
//!
//! With d = t − K and e = y − t, where K is the first target of the epoch, which keeps the sums of squares from cancelling
//! where targets lie far from zero (Chan, Golub and LeVeque, 1983).

use crate::contract::{Case, Entry, Fill, Launch, Sample, Shader, Signature, shader};
use crate::number::Real;
use crate::{DType, TensorType};

use super::tally::{CountedRows, RowCount, Trial, workgroup};

const SHADER: Shader = shader!("moments", "tally");

pub const ENTRY: Entry = Entry::new("moments", &[SHADER], cases);

/// Numbers of a column: Σ w, K, Σ w·d, Σ w·d², Σ w·e, Σ w·e², Σ w·d·e, rows.
pub(crate) const MOMENTS: usize = 8;

/// Sums moments of targets that are numbers; the tally is \[slots, columns·[`MOMENTS`]\].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moments;

/// What a row adds to the moments of a column, but for K.
#[inline(always)]
fn terms<T: Real>(w: T, d: T, e: T) -> [T; MOMENTS] {
    [
        w,
        T::zero(),
        w * d,
        w * d * d,
        w * e,
        w * e * e,
        w * d * e,
        T::one(),
    ]
}

impl RowCount for Moments {
    const NAME: &'static str = "moments";
    const KERNEL: (Shader, &'static str) = (SHADER, "add");

    fn cells(
        &self,
        columns: usize,
        t: &TensorType,
        _: Option<&TensorType>,
    ) -> Result<usize, String> {
        if t.dtype == DType::U32 {
            return Err("targets must be numbers, got labels".into());
        }
        Ok(columns * MOMENTS)
    }

    fn launch(&self, launch: Launch, signature: &Signature, _: usize) -> (Launch, usize) {
        let (batch, columns) = signature.inputs[2].shape.rows_and_columns();
        let workgroup = u64::from(workgroup(batch));
        let launch = launch
            .iterations((batch as u64).div_ceil(workgroup) + workgroup + MOMENTS as u64)
            .flops((batch * columns) as u64 * 14);
        (launch, columns)
    }

    #[inline(always)]
    fn add<T: Real>(&self, cells: &mut [T], rows: CountedRows<'_, T>, _: &[T], begins: bool) {
        for (r, row) in rows.each().enumerate() {
            let Some(target) = row.target else { continue };
            for (c, (cells, &y)) in cells.chunks_exact_mut(MOMENTS).zip(row.y).enumerate() {
                let t = target.at(c);
                if begins && r == 0 {
                    cells[1] = t;
                }
                let terms = terms(row.weight, t - cells[1], y - t);
                cells
                    .iter_mut()
                    .zip(terms)
                    .for_each(|(cell, term)| *cell += term);
            }
        }
    }

    /// γ of the rows, and of the few operations of a term, on the sum of the terms' sizes and what was there before. d and e
    /// are exact to a rounding of their own size, which doubles in their squares.
    fn errors(
        &self,
        rows: CountedRows<'_, f64>,
        before: Option<&[f64]>,
        after: &[f64],
    ) -> Vec<f64> {
        let gamma = Sample::gamma(rows.rows + 6);
        let mut errors = before.map_or(vec![0.0; after.len()], <[f64]>::to_vec);
        errors.iter_mut().for_each(|size| *size = size.abs());
        for row in rows.each() {
            let Some(target) = row.target else { continue };
            for (c, (sizes, &y)) in errors.chunks_exact_mut(MOMENTS).zip(row.y).enumerate() {
                let t = target.at(c);
                let (d, e) = (t - after[c * MOMENTS + 1], y - t);
                let terms = terms(row.weight.abs(), d.abs(), e.abs());
                sizes
                    .iter_mut()
                    .zip(terms)
                    .for_each(|(size, term)| *size += term);
            }
        }
        for (i, error) in errors.iter_mut().enumerate() {
            // K is a copy.
            *error = if i % MOMENTS == 1 {
                0.0
            } else {
                gamma * *error + 1e-37
            };
        }
        errors
    }
}

fn cases() -> Vec<Case> {
    // Batch, rows that count, columns, epoch and slots.
    let settings = [
        (1, 1, 1, 0, 1),
        (1, 1, 3, 1, 2),
        (2, 2, 3, 5, 2),
        (3, 2, 2, 5, 3),
        (17, 17, 1, 8, 3),
        (32, 5, 2, 3, 64),
        (33, 33, 17, 7, 4),
        (64, 64, 5, 1, 2),
        (65, 65, 1, 4_294_967_295, 2),
        (255, 254, 3, 2, 2),
        (257, 257, 2, 2, 2),
        (1000, 1000, 10, 9, 2),
    ];
    let mut cases = Vec::new();
    for (batch, counted, columns, epoch, slots) in settings {
        for turn in 0..4 {
            let trial = Trial::new((batch, counted), (epoch, slots), turn);
            let shapes = [[batch, columns], [trial.rows(), columns]];
            let far = Fill::Uniform(99.0, 101.0);
            cases.push(trial.case(Moments, columns * MOMENTS, |case| {
                let shapes = shapes.iter();
                if trial.is_whole() {
                    let case = shapes.fold(case, |case, shape| case.input(shape, far.clone()));
                    return case.without_gradient();
                }
                shapes.fold(case, |case, shape| {
                    case.constant(shape, Fill::Uniform(-2.0, 2.0))
                })
            }));
        }
    }
    cases
}
