//! A loss of each row that adds up element by element: lossᵣ = scale·Σⱼ φ(yᵣⱼ, tᵣⱼ); dyᵣⱼ = scale·∂φ/∂y·dlossᵣ.
//!
//! The functions φ are those of [`Penalty`]. Where φ depends on y − t alone, dt = −dy; the other targets are data. The mean
//! squared error of Keras has scale 1/columns; the half squared error of textbooks, whose derivative is y − t, has ½. A mean
//! binary cross-entropy is divided by the columns.

use crate::Tensor;
use crate::contract::{Case, Entry, Fill, Form, Launch, RowLoss, Sample, Shader, Vjp, shader};
use crate::number::{Real, Tracked};

use crate::op::shape::pair_gradients::pair_gradients;

use super::Penalty;
use super::binary_cross_entropy::{HIGHEST, LOWEST};
use super::row_reduction::{self, Comparison, RowReduction, SHAPES, TargetGradient};

const SHADER: Shader = shader!(
    "pointwise_loss",
    "penalties",
    "binary_cross_entropy_terms",
    "rows"
);

pub const ENTRY: Entry = Entry::new("pointwise_loss", &[SHADER], cases);

/// loss = scale·Σ φ(y, t) over the last dimension. y and t: one shape; loss: the same without the last dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PointwiseLoss {
    /// φ.
    pub penalty: Penalty,
    /// What the sum becomes.
    pub sum: Summed,
}

/// What becomes of the sum over a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Summed {
    /// The sum times a factor.
    Times(f32),
    /// The mean over the columns, by a division.
    Mean,
}

impl PointwiseLoss {
    /// scale·Σ (y − t)².
    pub fn squared(scale: f32) -> Self {
        PointwiseLoss {
            penalty: Penalty::Squared,
            sum: Summed::Times(scale),
        }
    }

    /// The mean binary cross-entropy.
    pub fn binary(form: Form) -> Self {
        PointwiseLoss {
            penalty: Penalty::BinaryCrossEntropy(form),
            sum: Summed::Mean,
        }
    }

    fn factor<T: Real>(self) -> T {
        match self.sum {
            Summed::Times(scale) => T::constant(f64::from(scale)),
            Summed::Mean => T::one(),
        }
    }

    /// The mean where the sum is to be one.
    #[inline(always)]
    fn divided<T: Real>(self, number: T, columns: usize) -> T {
        match self.sum {
            Summed::Times(_) => number,
            Summed::Mean => number / T::constant(columns as f64),
        }
    }
}

impl Comparison for PointwiseLoss {
    fn names(&self) -> [&'static str; 2] {
        match self.penalty {
            Penalty::Squared => ["squared_error", "squared_error.backward"],
            Penalty::BinaryCrossEntropy(_) => {
                ["binary_cross_entropy", "binary_cross_entropy.backward"]
            }
            _ => ["pointwise_loss", "pointwise_loss.backward"],
        }
    }

    fn shader(&self) -> Shader {
        SHADER
    }

    fn trees(&self) -> (u64, Option<(u64, u64)>) {
        (1, None)
    }

    fn params(&self, launch: Launch) -> Launch {
        let (function, [a, b, c]) = self.penalty.code();
        launch
            .set("FUNCTION", function)
            .set("LOGITS", self.penalty.logits())
            .set("MEAN", self.sum == Summed::Mean)
            .param("scale", self.factor::<f32>())
            .param("a", a)
            .param("b", b)
            .param("c", c)
    }

    fn of_targets(&self) -> TargetGradient<Self> {
        if self.penalty.is_of_difference() {
            TargetGradient::Negated
        } else {
            TargetGradient::None
        }
    }

    #[inline(always)]
    fn value<T: Real>(&self, y: &[T], t: &[T]) -> T {
        let pairs = y.iter().zip(t);
        let sum: T = match self.penalty {
            // A loop without the function's choice, and without a look for NaN, which squares keep.
            Penalty::Squared => pairs.map(|(&y, &t)| (y - t) * (y - t)).sum(),
            penalty => pairs.map(|(&y, &t)| penalty.value(y, t)).sum(),
        };
        self.divided(self.factor::<T>() * sum, y.len())
    }

