//! The one trait of an op: shape rule, gradient, GPU launch, CPU form, rounding bound.

use std::any::Any;
use std::fmt;

use crate::target::Target;
use crate::{Tensor, TensorType};

use super::{DynCompute, Launches, RowLoss, Sample, Signature};

/// One operation on tensors: shape rule, gradient, GPU launch, CPU form, rounding bound.
///
/// Object-safe, so that a user's op stands beside the built-in ones. The CPU form is the separate trait [`Compute`](super::Compute),
/// generic over the float type; it comes with this one by a blanket rule.
pub trait Op: Any + fmt::Debug + DynCompute + Send + Sync {
    /// The op's noun with the verb of a derived form: `matmul`, `cross_entropy.backward`.
    fn name(&self) -> &'static str;

    /// The types of the outputs.
    ///
    /// # Errors
    ///
    /// What does not fit, as a sentence without the op's name.
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String>;

    /// The indices of inputs that the op updates in place; they must be variables.
    fn writes(&self) -> &[usize] {
        &[]
    }

    /// dL/d(input) for each input, as more nodes of the graph; `None` where the gradient is zero everywhere.
    ///
    /// # Errors
    ///
    /// A sentence, where an input that wants a gradient has none; by default always.
    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        Err(format!(
            "{} has no gradient, but {} inputs ask for one",
            self.name(),
            vjp.inputs.len()
        ))
    }

    /// The dispatches on a GPU.
    ///
    /// # Errors
    ///
    /// A sentence, where the target cannot run the op on operands of these types.
    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String>;

    /// Elements of input `input` that the op touches: all of it, unless it takes a few rows of a data set.
    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        signature.inputs[input].elements()
    }

    /// Whether a result that has elements is zeros where an input has none, such as a sum over a batch of no rows. An op that
    /// says no is refused on tensors without elements, unless its results have none either.
    fn sums_nothing_to_zero(&self) -> bool {
        false
    }

    /// Whether the output is the input under another shape, without a copy.
    fn is_view(&self) -> bool {
        false
    }

    /// If nodes of this op may be merged into one over slabs of their operands, a key that equal nodes share.
    ///
    /// Only for ops that treat every element alike and take all operands but the last `shared` ones element by element.
    fn slab(&self) -> Option<Slab> {
        None
    }

    /// The loss of each row that the op computes from outputs y and targets t, if a head can compute it along with the last
    /// layer.
    fn row_loss(&self) -> Option<RowLoss> {
        None
    }

    /// The loss whose gradient by y the op computes from y, t and the gradient by each row's loss.
    fn row_loss_gradient(&self) -> Option<RowLoss> {
        None
    }

    /// The largest |device − reference| allowed for each element of each result, given the reference's operands; argued
    /// in the op's file. Results come in the order of [`Sample::results`]: inputs updated in place, then outputs. By default 0:
    /// results are copies of operands.
    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let exact = |result: &Vec<f64>| vec![0.0; result.len()];
        sample.results.iter().map(exact).collect()
    }
}

impl dyn Op {
    /// This op as a `T`, if it is one: how the plan's rewrites know ops.
    pub(crate) fn downcast<T: Op>(&self) -> Option<&T> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }
}

/// What an op's gradient rule sees: dL/d(output) for each output that reaches the loss.
pub struct Vjp<'a> {
    /// The op's inputs.
    pub inputs: &'a [Tensor],
    /// The op's outputs.
    pub outputs: &'a [Tensor],
    /// dL/d(output); `None` where an output does not reach the loss.
    pub gradients: &'a [Option<Tensor>],
    /// Which inputs' gradients are wanted; a rule may skip the others.
    pub wanted: &'a [bool],
}

impl Vjp<'_> {
    /// The gradient of the first output, which is wanted whenever a single-output op is asked for its gradient.
    ///
    /// # Errors
    ///
    /// A sentence, where the output has no gradient.
    pub fn dy(&self) -> Result<&Tensor, String> {
        self.gradients
            .first()
            .and_then(Option::as_ref)
            .ok_or_else(|| "its first output has no gradient".into())
    }
}

/// How nodes of an element-by-element update merge: see [`Op::slab`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slab {
    /// Equal for nodes that may merge.
    pub key: String,
    /// How many of the leading inputs are laid out alike, slab by slab; the inputs after them are common to all nodes.
    pub operands: usize,
}
