//! A loss of each row that adds up element by element: lossᵣ = scale·Σⱼ φ(yᵣⱼ, tᵣⱼ); dyᵣⱼ = scale·∂φ/∂y·dlossᵣ.
//!
//! The functions φ are those of [`Penalty`]. Where φ depends on y − t alone, dt = −dy; the other targets are data.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    shader,
};
use crate::number::{Real, Tracked};
use crate::op::shape::pair_gradients::pair_gradients;
use crate::op::shape::row_pairs::{gradients, losses, of_sample};
use crate::op::shape::rows::{Rows, dense, elementwise};
use crate::target::Target;
use crate::{Tensor, TensorType};

use super::{Form, Penalty};

const SHADER: Shader = shader!(
    "pointwise_loss",
    "penalties",
    "binary_cross_entropy_terms",
    "rows"
);

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "pointwise_loss",
    shaders: &[SHADER],
    cases,
};

/// loss = scale·Σ φ(y, t) over the last dimension. y and t: one shape; loss: the same without the last dimension.
#[derive(Debug, Clone, Copy)]
pub struct PointwiseLoss {
    /// φ.
    pub penalty: Penalty,
    /// The factor of the sum.
    pub scale: f32,
}

/// dy = scale·∂φ/∂y·dloss. Inputs: y, t, dloss; output dy, shaped as y.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backward(pub PointwiseLoss);

impl PointwiseLoss {
    fn params(self, launch: Launch) -> Launch {
        let (function, [a, b, c]) = self.penalty.code();
        launch
            .set("FUNCTION", function)
            .set("LOGITS", self.penalty.logits())
            .param("scale", self.scale)
            .param("a", a)
            .param("b", b)
            .param("c", c)
    }
}

