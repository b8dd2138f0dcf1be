//! Texts that stand for numbers: categories of a feature, and the column of class labels.

use std::collections::{BTreeMap, HashMap};

use crate::data::arrange;
use crate::data::targets::{classes, label};

use super::cells::Cell;
use super::dialect::Dialect;

/// The names of categories or classes and their numbers.
pub(super) enum CellNames {
    /// Numbered in the order in which they came up, to be sorted in the end.
    Found(BTreeMap<String, u32>),
    /// The classes that the caller listed, and the place of each.
    Listed(Vec<String>, HashMap<String, u32>),
}

impl CellNames {
    /// The names in `listed`, or those that come up where there are none.
    pub(super) fn new(listed: &[String]) -> Self {
        if listed.is_empty() {
            CellNames::Found(BTreeMap::new())
        } else {
            let places = listed.iter().cloned().zip(0..).collect();
            CellNames::Listed(listed.to_vec(), places)
        }
    }

    /// The number of a name that the caller listed: such a name is never a number or a missing cell.
    pub(super) fn listed(&self, text: &str) -> Option<u32> {
        match self {
            CellNames::Found(_) => None,
            CellNames::Listed(_, places) => places.get(text).copied(),
        }
    }

    /// The number of a name; `what` says what names stand for.
    pub(super) fn number(&mut self, text: &str, what: &str) -> Result<u32, String> {
        match self {
            CellNames::Found(found) => {
                if let Some(known) = found.get(text) {
                    return Ok(*known);
                }
                let next = found.len() as u32;
                found.insert(text.to_owned(), next);
                Ok(next)
            }
            CellNames::Listed(listed, places) => places.get(text).copied().ok_or_else(|| {
                format!("`{text}` is none of the {what} {}", arrange::listed(listed))
            }),
        }
    }

    /// The names in order, and for each number that was given its place in that order.
    pub(super) fn finish(self) -> (Vec<String>, Vec<u32>) {
        match self {
            CellNames::Found(found) => {
                let mut sorted = vec![0; found.len()];
                for (place, came_up) in (0..).zip(found.values()) {
                    sorted[*came_up as usize] = place;
                }
                (found.into_keys().collect(), sorted)
            }
            CellNames::Listed(listed, _) => {
                let same = (0..).zip(&listed).map(|(place, _)| place).collect();
                (listed, same)
            }
        }
    }
}

/// The labels read so far; the first cell decides whether they are numbers or names.
pub(super) struct Labels {
    labels: Vec<u32>,
    kind: Option<LabelKind>,
}

enum LabelKind {
    /// The labels themselves.
    Numbers,
    Named(CellNames),
}

impl Labels {
    /// An empty column, of the classes in `listed` if there are any.
    pub(super) fn new(listed: &[String]) -> Self {
        Labels {
            labels: Vec::new(),
            kind: (!listed.is_empty()).then(|| LabelKind::Named(CellNames::new(listed))),
        }
    }

    /// Reads one label; the error says what is wrong with it.
    pub(super) fn push(&mut self, text: &str, dialect: &Dialect) -> Result<(), String> {
        let cell = Cell::of(text, dialect);
        let kind = self.kind.get_or_insert_with(|| match cell {
            Cell::Text | Cell::NotFinite(_) => LabelKind::Named(CellNames::new(&[])),
            _ => LabelKind::Numbers,
        });
        self.labels.push(match (kind, cell) {
            (LabelKind::Named(names @ CellNames::Listed(..)), _) => names.number(text, "classes")?,
            (_, Cell::Empty | Cell::Missing) => {
                return Err(format!("the label is missing (`{text}`)"));
            }
            (LabelKind::Numbers, _) => {
                // `2.0` is one too, as some writers know floats only.
                let number = dialect.notation.number(text.trim()).and_then(label);
                number.ok_or_else(|| {
                    format!("`{text}` is not a label: labels are whole numbers from 0, or all of them are names of classes")
                })?
            }
            (LabelKind::Named(names), Cell::Text | Cell::NotFinite(_)) => names.number(text, "classes")?,
            (LabelKind::Named(_), _) => {
                return Err(format!(
                    "`{text}` is a number, and the labels before it are names of classes: list the names with \
                     `.class_names(…)` if it is one"
                ));
            }
        });
        Ok(())
    }

    /// The labels, the number of classes, and the classes' names.
    pub(super) fn finish(self) -> (Vec<u32>, usize, Vec<String>) {
        let mut labels = self.labels;
        match self.kind {
            None | Some(LabelKind::Numbers) => {
                let classes = classes(&labels);
                (labels, classes, Vec::new())
            }
            Some(LabelKind::Named(names)) => {
                let (names, places) = names.finish();
                labels
                    .iter_mut()
                    .for_each(|label| *label = places[*label as usize]);
                (labels, names.len(), names)
            }
        }
    }
}
