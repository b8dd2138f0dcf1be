//! Optimizer updates of all parameters as one call over slabs.

use std::collections::{HashMap, HashSet};

use crate::TensorType;
use crate::plan::schedule::{Draft, Key, Operand, Scheduled};
use crate::target::Target;

/// Tensors laid out one behind the other in one slot, so that a call can take them all as one operand.
#[derive(Debug, Clone)]
pub(in crate::plan) struct Slab {
    pub members: Vec<Member>,
    /// Elements of the whole, each member's length rounded up to the device's alignment.
    pub elements: u64,
}

#[derive(Debug, Clone)]
pub(in crate::plan) struct Member {
    pub key: Key,
    pub offset: u64,
}

/// Every optimizer update of a program as one call over slabs of parameters, states and gradients.
///
/// Updates merge when their ops are equal, their common operands are the same, nothing between the first and the last
/// of them touches what they write or writes what they read, and no call of any program would write one tensor of a
/// slab while it uses another, because a call's written operands have slots of their own.
pub(super) fn merge_updates(programs: &mut [Scheduled], slabs: &mut Slabs) {
    let apart = apart(programs);
    for program in programs {
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        for (i, draft) in program.drafts.iter().enumerate() {
            let Some(key) = merge_key(draft) else {
                continue;
            };
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, group)) => group.push(i),
                None => groups.push((key, vec![i])),
            }
        }
        let mut gone = Vec::new();
        let parts: Vec<Vec<usize>> = groups
            .iter()
            .flat_map(|(_, group)| compatible(&program.drafts, group, &apart))
            .filter(|part| part.len() > 1)
            .collect();
        for group in parts {
            if independent(&program.drafts, &group) && slabs.accept(&mut program.drafts, &group) {
                let name = program.drafts[group[0]].op.name();
                let note = format!("{} updates by {name} are one call over slabs", group.len());
                program.notes.push(note);
                gone.extend_from_slice(&group[..group.len() - 1]);
            }
        }
        let mut index = 0;
        program.drafts.retain(|_| {
            index += 1;
            !gone.contains(&(index - 1))
        });
    }
}

fn merge_key(draft: &Draft) -> Option<String> {
    let slab = draft.op.slab()?;
    Some(format!("{} {:?}", slab.key, &draft.inputs[slab.operands..]))
}

/// Pairs of tensors of which some call writes one and uses the other.
pub(super) fn apart(programs: &[Scheduled]) -> HashSet<(Key, Key)> {
    let mut apart = HashSet::new();
    for draft in programs.iter().flat_map(|program| &program.drafts) {
        for a in draft.written().filter_map(key) {
            for b in draft.inputs.iter().chain(&draft.outputs).filter_map(key) {
                apart.extend([(a, b), (b, a)]);
            }
        }
    }
    apart
}

fn key(operand: &Operand) -> Option<Key> {
    match *operand {
        Operand::Value(key) => Some(key),
        Operand::Slab(_) => None,
    }
}

/// The group in parts, each of which may lie in common slabs.
fn compatible(drafts: &[Draft], group: &[usize], apart: &HashSet<(Key, Key)>) -> Vec<Vec<usize>> {
    let clash = |&i: &usize, j: usize| {
        let (a, b) = (&drafts[i], &drafts[j]);
        let operands = a.op.slab().map_or(0, |slab| slab.operands);
        let columns = a.inputs.iter().zip(&b.inputs).take(operands);
        let one_call = columns
            .filter_map(|(a, b)| Some((key(a)?, key(b)?)))
            .any(|pair| apart.contains(&pair));
        // The same tensor under another role, or an update that reads what the other one writes.
        let mixed = a.inputs[..operands]
            .iter()
            .any(|a| b.inputs[..operands].contains(a));
        one_call || mixed
    };
    let mut parts: Vec<Vec<usize>> = Vec::new();
    for &i in group {
        match parts
            .iter_mut()
            .find(|part| !part.iter().any(|member| clash(member, i)))
        {
            Some(part) => part.push(i),
            None => parts.push(vec![i]),
        }
    }
    parts
}

