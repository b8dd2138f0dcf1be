//! The column of class labels: whole numbers, or names that become numbers in their sorted order.

use std::collections::BTreeMap;

use super::cells::Cell;

/// The labels read so far; the first cell decides whether they are numbers or names.
pub(super) struct Labels {
    labels: Vec<u32>,
    kind: Option<LabelKind>,
    missing: Vec<String>,
}

enum LabelKind {
    /// The labels themselves.
    Numbers,
    /// Names, numbered in the order in which they came up.
    Found(BTreeMap<String, u32>),
    /// Names that the caller listed.
    Listed(Vec<String>),
}

impl Labels {
    /// An empty column, of the classes in `listed` if there are any.
    pub(super) fn new(listed: &[String], missing: &[String]) -> Self {
        let kind = (!listed.is_empty()).then(|| LabelKind::Listed(listed.to_vec()));
        Labels {
            labels: Vec::new(),
            kind,
            missing: missing.to_vec(),
        }
    }

    /// Reads one label; the error says what is wrong with it.
    pub(super) fn push(&mut self, text: &str) -> Result<(), String> {
        let cell = Cell::of(text.as_bytes(), &self.missing);
        let kind = self.kind.get_or_insert_with(|| match cell {
            Cell::Text => LabelKind::Found(BTreeMap::new()),
            _ => LabelKind::Numbers,
        });
        let label = match (kind, cell) {
            (LabelKind::Listed(listed), _) => {
                let place = listed.iter().position(|name| name == text);
                let place = place.and_then(|place| u32::try_from(place).ok());
                place.ok_or_else(|| {
                    format!("`{text}` is none of the classes {}", listed.join(", "))
                })?
            }
            (_, Cell::Empty | Cell::Missing) => {
                return Err(format!("the label is missing (`{text}`)"));
            }
            (LabelKind::Numbers, _) => whole(text)?,
            (LabelKind::Found(names), Cell::Text) => {
                let next = u32::try_from(names.len())
                    .map_err(|refusal| format!("too many classes: {refusal}"))?;
                *names.entry(text.to_owned()).or_insert(next)
            }
            (LabelKind::Found(_), _) => {
                return Err(format!(
                    "`{text}` is a number, and the labels before it are names of classes: list the names with \
                     `.class_names(…)` if it is one"
                ));
            }
        };
        self.labels.push(label);
        Ok(())
    }

    /// The labels, the number of classes, and the classes' names.
    pub(super) fn finish(self) -> (Vec<u32>, usize, Vec<String>) {
        let mut labels = self.labels;
        match self.kind {
            None | Some(LabelKind::Numbers) => {
                let classes = labels.iter().max().map_or(0, |label| *label as usize + 1);
                (labels, classes, Vec::new())
            }
            Some(LabelKind::Listed(names)) => (labels, names.len(), names),
            Some(LabelKind::Found(found)) => {
                let sorted = sorted_places(&found);
                labels
                    .iter_mut()
                    .for_each(|label| *label = sorted[*label as usize]);
                (labels, found.len(), found.into_keys().collect())
            }
        }
    }
}

/// For each number by which a name came up, its place among the sorted names.
pub(super) fn sorted_places(found: &BTreeMap<String, u32>) -> Vec<u32> {
    let mut sorted = vec![0; found.len()];
    for (place, came_up) in (0..).zip(found.values()) {
        sorted[*came_up as usize] = place;
    }
    sorted
}

/// A label that is a number: whole, from 0, below 2³² − 1. `2.0` is one too, as some writers know floats only.
fn whole(text: &str) -> Result<u32, String> {
    let label = text
        .parse::<f64>()
        .ok()
        .filter(|x| x.fract() == 0.0 && (0.0..f64::from(u32::MAX)).contains(x));
    label.map(|label| label as u32).ok_or_else(|| {
        format!("`{text}` is not a label: labels are whole numbers from 0, or all of them are names of classes")
    })
}