    #[inline(always)]
    fn slopes<T: Real>(&self, dy: &mut [T], y: &[T], t: &[T], dloss: T) {
        let scale = self.factor::<T>();
        let columns = y.len();
        let elements = dy.iter_mut().zip(y).zip(t);
        match self.penalty {
            Penalty::Squared => {
                elements.for_each(|((dy, &y), &t)| *dy = (scale + scale) * (y - t) * dloss);
            }
            penalty => {
                let slope = |y, t| self.divided(scale * penalty.slope(y, t) * dloss, columns);
                elements.for_each(|((dy, &y), &t)| *dy = slope(y, t));
            }
        }
    }

    /// The functions' errors, γ of their sum, and a product or a division.
    fn value_error(&self, y: &[f64], t: &[f64], _loss: f64) -> f64 {
        let pairs = || y.iter().zip(t).map(|(&y, &t)| (y, t));
        let exact = Tracked::exact;
        let error = |(y, t)| self.penalty.value(exact(y), exact(t)).error;
        let errors: f64 = pairs().map(error).sum();
        let terms: f64 = pairs().map(|(y, t)| self.penalty.value(y, t).abs()).sum();
        let rounding = match self.sum {
            Summed::Times(_) => 2,
            Summed::Mean => 6,
        };
        let error = errors + Sample::gamma(y.len() + rounding) * terms;
        self.divided(self.factor::<f64>().abs() * error, y.len())
    }

    fn slope_units(&self) -> f64 {
        match self.sum {
            Summed::Times(_) => 2.0,
            Summed::Mean => 4.0,
        }
    }

    /// The slope's error, carried through.
    fn add_slope_errors(&self, bound: &mut [f64], y: &[f64], t: &[f64], dloss: f64) {
        let factor = self.divided((dloss * self.factor::<f64>()).abs(), y.len());
        for (bound, (&y, &t)) in bound.iter_mut().zip(y.iter().zip(t)) {
            let slope = self.penalty.slope(Tracked::exact(y), Tracked::exact(t));
            *bound += (slope.error + 1e-37) * factor;
        }
    }

    fn second(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (_, columns) = vjp.inputs[0].shape().rows_and_columns();
        let factor: f32 = self.divided(self.factor(), columns);
        let scaled = |slopes: Tensor| slopes.scale(factor);
        pair_gradients(vjp, |y, t| self.penalty.slope(y, t), scaled)
    }

    fn row_loss(&self) -> Option<RowLoss> {
        match (self.penalty, self.sum) {
            (Penalty::Squared, Summed::Times(scale)) => Some(RowLoss::Squared(scale)),
            (Penalty::BinaryCrossEntropy(form), Summed::Mean) => Some(RowLoss::Binary(form)),
            _ => None,
        }
    }
}

use Form::{Logits, Probabilities};

fn cross(form: Form) -> Penalty {
    Penalty::BinaryCrossEntropy(form)
}

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

