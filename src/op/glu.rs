//! The gated linear unit: y = a·σ(b) with a and b the halves of x along one dimension (Dauphin and others 2016);
//! da = dy·σ(b), db = dy·a·σ(b)·σ(−b).

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    expect_dtype, shader, shapes,
};
use crate::number::{Dual, Number, Real, Tracked};
use crate::op::shape::along::Along;
use crate::target::Target;
use crate::{DType, Shape, Tensor, TensorType};

use super::pointwise::GraphNumber;

const SHADER: Shader = shader!("glu");

pub const ENTRY: Entry = Entry::new("glu", &[SHADER], cases);

/// y = a·σ(b). x: an even size along the axis; y: half of it there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glu {
    /// The dimension whose halves are a and b, counted from the back where it is negative.
    pub axis: isize,
}

/// dx from x and dy.
#[derive(Debug, Clone, Copy)]
struct Backward(Glu);

impl Glu {
    /// Elements of x's halves that lie side by side.
    fn half(self, x: &TensorType) -> usize {
        let along = Along::admitted(x, self.axis);
        along.len / 2 * along.inner
    }

    fn launch(self, entry: &'static str, signature: &Signature, inputs: usize) -> Launches {
        let len = signature.inputs[0].elements() / 2;
        Launch::new(SHADER, entry)
            .param("len", len as usize)
            .param("half", self.half(&signature.inputs[0]))
            .bind_all(inputs, 1)
            .over(len, 64)
            .flops(len * 6)
            .into()
    }
}

impl Op for Glu {
    fn name(&self) -> &'static str {
        "glu"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        expect_dtype("x", x, DType::F32)?;
        let along = Along::of(x, self.axis)?;
        if along.len % 2 == 1 {
            return Err(format!(
                "x {} must have an even size along axis {}, got {}",
                x.shape, self.axis, along.len
            ));
        }
        let half = x.shape.resized(along.at, along.len / 2);
        Ok(vec![TensorType::f32(half)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let x = &vjp.inputs[0];
        let dx = x.graph().apply_one(Backward(*self), &[x, vjp.dy()?]);
        Ok(vec![Some(dx)])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        Ok(Glu::launch(*self, "forward", signature, 1))
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let half = self.half(&sample.signature.inputs[0]);
        let mut bound = Vec::with_capacity(sample.results[0].len());
        for x in sample.inputs[0].chunks_exact(2 * half) {
            let (a, b) = x.split_at(half);
            bound.extend(
                a.iter()
                    .zip(b)
                    .map(|(&a, &b)| gated(Tracked::exact(a), Tracked::exact(b)).error),
            );
        }
        vec![bound]
    }
}

/// y = a·σ(b).
#[inline(always)]
fn gated<N: Number>(a: N, b: N) -> N {
    a * b.logistic()
}

/// da and db.
#[inline(always)]
fn slopes<N: Number>(a: N, b: N, dy: N) -> (N, N) {
    let share = b.logistic();
    (dy * share, dy * a * share * (-b).logistic())
}

impl Compute for Glu {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let half = self.half(&io.signature.inputs[0]);
        let halves = io.input(0).chunks_exact(2 * half);
        for (y, x) in io.output(0).chunks_exact_mut(half).zip(halves) {
            let (a, b) = x.split_at(half);
            for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                *y = gated(a, b);
            }
        }
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "glu.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x, _] = arity::<2>(inputs)?;
        Ok(vec![x.clone()])
    }

    /// With g = dL/d(dx): the formula of dx differentiated by each operand, times the halves of g.
    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (x, dy, g) = (&vjp.inputs[0], &vjp.inputs[1], vjp.dy()?);
        let graph = x.graph();
        let along = Along::admitted(&x.kind(), self.0.axis);
        let half = along.len / 2;
        let halves = |tensor: &Tensor| {
            let wide = along.wide(tensor);
            [0, half].map(|start| wide.slice(1, start, half))
        };
        let ([a, b], [ga, gb]) = (halves(x), halves(g));
        let dy_wide = dy.reshape([along.outer, half, along.inner]);
        let by = |operand: usize| {
            let mut operands = [&a, &b, &dy_wide].map(|tensor| Dual::flat(GraphNumber::of(tensor)));
            operands[operand] = Dual::variable(operands[operand].value);
            let [a, b, dy] = operands;
            let (da, db) = slopes(a, b, dy);
            let by_da = GraphNumber::of(&ga) * da.slope;
            (by_da + GraphNumber::of(&gb) * db.slope).tensor(graph)
        };
        let by_x = || by(0).concat(&[&by(1)], 1).reshape(x.shape());
        let by_dy = || by(2).reshape(dy.shape());
        Ok(vec![vjp.wanted[0].then(by_x), vjp.wanted[1].then(by_dy)])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        Ok(self.0.launch("backward", signature, 2))
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let half = self.0.half(&sample.signature.inputs[0]);
        let mut bound = sample.relative(0, 0.0);
        let halves = sample.inputs[0].chunks_exact(2 * half);
        let operands = halves.zip(sample.inputs[1].chunks_exact(half));
        for (bound, (x, dy)) in bound.chunks_exact_mut(2 * half).zip(operands) {
            for i in 0..half {
                let [a, b, dy] = [x[i], x[half + i], dy[i]].map(Tracked::exact);
                let (da, db) = slopes(a, b, dy);
                (bound[i], bound[half + i]) = (da.error, db.error);
            }
        }
        vec![bound]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let half = self.0.half(&io.signature.inputs[0]);
        let halves = io.input(0).chunks_exact(2 * half);
        let dy = io.input(1).chunks_exact(half);
        let rows = io.output(0).chunks_exact_mut(2 * half);
        for ((dx, x), dy) in rows.zip(halves).zip(dy) {
            let (a, b) = x.split_at(half);
            let (da, db) = dx.split_at_mut(half);
            for i in 0..half {
                (da[i], db[i]) = slopes(a[i], b[i], dy[i]);
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], isize); 16] = shapes![
        2: 0; 34: 0; 514: -1; 1 x 2: 1; 2 x 1: 0; 3 x 4: -1; 17 x 10: -1; 66 x 17: 0; 256 x 20: -1;
        2 x 3: -2; 2 x 4 x 5: 1; 3 x 5 x 6: -1; 4 x 3 x 5: 0; 3 x 6 x 5 x 2: -3; 1000 x 2: 1; 7 x 2000: -1
    ];
    let mut cases = Vec::new();
    for (shape, axis) in shapes {
        let op = Glu { axis };
        cases.push(Case::new(op).input(shape, Fill::Uniform(-4.0, 4.0)));
        let along = Along::admitted(&TensorType::from(shape), axis);
        let half = Shape::from(shape).resized(along.at, along.len / 2);
        let backward = Case::new(Backward(op)).input(shape, Fill::Uniform(-4.0, 4.0));
        let backward = backward.input(half.dims(), Fill::Uniform(-2.0, 2.0));
        cases.push(backward);
    }
    let far = vec![3.0, -2.0, 1e4, 5.0, -100.0, 100.0, 40.0, -1e4];
    cases.push(Case::new(Glu { axis: 0 }).constant(&[8], Fill::Values(far)));
    cases
}
