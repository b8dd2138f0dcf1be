//! Losses, their slopes and accuracies of the rows at hand, all rows side by side in vectors.
//!
//! The formulas are those of the ops, by their own functions where these take one number; what goes along a row here goes
//! from vector to vector.

use crate::number::Real;
use crate::op::record::total;
use crate::op::shape::rows::TargetRows;
use crate::op::{Accuracy, Form, RowLoss};

use super::{LANES, Lanes, Network, RingColumn};

/// The rows at hand.
pub(super) struct Chunk<'a, T> {
    /// The targets of the whole data set.
    pub(super) targets: TargetRows<'a, T>,
    /// The places of the rows in it.
    pub(super) rows: &'a [usize; LANES],
    /// How many of them count.
    pub(super) live: usize,
    /// What slopes are multiplied by: one over the batch's rows.
    pub(super) share: T,
}

impl Network {
    /// The sums of the ring's columns over the rows, and dL/d(what the loss reads) in the place of the last layer's
    /// slopes.
    #[inline(always)]
    pub(super) fn losses<T: Real>(
        &self,
        chunk: &Chunk<'_, T>,
        values: &[Lanes<T>],
        slopes: &mut [Lanes<T>],
        mut record: impl FnMut(usize, f64),
    ) {
        let outputs = self.outputs();
        let after = self.values() - 2 * outputs;
        let read = |before: bool| &values[after + if before { outputs } else { 0 }..][..outputs];
        // Nothing flows back through the numbers before the function by themselves: their place is free for the targets.
        let (slopes, targets) = slopes[after..].split_at_mut(outputs);
        let targets = &mut targets[..outputs];
        chunk.load(targets);
        let y = read(self.loss_before);
        let share = chunk.share;
        let mut loss = match self.loss {
            // The form told apart outside of the loops, so that they vectorise.
            RowLoss::Binary(Form::Logits) => binary(Form::Logits, y, targets, share, slopes),
            RowLoss::Binary(form) => binary(form, y, targets, share, slopes),
            RowLoss::Squared(scale) => squared(scale, y, targets, share, slopes),
            RowLoss::CrossEntropy => cross_entropy(y, targets, share, slopes),
        };
        // Other rows stand in after the last.
        if chunk.live < LANES {
            for slopes in slopes {
                slopes[chunk.live..].fill(T::zero());
            }
            loss[chunk.live..].fill(T::zero());
        }
        for (c, column) in self.columns.iter().enumerate() {
            match *column {
                RingColumn::Loss => record(c, total(&loss)),
                RingColumn::Accuracy { kind, before } => {
                    let right = accuracy(kind, read(before), targets);
                    record(c, total(&right[..chunk.live]));
                }
            }
        }
    }
}

impl<T: Real> Chunk<'_, T> {
    /// The targets of the rows; of labels a one among zeros, or NaN where a label names no column.
    #[inline(always)]
    fn load(&self, targets: &mut [Lanes<T>]) {
        let columns = targets.len();
        match self.targets {
            TargetRows::Dense(t) => {
                for (lane, &row) in self.rows.iter().enumerate() {
                    let t = &t[row * columns..][..columns];
                    for (targets, &t) in targets.iter_mut().zip(t) {
                        targets[lane] = t;
                    }
                }
            }
            TargetRows::Sparse(labels) => {
                for (lane, &row) in self.rows.iter().enumerate() {
                    let label = labels[row] as usize;
                    let others = if label < columns { T::zero() } else { T::nan() };
                    for (j, targets) in targets.iter_mut().enumerate() {
                        targets[lane] = if j == label { T::one() } else { others };
                    }
                }
            }
        }
    }
}

/// The mean over a row's columns of the binary cross-entropy.
#[inline(always)]
fn binary<T: Real>(
    form: Form,
    y: &[Lanes<T>],
    t: &[Lanes<T>],
    share: T,
    slopes: &mut [Lanes<T>],
) -> Lanes<T> {
    let count = T::constant(y.len() as f64);
    let mut sum = [T::zero(); LANES];
    for ((y, t), slopes) in y.iter().zip(t).zip(slopes) {
        for lane in 0..LANES {
            sum[lane] += form.term(y[lane], t[lane]);
            slopes[lane] = form.slope(y[lane], t[lane]) * share / count;
        }
    }
    sum.map(
        #[inline(always)]
        |sum| sum / count,
    )
}

