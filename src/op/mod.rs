//! The one trait of an op, and the list of all ops.
//!
//! An op is two files, `shaders/<op>.wgsl` and `src/op/<op>.rs`, and one line in [`all`]. The Rust file reads in one
//! order: formula and source, struct, shape rule, gradient, launch, CPU form, bound, cases, the `Tensor` method.

mod accuracy;
mod adam;
mod along;
mod assign;
mod batch_mean;
mod bfloat16;
mod binary;
mod binary_cross_entropy;
mod broadcast;
mod case;
mod categorical_hinge;
mod choose;
mod clock;
mod compute;
mod concat;
mod confusion;
mod correlation;
mod cross_entropy;
mod enlarge;
mod extremum;
mod finite;
mod gather;
mod glu;
mod guarded;
mod head;
mod hits;
mod launch;
mod log_softmax;
mod loss_scale;
mod matmul;
mod moments;
mod network;
mod noise;
mod normalization;
mod one_hot;
mod penalty;
mod permutation;
mod permute;
mod philox;
mod pointwise;
mod pointwise_loss;
mod record;
mod reduction;
mod reshape;
mod row_pairs;
mod rows;
mod running_average;
mod sgd;
mod similarity;
mod slice;
mod softmax;
mod sparsemax;
mod squared_error;
mod standardize;
mod sum;
mod sum_of_squares;
mod take;
mod tally;
mod threshold_counts;
mod update;

use std::any::Any;
use std::fmt;

use crate::plan::Target;
use crate::{DType, Tensor, TensorType};

pub use accuracy::Accuracy;
pub use adam::Adam;
pub use assign::Assign;
pub(crate) use batch_mean::Backward as BatchMeanBackward;
pub use batch_mean::BatchMean;
pub use bfloat16::Bfloat16;
pub use binary::{Binary, Operator};
pub(crate) use binary_cross_entropy::Backward as BinaryCrossEntropyBackward;
pub use binary_cross_entropy::{BinaryCrossEntropy, Form};
pub use case::{Case, Entry, Fill, Sample, UNIT};
pub use categorical_hinge::CategoricalHinge;
pub use choose::Choose;
pub use clock::{Clock, LONG_RATES, RATES, Series, UpdateCount, cursor, rate};
pub use compute::{Compute, DynCompute, Io, MAX_OPERANDS, View, ViewMut};
pub use concat::Concat;
pub use confusion::{Confusion, Says};
pub use correlation::Correlation;
pub(crate) use cross_entropy::Backward as CrossEntropyBackward;
pub use cross_entropy::CrossEntropy;
pub use extremum::Extremum;
pub use finite::{Finite, MOST_LOOKED_AT};
pub use gather::{Gather, MAX_CHUNKS};
pub use glu::Glu;
pub use guarded::Guarded;
pub use head::{Head, LastLayer, RowLoss};
pub use hits::Hits;
pub(crate) use launch::shader;
pub use launch::{Binding, Launch, Launches, Param, Shader, fold};
pub use log_softmax::LogSoftmax;
pub(crate) use loss_scale::power_at;
pub use loss_scale::{EndScale, POWERS, ScaleLoss, Unscale, scale};
pub use matmul::{Dense, End, LayerGradients, LayerPart, LayerSlab, MatMul, candidates};
pub use moments::{MOMENTS, Moments};
pub use network::{Column, Layer, Network, Rule};
pub use noise::{Noise, NoiseKind};
pub use one_hot::OneHot;
pub use penalty::Penalty;
pub use permutation::Permutation;
pub use permute::Permute;
pub(crate) use pointwise::Backward as PointwiseBackward;
pub use pointwise::{Function, Pointwise};
pub use pointwise_loss::PointwiseLoss;
pub use record::{Parts, Record};
pub use reshape::Reshape;
pub use running_average::RunningAverage;
pub use sgd::{Momentum, Sgd};
pub use similarity::Similarity;
pub use slice::Slice;
pub use softmax::Softmax;
pub use sparsemax::Sparsemax;
pub(crate) use squared_error::Backward as SquaredErrorBackward;
pub use squared_error::SquaredError;
pub use standardize::Standardize;
pub use sum::Sum;
pub use sum_of_squares::SumOfSquares;
pub use take::Take;
pub use tally::{Feed, slots};
pub use threshold_counts::{Select, ThresholdCounts};
pub use update::{Clipped, Formula, Running, Update};

