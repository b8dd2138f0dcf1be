//! Elements of one dimension by their indices: y`[…, j, …]` = x`[…, indices[j], …]`, NumPy's `take` and `take_along_axis`; dx
//! adds up what was taken of each element.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    expect_dtype, shader, shapes,
};
use crate::number::Real;
use crate::op::shape::along::Along;
use crate::target::Target;
use crate::{DType, Shape, Tensor, TensorType};

const SHADER: Shader = shader!("take");

pub const ENTRY: Entry = Entry::new("take", &[SHADER], cases);

/// Inputs: x, and indices in u32, of which one beyond the last element stands for the last.
///
/// Indices of any shape stand for dimension `axis` of x in the shape of y. Or there is one for `each` element of y: then
/// they are shaped as x but for the size of that dimension, and so is y.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Take {
    /// The dimension, counted from the back where it is negative.
    pub axis: isize,
    /// Whether there is an index for each element of y.
    pub each: bool,
}

/// The gradient of a take from a tensor of that shape, which puts dy back where it came from and adds up what falls on one
/// place. Inputs: dy, indices.
#[derive(Debug, Clone)]
pub(super) struct Backward {
    pub take: Take,
    pub shape: Shape,
}

/// What a take goes over: x as `[outer, len, inner]`, y as `[outer, taken, inner]`.
#[derive(Debug, Clone, Copy)]
struct TakeWalk {
    x: Along,
    taken: usize,
}

impl Take {
    fn walk(self, x: &TensorType, indices: &TensorType) -> TakeWalk {
        let x = Along::admitted(x, self.axis);
        let dims = indices.shape.dims();
        let taken = if self.each {
            dims[x.at]
        } else {
            dims.iter().product()
        };
        TakeWalk { x, taken }
    }

    /// The type of y.
    fn taken(self, x: &TensorType, indices: &TensorType) -> Result<TensorType, String> {
        expect_dtype("x", x, DType::F32)?;
        expect_dtype("indices", indices, DType::U32)?;
        let Along { at, len, .. } = Along::of(x, self.axis)?;
        let (dims, own) = (x.shape.dims(), indices.shape.dims());
        if len == 0 || own.contains(&0) {
            return Err(format!("{indices} of {x}: there is nothing to take"));
        }
        if !self.each {
            return Ok([&dims[..at], own, &dims[at + 1..]].concat().into());
        }
        let alike = |i: usize| i == at || own[i] == dims[i];
        if own.len() != dims.len() || !(0..dims.len()).all(alike) {
            return Err(format!(
                "indices {} and x {x} differ in more than dimension {}",
                indices.shape, self.axis
            ));
        }
        Ok(TensorType::f32(&indices.shape))
    }
}

impl TakeWalk {
    /// The position in x of element `t` of y.
    fn home(self, each: bool, indices: &[u32], t: usize) -> usize {
        let Along { len, inner, .. } = self.x;
        let (q, i) = (t / inner, t % inner);
        let (o, j) = (q / self.taken, q % self.taken);
        let index = indices[if each { t } else { j }] as usize;
        (o * len + index.min(len - 1)) * inner + i
    }

    fn launch(self, entry: &'static str, each: bool, threads: usize) -> Launch {
        Launch::new(SHADER, entry)
            .set("EACH", each)
            .param("outer", self.x.outer)
            .param("len", self.x.len)
            .param("inner", self.x.inner)
            .param("taken", self.taken)
            .bind_all(2, 1)
            .over(threads as u64, 64)
    }
}

impl Op for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x, indices] = arity::<2>(inputs)?;
        Ok(vec![self.taken(x, indices)?])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let shape = vjp.inputs[0].shape();
        let dy = vjp.dy()?;
        let backward = Backward { take: *self, shape };
        let dx = dy.graph().apply_one(backward, &[dy, &vjp.inputs[1]]);
        Ok(vec![Some(dx), None])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let walk = self.walk(&signature.inputs[0], &signature.inputs[1]);
        let threads = signature.outputs[0].elements() as usize;
        let launch = walk.launch("forward", self.each, threads);
        Ok(launch.param("first", 0u32).param("end", 0u32).into())
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        match input {
            0 => signature.outputs[0].elements(),
            _ => signature.inputs[input].elements(),
        }
    }
}

