//! Losses of margins and angles.

use crate::op::{Penalty, Similarity};

use super::Loss;
use super::function::{RowFormula, Takes};
use super::pointwise::mean;

#[expect(
    non_upper_case_globals,
    reason = "losses are spelled as Keras' classes are"
)]
impl Loss {
    /// The mean of max(1 − y*·y, 0) with targets of −1 and 1; a target of 0 counts as −1.
    ///
    /// PyTorch's `HingeEmbeddingLoss` and `MultiMarginLoss` are other functions.
    pub const Hinge: Loss =
        Loss::formula(&RowFormula::new("hinge", Takes::Numbers, |y, target, _| {
            mean(y, target, Penalty::Hinge)
        }));

    /// The mean of max(1 − y*·y, 0)², targets as [`Loss::Hinge`].
    pub const SquaredHinge: Loss = Loss::formula(&RowFormula::new(
        "squared_hinge",
        Takes::Numbers,
        |y, target, _| mean(y, target, Penalty::SquaredHinge),
    ));

    /// max(1 + max (1 − y*)·y − Σ y*·y, 0) over the classes of one-hot targets, averaged over rows.
    pub const CategoricalHinge: Loss = Loss::formula(
        &RowFormula::new("categorical_hinge", Takes::Shares, |y, target, _| {
            y.categorical_hinge(target)
        })
        .by_position(),
    );

    /// −cos of the angle between y and y*, averaged over rows: −1 for the same direction. PyTorch's `CosineEmbeddingLoss`
    /// has 1 − cos.
    pub const CosineSimilarity: Loss = Loss::formula(
        &RowFormula::new("cosine_similarity", Takes::Numbers, |y, target, _| {
            y.similarity(target, Similarity::Cosine)
        })
        .by_position(),
    );
}
