//! Layers and how their weights begin.

mod activation;
mod dense;
mod initializer;
mod sequential;

pub use activation::Activation;
pub use dense::Dense;
pub use initializer::Initializer;
pub(crate) use sequential::Parameter;
pub use sequential::Sequential;