/// Penalties with fills for y and t, each to be tried on one shape of the given number.
fn penalties() -> Vec<(Penalty, (Fill, Fill), usize)> {
    let numbers = (Fill::Uniform(-2.0, 3.0), Fill::Uniform(-3.0, 2.0));
    let counts = (Fill::Uniform(0.1, 4.0), Fill::Uniform(0.0, 5.0));
    let shares = (Fill::Uniform(0.05, 0.95), Fill::Uniform(0.0, 1.0));
    let hits = (Fill::Uniform(0.05, 0.95), Fill::Binary);
    let logits = (Fill::Uniform(-6.0, 6.0), Fill::Binary);
    let mixed = (Fill::Uniform(-6.0, 6.0), Fill::Uniform(0.0, 1.0));
    vec![
        (Penalty::Squared, numbers.clone(), 1),
        (cross(Logits), logits.clone(), 2),
        (cross(Logits), mixed, 2),
        (cross(Probabilities), hits.clone(), 2),
        (cross(Probabilities), shares.clone(), 2),
        (Penalty::Absolute, numbers.clone(), 4),
        (Penalty::AbsolutePercentage, numbers.clone(), 4),
        (Penalty::SquaredLogarithmic, counts.clone(), 4),
        (Penalty::Huber(1.0), numbers.clone(), 4),
        (Penalty::Huber(0.3), numbers.clone(), 4),
        (Penalty::LogCosh, numbers.clone(), 4),
        (Penalty::Hinge, (Fill::Uniform(-2.0, 3.0), Fill::Binary), 4),
        (Penalty::SquaredHinge, numbers, 4),
        (Penalty::Poisson, counts, 4),
        (Penalty::KullbackLeibler, shares.clone(), 4),
        (
            Penalty::LogLikelihood,
            (Fill::Uniform(-6.0, 0.0), Fill::OneHot),
            4,
        ),
        (focal(Probabilities, 2.0, [1.0, 1.0]), hits.clone(), 4),
        (focal(Probabilities, 0.5, [0.25, 0.75]), hits, 4),
        (focal(Logits, 2.0, [1.0, 1.0]), logits.clone(), 4),
        (focal(Logits, 3.0, [0.3, 0.7]), logits, 4),
        (categorical(2.0), shares.clone(), 4),
        (categorical(0.5), shares, 4),
    ]
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut push = |penalty: Penalty, shape: &[usize], fills: (Fill, Fill), smooth: bool| {
        let sum = match penalty {
            Penalty::BinaryCrossEntropy(_) => Summed::Mean,
            _ => Summed::Times(1.0 / shape[shape.len() - 1] as f32),
        };
        let op = PointwiseLoss { penalty, sum };
        cases.extend(row_reduction::pair(op, shape, fills, smooth, true));
    };
    // Every function in a few shapes, all shapes by some function.
    for (i, (penalty, fills, every)) in penalties().iter().enumerate() {
        for shape in SHAPES.iter().skip(i % every).step_by(*every) {
            push(*penalty, shape, fills.clone(), true);
        }
    }
    for most in [100.0, 1e4] {
        let fills = (Fill::Uniform(-most, most), Fill::Binary);
        push(cross(Logits), &[33, 10], fills, false);
    }
    for sure in [Fill::Uniform(0.0, 1e-6), Fill::Uniform(1.0 - 1e-6, 1.0)] {
        push(cross(Probabilities), &[33, 10], (sure, Fill::Binary), false);
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
    // Sure predictions, right and wrong; 1e-7 and 1 − 1e-7 are still inside.
    let answers = |ends: &[f32]| {
        let targets = [vec![0.0; ends.len()], vec![1.0; ends.len()]].concat();
        (Fill::Values(ends.repeat(2)), Fill::Values(targets))
    };
    let sure = answers(&[-1e4, -200.0, -30.0, 0.0, 30.0, 200.0, 1e4]);
    let certain = answers(&[0.0, LOWEST, 1e-3, 0.5, 0.999, HIGHEST, 1.0]);
    push(cross(Logits), &[2, 7], sure.clone(), false);
    push(cross(Probabilities), &[2, 7], certain.clone(), false);
    for gamma in [0.0, 1.0, 2.0, 3.0] {
        let weights = [0.25, 0.75];
        push(focal(Logits, gamma, weights), &[2, 7], sure.clone(), false);
        let probabilities = focal(Probabilities, gamma, weights);
        push(probabilities, &[2, 7], certain.clone(), false);
        push(categorical(gamma), &[2, 7], certain.clone(), false);
    }
    cases
}

/// # Losses
impl Tensor {
    /// `scale`·Σ φ(y, target) over the last dimension, which is dropped: a loss for each row. The mean over a row has
    /// `scale` 1/columns.
    #[track_caller]
    pub(crate) fn pointwise_loss(&self, target: &Tensor, penalty: Penalty, scale: f32) -> Tensor {
        let sum = Summed::Times(scale);
        let op = RowReduction(PointwiseLoss { penalty, sum });
        self.graph().apply_one(op, &[self, target])
    }

    /// `scale`·Σ (y − target)² over the last dimension, which is dropped: a loss for each row.
    ///
    /// The mean squared error has `scale` 1/columns, the half squared error ½.
    #[track_caller]
    pub fn squared_error(&self, target: &Tensor, scale: f32) -> Tensor {
        let op = RowReduction(PointwiseLoss::squared(scale));
        self.graph().apply_one(op, &[self, target])
    }

    /// The binary cross-entropy −(t·ln p + (1 − t)·ln(1 − p)), averaged over the last dimension, which is dropped: a loss
    /// for each row. The target has this tensor's shape and holds zeros and ones, or shares between them.
    #[track_caller]
    pub fn binary_cross_entropy(&self, target: &Tensor, form: Form) -> Tensor {
        let op = RowReduction(PointwiseLoss::binary(form));
        self.graph().apply_one(op, &[self, target])
    }
}
