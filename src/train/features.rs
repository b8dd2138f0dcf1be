//! Rows of numbers in the forms that callers have them in.

use std::borrow::Cow;

use crate::Dataset;

/// Rows of input numbers, row-major: from a data set, a slice or vector of numbers, or an array of rows.
#[derive(Debug, Clone)]
pub struct Features<'a>(pub(crate) Cow<'a, [f32]>);

impl<'a> From<&'a Dataset> for Features<'a> {
    fn from(data: &'a Dataset) -> Self {
        Features(Cow::Borrowed(data.features()))
    }
}

impl<'a> From<&'a [f32]> for Features<'a> {
    fn from(values: &'a [f32]) -> Self {
        Features(Cow::Borrowed(values))
    }
}

impl<'a> From<&'a Vec<f32>> for Features<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Features(Cow::Borrowed(values))
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for Features<'a> {
    fn from(row: &'a [f32; N]) -> Self {
        Features(Cow::Borrowed(row))
    }
}

impl<'a, const N: usize> From<&'a [[f32; N]]> for Features<'a> {
    fn from(rows: &'a [[f32; N]]) -> Self {
        Features(Cow::Borrowed(rows.as_flattened()))
    }
}

impl<'a, const N: usize, const M: usize> From<&'a [[f32; N]; M]> for Features<'a> {
    fn from(rows: &'a [[f32; N]; M]) -> Self {
        Features(Cow::Borrowed(rows.as_flattened()))
    }
}
