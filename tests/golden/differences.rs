//! What Kiln does otherwise than the source on purpose, element by element.
//!
//! Cases whose name ends in `__edge` record what the source gives at infinities, at NaN, at kinks and at the ends of the
//! number range; that is a record of one library on one processor, and not always what is right.

use super::case::Case;

/// Elements that may differ.
struct Difference {
    /// The suite's kind and the op.
    kind: &'static str,
    op: &'static str,
    /// The tensor.
    tensor: &'static str,
    /// Whether an element may: from the input `x` there, what Kiln gives and what the source gave.
    holds: fn(x: f64, actual: f64, expected: f64) -> bool,
    /// Why.
    reason: &'static str,
}

/// A slope where there is no number: Keras says that of one side, PyTorch 1. With NaN a broken network is seen at once.
const NAN_GRADIENT: &str = "the gradient at NaN is NaN, as that of sigmoid and tanh";

/// Keras compares, and so makes a number of what is none.
const NAN_VALUE: &str = "the value of NaN is NaN";

/// The source's formula overflows, or has ∞·0 in it, where the function has a limit.
const LIMIT: &str = "the limit stands where the source's formula has none";

/// At the kink of a function any slope between those of both sides is right.
const KINK: &str = "at a kink the gradient is that of the other side";

const fn at_nan(op: &'static str, tensor: &'static str, reason: &'static str) -> Difference {
    Difference {
        kind: "activation",
        op,
        tensor,
        holds: |x, actual, _| x.is_nan() && actual.is_nan(),
        reason,
    }
}

/// Beyond 1e18, infinities among it, where the source has no number or an infinite one.
const fn far_out(op: &'static str, tensor: &'static str) -> Difference {
    Difference {
        kind: "activation",
        op,
        tensor,
        holds: |x, actual, expected| x.abs() > 1e18 && actual.is_finite() && !expected.is_finite(),
        reason: LIMIT,
    }
}

const fn at(op: &'static str, holds: fn(f64, f64, f64) -> bool) -> Difference {
    Difference {
        kind: "activation",
        op,
        tensor: "dx",
        holds,
        reason: KINK,
    }
}

/// PyTorch differentiates the logarithm of a negative target and multiplies what is no number by 0.
const TARGETS_OF_STIRLING: &str =
    "a target below 1 has no part in Stirling's formula, nor has its gradient";

const TABLE: &[Difference] = &[
    at_nan("relu", "dx", NAN_GRADIENT),
    at_nan("leaky_relu", "dx", NAN_GRADIENT),
    at_nan("relu6", "dx", NAN_GRADIENT),
    at_nan("elu", "dx", NAN_GRADIENT),
    at_nan("selu", "dx", NAN_GRADIENT),
    at_nan("celu", "dx", NAN_GRADIENT),
    at_nan("hard_sigmoid", "dx", NAN_GRADIENT),
    at_nan("hard_tanh", "dx", NAN_GRADIENT),
    at_nan("hard_shrink", "dx", NAN_GRADIENT),
    at_nan("soft_shrink", "dx", NAN_GRADIENT),
    at_nan("sparse_sigmoid", "dx", NAN_GRADIENT),
    at_nan("threshold", "dx", NAN_GRADIENT),
    at_nan("relu", "y", NAN_VALUE),
    at_nan("relu6", "y", NAN_VALUE),
    at_nan("hard_shrink", "y", NAN_VALUE),
    at_nan("soft_shrink", "y", NAN_VALUE),
    at_nan("threshold", "y", NAN_VALUE),
    far_out("gelu", "dx"),
    far_out("hard_silu", "dx"),
    far_out("sparse_plus", "dx"),
    far_out("squareplus", "y"),
    far_out("squareplus", "dx"),
    at("relu6", |x, _, expected| x == 6.0 && expected == 0.0),
    at("selu", |x, _, _| x.abs() < 1e-37),
    at("celu", |x, _, _| x.abs() < 1e-37),
    Difference {
        kind: "torch_module",
        op: "nn.PoissonNLLLoss",
        tensor: "din1",
        holds: |_, actual, expected| actual.is_finite() && expected.is_nan(),
        reason: TARGETS_OF_STIRLING,
    },
    Difference {
        kind: "torch_op",
        op: "nn.functional.poisson_nll_loss",
        tensor: "din1",
        holds: |_, actual, expected| actual.is_finite() && expected.is_nan(),
        reason: TARGETS_OF_STIRLING,
    },
];

/// Why an element that is out of its tolerance may be so, if there is a reason.
pub fn on_purpose(
    case: &Case,
    tensor: &str,
    index: usize,
    actual: f64,
    expected: f64,
) -> Option<&'static str> {
    if case.op == "sparsemax" {
        return sparsemax(case, index);
    }
    let x = case.find("x").and_then(|x| x.values.get(index).copied());
    let x = x.unwrap_or(f64::NAN);
    let entry = TABLE.iter().find(|entry| {
        let key = (entry.kind, entry.op, entry.tensor);
        key == (case.kind.as_str(), case.op.as_str(), tensor) && (entry.holds)(x, actual, expected)
    });
    entry.map(|entry| entry.reason)
}

/// Keras 3.15 takes the sum of all partial sums for the last of them, so that τ and its gradient are wrong in rows with two
/// elements or more above τ: they do not sum to one, or by luck.
const NO_PROBABILITIES: &str = "Keras' sparsemax is wrong where two elements or more are not 0";

fn sparsemax(case: &Case, index: usize) -> Option<&'static str> {
    let (y, dx) = (case.find("y")?, case.find("dx")?);
    let columns = *y.shape.last()?;
    let row = index / columns * columns..(index / columns + 1) * columns;
    let sum: f64 = y.values[row.clone()].iter().sum();
    let support = y.values[row.clone()].iter().filter(|&&y| y > 0.0).count();
    if support != 1 || sum != 1.0 {
        return Some(NO_PROBABILITIES);
    }
    let mut elements = y.values[row.clone()].iter().zip(&dx.values[row]);
    let ties = elements.any(|(&y, &dx)| y == 0.0 && dx != 0.0);
    ties.then_some(KINK)
}
