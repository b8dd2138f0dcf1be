//! Moments of an epoch's targets and errors, for each column: what R², explained variance and correlations over all rows
//! come from.
//!
//! With d = t − K and e = y − t, where K is the first target of the epoch, which keeps the sums of squares from cancelling
//! where targets lie far from zero (Chan, Golub and LeVeque, 1983).

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, shader,
};
use crate::number::Real;
use crate::target::Target;
use crate::{DType, TensorType};

use super::cursor::ROWS;
use super::tally::{Feed, begins_epoch, cursor, home, workgroup};

const SHADER: Shader = shader!("moments", "tally");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "moments",
    shaders: &[SHADER],
    cases,
};

/// Numbers of a column: Σ w, K, Σ w·d, Σ w·d², Σ w·e, Σ w·e², Σ w·d·e, rows.
pub const MOMENTS: usize = 8;

/// Sums moments. Inputs: those of [`Feed`], the target numbers; the tally is \[slots, columns·[`MOMENTS`]\], updated in place.
/// No output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments {
    /// Targets and weights.
    pub feed: Feed,
}

impl Op for Moments {
    fn name(&self) -> &'static str {
        "moments"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        self.feed
            .check(inputs, 0, |columns| Ok(columns * MOMENTS))?;
        if inputs[3].dtype == DType::U32 {
            return Err("targets must be numbers, got labels".into());
        }
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0]
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        self.feed.touched(signature, input)
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let (batch, columns) = signature.inputs[2].shape.rows_and_columns();
        let workgroup = u64::from(workgroup(batch));
        Ok(self
            .feed
            .launch(SHADER, "add", signature, columns)
            .bind(Binding::Input(0))
            .iterations((batch as u64).div_ceil(workgroup) + workgroup + MOMENTS as u64)
            .flops((batch * columns) as u64 * 14)
            .into())
    }

    /// γ of the rows, and of the few operations of a term, on the sum of the terms' sizes and what was there before. d and e
    /// are exact to a rounding of their own size, which doubles in their squares.
    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let words: Vec<u32> = sample.inputs[1].iter().map(|&word| word as u32).collect();
        let own = home(&words, sample.signature.inputs[0].shape.dims());
        let sizes = self.sizes(sample, &words, &sample.inputs[0][own.clone()]);
        let mut bound = vec![0.0; sample.results[0].len()];
        let gamma = Sample::gamma(self.feed.rows(words[ROWS] as usize) + 6);
        for (i, (bound, size)) in bound[own].iter_mut().zip(sizes).enumerate() {
            // K is a copy.
            *bound = if i % MOMENTS == 1 {
                0.0
            } else {
                gamma * size + 1e-37
            };
        }
        vec![bound]
    }
}

impl Moments {
    /// The sums of the sizes of all terms.
    fn sizes(self, sample: &Sample<'_>, words: &[u32], before: &[f64]) -> Vec<f64> {
        let columns = before.len() / MOMENTS;
        let begins = begins_epoch(words);
        let at = |r: usize| match self.feed.gather {
            true => {
                (sample.inputs[4][r] as usize).min(sample.signature.inputs[3].shape.dims()[0] - 1)
            }
            false => r,
        };
        let weights = sample.inputs.get(4 + usize::from(self.feed.gather));
        let mut sizes: Vec<f64> = before
            .iter()
            .map(|x| if begins { 0.0 } else { x.abs() })
            .collect();
        for (c, sizes) in sizes.chunks_exact_mut(MOMENTS).enumerate() {
            let origin = sample.results[0][home(words, sample.signature.inputs[0].shape.dims())]
                [c * MOMENTS + 1];
            for r in 0..self.feed.rows(words[ROWS] as usize) {
                let w = weights
                    .filter(|_| self.feed.weighted)
                    .map_or(1.0, |weights| weights[at(r)].abs());
                let t = sample.inputs[3][at(r) * columns + c];
                let (d, e) = (
                    (t - origin).abs(),
                    (sample.inputs[2][r * columns + c] - t).abs(),
                );
                let terms = [w, 0.0, w * d, w * d * d, w * e, w * e * e, w * d * e, 1.0];
                sizes
                    .iter_mut()
                    .zip(terms)
                    .for_each(|(size, term)| *size += term);
            }
        }
        sizes
    }
}

impl Compute for Moments {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let cursor = io.words(1);
        let own = home(cursor, io.dims(0));
        let rows = self.feed.counted(io).rows();
        let begins = begins_epoch(cursor);
        let tally = &mut io.output(0)[own];
        if begins {
            tally.fill(T::zero());
        }
        for (r, (y, target, w)) in rows.enumerate() {
            let Some(target) = target else { continue };
            for (c, (cells, &y)) in tally.chunks_exact_mut(MOMENTS).zip(y).enumerate() {
                let t = target.at(c);
                if begins && r == 0 {
                    cells[1] = t;
                }
                let (d, e) = (t - cells[1], y - t);
                let terms = [
                    w,
                    T::zero(),
                    w * d,
                    w * d * d,
                    w * e,
                    w * e * e,
                    w * d * e,
                    T::one(),
                ];
                cells
                    .iter_mut()
                    .zip(terms)
                    .for_each(|(cell, term)| *cell += term);
            }
        }
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
            let feed = Feed {
                gather: turn % 2 == 1,
                weighted: turn > 1,
                each: if turn == 2 && batch % 3 == 0 { 3 } else { 1 },
            };
            let rows = if feed.gather { batch + 3 } else { batch };
            let case = Case::new(Moments { feed })
                .constant(&[slots, columns * MOMENTS], Fill::Uniform(0.0, 5.0))
                .words(
                    &[8],
                    Fill::Words(cursor(counted / feed.each, turn % 3 == 0, epoch)),
                );
            let case = match counted == batch && turn == 0 {
                true => case
                    .input(&[batch, columns], Fill::Uniform(99.0, 101.0))
                    .input(&[rows, columns], Fill::Uniform(99.0, 101.0))
                    .without_gradient(),
                false => case
                    .constant(&[batch, columns], Fill::Uniform(-2.0, 2.0))
                    .constant(&[rows, columns], Fill::Uniform(-2.0, 2.0)),
            };
            let case = match feed.gather {
                true => case.words(&[batch], Fill::Below(rows as u32 + 2)),
                false => case,
            };
            cases.push(match feed.weighted {
                true => case.constant(&[rows], Fill::Uniform(0.0, 2.0)),
                false => case,
            });
        }
    }
    cases
}