impl Op for PointwiseLoss {
    fn name(&self) -> &'static str {
        "pointwise_loss"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, t] = arity::<2>(inputs)?;
        Ok(vec![TensorType::f32(dense(y, t)?)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (y, t) = (&vjp.inputs[0], &vjp.inputs[1]);
        if vjp.wanted[1] && !self.penalty.is_of_difference() {
            return Err(format!("the target of {:?} has no gradient", self.penalty));
        }
        let dy = y.graph().apply_one(Backward(*self), &[y, t, vjp.dy()?]);
        let dt = vjp.wanted[1].then(|| dy.neg());
        Ok(vec![Some(dy), dt])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let rows = Rows::new(&signature.inputs[0].shape, 1, target);
        let launch = rows.launch(SHADER, "forward", 1, 1).bind_all(2, 1);
        Ok(self.params(launch).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // The functions' errors, γ of their sum, and a product.
        let (_, columns) = sample.signature.inputs[0].shape.rows_and_columns();
        let scale = f64::from(self.scale).abs();
        vec![
            of_sample(sample)
                .map(|(y, t)| {
                    let pairs = y.iter().zip(t);
                    let terms = pairs.map(|(&y, &t)| {
                        let [y, t] = [y, t].map(Tracked::exact);
                        self.penalty.value(y, t)
                    });
                    let error =
                        |term: Tracked| term.error + Sample::gamma(columns + 2) * term.value.abs();
                    scale * terms.map(error).sum::<f64>() + 1e-37
                })
                .collect(),
        ]
    }
}

impl Compute for PointwiseLoss {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let scale = T::of(f64::from(self.scale));
        losses(
            io,
            #[inline(always)]
            |y, t| {
                let terms = y.iter().zip(t).map(|(&y, &t)| self.penalty.value(y, t));
                scale * terms.sum()
            },
        );
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "pointwise_loss.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, _, _] = arity::<3>(inputs)?;
        Ok(vec![y.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let PointwiseLoss { penalty, scale } = self.0;
        if vjp.wanted[1] && !penalty.is_of_difference() {
            return Err(format!("the target of {penalty:?} has no gradient"));
        }
        pair_gradients(
            vjp,
            |y, t| penalty.slope(y, t),
            |slopes| slopes.scale(scale),
        )
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let launch = elementwise(SHADER, "backward", &signature.inputs[0].shape).bind_all(3, 1);
        Ok(self.0.params(launch).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let (_, columns) = sample.signature.inputs[0].shape.rows_and_columns();
        let [y, t, dloss] = [0, 1, 2].map(|input| &sample.inputs[input]);
        let scale = Tracked::exact(f64::from(self.0.scale));
        let error = |i: usize| {
            let [y, t, dloss] = [y[i], t[i], dloss[i / columns]].map(Tracked::exact);
            (scale * self.0.penalty.slope(y, t) * dloss).error
        };
        vec![(0..y.len()).map(error).collect()]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let scale = T::of(f64::from(self.0.scale));
        gradients(
            io,
            #[inline(always)]
            |dy, y, t, dloss| {
                for ((dy, &y), &t) in dy.iter_mut().zip(y).zip(t) {
                    *dy = scale * self.0.penalty.slope(y, t) * dloss;
                }
            },
        );
    }
}

/// Penalties with fills for y and t.
fn focal(form: Form, gamma: f32, weights: [f32; 2]) -> Penalty {
    Penalty::BinaryFocal {
        form,
        gamma,
        weights,
    }
}

fn categorical(gamma: f32) -> Penalty {
    Penalty::CategoricalFocal { alpha: 0.25, gamma }
}

fn penalties() -> Vec<(Penalty, (Fill, Fill))> {
    let numbers = (Fill::Uniform(-2.0, 3.0), Fill::Uniform(-3.0, 2.0));
    let counts = (Fill::Uniform(0.1, 4.0), Fill::Uniform(0.0, 5.0));
    let shares = (Fill::Uniform(0.05, 0.95), Fill::Uniform(0.0, 1.0));
    let hits = (Fill::Uniform(0.05, 0.95), Fill::Binary);
    let logits = (Fill::Uniform(-6.0, 6.0), Fill::Binary);
    vec![
        (Penalty::Absolute, numbers.clone()),
        (Penalty::AbsolutePercentage, numbers.clone()),
        (Penalty::SquaredLogarithmic, counts.clone()),
        (Penalty::Huber(1.0), numbers.clone()),
        (Penalty::Huber(0.3), numbers.clone()),
        (Penalty::LogCosh, numbers.clone()),
        (Penalty::Hinge, (Fill::Uniform(-2.0, 3.0), Fill::Binary)),
        (Penalty::SquaredHinge, numbers),
        (Penalty::Poisson, counts),
        (Penalty::KullbackLeibler, shares.clone()),
        (
            Penalty::LogLikelihood,
            (Fill::Uniform(-6.0, 0.0), Fill::OneHot),
        ),
        (focal(Form::Probabilities, 2.0, [1.0, 1.0]), hits.clone()),
        (focal(Form::Probabilities, 0.5, [0.25, 0.75]), hits),
        (focal(Form::Logits, 2.0, [1.0, 1.0]), logits.clone()),
        (focal(Form::Logits, 3.0, [0.3, 0.7]), logits),
        (categorical(2.0), shares.clone()),
        (categorical(0.5), shares),
    ]
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 13] = [
        &[1],
        &[257],
        &[1, 1],
        &[2, 3],
        &[17, 10],
        &[33, 17],
        &[255, 1],
        &[256, 3],
        &[1000, 1],
        &[2, 3, 5],
        &[33, 257],
        &[3, 1000],
        &[2, 70_000],
    ];
    let mut cases = Vec::new();
    let mut push = |penalty: Penalty, shape: &[usize], (y, t): (Fill, Fill), smooth: bool| {
        let scale = 1.0 / shape[shape.len() - 1] as f32;
        let op = PointwiseLoss { penalty, scale };
        let forward = Case::new(op).input(shape, y.clone());
        let forward = if penalty.is_of_difference() {
            forward.input(shape, t.clone())
        } else {
            forward.constant(shape, t.clone())
        };
        let rows = &shape[..shape.len() - 1];
        let backward = Case::new(Backward(op)).input(shape, y).constant(shape, t);
        let backward = backward.input(rows, Fill::Uniform(-2.0, 2.0));
        // Where a value or a slope jumps, differences of it say nothing.
        let asked = |case: Case| {
            if smooth {
                case
            } else {
                case.without_gradient()
            }
        };
        cases.extend([asked(forward), asked(backward)]);
    };
    for (i, (penalty, fills)) in penalties().iter().enumerate() {
        // Every function in a few shapes, all shapes by some function.
        for shape in shapes.iter().skip(i % 4).step_by(4) {
            push(*penalty, shape, fills.clone(), true);
        }
    }
    // Kinks and ends, each as prediction and as target.
    let ends = [
        -1e4, -200.0, -1.0, -1e-3, 0.0, 1e-8, 1e-7, 0.3, 1.0, 1.5, 200.0, 1e4,
    ];
    let pairs = ends.iter().flat_map(|&y| ends.map(|t| (y, t)));
    let (y, t): (Vec<f32>, Vec<f32>) = pairs.unzip();
    for penalty in [
        Penalty::Absolute,
        Penalty::AbsolutePercentage,
        Penalty::SquaredLogarithmic,
        Penalty::Huber(1.0),
        Penalty::LogCosh,
        Penalty::Hinge,
        Penalty::SquaredHinge,
        Penalty::KullbackLeibler,
    ] {
        let fills = (Fill::Values(y.clone()), Fill::Values(t.clone()));
        push(penalty, &[ends.len(), ends.len()], fills, false);
    }
    // Sure predictions, right and wrong.
    let answers = |ends: &[f32]| {
        let targets = [vec![0.0; ends.len()], vec![1.0; ends.len()]].concat();
        (Fill::Values(ends.repeat(2)), Fill::Values(targets))
    };
    let sure = answers(&[-1e4, -200.0, -30.0, 0.0, 30.0, 200.0, 1e4]);
    let certain = answers(&[0.0, 1e-7, 1e-3, 0.5, 0.999, 1.0 - f32::EPSILON, 1.0]);
    for gamma in [0.0, 1.0, 2.0, 3.0] {
        let weights = [0.25, 0.75];
        push(
            focal(Form::Logits, gamma, weights),
            &[2, 7],
            sure.clone(),
            false,
        );
        push(
            focal(Form::Probabilities, gamma, weights),
            &[2, 7],
            certain.clone(),
            false,
        );
        push(categorical(gamma), &[2, 7], certain.clone(), false);
    }
    cases
}

impl Tensor {
    /// `scale`·Σ φ(y, target) over the last dimension, which is dropped: a loss for each row. The mean over a row has
    /// `scale` 1/columns.
    #[track_caller]
    pub fn pointwise_loss(&self, target: &Tensor, penalty: Penalty, scale: f32) -> Tensor {
        self.graph()
            .apply_one(PointwiseLoss { penalty, scale }, &[self, target])
    }
}
