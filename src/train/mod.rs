//! Training: a model compiled from an architecture, a loss, an optimizer and metrics; `fit`, `evaluate`, `predict`.

mod callback;
mod checkpoints;
mod compile;
mod doors;
mod engine;
mod epoch_sums;
mod estimate;
mod evaluation;
mod fastest;
mod features;
mod feed;
mod figures;
mod files;
mod fit;
mod gradients;
mod held;
mod history;
mod hook;
mod interrupt;
mod loss;
mod metric;
mod micro;
mod model;
mod names;
mod non_finite;
mod objective;
mod one_batch;
mod part;
mod population;
mod predict;
mod prepare;
mod programs;
mod progress;
mod recovery;
mod run;
mod shared;
mod sizes;
mod state;
mod steps;
mod table;
mod trace;
mod weights;

pub use crate::data::Features;
pub use callback::{
    Callback, CsvLog, EarlyStopping, JsonLines, Lambda, LearningRateScheduler, Mode,
    ModelCheckpoint, Moment, Monitor, ReduceOnPlateau, StopAfter, StopAt, TensorBoard,
    TerminateOnNaN, Timing,
};
pub use checkpoints::{Checkpoints, Newest};
pub use evaluation::Evaluation;
pub use fastest::Fastest;
pub use files::Import;
pub use fit::Fit;
pub use gradients::Gradients;
pub use history::{Epoch, History, Stop};
pub use hook::Every;
pub use interrupt::Interrupt;
pub use loss::{
    BinaryFocalCrossentropy, CategoricalFocalCrossentropy, Loss, Reduction, RowFunction, Span,
    Takes,
};
pub use metric::{
    Auc, Averaging, ClassAggregation, Classes, ColumnMoments, ConfusionMatrix, Counter, Curve,
    Decision, FBeta, Metric, MetricFunction, MetricSetting, Outcomes, Point, R2, Streaming,
    Summation, Tally, ThresholdTally, average_precision, median_absolute_error, roc_auc,
};
pub use model::Model;
pub use non_finite::{FirstNonFinite, NonFinite};
pub use objective::Objective;
pub use population::Population;
pub use predict::Predictions;
pub use programs::Member;
pub use progress::Verbose;
pub use recovery::Recovery;
pub(crate) use state::MemberState;
pub use state::{Kept, Order, RunState};
pub use weights::Weights;

/// What a loss takes for its predictions: see [`RowFunction::rows`].
pub use crate::op::Form;
