//! Optimizer updates of all parameters as one call over slabs.

use std::collections::{HashMap, HashSet};

use crate::TensorType;
use crate::plan::schedule::{Draft, Key, Operand, Typed};
use crate::target::Target;

use super::calls::{CallId, Calls};

/// Tensors laid out one after the other in one slot, so that a call can take them all as one operand.
#[derive(Debug, Clone)]
pub(in crate::plan) struct TensorSlab {
    pub members: Vec<SlabMember>,
    /// Elements of the whole, each member's length rounded up to the device's alignment.
    pub elements: u64,
}

#[derive(Debug, Clone)]
pub(in crate::plan) struct SlabMember {
    pub key: Key,
    pub offset: u64,
}

/// Every optimizer update of a program as one call over slabs of parameters, states and gradients.
///
/// Updates merge when their ops are equal, their common operands are the same, nothing between the first and the last
/// of them touches what they write or writes what they read, and no call of any program would write one tensor of a
/// slab while it uses another, because a call's written operands have slots of their own.
pub(super) fn merge_updates(programs: &mut [Calls], slabs: &mut Slabs) {
    let apart = Apart::of(programs.iter());
    for program in programs {
        let mut groups: Vec<Vec<CallId>> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for (call, draft) in program.iter() {
            let Some(key) = merge_key(draft) else {
                continue;
            };
            let group = *known.entry(key).or_insert(groups.len());
            if group == groups.len() {
                groups.push(Vec::new());
            }
            groups[group].push(call);
        }
        let mut gone = Vec::new();
        let parts: Vec<Vec<CallId>> = groups
            .iter()
            .flat_map(|group| compatible(program, group, &apart))
            .filter(|part| part.len() > 1)
            .collect();
        for group in parts {
            if independent(program, &group) && slabs.accept(program, &group) {
                let name = program[group[0]].op.name();
                let note = format!("{} updates by {name} are one call over slabs", group.len());
                program.note(note);
                gone.extend_from_slice(&group[..group.len() - 1]);
            }
        }
        for call in gone {
            program.remove(call);
        }
    }
}

fn merge_key(draft: &Draft) -> Option<String> {
    let slab = draft.op.slab()?;
    Some(format!("{} {:?}", slab.key, &draft.inputs[slab.operands..]))
}

/// For each tensor those that may not share a slab with it, because some call writes one and uses the other.
pub(super) struct Apart(HashMap<Key, Vec<Key>>);

impl Apart {
    pub fn of<'a>(programs: impl Iterator<Item = &'a Calls>) -> Self {
        let mut apart: HashMap<Key, Vec<Key>> = HashMap::new();
        for (_, draft) in programs.flat_map(Calls::iter) {
            for a in draft.written().filter_map(key) {
                for b in draft.inputs.iter().chain(&draft.outputs).filter_map(key) {
                    if a != b {
                        apart.entry(a).or_default().push(b);
                        apart.entry(b).or_default().push(a);
                    }
                }
            }
        }
        Apart(apart)
    }

    /// The tensors that may not share a slab with one.
    pub fn neighbours(&self, key: Key) -> impl Iterator<Item = Key> {
        self.0.get(&key).into_iter().flatten().copied()
    }

    /// Whether two of these tensors may not share a slab.
    pub fn parts_any(&self, column: &[(Key, u64)]) -> bool {
        let all: HashSet<Key> = column.iter().map(|member| member.0).collect();
        all.iter()
            .any(|&key| self.neighbours(key).any(|other| all.contains(&other)))
    }
}

fn key(operand: &Operand) -> Option<Key> {
    match *operand {
        Operand::Value(key) => Some(key),
        Operand::Slab(_) => None,
    }
}

/// Updates that may lie in common slabs.
#[derive(Default)]
struct SlabPart {
    calls: Vec<CallId>,
    /// The tensors of each column, and of all of them.
    columns: Vec<HashSet<Key>>,
    operands: HashSet<Operand>,
}

/// The group in parts, each of which may lie in common slabs.
fn compatible(program: &Calls, group: &[CallId], apart: &Apart) -> Vec<Vec<CallId>> {
    let mut parts: Vec<SlabPart> = Vec::new();
    for &call in group {
        let draft = &program[call];
        let operands = draft.op.slab().map_or(0, |slab| slab.operands);
        let operands = &draft.inputs[..operands];
        let clashes = |part: &SlabPart| {
            let mut columns = operands.iter().zip(&part.columns);
            let one_call = columns.any(|(operand, column)| {
                let neighbours = key(operand).map(|key| apart.neighbours(key));
                let mut neighbours = neighbours.into_iter().flatten();
                neighbours.any(|other| column.contains(&other))
            });
            // The same tensor under another role, or an update that reads what the other one writes.
            one_call
                || operands
                    .iter()
                    .any(|operand| part.operands.contains(operand))
        };
        let place = parts.iter().position(|part| !clashes(part));
        let place = place.unwrap_or_else(|| {
            parts.push(SlabPart::default());
            parts.len() - 1
        });
        let part = &mut parts[place];
        part.calls.push(call);
        part.operands.extend(operands);
        part.columns.resize(operands.len(), HashSet::new());
        for (operand, column) in operands.iter().zip(&mut part.columns) {
            column.extend(key(operand));
        }
    }
    parts.into_iter().map(|part| part.calls).collect()
}

