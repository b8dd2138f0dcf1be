//! The largest element of each row, or the least, and where it stands; dx is dy there, or shared by all elements that
//! equal it: dxⱼ = dy/n·[xⱼ = y], as in Keras and in PyTorch's `amax`.
//!
//! A NaN beats every number; −0 and 0 are equal.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    expect_dtype, shader, shapes,
};
use crate::number::Real;
use crate::op::shape::along::Along;
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

const SHADER: Shader = shader!("extremum", "rows", "along");

pub const ENTRY: Entry = Entry::new("extremum", &[SHADER], cases);

/// y and its index in each row of x. x: at least one dimension; y, and the index in u32: the shape of x without the axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extremum {
    /// The dimension that rows go along, counted from the back where it is negative.
    pub axis: isize,
    /// Whether it is the least element, and not the largest.
    pub least: bool,
    /// Whether the index is that of the last of equals, and not of the first.
    pub last: bool,
    /// Whether equals share the gradient, or else it goes to the one at the index.
    pub shared: bool,
}

/// dx. Inputs: x, y, index, dy.
#[derive(Debug, Clone, Copy)]
struct Backward(Extremum);

impl Extremum {
    /// Whether a beats b.
    fn beats<T: Real>(self, a: T, b: T) -> bool {
        match (a.is_nan(), b.is_nan()) {
            (true, other) => !other,
            (false, true) => false,
            _ if self.least => a < b,
            _ => a > b,
        }
    }

    /// Where the extreme element of a row is.
    fn index<T: Real>(self, row: impl Iterator<Item = T>) -> usize {
        let mut found: Option<(usize, T)> = None;
        for (i, x) in row.enumerate() {
            let wins = found
                .is_none_or(|(_, best)| self.beats(x, best) || self.last && !self.beats(best, x));
            if wins {
                found = Some((i, x));
            }
        }
        found.map_or(0, |(i, _)| i)
    }

    fn launch_of(self, entry: &'static str, x: &TensorType, target: &Target) -> Launch {
        Along::admitted(x, self.axis)
            .launch((SHADER, entry), (2, 2), target)
            .set("LEAST", self.least)
            .set("LAST", self.last)
            .set("SHARED", self.shared)
    }
}

impl Op for Extremum {
    fn name(&self) -> &'static str {
        "extremum"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        expect_dtype("x", x, DType::F32)?;
        let shape = x.shape.without(Along::of(x, self.axis)?.at);
        Ok(vec![TensorType::f32(shape.clone()), TensorType::u32(shape)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let x = &vjp.inputs[0];
        // Where only the index is used there is none.
        let dx = vjp.gradients[0].as_ref().map(|dy| {
            let inputs = [x, &vjp.outputs[0], &vjp.outputs[1], dy];
            x.graph().apply_one(Backward(*self), &inputs)
        });
        Ok(vec![dx])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let launch = self.launch_of("forward", &signature.inputs[0], target);
        Ok(launch.bind_all(1, 2).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // An element, copied, and a count.
        let exact = |results: &Vec<f64>| vec![0.0; results.len()];
        sample.results.iter().map(exact).collect()
    }
}

impl Compute for Extremum {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let along = Along::admitted(&io.signature.inputs[0], self.axis);
        let x = io.input(0);
        for row in 0..along.rows() {
            let index = self.index(along.row(x, row));
            let extreme = along.row(x, row).nth(index);
            io.output(0)[row] = extreme.unwrap_or(T::nan());
            io.output_words(1)[row] = index as u32;
        }
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "extremum.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x, ..] = arity::<4>(inputs)?;
        Ok(vec![x.clone()])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let launch = self.0.launch_of("backward", &signature.inputs[0], target);
        Ok(launch.bind_all(4, 1).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // WGSL allows the division 2.5 units.
        vec![sample.relative(0, 3.0)]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let along = Along::admitted(&io.signature.inputs[0], self.0.axis);
        let (x, y, index, dy) = (io.input(0), io.input(1), io.words(2), io.input(3));
        let dx = io.output(0);
        for row in 0..along.rows() {
            let extreme = y[row];
            let equal = |x: T| x == extreme || x.is_nan() && extreme.is_nan();
            let count = along.row(x, row).filter(|&x| equal(x)).count().max(1);
            let share = dy[row] / T::constant(count as f64);
            for (i, at) in along.places(row).enumerate() {
                dx[at] = if self.0.shared && equal(x[at]) {
                    share
                } else if !self.0.shared && i == index[row] as usize {
                    dy[row]
                } else {
                    T::zero()
                };
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], isize); 13] = shapes![
        1: 0; 257: 0; 1 x 1: -1; 2 x 3: -1; 3 x 2: 0; 17 x 10: -1; 33 x 17: 0; 255 x 1: 1; 2 x 3 x 5: 1;
        3 x 257 x 2: -2; 1000 x 10: -1; 3 x 1000: -1; 2 x 70_000: 1
    ];
    let mut cases = Vec::new();
    for (number, (shape, axis)) in shapes.into_iter().enumerate() {
        let op = Extremum {
            axis,
            least: number % 2 == 1,
            last: number % 3 == 1,
            shared: number % 4 < 2,
        };
        cases.push(Case::new(op).input(shape, Fill::Uniform(-2.0, 2.0)));
        // Many are equal.
        cases.push(Case::new(op).input(shape, Fill::Binary).without_gradient());
        let along = Along::admitted(&TensorType::from(shape), axis);
        let rows = [&shape[..along.at], &shape[along.at + 1..]].concat();
        let backward = Case::new(Backward(op))
            .constant(shape, Fill::Binary)
            .constant(&rows, Fill::Binary)
            .words(&rows, Fill::Below(along.len as u32))
            .input(&rows, Fill::Uniform(-2.0, 2.0));
        let backward = backward.without_gradient();
        // Where no element equals y there is nobody to show a NaN of dy.
        cases.push(if op.shared {
            backward.without_nan()
        } else {
            backward
        });
    }
    let zeros = vec![-0.0, 0.0, -0.0, f32::NEG_INFINITY, 0.0, f32::INFINITY];
    for least in [false, true] {
        let op = Extremum {
            axis: -1,
            least,
            ..Extremum::default()
        };
        let case = Case::new(op).input(&[2, 3], Fill::Values(zeros.clone()));
        cases.push(case.without_gradient());
    }
    cases
}

/// # Reductions
impl Tensor {
    /// The extreme elements along a dimension and, in u32, where they stand; both lack that dimension.
    #[track_caller]
    pub fn extremum(&self, op: Extremum) -> (Tensor, Tensor) {
        let [y, index] = self.graph().apply_many(op, &[self]);
        (y, index)
    }
}