/// Every op that ships; the parity, gradient, shader and benchmark harnesses iterate over it.
pub fn all() -> Vec<Entry> {
    vec![
        accuracy::ENTRY,
        adam::ENTRY,
        assign::ENTRY,
        batch_mean::ENTRY,
        bfloat16::ENTRY,
        binary::ENTRY,
        binary_cross_entropy::ENTRY,
        categorical_hinge::ENTRY,
        choose::ENTRY,
        clock::ENTRY,
        concat::ENTRY,
        confusion::ENTRY,
        correlation::ENTRY,
        cross_entropy::ENTRY,
        matmul::DENSE,
        extremum::ENTRY,
        finite::ENTRY,
        gather::ENTRY,
        glu::ENTRY,
        guarded::ENTRY,
        head::ENTRY,
        hits::ENTRY,
        log_softmax::ENTRY,
        loss_scale::ENTRY,
        matmul::ENTRY,
        matmul::LAYER_GRADIENTS,
        moments::ENTRY,
        network::ENTRY,
        noise::ENTRY,
        one_hot::ENTRY,
        permute::ENTRY,
        pointwise::ENTRY,
        pointwise_loss::ENTRY,
        record::ENTRY,
        running_average::ENTRY,
        sgd::ENTRY,
        similarity::ENTRY,
        slice::ENTRY,
        softmax::ENTRY,
        sparsemax::ENTRY,
        squared_error::ENTRY,
        standardize::ENTRY,
        sum::ENTRY,
        sum_of_squares::ENTRY,
        take::ENTRY,
        threshold_counts::ENTRY,
        update::ENTRY,
    ]
}

/// The types of an op's operands, as its shape rule and launch see them.
#[derive(Debug, Clone)]
pub struct Signature {
    /// The types of the inputs, in argument order.
    pub inputs: Vec<TensorType>,
    /// The types of the outputs.
    pub outputs: Vec<TensorType>,
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

impl dyn Op {
    /// This op as a `T`, if it is one: how the plan's rewrites know ops.
    pub fn downcast<T: Op>(&self) -> Option<&T> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }
}

impl Vjp<'_> {
    /// The gradient of the first output, which is wanted whenever a single-output op is asked for its gradient.
    pub fn dy(&self) -> Result<&Tensor, String> {
        self.gradients
            .first()
            .and_then(Option::as_ref)
            .ok_or_else(|| "its first output has no gradient".into())
    }
}

/// One operation on tensors: shape rule, gradient, GPU launch, CPU form, rounding bound.
///
/// Object-safe, so that a user's op stands beside the built-in ones. The CPU form is the separate trait [`Compute`],
/// generic over the float type; it comes with this one by a blanket rule.
pub trait Op: Any + fmt::Debug + DynCompute + Send + Sync {
    /// The op's noun with the verb of a derived form: `matmul`, `cross_entropy.backward`.
    fn name(&self) -> &'static str;

    /// The types of the outputs, or what does not fit, as a sentence without the op's name.
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String>;

    /// The indices of inputs that the op updates in place; they must be variables.
    fn writes(&self) -> &[usize] {
        &[]
    }

    /// dL/d(input) for each input, as more nodes of the graph; `None` where the gradient is zero everywhere.
    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        Err(format!(
            "{} has no gradient, but {} inputs ask for one",
            self.name(),
            vjp.inputs.len()
        ))
    }

    /// The dispatches on a GPU.
    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String>;

    /// Elements of input `input` that the op touches: all of it, unless it takes a few rows of a data set.
    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        signature.inputs[input].elements()
    }

    /// Pieces that the CPU session may share out among threads, where what is touched does not tell: none said.
    fn pieces(&self) -> Option<usize> {
        None
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

    /// The largest |device − reference| allowed for each element of each result, given the reference's operands; argued
    /// in the op's file. Results come in the order of [`Sample::results`]: inputs updated in place, then outputs.
    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>>;
}

/// How nodes of an element-by-element update merge: see [`Op::slab`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slab {
    /// Equal for nodes that may merge.
    pub key: String,
    /// How many of the leading inputs are laid out alike, slab by slab; the inputs after them are common to all nodes.
    pub operands: usize,
}

/// Checks that an op got as many inputs as it takes.
pub fn arity<const N: usize>(inputs: &[TensorType]) -> Result<&[TensorType; N], String> {
    inputs
        .try_into()
        .map_err(|_source| format!("takes {N} inputs, got {}", inputs.len()))
}

/// Checks the element type of the named input.
pub fn expect_dtype(name: &str, input: &TensorType, dtype: DType) -> Result<(), String> {
    if input.dtype == dtype {
        Ok(())
    } else {
        Err(format!(
            "{name} must be {dtype}, got {input} {}",
            input.dtype
        ))
    }
}
