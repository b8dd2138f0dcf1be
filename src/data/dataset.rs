//! The data set: named arrays of one row count, each in its own type and shape, with the targets and weights of these rows.

use crate::Shape;
use crate::error::{Error, Result};

use super::check::check_targets;
use super::rows::picked;
use super::rows::whole_rows;
use super::table::ColumnNames;
use super::{Samples, Targets};

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
/// assert_eq!((xor.rows(), xor.columns(), xor.target_columns()), (4, 2, 1));
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    rows: usize,
    /// At least one; the name of the only one may be empty.
    inputs: Vec<(String, Samples<'static>)>,
    pub(super) targets: Targets,
    pub(super) class_names: Vec<String>,
    /// Targets of several outputs by name, where `targets` are none.
    outputs: Vec<(String, Targets)>,
    /// A weight for each row; none where all weigh the same.
    pub(super) weights: Option<Vec<f32>>,
    /// A weight for each row by the name of an output, in place of `weights` for it.
    pub(super) output_weights: Vec<(String, Vec<f32>)>,
    /// What is known of the columns of a table.
    pub(super) table: ColumnNames,
}

impl Dataset {
    /// A data set of `features`, row-major with `columns` numbers per row, and the targets of these rows.
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
    /// assert_eq!(data.row(1), Some(&[0.4, 0.5, 0.6][..]));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn new(features: Vec<f32>, columns: usize, targets: Targets) -> Result<Self> {
        Self::from_samples(Samples::new(features, columns)?, targets)
    }

    /// A data set of one input without a name: an array of any type and shape, and the targets of its rows.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the targets are not of as many rows, and where a label is not below the number of classes.
    ///
    /// ```
    /// use kiln::Dataset;
    /// use kiln::data::Samples;
    ///
    /// let tokens = Samples::new(vec![4u32, 0, 7, 1, 1, 2], 3)?;
    /// let data = Dataset::from_samples(tokens, vec![0, 1])?;
    /// assert_eq!((data.rows(), data.classes()), (2, Some(2)));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn from_samples(samples: Samples<'static>, targets: impl Into<Targets>) -> Result<Self> {
        let targets = targets.into();
        let rows = samples.rows();
        check_targets(&targets, rows)?;
        Ok(Dataset {
            rows,
            inputs: vec![(String::new(), samples)],
            targets,
            class_names: Vec::new(),
            outputs: Vec::new(),
            weights: None,
            output_weights: Vec::new(),
            table: ColumnNames::default(),
        })
    }

    /// Images as bytes, row-major `[rows, height, width, channels]`, with the targets of these images: [`Targets`], or a
    /// label for each.
    ///
    /// # Errors
    ///
    /// The same errors as [`from_samples`](Self::from_samples), and [`Error::Data`] where the pixels are not whole images.
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
        Self::from_samples(
            Samples::called("pixels", pixels.into(), shape.into())?,
            targets,
        )
    }

    /// Arrays for a model of several inputs, and targets for its outputs, by their names.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there is no input, where the rows are not as many everywhere, where a label is not below the
    /// number of classes, and where two inputs or two outputs have one name.
    ///
    /// ```
    /// use kiln::data::Samples;
    /// use kiln::{Dataset, Targets};
    ///
    /// let words = Samples::new(vec![3u32, 1, 2, 2], 2)?;
    /// let image = Samples::new(vec![0u8, 255, 31, 7, 9, 1, 0, 0], [2, 2, 1])?;
    /// let kind = Targets::Labels { labels: vec![0, 2], classes: 3 };
    /// let data = Dataset::from_inputs([("words", words), ("image", image)], [("kind", kind)])?;
    /// assert_eq!(data.rows(), 2);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn from_inputs<'a>(
        inputs: impl IntoIterator<Item = (&'a str, Samples<'static>)>,
        targets: impl IntoIterator<Item = (&'a str, Targets)>,
    ) -> Result<Self> {
        let owned = |(name, samples): (&str, Samples<'static>)| (name.to_string(), samples);
        let inputs: Vec<_> = inputs.into_iter().map(owned).collect();
        let owned = |(name, targets): (&str, Targets)| (name.to_string(), targets);
        let outputs: Vec<_> = targets.into_iter().map(owned).collect();
        different(inputs.iter().map(|(name, _)| name))?;
        different(outputs.iter().map(|(name, _)| name))?;
        let Some((_, first)) = inputs.first() else {
            return Err(Error::data("there is no input: give at least one"));
        };
        let rows = first.rows();
        if let Some((name, own)) = inputs.iter().find(|(_, own)| own.rows() != rows) {
            let message = format!(
                "`{name}` has {} rows, but the first input has {rows}",
                own.rows()
            );
            return Err(Error::data(message));
        }
        for (name, targets) in &outputs {
            check_targets(targets, rows)
                .map_err(|error| Error::data(format!("`{name}`: {error}")))?;
        }
        Ok(Dataset {
            rows,
            inputs,
            targets: Targets::None,
            class_names: Vec::new(),
            outputs,
            weights: None,
            output_weights: Vec::new(),
            table: ColumnNames::default(),
        })
    }

    /// Rows of numbers for a model of several inputs or outputs, by their names: values row-major with as many numbers per
    /// row as stand beside them, and targets.
    ///
    /// # Errors
    ///
    /// The same errors as [`from_inputs`](Self::from_inputs), and [`Error::Data`] where values are not whole rows.
    ///
    /// ```
    /// use kiln::{Dataset, Targets};
    ///
    /// let price = Targets::Values { values: vec![1.5, 2.5], columns: 1 };
    /// let kind = Targets::Labels { labels: vec![0, 2], classes: 3 };
    /// let data = Dataset::from_parts(
    ///     [("size", vec![0.1, 0.2], 1), ("place", vec![1.0, 2.0, 3.0, 4.0], 2)],
    ///     [("price", price), ("kind", kind)],
    /// )?;
    /// assert_eq!((data.rows(), data.columns()), (2, 3));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn from_parts<'a>(
        inputs: impl IntoIterator<Item = (&'a str, Vec<f32>, usize)>,
        targets: impl IntoIterator<Item = (&'a str, Targets)>,
    ) -> Result<Self> {
        let samples = |(name, values, columns): (&'a str, Vec<f32>, usize)| {
            let what = format!("features of `{name}`");
            let shape = Shape::from(columns);
            Ok((name, Samples::called(&what, values.into(), shape)?))
        };
        let inputs: Vec<_> = inputs.into_iter().map(samples).collect::<Result<_>>()?;
        Self::from_inputs(inputs, targets)
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
        match &self.inputs[..] {
            [(_, only)] => only.values().as_f32().unwrap_or(&[]),
            _ => &[],
        }
    }

    /// The [`features`](Self::features) of row `index`, or `None` beyond the last.
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        let start = index.checked_mul(self.columns())?;
        self.features()
            .get(start..start.checked_add(self.columns())?)
    }

    /// The inputs by name. The only input of a data set may have no name, which is then empty.
    pub fn inputs(&self) -> &[(String, Samples<'static>)] {
        &self.inputs
    }

    /// The targets.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Numbers per row of the targets: 0 where there are none, 1 for a label a row.
    pub fn target_columns(&self) -> usize {
        self.targets.columns()
    }

    /// The targets of several outputs by name; empty where there are [`targets`](Self::targets) of one, or none.
    pub fn outputs(&self) -> &[(String, Targets)] {
        &self.outputs
    }

    /// Multiplies every number of the inputs by `factor`; `scaled(1.0 / 255.0)` brings pixels into 0 to 1, and makes numbers of
    /// bytes, which take four times their memory: a [`Rescaling`](crate::nn::Rescaling) in the model leaves them bytes.
    /// Targets stay.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where `factor` is not finite, [`Error::Data`] where an input holds integers, or memory does not
    /// suffice.
    pub fn scaled(self, factor: f32) -> Result<Self> {
        if !factor.is_finite() {
            return Err(Error::argument(
                "factor",
                format!("{factor} is not a finite number"),
            ));
        }
        self.mapped(|x| x * factor)
    }

    /// The same with a function of every number of the inputs; bytes become numbers.
    pub(super) fn mapped(mut self, function: impl Fn(f32) -> f32) -> Result<Self> {
        let mapped = |(name, samples): (String, Samples<'static>)| {
            let shape = samples.shape().clone();
            let mut values = samples.into_numbers()?;
            values.iter_mut().for_each(|x| *x = function(*x));
            Ok((name, Samples::new(values, shape)?))
        };
        self.inputs = self.inputs.into_iter().map(mapped).collect::<Result<_>>()?;
        Ok(self)
    }

    /// The rows of these numbers in this order; they are below the number of rows.
    pub(super) fn picked(&self, rows: &[usize]) -> Result<Self> {
        if rows.is_empty() {
            whole_rows("features", 0, self.columns())?;
        }
        let inputs = self.inputs.iter();
        let inputs = inputs.map(|(name, own)| Ok((name.clone(), own.select(rows)?)));
        let outputs = self.outputs.iter();
        let outputs = outputs.map(|(name, own)| Ok((name.clone(), own.select(rows)?)));
        let weights = |own: &Vec<f32>| picked(own, 1, rows);
        let own_weights = self.output_weights.iter();
        let own_weights = own_weights.map(|(name, own)| Ok((name.clone(), weights(own)?)));
        Ok(Dataset {
            rows: rows.len(),
            inputs: inputs.collect::<Result<_>>()?,
            targets: self.targets.select(rows)?,
            class_names: self.class_names.clone(),
            outputs: outputs.collect::<Result<_>>()?,
            weights: self.weights.as_ref().map(weights).transpose()?,
            output_weights: own_weights.collect::<Result<_>>()?,
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
            targets: self.targets.clone(),
            class_names: self.class_names.clone(),
            outputs: self.outputs.clone(),
            weights: self.weights.clone(),
            output_weights: self.output_weights.clone(),
            table,
        })
    }
}

/// Refuses names that are not different.
fn different<'a>(names: impl Iterator<Item = &'a String>) -> Result<()> {
    let mut known = std::collections::HashSet::new();
    for name in names {
        if !known.insert(name) {
            return Err(Error::data(format!("two parts are called `{name}`")));
        }
    }
    Ok(())
}
