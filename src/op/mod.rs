//! All ops, and the list of them; the trait that they implement is in `contract`.
//!
//! An op is two files, `shaders/<op>.wgsl` and `src/op/<op>.rs`, and one line in [`all`]. The Rust file reads in one
//! order: formula and source, struct, shape rule, gradient, launch, CPU form, bound, cases, and the `Tensor` method, unless
//! it is one of those that `tensor` has together.

mod accuracy;
mod adam;
mod assign;
mod batch_mean;
mod bfloat16;
mod binary;
mod binary_cross_entropy;
mod categorical_hinge;
mod choose;
mod clock;
mod concat;
mod confusion;
mod correlation;
mod cross_entropy;
mod extremum;
mod finite;
mod finite_rows;
mod gather;
mod glu;
mod guarded;
mod head;
mod hits;
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
pub(crate) mod pointwise;
mod pointwise_loss;
mod record;
mod reshape;
mod row_reduction;
mod running_average;
mod sgd;
pub(crate) mod shape;
mod similarity;
mod slice;
mod softmax;
mod sparsemax;
mod standardize;
mod sum;
mod sum_of_squares;
mod take;
mod tally;
mod tensor;
mod threshold_counts;
mod update;

pub use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Form, Io, Launch, Launches, Op, Param, RowLoss, Sample,
    Shader, Signature, Slab, Vjp, arity, expect_dtype, fold,
};
pub use crate::number::{Known, Number, Tracked, UNIT};
pub(crate) use accuracy::Accuracy;
pub(crate) use adam::{Adam, AdamFormula};
pub(crate) use batch_mean::Backward as BatchMeanBackward;
pub(crate) use binary::{Binary, Operator};
pub(crate) use clock::{
    AdvanceClock, LONG_RATES, RATES, UpdateCount, cursor, cursor_of, rate, rates_of,
};
pub use clock::{Clock, Rates, Series};
pub(crate) use confusion::{Confusion, Says};
pub(crate) use correlation::Correlation;
pub(crate) use cross_entropy::Backward as CrossEntropyBackward;
pub(crate) use cross_entropy::CrossEntropy;
pub use extremum::Extremum;
pub(crate) use finite::{Finite, MAX_CHECKED_TENSORS};
pub(crate) use finite_rows::FiniteRows;
pub(crate) use gather::{Gather, MAX_CHUNKS};
pub(crate) use head::{Head, LastLayer};
pub(crate) use hits::Hits;
pub(crate) use loss_scale::{EndScale, POWERS, ScaleLoss, Unscale, power_at, scale};
pub use matmul::{End, MatMul, candidates};
pub(crate) use matmul::{LayerGradients, LayerPart, LayerSlab};
pub(crate) use moments::{MOMENTS, Moments};
pub(crate) use network::{Network, NetworkLayer, RingColumn, StepRule, is_long_to_compile};
pub use noise::NoiseKind;
pub use one_hot::OneHot;
pub(crate) use penalty::Penalty;
pub(crate) use permutation::Permutation;
pub(crate) use pointwise::Backward as PointwiseBackward;
pub use pointwise::{Allowed, Function, Setting, Settings, Tried, UnaryFunction};
pub(crate) use pointwise_loss::PointwiseLoss;
pub(crate) use record::{Parts, Record};
pub(crate) use row_reduction::{RowReduction, RowReductionBackward};
pub(crate) use running_average::RunningAverage;
pub(crate) use sgd::{Momentum, Sgd};
pub(crate) use similarity::Similarity;
pub(crate) use standardize::Standardize;
pub(crate) use sum::Sum;
pub(crate) use sum_of_squares::{SumOfSquares, norm_of};
pub(crate) use tally::{CELL_BYTES as TALLY_CELL_BYTES, Feed, Tallied, read_cells, slots};
pub(crate) use threshold_counts::{Select, ThresholdCounts};
pub(crate) use update::{
    Clipped, Running, Treatment, Update, cases_within_the_limit, complement, moved, over_root,
    rest, rest_of, rule_form,
};
pub use update::{Element, Moment, RuleForm, RuleState, UpdateRule};

/// Every op that ships; the parity, gradient, shader and benchmark harnesses iterate over it.
pub fn all() -> Vec<Entry> {
    vec![
        accuracy::ENTRY,
        adam::ENTRY,
        assign::ENTRY,
        batch_mean::ENTRY,
        bfloat16::ENTRY,
        binary::ENTRY,
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
        finite_rows::ENTRY,
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
        standardize::ENTRY,
        sum::ENTRY,
        sum_of_squares::ENTRY,
        take::ENTRY,
        threshold_counts::ENTRY,
    ]
}
