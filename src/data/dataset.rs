//! The data set: named arrays of one row count, each in its own type and shape, with the targets and weights of these rows.

use std::collections::HashSet;

use crate::error::{Error, Result};

use super::check::check_targets;
use super::rows::{picked, whole_rows};
use super::table::ColumnNames;
use super::{Samples, Targets};

/// Things by the name of the input or output that they belong to; the only one may have an empty name.
pub(super) type ByName<T> = Vec<(String, T)>;

/// Inputs by name, each an array `[rows, …]` of f32, u32 or u8 ([`Samples`]), with [`Targets`] and weights of as many rows;
/// at least one row.
///
/// Arrays keep their type and the shape of a row, on the device too: pixels stay bytes until a kernel reads them, tokens
/// stay integers. Most data sets have one input, which needs no name; names of columns and of categories are those of a table
/// of numbers, as [`Csv`](super::Csv) reads it.
///
/// The constructors refuse lengths that do not fit and labels out of range. They accept NaN, which stands for a
/// missing cell until it is imputed; [`check_finite`](Self::check_finite) finds what is left of it, and training
/// calls that first.
///
/// ```
/// use kiln::Dataset;
///
/// let xor = Dataset::from_rows(&[[0., 0.], [0., 1.], [1., 0.], [1., 1.]], &[[0.], [1.], [1.], [0.]])?;
/// assert_eq!((xor.rows(), xor.columns()), (4, 2));
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    rows: usize,
    /// At least one.
    inputs: ByName<Samples<'static>>,
    /// None where there are no targets.
    pub(super) outputs: ByName<Targets>,
    pub(super) class_names: Vec<String>,
    /// A weight for each row by the name of an output; under the empty name for all outputs without one of their own.
    pub(super) weights: ByName<Vec<f32>>,
    /// What is known of the columns of a table.
    pub(super) table: ColumnNames,
}

