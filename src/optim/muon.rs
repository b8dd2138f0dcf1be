//! Muon: matrices step by the orthogonal matrix next to their momentum, everything else by Adam.

use serde::{Deserialize, Serialize};

use crate::op::{MatMul, Series, Treatment, Update};
use crate::range::{above_zero, at_least_one, at_least_zero, finite, share};
use crate::{Result, Tensor};

use super::adafactor::no_coupled_decay;
use super::define::optimizer;
use super::gradients::MomentumBuffer;
use super::settings::not_empty;
use super::sgd::Descent;
use super::wrap::{record, state};
use super::{Adam, Clock, Common, Rates};

/// How long a matrix's step is, whose elements would otherwise have a root mean square of about 1/√max(rows, columns).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepLength {
    /// η·share·√max(rows, columns): of Adam's usual size. Keras' `rms_rate` and PyTorch's `match_rms_adamw`, both 0.2.
    Rms(f32),
    /// η·√max(1, rows/columns): Keras without a rate, PyTorch's `original`, whose matrices stand upright.
    Original,
    /// η·√(rows/columns): PyTorch's `spectral_unclamped`.
    Spectral,
}

optimizer! {
    /// Muon (Jordan et al., 2024) with Keras' names and defaults.
    ///
    /// Matrices: m ← μ·m + g; x = g + μ·m (Nesterov) or m; x ← x/(‖x‖ + ε); `ns_steps` times
    /// x ← a·x + (b·x·xᵀ + c·(x·xᵀ)²)·x, which makes it about orthogonal; W ← W − η·(step length)·x. What is no matrix, or is
    /// excluded by name, is updated by Adam. The common weight decay, 0.004 by default, is that of matrices; the common `l2`
    /// must be 0.
    ///
    /// [`Muon::pytorch`] is PyTorch's form: m ← μ·m + (1 − μ)·g, x = (1 − μ)·g + μ·m, ‖x‖ at least ε, step length
    /// `Original`, and the iteration in numbers rounded to bfloat16; its decay is 0.1.
    composed Muon "muon", 0.001 {
        /// β₁ of Adam, in [0, 1). Default 0.9.
        adam_beta_1: f32 = 0.9, share;
        /// β₂ of Adam, in [0, 1). Default 0.999.
        adam_beta_2: f32 = 0.999, share;
        /// Adam's decoupled decay, at least 0. Default 0.004.
        adam_weight_decay: f32 = 0.004, at_least_zero;
        /// The factor of η for Adam, at least 0. Default 1.
        adam_lr_ratio: f32 = 1.0, at_least_zero;
        /// ε, above 0. Default 1e-7.
        epsilon: f32 = 1e-7, above_zero;
        /// Matrices whose names contain one of these are updated by Adam.
        exclude_layers: Vec<String> = Vec::new();
        /// a, b, c. Default 3.4445, −4.775, 2.0315.
        coefficients: [f32; 3] = [3.4445, -4.775, 2.0315], all_finite;
        /// μ, in [0, 1). Default 0.95.
        momentum: f32 = 0.95, share;
        /// Steps of the iteration, at least 1. Default 5.
        ns_steps: u32 = 5, at_least_one;
        /// Whether to look ahead. Default true.
        nesterov: bool = true;
        /// How long a matrix's step is. Default `Rms(0.2)`.
        step_length: StepLength = StepLength::Rms(0.2), has_length;
        /// Whether as in PyTorch. Default false.
        pytorch: bool = false;
    }
    common Common { weight_decay: 0.004, ..Common::default() };
    also |muon| no_coupled_decay(muon.common.l2)
        .and_then(|()| not_empty("exclude_layers", &muon.exclude_layers));
    tried on [];
}

fn all_finite(name: &'static str, values: [f32; 3]) -> Result<()> {
    values.into_iter().try_for_each(|value| finite(name, value))
}

fn has_length(name: &'static str, length: StepLength) -> Result<()> {
    match length {
        StepLength::Rms(share) => above_zero(name, share),
        StepLength::Original | StepLength::Spectral => Ok(()),
    }
}

