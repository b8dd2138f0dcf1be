//! Softmax of each row: yⱼ = e^(xⱼ − m)/Σₖ e^(xₖ − m) with m the row's largest; dxⱼ = yⱼ·(dyⱼ − Σₖ dyₖ·yₖ).
//!
//! A row is the last dimension. The shift by m changes nothing but the range: no power overflows (Goodfellow, Bengio,
//! Courville: Deep Learning, 2016, section 4.1).

use crate::cpu::Real;
use crate::cpu::parallel::{Table, pieces};
use crate::plan::Target;
use crate::{DType, Tensor, TensorType};

use super::launch::shader;
use super::rows::{Rows, per_row};
use super::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, UNIT, Vjp, arity,
};

const SHADER: Shader = shader!("softmax", "rows");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "softmax",
    shaders: &[SHADER],
    cases,
};

/// y = softmax x, row by row. x: at least one dimension; y: the same shape.
#[derive(Debug, Clone, Copy, Default)]
pub struct Softmax;

/// dx = y ⊙ (dy − Σ dy ⊙ y). Inputs: y, dy; output dx; one shape.
#[derive(Debug, Clone, Copy)]
struct Backward;

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        super::expect_dtype("x", x, DType::F32)?;
        per_row("x", x)?;
        Ok(vec![x.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let y = &vjp.outputs[0];
        Ok(vec![Some(y.graph().apply_one(Backward, &[y, vjp.dy()?]))])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let rows = Rows::new(&signature.inputs[0].shape, 3, target);
        Ok(rows.launch(SHADER, "forward", 3, 2).bind_all(1, 1).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // The relative errors of power, sum and division add up.
        let (_, columns) = sample.signature.inputs[0].shape.rows_and_columns();
        let mut bound = sample.relative(0, 3.0);
        let rows = sample.inputs[0].chunks_exact(columns);
        for ((bound, y), row) in bound
            .chunks_exact_mut(columns)
            .zip(sample.results[0].chunks_exact(columns))
            .zip(rows)
        {
            let powers = Powers::of(row);
            let sum_error = powers.sum_error(row);
            for ((bound, y), x) in bound.iter_mut().zip(y).zip(row) {
                *bound += y * (exp_error(x - powers.largest) + sum_error);
            }
        }
        vec![bound]
    }
}

impl Compute for Softmax {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (_, columns) = io.matrix(0);
        let x = io.input(0);
        let operands = (Table(io.output(0), columns), Table(x, columns));
        let rows = x.len() / columns;
        pieces::<T, _>(
            rows,
            16 * columns,
            operands,
            #[inline(always)]
            |_, (Table(y, _), Table(x, _))| {
                powers(x, columns, y);
                for y in y.chunks_exact_mut(columns) {
                    let sum = T::total(y);
                    for y in y {
                        *y = *y / sum;
                    }
                }
            },
        );
    }
}

/// y = e^(x − m) with m the largest of each row. All powers in one loop, because rows may be shorter than a vector.
#[inline(always)]
pub(super) fn powers<T: Real>(x: &[T], columns: usize, y: &mut [T]) {
    for (y, x) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
        let largest = largest(x);
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x - largest;
        }
    }
    for y in y {
        *y = y.power_of_e();
    }
}

/// The largest element of a row.
#[inline(always)]
pub(super) fn largest<T: Real>(row: &[T]) -> T {
    row.iter().fold(row[0], |m, &x| if x > m { x } else { m })
}

/// The largest element m of a row, and Σ e^(x − m): a NaN in the row is a NaN here.
pub(super) struct Powers<T> {
    pub(super) largest: T,
    pub(super) sum: T,
}

impl<T: Real> Powers<T> {
    #[inline(always)]
    pub(super) fn of(row: &[T]) -> Self {
        let largest = largest(row);
        let sum = row.iter().map(|&x| (x - largest).power_of_e()).sum();
        Powers { largest, sum }
    }

    /// The softmax of an element.
    #[inline(always)]
    pub(super) fn share(&self, x: T) -> T {
        (x - self.largest).power_of_e() / self.sum
    }
}

