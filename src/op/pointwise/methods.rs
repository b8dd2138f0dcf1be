//! What the table of functions becomes: methods of tensors, functions by name, and the list of all.

use crate::{Error, Result, Tensor};

use super::UnaryFunction;
use super::function::{Formulas, Function};
use super::functions::*;

macro_rules! methods {
    ({
        $($(#[$doc:meta])* $_activation:ident $(named $_name:literal)?:
            $method:ident($($setting:ident: $type:ty = $_default:literal)?) = $function:ident[$($value:expr),*];)*
    } {
        $($(#[$other_doc:meta])* $other:ident($($other_setting:ident: $other_type:ty),*)
            = $other_function:ident[$($other_value:expr),*];)*
    }) => {
        /// # Functions of one number
        ///
        /// Applied to each element: any shape, and the result has it too. Refused where a setting is out of its range.
        impl Tensor {
            $($(#[$doc])* #[track_caller]
            pub fn $method(&self $(, $setting: $type)?) -> Tensor {
                self.map(Function::of::<$function>(&[$($value),*]))
            })*

            $($(#[$other_doc])* #[track_caller]
            pub fn $other(&self $(, $other_setting: $other_type)*) -> Tensor {
                self.map(Function::of::<$other_function>(&[$($other_value),*]))
            })*

            /// x^`exponent`; NaN for x < 0, unless the exponent is a whole number.
            #[track_caller]
            pub fn pow(&self, exponent: f32) -> Tensor {
                self.map(match exponent {
                    // The same, and exact or nearly so.
                    1.0 => Function::of::<Scale>(&[1.0]),
                    2.0 => Square::function(),
                    0.5 => Sqrt::function(),
                    -1.0 => Reciprocal::function(),
                    -0.5 => Rsqrt::function(),
                    _ => Function::of::<Power>(&[exponent]),
                })
            }

            /// y = f(x): the way to use a function of one's own. See [`UnaryFunction`](crate::op::UnaryFunction).
            #[track_caller]
            pub fn map(&self, function: Function) -> Tensor {
                self.graph().apply_one(function, &[self])
            }

            /// x for x > 0 and `slope`·x below, where `slope` is a tensor that broadcasts to x: the slopes are trained. Its
            /// derivative at 0 is 0, as in Keras.
            #[track_caller]
            pub fn prelu(&self, slope: &Tensor) -> Tensor {
                self.relu().sub(&slope.mul(&self.neg().relu()))
            }
        }

        /// Every function that the table names, some of them more than once.
        pub(super) static ALL: &[Formulas] = &[
            $(Formulas::of::<$function>(),)*
            $(Formulas::of::<$other_function>(),)*
            Formulas::of::<Power>(),
        ];
    };
}

functions!(methods);

impl Function {
    /// One of Kiln's own functions by its name in plans: `elu`, whose settings alpha, scale and width have defaults.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the names that there are.
    pub fn from_name(name: &str, settings: &[f32]) -> Result<Self> {
        let all = || ALL.iter();
        let found = all().find(|formulas| formulas.name == name);
        found
            .map(|formulas| Function::with(formulas, settings))
            .ok_or_else(|| Error::not_found("function", name, all().map(|formulas| formulas.name)))
    }
}
