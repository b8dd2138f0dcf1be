//! Losses of rows that a head computes along with the last layer: what the ops of such losses say they are.

/// What a cross-entropy takes for its predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Numbers of any size, before sigmoid or softmax. Accurate however sure the prediction is.
    Logits,
    /// Probabilities, after sigmoid or softmax; kept between 1e-7 and 1 − 1e-7, outside of which the gradient is 0.
    Probabilities,
}

/// A loss of each row that a head can compute.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum RowLoss {
    /// The cross-entropy of logits.
    CrossEntropy,
    /// The mean binary cross-entropy over the last dimension.
    Binary(Form),
    /// scale·Σ (y − t)² over the last dimension, by its scale.
    Squared(f32),
}
