//! Arithmetic of two tensors, element by element: y = a ∘ b, with NumPy's broadcasting.
//!
//! The larger and the smaller of two keep a NaN of either; of equals the gradient goes to a, as in TensorFlow (PyTorch shares
//! it). A comparison is 1 or 0, without a gradient.
//!
//! Shapes are aligned at their last dimension; a dimension of size one, or one that is missing, is repeated.
//! Gradients are summed over what was repeated.

use crate::cpu::Real;
use crate::cpu::parallel::{Table, pieces};
use crate::plan::Target;
use crate::{DType, Shape, Tensor, TensorType};

use super::launch::shader;
use super::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    fold,
};

const SHADER: Shader = shader!("binary");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "binary",
    shaders: &[SHADER],
    cases,
};

/// Most dimensions that broadcasting handles.
const RANK: usize = 4;

/// An operator between two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// a + b.
    Add,
    /// a − b.
    Sub,
    /// a·b.
    Mul,
    /// a/b.
    Div,
    /// The larger of a and b; NaN if either is.
    Maximum,
    /// The smaller of a and b; NaN if either is.
    Minimum,
    /// 1 where a ≥ b, else 0.
    GreaterEqual,
}

use Operator::{Add, Div, GreaterEqual, Maximum, Minimum, Mul, Sub};

/// y = a ∘ b.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binary(pub Operator);