impl Muon {
    /// PyTorch's form.
    pub fn pytorch(mut self) -> Self {
        self.pytorch = true;
        self.step_length = StepLength::Original;
        self
    }

    fn is_matrix(&self, name: &str, parameter: &Tensor) -> bool {
        let mut excluded = self.exclude_layers.iter();
        parameter.shape().rank() == 2 && !excluded.any(|part| name.contains(part.as_str()))
    }

    /// The orthogonal matrix next to `x`, times the step's length.
    fn direction(&self, x: &Tensor) -> Tensor {
        let shape = x.shape();
        let (rows, columns) = shape.rows_and_columns();
        let kept = |x: Tensor| if self.pytorch { x.bfloat16() } else { x };
        let x = kept(x.clone());
        // In a unit in which f32 holds the square of the norm.
        let (norm, unit) = x.reshape([rows * columns]).lengths(0);
        let (norm, epsilon) = (kept(norm), unit.scale(self.epsilon));
        let norm = if self.pytorch {
            norm.maximum(&epsilon)
        } else {
            norm.add(&epsilon)
        };
        let mut x = kept(x.mul(&unit).div(&norm));
        let [a, b, c] = self.coefficients;
        let product = |x: &Tensor, y: &Tensor, transpose_a, transpose_b| {
            let op = MatMul::plain(transpose_a, transpose_b);
            x.graph().apply_one(op, &[x, y])
        };
        // The products of the shorter side, from whichever side of x they are.
        let upright = rows > columns;
        for _ in 0..self.ns_steps {
            let gram = kept(product(&x, &x, upright, !upright));
            let sum = kept(gram.scale(b).add(&gram.matmul(&gram).scale(c)));
            let turned = if upright {
                x.matmul(&sum)
            } else {
                sum.matmul(&x)
            };
            x = kept(x.scale(a).add(&turned));
        }
        let (rows, columns) = (rows as f64, columns as f64);
        let length = match self.step_length {
            StepLength::Rms(share) => f64::from(share) * rows.max(columns).sqrt(),
            StepLength::Original => (rows / columns).max(1.0).sqrt(),
            StepLength::Spectral => (rows / columns).sqrt(),
        };
        x.scale(length as f32)
    }

    fn clock_rates(&self) -> Rates {
        let betas = [self.adam_beta_1, self.adam_beta_2];
        self.common
            .counted(&self.learning_rate, betas, Series::None)
    }

    #[track_caller]
    fn record(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor> {
        let (gradients, mut updates) = self.common.prepared(parameters, clock);
        let mu = self.momentum;
        let share = if self.pytorch {
            (1.0 - f64::from(mu)) as f32
        } else {
            1.0
        };
        for ((name, parameter, _), gradient) in parameters.iter().zip(&gradients) {
            let pace = Treatment {
                running: self.common.running(),
                ..self.common.pace(name)
            };
            if !self.is_matrix(name, parameter) {
                let update = self.by_adam(pace);
                updates.extend(record(update, name, parameter, gradient, clock));
                continue;
            }
            let m = state(name, "momentum", parameter, 0.0);
            let buffer = MomentumBuffer {
                momentum: mu,
                share,
            };
            updates.extend(record(buffer.into(), name, &m, gradient, clock));
            let x = if self.nesterov {
                gradient.scale(share).add(&m.scale(mu))
            } else {
                m
            };
            let direction = self.direction(&x);
            let step = Update::new(Descent, pace);
            updates.extend(record(step, name, parameter, &direction, clock));
        }
        updates
    }

    /// The update of what is no matrix. Decay goes with η itself, not with Adam's share of it.
    fn by_adam(&self, pace: Treatment) -> Update<Adam> {
        let ratio = self.adam_lr_ratio;
        let decay = if pace.decay != 0.0 && ratio > 0.0 {
            self.adam_weight_decay / ratio
        } else {
            0.0
        };
        let adam = Adam {
            beta_1: self.adam_beta_1,
            beta_2: self.adam_beta_2,
            epsilon: self.epsilon,
            ..Adam::default()
        };
        let treatment = Treatment {
            factor: pace.factor * ratio,
            decay,
            ..pace
        };
        Update::new(adam, treatment)
    }
}
