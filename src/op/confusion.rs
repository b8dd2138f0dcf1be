//! The confusion matrix of an epoch: tally\[slot, wanted, said\] += w for each row.
//!
//! Among equal numbers the first counts as the largest. A NaN, or a class that is none, makes cell \[0, 0\] NaN.

use crate::TensorType;
use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, shader,
};
use crate::number::Real;
use crate::op::shape::rows::RowTarget;
use crate::target::Target;

use super::accuracy::largest;
use super::tally::{Feed, begins_epoch, cursor, home, iterations};

const SHADER: Shader = shader!("confusion", "tally");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "confusion",
    shaders: &[SHADER],
    cases,
};

/// What a row of predictions says. Targets that are numbers say theirs in the same way, with ½ for a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Says {
    /// The class of the largest number.
    Largest,
    /// The decision on a single number: class 1 where it exceeds this, else class 0.
    Above(f32),
    /// A single number that is the class.
    Class,
}

/// Counts what was said against what was wanted. Inputs: those of [`Feed`]; the tally is \[slots, classes²\], updated in
/// place, a row of it for each wanted class. No output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confusion {
    /// Targets and weights.
    pub feed: Feed,
    /// How classes are read off numbers.
    pub says: Says,
    /// The number of classes.
    pub classes: usize,
    /// Rows of this class do not count.
    pub ignored: Option<u32>,
}

impl Confusion {
    #[inline(always)]
    fn class<T: Real>(&self, row: &[T], threshold: f32) -> Option<usize> {
        match self.says {
            Says::Largest => largest(row),
            Says::Above(_) if row[0].is_nan() => None,
            Says::Above(_) => Some(usize::from(row[0] > T::constant(f64::from(threshold)))),
            Says::Class => {
                let class = row[0].to_usize()?;
                let whole = T::constant(class as f64) == row[0] && !row[0].is_sign_negative();
                (whole && class < self.classes).then_some(class)
            }
        }
    }
}

impl Op for Confusion {
    fn name(&self) -> &'static str {
        "confusion"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        self.feed.check(inputs, 0, |columns| match self.says {
            Says::Largest if columns != self.classes => Err(format!(
                "y has {columns} columns for {} classes",
                self.classes
            )),
            Says::Above(_) if self.classes != 2 => Err(format!(
                "one number tells 2 classes apart, not {}",
                self.classes
            )),
            Says::Above(_) | Says::Class if columns != 1 => {
                Err(format!("y must have one column, got {columns}"))
            }
            _ if self.classes == 0 => Err("there must be a class".into()),
            _ => Ok(self.classes * self.classes),
        })?;
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
        let (says, threshold) = match self.says {
            Says::Largest => (0u32, 0.0),
            Says::Above(threshold) => (1, threshold),
            Says::Class => (2, 0.0),
        };
        Ok(self
            .feed
            .launch(SHADER, "count", signature, 1)
            .set("SAYS", says)
            .param("classes", self.classes)
            .param("ignored", self.ignored.unwrap_or(u32::MAX))
            .param("threshold", threshold)
            .bind(Binding::Input(0))
            .iterations(iterations(
                batch,
                2 * columns as u64,
                self.classes * self.classes,
            ))
            .into())
    }

    /// Weights are not negative, so a cell's terms do not cancel.
    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        self.feed.bound(sample)
    }
}

impl Compute for Confusion {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let cursor = io.words(1);
        let own = home(cursor, io.dims(0));
        let labels = io.is_words(3).then(|| io.words(3));
        let indices = self.feed.gather.then(|| io.words(4));
        let rows = self.feed.counted(io).rows();
        let tally = &mut io.output(0)[own];
        if begins_epoch(cursor) {
            tally.fill(T::zero());
        }
        let threshold = if let Says::Above(threshold) = self.says {
            threshold
        } else {
            0.0
        };
        for (r, (y, target, weight)) in rows.enumerate() {
            let wanted = match (labels, target) {
                (Some(labels), _) => {
                    let row =
                        indices.map_or(r, |indices| (indices[r] as usize).min(labels.len() - 1));
                    Some(labels[row] as usize)
                }
                (None, Some(RowTarget::Shares(t))) => self.class(t, 0.5),
                (None, _) => None,
            };
            if wanted.is_some() && wanted == self.ignored.map(|class| class as usize) {
                continue;
            }
            match (wanted, self.class(y, threshold)) {
                (Some(wanted), Some(said)) if wanted < self.classes && !weight.is_nan() => {
                    tally[wanted * self.classes + said] += weight;
                }
                _ => tally[0] += T::nan(),
            }
        }
    }
}

fn cases() -> Vec<Case> {
    // Batch, rows that count, classes, epoch and slots.
    let settings = [
        (1, 1, 1, 0, 1),
        (1, 0, 2, 1, 2),
        (2, 2, 3, 5, 2),
        (3, 2, 2, 5, 3),
        (17, 17, 10, 8, 3),
        (32, 32, 2, 3, 64),
        (33, 33, 17, 7, 4),
        (64, 63, 5, 1, 2),
        (65, 65, 33, 4_294_967_295, 2),
        (255, 254, 3, 2, 2),
        (257, 257, 100, 2, 2),
        (1000, 1000, 10, 9, 2),
    ];
    let mut cases = Vec::new();
    for (number, (batch, counted, classes, epoch, slots)) in settings.into_iter().enumerate() {
        for turn in 0..4 {
            let feed = Feed {
                gather: turn % 2 == 1,
                weighted: turn > 1,
                each: if turn == 2 && batch % 3 == 0 { 3 } else { 1 },
            };
            let (says, columns) = match (number + turn) % 3 {
                1 => (Says::Class, 1),
                2 if classes == 2 => (Says::Above(0.3), 1),
                _ => (Says::Largest, classes),
            };
            let op = Confusion {
                feed,
                says,
                classes,
                ignored: (turn == 3).then_some(classes as u32 - 1),
            };
            let rows = if feed.gather { batch + 3 } else { batch };
            let y = match says {
                Says::Class => {
                    let class = |r: usize| (r * 7 % classes) as f32;
                    Fill::Values((0..batch).map(class).collect())
                }
                Says::Largest if turn == 0 => Fill::Binary,
                _ => Fill::Uniform(0.0, 1.0),
            };
            let case = Case::new(op)
                .constant(&[slots, classes * classes], Fill::Uniform(0.0, 5.0))
                .words(
                    &[8],
                    Fill::Words(cursor(counted / feed.each, turn % 3 == 0, epoch)),
                );
            let case = match counted == batch && turn == 0 {
                true => case.input(&[batch, columns], y).without_gradient(),
                false => case.constant(&[batch, columns], y),
            };
            let case = match number % 2 == 0 || says == Says::Class {
                true => case.words(
                    &[rows],
                    Fill::Below(classes as u32 + u32::from(number == 4)),
                ),
                false if says == Says::Largest => case.constant(&[rows, columns], Fill::OneHot),
                false => case.constant(&[rows, columns], Fill::Binary),
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
    // Numbers that are no class: between two, below 0, beyond the last.
    for number in [0.5, -1.0, 3.0, 1e20] {
        let op = Confusion {
            feed: Feed::default(),
            says: Says::Class,
            classes: 3,
            ignored: None,
        };
        let case = Case::new(op)
            .constant(&[2, 9], Fill::Uniform(0.0, 5.0))
            .words(&[8], Fill::Words(cursor(2, true, 1)));
        let case = case.constant(&[2, 1], Fill::Values(vec![2.0, number]));
        cases.push(case.words(&[2], Fill::Words(vec![1, 2])));
    }
    cases
}
