//! Losses of squared distances.

use super::Loss;
use super::function::{RowFormula, Takes};

#[expect(
    non_upper_case_globals,
    reason = "losses are spelled as Keras' classes are"
)]
impl Loss {
    /// L = 1/(2n)·Σ(y − y*)² over n rows, the sum over all columns too: the form of introductory texts.
    ///
    /// Its gradient is (y − y*)/n. That of [`Loss::MeanSquaredError`], 1/(n·columns)·Σ(y − y*)², is 2/columns times as
    /// large: equal for two columns, twice as large for one.
    pub const HalfSquaredError: Loss = Loss::formula(&RowFormula::new(
        "half_squared_error",
        Takes::Numbers,
        |y, target, _| y.squared_error(target, 0.5),
    ));

    /// The mean of (y − y*)² over rows and columns.
    pub const MeanSquaredError: Loss = Loss::formula(&RowFormula::new(
        "mean_squared_error",
        Takes::Numbers,
        |y, target, _| y.squared_error(target, super::pointwise::share(y)),
    ));
}
