//! Layers and how their weights begin.

mod activation;
mod constraint;
mod dense;
mod initializer;
mod regularizer;
mod sequential;

pub use activation::Activation;
pub use constraint::Constraint;
pub use dense::Dense;
pub use initializer::{Distribution, Fan, Initializer};
pub use regularizer::Regularizer;
pub(crate) use sequential::Parameter;
pub use sequential::Sequential;
