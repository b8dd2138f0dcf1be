//! f and f′ on the processor, and the loops over them.
//!
//! What closures capture is known when they run, which function they call when they are compiled. So the functions that
//! networks spend time in get loops of their own, which hold no choice and become vectors; the others are called element
//! by element.

use crate::number::Real;
use crate::number::parallel::pieces;

use super::Function::{self, *};

/// √½, and 1/√(2π): the normal distribution's.
const HALF_ROOT: f64 = std::f64::consts::FRAC_1_SQRT_2;
const NORMAL: f64 = 0.398_942_280_401_432_7;

/// √(2/π) and the factor of x³ of GELU's approximation.
const ROOT: f64 = 0.797_884_560_802_865_4;
const CUBIC: f64 = 0.044_715;

#[inline(always)]
fn of<T: Real>(constant: f32) -> T {
    T::of(f64::from(constant))
}

/// 1/(1 + e^−x) without overflow on either side.
#[inline(always)]
fn sigmoid<T: Real>(x: T) -> T {
    let power = (-x.abs()).power_of_e();
    let above = if x < T::zero() { power } else { T::one() };
    above / (T::one() + power)
}

/// ln(1 + e^x).
#[inline(always)]
fn softplus<T: Real>(x: T) -> T {
    let bend = (-x.abs()).power_of_e().log_of_one_plus();
    let straight = if x < T::zero() { T::zero() } else { x };
    straight + bend
}

/// The normal distribution Φ(x), accurate on the far left too.
#[inline(always)]
fn normal<T: Real>(x: T) -> T {
    let tail = T::of(0.5) * (x.abs() * T::of(HALF_ROOT)).complement_of_erf();
    if x < T::zero() { tail } else { T::one() - tail }
}

/// 2u of GELU's approximation, and its derivative.
#[inline(always)]
fn twice_u<T: Real>(x: T) -> (T, T) {
    let square = T::of(CUBIC) * (x * x);
    let root = T::of(2.0 * ROOT);
    (
        root * (x + square * x),
        root * (T::one() + T::of(3.0) * square),
    )
}

/// t = tanh(ln(1 + e^x)) and 1 − t, neither by a difference: with e = e^−|x| both are ratios of polynomials in e.
#[inline(always)]
fn mish_parts<T: Real>(x: T) -> (T, T, T) {
    let (one, two) = (T::one(), T::of(2.0));
    let e = (-x.abs()).power_of_e();
    let below = x < T::zero();
    let (above, rest) = if below {
        (e * (e + two), two)
    } else {
        (one + two * e, two * e * e)
    };
    (above / (above + rest), rest / (above + rest), e)
}

impl Function {
    /// f(x).
    #[inline(always)]
    pub fn value<T: Real>(self, x: T) -> T {
        let zero = T::zero();
        match self {
            Sigmoid => sigmoid(x),
            Tanh => x.tangent(),
            Relu if x < zero => zero,
            Relu => x,
            LeakyRelu(slope) if x < zero => of::<T>(slope) * x,
            LeakyRelu(_) => x,
            Exp => x.power_of_e(),
            Log => x.ln(),
            Sqrt => x.sqrt(),
            Square => x * x,
            Abs => x.abs(),
            Neg => -x,
            Scale(factor) => of::<T>(factor) * x,
            Offset(constant) => x + of(constant),
            Elu {
                alpha,
                scale,
                width,
            } => {
                let below = of::<T>(alpha) * (x / of(width)).power_of_e_minus_one();
                of::<T>(scale) * if x > zero { x } else { below }
            }
            Gelu => x * normal(x),
            GeluTanh => x * sigmoid(twice_u(x).0),
            Silu(beta) => x * sigmoid(of::<T>(beta) * x),
            Mish => x * mish_parts(x).0,
            Softplus { beta, threshold } => {
                let scaled = of::<T>(beta) * x;
                let curve = softplus(scaled) / of(beta);
                if scaled > of(threshold) { x } else { curve }
            }
            other => other.rare_value(x),
        }
    }

