//! Elements of one dimension by their indices: y`[…, j, …]` = x`[…, indices[j], …]`, NumPy's `take` and `take_along_axis`; dx
//! adds up what was taken of each element.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    expect_dtype, fold, shader,
};
use crate::number::Real;
use crate::target::Target;
use crate::{DType, Shape, Tensor, TensorType};

const SHADER: Shader = shader!("take");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "take",
    shaders: &[SHADER],
    cases,
};

/// Inputs: x, and indices in u32, of which one beyond the last element stands for the last.
///
/// Indices of any shape stand for dimension `axis` of x in the shape of y. Or there is one for `each` element of y: then
/// they are shaped as x but for the size of that dimension, and so is y.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Take {
    /// The dimension.
    pub axis: usize,
    /// Whether there is an index for each element of y.
    pub each: bool,
}

/// The gradient of a take from a tensor of that shape, which puts dy back where it came from and adds up what falls on one
/// place. Inputs: dy, indices.
#[derive(Debug, Clone)]
struct Backward {
    take: Take,
    shape: Shape,
}

/// What a take goes over: x as `[outer, len, inner]`, y as `[outer, taken, inner]`.
#[derive(Debug, Clone, Copy)]
struct TakeWalk {
    outer: usize,
    len: usize,
    inner: usize,
    taken: usize,
}

impl Take {
    fn walk(self, x: &Shape, indices: &Shape) -> TakeWalk {
        let size = |dims: &[usize]| dims.iter().product();
        let dims = x.dims();
        TakeWalk {
            outer: size(&dims[..self.axis]),
            len: dims[self.axis],
            inner: size(&dims[self.axis + 1..]),
            taken: match self.each {
                true => indices.dims()[self.axis],
                false => size(indices.dims()),
            },
        }
    }

    /// The shape of y.
    fn shape(self, x: &Shape, indices: &TensorType) -> Result<Shape, String> {
        expect_dtype("indices", indices, DType::U32)?;
        let (dims, own) = (x.dims(), indices.shape.dims());
        let Some((lead, [len, rest @ ..])) = dims.split_at_checked(self.axis) else {
            return Err(format!("dimension {} of {x}", self.axis));
        };
        if *len == 0 || own.contains(&0) {
            return Err(format!("{indices} of {x}: there is nothing to take"));
        }
        if !self.each {
            return Ok([lead, own, rest].concat().into());
        }
        let alike = |i: usize| i == self.axis || own[i] == dims[i];
        if own.len() != dims.len() || !(0..dims.len()).all(alike) {
            return Err(format!(
                "indices {} and x {x} differ in more than dimension {}",
                indices.shape, self.axis
            ));
        }
        Ok(indices.shape.clone())
    }
}

impl TakeWalk {
    /// The position in x of element `t` of y.
    fn home(self, each: bool, indices: &[u32], t: usize) -> usize {
        let (q, i) = (t / self.inner, t % self.inner);
        let (o, j) = (q / self.taken, q % self.taken);
        let index = indices[if each { t } else { j }] as usize;
        (o * self.len + index.min(self.len - 1)) * self.inner + i
    }

    fn launch(self, entry: &'static str, each: bool, threads: usize) -> Launch {
        const WORKGROUP: u32 = 64;
        Launch::new(SHADER, entry)
            .set("EACH", each)
            .set("WORKGROUP", WORKGROUP)
            .param("outer", self.outer)
            .param("len", self.len)
            .param("inner", self.inner)
            .param("taken", self.taken)
            .bind_all(2, 1)
            .grid(fold(threads as u64, WORKGROUP))
    }
}

impl Op for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x, indices] = arity::<2>(inputs)?;
        expect_dtype("x", x, DType::F32)?;
        Ok(vec![TensorType::f32(self.shape(&x.shape, indices)?)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let shape = vjp.inputs[0].shape();
        let dy = vjp.dy()?;
        let backward = Backward { take: *self, shape };
        let dx = dy.graph().apply_one(backward, &[dy, &vjp.inputs[1]]);
        Ok(vec![Some(dx), None])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let walk = self.walk(&signature.inputs[0].shape, &signature.inputs[1].shape);
        let threads = walk.outer * walk.taken * walk.inner;
        let launch = walk.launch("forward", self.each, threads);
        Ok(launch.param("first", 0u32).param("end", 0u32).into())
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        match input {
            0 => signature.outputs[0].elements(),
            _ => signature.inputs[input].elements(),
        }
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // A copy.
        vec![vec![0.0; sample.results[0].len()]]
    }
}

