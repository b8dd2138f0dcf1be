//! Training: a model compiled from an architecture, a loss, an optimizer and metrics; `fit`, `evaluate`, `predict`.

mod batches;
mod callback;
mod checkpoints;
mod compile;
mod estimate;
mod evaluate;
mod evaluated;
mod fastest;
mod features;
mod files;
mod fit;
mod gradients;
mod held;
mod history;
mod interrupt;
mod keeper;
mod ledger;
mod loss;
mod metric;
mod micro;
mod model;
mod non_finite;
mod objective;
mod pace;
mod population;
mod predict;
mod prepare;
mod programs;
mod progress;
mod recover;
mod run;
mod run_state;
mod stream;
mod submissions;
mod table;
mod weights;

pub use crate::data::Features;
pub use callback::{
    Callback, CsvLog, EarlyStopping, JsonLines, Keep, Lambda, LearningRateScheduler, Mode,
    ModelCheckpoint, Moment, Monitor, ReduceOnPlateau, StopAfter, StopAt, TensorBoard,
    TerminateOnNaN, Timing,
};
pub use checkpoints::{Checkpoints, Newest};
pub use evaluate::Evaluation;
pub use fastest::{Fastest, Figure};
pub use files::Import;
pub use fit::Fit;
pub use gradients::Gradients;
pub use history::{Epoch, History, Stop};
pub use interrupt::Interrupt;
pub use loss::{
    BinaryFocalCrossentropy, CategoricalFocalCrossentropy, Huber, Loss, Reads, Reduction,
    RowFunction, Span, Takes, Tversky,
};
pub use metric::{
    Auc, Average, ClassAggregation, Classes, ColumnMoments, ConfusionMatrix, Curve, Decision,
    FBeta, Metric, Point, R2, Streaming, Summation, Tally, ThresholdTally, average_precision,
    median_absolute_error, roc_auc,
};
pub use model::Model;
pub use non_finite::{FirstNonFinite, NonFinite};
pub use objective::{Compile, Objective};
pub use population::{Member, Population};
pub use predict::Predictions;
pub use recover::Recovery;
pub use run_state::{Every, Kept, Order, RunState};
pub use weights::Weights;

/// What a loss takes for its predictions: see [`RowFunction::rows`].
pub use crate::op::Form;
