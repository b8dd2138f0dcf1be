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

const TABLE: &[Difference] = &[
    Difference {
        kind: "activation",
        op: "relu",
        tensor: "dx",
        holds: |x, actual, _| x.is_nan() && actual.is_nan(),
        reason: NAN_GRADIENT,
    },
    Difference {
        kind: "activation",
        op: "leaky_relu",
        tensor: "dx",
        holds: |x, actual, _| x.is_nan() && actual.is_nan(),
        reason: NAN_GRADIENT,
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
    let x = case.find("x").and_then(|x| x.values.get(index).copied());
    let x = x.unwrap_or(f64::NAN);
    let entry = TABLE.iter().find(|entry| {
        let key = (entry.kind, entry.op, entry.tensor);
        key == (case.kind.as_str(), case.op.as_str(), tensor) && (entry.holds)(x, actual, expected)
    });
    entry.map(|entry| entry.reason)
}
