//! Functions of one number, element by element: y = f(x), dx = dy·f′(x).
//!
//! Sources: Keras 3's activations, whose derivatives at kinks these are but for SELU's and CELU's at 0: there they are those
//! from below, as ELU's in Keras and all three in PyTorch. Where a formula overflows, its limit stands: f(±3e38) is a
//! number wherever f has one.
//!
//! | file | what it holds |
//! |---|---|
//! | `function` | the functions and their constants |
//! | `value` | f and f′ on the processor |
//! | `second` | f″, for gradients of gradients |
//! | `bound` | how far a device may be off |
//! | `cases` | what they are tested on |
//! | `methods` | the `Tensor` methods |

mod bound;
mod cases;
mod function;
mod methods;
mod second;
mod value;

use crate::contract::{
    Compute, Entry, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity, expect_dtype,
    fold, shader,
};
use crate::number::{Real, UNIT};
use crate::target::Target;
use crate::{Tensor, TensorType};

pub(super) use bound::rounding;
pub use function::Function;
use second::Second;

const SHADER: Shader = shader!("pointwise", "functions");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "pointwise",
    shaders: &[SHADER],
    cases: cases::cases,
};

/// y = f(x). x: any shape; y: the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pointwise(pub Function);

/// dx = dy·f′. Inputs: the saved x or y, dy; output dx; one shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backward(pub Function);

impl Op for Pointwise {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        expect_dtype("x", x, crate::DType::F32)?;
        self.0.check()?;
        Ok(vec![x.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        if self.0.is_flat() {
            return Ok(vec![None]);
        }
        let saved = if self.0.saves_output() {
            &vjp.outputs[0]
        } else {
            &vjp.inputs[0]
        };
        Ok(vec![Some(
            saved
                .graph()
                .apply_one(Backward(self.0), &[saved, vjp.dy()?]),
        )])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        Ok(launch("forward", self.0, signature, 1))
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let values = sample.inputs[0].iter().zip(&sample.results[0]);
        vec![values.map(|(&x, &y)| rounding(self.0, x, y)).collect()]
    }
}

impl Compute for Pointwise {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        self.0.forward(io.input(0), io.output(0));
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        match self.0 {
            Function::Sigmoid => "sigmoid.backward",
            Function::Tanh => "tanh.backward",
            Function::Relu => "relu.backward",
            Function::LeakyRelu(_) => "leaky_relu.backward",
            _ => "pointwise.backward",
        }
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [_, dy] = arity::<2>(inputs)?;
        Ok(vec![dy.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (saved, dy, by_dx) = (&vjp.inputs[0], &vjp.inputs[1], vjp.dy()?);
        let by_dy = || saved.graph().apply_one(*self, &[saved, by_dx]);
        let by_saved = || {
            let both = || by_dx.mul(dy);
            match self.0.second(saved) {
                Second::Flat => None,
                Second::Constant(factor) => Some(both().scale(factor)),
                Second::Of(factor) => Some(both().mul(&factor)),
            }
        };
        Ok(vec![
            vjp.wanted[0].then(by_saved).flatten(),
            vjp.wanted[1].then(by_dy),
        ])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        Ok(launch("backward", self.0, signature, 2))
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // dy times the error of f′, and one rounding of the product.
        let operands = sample.inputs[0].iter().zip(&sample.inputs[1]);
        let error = |((&s, dy), dx): ((&f64, &f64), &f64)| {
            dy.abs() * bound::slope_rounding(self.0, s) + 2.0 * UNIT * dx.abs() + 1e-37
        };
        vec![operands.zip(&sample.results[0]).map(error).collect()]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (saved, dy) = (io.input(0), io.input(1));
        self.0.backward(saved, dy, io.output(0));
    }
}

fn launch(
    entry: &'static str,
    function: Function,
    signature: &Signature,
    inputs: usize,
) -> Launches {
    const WORKGROUP: u32 = 64;
    let len = signature.outputs[0].elements();
    Function::describe(Some(function), Launch::new(SHADER, entry))
        .set("FUNCTION", function.code())
        .set("WORKGROUP", WORKGROUP)
        .param("len", len as usize)
        .bind_all(inputs, 1)
        .grid(fold(len.div_ceil(4), WORKGROUP))
        .flops(len * 4)
        .into()
}
