//! The classes of a data set whose targets are labels.

use crate::error::{Error, Result};

use super::check::check_targets;
use super::table::check_listed;
use super::{Dataset, Targets};

impl Dataset {
    /// Names the classes of labels, in the order of their numbers; an empty list takes the names away.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there are not as many names as classes, or where the targets are not labels; [`Error::Argument`]
    /// where a name is given twice.
    pub fn with_class_names(mut self, names: Vec<String>) -> Result<Self> {
        check_listed("names", &names)?;
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

    /// Says that there are `classes` classes, where the labels at hand may lack the last ones.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the targets are not labels, where a label is not below `classes`, and where class names
    /// are set and are not as many.
    pub fn with_classes(mut self, classes: usize) -> Result<Self> {
        let targets = self.targets().clone().with_classes(classes)?;
        check_targets(&targets, self.rows())?;
        self.outputs = vec![(String::new(), targets)];
        let names = std::mem::take(&mut self.class_names);
        self.with_class_names(names)
    }

    /// The number of classes, where the targets are labels.
    pub fn classes(&self) -> Option<usize> {
        self.targets().as_labels().map(|(_, _, classes)| classes)
    }

    /// The classes' names in the order of the labels, or of the columns that [`one_hot`](Self::one_hot) made; empty where they have
    /// none.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The label of every row; those of several positions row by row.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the targets are not labels, or are those of several outputs.
    ///
    /// ```
    /// use kiln::Dataset;
    ///
    /// let data = Dataset::new(vec![0.1, 0.2, 0.3], 1, vec![2, 0, 2])?;
    /// assert_eq!(data.labels()?, [2, 0, 2]);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn labels(&self) -> Result<&[u32]> {
        match self.only_targets("labels")? {
            Targets::Labels { labels, .. } | Targets::LabelTable { labels, .. } => Ok(labels),
            other => Err(Error::data(format!(
                "the data set has no labels: its targets are {}",
                other.told()
            ))),
        }
    }

    /// The targets that are numbers, row-major.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the targets are no numbers, or are those of several outputs.
    ///
    /// ```
    /// use kiln::Dataset;
    ///
    /// let data = Dataset::from_rows(&[[0.1], [0.2]], &[[1.5], [-0.5]])?;
    /// assert_eq!(data.target_values()?, [1.5, -0.5]);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn target_values(&self) -> Result<&[f32]> {
        match self.only_targets("target_values")? {
            Targets::Values { values, .. } => Ok(values),
            other => Err(Error::data(format!(
                "the data set has no numbers to predict: its targets are {}",
                other.told()
            ))),
        }
    }

    /// The targets of the only output, whether it has a name or none.
    fn only_targets(&self, door: &str) -> Result<&Targets> {
        match &self.outputs[..] {
            [] => Ok(&Targets::None),
            [(_, only)] => Ok(only),
            several => {
                let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
                Err(Error::data(format!(
                    "`{door}` is for targets of one output, but there are {}: take them from `outputs`",
                    names.join(", ")
                )))
            }
        }
    }

    /// Turns labels into values `[rows, classes]`: 1 in the column of the row's class, 0 elsewhere; those of several positions
    /// into `[rows, positions × classes]`. The names of classes stay, now those of the columns.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the targets are not labels, or where the one-hot numbers do not fit into memory.
    pub fn one_hot(mut self) -> Result<Self> {
        self.outputs = vec![(String::new(), self.targets().one_hot()?)];
        Ok(self)
    }
}
