//! Moments of an epoch's targets and errors, for each column: what R² and the explained variance come from.
//!
//! With d = t − K and f = (y − t) − L, where K is a number near the targets and L one near the errors, which keep the sums of
//! squares from cancelling where these lie far from zero (Chan, Golub and LeVeque, 1983). They begin at the heaviest row of a
//! batch that outweighs all rows before, which without weights is the first of the epoch, and are moved after a batch where they
//! are far from the means so far. Terms and sums are pairs of f32 on devices, f64 on the processor.

use crate::contract::{Case, Entry, Fill, Launch, Shader, Signature, shader};
use crate::number::Real;
use crate::{DType, TensorType};

use super::tally::{Cells, CountedRow, CountedRows, RowCount, TallyCase, workgroup};

const SHADER: Shader = shader!("moments", "tally", "pair");

pub const ENTRY: Entry = Entry::new("moments", &[SHADER], cases);

/// Numbers of a column: Σ w, K, Σ w·d, Σ w·d², Σ w·f, Σ w·f², L, rows.
pub(crate) const MOMENTS: usize = 8;

/// Times that K or L is moved after a batch, at most: `STEPS` in moments.wgsl.
const STEPS: usize = 8;

/// Columns that the processor sums side by side, so that it reads rows as they lie in memory.
const TILE: usize = 32;

/// Sums moments of targets that are numbers; the tally is \[2·slots, columns·[`MOMENTS`]\].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moments;

const WEIGHT: usize = 0;
const ROWS: usize = 7;

/// The cells of a column.
type ColumnSums = [f64; MOMENTS];

/// The places of sums of numbers and of their squares about an origin.
#[derive(Clone, Copy)]
struct About {
    origin: usize,
    sum: usize,
    squares: usize,
}

const TARGETS: About = About {
    origin: 1,
    sum: 2,
    squares: 3,
};

const ERRORS: About = About {
    origin: 6,
    sum: 4,
    squares: 5,
};

/// The exponent of a number as f32 has it in its bits.
fn exponent(x: f64) -> i32 {
    ((x as f32).to_bits() >> 23 & 255) as i32
}

impl About {
    /// Adds a number.
    #[inline(always)]
    fn add(self, sums: &mut ColumnSums, w: f64, x: f64) {
        let apart = x - sums[self.origin];
        sums[self.sum] += w * apart;
        sums[self.squares] += w * apart * apart;
    }

    /// Moves the origin.
    fn shift(self, sums: &mut ColumnSums, by: f64) {
        sums[self.squares] += (sums[WEIGHT] * by - 2.0 * sums[self.sum]) * by;
        sums[self.sum] -= sums[WEIGHT] * by;
        sums[self.origin] += by;
    }

    /// Moves the origin to this number, or 0 if it is none.
    fn begin(self, sums: &mut ColumnSums, at: f64) {
        let at = if (at as f32).is_finite() { at } else { 0.0 };
        self.shift(sums, at - sums[self.origin]);
        sums[self.origin] = at;
    }

    /// How far the origin is to be moved towards the mean: by a power of two, as devices can exactly, where its distance is not
    /// small beside the spread.
    fn step(self, sums: &ColumnSums) -> Option<f64> {
        let [d, dd, w] = [self.sum, self.squares, WEIGHT].map(|i| exponent(sums[i]));
        let by = d - w + 126;
        let known = d > 0 && w > 0 && dd > 0 && dd < 255 && (1..255).contains(&by);
        let far = known && 2 * d >= dd + w - 3;
        let by = f64::from(f32::from_bits((by as u32 & 255) << 23));
        far.then(|| by.copysign(sums[self.sum]))
    }

    /// Moves the origin towards the mean so far, so that an outlier that came first does not spoil what follows.
    fn center(self, sums: &mut ColumnSums) {
        for _ in 0..STEPS {
            let Some(by) = self.step(sums) else { break };
            self.shift(sums, by);
        }
    }

    /// What terms of sums about an origin come to in size where it is moved by `way`.
    fn carry(self, sizes: &mut ColumnSums, way: f64) {
        sizes[self.squares] += 2.0 * way * sizes[self.sum] + way * way * sizes[WEIGHT];
        sizes[self.sum] += way * sizes[WEIGHT];
    }
}

