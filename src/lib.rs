//! Kiln trains neural networks on any GPU that Vulkan, Metal, DX12 or GL can reach, and on the CPU where there is none.

mod error;

pub use error::{Error, Result};