impl Powers<f64> {
    /// The relative error of the sum: γₙ for adding up, and the powers' own errors, each by its share.
    pub(super) fn sum_error(&self, row: &[f64]) -> f64 {
        let powers: f64 = row
            .iter()
            .map(|&x| self.share(x) * exp_error(x - self.largest))
            .sum();
        Sample::gamma(row.len()) + powers
    }
}

/// The relative error of a device's e^d for a difference d: WGSL allows exp 3 + 2|d| units in the last place, and the
/// rounding of d is worth another ½|d|.
pub(super) fn exp_error(d: f64) -> f64 {
    2.0 * UNIT * (3.0 + 2.5 * d.abs())
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "softmax.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [_, dy] = arity::<2>(inputs)?;
        Ok(vec![dy.clone()])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let rows = Rows::new(&signature.inputs[0].shape, 2, target);
        Ok(rows.launch(SHADER, "backward", 2, 1).bind_all(2, 1).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // γₙ of the sum, one rounding of the difference, one of the product.
        let (_, columns) = sample.signature.inputs[0].shape.rows_and_columns();
        let mut bound = sample.relative(0, 1.0);
        let rows = sample.inputs[0]
            .chunks_exact(columns)
            .zip(sample.inputs[1].chunks_exact(columns));
        for (bound, (y, dy)) in bound.chunks_exact_mut(columns).zip(rows) {
            let terms: f64 = y.iter().zip(dy).map(|(y, dy)| (y * dy).abs()).sum();
            for (bound, y) in bound.iter_mut().zip(y) {
                *bound += y.abs() * Sample::gamma(columns) * terms;
            }
        }
        vec![bound]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (_, columns) = io.matrix(0);
        let (y, dy) = (io.input(0), io.input(1));
        let rows = y.len() / columns;
        let operands = (
            Table(io.output(0), columns),
            Table(y, columns),
            Table(dy, columns),
        );
        pieces::<T, _>(
            rows,
            12 * columns,
            operands,
            #[inline(always)]
            |_, (Table(dx, _), Table(y, _), Table(dy, _))| {
                let rows = y.chunks_exact(columns).zip(dy.chunks_exact(columns));
                for (dx, (y, dy)) in dx.chunks_exact_mut(columns).zip(rows) {
                    let sum: T = y.iter().zip(dy).map(|(&y, &dy)| dy * y).sum();
                    for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                        *dx = y * (dy - sum);
                    }
                }
            },
        );
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 15] = [
        &[1],
        &[3],
        &[257],
        &[1, 1],
        &[2, 3],
        &[3, 2],
        &[17, 10],
        &[33, 17],
        &[255, 1],
        &[256, 10],
        &[257, 3],
        &[1000, 10],
        &[2, 3, 5],
        &[33, 257],
        &[3, 1000],
    ];
    let mut cases = Vec::new();
    for shape in shapes {
        cases.push(Case::new(Softmax).input(shape, Fill::Uniform(-4.0, 4.0)));
        let backward = Case::new(Backward).input(shape, Fill::Probabilities);
        let backward = backward.input(shape, Fill::Uniform(-2.0, 2.0));
        cases.push(backward.without_gradient());
    }
    for most in [100.0, 1e4] {
        for shape in [&[33, 10][..], &[17, 257], &[2, 70_000]] {
            let case = Case::new(Softmax).input(shape, Fill::Uniform(-most, most));
            cases.push(case.without_gradient());
        }
    }
    // Ties, and a row that an unshifted power would lose.
    let edges = vec![
        5.0, 5.0, 5.0, -1e4, -1e4, -1e4, 0.0, -1e4, 1e4, 88.0, 89.0, 90.0,
    ];
    cases.push(Case::new(Softmax).constant(&[4, 3], Fill::Values(edges)));
    cases
}

impl Tensor {
    /// e^xⱼ/Σₖ e^xₖ over the last dimension: rows of probabilities that sum to one. Stable for logits of any size.
    #[track_caller]
    pub fn softmax(&self) -> Tensor {
        self.graph().apply_one(Softmax, &[self])
    }
}
