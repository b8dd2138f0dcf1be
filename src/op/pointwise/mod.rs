//! Functions of one number, element by element: y = f(x), dx = dy·f′(x).
//!
//! Sources: Keras 3's activations, whose derivatives at kinks these are but for SELU's and CELU's at 0: there they are those
//! from below, as ELU's in Keras and all three in PyTorch. Where a formula overflows, its limit stands: f(±3e38) is a
//! number wherever f has one.
//!
//! | file | what it holds |
//! |---|---|
//! | `unary` | the trait of such a function |
//! | `functions` | Kiln's own functions, and the table of them |
//! | `function` | a function with its settings, as a value |
//! | `loops` | its loops on the processor |
//! | `graph_number` | formulas as nodes of a graph: gradients of gradients |
//! | `methods` | the `Tensor` methods |
//! | `cases` | what the functions are tested on |

mod cases;
mod function;
pub(crate) mod functions;
mod graph_number;
mod loops;
mod methods;
mod unary;

use crate::contract::{
    Compute, Entry, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity, expect_dtype,
    shader,
};
use crate::number::{Real, Tracked};
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

pub use function::Function;
pub(in crate::op) use graph_number::GraphNumber;
pub use unary::{Allowed, Setting, Settings, Tried, UnaryFunction};

const SHADER: Shader = shader!("pointwise", "functions", "identity");

pub const ENTRY: Entry = Entry::new("pointwise", &[SHADER], cases::cases);

/// dx = dy·f′. Inputs: the saved x or y, dy; output dx; one shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backward(pub Function);

/// y = f(x). x: any shape; y: the same.
impl Op for Function {
    fn name(&self) -> &'static str {
        self.formulas.name
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        expect_dtype("x", x, DType::F32)?;
        if let Some((setting, message)) = self.refusal() {
            return Err(format!("{setting} {message}"));
        }
        Ok(vec![x.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        if self.formulas.flat {
            return Ok(vec![None]);
        }
        let saved = if self.saves_output() {
            &vjp.outputs[0]
        } else {
            &vjp.inputs[0]
        };
        let backward = Backward(*self);
        let dx = saved.graph().apply_one(backward, &[saved, vjp.dy()?]);
        Ok(vec![Some(dx)])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        Ok(launch("forward", *self, signature, 1))
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let error = |&x: &f64| self.tracked(Tracked::exact(x)).error;
        vec![sample.inputs[0].iter().map(error).collect()]
    }
}

impl Compute for Function {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let x = io.input(0);
        (self.loops::<T>().forward)(x, io.output(0), self.settings);
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        match self.0.formulas.name {
            "relu" => "relu.backward",
            "leaky_relu" => "leaky_relu.backward",
            "sigmoid" => "sigmoid.backward",
            "tanh" => "tanh.backward",
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
            let factor = self.0.second(GraphNumber::of(saved));
            let both = || by_dx.mul(dy);
            match factor.as_constant() {
                Some(0.0) => None,
                Some(factor) => Some(both().scale(factor as f32)),
                None => Some(both().mul(&factor.tensor(saved.graph()))),
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
        let error = |(&saved, &dy): (&f64, &f64)| {
            (Tracked::exact(dy) * self.0.tracked_slope(Tracked::exact(saved))).error
        };
        let operands = sample.inputs[0].iter().zip(&sample.inputs[1]);
        vec![operands.map(error).collect()]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (saved, dy) = (io.input(0), io.input(1));
        (self.0.loops::<T>().backward)(saved, dy, io.output(0), self.0.settings);
    }
}

fn launch(
    entry: &'static str,
    function: Function,
    signature: &Signature,
    inputs: usize,
) -> Launches {
    let len = signature.outputs[0].elements();
    Function::describe(Some(function), Launch::new(SHADER, entry))
        .param("len", len as usize)
        .bind_all(inputs, 1)
        .over(len.div_ceil(4), 64)
        .flops(len * 4)
        .into()
}
