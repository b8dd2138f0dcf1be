//! The data set: a table of features, row by row, with the targets that belong to its rows.

use super::check::{check_targets, whole_rows};

use crate::error::{Error, Result};
use crate::reserve::reserved;

/// What a network learns to say about each row.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// Nothing: rows to predict on.
    None,
    /// Numbers, row-major `[rows, columns]`: regression, 0/1 answers, one-hot classes.
    Values {
        /// Row-major, `rows × columns` of them.
        values: Vec<f32>,
        /// Numbers per row, at least 1.
        columns: usize,
    },
    /// One class per row, as a number. To a loss of numbers (a squared error …) on a single output they are these numbers.
    Labels {
        /// One per row, each below `classes`.
        labels: Vec<u32>,
        /// How many classes there are, at least 1.
        classes: usize,
    },
    /// A class for each of several positions of a row, as a number: row-major `[rows, columns]`, for a model whose output is
    /// `[…, classes]` with as many positions before the classes.
    LabelTable {
        /// Row-major, `rows × columns` of them, each below `classes`.
        labels: Vec<u32>,
        /// Labels per row, at least 1.
        columns: usize,
        /// How many classes there are, at least 1.
        classes: usize,
    },
}

impl Targets {
    /// Labels with the number of them in a row and of classes, where they are labels.
    pub(crate) fn as_labels(&self) -> Option<(&[u32], usize, usize)> {
        match self {
            Targets::Labels { labels, classes } => Some((labels, 1, *classes)),
            Targets::LabelTable {
                labels,
                columns,
                classes,
            } => Some((labels, *columns, *classes)),
            Targets::None | Targets::Values { .. } => None,
        }
    }
}

