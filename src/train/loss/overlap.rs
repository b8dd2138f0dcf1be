//! Losses of the overlap between outputs and targets, of a batch as a whole.

use serde::{Deserialize, Serialize};

use crate::nn::Config;
use crate::op::{Form, Similarity};
use crate::{Result, Tensor};

use super::function::{RowFunction, Span, Takes};
use super::{Loss, between};

/// Keras' epsilon in Dice and Tversky.
const EPSILON: f32 = 1e-7;

/// Dice is Tversky with α = β = ½ and half of the epsilon.
const HALF: Overlap = Overlap {
    alpha: 0.5,
    beta: 0.5,
    epsilon: 0.5 * EPSILON,
};

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
    pub const Dice: Loss = Loss::of(super::Held::Static(&Dice));

    /// [`Tversky`] with α and β.
    pub fn tversky(alpha: f32, beta: f32) -> Self {
        Loss::from(Tversky { alpha, beta })
    }
}

/// [`Loss::Dice`].
#[derive(Debug)]
struct Dice;

impl RowFunction for Dice {
    fn name(&self) -> &str {
        "dice"
    }

    fn rows(&self, y: &Tensor, target: &Tensor, _form: Form) -> Tensor {
        HALF.rows(y, target)
    }

    fn takes(&self) -> Takes {
        Takes::Shares
    }

    fn span(&self) -> Span {
        Span::Batch
    }

    fn batch(&self, y: &Tensor, target: &Tensor, cursor: &Tensor) -> Tensor {
        HALF.batch(y, target, cursor)
    }

    fn config(&self) -> Option<Config> {
        Config::of(&())
    }
}

/// 1 − A/(A + α·Σ y*·(1 − y) + β·Σ y·(1 − y*) + 1e-7) with A = Σ y*·y, over the batch or each row as [`Loss::Dice`],
/// which it is with α = β = ½.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tversky {
    /// The weight α ≥ 0 of what is missed; Keras' default is 0.5.
    pub alpha: f32,
    /// The weight β ≥ 0 of false alarms; Keras' default is 0.5.
    pub beta: f32,
}

impl Tversky {
    fn overlap(self) -> Overlap {
        let Tversky { alpha, beta } = self;
        Overlap {
            alpha,
            beta,
            epsilon: EPSILON,
        }
    }
}

impl Default for Tversky {
    fn default() -> Self {
        Tversky {
            alpha: 0.5,
            beta: 0.5,
        }
    }
}

impl RowFunction for Tversky {
    fn name(&self) -> &str {
        "tversky"
    }

    fn rows(&self, y: &Tensor, target: &Tensor, _form: Form) -> Tensor {
        self.overlap().rows(y, target)
    }

    fn takes(&self) -> Takes {
        Takes::Shares
    }

    fn span(&self) -> Span {
        Span::Batch
    }

    fn batch(&self, y: &Tensor, target: &Tensor, cursor: &Tensor) -> Tensor {
        self.overlap().batch(y, target, cursor)
    }

    fn config(&self) -> Option<Config> {
        Config::of(self)
    }

    fn validate(&self) -> Result<()> {
        between("alpha", self.alpha, 0.0, f32::INFINITY)?;
        between("beta", self.beta, 0.0, f32::INFINITY)
    }
}

/// 1 − A/(A + α·Σ t·(1 − y) + β·Σ y·(1 − t) + ε) with A = Σ y·t.
#[derive(Clone, Copy)]
struct Overlap {
    alpha: f32,
    beta: f32,
    epsilon: f32,
}

impl Overlap {
    /// A fraction for each row.
    #[track_caller]
    fn rows(self, y: &Tensor, target: &Tensor) -> Tensor {
        let Overlap {
            alpha,
            beta,
            epsilon,
        } = self;
        let kind = Similarity::Tversky {
            alpha,
            beta,
            epsilon,
        };
        y.similarity(target, kind)
    }

    /// One fraction over all rows of the batch, for each of its rows.
    fn batch(self, y: &Tensor, target: &Tensor, cursor: &Tensor) -> Tensor {
        let (rows, columns) = y.shape().rows_and_columns();
        let mean = |values: Tensor| values.batch_mean(cursor);
        let rest = |values: &Tensor| values.neg().offset(1.0);
        let missed = mean(target.mul(&rest(y))).scale(self.alpha);
        let alarms = mean(y.mul(&rest(target))).scale(self.beta);
        // Means, not sums, so that ε is a share of the batch too.
        let mistakes = missed
            .add(&alarms)
            .offset(self.epsilon / (rows * columns) as f32);
        let loss = mistakes.div(&mean(y.mul(target)).add(&mistakes));
        let zeros = y.graph().constant([rows], &vec![0.0; rows]);
        loss.reshape([1]).add(&zeros)
    }
}
