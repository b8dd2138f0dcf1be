//! Binary cross-entropy of each row: lossᵣ = the mean over j of −(t·ln p + (1 − t)·ln(1 − p)).
//!
//! For logits, p = sigmoid z: max(z, 0) − z·t + ln(1 + e^−|z|), and dz = (sigmoid z − t)·dloss/columns. For probabilities
//! as Keras 3 has it: p is kept between 1e-7 and 1 − 1e-7, and dp = (p − t)/(p·(1 − p))·dloss/columns, 0 outside.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, Vjp, arity, shader,
};
use crate::number::{Number, Real, Tracked};
use crate::op::shape::pair_gradients::pair_gradients;
use crate::op::shape::row_pairs::{gradients, losses, of_sample};
use crate::op::shape::rows::{Rows, dense, elementwise};
use crate::target::Target;
use crate::{Tensor, TensorType};

const SHADER: Shader = shader!("binary_cross_entropy", "binary_cross_entropy_terms", "rows");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "binary_cross_entropy",
    shaders: &[SHADER],
    cases,
};

/// What a cross-entropy takes for its predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Numbers of any size, before sigmoid or softmax. Accurate however sure the prediction is.
    Logits,
    /// Probabilities, after sigmoid or softmax; kept between 1e-7 and 1 − 1e-7, outside of which the gradient is 0.
    Probabilities,
}

/// The least probability that a logarithm is taken of, as Keras's epsilon.
pub(super) const LOWEST: f32 = 1e-7;
/// 1 − 1e-7 in f32.
pub(super) const HIGHEST: f32 = 1.0 - f32::EPSILON;

/// The number kept between [`LOWEST`] and [`HIGHEST`], a NaN as it is.
pub(super) fn kept<N: Number>(p: N) -> N {
    p.larger(N::given(LOWEST)).smaller(N::given(HIGHEST))
}

/// −ln p without cancellation near p = 1.
pub(super) fn minus_log<N: Number>(p: N) -> N {
    ((N::constant(1.0) - p) / p).logarithm_of_one_plus()
}

/// loss = the mean binary cross-entropy over the last dimension. y and t: one shape; loss: the same without the last
/// dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinaryCrossEntropy {
    /// Whether y are logits or probabilities.
    pub form: Form,
}

/// dy. Inputs: y, t, dloss; output dy, shaped as y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backward(pub BinaryCrossEntropy);

impl BinaryCrossEntropy {
    pub(super) fn logits(self) -> bool {
        self.form == Form::Logits
    }

    /// The loss of one element, as a sum of terms of one sign: small losses keep their digits.
    #[inline(always)]
    pub(super) fn term<N: Number>(self, y: N, t: N) -> N {
        let (zero, one) = (N::constant(0.0), N::constant(1.0));
        match self.form {
            Form::Logits => {
                let wrong = N::choose(zero.is_less(y), one - t, t);
                y.magnitude() * wrong + (-y.magnitude()).power_of_e().log_of_one_plus()
            }
            Form::Probabilities => {
                let p = kept(y);
                t * minus_log(p) + (one - t) * (p / (one - p)).logarithm_of_one_plus()
            }
        }
    }

    /// d term/dy; of logits sigmoid y − t over a common denominator, where nothing cancels for t = 0 or 1.
    #[inline(always)]
    pub(super) fn slope<N: Number>(self, y: N, t: N) -> N {
        let (zero, one) = (N::constant(0.0), N::constant(1.0));
        match self.form {
            Form::Logits => {
                let below = y.is_less(zero);
                let e = N::choose(below, y, -y).power_of_e();
                let above = N::choose(below, e * (one - t) - t, (one - t) - t * e);
                above / (one + e)
            }
            Form::Probabilities => {
                let slope = (y - t) / (y * (one - y));
                let low = N::choose(y.is_less(N::given(LOWEST)), zero, slope);
                y.keep_nan(N::choose(N::given(HIGHEST).is_less(y), zero, low))
            }
        }
    }

    /// The error of a device's [`Self::term`].
    pub(super) fn term_error(self, y: f64, t: f64) -> f64 {
        self.term(Tracked::exact(y), Tracked::exact(t)).error
    }

    /// The error of a device's [`Self::slope`].
    pub(super) fn slope_error(self, y: f64, t: f64) -> f64 {
        self.slope(Tracked::exact(y), Tracked::exact(t)).error
    }
}

