//! Rows of input numbers in the forms that callers have them in.

use std::borrow::Cow;

use super::Dataset;

/// Rows of input numbers, row-major: from a data set, a slice or vector of numbers, or an array of rows; for a model of
/// several inputs a data set that names them, or pairs of a name and numbers: `&[("a", &a[..]), ("b", &b)]`.
#[derive(Debug, Clone)]
pub struct Features<'a>(pub(crate) Cow<'a, [f32]>, pub(crate) Inputs<'a>);

/// Whose numbers they are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Inputs<'a> {
    /// Those of the model's inputs, side by side in its own order.
    Unnamed,
    /// Those of the model's inputs side by side, so many a row.
    Columns(usize),
    /// Those of inputs of these names and widths, side by side.
    Packed(&'a [(String, usize)]),
    /// Those of each input by themselves, in place of the others.
    Apart(&'a [(&'a str, &'a [f32])]),
}

#[cfg(feature = "ndarray")]
impl<'a> Features<'a> {
    /// Rows of so many numbers.
    pub(crate) fn of_columns(values: Cow<'a, [f32]>, columns: usize) -> Self {
        Features(values, Inputs::Columns(columns))
    }
}

impl<'a, const N: usize> From<&'a [(&'a str, &'a [f32]); N]> for Features<'a> {
    fn from(inputs: &'a [(&'a str, &'a [f32]); N]) -> Self {
        Features(Cow::Borrowed(&[]), Inputs::Apart(inputs))
    }
}

impl<'a> From<&'a Dataset> for Features<'a> {
    fn from(data: &'a Dataset) -> Self {
        let inputs = match data.inputs() {
            [] => Inputs::Columns(data.columns()),
            inputs => Inputs::Packed(inputs),
        };
        Features(Cow::Borrowed(data.features()), inputs)
    }
}

impl<'a> From<&'a [f32]> for Features<'a> {
    fn from(values: &'a [f32]) -> Self {
        Features(Cow::Borrowed(values), Inputs::Unnamed)
    }
}

impl<'a> From<&'a Vec<f32>> for Features<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Features(Cow::Borrowed(values), Inputs::Unnamed)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for Features<'a> {
    fn from(row: &'a [f32; N]) -> Self {
        Features(Cow::Borrowed(row), Inputs::Unnamed)
    }
}

impl<'a, const N: usize> From<&'a [[f32; N]]> for Features<'a> {
    fn from(rows: &'a [[f32; N]]) -> Self {
        Features(Cow::Borrowed(rows.as_flattened()), Inputs::Unnamed)
    }
}

impl<'a, const N: usize, const M: usize> From<&'a [[f32; N]; M]> for Features<'a> {
    fn from(rows: &'a [[f32; N]; M]) -> Self {
        Features(Cow::Borrowed(rows.as_flattened()), Inputs::Unnamed)
    }
}
