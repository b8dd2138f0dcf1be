//! Layers, the models that they make, and how their weights begin.
//!
//! | module | what it holds |
//! |---|---|
//! | `layer`, `call` | what a layer is: [`Layer`], [`Parameter`], [`Call`] |
//! | `layer_ref`, `symbol` | layers and tensors of a model that is being written: [`LayerRef`], [`Input`], [`Symbol`] |
//! | `functional`, `assemble`, `validate`, `sequential` | architectures: [`Functional`], and [`Sequential`], a way of writing a chain |
//! | `nested`, `part` | a model as a layer of another, and a part of a model as one of its own |
//! | `applied` | a model in a graph of one's own: [`Applied`] |
//! | `forward`, `weights`, `summary`, `describe`, `config` | what is done with an architecture |
//! | `axes` | dimensions that a layer works along |
//! | `activation`, `initializer`, `draws`, `regularizer`, `constraint` | what layers are set to, by Keras' names |
//! | `dense`, `activate`, `merge`, `category_encoding`, `concatenate`, `dot`, `rearrange`, `rescaling`, `lambda`, `noise`, `normalization`, `prelu`, `softmax`, `activity_regularization` | the layers |
//!
//! A layer's settings are its public fields, called as in Keras. `new` takes what has no default, `..Default::default()`
//! leaves what has one; [`Dense`] has a method for each besides:
//!
//! ```
//! use kiln::prelude::*;
//!
//! let model = Sequential::new(8)
//!     .layer(Dense::new(16).activation(Relu).kernel_initializer(Initializer::HeNormal))
//!     .layer(BatchNormalization { momentum: 0.9, ..Default::default() })
//!     .dense(1, Sigmoid);
//! assert_eq!(model.parameter_count(), 9 * 16 + 4 * 16 + 17);
//! ```

mod activate;
mod activation;
mod activity_regularization;
mod applied;
mod assemble;
mod axes;
mod call;
mod category_encoding;
mod concatenate;
mod config;
mod constraint;
mod dense;
mod describe;
mod dot;
mod draws;
mod forward;
mod functional;
mod initializer;
mod lambda;
mod layer;
mod layer_ref;
mod merge;
mod nested;
mod noise;
mod normalization;
mod part;
mod prelu;
mod rearrange;
mod regularizer;
mod rescaling;
mod sequential;
mod softmax;
mod summary;
mod symbol;
mod unit;
mod validate;
mod weights;

pub use activation::Activation;
pub use activity_regularization::ActivityRegularization;
pub use applied::Applied;
pub use axes::Axes;
pub(crate) use call::Activated;
pub use call::Call;
pub use category_encoding::CategoryEncoding;
pub use concatenate::Concatenate;
pub use config::Config;
pub use constraint::Constraint;
pub use dense::Dense;
pub(crate) use describe::ArchitectureDescription;
pub use describe::built_in_classes;
pub use dot::Dot;
pub use functional::Functional;
pub(crate) use functional::InputSpec;
pub use initializer::{Distribution, Fan, Initializer};
pub use lambda::Lambda;
pub use layer::{Layer, Parameter};
pub(crate) use layer::{TRIAL_ROWS, batch_of, of_any_batch};
pub use layer_ref::LayerRef;
pub use merge::{Add, Average, Maximum, Minimum, Multiply, Subtract};
pub use noise::{AlphaDropout, Dropout, GaussianDropout, GaussianNoise};
pub use normalization::{
    BatchNormalization, GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization,
};
pub use prelu::PRelu;
pub use rearrange::{Flatten, Permute, RepeatVector, Reshape};
pub use regularizer::Regularizer;
pub use rescaling::Rescaling;
pub use sequential::Sequential;
pub use softmax::Softmax;
pub use symbol::{Input, ModelOutput, Symbol};
pub(crate) use unit::unscaled;