/// Whether the calls may all run where the last of them stands.
fn independent(drafts: &[Draft], group: &[usize]) -> bool {
    let (Some(&first), Some(&last)) = (group.first(), group.last()) else {
        return false;
    };
    let written: Vec<&Operand> = group.iter().flat_map(|&i| drafts[i].written()).collect();
    let read: Vec<&Operand> = group.iter().flat_map(|&i| &drafts[i].inputs).collect();
    let mut between = (first..last).filter(|i| !group.contains(i));
    let untouched = between.all(|i| {
        drafts[i]
            .inputs
            .iter()
            .all(|input| !written.contains(&input))
            && drafts[i].written().all(|output| !read.contains(&output))
    });
    untouched && group.iter().all(|&i| drafts[i].outputs.is_empty())
}

/// The slabs of a plan so far.
#[derive(Clone)]
pub(super) struct Slabs {
    slabs: Vec<Slab>,
    home: HashMap<Key, usize>,
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

    pub fn into_list(self) -> Vec<Slab> {
        self.slabs
    }

    pub fn members(&self, slab: usize) -> &[Member] {
        &self.slabs[slab].members
    }

    /// The slab in which a tensor lies, and where.
    pub fn home(&self, key: Key) -> Option<(usize, u64)> {
        let slab = *self.home.get(&key)?;
        let member = self.slabs[slab].members.iter().find(|m| m.key == key)?;
        Some((slab, member.offset))
    }

    /// The slab in which a tensor lies.
    pub fn slab_of(&self, key: Key) -> Option<usize> {
        self.home.get(&key).copied()
    }

    /// Elements that a tensor takes up.
    pub fn padded(&self, elements: u64) -> u64 {
        elements
            .checked_next_multiple_of(self.unit)
            .unwrap_or(u64::MAX)
    }

    /// Elements of a slab.
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
    fn accept(&mut self, drafts: &mut [Draft], group: &[usize]) -> bool {
        let Some(&last) = group.last() else {
            return false;
        };
        let Some(rule) = drafts[last].op.slab() else {
            return false;
        };
        let columns: Vec<Vec<(Key, u64)>> = (0..rule.operands)
            .map(|operand| {
                let of = |&i: &usize| match drafts[i].inputs[operand] {
                    Operand::Value(key) => {
                        Some((key, drafts[i].signature.inputs[operand].elements()))
                    }
                    Operand::Slab(_) => None,
                };
                group.iter().filter_map(of).collect()
            })
            .collect();
        if columns
            .iter()
            .any(|column| column.len() != group.len() || !self.fits(column))
        {
            return false;
        }
        let (mut operands, mut types) = (Vec::new(), Vec::new());
        for column in &columns {
            let slab = self.find_or_make(column);
            operands.push(Operand::Slab(slab));
            types.push(TensorType::f32([usize::try_from(
                self.slabs[slab].elements,
            )
            .unwrap_or(usize::MAX)]));
        }
        let call = &mut drafts[last];
        call.inputs.splice(..rule.operands, operands);
        call.signature.inputs.splice(..rule.operands, types);
        call.merged = group.len();
        true
    }

    /// Whether the column is new throughout, or exactly a slab that exists.
    pub fn fits(&self, column: &[(Key, u64)]) -> bool {
        let mut keys: Vec<Key> = column.iter().map(|(key, _)| *key).collect();
        let homes: Vec<Option<&usize>> = keys.iter().map(|key| self.home.get(key)).collect();
        let existing = homes.iter().flatten().count();
        let same = match homes.first() {
            Some(Some(slab)) => self.slabs[**slab]
                .members
                .iter()
                .map(|member| member.key)
                .eq(keys.iter().copied()),
            _ => false,
        };
        // A slab outlives a run as a whole or not at all.
        let alike = keys.iter().all(|key| key.program == keys[0].program);
        keys.sort();
        keys.dedup();
        alike && keys.len() == column.len() && (existing == 0 || same)
    }

    pub fn find_or_make(&mut self, column: &[(Key, u64)]) -> usize {
        if let Some(slab) = column.first().and_then(|(key, _)| self.home.get(key)) {
            return *slab;
        }
        let mut slab = Slab {
            members: Vec::new(),
            elements: 0,
        };
        for &(key, len) in column {
            self.home.insert(key, self.slabs.len());
            slab.members.push(Member {
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
