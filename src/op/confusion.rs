//! The confusion matrix of an epoch: tally\[slot, wanted, said\] += w for each row.
//!
//! Among equal numbers the first counts as the largest. A NaN, or a class that is none, makes cell \[0, 0\] NaN.

use crate::TensorType;
use crate::contract::{Case, Entry, Fill, Launch, Shader, Signature, shader};
use crate::number::Real;
use crate::op::shape::rows::RowTarget;

use super::accuracy::largest;
use super::tally::{Cells, CountedRows, RowCount, TallyCase, iterations};

const SHADER: Shader = shader!("confusion", "tally", "pair");

pub const ENTRY: Entry = Entry::new("confusion", &[SHADER], cases);

/// What a row of predictions says. Targets that are numbers say theirs in the same way, with ½ for a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Says {
    /// The class of the largest number.
    Largest,
    /// The decision on a single number: class 1 where it exceeds this, else class 0.
    Above(f32),
    /// A single number that is the class.
    Class,
}

/// Counts what was said against what was wanted; the tally is \[2·slots, classes²\], a row of it for each wanted class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Confusion {
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
                let whole = T::constant(class as f64) == row[0];
                (whole && class < self.classes).then_some(class)
            }
        }
    }
}

impl RowCount for Confusion {
    const NAME: &'static str = "confusion";
    const KERNEL: (Shader, &'static str) = (SHADER, "count");

    fn cells(
        &self,
        columns: usize,
        _: &TensorType,
        _: Option<&TensorType>,
    ) -> Result<usize, String> {
        let classes = self.classes;
        match self.says {
            Says::Largest if columns != classes => {
                Err(format!("y has {columns} columns for {classes} classes"))
            }
            Says::Above(_) if classes != 2 => {
                Err(format!("one number tells 2 classes apart, not {classes}"))
            }
            Says::Above(_) | Says::Class if columns != 1 => {
                Err(format!("y must have one column, got {columns}"))
            }
            _ if classes == 0 => Err("there must be a class".into()),
            _ => Ok(classes.saturating_mul(classes)),
        }
    }

    fn launch(&self, launch: Launch, signature: &Signature, _: usize) -> (Launch, usize) {
        let (batch, columns) = signature.inputs[2].shape.rows_and_columns();
        let (says, threshold) = match self.says {
            Says::Largest => (0u32, 0.0),
            Says::Above(threshold) => (1, threshold),
            Says::Class => (2, 0.0),
        };
        let cells = self.classes.saturating_mul(self.classes);
        let launch = launch
            .set("SAYS", says)
            .param("classes", self.classes)
            .set("IGNORES", self.ignored.is_some())
            .param("ignored", self.ignored.unwrap_or(0))
            .param("threshold", threshold)
            .iterations(iterations(batch, 2 * columns as u64, cells));
        (launch, 1)
    }

    /// Weights are not negative, so a cell's terms do not cancel.
    #[inline(always)]
    fn add<T: Real>(&self, cells: &mut Cells<'_, T>, rows: CountedRows<'_, T>, _: &[T]) {
        let threshold = if let Says::Above(threshold) = self.says {
            threshold
        } else {
            0.0
        };
        for row in rows.each() {
            let wanted = match (row.label, row.target) {
                (Some(label), _) => Some(label as usize),
                (None, Some(RowTarget::Shares(t))) => self.class(t, 0.5),
                (None, _) => None,
            };
            if wanted.is_some() && wanted == self.ignored.map(|class| class as usize) {
                continue;
            }
            match (wanted, self.class(row.y, threshold)) {
                (Some(wanted), Some(said)) if wanted < self.classes && !row.weight.is_nan() => {
                    cells.add(wanted * self.classes + said, row.weight.double());
                }
                _ => cells.set(0, f64::NAN),
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
            let (says, columns) = match (number + turn) % 3 {
                1 => (Says::Class, 1),
                2 if classes == 2 => (Says::Above(0.3), 1),
                _ => (Says::Largest, classes),
            };
            let count = Confusion {
                says,
                classes,
                ignored: (turn == 3).then_some(classes as u32 - 1),
            };
            let y = match says {
                Says::Class => {
                    let class = |r: usize| (r * 7 % classes) as f32;
                    Fill::Values((0..batch).map(class).collect())
                }
                Says::Largest if turn == 0 => Fill::Binary,
                _ => Fill::Uniform(0.0, 1.0),
            };
            let trial = TallyCase::new((batch, counted), (epoch, slots), turn);
            let rows = trial.rows();
            cases.push(trial.case(count, classes * classes, |case| {
                let case = case.constant(&[batch, columns], y).nan_if(trial.is_whole());
                if number % 2 == 0 || says == Says::Class {
                    let labels = classes as u32 + u32::from(number == 4);
                    case.words(&[rows], Fill::Below(labels))
                } else if says == Says::Largest {
                    case.constant(&[rows, columns], Fill::OneHot)
                } else {
                    case.constant(&[rows, columns], Fill::Binary)
                }
            }));
        }
    }
    // Numbers that are no class: between two, below 0, beyond the last.
    for number in [0.5, -1.0, 3.0, 1e20] {
        let count = Confusion {
            says: Says::Class,
            classes: 3,
            ignored: None,
        };
        let trial = TallyCase::new((2, 2), (1, 2), 0);
        cases.push(trial.case(count, 9, |case| {
            let case = case.constant(&[2, 1], Fill::Values(vec![2.0, number]));
            case.words(&[2], Fill::Words(vec![1, 2]))
        }));
    }
    cases
}
