//! The operators `+`, `-`, `*`, `/` and the sign, between tensors and numbers.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::Tensor;

/// An operator between tensors, each by value or by reference, and with a number on either side. A refusal names the line
/// that has the operator.
macro_rules! operators {
    ($($trait:ident $method:ident |$tensor:ident, $number:ident| $after:expr, $before:expr;)*) => {$(
        operators!(@pair $trait $method Tensor, Tensor);
        operators!(@pair $trait $method Tensor, &Tensor);
        operators!(@pair $trait $method &Tensor, Tensor);
        operators!(@pair $trait $method &Tensor, &Tensor);
        operators!(@number $trait $method Tensor |$tensor, $number| $after, $before);
        operators!(@number $trait $method &Tensor |$tensor, $number| $after, $before);
    )*};
    (@pair $trait:ident $method:ident $left:ty, $right:ty) => {
        impl $trait<$right> for $left {
            type Output = Tensor;

            #[track_caller]
            fn $method(self, b: $right) -> Tensor {
                let (a, b): (&Tensor, &Tensor) = (&self, &b);
                Tensor::$method(a, b)
            }
        }
    };
    (@number $trait:ident $method:ident $kind:ty
        |$tensor:ident, $number:ident| $after:expr, $before:expr) => {
        impl $trait<f32> for $kind {
            type Output = Tensor;

            #[track_caller]
            fn $method(self, $number: f32) -> Tensor {
                let $tensor: &Tensor = &self;
                $after
            }
        }

        impl $trait<$kind> for f32 {
            type Output = Tensor;

            #[track_caller]
            fn $method(self, tensor: $kind) -> Tensor {
                let ($tensor, $number): (&Tensor, f32) = (&tensor, self);
                $before
            }
        }
    };
}

operators! {
    Add add |x, number| x.offset(number), x.offset(number);
    Sub sub |x, number| x.offset(-number), x.neg().offset(number);
    Mul mul |x, number| x.scale(number), x.scale(number);
    // A product with 1/number would be rounded twice.
    Div div |x, number| Tensor::div(x, &x.number(number)), Tensor::div(&x.number(number), x);
}

impl Tensor {
    /// A scalar of its graph.
    #[track_caller]
    fn number(&self, number: f32) -> Tensor {
        self.graph().constant([], &[number])
    }
}

macro_rules! signs {
    ($($kind:ty),*) => {$(
        impl Neg for $kind {
            type Output = Tensor;

            #[track_caller]
            fn neg(self) -> Tensor {
                let x: &Tensor = &self;
                Tensor::neg(x)
            }
        }
    )*};
}
signs!(Tensor, &Tensor);
