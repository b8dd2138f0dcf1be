//! Functions of one number, element by element: y = f(x), dx = dy·f′(x).
//!
//! Sources: sigmoid, tanh, ReLU and leaky ReLU as in Keras 3; at the kink of ReLU the derivative is 0, as in Keras and
//! PyTorch, at that of leaky ReLU it is the slope.

use crate::cpu::Real;
use crate::cpu::parallel::pieces;
use crate::plan::Target;
use crate::{Tensor, TensorType};

use super::launch::shader;
use super::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    fold,
};

const SHADER: Shader = shader!("pointwise", "functions");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "pointwise",
    shaders: &[SHADER],
    cases,
};

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// 1/(1 + e^−x).
    Sigmoid,
    /// (e^x − e^−x)/(e^x + e^−x).
    Tanh,
    /// max(x, 0); NaN stays NaN.
    Relu,
    /// x for x ≥ 0, slope·x below.
    LeakyRelu(f32),
    /// e^x.
    Exp,
    /// Natural logarithm.
    Log,
    /// √x.
    Sqrt,
    /// x².
    Square,
    /// |x|; its derivative at 0 is 0.
    Abs,
    /// −x.
    Neg,
    /// factor·x.
    Scale(f32),
    /// x + constant.
    Offset(f32),
}

use Function::{Abs, Exp, LeakyRelu, Log, Neg, Offset, Relu, Scale, Sigmoid, Sqrt, Square, Tanh};

impl Function {
    /// The number of the function in the shader, and its constant.
    pub(super) fn code(self) -> (u32, f32) {
        match self {
            Sigmoid => (0, 0.0),
            Tanh => (1, 0.0),
            Relu => (2, 0.0),
            LeakyRelu(slope) => (3, slope),
            Exp => (4, 0.0),
            Log => (5, 0.0),
            Sqrt => (6, 0.0),
            Square => (7, 0.0),
            Abs => (8, 0.0),
            Neg => (9, 0.0),
            Scale(factor) => (10, factor),
            Offset(constant) => (11, constant),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Sigmoid => "sigmoid",
            Tanh => "tanh",
            Relu => "relu",
            LeakyRelu(_) => "leaky_relu",
            Exp => "exp",
            Log => "log",
            Sqrt => "sqrt",
            Square => "square",
            Abs => "abs",
            Neg => "neg",
            Scale(_) => "scale",
            Offset(_) => "offset",
        }
    }

    /// Whether f′ is computed from the output; else from the input.
    fn saves_output(self) -> bool {
        match self {
            Sigmoid | Tanh | Relu | Exp | Sqrt => true,
            // The output has the input's sign, which is all that f′ depends on.
            LeakyRelu(slope) => slope >= 0.0,
            _ => false,
        }
    }

    /// f(x).
    #[inline(always)]
    pub fn value<T: Real>(self, x: T) -> T {
        let (zero, one) = (T::zero(), T::one());
        match self {
            Sigmoid => {
                let power = (-x.abs()).power_of_e();
                let above = if x < zero { power } else { one };
                above / (one + power)
            }
            Tanh => x.tangent(),
            Relu if x < zero => zero,
            Relu => x,
            LeakyRelu(slope) if x < zero => T::of(f64::from(slope)) * x,
            LeakyRelu(_) => x,
            Exp => x.power_of_e(),
            Log => x.ln(),
            Sqrt => x.sqrt(),
            Square => x * x,
            Abs => x.abs(),
            Neg => -x,
            Scale(factor) => T::of(f64::from(factor)) * x,
            Offset(constant) => x + T::of(f64::from(constant)),
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
            LeakyRelu(slope) => T::of(f64::from(slope)),
            Exp => s,
            Log => one / s,
            Sqrt => T::of(0.5) / s,
            Square => T::of(2.0) * s,
            Abs if s == zero => zero,
            Abs => s.signum(),
            Neg => -one,
            Scale(factor) => T::of(f64::from(factor)),
            Offset(_) => one,
        }
    }
}

