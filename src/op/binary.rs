//! Arithmetic of two tensors, element by element: y = a ∘ b, with NumPy's broadcasting.
//!
//! The larger and the smaller of two keep a NaN of either; where they are equal the gradient goes to a, as in TensorFlow
//! (PyTorch shares it). A comparison is 1 or 0, without a gradient; a power is NaN where either is, or a < 0 and b no whole number.
//!
//! Shapes are aligned at their last dimension; a dimension of size one, or one that is missing, is repeated.
//! Gradients are summed over what was repeated.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    expect_dtype, shader,
};
use crate::number::Real;
use crate::op::shape::broadcast::{RANK, Walk, broadcast, combine};
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

const SHADER: Shader = shader!("binary", "functions");

pub const ENTRY: Entry = Entry::new("binary", &[SHADER], cases);

macro_rules! operators {
    ($($(#[$doc:meta])* $operator:ident $method:ident |$a:ident, $b:ident| $value:expr;)*) => {
        /// An operator between two numbers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Operator {
            $($(#[$doc])* $operator,)*
        }

        impl Operator {
            const ALL: &[Operator] = &[$($operator,)*];

            fn name(self) -> &'static str {
                match self {
                    $($operator => stringify!($method),)*
                }
            }
        }

        use Operator::{$($operator),*};

        impl Compute for Binary {
            #[inline(always)]
            fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
                match self.0 {
                    $($operator => combine(io, #[inline(always)] |$a, $b| $value),)*
                }
            }
        }

        /// # Arithmetic of two tensors
        ///
        /// Shapes broadcast as in NumPy: aligned at their last dimension, one that is missing or of size one is repeated. What
        /// does not broadcast is refused. `+`, `-`, `*` and `/` take tensors, references to them, and numbers on either
        /// side.
        ///
        /// ```
        /// let graph = kiln::Graph::new();
        /// let (a, b) = (graph.input("a", [4, 1, 6]), graph.input("b", [3, 1]));
        /// assert_eq!((&a + &b).shape().dims(), [4, 3, 6]);
        /// ```
        impl Tensor {
            $($(#[$doc])* #[track_caller]
            pub fn $method(&self, b: &Tensor) -> Tensor {
                self.graph().apply_one(Binary($operator), &[self, b])
            })*
        }
    };
}

operators! {
    /// a + b; also the operator `+`.
    Add add |a, b| a + b;
    /// a − b; also the operator `-`.
    Sub sub |a, b| a - b;
    /// a·b; also the operator `*`.
    Mul mul |a, b| a * b;
    /// a/b; also the operator `/`.
    Div div |a, b| a / b;
    /// The larger of a and b; NaN if either is. Where they are equal the gradient goes to a.
    Maximum maximum |a, b| if b > a || b.is_nan() { b } else { a };
    /// The smaller of a and b; NaN if either is. Where they are equal the gradient goes to a.
    Minimum minimum |a, b| if b < a || b.is_nan() { b } else { a };
    /// 1 where a ≥ b, else 0. It has no gradient.
    GreaterEqual greater_equal |a, b| if a >= b { T::one() } else { T::zero() };
    /// 1 where a > b, else 0. It has no gradient.
    Greater greater |a, b| if a > b { T::one() } else { T::zero() };
    /// 1 where a = b, else 0. It has no gradient.
    Equal equal |a, b| if a == b { T::one() } else { T::zero() };
    /// aᵇ; NaN where either is, and where a < 0 and b is no whole number. For an exponent that is a constant see
    /// [`pow`](Tensor::pow).
    Power power |a, b| match (a.is_nan(), b.is_nan()) {
        (true, _) => a,
        (_, true) => b,
        _ => a.powf(b),
    };
}

/// y = a ∘ b.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binary(pub Operator);

impl Op for Binary {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [a, b] = arity::<2>(inputs)?;
        expect_dtype("a", a, DType::F32)?;
        expect_dtype("b", b, DType::F32)?;
        let shape = broadcast(a.shape.dims(), b.shape.dims())
            .ok_or_else(|| format!("shapes {} and {} do not broadcast", a.shape, b.shape))?;
        if Walk::of(&a.shape, &b.shape, &shape).is_none() {
            return Err(format!(
                "broadcasting handles {RANK} dimensions at most, got {} and {}",
                a.shape, b.shape
            ));
        }
        Ok(vec![TensorType::f32(shape)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (a, b, dy) = (&vjp.inputs[0], &vjp.inputs[1], vjp.dy()?);
        // The gradient by an input, if it is wanted, summed over what was repeated.
        let by = |input: usize, gradient: &dyn Fn() -> Tensor| {
            let shape = || vjp.inputs[input].shape();
            vjp.wanted[input].then(|| gradient().sum_to(shape()))
        };
        Ok(match self.0 {
            Add => vec![by(0, &|| dy.clone()), by(1, &|| dy.clone())],
            Sub => vec![by(0, &|| dy.clone()), by(1, &|| dy.neg())],
            Mul => vec![by(0, &|| dy.mul(b)), by(1, &|| dy.mul(a))],
            Div => vec![
                by(0, &|| dy.div(b)),
                // d(a/b)/db = −(a/b)/b.
                by(1, &|| dy.mul(&vjp.outputs[0]).div(b).neg()),
            ],
            Maximum | Minimum => {
                let a_wins = match self.0 {
                    Maximum => a.greater_equal(b),
                    _ => b.greater_equal(a),
                };
                vec![
                    by(0, &|| dy.mul(&a_wins)),
                    by(1, &|| dy.mul(&a_wins.neg().offset(1.0))),
                ]
            }
            GreaterEqual | Greater | Equal => vec![None, None],
            Power => {
                let (y, zero) = (&vjp.outputs[0], a.graph().constant([], &[0.0]));
                // b·aᵇ⁻¹, and aᵇ·ln a: 0 where b is, and where a is, even if the other factor is no number there.
                let slope = || {
                    let slope = b.mul(&a.power(&b.offset(-1.0)));
                    b.equal(&zero).choose(&zero, &slope)
                };
                let growth = || a.equal(&zero).choose(&zero, &a.log()).mul(y);
                vec![by(0, &|| dy.mul(&slope())), by(1, &|| dy.mul(&growth()))]
            }
        })
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let (a, b, y) = (
            &signature.inputs[0].shape,
            &signature.inputs[1].shape,
            &signature.outputs[0].shape,
        );
        let len = y.elements();
        let same = a == b;
        let walk = Walk::admitted(a, b, y);
        let mut launch = Launch::new(SHADER, if same { "forward_same" } else { "forward" })
            .set("OPERATOR", self.0 as u32)
            .param("len", len as usize)
            .bind_all(2, 1)
            .over(if same { len.div_ceil(4) } else { len }, 64)
            .flops(len);
        let names = [
            "d1", "d2", "d3", "a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3",
        ];
        let values = walk.sizes.into_iter().skip(1).chain(walk.a).chain(walk.b);
        for (name, value) in names.into_iter().zip(values) {
            launch = launch.param(name, value);
        }
        Ok(launch.into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // One rounding; WGSL allows a division 2.5 units; what is chosen is exact.
        let units = match self.0 {
            Add | Sub | Mul => 0.5,
            Div => 3.0,
            Maximum | Minimum | GreaterEqual | Greater | Equal => 0.0,
            // e^(b·ln a): the logarithm's 4 units and the product's count as often as b·ln a is large.
            Power => {
                let y = sample.results[0].iter();
                let units = y.map(|y| 4.0 + 12.0 * y.abs().max(1e-45).ln().abs().min(200.0));
                let bound = sample.relative(0, 1.0).into_iter().zip(units);
                return vec![bound.map(|(one, units)| one * units).collect()];
            }
        };
        vec![sample.relative(0, units)]
    }
}

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], &[usize]); 13] = [
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
        (&[2, 3, 4, 2, 3], &[3, 1, 1, 1]),
        (&[2, 3, 1, 1, 2, 2], &[2, 3, 3, 2, 2, 2]),
    ];
    let mut cases = Vec::new();
    for &operator in Operator::ALL {
        for (a, b) in shapes {
            let any = Fill::Uniform(-3.0, 3.0);
            // Away from zero, where a quotient, a logarithm and their differences would blow up; of what is compared much is
            // equal.
            let (first, second) = match operator {
                Div => (any, Fill::Uniform(0.5, 3.0)),
                Power => (Fill::Uniform(0.3, 3.0), any),
                GreaterEqual | Greater | Equal => (Fill::Binary, Fill::Binary),
                _ => (any.clone(), any),
            };
            let case = Case::new(Binary(operator)).input(a, first).input(b, second);
            cases.push(match operator {
                GreaterEqual | Greater | Equal => case.without_gradient().without_nan(),
                _ => case,
            });
        }
    }
    // Negative and zero bases, the exponents that are whole even and odd, and one that is not.
    let bases = vec![-2.0, -2.0, -1.5, 0.0, 0.0, 0.0, 3.0, -0.5, 1.0, 2.0];
    let exponents = vec![2.0, 3.0, -1.0, 0.0, 2.0, 0.5, 0.0, -2.0, 100.0, 0.5];
    let case = Case::new(Binary(Power)).input(&[10], Fill::Values(bases));
    cases.push(
        case.input(&[10], Fill::Values(exponents))
            .without_gradient(),
    );
    cases
}