impl Op for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        "binary_cross_entropy"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, t] = arity::<2>(inputs)?;
        Ok(vec![TensorType::f32(dense(y, t)?)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (y, t) = (&vjp.inputs[0], &vjp.inputs[1]);
        if vjp.wanted[1] {
            return Err("the target of binary_cross_entropy has no gradient".into());
        }
        let dy = y.graph().apply_one(Backward(*self), &[y, t, vjp.dy()?]);
        Ok(vec![Some(dy), None])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let rows = Rows::new(&signature.inputs[0].shape, 1, target);
        Ok(rows
            .launch(SHADER, "forward", 1, 1)
            .set("LOGITS", self.logits())
            .bind_all(2, 1)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // The terms' errors, γ of their sum, and a division.
        let (_, columns) = sample.signature.inputs[0].shape.rows_and_columns();
        vec![
            of_sample(sample)
                .map(|(y, t)| {
                    let pairs = || y.iter().zip(t).map(|(&y, &t)| (y, t));
                    let errors: f64 = pairs().map(|(y, t)| self.term_error(y, t)).sum();
                    let terms: f64 = pairs().map(|(y, t)| self.term(y, t).abs()).sum();
                    (errors + Sample::gamma(columns + 6) * terms) / columns as f64 + 1e-37
                })
                .collect(),
        ]
    }
}

impl Compute for BinaryCrossEntropy {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        losses(
            io,
            #[inline(always)]
            |y, t| {
                let terms = y.iter().zip(t).map(|(&y, &t)| self.term(y, t));
                terms.sum::<T>() / T::of(y.len() as f64)
            },
        );
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "binary_cross_entropy.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, _, _] = arity::<3>(inputs)?;
        Ok(vec![y.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        if vjp.wanted[1] {
            return Err("the target of binary_cross_entropy has no gradient".into());
        }
        // A division: 1/columns has no exact f32.
        let (_, columns) = vjp.inputs[0].shape().rows_and_columns();
        let count = vjp.inputs[0].graph().constant([], &[columns as f32]);
        pair_gradients(vjp, |y, t| self.0.slope(y, t), |slopes| slopes.div(&count))
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        Ok(elementwise(SHADER, "backward", &signature.inputs[0].shape)
            .set("LOGITS", self.0.logits())
            .bind_all(3, 1)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // The slope's error, carried through a product and a division.
        let (_, columns) = sample.signature.inputs[0].shape.rows_and_columns();
        let mut bound = sample.relative(0, 4.0);
        for (i, bound) in bound.iter_mut().enumerate() {
            let slope = self.0.slope_error(sample.inputs[0][i], sample.inputs[1][i]);
            *bound += slope * sample.inputs[2][i / columns].abs() / columns as f64;
        }
        vec![bound]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        gradients(
            io,
            #[inline(always)]
            |dy, y, t, dloss| {
                let count = T::of(y.len() as f64);
                for ((dy, &y), &t) in dy.iter_mut().zip(y).zip(t) {
                    *dy = self.0.slope(y, t) * dloss / count;
                }
            },
        );
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 13] = [
        &[1],
        &[1, 1],
        &[2, 3],
        &[3, 2],
        &[17, 10],
        &[33, 17],
        &[255, 1],
        &[256, 3],
        &[257, 10],
        &[1000, 1],
        &[2, 3, 5],
        &[33, 257],
        &[3, 1000],
    ];
    let mut cases = Vec::new();
    let mut push = |form, shape: &[usize], y: Fill, t: Fill, smooth: bool| {
        let op = BinaryCrossEntropy { form };
        let forward = Case::new(op).input(shape, y.clone());
        let forward = forward.constant(shape, t.clone());
        cases.push(if smooth {
            forward
        } else {
            forward.without_gradient()
        });
        let rows = &shape[..shape.len() - 1];
        let backward = Case::new(Backward(op)).input(shape, y).constant(shape, t);
        let backward = backward.input(rows, Fill::Uniform(-2.0, 2.0));
        cases.push(if smooth {
            backward
        } else {
            backward.without_gradient()
        });
    };
    for (i, shape) in shapes.into_iter().enumerate() {
        let t = [Fill::Binary, Fill::Uniform(0.0, 1.0)][i % 2].clone();
        let logits = Fill::Uniform(-6.0, 6.0);
        push(Form::Logits, shape, logits, t.clone(), true);
        let probabilities = Fill::Uniform(0.05, 0.95);
        push(Form::Probabilities, shape, probabilities, t, true);
    }
    for most in [100.0, 1e4] {
        let logits = Fill::Uniform(-most, most);
        push(Form::Logits, &[33, 10], logits, Fill::Binary, false);
    }
    let hits = Fill::Uniform(0.0, 1e-6);
    push(Form::Probabilities, &[33, 10], hits, Fill::Binary, false);
    let hits = Fill::Uniform(1.0 - 1e-6, 1.0);
    push(Form::Probabilities, &[33, 10], hits, Fill::Binary, false);
    push(
        Form::Probabilities,
        &[2, 70_000],
        Fill::Uniform(0.1, 0.9),
        Fill::Binary,
        false,
    );
    // Both ends, each right and wrong; 1e-7 and 1 − 1e-7 are still inside.
    let ends = [0.0, LOWEST, 0.5, HIGHEST, 1.0].repeat(2);
    let targets = [[0.0; 5], [1.0; 5]].concat();
    push(
        Form::Probabilities,
        &[2, 5],
        Fill::Values(ends),
        Fill::Values(targets.clone()),
        false,
    );
    let ends = [-1e4, -200.0, 0.0, 200.0, 1e4].repeat(2);
    push(
        Form::Logits,
        &[2, 5],
        Fill::Values(ends),
        Fill::Values(targets),
        false,
    );
    cases
}

impl Tensor {
    /// The binary cross-entropy −(t·ln p + (1 − t)·ln(1 − p)), averaged over the last dimension, which is dropped: a loss
    /// for each row. The target has this tensor's shape and holds zeros and ones, or shares between them.
    #[track_caller]
    pub fn binary_cross_entropy(&self, target: &Tensor, form: Form) -> Tensor {
        self.graph()
            .apply_one(BinaryCrossEntropy { form }, &[self, target])
    }
}
