//! Rewrites of the schedule: nodes that become one call. The unfused schedule stays the specification: tests compile it
//! with [`Target::without_fusion`] and compare.

mod gradients;
mod halves;
mod head;
mod layers;
mod matrices;
mod slabs;
mod tiny;

use crate::graph::Record;
use crate::target::{Class, Precision, Target};

use super::schedule::{Draft, Operand, Scheduled};

pub(super) use slabs::Slab;

/// All rewrites, in order: each finds the calls that the one before has left or made.
pub(super) fn rewrite(
    programs: &mut [Scheduled],
    records: &[Record],
    target: &Target,
) -> Vec<Slab> {
    if !target.tuning.fusion {
        return Vec::new();
    }
    let mut slabs = slabs::Slabs::new(target);
    tiny::join(programs, records, &mut slabs, target);
    for program in programs.iter_mut() {
        head::join(program, records);
        layers::join(program, target);
        if target.class == Class::Gpu {
            head::join_last_layers(program);
        }
    }
    slabs::merge_updates(programs, &mut slabs);
    for program in programs.iter_mut() {
        match target.tuning.precision {
            Precision::Single => gradients::join(program, &mut slabs, target),
            // A gradient that is never stored cannot be looked at before it is used.
            Precision::Half => halves::store(program),
        }
    }
    slabs.into_list()
}

impl Scheduled {
    /// The calls that read a tensor, with the operand's position; `None` if the host reads it too.
    fn uses(&self, operand: Operand) -> Option<Vec<(usize, usize)>> {
        if self
            .fetches
            .iter()
            .any(|(_, _, key)| Operand::Value(*key) == operand)
        {
            return None;
        }
        let uses = |(call, draft): (usize, &Draft)| {
            let inputs = draft.inputs.iter().enumerate();
            let found = inputs.filter(|(_, input)| **input == operand);
            found.map(|(i, _)| (call, i)).collect::<Vec<_>>()
        };
        Some(self.drafts.iter().enumerate().flat_map(uses).collect())
    }

    /// The one call that reads a tensor, and the operand's position there.
    fn only_use(&self, operand: Operand) -> Option<(usize, usize)> {
        match self.uses(operand)?.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// Whether call `from` may run where the later call `to` stands: nothing between writes what it reads.
    fn may_wait(&self, from: usize, to: usize) -> bool {
        self.drafts[from + 1..to].iter().all(|between| {
            between
                .written()
                .all(|written| !self.drafts[from].inputs.contains(written))
        })
    }
}
