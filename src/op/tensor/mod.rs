//! The methods of [`Tensor`](crate::Tensor) that record the ops of this folder, or a few of them, by what they are for.

mod operators;
mod reductions;
mod rows;
mod shape;
