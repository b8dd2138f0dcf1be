//! Squared distances of rows from centers: dᵣᵤ = Σₖ (xᵣₖ − cᵤₖ)², as radial basis functions need them (Broomhead and Lowe,
//! 1988).
//!
//! An op of one's own, by nothing but Kiln's public items, in the order in which Kiln's own ops are written: formula,
//! struct, shape rule, gradient, launch, bound, CPU form, cases, a method for tensors, and a layer that uses it.

use kiln::cpu::Real;
use kiln::nn::{Call, Parameter};
use kiln::op::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    expect_dtype, fold,
};
use kiln::plan::Target;
use kiln::prelude::*;
use kiln::{DType, Shape, TensorType};

/// What `kiln::check::survey` takes.
pub const ENTRY: Entry = Entry {
    name: "distances",
    shaders: &[],
    cases,
};

/// Invocations of a workgroup.
const WORKGROUP: u32 = 64;

/// d = Σₖ (x − c)². x `[rows, columns]`, c `[units, columns]`, d `[rows, units]`.
#[derive(Debug, Clone, Copy)]
pub struct Distances;

/// dL/dx or dL/dc from x, c and dL/dd, shaped as what it is the gradient of.
#[derive(Debug, Clone, Copy)]
pub enum Backward {
    X,
    C,
}

impl Op for Distances {
    fn name(&self) -> &'static str {
        "distances"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x, c] = arity::<2>(inputs)?;
        expect_dtype("x", x, DType::F32)?;
        expect_dtype("c", c, DType::F32)?;
        match (x.shape.dims(), c.shape.dims()) {
            (&[rows, columns], &[units, same]) if columns == same => {
                Ok(vec![TensorType::f32([rows, units])])
            }
            _ => Err(format!(
                "takes two matrices with as many columns, got {x} and {c}"
            )),
        }
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let [x, c] = vjp.inputs else {
            return Err("takes two inputs".into());
        };
        let dd = vjp.dy()?;
        let by = |side| x.graph().apply_one(side, &[x, c, dd]);
        let dx = vjp.wanted[0].then(|| by(Backward::X));
        let dc = vjp.wanted[1].then(|| by(Backward::C));
        Ok(vec![dx, dc])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let (_, columns) = signature.inputs[0].shape.rows_and_columns();
        let launch = launch("forward", signature, &signature.outputs[0]);
        Ok(launch
            .bind_all(2, 1)
            .iterations(columns as u64)
            .flops(3 * columns as u64 * signature.outputs[0].elements())
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // No term is below 0, so the error of a sum of products is a share of the sum; two roundings more for the
        // difference, which is squared.
        let (_, columns) = sample.signature.inputs[0].shape.rows_and_columns();
        let gamma = Sample::gamma(columns + 2);
        let distances = sample.results[0].iter();
        vec![distances.map(|d| gamma * d + 1e-37).collect()]
    }
}

impl Compute for Distances {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let ((_, columns), (units, _)) = (io.matrix(0), io.matrix(1));
        let (x, c) = (io.input(0), io.input(1));
        let rows = io.output(0).chunks_exact_mut(units);
        for (d, x) in rows.zip(x.chunks_exact(columns)) {
            for (d, c) in d.iter_mut().zip(c.chunks_exact(columns)) {
                *d = x.iter().zip(c).map(|(&x, &c)| (x - c) * (x - c)).sum();
            }
        }
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        match self {
            Backward::X => "distances.backward_x",
            Backward::C => "distances.backward_c",
        }
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x, c, _dd] = arity::<3>(inputs)?;
        Ok(vec![match self {
            Backward::X => x.clone(),
            Backward::C => c.clone(),
        }])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let (entry, across) = match self {
            Backward::X => ("backward_x", &signature.inputs[1]),
            Backward::C => ("backward_c", &signature.inputs[0]),
        };
        let (terms, _) = across.shape.rows_and_columns();
        Ok(launch(entry, signature, &signature.outputs[0])
            .bind_all(3, 1)
            .iterations(terms as u64)
            .flops(3 * terms as u64 * signature.outputs[0].elements())
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // Terms have either sign, so the error is a share of the sum of their sizes; a rounding more for the difference.
        let inputs = &sample.signature.inputs;
        let ((rows, columns), (units, _)) = (
            inputs[0].shape.rows_and_columns(),
            inputs[1].shape.rows_and_columns(),
        );
        let terms = match self {
            Backward::X => units,
            Backward::C => rows,
        };
        let mut sizes = vec![0.0; sample.results[0].len()];
        let [x, c, dd] = [0, 1, 2].map(|input| &sample.inputs[input]);
        self.each(rows, columns, units, |i, at_x, at_c, at_d| {
            sizes[i] += 2.0 * ((x[at_x] - c[at_c]) * dd[at_d]).abs();
        });
        let gamma = Sample::gamma(terms + 2);
        vec![sizes.iter().map(|size| gamma * size + 1e-37).collect()]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let ((rows, columns), (units, _)) = (io.matrix(0), io.matrix(1));
        let (x, c, dd) = (io.input(0), io.input(1), io.input(2));
        let factor = T::constant(match self {
            Backward::X => 2.0,
            Backward::C => -2.0,
        });
        let result = io.output(0);
        result.fill(T::zero());
        self.each(rows, columns, units, |i, at_x, at_c, at_d| {
            result[i] += factor * (x[at_x] - c[at_c]) * dd[at_d];
        });
    }
}