impl Compute for Take {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let signature = io.signature;
        let walk = self.walk(&signature.inputs[0].shape, &signature.inputs[1].shape);
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
        let taken = self.take.shape(&self.shape, indices)?;
        if dy.shape != taken {
            return Err(format!("dy must be {taken}, got {dy}"));
        }
        Ok(vec![TensorType::f32(&self.shape)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let dy = vjp.dy()?;
        let back = dy.graph().apply_one(self.take, &[dy, &vjp.inputs[1]]);
        Ok(vec![Some(back), None])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let walk = self.take.walk(&self.shape, &signature.inputs[1].shape);
        let threads = walk.outer * walk.len * walk.inner;
        let most = usize::try_from(target.max_iterations).unwrap_or(usize::MAX);
        let mut launches = Launches::default();
        for first in (0..walk.taken).step_by(most.max(1)) {
            let end = walk.taken.min(first.saturating_add(most));
            let launch = walk.launch("backward", self.take.each, threads);
            launches.launches.push(
                launch
                    .set("ADD", first > 0)
                    .param("first", first)
                    .param("end", end)
                    .iterations((end - first) as u64)
                    .flops(threads as u64 * (end - first) as u64),
            );
        }
        Ok(launches)
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // γ of the number of terms, which no more than all can be.
        let walk = self
            .take
            .walk(&self.shape, &sample.signature.inputs[1].shape);
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
        let walk = self.take.walk(&self.shape, &io.signature.inputs[1].shape);
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
    let shapes: [(&[usize], usize, usize); 13] = [
        (&[1], 0, 1),
        (&[3], 0, 1),
        (&[17], 0, 33),
        (&[2, 3], 1, 5),
        (&[2, 3], 0, 2),
        (&[33, 17], 0, 10),
        (&[33, 17], 1, 1),
        (&[2, 3, 5], 1, 7),
        (&[4, 2, 3, 5], 2, 3),
        (&[257, 3], 0, 255),
        (&[3, 1000], 1, 256),
        (&[1000, 8], 0, 32),
        (&[3], 0, 70_000),
    ];
    let mut cases = Vec::new();
    for (shape, axis, taken) in shapes {
        let [lead, rest] = [&shape[..axis], &shape[axis + 1..]];
        let y = [lead, &[taken], rest].concat();
        let len = shape[axis] as u32;
        // Some lie behind the end.
        let indices = || Fill::Below(len + len.div_ceil(8));
        for each in [false, true] {
            let take = Take { axis, each };
            let own = if each { y.clone() } else { vec![taken] };
            let case = Case::new(take).input(shape, Fill::Uniform(-2.0, 2.0));
            cases.push(case.words(&own, indices()).without_nan());
            let shape = shape.into();
            let case = Case::new(Backward { take, shape }).input(&y, Fill::Uniform(-2.0, 2.0));
            cases.push(case.words(&own, indices()));
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

impl Tensor {
    /// The elements of dimension `axis` at these indices, u32, whose shape takes the place of that dimension. An index beyond
    /// the last element stands for the last. What is taken twice gets both gradients.
    #[track_caller]
    pub fn take(&self, axis: usize, indices: &Tensor) -> Tensor {
        let each = false;
        self.graph()
            .apply_one(Take { axis, each }, &[self, indices])
    }

    /// Along dimension `axis` the elements at indices of their own: y`[…, j, …]` = x`[…, indices[…, j, …], …]`. The indices
    /// are shaped as this tensor but for the size of that dimension.
    #[track_caller]
    pub fn take_along(&self, axis: usize, indices: &Tensor) -> Tensor {
        let each = true;
        self.graph()
            .apply_one(Take { axis, each }, &[self, indices])
    }

    /// A tensor of `shape` with these elements added up at their indices, zeros elsewhere: what [`take_along`](Self::take_along)
    /// does, backwards.
    #[track_caller]
    pub fn scatter_along(&self, axis: usize, indices: &Tensor, shape: impl Into<Shape>) -> Tensor {
        let take = Take { axis, each: true };
        let shape = shape.into();
        self.graph()
            .apply_one(Backward { take, shape }, &[self, indices])
    }
}
