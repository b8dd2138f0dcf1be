//! Test cases of an op: what the parity, gradient and benchmark harnesses run.

use std::sync::Arc;

use crate::TensorType;

use super::{Op, Shader};

/// An op's line in [`all`](crate::op::all); for an op of one's own what [`check::survey`](crate::check::survey) takes.
pub struct Entry {
    /// The op's noun.
    pub name: &'static str,
    /// The op's shaders that are constants, which Kiln's own tests read; the harness takes the shaders of the launches.
    pub shaders: &'static [Shader],
    /// The cases that the harness runs: at least 30 for an op of Kiln's own.
    pub cases: fn() -> Vec<Case>,
}

impl Entry {
    pub(crate) const fn new(
        name: &'static str,
        shaders: &'static [Shader],
        cases: fn() -> Vec<Case>,
    ) -> Self {
        Entry {
            name,
            shaders,
            cases,
        }
    }
}

/// How a harness fills an input.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Fill {
    /// Uniform draws between the two numbers.
    Uniform(f32, f32),
    /// Whole numbers below the bound.
    Below(u32),
    /// A row of probabilities that sum to one.
    Probabilities,
    /// A one in each row, zeros elsewhere.
    OneHot,
    /// Zeros and ones.
    Binary,
    /// These numbers.
    Values(Vec<f32>),
    /// These integers.
    Words(Vec<u32>),
}

/// An op with inputs to try it on.
#[derive(Debug, Clone)]
pub struct Case {
    /// The op.
    pub op: Arc<dyn Op>,
    /// Types and contents of the inputs.
    pub inputs: Vec<(TensorType, Fill)>,
    /// Inputs to check the gradient of numerically; empty where the op has none.
    pub gradients: Vec<usize>,
    /// Inputs in which a NaN must show in the results.
    pub nan: Vec<usize>,
}

impl Case {
    /// A case of `op` with no inputs yet.
    pub fn new(op: impl Op) -> Self {
        Case {
            op: Arc::new(op),
            inputs: Vec::new(),
            gradients: Vec::new(),
            nan: Vec::new(),
        }
    }

    /// Adds an input of numbers that is differentiated and in which a NaN must not be lost.
    pub fn input(mut self, shape: &[usize], fill: Fill) -> Self {
        self.gradients.push(self.inputs.len());
        self.nan.push(self.inputs.len());
        self.inputs.push((TensorType::f32(shape), fill));
        self
    }

    /// Adds an input of numbers that is not differentiated, such as targets.
    pub fn constant(mut self, shape: &[usize], fill: Fill) -> Self {
        self.inputs.push((TensorType::f32(shape), fill));
        self
    }

    /// Adds an input of integers.
    pub fn words(mut self, shape: &[usize], fill: Fill) -> Self {
        self.inputs.push((TensorType::u32(shape), fill));
        self
    }

    /// Says that a NaN in the input added last must not be lost either, where `shown`: for operands of calls that may leave
    /// some of their elements out.
    pub(crate) fn nan_if(mut self, shown: bool) -> Self {
        if shown {
            self.nan.push(self.inputs.len() - 1);
        }
        self
    }

    /// Leaves out the numerical check of gradients: for derivatives and updates, which are not differentiated again.
    pub fn without_gradient(mut self) -> Self {
        self.gradients.clear();
        self
    }

    /// Leaves out the NaN check, for ops whose results do not depend on every element of every input.
    pub(crate) fn without_nan(mut self) -> Self {
        self.nan.clear();
        self
    }
}

/// Shapes that an op is tried on, such as `2 x 3; 17`, or with what belongs to each of them: `2 x 3: -1; 17: 0`.
macro_rules! shapes {
    (scalar; $($($size:literal)x+);+) => {
        [&[], $(&[$($size),+]),+]
    };
    ($($($size:literal)x+);+) => {
        [$(&[$($size),+]),+]
    };
    ($($($size:literal)x+: $other:expr);+) => {
        [$((&[$($size),+], $other)),+]
    };
}
pub(crate) use shapes;
