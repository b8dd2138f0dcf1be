//! Dimensions in another order: y`[i₀, i₁, …]` = x with i_k at dimension order`[k]`; dx is dy in the order turned back.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Shader, Signature, Vjp, arity, shader,
    shapes,
};
use crate::number::Real;
use crate::target::Target;
use crate::{Shape, Tensor, TensorType};

const SHADER: Shader = shader!("permute");

pub const ENTRY: Entry = Entry::new("permute", &[SHADER], cases);

/// The most dimensions that remain when those that stay side by side are one.
const RANK: usize = 6;

/// Dimension k of y is dimension `order[k]` of x: NumPy's `transpose`.
#[derive(Debug, Clone)]
pub(super) struct Permute(pub Vec<usize>);

impl Permute {
    fn inverse(&self) -> Permute {
        let mut inverse = vec![0; self.0.len()];
        for (to, &from) in self.0.iter().enumerate() {
            inverse[from] = to;
        }
        Permute(inverse)
    }

    /// Sizes of y and the strides in x that go with them, as few dimensions as will do.
    fn strides(&self, x: &Shape) -> Vec<(usize, usize)> {
        let dims = x.dims();
        let stride = |axis: usize| dims[axis + 1..].iter().product::<usize>();
        let mut folded: Vec<(usize, usize)> = Vec::new();
        for (size, stride) in self.0.iter().map(|&axis| (dims[axis], stride(axis))) {
            match folded.last_mut() {
                _ if size == 1 => {}
                // The dimension before steps over all of this one: together they are one.
                Some(before) if before.1 == stride * size => *before = (before.0 * size, stride),
                _ => folded.push((size, stride)),
            }
        }
        folded
    }

    /// The same, filled up in front.
    fn padded(&self, x: &Shape) -> [(usize, usize); RANK] {
        let folded = self.strides(x);
        let mut padded = [(1, 0); RANK];
        let rank = folded.len().min(RANK);
        padded[RANK - rank..].copy_from_slice(&folded[folded.len() - rank..]);
        padded
    }
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..x.shape.rank()) {
            return Err(format!(
                "{:?} does not name every dimension of {x} once",
                self.0
            ));
        }
        if self.strides(&x.shape).len() > RANK {
            return Err(format!(
                "handles {RANK} dimensions that move at most, got {x} in the order {:?}",
                self.0
            ));
        }
        let dims = self.0.iter().map(|&axis| x.shape.dims()[axis]);
        Ok(vec![TensorType::of(x.dtype, dims.collect::<Vec<_>>())])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let dy = vjp.dy()?;
        Ok(vec![Some(dy.graph().apply_one(self.inverse(), &[dy]))])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let x = &signature.inputs[0].shape;
        let dims = self.padded(x);
        let mut launch = Launch::new(SHADER, "forward")
            .param("len", x.elements() as usize)
            .bind_all(1, 1)
            .over(x.elements(), 64);
        let sizes = ["d1", "d2", "d3", "d4", "d5"].into_iter().zip(&dims[1..]);
        for (name, (size, _)) in sizes {
            launch = launch.param(name, *size);
        }
        let strides = ["s0", "s1", "s2", "s3", "s4", "s5"].into_iter().zip(dims);
        for (name, (_, stride)) in strides {
            launch = launch.param(name, stride);
        }
        Ok(launch.into())
    }
}

impl Compute for Permute {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let dims = self.padded(&io.signature.inputs[0].shape);
        if io.is_words(0) {
            let x = io.words(0);
            copy(dims, x, io.output_words(0));
        } else {
            let x = io.input(0);
            copy(dims, x, io.output(0));
        }
    }
}

/// Fills y row by row, the other dimensions counted like an odometer.
#[inline(always)]
fn copy<E: Copy>(dims: [(usize, usize); RANK], x: &[E], y: &mut [E]) {
    let [outer @ .., (columns, step)] = dims;
    let mut at = [0; RANK - 1];
    let mut start = 0;
    for y in y.chunks_exact_mut(columns) {
        for (j, y) in y.iter_mut().enumerate() {
            *y = x[start + j * step];
        }
        for (at, (size, stride)) in at.iter_mut().zip(outer).rev() {
            *at += 1;
            start += stride;
            if *at < size {
                break;
            }
            *at = 0;
            start -= stride * size;
        }
    }
}

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], &[usize]); 17] = shapes![
        1: &[0]; 17: &[0]; 2 x 3: &[0, 1]; 2 x 3: &[1, 0]; 33 x 17: &[1, 0]; 256 x 255: &[1, 0];
        1 x 257: &[1, 0]; 2 x 3 x 5: &[0, 2, 1]; 2 x 3 x 5: &[1, 2, 0]; 2 x 3 x 5: &[2, 1, 0];
        3 x 1 x 4: &[1, 2, 0]; 4 x 5 x 6 x 7: &[0, 2, 1, 3]; 4 x 5 x 6 x 7: &[3, 2, 1, 0];
        2 x 3 x 2 x 3 x 2 x 3: &[5, 4, 3, 2, 1, 0]; 2 x 3 x 2 x 1 x 3 x 2 x 3: &[6, 5, 4, 3, 2, 1, 0];
        1000 x 3: &[1, 0]; 2 x 35_000: &[1, 0]
    ];
    let mut cases = Vec::new();
    for (shape, order) in shapes {
        let permute = Permute(order.to_vec());
        cases.push(Case::new(permute.clone()).input(shape, Fill::Uniform(-2.0, 2.0)));
        cases.push(Case::new(permute).words(shape, Fill::Below(u32::MAX)));
    }
    cases
}
