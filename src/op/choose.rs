//! One of two tensors, element by element: y = a where a condition is not 0, else b; da = dy where it is not 0, db = dy
//! where it is, 0 elsewhere. What is not chosen has no part in anything, be it NaN or infinite.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Shader, Signature, Vjp, arity,
    expect_dtype, shader, shapes,
};
use crate::number::Real;
use crate::op::shape::broadcast::broadcast;
use crate::target::Target;
use crate::{DType, Shape, Tensor, TensorType};

const SHADER: Shader = shader!("choose");

pub const ENTRY: Entry = Entry::new("choose", &[SHADER], cases);

/// Inputs: the condition, a, b, numbers of one shape; output: the same shape. A NaN is a condition that is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choose;

/// dy where the condition is not 0, or else where it is; 0 elsewhere. Inputs: the condition, dy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Backward {
    chosen: bool,
}

fn launch(entry: &'static str, shape: &Shape) -> Launch {
    Launch::new(SHADER, entry)
        .param("len", shape.elements() as usize)
        .over(shape.elements(), 64)
}

impl Op for Choose {
    fn name(&self) -> &'static str {
        "choose"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [condition, a, b] = arity::<3>(inputs)?;
        for (name, input) in [("the condition", condition), ("a", a), ("b", b)] {
            expect_dtype(name, input, DType::F32)?;
            if input != a {
                return Err(format!(
                    "{name} is {input}, but a is {a}: all three must have one shape"
                ));
            }
        }
        Ok(vec![a.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let dy = vjp.dy()?;
        let of = |input: usize, chosen: bool| {
            let backward = Backward { chosen };
            let apply = || dy.graph().apply_one(backward, &[&vjp.inputs[0], dy]);
            vjp.wanted[input].then(apply)
        };
        Ok(vec![None, of(1, true), of(2, false)])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let launch = launch("forward", &signature.outputs[0].shape);
        Ok(launch.bind_all(3, 1).into())
    }
}

fn holds<T: Real>(condition: T) -> bool {
    condition != T::zero()
}

impl Compute for Choose {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (condition, a, b) = (io.input(0), io.input(1), io.input(2));
        let inputs = condition.iter().zip(a).zip(b);
        for (y, ((&condition, &a), &b)) in io.output(0).iter_mut().zip(inputs) {
            *y = if holds(condition) { a } else { b };
        }
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "choose.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [_, dy] = arity::<2>(inputs)?;
        Ok(vec![dy.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let dy = vjp.dy()?;
        let back = dy.graph().apply_one(*self, &[&vjp.inputs[0], dy]);
        Ok(vec![None, Some(back)])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let launch = launch("backward", &signature.outputs[0].shape);
        Ok(launch.set("CHOSEN", self.chosen).bind_all(2, 1).into())
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (condition, dy) = (io.input(0), io.input(1));
        for ((dx, &condition), &dy) in io.output(0).iter_mut().zip(condition).zip(dy) {
            *dx = if holds(condition) == self.chosen {
                dy
            } else {
                T::zero()
            };
        }
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 12] = shapes![
        scalar; 1; 2; 17; 257; 2 x 3; 33 x 17; 256 x 255; 2 x 3 x 5; 2 x 3 x 2 x 3 x 2; 1000; 70_000
    ];
    let mut cases = Vec::new();
    for shape in shapes {
        let case = Case::new(Choose)
            .constant(shape, Fill::Binary)
            .input(shape, Fill::Uniform(-2.0, 2.0))
            .input(shape, Fill::Uniform(3.0, 5.0));
        cases.push(case.without_nan());
        for chosen in [true, false] {
            let case = Case::new(Backward { chosen }).constant(shape, Fill::Binary);
            let case = case.input(shape, Fill::Uniform(-2.0, 2.0));
            cases.push(case.without_nan());
        }
    }
    // Conditions of any size, and both zeros; what is not chosen is not seen.
    let condition = vec![-0.0, 0.0, 1e-30, -3.0, f32::INFINITY, 0.5];
    let a = vec![f32::NAN, f32::INFINITY, 1.0, 2.0, 3.0, 4.0];
    let b = vec![5.0, 6.0, f32::NAN, f32::INFINITY, f32::NAN, 7.0];
    let case = Case::new(Choose).constant(&[6], Fill::Values(condition));
    let case = case.constant(&[6], Fill::Values(a));
    cases.push(case.constant(&[6], Fill::Values(b)));
    cases
}

/// # Choice
impl Tensor {
    /// `a` where this tensor is not 0, else `b`, element by element, all three broadcast to one shape: NumPy's `where`. What
    /// is not chosen has no part in the result, nor in a gradient; the condition has no gradient.
    #[track_caller]
    pub fn choose(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let shape = [a, b].iter().try_fold(self.shape(), |shape, tensor| {
            broadcast(shape.dims(), tensor.shape().dims()).map(Shape::from)
        });
        let Some(shape) = shape else {
            let message = format!(
                "shapes {}, {} and {} do not broadcast",
                self.shape(),
                a.shape(),
                b.shape()
            );
            return self.refuse("choose", message);
        };
        let [condition, a, b] = [self, a, b].map(|tensor| tensor.expand(&shape));
        self.graph().apply_one(Choose, &[&condition, &a, &b])
    }
}