impl Op for Binary {
    fn name(&self) -> &'static str {
        match self.0 {
            Add => "add",
            Sub => "sub",
            Mul => "mul",
            Div => "div",
            Maximum => "maximum",
            Minimum => "minimum",
            GreaterEqual => "greater_equal",
        }
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [a, b] = arity::<2>(inputs)?;
        super::expect_dtype("a", a, DType::F32)?;
        super::expect_dtype("b", b, DType::F32)?;
        let shape = broadcast(a.shape.dims(), b.shape.dims())
            .ok_or_else(|| format!("shapes {} and {} do not broadcast", a.shape, b.shape))?;
        if a != b && shape.len() > RANK {
            return Err(format!(
                "broadcasting handles {RANK} dimensions at most, got {} and {}",
                a.shape, b.shape
            ));
        }
        Ok(vec![TensorType::f32(shape)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (a, b, dy) = (&vjp.inputs[0], &vjp.inputs[1], vjp.dy()?);
        let (da, db) = (
            |gradient: Tensor| gradient.sum_to(a.shape()),
            |gradient: Tensor| gradient.sum_to(b.shape()),
        );
        let (want_a, want_b) = (vjp.wanted[0], vjp.wanted[1]);
        Ok(match self.0 {
            Add => vec![
                want_a.then(|| da(dy.clone())),
                want_b.then(|| db(dy.clone())),
            ],
            Sub => vec![want_a.then(|| da(dy.clone())), want_b.then(|| db(dy.neg()))],
            Mul => vec![want_a.then(|| da(dy.mul(b))), want_b.then(|| db(dy.mul(a)))],
            Div => vec![
                want_a.then(|| da(dy.div(b))),
                // d(a/b)/db = −(a/b)/b.
                want_b.then(|| db(dy.mul(&vjp.outputs[0]).div(b).neg())),
            ],
            Maximum | Minimum => {
                let a_wins = match self.0 {
                    Maximum => a.greater_equal(b),
                    _ => b.greater_equal(a),
                };
                let b_wins = || a_wins.neg().offset(1.0);
                vec![
                    want_a.then(|| da(dy.mul(&a_wins))),
                    want_b.then(|| db(dy.mul(&b_wins()))),
                ]
            }
            GreaterEqual => vec![None, None],
        })
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        const WORKGROUP: u32 = 64;
        let (a, b, y) = (
            &signature.inputs[0].shape,
            &signature.inputs[1].shape,
            &signature.outputs[0].shape,
        );
        let len = y.elements();
        let same = a == b;
        let dims = padded(y.dims());
        let (a, b) = (strides(a, y), strides(b, y));
        let mut launch = Launch::new(SHADER, if same { "forward_same" } else { "forward" })
            .set("OPERATOR", self.0 as u32)
            .set("WORKGROUP", WORKGROUP)
            .param("len", len as usize)
            .bind_all(2, 1)
            .grid(fold(if same { len.div_ceil(4) } else { len }, WORKGROUP))
            .flops(len);
        for (name, value) in ["d1", "d2", "d3"].into_iter().zip(&dims[1..]) {
            launch = launch.param(name, *value);
        }
        for (names, strides) in [(["a0", "a1", "a2", "a3"], a), (["b0", "b1", "b2", "b3"], b)] {
            for (name, stride) in names.into_iter().zip(strides) {
                launch = launch.param(name, stride);
            }
        }
        Ok(launch.into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // One rounding; WGSL allows a division 2.5 units; what is chosen is exact.
        let units = match self.0 {
            Add | Sub | Mul => 0.5,
            Div => 3.0,
            Maximum | Minimum | GreaterEqual => 0.0,
        };
        vec![sample.relative(0, units)]
    }
}

impl Compute for Binary {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        match self.0 {
            Add => combine(
                io,
                #[inline(always)]
                |a, b| a + b,
            ),
            Sub => combine(
                io,
                #[inline(always)]
                |a, b| a - b,
            ),
            Mul => combine(
                io,
                #[inline(always)]
                |a, b| a * b,
            ),
            Div => combine(
                io,
                #[inline(always)]
                |a, b| a / b,
            ),
            Maximum => combine(
                io,
                #[inline(always)]
                |a, b| if b > a || b.is_nan() { b } else { a },
            ),
            Minimum => combine(
                io,
                #[inline(always)]
                |a, b| if b < a || b.is_nan() { b } else { a },
            ),
            GreaterEqual => combine(
                io,
                #[inline(always)]
                |a, b| if a >= b { T::one() } else { T::zero() },
            ),
        }
    }
}

#[inline(always)]
fn combine<T: Real>(io: &mut Io<'_, T>, apply: impl Fn(T, T) -> T + Copy + Sync) {
    let (a, b) = (io.input(0), io.input(1));
    let signature = io.signature();
    let [a_shape, b_shape, y_shape] = [
        &signature.inputs[0].shape,
        &signature.inputs[1].shape,
        &signature.outputs[0].shape,
    ];
    let y = io.output(0);
    if a_shape == b_shape {
        pieces::<T, _>(
            y.len(),
            12,
            (y, a, b),
            #[inline(always)]
            |_, (y, a, b)| {
                for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                    *y = apply(a, b);
                }
            },
        );
        return;
    }
    let [_, d1, d2, d3] = padded(y_shape.dims());
    let (s, t) = (strides(a_shape, y_shape), strides(b_shape, y_shape));
    let rows = y.len() / d3.max(1);
    pieces::<T, _>(
        rows,
        12 * d3,
        Table(y, d3),
        #[inline(always)]
        |first, Table(y, _)| {
            let mut at = [first / (d1 * d2), first / d2 % d1, first % d2];
            for y in y.chunks_exact_mut(d3) {
                let [i0, i1, i2] = at;
                let a = &a[i0 * s[0] + i1 * s[1] + i2 * s[2]..];
                let b = &b[i0 * t[0] + i1 * t[1] + i2 * t[2]..];
                at = match at {
                    [i0, i1, i2] if i2 + 1 < d2 => [i0, i1, i2 + 1],
                    [i0, i1, _] if i1 + 1 < d1 => [i0, i1 + 1, 0],
                    [i0, ..] => [i0 + 1, 0, 0],
                };
                // A stride of the last dimension is 1, or 0 where one element stands for all.
                match (s[3], t[3]) {
                    (0, 0) => y.fill(apply(a[0], b[0])),
                    (0, _) => {
                        for (y, &b) in y.iter_mut().zip(b) {
                            *y = apply(a[0], b);
                        }
                    }
                    (_, 0) => {
                        for (y, &a) in y.iter_mut().zip(a) {
                            *y = apply(a, b[0]);
                        }
                    }
                    _ => {
                        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                            *y = apply(a, b);
                        }
                    }
                }
            }
        },
    );
}

/// The common shape of two, or none.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (a, b) if a == b || b == 1 => Some(a),
            (1, b) => Some(b),
            _ => None,
        })
        .collect()
}

