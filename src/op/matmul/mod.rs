//! Matrix product: Y = op(A)·op(B), where op transposes or not.
//!
//! dA = dY·Bᵀ and dB = Aᵀ·dY, each in the transposition that A and B are stored in, so that no transposed copy is made.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Signature, Vjp, arity, expect_dtype,
};
use crate::number::{Product, Real};
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

mod choose;
mod dense;
mod dense_cases;
mod launches;
mod layer_gradients;
mod layout;

pub use choose::candidates;
pub use dense::{Dense, ENTRY as DENSE, End};
pub use layer_gradients::{ENTRY as LAYER_GRADIENTS, LayerGradients, LayerPart, LayerSlab};

use launches::{COMBINE, Halves, LANES, Operands, REGISTERS, TILED, VECTOR, launches};

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "matmul",
    shaders: &[TILED, REGISTERS, LANES, VECTOR, COMBINE],
    cases,
};

/// Y `[m, n]` from A `[m, k]` and B `[k, n]`; stored `[k, m]` and `[n, k]` where transposed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MatMul {
    /// A is stored `[k, m]`.
    pub transpose_a: bool,
    /// B is stored `[n, k]`.
    pub transpose_b: bool,
}

impl MatMul {
    /// m, n and k, or why the shapes do not fit.
    fn product(self, a: &TensorType, b: &TensorType) -> Result<Product, String> {
        let MatMul {
            transpose_a,
            transpose_b,
        } = self;
        let (&[a0, a1], &[b0, b1]) = (a.shape.dims(), b.shape.dims()) else {
            return Err(format!("takes two matrices, got {a} × {b}"));
        };
        let (m, k) = if transpose_a { (a1, a0) } else { (a0, a1) };
        let (k_b, n) = if transpose_b { (b1, b0) } else { (b0, b1) };
        if k != k_b {
            let mark = |transposed| if transposed { "ᵀ" } else { "" };
            let (ta, tb) = (mark(transpose_a), mark(transpose_b));
            return Err(format!(
                "inner dimensions differ: {}{ta} × {}{tb}",
                a.shape, b.shape
            ));
        }
        Ok(Product {
            m,
            n,
            k,
            transpose_a,
            transpose_b,
        })
    }

    fn of(self, signature: &Signature) -> Product {
        self.product(&signature.inputs[0], &signature.inputs[1])
            .unwrap_or_else(|_source| unreachable!("the shape rule admitted these shapes"))
    }
}

impl Op for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [a, b] = arity::<2>(inputs)?;
        expect_dtype("a", a, DType::F32)?;
        expect_dtype("b", b, DType::F32)?;
        let Product { m, n, .. } = self.product(a, b)?;
        Ok(vec![TensorType::f32([m, n])])
    }

    fn sums_nothing_to_zero(&self) -> bool {
        true
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (a, b, dy) = (&vjp.inputs[0], &vjp.inputs[1], vjp.dy()?);
        let product = |a: &Tensor, transpose_a, b: &Tensor, transpose_b| {
            a.graph().apply_one(
                MatMul {
                    transpose_a,
                    transpose_b,
                },
                &[a, b],
            )
        };
        // With A stored as op(A)ᵀ its gradient is the transpose of dY·op(B)ᵀ, which is op(B)·dYᵀ.
        let da = || match self.transpose_a {
            false => product(dy, false, b, !self.transpose_b),
            true => product(b, self.transpose_b, dy, true),
        };
        let db = || match self.transpose_b {
            false => product(a, !self.transpose_a, dy, false),
            true => product(dy, true, a, self.transpose_a),
        };
        Ok(vec![vjp.wanted[0].then(da), vjp.wanted[1].then(db)])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        launches(&self.of(signature), &Operands::default(), target)
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let product = self.of(sample.signature);
        vec![rounding(&product, &sample.inputs[0], &sample.inputs[1])]
    }
}

/// γₖ·(|A|·|B|), whatever the order of the sum.
pub(super) fn rounding(product: &Product, a: &[f64], b: &[f64]) -> Vec<f64> {
    let magnitude = |values: &[f64]| values.iter().map(|value| value.abs()).collect::<Vec<_>>();
    let mut terms = vec![0.0; product.m * product.n];
    product.plain(&magnitude(a), &magnitude(b), &mut terms);
    for terms in &mut terms {
        *terms = Sample::gamma(product.k) * *terms + 1e-37;
    }
    terms
}

impl Compute for MatMul {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (a, b) = (io.input(0), io.input(1));
        let product = self.of(io.signature);
        T::product(&product, a, b, io.output(0), &|_, _| {});
    }
}

fn cases() -> Vec<Case> {
    let shapes = [
        (1, 1, 1),
        (1, 1, 257),
        (1, 257, 1),
        (2, 3, 1),
        (3, 2, 17),
        (17, 33, 5),
        (32, 10, 8),
        (10, 8, 32),
        (33, 1, 10),
        (64, 64, 64),
        (65, 63, 66),
        (128, 10, 257),
        (8, 256, 255),
        (255, 8, 256),
        (130, 127, 129),
        (5, 7, 1000),
        (3, 2, 70_000),
        // A vector, or a few.
        (1, 1000, 255),
        (1, 33, 64),
        (257, 1, 130),
        (4, 130, 516),
        (7, 66, 1023),
        (67, 6, 513),
        // With fewer slices of k than rows.
        (7, 66, 96),
        (65, 8, 64),
    ];
    let mut cases = Vec::new();
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
        for (m, n, k) in shapes {
            let a = if transpose_a { [k, m] } else { [m, k] };
            let b = if transpose_b { [n, k] } else { [k, n] };
            let case = Case::new(MatMul {
                transpose_a,
                transpose_b,
            });
            cases.push(
                case.input(&a, Fill::Uniform(-1.0, 1.0))
                    .input(&b, Fill::Uniform(-1.0, 1.0)),
            );
        }
    }
    cases
}

impl Tensor {
    /// The matrix product of `[m, k]` and `[k, n]`, `[m, n]`.
    #[track_caller]
    pub fn matmul(&self, b: &Tensor) -> Tensor {
        self.graph().apply_one(MatMul::default(), &[self, b])
    }
}
