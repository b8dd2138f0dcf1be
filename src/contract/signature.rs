//! The types of an op's operands, and what shape rules check of them.

use crate::{DType, TensorType};

/// The types of an op's operands, as its shape rule and launch see them.
#[derive(Debug, Clone)]
pub struct Signature {
    /// The types of the inputs, in argument order.
    pub inputs: Vec<TensorType>,
    /// The types of the outputs.
    pub outputs: Vec<TensorType>,
}

/// Checks that an op got as many inputs as it takes.
///
/// # Errors
///
/// A sentence with both numbers.
pub fn arity<const N: usize>(inputs: &[TensorType]) -> Result<&[TensorType; N], String> {
    inputs
        .try_into()
        .map_err(|_source| format!("takes {N} inputs, got {}", inputs.len()))
}

/// Checks the element type of the named input.
///
/// # Errors
///
/// A sentence with the input's name and both types.
pub fn expect_dtype(name: &str, input: &TensorType, dtype: DType) -> Result<(), String> {
    if input.dtype == dtype {
        Ok(())
    } else {
        Err(format!(
            "{name} must be {dtype}, got {} {}",
            input.shape, input.dtype
        ))
    }
}
