//! A stretch of one dimension: y`[…, j, …]` = x`[…, start + j, …]`; dx is dy in its place and zero around it.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    expect_dtype, fold, shader,
};
use crate::number::Real;
use crate::target::Target;
use crate::{Shape, Tensor, TensorType};

use super::concat::matrix;

const SHADER: Shader = shader!("slice");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "slice",
    shaders: &[SHADER],
    cases,
};

/// Elements `start..start + len` of dimension `axis`.
#[derive(Debug, Clone, Copy)]
pub struct Slice {
    /// The dimension.
    pub axis: usize,
    /// The first element taken.
    pub start: usize,
    /// How many are taken; at least 1.
    pub len: usize,
}

/// dx of a slice of a tensor of that shape: dy with zeros around it.
#[derive(Debug, Clone)]
pub(super) struct Backward {
    pub(super) slice: Slice,
    pub(super) shape: Shape,
}

impl Slice {
    fn launch_of(self, entry: &'static str, x: &Shape, y: &Shape, threads: u64) -> Launch {
        const WORKGROUP: u32 = 64;
        let ((rows, whole), (_, width)) = (matrix(x, self.axis), matrix(y, self.axis));
        let inner = width / self.len;
        Launch::new(SHADER, entry)
            .set("WORKGROUP", WORKGROUP)
            .param("rows", rows)
            .param("width", width)
            .param("offset", self.start * inner)
            .param("whole", whole)
            .bind_all(1, 1)
            .grid(fold(threads, WORKGROUP))
    }

    /// Where a row of y lies in a row of x.
    fn range(self, width: usize) -> std::ops::Range<usize> {
        let start = self.start * (width / self.len);
        start..start + width
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        let mut dims = x.shape.dims().to_vec();
        let Slice { axis, start, len } = *self;
        let Some(size) = dims.get_mut(axis) else {
            return Err(format!("dimension {axis} of {x}"));
        };
        if len == 0 || start.saturating_add(len) > *size {
            return Err(format!(
                "{len} elements from {start} on of dimension {axis} of {x}"
            ));
        }
        *size = len;
        Ok(vec![TensorType {
            shape: dims.into(),
            dtype: x.dtype,
        }])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let backward = Backward {
            slice: *self,
            shape: vjp.inputs[0].shape(),
        };
        let dy = vjp.dy()?;
        Ok(vec![Some(dy.graph().apply_one(backward, &[dy]))])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let (x, y) = (&signature.inputs[0].shape, &signature.outputs[0].shape);
        Ok(self.launch_of("forward", x, y, y.elements()).into())
    }

    fn touched(&self, signature: &Signature, _input: usize) -> u64 {
        signature.outputs[0].elements()
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // A copy.
        vec![vec![0.0; sample.results[0].len()]]
    }
}

impl Compute for Slice {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let signature = io.signature;
        let (_, whole) = matrix(&signature.inputs[0].shape, self.axis);
        let (_, width) = matrix(&signature.outputs[0].shape, self.axis);
        let range = self.range(width);
        if io.is_words(0) {
            let x = io.words(0).chunks_exact(whole);
            for (y, x) in io.output_words(0).chunks_exact_mut(width).zip(x) {
                y.copy_from_slice(&x[range.clone()]);
            }
        } else {
            let x = io.input(0).chunks_exact(whole);
            for (y, x) in io.output(0).chunks_exact_mut(width).zip(x) {
                y.copy_from_slice(&x[range.clone()]);
            }
        }
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "slice.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [dy] = arity::<1>(inputs)?;
        expect_dtype("dy", dy, crate::DType::F32)?;
        Ok(vec![TensorType::f32(&self.shape)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let dy = vjp.dy()?;
        Ok(vec![Some(dy.graph().apply_one(self.slice, &[dy]))])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let dy = &signature.inputs[0].shape;
        let launch = self
            .slice
            .launch_of("backward", &self.shape, dy, self.shape.elements());
        Ok(launch.into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // A copy.
        vec![vec![0.0; sample.results[0].len()]]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (_, whole) = matrix(&self.shape, self.slice.axis);
        let (_, width) = matrix(&io.signature.inputs[0].shape, self.slice.axis);
        let range = self.slice.range(width);
        let dy = io.input(0).chunks_exact(width);
        for (dx, dy) in io.output(0).chunks_exact_mut(whole).zip(dy) {
            dx.fill(T::zero());
            dx[range.clone()].copy_from_slice(dy);
        }
    }
}

fn cases() -> Vec<Case> {
    // Shape, dimension, first element, number of elements.
    let shapes: [(&[usize], usize, usize, usize); 17] = [
        (&[1], 0, 0, 1),
        (&[2], 0, 1, 1),
        (&[17], 0, 3, 11),
        (&[257], 0, 0, 255),
        (&[257], 0, 256, 1),
        (&[3, 2], 1, 0, 1),
        (&[33, 17], 1, 5, 12),
        (&[33, 17], 0, 5, 12),
        (&[256, 255], 1, 0, 255),
        (&[2, 3, 5], 1, 1, 2),
        (&[2, 3, 5], 2, 4, 1),
        (&[2, 3, 5], 0, 0, 2),
        (&[4, 8, 6], 1, 2, 4),
        (&[1000, 3], 0, 1, 998),
        (&[3, 1000], 1, 1, 998),
        (&[70_000], 0, 33, 69_000),
        (&[2, 70_000], 1, 35_000, 35_000),
    ];
    let mut cases = Vec::new();
    for (shape, axis, start, len) in shapes {
        let slice = Slice { axis, start, len };
        let taken = [&shape[..axis], &[len], &shape[axis + 1..]].concat();
        let input = |op| Case::new(op).input(shape, Fill::Uniform(-2.0, 2.0));
        let whole = len == shape[axis];
        cases.push(if whole {
            input(slice)
        } else {
            input(slice).without_nan()
        });
        cases.push(Case::new(slice).words(shape, Fill::Below(u32::MAX)));
        let shape = shape.into();
        cases.push(Case::new(Backward { slice, shape }).input(&taken, Fill::Uniform(-2.0, 2.0)));
    }
    cases
}

impl Tensor {
    /// `len` elements of dimension `axis` from `start` on; at least one.
    #[track_caller]
    pub fn slice(&self, axis: usize, start: usize, len: usize) -> Tensor {
        self.graph().apply_one(Slice { axis, start, len }, &[self])
    }
}
