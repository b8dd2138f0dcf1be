//! Cases recorded from Keras, a module for each kind.

pub mod activation;
pub mod architecture;
pub mod initializer;
pub mod layer;
pub mod loss;
pub mod metric;
pub mod metric_set;
pub mod noise;
pub mod object;
pub mod recipe;
pub mod schedule;
pub mod trace;
pub mod weights;