impl Dataset {
    /// A data set of a table: `features`, row-major with `columns` numbers per row, and the targets of these rows.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there is no row or no column, where the features are not whole rows, where the targets
    /// are not of as many rows, and where a label is not below the number of classes.
    ///
    /// ```
    /// use kiln::{Dataset, Targets};
    ///
    /// let labels = Targets::Labels { labels: vec![0, 2], classes: 3 };
    /// let data = Dataset::new(vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 3, labels)?;
    /// assert_eq!((data.rows(), data.classes()), (2, Some(3)));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn new(features: Vec<f32>, columns: usize, targets: impl Into<Targets>) -> Result<Self> {
        Self::unnamed(Samples::new(features, columns)?, targets.into())
    }

    /// A data set of one array `[rows, …]` of any type, and of the targets of these rows: [`Samples`] with [`Targets`] or a label
    /// for each row, two of NumPy's [arrays](super::Array), or two of `ndarray`'s views with the feature of that name.
    ///
    /// # Errors
    ///
    /// The same errors as [`new`](Self::new), and [`Error::Data`] where an array holds no whole numbers and they are to be labels.
    ///
    /// ```
    /// use kiln::Dataset;
    /// use kiln::data::Samples;
    ///
    /// let tokens = Samples::new(vec![4u32, 0, 7, 1, 1, 2], 3)?;
    /// let data = Dataset::from_arrays(tokens, vec![0, 1])?;
    /// assert_eq!((data.rows(), data.classes()), (2, Some(2)));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn from_arrays<X, Y>(features: X, targets: Y) -> Result<Self>
    where
        X: TryInto<Samples<'static>>,
        Y: TryInto<Targets>,
        Error: From<X::Error> + From<Y::Error>,
    {
        Self::unnamed(features.try_into()?, targets.try_into()?)
    }

    /// Images as bytes, row-major `[rows, height, width, channels]`, with the targets of these images: [`Targets`], or a
    /// label for each.
    ///
    /// # Errors
    ///
    /// The same errors as [`new`](Self::new), and [`Error::Data`] where the pixels are not whole images.
    ///
    /// ```
    /// use kiln::prelude::*;
    ///
    /// let pixels: Vec<u8> = vec![0, 255, 128, 7, 3, 200, 1, 0];
    /// let data = Dataset::images(pixels, [2, 2, 1], vec![0, 1])?;
    /// let model = Sequential::new(TensorType::u8([2, 2, 1]))
    ///     .layer(Rescaling::new(1.0 / 255.0))
    ///     .layer(Flatten)
    ///     .dense(2, Softmax);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn images(pixels: Vec<u8>, shape: [usize; 3], targets: impl Into<Targets>) -> Result<Self> {
        let samples = Samples::called("pixels", pixels.into(), shape.into())?;
        Self::unnamed(samples, targets.into())
    }

    /// Arrays for a model of several inputs, and targets for its outputs, by their names. An array is [`Samples`], or values of
    /// one type with the shape of a row: `("size", (vec![0.1, 0.2], 1))`.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there is no input, where values are not whole rows, where the rows are not as many everywhere, where
    /// a label is not below the number of classes, and where two inputs or two outputs have one name.
    ///
    /// ```
    /// use kiln::data::Samples;
    /// use kiln::{Dataset, Targets};
    ///
    /// let words = Samples::new(vec![3u32, 1, 2, 2], 2)?;
    /// let image = Samples::new(vec![0u8, 255, 31, 7, 9, 1, 0, 0], [2, 2, 1])?;
    /// let kind = Targets::Labels { labels: vec![0, 2], classes: 3 };
    /// let data = Dataset::from_inputs([("words", words), ("image", image)], [("kind", kind)])?;
    /// assert_eq!((data.rows(), data.columns()), (2, 6));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn from_inputs<'a, X>(
        inputs: impl IntoIterator<Item = (&'a str, X)>,
        targets: impl IntoIterator<Item = (&'a str, Targets)>,
    ) -> Result<Self>
    where
        X: TryInto<Samples<'static>>,
        Error: From<X::Error>,
    {
        let samples = |(name, own): (&str, X)| {
            let own = own.try_into().map_err(|error| named(name, error.into()))?;
            Ok((name.to_string(), own))
        };
        let inputs = inputs.into_iter().map(samples).collect::<Result<_>>()?;
        let targets = targets.into_iter().map(|(name, own)| (name.into(), own));
        Self::by_name(inputs, targets.collect())
    }

    /// A data set written out in the program: one array per row, and one array of target values per row.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the two differ in length or are empty.
    pub fn from_rows<const N: usize, const M: usize>(
        features: &[[f32; N]],
        targets: &[[f32; M]],
    ) -> Result<Self> {
        let values = targets.as_flattened().to_vec();
        let targets = Targets::Values { values, columns: M };
        Self::new(features.as_flattened().to_vec(), N, targets)
    }

    fn unnamed(samples: Samples<'static>, targets: Targets) -> Result<Self> {
        let mut outputs = vec![(String::new(), targets)];
        outputs.retain(|(_, targets)| *targets != Targets::None);
        Self::by_name(vec![(String::new(), samples)], outputs)
    }

    fn by_name(inputs: ByName<Samples<'static>>, outputs: ByName<Targets>) -> Result<Self> {
        check_different(&inputs)?;
        check_different(&outputs)?;
        let Some((_, first)) = inputs.first() else {
            return Err(Error::data("there is no input: give at least one"));
        };
        let rows = first.rows();
        if let Some((name, own)) = inputs.iter().find(|(_, own)| own.rows() != rows) {
            let own = own.rows();
            return Err(Error::data(format!(
                "`{name}` has {own} rows, but the first input has {rows}"
            )));
        }
        for (name, targets) in &outputs {
            check_targets(targets, rows).map_err(|error| named(name, error))?;
        }
        Ok(Dataset {
            rows,
            inputs,
            outputs,
            class_names: Vec::new(),
            weights: Vec::new(),
            table: ColumnNames::default(),
        })
    }

    /// The number of rows, at least 1.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements of a row over all inputs, at least 1: the columns of a table.
    pub fn columns(&self) -> usize {
        self.inputs.iter().map(|(_, own)| own.width()).sum()
    }

    /// The numbers of the only input, row-major `[rows, columns]`; empty where there are several inputs, or the only one
    /// holds bytes or integers: see [`inputs`](Self::inputs).
    pub fn features(&self) -> &[f32] {
        self.cells().unwrap_or(&[])
    }

    /// The inputs by name. The only input of a data set may have no name, which is then empty.
    pub fn inputs(&self) -> &[(String, Samples<'static>)] {
        &self.inputs
    }

    /// The targets of a data set whose outputs have no names.
    pub fn targets(&self) -> &Targets {
        match &self.outputs[..] {
            [(name, only)] if name.is_empty() => only,
            _ => &Targets::None,
        }
    }

    /// The targets of several outputs by name; empty where there are [`targets`](Self::targets) of one, or none.
    pub fn outputs(&self) -> &[(String, Targets)] {
        match &self.outputs[..] {
            [(name, _)] if name.is_empty() => &[],
            outputs => outputs,
        }
    }

    /// Multiplies every number of the inputs by `factor`; `scaled(1.0 / 255.0)` brings pixels into 0 to 1, and makes numbers of
    /// bytes, which take four times their memory: a [`Rescaling`](crate::nn::Rescaling) in the model leaves them bytes.
    /// Targets stay.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where `factor` is not finite, [`Error::Data`] where an input holds integers, a column is one of
    /// categories, or memory does not suffice.
    pub fn scaled(mut self, factor: f32) -> Result<Self> {
        crate::range::finite("factor", factor)?;
        let is_of_categories = |column: &usize| !self.categories(*column).is_empty();
        if let Some(column) = (0..self.columns()).find(is_of_categories) {
            return Err(Error::data(format!(
                "{} is one of categories, whose numbers are not multiplied: make columns of zeros and ones of it by \
                 `Step::OneHot` before",
                self.describe_column(column)
            )));
        }
        let scaled = |(name, own): (String, Samples<'static>)| Ok((name, own.scaled(factor)?));
        self.inputs = self.inputs.into_iter().map(scaled).collect::<Result<_>>()?;
        Ok(self)
    }

    /// The rows of these indices in this order; an index may come more than once.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where an index is beyond the last row, [`Error::Data`] where none is given or where the
    /// selected rows do not fit into memory.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        if let Some(bad) = indices.iter().find(|index| **index >= self.rows()) {
            let message = format!(
                "there is no row {bad}: {} rows are counted from 0",
                self.rows()
            );
            return Err(Error::argument("indices", message));
        }
        if indices.is_empty() {
            whole_rows("features", 0, self.columns())?;
        }
        Ok(Dataset {
            rows: indices.len(),
            inputs: each(&self.inputs, |own| own.select(indices))?,
            outputs: each(&self.outputs, |own| own.select(indices))?,
            class_names: self.class_names.clone(),
            weights: each(&self.weights, |own| picked(own, 1, indices))?,
            table: self.table.clone(),
        })
    }

    /// The same rows, targets and weights with another table as the only input.
    pub(super) fn with_table(
        &self,
        cells: Vec<f32>,
        columns: usize,
        table: ColumnNames,
    ) -> Result<Self> {
        let name = self.inputs.first().map(|(name, _)| name.clone());
        let samples = Samples::new(cells, columns)?;
        Ok(Dataset {
            rows: self.rows,
            inputs: vec![(name.unwrap_or_default(), samples)],
            outputs: self.outputs.clone(),
            class_names: self.class_names.clone(),
            weights: self.weights.clone(),
            table,
        })
    }
}

/// What `make` makes of each, by its name.
fn each<T>(all: &ByName<T>, make: impl Fn(&T) -> Result<T>) -> Result<ByName<T>> {
    let made = |(name, own): &(String, T)| Ok((name.clone(), make(own)?));
    all.iter().map(made).collect()
}

/// The error of the part of that name, where it has one.
pub(super) fn named(name: &str, error: Error) -> Error {
    if name.is_empty() {
        error
    } else {
        Error::data(format!("`{name}`: {error}"))
    }
}

/// Refuses names that are not different.
fn check_different<T>(all: &ByName<T>) -> Result<()> {
    let mut known = HashSet::new();
    match all.iter().find(|(name, _)| !known.insert(name)) {
        None => Ok(()),
        Some((name, _)) => Err(Error::data(format!("two parts are called `{name}`"))),
    }
}
