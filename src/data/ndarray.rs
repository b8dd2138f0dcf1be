//! Data sets and rows of input numbers from `ndarray`'s arrays; with the feature `ndarray`.

use ndarray::{ArrayView, ArrayView1, ArrayView2, Dimension};

use crate::{Error, Result};

use super::{Dataset, Features, Samples, Targets, TypedValues};

impl Dataset {
    /// A data set of features `[rows, columns]` and the targets of these rows: another array's view, or [`Targets`].
    ///
    /// Numbers `[rows, columns]` or `[rows]` are values, integers `[rows]` labels of as many classes as the largest says;
    /// [`Dataset::with_classes`] names more. Arrays of any layout are taken; the data set is a copy in row-major order.
    ///
    /// ```
    /// use kiln::Dataset;
    /// use ndarray::array;
    ///
    /// let x = array![[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]];
    /// let y = array![0u32, 2, 1];
    /// let data = Dataset::from_ndarray(x.view(), y.view())?;
    /// assert_eq!((data.rows(), data.columns(), data.classes()), (3, 2, Some(3)));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The same errors as [`Dataset::new`].
    pub fn from_ndarray(
        features: ArrayView2<'_, f32>,
        targets: impl Into<Targets>,
    ) -> Result<Self> {
        let columns = features.ncols();
        Dataset::new(features.iter().copied().collect(), columns, targets.into())
    }

    /// The features as a view `[rows, columns]`.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the data set is no table of numbers.
    pub fn features_ndarray(&self) -> Result<ArrayView2<'_, f32>> {
        let shape = (self.rows(), self.columns());
        ArrayView2::from_shape(shape, self.cells()?)
            .map_err(|refusal| Error::data(format!("the features as an array: {refusal}")))
    }
}

impl Samples<'static> {
    /// An array `[rows, …]` of f32, u32 or u8 as the samples of its rows, copied in row-major order.
    ///
    /// # Errors
    ///
    /// The same errors as [`Samples::new`].
    ///
    /// ```
    /// use kiln::data::Samples;
    /// use ndarray::Array3;
    ///
    /// let images = Array3::<u8>::zeros((5, 4, 3));
    /// let samples = Samples::from_ndarray(images.view())?;
    /// assert_eq!((samples.rows(), samples.shape().dims()), (5, &[4, 3][..]));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn from_ndarray<T: Clone, D: Dimension>(array: ArrayView<'_, T, D>) -> Result<Self>
    where
        TypedValues<'static>: From<Vec<T>>,
    {
        let shape = array.shape().get(1..).unwrap_or_default().to_vec();
        Samples::new(array.iter().cloned().collect::<Vec<T>>(), shape)
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
            values: values.iter().copied().collect(),
        }
    }
}

impl From<ArrayView1<'_, u32>> for Targets {
    /// A label a row, of as many classes as the largest says.
    fn from(labels: ArrayView1<'_, u32>) -> Self {
        let largest = labels.iter().copied().max().unwrap_or(0);
        Targets::Labels {
            labels: labels.iter().copied().collect(),
            classes: (largest as usize).saturating_add(1),
        }
    }
}

impl From<ArrayView2<'_, u32>> for Targets {
    /// Labels of several positions a row, of as many classes as the largest says.
    fn from(labels: ArrayView2<'_, u32>) -> Self {
        let largest = labels.iter().copied().max().unwrap_or(0);
        Targets::LabelTable {
            columns: labels.ncols(),
            labels: labels.iter().copied().collect(),
            classes: (largest as usize).saturating_add(1),
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
