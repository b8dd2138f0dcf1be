//! Functions made of straight pieces, and those that round.

use crate::number::Number;
use crate::op::pointwise::unary::{Allowed, Setting, Settings, Tried, UnaryFunction};

use super::entry::unary;
use super::{jumping, one, zero};

/// A number where the line is above 0 and below 1, else 0.
#[inline(always)]
fn between<N: Number>(line: N, inside: N) -> N {
    N::choose(
        zero::<N>().is_less(line),
        N::choose(line.is_less(one()), inside, zero()),
        zero(),
    )
}

/// The line between 0 and 1.
#[inline(always)]
fn bounded<N: Number>(line: N) -> N {
    line.larger(zero()).smaller(one())
}

unary! {
    Relu "relu";
    |x| N::choose(x.is_less(zero()), zero(), x);
    |y| y.keep_nan(N::choose(zero::<N>().is_less(y), one(), zero()));
    {
        const ENDS_LAYERS: bool = true;

        fn saves_output(_: Settings) -> bool {
            true
        }
    }

    LeakyRelu "leaky_relu" [slope: Finite = 0.2] tried Tried::of(&[[0.2, 0.0, 0.0], [0.3, 0.0, 0.0]]);
    |x| N::choose(x.is_less(zero()), slope * x, x);
    |s| s.keep_nan(N::choose(zero::<N>().is_less(s), one(), slope));
    {
        const ENDS_LAYERS: bool = true;

        /// The output has the input's sign, which is all that f′ depends on.
        fn saves_output([slope, ..]: Settings) -> bool {
            slope >= 0.0
        }
    }

    Rectify "rectify" [slope: Finite = 0.0, threshold: Finite = 0.0, max: Any = f32::INFINITY]
        tried Tried::of(&[[0.0, 0.0, 6.0], [0.1, 0.5, f32::INFINITY]]);
    |x| {
        // Not 0·∞.
        let below = N::choose(zero::<N>().is_less(slope.magnitude()), slope * (x - threshold), zero());
        x.keep_nan(N::choose(threshold.is_less(x), x.smaller(max), below))
    };
    |x| {
        let above = N::choose(threshold.is_less(x), N::choose(max.is_less(x), zero(), one()), zero());
        x.keep_nan(N::choose(x.is_less(threshold), slope, above))
    };
    {
        fn fits([_, threshold, max]: Settings) -> Result<(), (&'static str, String)> {
            let least = threshold.max(0.0);
            if max >= least {
                return Ok(());
            }
            Err(("max", format!("must be at least {least}, got {max}")))
        }
    }

    Clamp "clamp" [low: Any = -1.0, high: Any = 1.0] tried Tried::of(&[[-1.0, 1.5, 0.0]]);
    |x| x.larger(low).smaller(high);
    |x| x.keep_nan(N::choose(x.is_less(low), zero(), N::choose(high.is_less(x), zero(), one())));
    {
        fn fits([low, high, _]: Settings) -> Result<(), (&'static str, String)> {
            if low <= high {
                return Ok(());
            }
            Err(("low", format!("must be at most high, got {low} and {high}")))
        }
    }

    Shrink "shrink" [lambda: AtLeastZero = 0.5, bias: Finite = 0.5] tried Tried {
        jumps: |[lambda, bias, _]| lambda != bias,
        ..Tried::of(&[[0.5, 0.5, 0.0], [1.5, 0.0, 0.0]])
    };
    |x| {
        let left = N::choose(x.is_less(-lambda), x + bias, zero());
        x.keep_nan(N::choose(lambda.is_less(x), x - bias, left))
    };
    |x| x.keep_nan(N::choose(lambda.is_less(x.magnitude()), one(), zero()));

    Threshold "threshold" [threshold: Finite = 0.0, value: Finite = 0.0] tried Tried {
        settings: &[[0.7, -1.0, 0.0]],
        ..jumping()
    };
    |x| x.keep_nan(N::choose(threshold.is_less(x), x, value));
    |x| x.keep_nan(N::choose(threshold.is_less(x), one(), zero()));

    /// slope·x + offset, no less than 0 and no more than 1. Its derivative at both ends is 0.
    HardSigmoid "hard_sigmoid" [slope: Finite = 1.0 / 6.0, offset: Finite = 0.5] tried Tried::of(&[[0.2, 0.5, 0.0]]);
    |x| bounded(slope * x + offset);
    |x| x.keep_nan(between(slope * x + offset, slope));

    HardSilu "hard_silu" [slope: Finite = 1.0 / 6.0, offset: Finite = 0.5];
    |x| x * bounded(slope * x + offset);
    |x| {
        let line = slope * x + offset;
        x.keep_nan(bounded(line) + between(line, slope * x))
    };

    /// 0 for x ≤ −1, ¼(x + 1)² up to 1, x from there: what sparsemax is to softmax.
    SparsePlus "sparse_plus" tried Tried::far_out();
    |x| {
        let bend = N::constant(0.25) * (x + one()) * (x + one());
        let left = N::choose((-one::<N>()).is_less(x), bend, zero());
        x.keep_nan(N::choose(x.is_less(one()), left, x))
    };
    |x| bounded(N::constant(0.5) * (x + one()));

    Abs "abs";
    |x| x.magnitude();
    |x| x.sign();
}

/// Functions that are flat wherever they have a slope, and jump between.
macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident $text:literal $method:ident;)*) => {
        unary! {$(
            $(#[$doc])*
            $name $text tried jumping();
            |x| x.$method();
            |x| x.keep_nan(zero());
            {
                const FLAT: bool = true;
            }
        )*}
    };
}

steps! {
    Sign "sign" sign;
    Floor "floor" whole_below;
    Ceil "ceil" whole_above;
    Round "round" nearest_whole;
}