/// `$each` with a closure of `$method`, one for each function, so that the loops in it hold no choice: what a closure
/// captures is only known when it runs, which function it calls when it is compiled.
macro_rules! specialised {
    ($function:expr, $each:ident, $operands:expr, $method:ident) => {
        specialised!(
            $function, $each, $operands, $method;
            Sigmoid Tanh Relu Exp Log Sqrt Square Abs Neg; LeakyRelu Scale Offset
        )
    };
    ($function:expr, $each:ident, $operands:expr, $method:ident; $($plain:ident)*; $($with:ident)*) => {
        match $function {
            $($plain => $each($operands, #[inline(always)] |x| $plain.$method(x)),)*
            $($with(constant) => {
                $each($operands, #[inline(always)] move |x| $with(constant).$method(x))
            })*
        }
    };
}

impl Function {
    /// y = f(y) of every element.
    #[inline(always)]
    pub fn apply<T: Real>(self, values: &mut [T]) {
        #[inline(always)]
        fn each<T: Real>(values: &mut [T], f: impl Fn(T) -> T) {
            for value in values {
                *value = f(*value);
            }
        }
        specialised!(self, each, values, value);
    }

    /// dx = dx·f′ of every element, from the saved output or input.
    #[inline(always)]
    pub fn apply_slope<T: Real>(self, saved: &[T], slopes: &mut [T]) {
        #[inline(always)]
        fn each<T: Real>((saved, slopes): (&[T], &mut [T]), derivative: impl Fn(T) -> T) {
            for (slope, &saved) in slopes.iter_mut().zip(saved) {
                *slope = *slope * derivative(saved);
            }
        }
        specialised!(self, each, (saved, slopes), derivative);
    }
}

/// y = f(x).
#[inline(always)]
fn forward<T: Real>((x, y): (&[T], &mut [T]), f: impl Fn(T) -> T + Sync) {
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

/// dx = dy·f′.
#[inline(always)]
fn backward<T: Real>((saved, dy, dx): (&[T], &[T], &mut [T]), slope: impl Fn(T) -> T + Sync) {
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

/// y = f(x). x: any shape; y: the same.
#[derive(Debug, Clone, Copy)]
pub struct Pointwise(pub Function);

/// dx = dy·f′. Inputs: the saved x or y, dy; output dx; one shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backward(pub Function);

impl Op for Pointwise {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        super::expect_dtype("x", x, crate::DType::F32)?;
        Ok(vec![x.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let saved = if self.0.saves_output() {
            &vjp.outputs[0]
        } else {
            &vjp.inputs[0]
        };
        Ok(vec![Some(
            saved
                .graph()
                .apply_one(Backward(self.0), &[saved, vjp.dy()?]),
        )])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        Ok(launch("forward", self.0, signature, 1))
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let values = sample.inputs[0].iter().zip(&sample.results[0]);
        vec![values.map(|(&x, &y)| rounding(self.0, x, y)).collect()]
    }
}

/// How far a device's f(x) may be from y = f(x).
pub(super) fn rounding(function: Function, x: f64, y: f64) -> f64 {
    function.units(x) * (2.0 * super::UNIT * y.abs() + 1e-37) + function.absolute(x)
}

impl Function {
    /// Units in the last place that the device may differ by.
    fn units(self, x: f64) -> f64 {
        // WGSL allows 3 + 2|x| for exp and 2.5 for a division; the argument's own rounding adds |x| to exp.
        let exp = 3.0 + 3.0 * x.abs();
        match self {
            Sigmoid => exp + 4.0,
            Tanh => 2.0 * 3.0 + 3.0 * (2.0 * x).abs().min(8.0) + 8.0,
            Exp => exp,
            Log => 4.0,
            Sqrt => 4.0,
            _ => 1.0,
        }
    }

    /// WGSL's log is only within 2⁻²¹ between ½ and 2.
    fn absolute(self, x: f64) -> f64 {
        if self == Log && (0.5..=2.0).contains(&x) {
            1.0 / f64::from(1 << 21)
        } else {
            0.0
        }
    }

    /// Whether a layer may end in it: a bounded slope, so that rounding before it stays rounding.
    pub(crate) fn ends_layers(self) -> bool {
        self.steepest().is_finite() && self.saves_output()
    }

    /// The largest |f′| of a function that a layer may end in; infinity of the others.
    pub(super) fn steepest(self) -> f64 {
        match self {
            Sigmoid => 0.25,
            Tanh | Relu => 1.0,
            LeakyRelu(slope) => f64::from(slope.abs()).max(1.0),
            _ => f64::INFINITY,
        }
    }
}

impl Compute for Pointwise {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let x = io.input(0);
        let y = io.output(0);
        specialised!(self.0, forward, (x, y), value);
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        match self.0 {
            Sigmoid => "sigmoid.backward",
            Tanh => "tanh.backward",
            Relu => "relu.backward",
            LeakyRelu(_) => "leaky_relu.backward",
            _ => "pointwise.backward",
        }
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [_, dy] = arity::<2>(inputs)?;
        Ok(vec![dy.clone()])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        Ok(launch("backward", self.0, signature, 2))
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // f′ is at most 1 − s² or s(1 − s): one rounding of a number up to 1, then the product; 1/s as a division.
        let dy = &sample.inputs[1];
        let relative = sample.relative(0, 5.0).into_iter().zip(dy);
        vec![
            relative
                .map(|(relative, dy)| relative + 2.0 * super::UNIT * dy.abs())
                .collect(),
        ]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (saved, dy) = (io.input(0), io.input(1));
        let dx = io.output(0);
        specialised!(self.0, backward, (saved, dy, dx), derivative);
    }
}

fn launch(
    entry: &'static str,
    function: Function,
    signature: &Signature,
    inputs: usize,
) -> Launches {
    const WORKGROUP: u32 = 64;
    let len = signature.outputs[0].elements();
    let (code, constant) = function.code();
    Launch::new(SHADER, entry)
        .set("FUNCTION", code)
        .set("WORKGROUP", WORKGROUP)
        .param("len", len as usize)
        .param("constant", constant)
        .bind_all(inputs, 1)
        .grid(fold(len.div_ceil(4), WORKGROUP))
        .flops(len * 4)
        .into()
}

fn cases() -> Vec<Case> {
    let functions = [
        Sigmoid,
        Tanh,
        Relu,
        LeakyRelu(0.2),
        Square,
        Abs,
        Neg,
        Scale(-1.5),
        Offset(0.75),
    ];
    let shapes: [&[usize]; 9] = [
        &[1],
        &[2],
        &[3],
        &[17],
        &[33, 5],
        &[257],
        &[2, 3, 5, 7],
        &[1000],
        &[70_000],
    ];
    let mut cases = Vec::new();
    for function in functions {
        for shape in shapes {
            cases.push(Case::new(Pointwise(function)).input(shape, Fill::Uniform(-6.0, 6.0)));
            let saved = Case::new(Backward(function)).constant(shape, Fill::Uniform(-1.0, 1.0));
            cases.push(saved.constant(shape, Fill::Uniform(-2.0, 2.0)));
        }
    }
    for function in [Exp, Log, Sqrt] {
        for shape in [&[1][..], &[33], &[255], &[70_000]] {
            cases.push(Case::new(Pointwise(function)).input(shape, Fill::Uniform(0.1, 6.0)));
            let saved = Case::new(Backward(function)).constant(shape, Fill::Uniform(0.1, 6.0));
            cases.push(saved.constant(shape, Fill::Uniform(-2.0, 2.0)));
        }
    }
    // Saturated ends and the neighbourhood of zero, where a relative bound is hard to keep.
    let edges = vec![
        -100.0, -40.0, -15.0, -1e-3, -1e-6, 0.0, 1e-6, 1e-3, 15.0, 44.5, 100.0,
    ];
    for function in [Sigmoid, Tanh, Relu, LeakyRelu(0.3)] {
        cases.push(
            Case::new(Pointwise(function)).constant(&[edges.len()], Fill::Values(edges.clone())),
        );
    }
    cases
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident => $function:expr;)*) => {
        impl Tensor {
            $($(#[$doc])* #[track_caller]
            pub fn $name(&self) -> Tensor {
                self.graph().apply_one(Pointwise($function), &[self])
            })*
        }
    };
}

methods! {
    /// 1/(1 + e^−x), element by element.
    sigmoid => Sigmoid;
    /// Hyperbolic tangent, element by element.
    tanh => Tanh;
    /// max(x, 0), element by element; NaN stays NaN. Its derivative at 0 is 0.
    relu => Relu;
    /// e^x, element by element.
    exp => Exp;
    /// Natural logarithm, element by element.
    log => Log;
    /// √x, element by element.
    sqrt => Sqrt;
    /// x², element by element.
    square => Square;
    /// |x|, element by element. Its derivative at 0 is 0.
    abs => Abs;
    /// −x, element by element; also the operator `-`.
    neg => Neg;
}

impl Tensor {
    /// x for x ≥ 0 and `slope`·x below, element by element. Its derivative at 0 is the slope.
    #[track_caller]
    pub fn leaky_relu(&self, slope: f32) -> Tensor {
        self.graph().apply_one(Pointwise(LeakyRelu(slope)), &[self])
    }

    /// `factor`·x.
    #[track_caller]
    pub fn scale(&self, factor: f32) -> Tensor {
        self.graph().apply_one(Pointwise(Scale(factor)), &[self])
    }

    /// x + `constant`.
    #[track_caller]
    pub fn offset(&self, constant: f32) -> Tensor {
        self.graph().apply_one(Pointwise(Offset(constant)), &[self])
    }
}

impl std::ops::Neg for &Tensor {
    type Output = Tensor;

    #[track_caller]
    fn neg(self) -> Tensor {
        Tensor::neg(self)
    }
}
