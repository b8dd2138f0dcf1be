//! Operations of PyTorch and ONNX that Kiln computes with a few ops of its own.

pub mod algebra;
pub mod distance;
pub mod einsum;
pub mod rearrange;
pub mod reduce;