/// Features `[rows, columns]` with [`Targets`] of as many rows; at least one row and one column.
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
    features: Vec<f32>,
    rows: usize,
    columns: usize,
    targets: Targets,
    feature_names: Vec<String>,
    class_names: Vec<String>,
    /// For each column the names of its categories, whose numbers are the column's cells; empty for a column of numbers.
    categories: Vec<Vec<String>>,
    /// Where the columns are several named inputs side by side: the name and width of each.
    inputs: Vec<(String, usize)>,
    /// Targets of several outputs by name, where `targets` are none.
    outputs: Vec<(String, Targets)>,
    /// A weight for each row; none where all weigh the same.
    weights: Option<Vec<f32>>,
    /// A weight for each row by the name of an output, in place of `weights` for it.
    output_weights: Vec<(String, Vec<f32>)>,
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
        let rows = whole_rows("features", features.len(), columns)?;
        check_targets(&targets, rows)?;
        Ok(Dataset {
            features,
            rows,
            columns,
            targets,
            feature_names: Vec::new(),
            class_names: Vec::new(),
            categories: vec![Vec::new(); columns],
            inputs: Vec::new(),
            outputs: Vec::new(),
            weights: None,
            output_weights: Vec::new(),
        })
    }

    /// Rows for a model of several inputs or outputs, by their names: values row-major with so many numbers per row, and
    /// targets.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there is no input, where rows are not whole or not as many everywhere, where a label is not
    /// below the number of classes, and where two inputs or two outputs have one name.
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
        let inputs: Vec<(&str, Vec<f32>, usize)> = inputs.into_iter().collect();
        let outputs: Vec<(String, Targets)> = targets
            .into_iter()
            .map(|(name, targets)| (name.to_string(), targets))
            .collect();
        let names = |names: Vec<&str>| -> Result<()> {
            match (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
                Some(i) => Err(Error::data(format!("two parts are called `{}`", names[i]))),
                None => Ok(()),
            }
        };
        names(inputs.iter().map(|(name, ..)| *name).collect())?;
        names(outputs.iter().map(|(name, _)| name.as_str()).collect())?;
        let mut rows = None;
        for (name, values, columns) in &inputs {
            let own = whole_rows(&format!("features of `{name}`"), values.len(), *columns)?;
            let first = *rows.get_or_insert(own);
            if own != first {
                let message = format!("`{name}` has {own} rows, but the first input has {first}");
                return Err(Error::data(message));
            }
        }
        let rows = rows.ok_or_else(|| Error::data("there is no input: give at least one"))?;
        for (name, targets) in &outputs {
            check_targets(targets, rows)
                .map_err(|error| Error::data(format!("`{name}`: {error}")))?;
        }
        let columns = inputs.iter().map(|(_, _, columns)| columns).sum();
        let mut features = reserved(rows.checked_mul(columns), "the features")?;
        for row in 0..rows {
            for (_, values, columns) in &inputs {
                features.extend_from_slice(&values[row * columns..][..*columns]);
            }
        }
        Ok(Dataset {
            inputs: inputs
                .into_iter()
                .map(|(name, _, columns)| (name.to_string(), columns))
                .collect(),
            outputs,
            ..Self::new(features, columns, Targets::None)?
        })
    }

    /// Gives every row a weight: what its loss is multiplied by in training and evaluation (Keras' `sample_weight`).
    ///
    /// The loss of a batch is Σ w·l over its number of rows, whatever they weigh. Metrics do not look at weights but where
    /// they are [weighted ones](crate::train::Objective::weighted_metric).
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there are not as many weights as rows, or one is not a finite number.
    pub fn with_weights(mut self, weights: Vec<f32>) -> Result<Self> {
        self.check_weights(&weights)?;
        self.weights = Some(weights);
        Ok(self)
    }

    /// Gives every row a weight for the output of that name alone, as an entry of a dictionary that is Keras'
    /// `sample_weight`. Outputs without one of their own have those of [`with_weights`](Self::with_weights), if any.
    ///
    /// # Errors
    ///
    /// As [`with_weights`](Self::with_weights). Whether there is such an output is seen when a model is given the data.
    pub fn with_output_weights(
        mut self,
        output: impl Into<String>,
        weights: Vec<f32>,
    ) -> Result<Self> {
        let output = output.into();
        let named = |error: Error| Error::data(format!("`{output}`: {error}"));
        self.check_weights(&weights).map_err(named)?;
        self.output_weights.retain(|(known, _)| *known != output);
        self.output_weights.push((output, weights));
        Ok(self)
    }

    fn check_weights(&self, weights: &[f32]) -> Result<()> {
        if weights.len() != self.rows {
            let (given, rows) = (weights.len(), self.rows);
            return Err(Error::data(format!(
                "{given} weights for {rows} rows: give one per row"
            )));
        }
        match weights.iter().position(|weight| !weight.is_finite()) {
            None => Ok(()),
            Some(row) => Err(Error::data(format!(
                "the weight of row {row} is {}, not a number",
                weights[row]
            ))),
        }
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

    /// Names the features, in the order of their columns; an empty list takes the names away.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there are not as many names as columns.
    pub fn with_feature_names(mut self, names: Vec<String>) -> Result<Self> {
        if !names.is_empty() && names.len() != self.columns {
            let (given, columns) = (names.len(), self.columns);
            return Err(Error::data(format!(
                "{given} feature names for {columns} columns: give one name per column, or none"
            )));
        }
        self.feature_names = names;
        Ok(self)
    }

    /// Names the classes of labels, in the order of their numbers; an empty list takes the names away.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there are not as many names as classes, or where the targets are not labels.
    pub fn with_class_names(mut self, names: Vec<String>) -> Result<Self> {
        let classes = self.classes().unwrap_or(0);
        if !names.is_empty() && names.len() != classes {
            let given = names.len();
            return Err(Error::data(format!(
                "{given} class names for {classes} classes: give one name per class, or none"
            )));
        }
        self.class_names = names;
        Ok(self)
    }

    /// Says that a column's cells are numbers of categories, counted from 0, and names these; NaN is a missing cell.
    ///
    /// [`Step::OneHot`](super::Step::OneHot) makes a column for each category of them. No names make the column one of
    /// numbers again.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where there is no such column, [`Error::Data`] where a cell is no number of a category.
    pub fn with_categories(mut self, column: usize, names: Vec<String>) -> Result<Self> {
        if column >= self.columns {
            let message = format!(
                "there is no column {column}: {} columns are counted from 0",
                self.columns
            );
            return Err(Error::argument("column", message));
        }
        let named = |x: f32| x.is_nan() || (x.fract() == 0.0 && x >= 0.0 && x < names.len() as f32);
        let cells = self.features.iter().skip(column).step_by(self.columns);
        if let Some((row, x)) = cells
            .enumerate()
            .find(|(_, x)| !names.is_empty() && !named(**x))
        {
            return Err(Error::data(format!(
                "row {row}, {} is {x}, but {} categories have numbers from 0 below {}",
                self.describe_column(column),
                names.len(),
                names.len()
            )));
        }
        self.categories[column] = names;
        Ok(self)
    }

    /// Says that there are `classes` classes, where the labels at hand may lack the last ones.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the targets are not labels, where a label is not below `classes`, and where class names
    /// are set and are not as many.
    pub fn with_classes(self, classes: usize) -> Result<Self> {
        let targets = match self.targets {
            Targets::Labels { labels, .. } => Targets::Labels { labels, classes },
            Targets::LabelTable {
                labels, columns, ..
            } => Targets::LabelTable {
                labels,
                columns,
                classes,
            },
            Targets::None | Targets::Values { .. } => {
                return Err(Error::data(
                    "only labels have a number of classes; the targets here are not labels",
                ));
            }
        };
        check_targets(&targets, self.rows)?;
        let names = self.class_names;
        Dataset {
            targets,
            class_names: Vec::new(),
            ..self
        }
        .with_class_names(names)
    }

    /// The number of rows, at least 1.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of features per row, at least 1.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The features, row-major `[rows, columns]`.
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// The features of row `index`, or `None` beyond the last.
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        let start = index.checked_mul(self.columns)?;
        self.features.get(start..start.checked_add(self.columns)?)
    }

    /// The targets.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Numbers per row of the targets: 0 where there are none, 1 for a label a row.
    pub fn target_columns(&self) -> usize {
        match &self.targets {
            Targets::None => 0,
            Targets::Values { columns, .. } | Targets::LabelTable { columns, .. } => *columns,
            Targets::Labels { .. } => 1,
        }
    }

    /// The number of classes, where the targets are labels.
    pub fn classes(&self) -> Option<usize> {
        self.targets.as_labels().map(|(_, _, classes)| classes)
    }

    /// The features' names in the order of the columns; empty where they have none.
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// The classes' names in the order of the labels; empty where they have none.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The names of a column's categories in the order of their numbers; empty for a column of numbers.
    pub fn categories(&self, column: usize) -> &[String] {
        self.categories.get(column).map_or(&[], Vec::as_slice)
    }

    /// The names and widths of the inputs whose columns lie side by side; empty for a table of one input.
    pub fn inputs(&self) -> &[(String, usize)] {
        &self.inputs
    }

    /// The targets of several outputs by name; empty where there are [`targets`](Self::targets) of one, or none.
    pub fn outputs(&self) -> &[(String, Targets)] {
        &self.outputs
    }

    /// The weights of the rows; none where all weigh the same.
    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
    }

    /// The weights of the rows for single outputs, by their names.
    pub fn output_weights(&self) -> &[(String, Vec<f32>)] {
        &self.output_weights
    }

    /// Multiplies every feature by `factor`; `scaled(1.0 / 255.0)` brings pixels into 0 to 1. Targets stay.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where `factor` is not finite.
    pub fn scaled(mut self, factor: f32) -> Result<Self> {
        if !factor.is_finite() {
            return Err(Error::argument(
                "factor",
                format!("{factor} is not a finite number"),
            ));
        }
        self.features.iter_mut().for_each(|x| *x *= factor);
        Ok(self)
    }

    /// Turns labels into values `[rows, classes]`: 1 in the column of the row's class, 0 elsewhere; those of several positions
    /// into `[rows, positions × classes]`. Class names go.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the targets are not labels, or where so many numbers do not fit into memory.
    pub fn one_hot(self) -> Result<Self> {
        let Some((labels, positions, classes)) = self.targets.as_labels() else {
            return Err(Error::data(
                "one-hot values are made from labels; the targets here are not labels",
            ));
        };
        let mut values = reserved(labels.len().checked_mul(classes), "the one-hot values")?;
        values.resize(labels.len() * classes, 0.0);
        for (row, label) in values.chunks_exact_mut(classes).zip(labels) {
            row[*label as usize] = 1.0;
        }
        let columns = positions * classes;
        let targets = Targets::Values { values, columns };
        Ok(Dataset {
            targets,
            class_names: Vec::new(),
            ..self
        })
    }

    /// The same features and names with other rows: what [`select`](Self::select) builds on.
    pub(super) fn like(&self, features: Vec<f32>, targets: Targets) -> Result<Self> {
        Ok(Dataset {
            feature_names: self.feature_names.clone(),
            class_names: self.class_names.clone(),
            categories: self.categories.clone(),
            inputs: self.inputs.clone(),
            ..Self::new(features, self.columns, targets)?
        })
    }

    /// The same but for the cells.
    pub(super) fn with_same_rows(&self, features: Vec<f32>) -> Result<Self> {
        let data = self.like(features, self.targets.clone())?;
        Ok(data.with_parts(
            self.outputs.clone(),
            self.weights.clone(),
            self.output_weights.clone(),
        ))
    }

    /// With these targets by name and weights.
    pub(super) fn with_parts(
        mut self,
        outputs: Vec<(String, Targets)>,
        weights: Option<Vec<f32>>,
        output_weights: Vec<(String, Vec<f32>)>,
    ) -> Self {
        (self.outputs, self.weights) = (outputs, weights);
        self.output_weights = output_weights;
        self
    }

    /// The same rows and targets with other features, of these names if there are any.
    pub(super) fn with_features(&self, features: Vec<f32>, names: Vec<String>) -> Result<Self> {
        let columns = features.len() / self.rows;
        let targets = self.targets.clone();
        let class_names = self.class_names.clone();
        Ok(Self::new(features, columns, targets)?
            .with_feature_names(names)?
            .with_class_names(class_names)?
            .with_parts(
                self.outputs.clone(),
                self.weights.clone(),
                self.output_weights.clone(),
            ))
    }
}
