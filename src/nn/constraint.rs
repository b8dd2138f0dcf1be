//! Constraints that weights are put under after each update.

use serde::{Deserialize, Serialize};

use crate::lookup::{self, Named};
use crate::range::{above_zero, at_least_zero, within};
use crate::{Error, Result, Tensor};

/// What Keras adds to norms before it divides by them.
const EPSILON: f32 = 1e-7;

/// A constraint by Keras' names and defaults. Norms are over the dimension `axis`: 0, the default, of a dense kernel
/// `[inputs, units]` is the norm of each unit's weights.
// Functions are compared by address: a function equals itself, which is all that a comparison of settings asks.
#[allow(unpredictable_function_pointer_comparisons)]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Constraint {
    /// Norms up to `max_value`: W·min(norm, max)/(norm + 1e-7).
    MaxNorm {
        /// The largest norm; above 0. Keras' default: 2.
        max_value: f32,
        /// The dimension that norms are over.
        axis: isize,
    },
    /// max(W, 0).
    NonNeg,
    /// Norms of 1: W/(norm + 1e-7).
    UnitNorm {
        /// The dimension that norms are over.
        axis: isize,
    },
    /// Norms between two: W·(rate·clip(norm) + (1 − rate)·norm)/(norm + 1e-7).
    MinMaxNorm {
        /// The least norm; at least 0. Keras' default: 0.
        min_value: f32,
        /// The largest norm; at least `min_value`. Keras' default: 1.
        max_value: f32,
        /// How far a norm goes to its range in one step, in (0, 1]. Keras' default: 1.
        rate: f32,
        /// The dimension that norms are over.
        axis: isize,
    },
    /// A function of one's own, from weights to weights of the same shape. A model with one is not written to a model file.
    #[serde(skip)]
    Own(fn(&Tensor) -> Tensor),
}

/// What there is, by Keras' names and with Keras' defaults.
const TABLE: &[Named<Constraint>] = &[
    (
        Constraint::MaxNorm {
            max_value: 2.0,
            axis: 0,
        },
        &["max_norm"],
    ),
    (Constraint::NonNeg, &["non_neg", "non_negative"]),
    (Constraint::UnitNorm { axis: 0 }, &["unit_norm"]),
    (
        Constraint::MinMaxNorm {
            min_value: 0.0,
            max_value: 1.0,
            rate: 1.0,
            axis: 0,
        },
        &["min_max_norm"],
    ),
];

impl Constraint {
    /// The constraint of that name with Keras' defaults: `max_norm`, `non_neg`, `unit_norm`, `min_max_norm`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the names that there are.
    pub fn from_name(name: &str) -> Result<Self> {
        lookup::find("constraint", name, TABLE)
    }

    /// Norms up to `max_value` over the first dimension.
    pub fn max_norm(max_value: f32) -> Self {
        let axis = 0;
        Constraint::MaxNorm { max_value, axis }
    }

    /// Norms of 1 over the first dimension.
    pub fn unit_norm() -> Self {
        Constraint::UnitNorm { axis: 0 }
    }

    /// The weights under the constraint, as a value.
    #[track_caller]
    pub fn apply(self, w: &Tensor) -> Tensor {
        let graph = w.graph();
        let number = |value: f32| graph.constant([1], &[value]);
        let norms = |axis: isize| {
            let (lengths, unit) = w.lengths(axis);
            lengths.div(&unit)
        };
        let to = |axis: isize, wanted: &dyn Fn(&Tensor) -> Tensor| {
            let norms = norms(axis);
            w.mul(&wanted(&norms).div(&norms.offset(EPSILON)))
        };
        match self {
            Constraint::NonNeg => w.relu(),
            Constraint::Own(constrained) => constrained(w),
            Constraint::MaxNorm { max_value, axis } => {
                to(axis, &|norms| norms.minimum(&number(max_value)))
            }
            Constraint::UnitNorm { axis } => w.div(&norms(axis).offset(EPSILON)),
            Constraint::MinMaxNorm {
                min_value,
                max_value,
                rate,
                axis,
            } => to(axis, &|norms| {
                let clipped = norms.minimum(&number(max_value));
                let clipped = clipped.maximum(&number(min_value)).scale(rate);
                clipped.add(&norms.scale(1.0 - rate))
            }),
        }
    }

    /// Checks the numbers, and that a parameter of this rank has the dimension of the norms; the error names the field.
    pub(super) fn validate(self, name: impl FnOnce() -> String, rank: usize) -> Result<()> {
        let axis = match self {
            Constraint::NonNeg | Constraint::Own(_) => return Ok(()),
            Constraint::UnitNorm { axis } => axis,
            Constraint::MaxNorm { max_value, axis } => {
                above_zero("max_value", max_value)?;
                axis
            }
            Constraint::MinMaxNorm {
                min_value,
                max_value,
                rate,
                axis,
            } => {
                at_least_zero("min_value", min_value)?;
                let fits = max_value >= min_value && max_value.is_finite();
                let range = "at least min_value and finite";
                within(fits, "max_value", range, max_value)?;
                within(rate > 0.0 && rate <= 1.0, "rate", "in (0, 1]", rate)?;
                axis
            }
        };
        if (-(rank as isize)..rank as isize).contains(&axis) {
            return Ok(());
        }
        let message = format!(
            "of the constraint on `{}` must be below its {rank} dimensions, got {axis}",
            name()
        );
        Err(Error::argument("axis", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Graph, Plan, Program};

    fn constrained(constraint: Constraint) -> Vec<f32> {
        let graph = Graph::new();
        let w = graph.parameter("w", [2, 3], &[3.0, 0.3, 0.0, 4.0, -0.4, 0.0]);
        let program = Program::new("constrain").update([&w.assign(&constraint.apply(&w))]);
        let device = Device::cpu();
        let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
        let mut session = device.open(&plan).unwrap();
        session.run("constrain", 1).unwrap();
        session.read("w").unwrap()
    }

    #[test]
    fn weights_are_put_where_the_constraint_wants_them() {
        let close = |a: Vec<f32>, b: [f32; 6]| {
            let near = a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
            assert!(near, "{a:?}, not {b:?}");
        };
        let range = Constraint::MinMaxNorm {
            min_value: 1.0,
            max_value: 2.0,
            rate: 0.5,
            axis: 0,
        };
        close(
            constrained(Constraint::max_norm(1.0)),
            [0.6, 0.3, 0.0, 0.8, -0.4, 0.0],
        );
        close(
            constrained(Constraint::unit_norm()),
            [0.6, 0.6, 0.0, 0.8, -0.8, 0.0],
        );
        close(
            constrained(Constraint::NonNeg),
            [3.0, 0.3, 0.0, 4.0, 0.0, 0.0],
        );
        close(constrained(range), [2.1, 0.45, 0.0, 2.8, -0.6, 0.0]);
        close(
            constrained(Constraint::Own(|w| w.scale(0.5))),
            [1.5, 0.15, 0.0, 2.0, -0.2, 0.0],
        );
    }
}
