//! A stretch of one dimension: y`[…, j, …]` = x`[…, start + j, …]`; dx is dy in its place and zero around it.

use std::ops::Range;

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Shader, Signature, Vjp, arity,
    expect_dtype, shader, shapes,
};
use crate::number::Real;
use crate::op::shape::along::{Along, copy_columns};
use crate::target::Target;
use crate::{Shape, Tensor, TensorType};

const SHADER: Shader = shader!("slice");

pub const ENTRY: Entry = Entry::new("slice", &[SHADER], cases);

/// Elements `start..start + len` of dimension `axis`, counted from the back where it is negative.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    pub axis: isize,
    pub start: usize,
    /// At least 1.
    pub len: usize,
}

/// dx of a slice of a tensor of that shape: dy with zeros around it.
#[derive(Debug, Clone)]
pub(super) struct Backward {
    pub slice: Slice,
    pub shape: Shape,
}

impl Slice {
    /// The columns of x that y has, of a row's columns.
    fn columns(self, x: &TensorType) -> (Range<usize>, usize) {
        let along = Along::admitted(x, self.axis);
        (along.stretch(self.start, self.len), along.width())
    }

    fn launch_of(self, entry: &'static str, x: &TensorType, threads: u64) -> Launch {
        let (columns, whole) = self.columns(x);
        Launch::new(SHADER, entry)
            .param("rows", Along::admitted(x, self.axis).outer)
            .param("width", columns.len())
            .param("offset", columns.start)
            .param("whole", whole)
            .bind_all(1, 1)
            .over(threads, 64)
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        let along = Along::of(x, self.axis)?;
        let Slice { axis, start, len } = *self;
        if len == 0 || start.saturating_add(len) > along.len {
            return Err(format!(
                "takes at least one element and no more than there are, got {len} from {start} on in dimension {axis} of {x}"
            ));
        }
        Ok(vec![TensorType::of(
            x.dtype,
            x.shape.resized(along.at, len),
        )])
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
        let threads = signature.outputs[0].elements();
        Ok(self
            .launch_of("forward", &signature.inputs[0], threads)
            .into())
    }

    fn touched(&self, signature: &Signature, _input: usize) -> u64 {
        signature.outputs[0].elements()
    }
}

impl Compute for Slice {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (columns, whole) = self.columns(&io.signature.inputs[0]);
        let width = columns.len();
        copy_columns(io, 0, (columns, whole), (0..width, width));
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
        let (x, threads) = (&signature.outputs[0], self.shape.elements());
        Ok(self.slice.launch_of("backward", x, threads).into())
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (columns, whole) = self.slice.columns(&io.signature.outputs[0]);
        let width = columns.len();
        io.output(0).fill(T::zero());
        copy_columns(io, 0, (0..width, width), (columns, whole));
    }
}

fn cases() -> Vec<Case> {
    // Shape, dimension, first element, number of elements.
    let shapes: [(&[usize], _); 17] = shapes![
        1: (0, 0, 1); 2: (0, 1, 1); 17: (0, 3, 11); 257: (0, 0, 255); 257: (0, 256, 1);
        3 x 2: (1, 0, 1); 33 x 17: (-1, 5, 12); 33 x 17: (0, 5, 12); 256 x 255: (1, 0, 255);
        2 x 3 x 5: (-2, 1, 2); 2 x 3 x 5: (2, 4, 1); 2 x 3 x 5: (0, 0, 2); 4 x 8 x 6: (1, 2, 4);
        1000 x 3: (0, 1, 998); 3 x 1000: (1, 1, 998); 70_000: (0, 33, 69_000);
        2 x 70_000: (1, 35_000, 35_000)
    ];
    let mut cases = Vec::new();
    for (shape, (axis, start, len)) in shapes {
        let slice = Slice { axis, start, len };
        let x = Shape::from(shape);
        let along = Along::admitted(&TensorType::f32(&x), axis);
        let taken = x.resized(along.at, len);
        let forward = Case::new(slice).input(shape, Fill::Uniform(-2.0, 2.0));
        cases.push(if len == along.len {
            forward
        } else {
            forward.without_nan()
        });
        cases.push(Case::new(slice).words(shape, Fill::Below(u32::MAX)));
        let backward = Case::new(Backward { slice, shape: x });
        cases.push(backward.input(taken.dims(), Fill::Uniform(-2.0, 2.0)));
    }
    cases
}
