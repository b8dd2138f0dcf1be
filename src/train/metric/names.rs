//! The names by which figures are told: each of its own in all that is written of a run.

use crate::{Error, Result};

use super::ModelMetrics;

/// What callbacks write of an epoch beside its metrics.
const TAKEN: [&str; 4] = ["loss", "epoch", "step", "seconds"];

/// What stands before the names of figures on validation data.
const VALIDATION: &str = "val_";

impl ModelMetrics {
    /// The same metrics, where no two figures of an epoch have one name.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where two metrics have one name, and where one has that of something else in a log.
    pub fn told_apart(self) -> Result<Self> {
        let names = self.titles();
        let is_taken = |name: &&String| {
            name.is_empty() || TAKEN.contains(&name.as_str()) || name.starts_with(VALIDATION)
        };
        if let Some(name) = names.iter().find(is_taken) {
            let message = format!(
                "must have names of their own, got `{name}`: {} and what begins with `{VALIDATION}` stand beside metrics in \
                 logs; `with_name` gives another",
                TAKEN.join(", ")
            );
            return Err(Error::argument("metrics", message));
        }
        check_different(&names)?;
        // A metric of several values has a number after its name for each, and may so have the name of another.
        let stem = |name: &String| {
            let (stem, number) = name.rsplit_once('_')?;
            number.parse::<usize>().ok().map(|_| stem.to_string())
        };
        if names
            .iter()
            .filter_map(stem)
            .any(|stem| names.contains(&stem))
        {
            check_different(&self.names()?)?;
        }
        Ok(self)
    }
}

/// Refuses figures of one name.
fn check_different(names: &[String]) -> Result<()> {
    match (0..names.len()).find(|&i| names[..i].contains(&names[i])) {
        None => Ok(()),
        Some(i) => {
            let message = format!(
                "must differ in name, got `{}` twice; `with_name` gives another",
                names[i]
            );
            Err(Error::argument("metrics", message))
        }
    }
}
