//! Moments of an epoch's targets and errors, for each column: what R², explained variance and correlations over all rows
//! come from.
//!
//! With d = t − K and e = y − t, where K is a number near the targets, which keeps the sums of squares from cancelling where
//! these lie far from zero (Chan, Golub and LeVeque, 1983). It begins as the first target of the epoch and is moved after a
//! batch where it is far from the mean so far. Terms and sums are pairs of f32 on devices, f64 on the processor.

use crate::contract::{Case, Entry, Fill, Launch, Shader, Signature, shader};
use crate::number::Real;
use crate::{DType, TensorType};

use super::tally::{Cells, CountedRows, RowCount, TallyCase, workgroup};

const SHADER: Shader = shader!("moments", "tally", "pair");

pub const ENTRY: Entry = Entry::new("moments", &[SHADER], cases);

/// Numbers of a column: Σ w, K, Σ w·d, Σ w·d², Σ w·e, Σ w·e², Σ w·d·e, rows.
pub(crate) const MOMENTS: usize = 8;

/// Times that K is moved after a batch, at most: `STEPS` in moments.wgsl.
const STEPS: usize = 8;

/// Sums moments of targets that are numbers; the tally is \[2·slots, columns·[`MOMENTS`]\].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moments;

const WEIGHT: usize = 0;
const SHIFT: usize = 1;
const D: usize = 2;
const DD: usize = 3;
const E: usize = 4;
const DE: usize = 6;

/// What a row adds to the moments of a column, but for K.
fn terms(w: f64, d: f64, e: f64) -> [f64; MOMENTS] {
    [w, 0.0, w * d, w * d * d, w * e, w * e * e, w * d * e, 1.0]
}

/// The exponent of a number as f32 has it in its bits.
fn exponent(x: f64) -> i32 {
    ((x as f32).to_bits() >> 23 & 255) as i32
}

/// How far K is to be moved towards the mean: by a power of two, as devices can exactly, where its distance is not small beside
/// the spread.
fn step(sums: &[f64; MOMENTS]) -> Option<f64> {
    let [d, dd, w] = [D, DD, WEIGHT].map(|i| exponent(sums[i]));
    let by = d - w + 126;
    let known = d > 0 && w > 0 && dd > 0 && dd < 255 && (1..255).contains(&by);
    let far = known && 2 * d >= dd + w - 3;
    let by = f64::from(f32::from_bits((by as u32 & 255) << 23));
    far.then(|| by.copysign(sums[D]))
}

/// Moves K towards the mean of the targets so far, so that an outlier that came first does not spoil what follows.
fn recenter(sums: &mut [f64; MOMENTS]) {
    for _ in 0..STEPS {
        let Some(by) = step(sums) else { break };
        sums[DD] += (sums[WEIGHT] * by - 2.0 * sums[D]) * by;
        sums[D] -= sums[WEIGHT] * by;
        sums[DE] -= sums[E] * by;
        sums[SHIFT] += by;
    }
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
            .iterations((batch as u64).div_ceil(workgroup) * MOMENTS as u64 + 64)
            .flops((batch * columns) as u64 * 200);
        (launch, columns)
    }

    #[inline(always)]
    fn add<T: Real>(
        &self,
        cells: &mut Cells<'_, T>,
        rows: CountedRows<'_, T>,
        _: &[T],
        begins: bool,
    ) {
        for c in 0..rows.columns() {
            let mut sums: [f64; MOMENTS] = std::array::from_fn(|i| cells.get(c * MOMENTS + i));
            for (r, row) in rows.each().enumerate() {
                let Some(target) = row.target else { continue };
                let (t, y) = (target.at(c).double(), row.y[c].double());
                if begins && r == 0 {
                    sums[SHIFT] = t;
                }
                let terms = terms(row.weight.double(), t - sums[SHIFT], y - t);
                sums.iter_mut()
                    .zip(terms)
                    .for_each(|(sum, term)| *sum += term);
            }
            recenter(&mut sums);
            for (i, sum) in sums.into_iter().enumerate() {
                cells.set(c * MOMENTS + i, sum);
            }
        }
    }

    /// What 2⁻⁴⁴ takes of the sizes of all terms, of what was there before, and of what moving K adds to that.
    fn errors(
        &self,
        rows: CountedRows<'_, f64>,
        before: Option<&[f64]>,
        after: &[f64],
    ) -> Vec<f64> {
        let mut sizes = before.map_or(vec![0.0; after.len()], <[f64]>::to_vec);
        sizes.iter_mut().for_each(|size| *size = size.abs());
        for (c, sizes) in sizes.chunks_exact_mut(MOMENTS).enumerate() {
            let targets = || rows.each().filter_map(|row| Some((row.target?.at(c), row)));
            let first = targets().next().map_or(0.0, |(t, _)| t);
            let shift = before.map_or(first, |before| before[c * MOMENTS + SHIFT]);
            let moved = after[c * MOMENTS + SHIFT];
            let way = (moved - shift).abs();
            sizes[DD] += 2.0 * way * sizes[D] + way * way * sizes[WEIGHT];
            sizes[D] += way * sizes[WEIGHT];
            sizes[DE] += way * sizes[E];
            for (t, row) in targets() {
                let (d, e) = ((t - moved).abs() + way, (row.y[c] - t).abs());
                let terms = terms(row.weight.abs(), d, e);
                sizes
                    .iter_mut()
                    .zip(terms)
                    .for_each(|(size, term)| *size += term);
            }
        }
        let share = (rows.rows + 32) as f64 / f64::from(1 << 22) / f64::from(1 << 22);
        sizes.into_iter().map(|size| share * size).collect()
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
            let trial = TallyCase::new((batch, counted), (epoch, slots), turn);
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
