//! Training steps of small dense networks as one call each, which a GPU repeats many times in a dispatch.

use crate::graph::Record;
use crate::op::Network;
use crate::plan::schedule::{Draft, Key, Operand};
use crate::target::{Class, Target};

use super::calls::Calls;
use super::slabs::{Apart, Slabs};
use super::whole_step::{StepTensors, find};

/// Parameters up to which the CPU session takes a step in one call. It has no dispatches to save, and the tiles of its
/// products compute many times faster than this step's loops; what is saved is the cost of fifteen calls, 198 000 steps/s
/// instead of 131 000 for 8-10-8-1.
const MAX_ON_CPU: usize = 256;

pub(super) fn join(programs: &mut [Calls], records: &[Record], slabs: &mut Slabs, target: &Target) {
    let apart = Apart::of(programs.iter());
    for program in programs {
        let most = match target.class {
            // Larger ones are left to calls of their own, without a word: that is what they are made for.
            Class::Cpu => MAX_ON_CPU,
            Class::Gpu | Class::CpuAdapter => usize::MAX,
        };
        let Some((mut network, step)) = find(program, records, most) else {
            continue;
        };
        let widths = network.widths();
        if !target.whole_steps {
            program.note(format!(
                "no network.train for {widths}: its kernel takes longer to compile than these steps"
            ));
            continue;
        }
        if let Err(reason) = network.fits(target) {
            let note = format!("no network.train for {widths}: {reason}");
            program.note(note.clone());
            program.rest.oversized = Some(note);
            continue;
        }
        let Some(draft) = step.call(&mut network, program.len(), records, &apart, slabs) else {
            continue;
        };
        let note = format!(
            "{} calls are one, network.train: whole steps of the network {widths}",
            program.len()
        );
        program.note(note);
        program.replace_all(draft);
    }
}

impl StepTensors {
    /// The call for `merged` nodes, its parameters and states in slabs; none where they cannot lie in slabs.
    fn call(
        self,
        network: &mut Network,
        merged: usize,
        records: &[Record],
        apart: &Apart,
        slabs: &mut Slabs,
    ) -> Option<Draft> {
        let kind = |key: &Key| records[key.id.node].outputs[key.id.port].clone();
        let sized = |column: &Vec<Key>| -> Vec<(Key, u64)> {
            column
                .iter()
                .map(|key| (*key, kind(key).elements()))
                .collect()
        };
        let columns: Vec<_> = self.columns.iter().map(sized).collect();
        for column in &columns {
            if apart.parts_any(column) || !slabs.fits(column) {
                return None;
            }
        }
        let homes = columns.iter().map(|column| slabs.find_or_make(column));
        let homes: Vec<usize> = homes.collect();
        let mut offsets = slabs.offsets(*homes.first()?).into_iter();
        for layer in &mut network.layers {
            layer.kernel = offsets.next()?;
            if layer.bias.is_some() {
                layer.bias = offsets.next();
            }
        }
        let value = |key: Key| (Operand::Value(key), kind(&key));
        let operands = [value(self.rates), value(self.ring)]
            .into_iter()
            .chain(homes.iter().map(|&home| slabs.operand(home)))
            .chain([value(self.cursor), value(self.x), value(self.y)]);
        Some(Draft::new(network.clone(), operands, [], merged))
    }
}
