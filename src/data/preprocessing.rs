//! Preprocessing: what is fitted on the training part, saved with the model and done to every row that it sees.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

use super::categories::CategoryColumns;
use super::imputing::{Fill, Imputer};
use super::table::{ColumnNames, check_rows};
use super::{Dataset, Scaler, TypedValues};

/// One thing that is done to the columns; each is fitted on what the steps before it made of the training part.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Fills missing cells.
    Impute(Fill),
    /// Makes a column of zeros and ones for each category of a column; see [`Csv::categorical`](super::Csv::categorical).
    OneHot,
    /// [`Scaler::standard`]. It and the other scalers leave the columns alone that [`Step::OneHot`] made.
    Standardize,
    /// [`Scaler::min_max`] between these two numbers.
    MinMax(f32, f32),
    /// [`Scaler::robust`].
    Robust,
}

/// Fitted steps from raw columns to a model's inputs. A model that has one applies it in `fit`, `evaluate` and `predict`
/// and saves it with its weights.
///
/// Fit it on the training part only: what has seen the test rows lets them leak into training.
///
/// It remembers the names of the columns and categories that it was fitted on. A table with names is put in their order by them,
/// also where its categories have other numbers; columns that are missing or unknown and categories that are unknown are
/// refused by name.
///
/// ```
/// use kiln::data::{Fill, Preprocessing, Step};
/// use kiln::{Dataset, Targets};
///
/// // A column of numbers with a missing cell, and one of two categories.
/// let train = Dataset::new(vec![1.0, 0.0, f32::NAN, 1.0, 3.0, 1.0], 2, Targets::None)?
///     .with_categories(1, vec!["red".into(), "blue".into()])?;
/// let steps = [Step::Impute(Fill::Mean), Step::OneHot, Step::MinMax(0.0, 1.0)];
/// let preprocessing = Preprocessing::fit(&train, steps)?;
/// assert_eq!(preprocessing.outputs(), 3);
/// assert_eq!(
///     preprocessing.transform(&train)?.features(),
///     [0.0, 1.0, 0.0, 0.5, 0.0, 1.0, 1.0, 0.0, 1.0]
/// );
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PreprocessingFile", into = "PreprocessingFile")]
pub struct Preprocessing {
    steps: Vec<Fitted>,
    /// What is known of the raw columns.
    pub(crate) columns: ColumnNames,
}

/// A step with its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fitted {
    Impute(Imputer),
    OneHot(CategoryColumns),
    Scale(Scaler),
}

impl Fitted {
    fn inputs(&self) -> usize {
        match self {
            Fitted::Impute(imputer) => imputer.columns(),
            Fitted::OneHot(one_hot) => one_hot.columns(),
            Fitted::Scale(scaler) => scaler.columns(),
        }
    }

    fn scales(&self) -> bool {
        matches!(self, Fitted::Scale(_))
    }

    fn outputs(&self) -> Option<usize> {
        match self {
            Fitted::OneHot(one_hot) => one_hot.outputs(),
            other => Some(other.inputs()),
        }
    }
}

impl Preprocessing {
    /// Fits each step on what the ones before it make of `train`.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where no step is given, one is out of range, or one scales categories before [`Step::OneHot`];
    /// [`Error::Data`] where a column cannot be fitted, or a cell is still missing where it may not be.
    pub fn fit(train: &Dataset, steps: impl IntoIterator<Item = Step>) -> Result<Self> {
        let mut data = Cow::Borrowed(train);
        let mut indicators = vec![false; train.columns()];
        let mut fitted = Vec::new();
        for step in steps {
            let scale = |scaler: Result<Scaler>| -> Result<Fitted> {
                let scaler = scaler?.keeping(&indicators);
                Ok(Fitted::Scale(Scaler {
                    names: ColumnNames::default(),
                    ..scaler
                }))
            };
            let step = match step {
                Step::Impute(fill) => Fitted::Impute(Imputer::fit(&data, fill)?),
                Step::OneHot => {
                    if fitted.iter().any(Fitted::scales) {
                        check_unscaled(train)?;
                    }
                    Fitted::OneHot(CategoryColumns::fit(&data))
                }
                Step::Standardize => scale(Scaler::standard(&data))?,
                Step::MinMax(low, high) => scale(Scaler::min_max(&data, low, high))?,
                Step::Robust => scale(Scaler::robust(&data))?,
            };
            if let Fitted::OneHot(one_hot) = &step {
                indicators = one_hot.indicators();
            }
            let one = Preprocessing {
                steps: vec![step],
                columns: ColumnNames::default(),
            };
            data = Cow::Owned(one.transform(&data)?);
            fitted.extend(one.steps);
        }
        Self::of(fitted, train.table.clone())
    }

    fn of(steps: Vec<Fitted>, columns: ColumnNames) -> Result<Self> {
        let fits = |pair: &[Fitted]| pair[0].outputs() == Some(pair[1].inputs());
        let sound = |step: &Fitted| match step {
            Fitted::Impute(imputer) => imputer.is_sound(),
            other => other.inputs() > 0 && other.outputs().is_some(),
        };
        let named = |first: &Fitted| columns.is_of(first.inputs());
        if steps.first().is_some_and(named) && steps.iter().all(sound) && steps.windows(2).all(fits)
        {
            return Ok(Preprocessing { steps, columns });
        }
        Err(Error::argument(
            "steps",
            "must be at least one, each on the columns that the one before makes, with finite numbers, and the names as many as \
             the raw columns",
        ))
    }

