//! The calls of a program while rewrites change them, with an index of who reads and who writes each tensor, so that a
//! rewrite looks only at the neighbours of a call.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Index;

use crate::plan::schedule::{Draft, Operand, Scheduled};

/// A call by its place in the order: its step, and its number among the calls that were put after that step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct CallId {
    step: usize,
    part: usize,
}

/// A program under rewriting. Removing or replacing a call leaves the ids of all others as they are.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    /// The program, its calls apart.
    pub rest: Scheduled,
    drafts: BTreeMap<CallId, Draft>,
    fetched: HashSet<Operand>,
    /// The calls that read a tensor, each with the operand's position.
    readers: HashMap<Operand, BTreeSet<(CallId, usize)>>,
    /// The calls that compute a tensor or update it in place.
    writers: HashMap<Operand, BTreeSet<CallId>>,
}

impl Calls {
    pub fn new(mut program: Scheduled) -> Self {
        let drafts = std::mem::take(&mut program.drafts);
        let fetched = program.fetches.iter();
        let mut calls = Calls {
            fetched: fetched.map(|(.., key)| Operand::Value(*key)).collect(),
            rest: program,
            drafts: BTreeMap::new(),
            readers: HashMap::new(),
            writers: HashMap::new(),
        };
        for (step, draft) in drafts.into_iter().enumerate() {
            calls.put(CallId { step, part: 0 }, draft);
        }
        calls
    }

    pub fn into_scheduled(self) -> Scheduled {
        Scheduled {
            drafts: self.drafts.into_values().collect(),
            ..self.rest
        }
    }

    /// Tells in the plan what a rewrite did.
    pub fn note(&mut self, note: String) {
        self.rest.notes.push(note);
    }

    /// All calls as they are now, in order.
    pub fn ids(&self) -> Vec<CallId> {
        self.drafts.keys().copied().collect()
    }

    pub fn len(&self) -> usize {
        self.drafts.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (CallId, &Draft)> {
        self.drafts.iter().map(|(&id, draft)| (id, draft))
    }

    pub fn get(&self, id: CallId) -> Option<&Draft> {
        self.drafts.get(&id)
    }

    /// The calls that read a tensor in order, each with the operand's position.
    pub fn readers(&self, operand: Operand) -> impl Iterator<Item = (CallId, usize)> {
        self.readers.get(&operand).into_iter().flatten().copied()
    }

    /// The same where the host does not read it too.
    pub fn uses(&self, operand: Operand) -> Option<impl Iterator<Item = (CallId, usize)>> {
        (!self.is_fetched(operand)).then(|| self.readers(operand))
    }

    /// Whether the host reads a tensor.
    pub fn is_fetched(&self, operand: Operand) -> bool {
        self.fetched.contains(&operand)
    }

    /// The one call that reads a tensor, and the operand's position there.
    pub fn only_use(&self, operand: Operand) -> Option<(CallId, usize)> {
        let mut uses = self.uses(operand)?;
        let first = uses.next()?;
        uses.next().is_none().then_some(first)
    }

    /// The call whose first output a tensor is.
    pub fn maker(&self, operand: Operand) -> Option<CallId> {
        let mut writers = self.writers.get(&operand)?.iter().copied();
        writers.find(|&call| self[call].outputs.first() == Some(&operand))
    }

    /// The calls that write a tensor later than `first` and before `last`.
    pub fn writers_between(
        &self,
        operand: Operand,
        first: CallId,
        last: CallId,
    ) -> impl Iterator<Item = CallId> {
        let writers = self.writers.get(&operand).filter(|_| first < last);
        let between = writers.map(|writers| writers.range(first..last));
        let calls = between.into_iter().flatten().copied();
        calls.filter(move |&call| call != first)
    }

    /// The calls that read a tensor later than `first` and before `last`.
    pub fn readers_between(
        &self,
        operand: Operand,
        first: CallId,
        last: CallId,
    ) -> impl Iterator<Item = CallId> {
        let readers = self.readers.get(&operand).filter(|_| first < last);
        let between = readers.map(|readers| readers.range((first, 0)..(last, 0)));
        let calls = between.into_iter().flatten().map(|(call, _)| *call);
        calls.filter(move |&call| call != first)
    }

    /// Whether call `from` may run where the later call `to` stands: nothing between writes what it reads.
    pub fn may_wait(&self, from: CallId, to: CallId) -> bool {
        let mut inputs = self[from].inputs.iter();
        inputs.all(|&input| self.writers_between(input, from, to).next().is_none())
    }

    /// Puts another call in the place of one.
    pub fn replace(&mut self, id: CallId, draft: Draft) {
        self.remove(id);
        self.put(id, draft);
    }

    pub fn remove(&mut self, id: CallId) {
        let Some(draft) = self.drafts.remove(&id) else {
            return;
        };
        for (position, input) in draft.inputs.iter().enumerate() {
            if let Some(readers) = self.readers.get_mut(input) {
                readers.remove(&(id, position));
            }
        }
        for written in draft.written() {
            if let Some(writers) = self.writers.get_mut(written) {
                writers.remove(&id);
            }
        }
    }

    /// Puts one call in the place of all.
    pub fn replace_all(&mut self, draft: Draft) {
        self.drafts.clear();
        self.readers.clear();
        self.writers.clear();
        self.put(CallId { step: 0, part: 0 }, draft);
    }

    /// Puts calls in order right after one that was there from the beginning.
    pub fn insert_after(&mut self, id: CallId, drafts: Vec<Draft>) {
        for (number, draft) in drafts.into_iter().enumerate() {
            let part = id.part + 1 + number;
            self.put(CallId { part, ..id }, draft);
        }
    }

    fn put(&mut self, id: CallId, draft: Draft) {
        for (position, &input) in draft.inputs.iter().enumerate() {
            let readers = self.readers.entry(input).or_default();
            readers.insert((id, position));
        }
        for &written in draft.written() {
            self.writers.entry(written).or_default().insert(id);
        }
        self.drafts.insert(id, draft);
    }
}

impl Index<CallId> for Calls {
    type Output = Draft;

    fn index(&self, id: CallId) -> &Draft {
        &self.drafts[&id]
    }
}