    /// f(x) of the functions that get no loop of their own.
    #[inline(never)]
    fn rare_value<T: Real>(self, x: T) -> T {
        let (zero, one) = (T::zero(), T::one());
        if x.is_nan() {
            return x;
        }
        match self {
            // Not 0·∞.
            Rectify {
                slope: 0.0,
                threshold,
                ..
            } if x <= of(threshold) => zero,
            Rectify {
                slope, threshold, ..
            } if x <= of(threshold) => of::<T>(slope) * (x - of(threshold)),
            Rectify { max, .. } => x.min(of(max)),
            Softsign => x / (one + x.abs()),
            LogSigmoid => -softplus(-x),
            HardSigmoid { slope, offset } => hard_sigmoid(slope, offset, x),
            HardSilu { slope, offset } => x * hard_sigmoid(slope, offset, x),
            Clamp { low, high } => x.max(of(low)).min(of(high)),
            TanhShrink => x - x.tangent(),
            Shrink { lambda, bias } if x > of(lambda) => x - of(bias),
            Shrink { lambda, bias } if x < -of::<T>(lambda) => x + of(bias),
            Shrink { .. } => zero,
            Threshold { threshold, .. } if x > of(threshold) => x,
            Threshold { value, .. } => of(value),
            Squareplus(b) => squareplus(x, root_beyond(x, b), b),
            SparsePlus if x >= one => x,
            SparsePlus if x <= -one => zero,
            SparsePlus => T::of(0.25) * (x + one) * (x + one),
            Erf => x.error_function(),
            Sin => x.sin(),
            Cos => x.cos(),
            Reciprocal => one / x,
            Rsqrt => one / x.sqrt(),
            Sign if x == zero => x,
            Sign => x.signum(),
            Log1p => x.ln_1p(),
            Expm1 => x.exp_m1(),
            Floor => x.floor(),
            Ceil => x.ceil(),
            // Doubles hold every f32, and what they round to is one too.
            Round => T::of(x.double().round_ties_even()),
            Power(exponent) => x.powf(of(exponent)),
            _ => unreachable!("{self:?} has a loop of its own"),
        }
    }

    /// f′, from the saved output or input.
    #[inline(always)]
    pub fn derivative<T: Real>(self, s: T) -> T {
        let (zero, one) = (T::zero(), T::one());
        match self {
            Sigmoid => s * (one - s),
            Tanh => one - s * s,
            Relu | LeakyRelu(_) | Abs if s.is_nan() => s,
            Relu | LeakyRelu(_) if s > zero => one,
            Relu => zero,
            LeakyRelu(slope) => of(slope),
            Exp => s,
            Log => one / s,
            Sqrt => T::of(0.5) / s,
            Square => T::of(2.0) * s,
            Abs if s == zero => zero,
            Abs => s.signum(),
            Neg => -one,
            Scale(factor) => of(factor),
            Offset(_) => one,
            Elu {
                alpha,
                scale,
                width,
            } => {
                let below = of::<T>(alpha) / of(width) * (s / of(width)).power_of_e();
                of::<T>(scale) * if s > zero { one } else { below }
            }
            Gelu => {
                let density = T::of(NORMAL) * (T::of(-0.5) * s * s).power_of_e();
                normal(s) + s * density
            }
            GeluTanh => {
                let share = sigmoid(twice_u(s).0);
                // Beyond 12 the second term is below the least number; x³ would overflow in it.
                let near = s.max(T::of(-12.0)).min(T::of(12.0));
                let (u, du) = twice_u(near);
                share + near * du * sigmoid(u) * sigmoid(-u)
            }
            Silu(beta) => {
                let scaled = of::<T>(beta) * s;
                let share = sigmoid(scaled);
                share + scaled * share * sigmoid(-scaled)
            }
            Mish => {
                let (t, rest, e) = mish_parts(s);
                let share = if s < zero { e } else { one } / (one + e);
                t + s * rest * (one + t) * share
            }
            Softplus { beta, threshold } => {
                let scaled = of::<T>(beta) * s;
                let curve = sigmoid(scaled);
                if scaled > of(threshold) { one } else { curve }
            }
            other => other.rare_derivative(s),
        }
    }