/// The heaviest row, the first among equals, and its weight; none where no row weighs anything.
#[inline(always)]
fn heaviest<'a, T: Real>(rows: CountedRows<'a, T>) -> Option<(f64, CountedRow<'a, T>)> {
    let mut most: Option<(f64, CountedRow<'a, T>)> = None;
    for row in rows.each() {
        let weight = row.weight.double();
        if weight > most.as_ref().map_or(0.0, |(most, _)| *most) {
            most = Some((weight, row));
        }
        if !rows.is_weighted() {
            break;
        }
    }
    most
}

/// The target and the error of a row in a column.
#[inline(always)]
fn numbers<T: Real>(row: &CountedRow<'_, T>, column: usize) -> Option<[f64; 2]> {
    let (t, y) = (row.target?.at(column).double(), row.y[column].double());
    Some([t, y - t])
}

/// Adds a row to the sums of columns from `first` on. A row that weighs nothing is left out however large it is, but for a NaN.
#[inline(always)]
fn add_row<T: Real>(tile: &mut [ColumnSums], row: &CountedRow<'_, T>, first: usize) {
    let weight = row.weight.double();
    for (c, sums) in tile.iter_mut().enumerate() {
        let Some([t, e]) = numbers(row, first + c) else {
            continue;
        };
        if weight == 0.0 && !t.is_nan() && !row.y[first + c].is_nan() {
            continue;
        }
        sums[WEIGHT] += weight;
        TARGETS.add(sums, weight, t);
        ERRORS.add(sums, weight, e);
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
            .iterations((batch as u64).div_ceil(workgroup) * MOMENTS as u64 + 96)
            .flops((batch * columns) as u64 * 200);
        (launch, columns)
    }

    #[inline(always)]
    fn add<T: Real>(&self, cells: &mut Cells<'_, T>, rows: CountedRows<'_, T>, _: &[T]) {
        let most = heaviest(rows);
        for first in (0..rows.columns()).step_by(TILE) {
            let mut tile = [[0.0; MOMENTS]; TILE];
            let tile = &mut tile[..TILE.min(rows.columns() - first)];
            for (c, sums) in (first..).zip(&mut *tile) {
                *sums = std::array::from_fn(|i| cells.get(c * MOMENTS + i));
                if let Some((weight, row)) = &most
                    && *weight > sums[WEIGHT]
                    && let Some([t, e]) = numbers(row, c)
                {
                    TARGETS.begin(sums, t);
                    ERRORS.begin(sums, e);
                }
            }
            for row in rows.each() {
                add_row(tile, &row, first);
            }
            for (c, sums) in (first..).zip(tile) {
                TARGETS.center(sums);
                ERRORS.center(sums);
                sums[ROWS] += rows.rows as f64;
                for (i, &sum) in sums.iter().enumerate() {
                    cells.set(c * MOMENTS + i, sum);
                }
            }
        }
    }

    /// What 2⁻⁴⁴ takes of the sizes of all terms, of what was there before, and of what moving K and L adds to that.
    fn errors(
        &self,
        rows: CountedRows<'_, f64>,
        before: Option<&[f64]>,
        after: &[f64],
    ) -> Vec<f64> {
        let most = heaviest(rows);
        let share = (rows.rows + 32) as f64 / f64::from(1 << 22) / f64::from(1 << 22);
        let mut errors = Vec::new();
        for (c, after) in after.chunks_exact(MOMENTS).enumerate() {
            let own = before.map(|before| &before[c * MOMENTS..]);
            let before: ColumnSums = std::array::from_fn(|i| own.map_or(0.0, |own| own[i]));
            let mut sizes = before.map(f64::abs);
            sizes[ROWS] += rows.rows as f64;
            for (about, which) in [(TARGETS, 0), (ERRORS, 1)] {
                let mut origin = before[about.origin];
                if let Some((weight, row)) = &most
                    && *weight > before[WEIGHT]
                    && let Some(numbers) = numbers(row, c)
                {
                    about.carry(&mut sizes, (numbers[which] - origin).abs());
                    origin = numbers[which];
                }
                let way = (after[about.origin] - origin).abs();
                about.carry(&mut sizes, way);
                for row in rows.each() {
                    let Some(numbers) = numbers(&row, c) else {
                        continue;
                    };
                    // Rounding takes of the numbers themselves too, which f32 pairs have to 2⁻⁴⁸.
                    let own = (numbers[0].abs() + numbers[1].abs() + origin.abs()) / 16.0;
                    let apart = (numbers[which] - origin).abs() + way + own;
                    sizes[about.sum] += row.weight * apart;
                    sizes[about.squares] += row.weight * apart * apart;
                }
            }
            sizes[WEIGHT] += rows.each().map(|row| row.weight).sum::<f64>();
            errors.extend(sizes.map(|size| share * size));
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
            let trial = TallyCase::new((batch, counted), (epoch, slots), turn);
            let shapes = [[batch, columns], [trial.rows(), columns]];
            let (near, far) = (Fill::Uniform(-2.0, 2.0), Fill::Uniform(99.0, 101.0));
            // Both about 100, the targets alone, neither.
            let fills = match (trial.is_whole(), batch % 2) {
                (true, _) => [far.clone(), far],
                (_, 1) => [near, far],
                _ => [near.clone(), near],
            };
            cases.push(trial.case(Moments, columns * MOMENTS, |case| {
                let operands = shapes.iter().zip(fills);
                if trial.is_whole() {
                    let case = operands.fold(case, |case, (shape, fill)| case.input(shape, fill));
                    return case.without_gradient();
                }
                operands.fold(case, |case, (shape, fill)| case.constant(shape, fill))
            }));
        }
    }
    cases
}
