//! Functions made of straight pieces, and those that round.

use crate::number::Number;
use crate::op::pointwise::unary::{Allowed, Edges, Setting, Settings, Tried, UnaryFunction};

use super::zero_and_one;

/// max(x, 0); NaN stays NaN. Its derivative at 0 is 0.
pub struct Relu;

impl UnaryFunction for Relu {
    const NAME: &'static str = "relu";
    const BACKWARD: &'static str = "relu.backward";
    const ENDS_LAYERS: bool = true;

    #[inline(always)]
    fn value<N: Number>(x: N, _: Settings) -> N {
        let (zero, _) = zero_and_one::<N>();
        N::choose(x.is_less(zero), zero, x)
    }

    #[inline(always)]
    fn slope<N: Number>(y: N, _: Settings) -> N {
        let (zero, one) = zero_and_one::<N>();
        y.keep_nan(N::choose(zero.is_less(y), one, zero))
    }

    fn saves_output(_: Settings) -> bool {
        true
    }
}

/// x for x ≥ 0, slope·x below. Its derivative at 0 is the slope.
pub struct LeakyRelu;

impl UnaryFunction for LeakyRelu {
    const NAME: &'static str = "leaky_relu";
    const BACKWARD: &'static str = "leaky_relu.backward";
    const SETTINGS: &'static [Setting] = &[Setting::new("slope", 0.2, Allowed::Finite)];
    const ENDS_LAYERS: bool = true;

    #[inline(always)]
    fn value<N: Number>(x: N, [slope, ..]: Settings) -> N {
        N::choose(x.is_less(N::constant(0.0)), N::given(slope) * x, x)
    }

    #[inline(always)]
    fn slope<N: Number>(s: N, [slope, ..]: Settings) -> N {
        let (zero, one) = zero_and_one::<N>();
        s.keep_nan(N::choose(zero.is_less(s), one, N::given(slope)))
    }

    /// The output has the input's sign, which is all that f′ depends on.
    fn saves_output([slope, ..]: Settings) -> bool {
        slope >= 0.0
    }

    fn tried() -> Tried {
        Tried {
            settings: &[[0.2, 0.0, 0.0], [0.3, 0.0, 0.0]],
            ..Tried::default()
        }
    }
}

/// min(x, max) for x > threshold, slope·(x − threshold) below. Its derivative at the threshold is 0, at max 1.
pub struct Rectify;

impl UnaryFunction for Rectify {
    const NAME: &'static str = "rectify";
    const SETTINGS: &'static [Setting] = &[
        Setting::new("slope", 0.0, Allowed::Finite),
        Setting::new("threshold", 0.0, Allowed::Finite),
        Setting::new("max", f32::INFINITY, Allowed::Any),
    ];

    #[inline(always)]
    fn value<N: Number>(x: N, [slope, threshold, max]: Settings) -> N {
        let threshold = N::given(threshold);
        // Not 0·∞.
        let below = if slope == 0.0 {
            N::constant(0.0)
        } else {
            N::given(slope) * (x - threshold)
        };
        let above = x.smaller(N::given(max));
        x.keep_nan(N::choose(threshold.is_less(x), above, below))
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, [slope, threshold, max]: Settings) -> N {
        let (zero, one) = zero_and_one::<N>();
        let threshold = N::given(threshold);
        let above = N::choose(N::given(max).is_less(x), zero, one);
        let rest = N::choose(threshold.is_less(x), above, zero);
        x.keep_nan(N::choose(x.is_less(threshold), N::given(slope), rest))
    }

    fn fits([_, threshold, max]: Settings) -> Result<(), (&'static str, String)> {
        let least = threshold.max(0.0);
        if max >= least {
            return Ok(());
        }
        Err(("max", format!("must be at least {least}, got {max}")))
    }

    fn tried() -> Tried {
        Tried {
            settings: &[[0.0, 0.0, 6.0], [0.1, 0.5, f32::INFINITY]],
            ..Tried::default()
        }
    }
}

/// x, no less than low and no more than high. Its derivative at both ends is 1.
pub struct Clamp;

impl UnaryFunction for Clamp {
    const NAME: &'static str = "clamp";
    const SETTINGS: &'static [Setting] = &[
        Setting::new("low", -1.0, Allowed::Any),
        Setting::new("high", 1.0, Allowed::Any),
    ];

    #[inline(always)]
    fn value<N: Number>(x: N, [low, high, _]: Settings) -> N {
        x.larger(N::given(low)).smaller(N::given(high))
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, [low, high, _]: Settings) -> N {
        let (zero, one) = zero_and_one::<N>();
        let above = N::choose(N::given(high).is_less(x), zero, one);
        x.keep_nan(N::choose(x.is_less(N::given(low)), zero, above))
    }

    fn fits([low, high, _]: Settings) -> Result<(), (&'static str, String)> {
        if low <= high {
            return Ok(());
        }
        Err(("low", format!("must be at most high, got {low} and {high}")))
    }

    fn tried() -> Tried {
        Tried {
            settings: &[[-1.0, 1.5, 0.0]],
            ..Tried::default()
        }
    }
}

/// x − bias for x > lambda, x + bias for x < −lambda, 0 between.
pub struct Shrink;