    /// The same steps without the names of the raw columns.
    pub(crate) fn without_names(&self) -> Self {
        Preprocessing {
            steps: self.steps.clone(),
            columns: ColumnNames::default(),
        }
    }

    /// The scalers that it consists of; none where other steps are among them.
    pub(crate) fn scalers(&self) -> Option<Vec<&Scaler>> {
        let mut scalers = Vec::new();
        for step in &self.steps {
            let Fitted::Scale(scaler) = step else {
                return None;
            };
            scalers.push(scaler);
        }
        Some(scalers)
    }

    /// The raw columns that it takes.
    pub(crate) fn inputs(&self) -> usize {
        self.steps.first().map_or(0, Fitted::inputs)
    }

    /// The columns that it makes: the inputs of the model.
    pub fn outputs(&self) -> usize {
        self.steps.last().and_then(Fitted::outputs).unwrap_or(0)
    }

    /// A copy of `data` with its features transformed; targets stay.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where `data` does not have the columns that were fitted, and where a category is missing or not
    /// one of those that were fitted.
    pub fn transform(&self, data: &Dataset) -> Result<Dataset> {
        let cells = TypedValues::F32(Cow::Borrowed(data.cells()?));
        let cells = self.columns.arranged("preprocessing", &data.table, cells)?;
        data.check_columns("preprocessing", self.inputs())?;
        let cells = self.transform_rows(cells.numbers()?)?;
        let columns = self.columns.or(&data.table);
        let widened = self.steps.iter().find_map(|step| match step {
            Fitted::OneHot(one_hot) => Some(one_hot),
            _ => None,
        });
        let table = match widened {
            Some(one_hot) => columns.renamed(one_hot.names(&columns)),
            None if self.steps.iter().any(Fitted::scales) => columns.without_categories(),
            None => columns,
        };
        data.with_table(cells.into_owned(), self.outputs(), table)
    }

    /// Transforms row-major rows.
    pub(crate) fn transform_rows<'a>(&self, rows: Cow<'a, [f32]>) -> Result<Cow<'a, [f32]>> {
        check_rows("preprocessing", rows.len(), self.inputs())?;
        let mut rows = rows;
        for step in &self.steps {
            match step {
                Fitted::Impute(imputer) => imputer.transform_rows(rows.to_mut()),
                Fitted::OneHot(one_hot) => rows = one_hot.transform_rows(&rows)?.into(),
                Fitted::Scale(scaler) => scaler.transform_rows(rows.to_mut())?,
            }
        }
        Ok(rows)
    }
}

/// Refuses columns of categories that a step before [`Step::OneHot`] has scaled.
fn check_unscaled(train: &Dataset) -> Result<()> {
    let is_of_categories = |column: &usize| !train.categories(*column).is_empty();
    match (0..train.columns()).find(is_of_categories) {
        None => Ok(()),
        Some(column) => Err(Error::argument(
            "steps",
            format!(
                "scale {}, a column of categories, before `Step::OneHot`, which needs their numbers: put it first",
                train.describe_column(column)
            ),
        )),
    }
}

impl From<Scaler> for Preprocessing {
    fn from(mut scaler: Scaler) -> Self {
        let columns = std::mem::take(&mut scaler.names);
        Preprocessing {
            steps: vec![Fitted::Scale(scaler)],
            columns,
        }
    }
}

/// Preprocessing as data: the steps alone, as in files of before names were kept, or with the names of the raw columns.
#[derive(Serialize)]
#[serde(untagged)]
enum PreprocessingFile {
    Steps(Vec<Fitted>),
    Named(NamedSteps),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedSteps {
    columns: ColumnNames,
    steps: Vec<Fitted>,
}

impl<'de> Deserialize<'de> for PreprocessingFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = PreprocessingFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of steps, or an object of `columns` and `steps`")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, list: S) -> Result<Self::Value, S::Error> {
                let steps = Vec::deserialize(SeqAccessDeserializer::new(list))?;
                Ok(PreprocessingFile::Steps(steps))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                let named = NamedSteps::deserialize(MapAccessDeserializer::new(map))?;
                Ok(PreprocessingFile::Named(named))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl From<Preprocessing> for PreprocessingFile {
    fn from(Preprocessing { steps, columns }: Preprocessing) -> Self {
        if columns.is_empty() {
            PreprocessingFile::Steps(steps)
        } else {
            PreprocessingFile::Named(NamedSteps { columns, steps })
        }
    }
}

impl TryFrom<PreprocessingFile> for Preprocessing {
    type Error = Error;

    fn try_from(file: PreprocessingFile) -> Result<Self> {
        match file {
            PreprocessingFile::Steps(steps) => Self::of(steps, ColumnNames::default()),
            PreprocessingFile::Named(NamedSteps { columns, steps }) => Self::of(steps, columns),
        }
    }
}