    /// f′ of the functions that get no loop of their own, from the input.
    #[inline(never)]
    fn rare_derivative<T: Real>(self, x: T) -> T {
        let (zero, one) = (T::zero(), T::one());
        if x.is_nan() {
            return x;
        }
        let when = |inside: bool| if inside { one } else { zero };
        match self {
            Rectify {
                slope, threshold, ..
            } if x < of(threshold) => of(slope),
            Rectify { threshold, max, .. } => when(x > of(threshold) && x <= of(max)),
            Softsign => one / ((one + x.abs()) * (one + x.abs())),
            LogSigmoid => sigmoid(-x),
            HardSigmoid { slope, offset } => of::<T>(slope) * when(is_between(slope, offset, x)),
            HardSilu { slope, offset } => {
                let share = hard_sigmoid(slope, offset, x);
                match is_between(slope, offset, x) {
                    true => share + of::<T>(slope) * x,
                    false => share,
                }
            }
            Clamp { low, high } => when(x >= of(low) && x <= of(high)),
            TanhShrink => x.tangent() * x.tangent(),
            Shrink { lambda, .. } => when(x.abs() > of(lambda)),
            Threshold { threshold, .. } => when(x > of(threshold)),
            Squareplus(b) => {
                let root = root_beyond(x, b);
                match () {
                    // At 0, where b is 0 too, the mean of both sides.
                    () if root == zero => T::of(0.5),
                    () => squareplus(x, root, b) / root,
                }
            }
            SparsePlus => (T::of(0.5) * (x + one)).max(zero).min(one),
            Erf => T::of(std::f64::consts::FRAC_2_SQRT_PI) * (-x * x).power_of_e(),
            Sin => x.cos(),
            Cos => -x.sin(),
            Reciprocal => -(one / x) * (one / x),
            Rsqrt => T::of(-0.5) / (x * x.sqrt()),
            Log1p => one / (one + x),
            Expm1 => x.power_of_e(),
            Sign | Floor | Ceil | Round => zero,
            Power(exponent) => of::<T>(exponent) * x.powf(of::<T>(exponent) - one),
            _ => unreachable!("{self:?} has a loop of its own"),
        }
    }
}

/// slope·x + offset between 0 and 1.
#[inline(always)]
fn hard_sigmoid<T: Real>(slope: f32, offset: f32, x: T) -> T {
    let straight = of::<T>(slope) * x + of(offset);
    straight.max(T::zero()).min(T::one())
}

/// Whether slope·x + offset is above 0 and below 1.
#[inline(always)]
fn is_between<T: Real>(slope: f32, offset: f32, x: T) -> bool {
    let straight = of::<T>(slope) * x + of(offset);
    straight > T::zero() && straight < T::one()
}

/// √(x² + b); |x| where the square is beyond all b.
#[inline(always)]
fn root_beyond<T: Real>(x: T, b: f32) -> T {
    if x.abs() > T::of(1e18) {
        return x.abs();
    }
    (x * x + of(b)).sqrt()
}

/// (x + root)/2 as max(x, 0) + b/(2·(|x| + root)), without a difference.
#[inline(always)]
fn squareplus<T: Real>(x: T, root: T, b: f32) -> T {
    if root == T::zero() {
        return root;
    }
    x.max(T::zero()) + T::of(0.5) * of(b) / (x.abs() + root)
}

