//! Data sets and rows of input numbers from `ndarray`'s arrays; with the feature `ndarray`.
//!
//! Views of any layout are samples, targets and rows to predict on. Numbers `[rows, columns]` or `[rows]` are target values, integers
//! labels of as many classes as the largest says; [`Dataset::with_classes`] names more.
//!
//! ```
//! use kiln::Dataset;
//! use ndarray::array;
//!
//! let x = array![[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]];
//! let y = array![0u32, 2, 1];
//! let data = Dataset::from_arrays(x.view(), y.view())?;
//! assert_eq!((data.rows(), data.columns(), data.classes()), (3, 2, Some(3)));
//! # Ok::<(), kiln::Error>(())
//! ```

use ndarray::{ArrayView, ArrayView1, ArrayView2, Dimension};

use crate::{Error, Result};

use super::targets::classes;
use super::{Dataset, Features, Samples, Targets, TypedValues};

impl<T: Clone, D: Dimension> TryFrom<ArrayView<'_, T, D>> for Samples<'static>
where
    TypedValues<'static>: From<Vec<T>>,
{
    type Error = Error;

    /// An array `[rows, …]` of f32, u32 or u8 of any layout, copied in row-major order.
    fn try_from(array: ArrayView<'_, T, D>) -> Result<Self> {
        let shape = array.shape().get(1..).unwrap_or_default().to_vec();
        Samples::new(array.iter().cloned().collect::<Vec<T>>(), shape)
    }
}

impl<'a> TryFrom<&'a Dataset> for ArrayView2<'a, f32> {
    type Error = Error;

    /// The features as a view `[rows, columns]`; [`Error::Data`] where the data set is no table of numbers.
    fn try_from(data: &'a Dataset) -> Result<Self> {
        let shape = (data.rows(), data.columns());
        ArrayView2::from_shape(shape, data.cells()?)
            .map_err(|refusal| Error::data(format!("the features as an array: {refusal}")))
    }
}

impl From<ArrayView2<'_, f32>> for Targets {
    /// Values, row by row.
    fn from(values: ArrayView2<'_, f32>) -> Self {
        Targets::Values {
            columns: values.ncols(),
            values: values.iter().copied().collect(),
        }
    }
}

impl From<ArrayView1<'_, f32>> for Targets {
    /// One value a row.
    fn from(values: ArrayView1<'_, f32>) -> Self {
        Targets::Values {
            columns: 1,
            values: values.to_vec(),
        }
    }
}

impl From<ArrayView1<'_, u32>> for Targets {
    /// A label a row, of as many classes as the largest says.
    fn from(labels: ArrayView1<'_, u32>) -> Self {
        labels.to_vec().into()
    }
}

impl From<ArrayView2<'_, u32>> for Targets {
    /// Labels of several positions a row, of as many classes as the largest says.
    fn from(labels: ArrayView2<'_, u32>) -> Self {
        let columns = labels.ncols();
        let labels: Vec<u32> = labels.iter().copied().collect();
        Targets::LabelTable {
            columns,
            classes: classes(&labels),
            labels,
        }
    }
}

impl<'a> From<ArrayView2<'a, f32>> for Features<'a> {
    /// Rows to predict on; borrowed where they lie one after the other.
    fn from(rows: ArrayView2<'a, f32>) -> Self {
        Features::table(
            match rows.to_slice() {
                Some(values) => values.into(),
                None => rows.iter().copied().collect::<Vec<_>>().into(),
            },
            rows.ncols(),
        )
    }
}