impl Compute for Take {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let signature = io.signature;
        let walk = self.walk(&signature.inputs[0], &signature.inputs[1]);
        let (x, indices) = (io.input(0), io.words(1));
        for (t, y) in io.output(0).iter_mut().enumerate() {
            *y = x[walk.home(self.each, indices, t)];
        }
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "take.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [dy, indices] = arity::<2>(inputs)?;
        expect_dtype("dy", dy, DType::F32)?;
        let x = TensorType::f32(&self.shape);
        let taken = self.take.taken(&x, indices)?;
        if *dy != taken {
            return Err(format!("dy must be {taken}, got {dy}"));
        }
        Ok(vec![x])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let dy = vjp.dy()?;
        let back = dy.graph().apply_one(self.take, &[dy, &vjp.inputs[1]]);
        Ok(vec![Some(back), None])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let walk = self.take.walk(&signature.outputs[0], &signature.inputs[1]);
        let threads = self.shape.elements();
        let most = usize::try_from(target.max_iterations).unwrap_or(usize::MAX);
        let mut launches = Launches::default();
        for first in (0..walk.taken).step_by(most.max(1)) {
            let end = walk.taken.min(first.saturating_add(most));
            let launch = walk.launch("backward", self.take.each, threads as usize);
            launches.launches.push(
                launch
                    .set("ADD", first > 0)
                    .param("first", first)
                    .param("end", end)
                    .iterations((end - first) as u64)
                    .flops(threads * (end - first) as u64),
            );
        }
        Ok(launches)
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // γ of the number of terms, which no more than all can be.
        let signature = sample.signature;
        let walk = self.take.walk(&signature.outputs[0], &signature.inputs[1]);
        let indices: Vec<u32> = sample.inputs[1].iter().map(|&index| index as u32).collect();
        let mut terms = vec![0.0; sample.results[0].len()];
        for (t, dy) in sample.inputs[0].iter().enumerate() {
            terms[walk.home(self.take.each, &indices, t)] += dy.abs();
        }
        let gamma = Sample::gamma(walk.taken);
        vec![terms.into_iter().map(|terms| gamma * terms).collect()]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let signature = io.signature;
        let walk = self.take.walk(&signature.outputs[0], &signature.inputs[1]);
        let (dy, indices) = (io.input(0), io.words(1));
        let dx = io.output(0);
        dx.fill(T::zero());
        for (t, &dy) in dy.iter().enumerate() {
            dx[walk.home(self.take.each, indices, t)] += dy;
        }
    }
}

fn cases() -> Vec<Case> {
    // The shape, the dimension, how many are taken.
    let shapes: [(&[usize], (isize, usize)); 13] = shapes![
        1: (0, 1); 3: (0, 1); 17: (0, 33); 2 x 3: (1, 5); 2 x 3: (0, 2); 33 x 17: (0, 10);
        33 x 17: (-1, 1); 2 x 3 x 5: (-2, 7); 4 x 2 x 3 x 5: (2, 3); 257 x 3: (0, 255);
        3 x 1000: (1, 256); 1000 x 8: (0, 32); 3: (0, 70_000)
    ];
    let mut cases = Vec::new();
    for (shape, (axis, taken)) in shapes {
        let x = Shape::from(shape);
        let Along { at, len, .. } = Along::admitted(&TensorType::f32(&x), axis);
        let y = x.resized(at, taken);
        let len = len as u32;
        // Some lie beyond the end.
        let indices = || Fill::Below(len + len.div_ceil(8));
        for each in [false, true] {
            let take = Take { axis, each };
            let own = if each { y.clone() } else { taken.into() };
            let case = Case::new(take).input(shape, Fill::Uniform(-2.0, 2.0));
            cases.push(case.words(own.dims(), indices()).without_nan());
            let shape = x.clone();
            let case = Case::new(Backward { take, shape });
            let case = case.input(y.dims(), Fill::Uniform(-2.0, 2.0));
            cases.push(case.words(own.dims(), indices()));
        }
    }
    let take = Take {
        axis: 1,
        each: false,
    };
    let case = Case::new(take).input(&[2, 5, 3], Fill::Uniform(-2.0, 2.0));
    cases.push(case.words(&[2, 4], Fill::Below(5)).without_nan());
    cases
}
