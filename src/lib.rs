//! Kiln trains neural networks on any GPU that Vulkan, Metal, DX12 or GL can reach, and on the CPU where there is none.
//!
//! ```text
//! Model / Tensor ──► Graph ──► autodiff ──► optimizer nodes ──► Plan ──┬──► gpu::Session       WGSL, resident buffers
//!  what the user      pure       more nodes,    update nodes,    pure  ├──► cpu::Session<f32>  the same plan, no GPU needed
//!  writes             data       same words     same words       data  └──► cpu::Session<f64>  the same code: the reference
//! ```
//!
//! ```
//! use kiln::prelude::*;
//!
//! // Exclusive or, until the loss is low.
//! let data = Dataset::from_rows(&[[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], &[[0.0], [1.0], [1.0], [0.0]])?;
//! let model = Sequential::new(2).dense(8, Tanh).dense(1, Sigmoid).seed(1);
//! let mut model = model.compile_on(&Device::cpu(), BinaryCrossentropy, Adam::new(0.05), [Accuracy])?;
//! let history = model.fit(&data, Fit::epochs(1000).until_loss(0.05).silent())?;
//! assert!(matches!(history.stop, Stop::Loss { .. }));
//! # Ok::<(), kiln::Error>(())
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`prelude`] | what a program that trains a model needs |
//! | [`data`] | [`Dataset`], files that it comes from, preprocessing |
//! | [`nn`] | layers, [`nn::Sequential`] and [`nn::Functional`]: they write the graph |
//! | [`train`] | [`train::Model`]: fit, evaluate, predict; losses, metrics, callbacks, checkpoints, populations |
//! | [`optim`] | optimizers and schedules: nodes of the graph, too |
//! | [`Graph`], [`Tensor`] | nodes with shapes; gradients are more nodes |
//! | [`op`] | every op: shape, gradient, kernel, CPU form, bound, cases; a file each |
//! | [`plan`] | the graph in order, rewritten and placed in memory: plain data, printable |
//! | [`gpu`], [`cpu`] | what runs a plan; [`Device`] chooses, [`Session`] is either |
//! | [`check`] | the harness that ops pass on every device |
//! | [`io`] | files: models, weights, checkpoints |
//!
//! The guide, `docs/guide.md` and a module of this documentation, has a table from Keras' words to Kiln's and whole programs, each of
//! which compiles: tables, rare classes, an autoencoder, a loop of one's own, transfer, a DQN update, a physics-informed network, training
//! beside other work, deployment without a GPU.
//!
//! What is missing can be added from outside: a layer by [`nn::Layer`], a loss or metric by a closure, an optimizer by
//! [`optim::Optimizer`], a callback by [`train::Callback`], a function of one number by [`op::UnaryFunction`], and an op with a
//! WGSL kernel, gradient and CPU form by [`op::Op`], which [`check`] tries on every device: `examples/custom_op` does.

// To see that a run is `Send`, all that it holds is looked through, down to wgpu's innermost types.
#![recursion_limit = "256"]

mod autodiff;
pub mod check;
mod contract;
pub mod cpu;
pub mod data;
mod device;
mod edge;
mod error;
mod formats;
#[cfg(feature = "gpu")]
pub mod gpu;
#[cfg(not(feature = "gpu"))]
#[path = "gpu/absent.rs"]
pub mod gpu;
mod graph;
mod identity;
mod lookup;
pub mod nn;
mod number;
pub mod op;
pub mod optim;
pub mod plan;
mod range;
mod reserve;
mod schedule;
mod session;
mod shape;
mod target;
mod tensor;
pub mod train;

#[cfg(feature = "csv")]
pub use data::Csv;
pub use data::{Dataset, Preprocessing, Scaler, Targets};
pub use device::{Device, Options};
pub use error::{Error, Result};
pub use graph::{Graph, Initial};
pub use plan::{Plan, Program};
pub use session::{Pending, Session, Snapshot, Values};
pub use shape::{DType, Shape, TensorType};
pub use tensor::Tensor;

/// Files: how they are written, and weights that other programs wrote.
pub mod io {
    pub use crate::formats::{Disk, System};
    pub use crate::train::Import;
}

/// The wgpu that Kiln is built on, for [`Device::from_wgpu`] with the same version. wgpu's types are part of Kiln's public face
/// here and there alone: a new major version of wgpu is a new one of Kiln.
#[doc(no_inline)]
#[cfg(feature = "gpu")]
pub use wgpu;

/// What a program that trains a model needs, Keras' words among them.
#[expect(
    non_upper_case_globals,
    non_snake_case,
    reason = "losses and metrics are spelled as Keras' classes are"
)]
pub mod prelude {
    #[cfg(feature = "csv")]
    pub use crate::data::Csv;
    pub use crate::data::{Dataset, Preprocessing, Scaler, Targets};
    pub use crate::nn::Activation::{
        self, Elu, Gelu, LeakyRelu, Linear, Relu, Selu, Sigmoid, Silu, Softmax, Softplus, Tanh,
    };
    pub use crate::nn::{
        Add, Average, CategoryEncoding, Concatenate, Constraint, Dense, Dot, Flatten, Functional,
        Initializer, Input, Lambda, Layer, LayerRef, Maximum, Minimum, Multiply, Permute,
        Regularizer, RepeatVector, Rescaling, Reshape, Sequential, Subtract,
    };
    pub use crate::nn::{
        AlphaDropout, BatchNormalization, Dropout, GaussianDropout, GaussianNoise,
        GroupNormalization, LayerNormalization, PRelu, RMSNormalization, UnitNormalization,
    };
    pub use crate::optim::{Adam, AdamW, CommonSettings, Optimizer, RmsProp, Sgd};
    pub use crate::schedule::Schedule;
    pub use crate::train::{
        Callback, EarlyStopping, Evaluation, Fit, History, Loss, Metric, Model, ModelCheckpoint,
        Objective, Predictions, ReduceOnPlateau, Stop,
    };
    pub use crate::{Device, Error, Graph, Program, Result, Tensor, TensorType};

    /// [`Loss::HalfSquaredError`].
    pub const HalfSquaredError: Loss = Loss::HalfSquaredError;
    /// [`Loss::MeanSquaredError`].
    pub const MeanSquaredError: Loss = Loss::MeanSquaredError;
    /// [`Loss::BinaryCrossentropy`].
    pub const BinaryCrossentropy: Loss = Loss::BinaryCrossentropy;
    /// [`Loss::CategoricalCrossentropy`].
    pub const CategoricalCrossentropy: Loss = Loss::CategoricalCrossentropy;
    /// [`Loss::SparseCategoricalCrossentropy`].
    pub const SparseCategoricalCrossentropy: Loss = Loss::SparseCategoricalCrossentropy;
    /// [`Metric::Accuracy`].
    pub const Accuracy: Metric = Metric::Accuracy;
    /// [`Metric::BinaryAccuracy`].
    pub fn BinaryAccuracy(threshold: f32) -> Metric {
        Metric::BinaryAccuracy(threshold)
    }
    /// [`Metric::CategoricalAccuracy`].
    pub const CategoricalAccuracy: Metric = Metric::CategoricalAccuracy;
    /// [`Metric::SparseCategoricalAccuracy`].
    pub const SparseCategoricalAccuracy: Metric = Metric::SparseCategoricalAccuracy;
}

/// The README's program is compiled and run with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The guide: a page of the documentation, whose programs are compiled and run with the doc tests.
#[cfg(all(any(doc, doctest), feature = "csv"))]
#[doc = include_str!("../docs/guide.md")]
pub mod guide {}
