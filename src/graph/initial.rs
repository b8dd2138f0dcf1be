//! What variables begin with.

use std::sync::Arc;

/// What a variable holds when a session opens.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Initial {
    /// Zeros.
    Zeros,
    /// These numbers.
    Floats(Arc<[f32]>),
    /// These integers.
    Words(Arc<[u32]>),
}

/// Values are lent, as those of [`Graph::parameter`](crate::Graph::parameter).
macro_rules! values {
    ($($element:ty: $variant:ident),*) => {$(
        impl From<&[$element]> for Initial {
            fn from(values: &[$element]) -> Self {
                Initial::$variant(values.into())
            }
        }

        impl From<&Vec<$element>> for Initial {
            fn from(values: &Vec<$element>) -> Self {
                Initial::$variant(values.as_slice().into())
            }
        }

        impl<const N: usize> From<&[$element; N]> for Initial {
            fn from(values: &[$element; N]) -> Self {
                Initial::$variant(values.as_slice().into())
            }
        }
    )*};
}
values!(f32: Floats, u32: Words);