impl UnaryFunction for Shrink {
    const NAME: &'static str = "shrink";
    const SETTINGS: &'static [Setting] = &[
        Setting::new("lambda", 0.5, Allowed::AtLeastZero),
        Setting::new("bias", 0.5, Allowed::Finite),
    ];

    #[inline(always)]
    fn value<N: Number>(x: N, [lambda, bias, _]: Settings) -> N {
        let (lambda, bias) = (N::given(lambda), N::given(bias));
        let left = N::choose(x.is_less(-lambda), x + bias, N::constant(0.0));
        x.keep_nan(N::choose(lambda.is_less(x), x - bias, left))
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, [lambda, ..]: Settings) -> N {
        let (zero, one) = zero_and_one::<N>();
        let far = N::given(lambda).is_less(x.magnitude());
        x.keep_nan(N::choose(far, one, zero))
    }

    fn tried() -> Tried {
        Tried {
            settings: &[[0.5, 0.5, 0.0], [1.5, 0.0, 0.0]],
            jumps: |[lambda, bias, _]| lambda != bias,
            ..Tried::default()
        }
    }
}

/// x for x > threshold, else the value. Its derivative at the threshold is 0.
pub struct Threshold;

impl UnaryFunction for Threshold {
    const NAME: &'static str = "threshold";
    const SETTINGS: &'static [Setting] = &[
        Setting::new("threshold", 0.0, Allowed::Finite),
        Setting::new("value", 0.0, Allowed::Finite),
    ];

    #[inline(always)]
    fn value<N: Number>(x: N, [threshold, value, _]: Settings) -> N {
        let passes = N::given(threshold).is_less(x);
        x.keep_nan(N::choose(passes, x, N::given(value)))
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, [threshold, ..]: Settings) -> N {
        let (zero, one) = zero_and_one::<N>();
        x.keep_nan(N::choose(N::given(threshold).is_less(x), one, zero))
    }

    fn tried() -> Tried {
        Tried {
            settings: &[[0.7, -1.0, 0.0]],
            jumps: |_| true,
            ..Tried::default()
        }
    }
}

/// slope·x + offset, no less than 0 and no more than 1. Its derivative at both ends is 0.
pub struct HardSigmoid;

/// slope·x + offset, and the same between 0 and 1.
#[inline(always)]
fn straight<N: Number>(x: N, [slope, offset, _]: Settings) -> (N, N) {
    let (zero, one) = zero_and_one::<N>();
    let line = N::given(slope) * x + N::given(offset);
    (line, line.larger(zero).smaller(one))
}

/// A number where the line is above 0 and below 1, else 0.
#[inline(always)]
fn between<N: Number>(line: N, inside: N) -> N {
    let (zero, one) = zero_and_one::<N>();
    let below = N::choose(line.is_less(one), inside, zero);
    N::choose(zero.is_less(line), below, zero)
}

const LINE: &[Setting] = &[
    Setting::new("slope", 1.0 / 6.0, Allowed::Finite),
    Setting::new("offset", 0.5, Allowed::Finite),
];

impl UnaryFunction for HardSigmoid {
    const NAME: &'static str = "hard_sigmoid";
    const SETTINGS: &'static [Setting] = LINE;

    #[inline(always)]
    fn value<N: Number>(x: N, settings: Settings) -> N {
        straight(x, settings).1
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, settings: Settings) -> N {
        x.keep_nan(between(straight(x, settings).0, N::given(settings[0])))
    }

    fn tried() -> Tried {
        Tried {
            settings: &[[0.2, 0.5, 0.0]],
            ..Tried::default()
        }
    }
}

/// x times the hard sigmoid.
pub struct HardSilu;

impl UnaryFunction for HardSilu {
    const NAME: &'static str = "hard_silu";
    const SETTINGS: &'static [Setting] = LINE;

    #[inline(always)]
    fn value<N: Number>(x: N, settings: Settings) -> N {
        x * straight(x, settings).1
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, settings: Settings) -> N {
        let (line, share) = straight(x, settings);
        x.keep_nan(share + between(line, N::given(settings[0]) * x))
    }
}

/// 0 for x ≤ −1, ¼(x + 1)² up to 1, x from there: what sparsemax is to softmax.
pub struct SparsePlus;

impl UnaryFunction for SparsePlus {
    const NAME: &'static str = "sparse_plus";

    #[inline(always)]
    fn value<N: Number>(x: N, _: Settings) -> N {
        let (zero, one) = zero_and_one::<N>();
        let bend = N::constant(0.25) * (x + one) * (x + one);
        let left = N::choose((-one).is_less(x), bend, zero);
        x.keep_nan(N::choose(x.is_less(one), left, x))
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, _: Settings) -> N {
        let (zero, one) = zero_and_one::<N>();
        (N::constant(0.5) * (x + one)).larger(zero).smaller(one)
    }

    fn tried() -> Tried {
        Tried {
            huge: true,
            ..Tried::default()
        }
    }
}

/// |x|. Its derivative at 0 is 0.
pub struct Abs;

impl UnaryFunction for Abs {
    const NAME: &'static str = "abs";

    #[inline(always)]
    fn value<N: Number>(x: N, _: Settings) -> N {
        x.magnitude()
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, _: Settings) -> N {
        x.sign()
    }
}

/// A function that is flat wherever it has a slope, and jumps between.
macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident $text:literal $method:ident)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl UnaryFunction for $name {
            const NAME: &'static str = $text;
            const FLAT: bool = true;

            #[inline(always)]
            fn value<N: Number>(x: N, _: Settings) -> N {
                x.$method()
            }

            #[inline(always)]
            fn slope<N: Number>(x: N, _: Settings) -> N {
                x.keep_nan(N::constant(0.0))
            }

            fn tried() -> Tried {
                Tried {
                    jumps: |_| true,
                    edges: Edges::Wide,
                    ..Tried::default()
                }
            }
        }
    )*};
}

steps! {
    /// −1, 0 or 1.
    Sign "sign" sign
    /// The largest whole number that is not above x.
    Floor "floor" whole_below
    /// The least whole number that is not below x.
    Ceil "ceil" whole_above
    /// The nearest whole number, of two the even one.
    Round "round" nearest_whole
}
