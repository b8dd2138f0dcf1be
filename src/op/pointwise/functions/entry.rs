//! How a function of one number is written: name, settings with their ranges and defaults, value, slope. What its
//! tensor method says of it is not said again.

/// `Name "name" [setting: Range = default] tried …; |x| value; |saved| slope; { what else the trait asks }`.
macro_rules! unary {
    ($(
        $(#[$doc:meta])*
        $name:ident $text:literal $([$($setting:ident: $allowed:ident = $default:expr),+])? $(tried $tried:expr)?;
        |$x:ident| $value:expr;
        |$saved:ident| $slope:expr;
        $({ $($item:tt)* })?
    )*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl UnaryFunction for $name {
            const NAME: &'static str = $text;
            $(const SETTINGS: &'static [Setting] =
                &[$(Setting::new(stringify!($setting), $default, Allowed::$allowed)),+];)?

            #[inline(always)]
            #[allow(unused_variables)]
            fn value<N: Number>($x: N, settings: Settings) -> N {
                $(let [$($setting,)+ ..] = settings.map(N::given);)?
                $value
            }

            #[inline(always)]
            #[allow(unused_variables)]
            fn slope<N: Number>($saved: N, settings: Settings) -> N {
                $(let [$($setting,)+ ..] = settings.map(N::given);)?
                $slope
            }

            $(fn tried() -> Tried {
                $tried
            })?

            $($($item)*)?
        }
    )*};
}
pub(super) use unary;