/// Whether the calls may all run where the last of them stands.
fn independent(program: &Calls, group: &[CallId]) -> bool {
    let (Some(&first), Some(&last)) = (group.first(), group.last()) else {
        return false;
    };
    let own: HashSet<CallId> = group.iter().copied().collect();
    let drafts = || group.iter().map(|&call| &program[call]);
    let written: HashSet<&Operand> = drafts().flat_map(Draft::written).collect();
    let read: HashSet<&Operand> = drafts().flat_map(|draft| &draft.inputs).collect();
    let unread = |&&operand: &&Operand| {
        let mut readers = program.readers_between(operand, first, last);
        readers.all(|call| own.contains(&call))
    };
    let unwritten = |&&operand: &&Operand| {
        let mut writers = program.writers_between(operand, first, last);
        writers.all(|call| own.contains(&call))
    };
    written.iter().all(unread)
        && read.iter().all(unwritten)
        && drafts().all(|draft| draft.outputs.is_empty())
}

/// The slabs of a plan so far.
#[derive(Clone)]
pub(super) struct Slabs {
    slabs: Vec<TensorSlab>,
    /// The slab in which a tensor lies, and where.
    home: HashMap<Key, (usize, u64)>,
    unit: u64,
}

impl Slabs {
    pub fn new(target: &Target) -> Self {
        Slabs {
            slabs: Vec::new(),
            home: HashMap::new(),
            unit: target.alignment / 4,
        }
    }

    pub fn into_list(self) -> Vec<TensorSlab> {
        self.slabs
    }

    pub fn members(&self, slab: usize) -> &[SlabMember] {
        &self.slabs[slab].members
    }

    /// The slab in which a tensor lies, and where.
    pub fn home(&self, key: Key) -> Option<(usize, u64)> {
        self.home.get(&key).copied()
    }

    pub fn slab_of(&self, key: Key) -> Option<usize> {
        self.home(key).map(|(slab, _)| slab)
    }

    /// Elements that a tensor takes up.
    pub fn padded(&self, elements: u64) -> u64 {
        elements
            .checked_next_multiple_of(self.unit)
            .unwrap_or(u64::MAX)
    }

    /// All of a slab as an operand.
    pub fn operand(&self, slab: usize) -> Typed {
        let elements = usize::try_from(self.slabs[slab].elements).unwrap_or(usize::MAX);
        (Operand::Slab(slab), TensorType::f32([elements]))
    }

    pub fn elements(&self, slab: usize) -> u64 {
        self.slabs[slab].elements
    }

    /// Where its members begin, in order.
    pub fn offsets(&self, slab: usize) -> Vec<usize> {
        let members = self.slabs[slab].members.iter();
        members
            .map(|member| usize::try_from(member.offset).unwrap_or(usize::MAX))
            .collect()
    }

    /// Makes or finds the slabs of a group's operands and rewrites its last call; refuses when a tensor lies elsewhere.
    fn accept(&mut self, program: &mut Calls, group: &[CallId]) -> bool {
        let Some(&last) = group.last() else {
            return false;
        };
        let Some(rule) = program[last].op.slab() else {
            return false;
        };
        let columns: Vec<Vec<(Key, u64)>> = (0..rule.operands)
            .map(|operand| {
                let of = |&call: &CallId| {
                    let draft = &program[call];
                    let elements = draft.signature.inputs[operand].elements();
                    Some((key(&draft.inputs[operand])?, elements))
                };
                group.iter().filter_map(of).collect()
            })
            .collect();
        let fits = |column: &Vec<_>| column.len() == group.len() && self.fits(column);
        if !columns.iter().all(fits) {
            return false;
        }
        let mut call = program[last].clone();
        call.merged = group.len();
        for (i, column) in columns.iter().enumerate() {
            let slab = self.find_or_make(column);
            (call.inputs[i], call.signature.inputs[i]) = self.operand(slab);
        }
        program.replace(last, call);
        true
    }

    /// Whether the column is new throughout, or exactly a slab that exists.
    pub fn fits(&self, column: &[(Key, u64)]) -> bool {
        let mut keys: Vec<Key> = column.iter().map(|(key, _)| *key).collect();
        let homes: Vec<Option<usize>> = keys.iter().map(|&key| self.slab_of(key)).collect();
        let existing = homes.iter().flatten().count();
        let members = |slab: usize| self.members(slab).iter().map(|member| member.key);
        let same =
            matches!(homes.first(), Some(&Some(slab)) if members(slab).eq(keys.iter().copied()));
        // A slab outlives a run as a whole or not at all.
        let alike = keys.iter().all(|key| key.program == keys[0].program);
        keys.sort();
        keys.dedup();
        alike && keys.len() == column.len() && (existing == 0 || same)
    }

    pub fn find_or_make(&mut self, column: &[(Key, u64)]) -> usize {
        if let Some(slab) = column.first().and_then(|(key, _)| self.slab_of(*key)) {
            return slab;
        }
        let mut slab = TensorSlab {
            members: Vec::new(),
            elements: 0,
        };
        for &(key, len) in column {
            self.home.insert(key, (self.slabs.len(), slab.elements));
            slab.members.push(SlabMember {
                key,
                offset: slab.elements,
            });
            slab.elements = slab
                .elements
                .saturating_add(len)
                .next_multiple_of(self.unit);
        }
        self.slabs.push(slab);
        self.slabs.len() - 1
    }
}