/// Four sizes, ones in front; more than four flatten, which only equal shapes may have.
fn padded(dims: &[usize]) -> [usize; RANK] {
    if dims.len() > RANK {
        return [1, 1, 1, dims.iter().product()];
    }
    let mut padded = [1; RANK];
    padded[RANK - dims.len()..].copy_from_slice(dims);
    padded
}

/// The strides by which an operand follows the output's four dimensions; 0 where it is repeated.
fn strides(operand: &Shape, output: &Shape) -> [usize; RANK] {
    let (dims, output) = (padded(operand.dims()), padded(output.dims()));
    let mut strides = [0; RANK];
    let mut stride = 1;
    for i in (0..RANK).rev() {
        if dims[i] == output[i] {
            strides[i] = stride;
        }
        stride *= dims[i];
    }
    strides
}

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], &[usize]); 11] = [
        (&[1], &[1]),
        (&[17], &[17]),
        (&[2, 3, 5, 7, 2], &[2, 3, 5, 7, 2]),
        (&[33, 10], &[10]),
        (&[257], &[1]),
        (&[3, 1], &[1, 5]),
        (&[4, 1, 6], &[3, 1]),
        (&[2, 3, 4, 5], &[3, 1, 5]),
        (&[1, 255], &[256, 255]),
        (&[], &[7]),
        (&[70, 1000], &[70, 1000]),
    ];
    let mut cases = Vec::new();
    for operator in [Add, Sub, Mul, Div, Maximum, Minimum, GreaterEqual] {
        for (a, b) in shapes {
            // Away from zero, where a quotient and its differences would blow up.
            let divisor = if operator == Div {
                Fill::Uniform(0.5, 3.0)
            } else {
                Fill::Uniform(-3.0, 3.0)
            };
            let case = Case::new(Binary(operator))
                .input(a, Fill::Uniform(-3.0, 3.0))
                .input(b, divisor);
            cases.push(match operator {
                GreaterEqual => case.without_gradient().without_nan(),
                _ => case,
            });
        }
    }
    cases
}

impl Tensor {
    /// a + b with broadcasting; also the operator `+`.
    #[track_caller]
    pub fn add(&self, b: &Tensor) -> Tensor {
        self.graph().apply_one(Binary(Add), &[self, b])
    }

    /// a − b with broadcasting; also the operator `-`.
    #[track_caller]
    pub fn sub(&self, b: &Tensor) -> Tensor {
        self.graph().apply_one(Binary(Sub), &[self, b])
    }

    /// a·b element by element, with broadcasting; also the operator `*`.
    #[track_caller]
    pub fn mul(&self, b: &Tensor) -> Tensor {
        self.graph().apply_one(Binary(Mul), &[self, b])
    }

    /// a/b element by element, with broadcasting; also the operator `/`.
    #[track_caller]
    pub fn div(&self, b: &Tensor) -> Tensor {
        self.graph().apply_one(Binary(Div), &[self, b])
    }

    /// The larger of a and b element by element, with broadcasting; NaN if either is. Of equals the gradient goes to a.
    #[track_caller]
    pub fn maximum(&self, b: &Tensor) -> Tensor {
        self.graph().apply_one(Binary(Maximum), &[self, b])
    }

    /// The smaller of a and b element by element, with broadcasting; NaN if either is. Of equals the gradient goes to a.
    #[track_caller]
    pub fn minimum(&self, b: &Tensor) -> Tensor {
        self.graph().apply_one(Binary(Minimum), &[self, b])
    }

    /// 1 where a ≥ b, else 0, element by element, with broadcasting; it has no gradient.
    #[track_caller]
    pub fn greater_equal(&self, b: &Tensor) -> Tensor {
        self.graph().apply_one(Binary(GreaterEqual), &[self, b])
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident),*) => {$(
        impl std::ops::$trait for &Tensor {
            type Output = Tensor;

            #[track_caller]
            fn $method(self, b: &Tensor) -> Tensor {
                Tensor::$method(self, b)
            }
        }
    )*};
}
operators!(Add add, Sub sub, Mul mul, Div div);
