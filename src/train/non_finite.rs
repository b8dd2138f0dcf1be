//! Numbers that are not finite: what `fit` does about a step that has them, and what is told of the first.

use std::fmt;
use std::panic::Location;

/// What [`Model::fit`](super::Model::fit) does about numbers that are not finite.
///
/// Losses are read by their bits from what every step records anyway, so that [`Stop`](NonFinite::Stop) and
/// [`GoOn`](NonFinite::GoOn) cost the device nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum NonFinite {
    /// Ends the run with [`Error::NonFinite`](crate::Error::NonFinite) at the first step whose loss is NaN or infinite; the default.
    ///
    /// The steps before it are then run again, from the beginning of the call or from a later state that was kept in memory,
    /// and the step by itself on the processor: the error names the op that made the first such number. The model is
    /// left as it was before that step, so that it can go on with a smaller learning rate. That is left out where it would
    /// take more than a minute, where the model's state has more than 64 MiB, and where the rows come to the device in parts:
    /// then the error says that it was the loss, and the model has the weights of the last step; see [`Model::find_nan`](super::Model::find_nan).
    ///
    /// A gradient that is not finite shows in the loss of the next step.
    #[default]
    Stop,
    /// Leaves parameters, states of the optimizer and states of layers, such as running means, bit by bit as they were in a
    /// step whose gradients are not all finite, and goes on. The step counts as one, but its rows are no part of the epoch's
    /// mean loss and metrics, counts of classes and thresholds among them, where its loss is not finite.
    ///
    /// The device tests the gradients itself, by their bits, in one dispatch for every six tensors and one more; for that they
    /// are kept instead of being used where they are computed, and a small network takes its steps in many calls instead of one. With an optimizer that adds up the gradients
    /// of several batches it is refused.
    Skip,
    /// Goes on. What became NaN stays NaN; [`TerminateOnNaN`](super::TerminateOnNaN) ends such a run without an error.
    GoOn,
}

/// Where the first number that is not finite comes from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FirstNonFinite {
    /// The training step, counted from 1.
    pub step: u64,
    /// The number of the node in the graph, as [`Model::inspect`](super::Model::inspect) gives it.
    pub node: usize,
    /// The op, `matmul` or `softmax.backward`; `variable` where it was there before the step.
    pub op: String,
    /// The layer whose forward pass the node is part of, or part of the gradient of.
    pub layer: Option<String>,
    /// Whether it is part of a gradient.
    pub backward: bool,
    /// The variable that it updates, or is.
    pub variable: Option<String>,
    /// The line of the program that recorded it, where it is not one of Kiln's own.
    pub location: Option<&'static Location<'static>>,
    /// The number: NaN or an infinity.
    pub value: f32,
}

impl fmt::Display for FirstNonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (op, value) = (&self.op, self.value);
        match (&self.variable, self.op.as_str()) {
            (Some(name), "variable") => return write!(f, "a number of `{name}` ({value})"),
            (Some(name), _) => write!(f, "what {op} makes of `{name}`")?,
            (None, _) => write!(f, "the result of {op}")?,
        }
        if let Some(layer) = &self.layer {
            let part = if self.backward {
                "the gradient of "
            } else {
                ""
            };
            write!(f, " in {part}the layer `{layer}`")?;
        }
        write!(f, " ({value})")?;
        match self.location {
            Some(location) => write!(f, " ({}:{})", location.file(), location.line()),
            None => Ok(()),
        }
    }
}
