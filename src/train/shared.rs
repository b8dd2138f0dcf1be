//! Weights that models share: those of a model and of its parts, as the one that learned last handed them on.
//!
//! Every model has weights of its own, on its own device. One that has learned hands its weights on; the others take them when they
//! are used next. Only one can learn at a time: it claims the weights before, and gives them free when it has handed on what it
//! learned. So nobody has some weights of one training and some of another.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::data::LearnedNames;
use crate::{Error, Result, Snapshot};

#[derive(Debug)]
struct SharedWeights {
    /// How often weights were handed on.
    version: u64,
    weights: Snapshot,
    names: LearnedNames,
    /// Held by the model that learns, until it has handed on.
    learner: Weak<()>,
}

/// A model's share of weights that others have too.
#[derive(Debug)]
pub(super) struct Share {
    all: Arc<Mutex<SharedWeights>>,
    /// The tensors that this model has.
    own: BTreeSet<String>,
    /// Whether its columns and classes are those of the model that the others are parts of.
    names: [bool; 2],
    /// The version that it took or handed on last.
    seen: u64,
    /// Held while it learns, and after a run that was dropped until it is used next.
    claim: Option<Arc<()>>,
}

impl Share {
    /// The share of a model that has all of these weights.
    pub fn new(weights: Snapshot, names: LearnedNames) -> Self {
        let own = weights.variables.keys().cloned().collect();
        let all = SharedWeights {
            version: 1,
            weights,
            names,
            learner: Weak::new(),
        };
        Share {
            all: Arc::new(Mutex::new(all)),
            own,
            names: [true, true],
            seen: 1,
            claim: None,
        }
    }

    /// The share of a part of this model: it has these tensors, and the columns and the classes of this model or others.
    pub fn of_part(&self, own: BTreeSet<String>, [columns, classes]: [bool; 2]) -> Self {
        Share {
            all: Arc::clone(&self.all),
            own,
            names: [self.names[0] && columns, self.names[1] && classes],
            seen: 0,
            claim: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, SharedWeights> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this model learns, or has learned what it did not hand on yet.
    pub fn is_learning(&self) -> bool {
        self.claim.is_some()
    }

    /// Whether all others are gone.
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.all) == 1
    }

    /// Begins to learn; no where others have handed on what this model has not taken yet.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where another model learns, or has not handed on what it learned.
    pub fn claim(&mut self) -> Result<bool> {
        if self.is_learning() {
            return Ok(true);
        }
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.learner.strong_count() > 0 {
            return Err(Error::argument(
                "model",
                "shares weights with another one that is trained now, or whose run was dropped: use that one first, which hands \
                 on what it learned, or drop it",
            ));
        }
        if all.version != self.seen {
            return Ok(false);
        }
        let claim = Arc::new(());
        all.learner = Arc::downgrade(&claim);
        drop(all);
        self.claim = Some(claim);
        Ok(true)
    }

    /// Hands on weights out of these and names, while this model learns on.
    pub fn hand_on(&mut self, kept: &Snapshot, names: &LearnedNames) {
        let own = kept.variables.iter();
        let own = own.filter(|(name, _)| self.own.contains(*name));
        let own: Vec<_> = own
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let [columns, classes] = self.names;
        let mut all = self.lock();
        all.version += 1;
        all.weights.variables.extend(own);
        all.names.learn(taken(names, columns, classes));
        let version = all.version;
        drop(all);
        self.seen = version;
    }

    /// Ends to learn, after it has handed on.
    pub fn release(&mut self) {
        self.claim = None;
    }

    /// What others handed on since the last time; none where that is nothing.
    pub fn newer(&mut self) -> Option<(Snapshot, LearnedNames)> {
        let [columns, classes] = self.names;
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.version == self.seen {
            return None;
        }
        let weights = all.weights.variables.iter();
        let own = weights.filter(|(name, _)| self.own.contains(*name));
        let variables = own.map(|(name, value)| (name.clone(), value.clone()));
        let snapshot = Snapshot {
            variables: variables.collect(),
        };
        self.seen = all.version;
        Some((snapshot, taken(&all.names, columns, classes)))
    }
}

/// The names of columns, of classes, both or neither.
fn taken(names: &LearnedNames, columns: bool, classes: bool) -> LearnedNames {
    let mut taken = LearnedNames::default();
    if columns {
        taken.columns = names.columns.clone();
    }
    if classes {
        taken.classes = names.classes.clone();
    }
    taken
}