/// `$each` with a closure of `$method`, one for each of the functions in brackets, so that the loops in it hold no
/// choice; one closure for all others.
macro_rules! specialised {
    ($function:expr, $each:ident, $operands:expr, $method:ident; $([$($arm:tt)*])*) => {
        match $function {
            $($($arm)* => $each($operands, #[inline(always)] move |x| ($($arm)*).$method(x)),)*
            #[allow(unreachable_patterns)]
            other => $each($operands, #[inline(always)] move |x| apart::$method(other, x)),
        }
    };
}

/// Functions that are called, not inlined.
mod apart {
    use super::{Function, Real};

    #[inline(never)]
    pub fn value<T: Real>(function: Function, x: T) -> T {
        function.value(x)
    }

    #[inline(never)]
    pub fn derivative<T: Real>(function: Function, s: T) -> T {
        function.derivative(s)
    }
}

impl Function {
    /// y = f(y) of every element, fast for the functions that layers end in.
    #[inline(always)]
    pub fn apply<T: Real>(self, values: &mut [T]) {
        #[inline(always)]
        fn each<T: Real>(values: &mut [T], f: impl Fn(T) -> T) {
            for value in values {
                *value = f(*value);
            }
        }
        specialised!(self, each, values, value; [Sigmoid] [Tanh] [Relu] [LeakyRelu(slope)]);
    }

    /// dx = dx·f′ of every element, from the saved output or input, fast for the functions that layers end in.
    #[inline(always)]
    pub fn apply_slope<T: Real>(self, saved: &[T], slopes: &mut [T]) {
        #[inline(always)]
        fn each<T: Real>((saved, slopes): (&[T], &mut [T]), derivative: impl Fn(T) -> T) {
            for (slope, &saved) in slopes.iter_mut().zip(saved) {
                *slope = *slope * derivative(saved);
            }
        }
        let operands = (saved, slopes);
        specialised!(self, each, operands, derivative; [Sigmoid] [Tanh] [Relu] [LeakyRelu(slope)]);
    }

    /// y = f(x) of every element.
    #[inline(always)]
    pub(super) fn forward<T: Real>(self, x: &[T], y: &mut [T]) {
        #[inline(always)]
        fn each<T: Real>((x, y): (&[T], &mut [T]), f: impl Fn(T) -> T + Sync) {
            pieces::<T, _>(
                x.len(),
                8,
                (y, x),
                #[inline(always)]
                |_, (y, x)| {
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = f(x);
                    }
                },
            );
        }
        specialised!(
            self, each, (x, y), value;
            [Sigmoid] [Tanh] [Relu] [LeakyRelu(slope)] [Exp] [Log] [Sqrt] [Square] [Abs] [Neg] [Scale(factor)]
            [Offset(constant)] [Elu { alpha, scale, width }] [Gelu] [GeluTanh] [Silu(beta)] [Mish]
            [Softplus { beta, threshold }]
        );
    }

    /// dx = dy·f′ of every element, from the saved output or input.
    #[inline(always)]
    pub(super) fn backward<T: Real>(self, saved: &[T], dy: &[T], dx: &mut [T]) {
        #[inline(always)]
        fn each<T: Real>((saved, dy, dx): (&[T], &[T], &mut [T]), slope: impl Fn(T) -> T + Sync) {
            pieces::<T, _>(
                dy.len(),
                12,
                (dx, saved, dy),
                #[inline(always)]
                |_, (dx, saved, dy)| {
                    for ((dx, &s), &dy) in dx.iter_mut().zip(saved).zip(dy) {
                        *dx = dy * slope(s);
                    }
                },
            );
        }
        specialised!(
            self, each, (saved, dy, dx), derivative;
            [Sigmoid] [Tanh] [Relu] [LeakyRelu(slope)] [Exp] [Log] [Sqrt] [Square] [Abs] [Neg] [Scale(factor)]
            [Offset(constant)] [Elu { alpha, scale, width }] [Gelu] [GeluTanh] [Silu(beta)] [Mish]
            [Softplus { beta, threshold }]
        );
    }
}
