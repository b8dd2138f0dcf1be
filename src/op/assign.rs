//! A variable takes a value: w ← x.

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature,
    arity, expect_dtype, shader, shapes,
};
use crate::number::Real;
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

const SHADER: Shader = shader!("assign");

pub const ENTRY: Entry = Entry::new("assign", &[SHADER], cases);

/// w ← x. Inputs: w, updated in place, x of the same shape. No output.
#[derive(Debug, Clone, Copy)]
pub struct Assign;

impl Op for Assign {
    fn name(&self) -> &'static str {
        "assign"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [w, x] = arity::<2>(inputs)?;
        expect_dtype("w", w, DType::F32)?;
        expect_dtype("x", x, DType::F32)?;
        if w.shape != x.shape {
            return Err(format!("w is {w}, but x is {x}"));
        }
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0]
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let len = signature.inputs[0].elements();
        Ok(Launch::new(SHADER, "copy")
            .param("len", len as usize)
            .bind(Binding::Input(1))
            .bind(Binding::Input(0))
            .over(len.div_ceil(4), 256)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // A copy, of which a device may flush the smallest numbers.
        vec![vec![1.2e-38; sample.results[0].len()]]
    }
}

impl Compute for Assign {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let x = io.input(1);
        io.output(0).copy_from_slice(x);
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 15] = shapes![
        scalar; 1; 2; 3; 4; 17; 33; 33 x 10; 255; 256; 257; 2 x 3 x 5 x 7; 1000; 1 x 1; 70_000
    ];
    let values = [Fill::Uniform(-2.0, 2.0), Fill::Uniform(1e20, 1e30)];
    let cases = shapes.into_iter().flat_map(|shape| {
        values.clone().map(|fill| {
            Case::new(Assign)
                .constant(shape, Fill::Uniform(-1.0, 1.0))
                .input(shape, fill)
                .without_gradient()
        })
    });
    cases.collect()
}

/// # Training
impl Tensor {
    /// This variable takes the value `x`, which has its shape; the handle is for [`Program::update`](crate::Program::update).
    #[track_caller]
    pub fn assign(&self, x: &Tensor) -> Tensor {
        self.graph().apply_one(Assign, &[self, x])
    }
}