/// The scaled sum over a row's columns of squared differences.
#[inline(always)]
fn squared<T: Real>(
    scale: f32,
    y: &[Lanes<T>],
    t: &[Lanes<T>],
    share: T,
    slopes: &mut [Lanes<T>],
) -> Lanes<T> {
    let (twice, scale) = (2.0 * f64::from(scale), T::given(scale));
    let twice = T::constant(twice);
    let mut sum = [T::zero(); LANES];
    for ((y, t), slopes) in y.iter().zip(t).zip(slopes) {
        for lane in 0..LANES {
            let error = y[lane] - t[lane];
            sum[lane] += error * error;
            slopes[lane] = twice * error * share;
        }
    }
    sum.map(
        #[inline(always)]
        |sum| scale * sum,
    )
}

/// The cross-entropy of softmax: with m the largest of a row and q = Σ e^(z − m), Σ t·ln q + Σ t·(m − z).
#[inline(always)]
fn cross_entropy<T: Real>(
    z: &[Lanes<T>],
    t: &[Lanes<T>],
    share: T,
    slopes: &mut [Lanes<T>],
) -> Lanes<T> {
    let mut largest = z[0];
    for z in &z[1..] {
        for (largest, &z) in largest.iter_mut().zip(z) {
            *largest = if z > *largest { z } else { *largest };
        }
    }
    let [mut sum, mut weights, mut distance] = [[T::zero(); LANES]; 3];
    for ((z, t), powers) in z.iter().zip(t).zip(&mut *slopes) {
        for lane in 0..LANES {
            powers[lane] = (z[lane] - largest[lane]).power_of_e();
            sum[lane] += powers[lane];
            weights[lane] += t[lane];
            // A class that is ruled out by a logit of −∞ and by its target costs nothing.
            let far = t[lane] * (largest[lane] - z[lane]);
            distance[lane] += if t[lane] == T::zero() { T::zero() } else { far };
        }
    }
    for (t, slopes) in t.iter().zip(slopes) {
        for lane in 0..LANES {
            slopes[lane] = (slopes[lane] / sum[lane] * weights[lane] - t[lane]) * share;
        }
    }
    std::array::from_fn(|lane| weights[lane] * sum[lane].ln() + distance[lane])
}

/// The share of right predictions of each row, as [`Accuracy`] has it.
#[inline(always)]
fn accuracy<T: Real>(kind: Accuracy, p: &[Lanes<T>], t: &[Lanes<T>]) -> Lanes<T> {
    match kind {
        Accuracy::Binary { threshold } => {
            let threshold = T::constant(f64::from(threshold));
            let count = T::constant(p.len() as f64);
            let mut hits = [T::zero(); LANES];
            for (p, t) in p.iter().zip(t) {
                for lane in 0..LANES {
                    let (p, t) = (p[lane], t[lane]);
                    let says = if p > threshold { T::one() } else { T::zero() };
                    let right = if says == t { T::one() } else { T::zero() };
                    // A NaN in either is one in the sum.
                    hits[lane] += if p.is_nan() || t.is_nan() {
                        T::nan()
                    } else {
                        right
                    };
                }
            }
            hits.map(
                #[inline(always)]
                |hits| hits / count,
            )
        }
        Accuracy::Categorical | Accuracy::Sparse => {
            let (said, wanted) = (largest(p), largest(t));
            std::array::from_fn(|lane| {
                // NaN where a row has one.
                let apart = said[lane] - wanted[lane];
                if apart.is_nan() {
                    apart
                } else if apart == T::zero() {
                    T::one()
                } else {
                    T::zero()
                }
            })
        }
    }
}

/// The number of the first of the largest of each row; NaN for a row with a NaN.
#[inline(always)]
fn largest<T: Real>(rows: &[Lanes<T>]) -> Lanes<T> {
    let mut largest = rows[0];
    let mut place = rows[0].map(
        #[inline(always)]
        |x| if x.is_nan() { x } else { T::zero() },
    );
    for (j, row) in rows.iter().enumerate().skip(1) {
        let j = T::constant(j as f64);
        for lane in 0..LANES {
            let x = row[lane];
            let better = x > largest[lane];
            largest[lane] = if better { x } else { largest[lane] };
            // A NaN once found stays: nothing is larger than a NaN that came first, and what came later is put here.
            let kept = if better && !place[lane].is_nan() {
                j
            } else {
                place[lane]
            };
            place[lane] = if x.is_nan() { x } else { kept };
        }
    }
    place
}
