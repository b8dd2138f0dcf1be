//! Losses of the overlap between outputs and targets, of a batch as a whole.

use serde::{Deserialize, Serialize};

use crate::nn::Config;
use crate::op::{Form, Similarity};
use crate::{Result, Tensor};

use super::function::{RowFunction, Span, Takes};
use super::{Held, Loss, between};

/// Keras' epsilon in Dice and Tversky.
const EPSILON: f32 = 1e-7;

#[expect(
    non_upper_case_globals,
    reason = "losses are spelled as Keras' classes are"
)]
impl Loss {
    /// 1 − 2·Σ y*·y/(Σ y* + Σ y + 1e-7): in `fit` one fraction for the batch as a whole, which is Keras' default. In
    /// `evaluate` and validation a batch is 1024 rows, the last one fewer, each fewer where a device's budget leaves no room,
    /// and the fractions are averaged by rows.
    ///
    /// [`Loss::each_row`] has a fraction for each row, Keras with `axis=-1`; of a tensor that is reshaped to one row
    /// it is that of the whole.
    pub const Dice: Loss = Loss::of(Held::Static(&Tversky {
        alpha: 0.5,
        beta: 0.5,
        dice: true,
    }));

    /// 1 − A/(A + α·Σ y*·(1 − y) + β·Σ y·(1 − y*) + 1e-7) with A = Σ y*·y, over the batch or each row as [`Loss::Dice`],
    /// which it is with α = β = ½: α ≥ 0 is the weight of what is missed, β ≥ 0 that of false alarms. Keras' default is
    /// 0.5 for both.
    pub fn tversky(alpha: f32, beta: f32) -> Self {
        let dice = false;
        Loss::from(Tversky { alpha, beta, dice })
    }
}

/// [`Loss::tversky`], and [`Loss::Dice`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Tversky {
    alpha: f32,
    beta: f32,
    #[serde(skip)]
    dice: bool,
}

impl Default for Tversky {
    fn default() -> Self {
        Tversky {
            alpha: 0.5,
            beta: 0.5,
            dice: false,
        }
    }
}

impl Tversky {
    /// Dice has half of Keras' epsilon, as sums count twice there.
    fn epsilon(self) -> f32 {
        if self.dice { 0.5 * EPSILON } else { EPSILON }
    }
}

impl RowFunction for Tversky {
    fn name(&self) -> &str {
        if self.dice { "dice" } else { "tversky" }
    }

    fn rows(&self, y: &Tensor, target: &Tensor, _form: Form) -> Tensor {
        let kind = Similarity::Tversky {
            alpha: self.alpha,
            beta: self.beta,
            epsilon: self.epsilon(),
        };
        y.similarity(target, kind)
    }

    fn takes(&self) -> Takes {
        Takes::Shares
    }

    fn span(&self) -> Span {
        Span::Batch
    }

    /// One fraction over all rows of the batch, for each of its rows.
    fn batch(&self, y: &Tensor, target: &Tensor, cursor: &Tensor) -> Tensor {
        let (rows, columns) = y.shape().rows_and_columns();
        let mean = |values: Tensor| values.batch_mean(cursor);
        let rest = |values: &Tensor| values.neg().offset(1.0);
        let missed = mean(target.mul(&rest(y))).scale(self.alpha);
        let alarms = mean(y.mul(&rest(target))).scale(self.beta);
        // Means, not sums, so that ε is a share of the batch too.
        let mistakes = missed
            .add(&alarms)
            .offset(self.epsilon() / (rows * columns) as f32);
        let loss = mistakes.div(&mean(y.mul(target)).add(&mistakes));
        let zeros = y.graph().constant([rows], &vec![0.0; rows]);
        loss.reshape([1]).add(&zeros)
    }

    fn config(&self) -> Option<Config> {
        if self.dice {
            Config::of(&())
        } else {
            Config::of(self)
        }
    }

    fn validate(&self) -> Result<()> {
        between("alpha", self.alpha, 0.0, f32::INFINITY)?;
        between("beta", self.beta, 0.0, f32::INFINITY)
    }
}