impl Backward {
    /// Calls `term` with the places of a result, x, c and dd, for every term of every result.
    #[inline(always)]
    fn each(
        self,
        rows: usize,
        columns: usize,
        units: usize,
        mut term: impl FnMut(usize, usize, usize, usize),
    ) {
        for row in 0..rows {
            for unit in 0..units {
                for k in 0..columns {
                    let (at_x, at_c) = (row * columns + k, unit * columns + k);
                    let result = match self {
                        Backward::X => at_x,
                        Backward::C => at_c,
                    };
                    term(result, at_x, at_c, row * units + unit);
                }
            }
        }
    }
}

/// A dispatch with an invocation to each element of `result`; the first two operands are x and c.
fn launch(entry: &'static str, signature: &Signature, result: &TensorType) -> Launch {
    let (rows, columns) = signature.inputs[0].shape.rows_and_columns();
    let (units, _) = signature.inputs[1].shape.rows_and_columns();
    let shader = Shader::with_prelude("distances", include_str!("distances.wgsl"));
    Launch::new(shader, entry)
        .set("WORKGROUP", WORKGROUP)
        .param("rows", rows)
        .param("columns", columns)
        .param("units", units)
        .grid(fold(result.elements(), WORKGROUP))
}

/// Rows, columns and units on both sides of a workgroup's size.
fn cases() -> Vec<Case> {
    let sizes = [
        (1, 1, 1),
        (1, 3, 2),
        (2, 1, 3),
        (3, 2, 1),
        (7, 5, 3),
        (17, 2, 16),
        (33, 4, 31),
        (64, 2, 1),
        (65, 1, 64),
        (255, 3, 7),
        (257, 2, 33),
        (1000, 2, 16),
    ];
    let mut cases = Vec::new();
    for (rows, columns, units) in sizes {
        let x = [rows, columns];
        let c = [units, columns];
        let operands = |case: Case| {
            case.input(&x, Fill::Uniform(-2.0, 3.0))
                .input(&c, Fill::Uniform(-3.0, 2.0))
        };
        cases.push(operands(Case::new(Distances)));
        for side in [Backward::X, Backward::C] {
            let backward = operands(Case::new(side));
            let backward = backward.input(&[rows, units], Fill::Uniform(-1.0, 1.0));
            cases.push(backward.without_gradient());
        }
    }
    cases
}

/// What tensors can do once this trait is in scope.
pub trait DistancesExt {
    /// The squared distance of every row from every row of `centers`: `[rows, units]`.
    fn distances(&self, centers: &Tensor) -> Tensor;
}

impl DistancesExt for Tensor {
    #[track_caller]
    fn distances(&self, centers: &Tensor) -> Tensor {
        self.graph().apply_one(Distances, &[self, centers])
    }
}

/// Radial basis functions: yᵤ = e^(−|x − cᵤ|²/width²) with trained centers c.
#[derive(Debug)]
pub struct RadialBasis {
    /// How many centers.
    pub units: usize,
    /// How far a center reaches.
    pub width: f32,
}

impl Layer for RadialBasis {
    fn class(&self) -> &'static str {
        "RadialBasis"
    }

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        let columns = inputs[0].dims().last().copied().unwrap_or(1);
        let spread = Initializer::Uniform(-1.0, 1.0);
        vec![Parameter::new("centers", [self.units, columns], spread)]
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let distances = inputs[0].distances(&call.weight("centers"));
        distances.scale(-1.0 / (self.width * self.width)).exp()
    }

    fn validate(&self) -> Result<()> {
        if self.width > 0.0 && self.width.is_finite() {
            return Ok(());
        }
        let message = format!("must be above 0 and finite, got {}", self.width);
        Err(Error::argument("width", message))
    }
}
