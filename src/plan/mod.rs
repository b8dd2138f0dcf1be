//! The plan: a schedule of calls on slots of memory, as plain data that can be printed and tested without a device.

mod bytes;
mod compile;
mod display;
mod full_slots;
mod fuse;
mod life;
mod memory;
mod pack;
mod program;
mod schedule;
mod verify;

use std::collections::HashMap;
use std::sync::Arc;

use crate::contract::{Launch, Op, Signature};
use crate::graph::{Initial, Role};
use crate::{DType, Error, Result, TensorType};

pub(crate) use bytes::RowBytes;
pub use program::Program;

pub use crate::target::{
    Class, Precision, ProductChoice, ProductShape, Products, Target, TuningTable,
};

/// A whole buffer on the device, shared by tensors whose lifetimes do not overlap.
#[derive(Debug, Clone)]
pub struct Slot {
    /// The type of its elements.
    pub dtype: DType,
    /// The length in elements.
    pub elements: u64,
    /// Whether it holds variables, which outlive a run.
    pub persistent: bool,
}

impl Slot {
    /// The size on a device.
    pub(crate) fn bytes(&self) -> u64 {
        self.elements.saturating_mul(self.dtype.bytes())
    }
}

/// Where a tensor lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The slot's index.
    pub slot: usize,
    /// The first element.
    pub offset: u64,
    /// The number of elements.
    pub len: u64,
}

/// A variable with its place.
#[derive(Debug, Clone)]
pub struct PlannedVariable {
    /// The name in the graph.
    pub name: String,
    /// The shape and type.
    pub kind: TensorType,
    /// What it holds when a session opens.
    pub initial: Initial,
    /// What it is there for, and so whether a snapshot keeps it.
    pub(crate) role: Role,
    /// Whether it holds that for ever.
    pub constant: bool,
    /// Where it lies.
    pub place: Place,
}

/// One op at its place in a program.
#[derive(Debug, Clone)]
pub struct PlannedCall {
    /// The op: its CPU form is what the CPU session runs.
    pub op: Arc<dyn Op>,
    /// The operands' types.
    pub signature: Signature,
    /// Where the inputs lie, those updated in place too.
    pub inputs: Vec<Place>,
    /// Where the outputs lie.
    pub outputs: Vec<Place>,
    /// Where the scratch tensors of the dispatches lie.
    pub scratch: Vec<Place>,
    /// The dispatches that a GPU runs for it, in order; none for the CPU session.
    pub launches: Vec<Launch>,
    /// How many recorded nodes it stands for.
    pub merged: usize,
}

impl PlannedCall {
    /// Whether input `i` is updated in place.
    pub(crate) fn updates(&self, i: usize) -> bool {
        self.op.writes().contains(&i)
    }

    /// One of its launches by the op and the kernel.
    pub(crate) fn label(&self, launch: &Launch) -> String {
        let (op, shader, entry) = (self.op.name(), launch.shader.name, launch.entry);
        format!("{op} ({shader}.{entry})")
    }

    /// Bytes that it reads and writes, each operand once.
    pub fn bytes(&self) -> u64 {
        let Signature { inputs, outputs } = &self.signature;
        let touched = |i: usize| self.op.touched(&self.signature, i) * inputs[i].dtype.bytes();
        let read: u64 = (0..self.inputs.len()).map(touched).sum();
        let updated: u64 = self.op.writes().iter().map(|&i| touched(i)).sum();
        let written: u64 = outputs.iter().map(TensorType::bytes).sum();
        read + updated + written
    }

    /// The places written: inputs updated in place, then outputs.
    pub fn written(&self) -> impl Iterator<Item = Place> {
        let updated = self.op.writes().iter().map(|&i| self.inputs[i]);
        updated.chain(self.outputs.iter().copied())
    }
}

/// A program as scheduled.
#[derive(Debug, Clone)]
pub struct PlannedProgram {
    /// The name.
    pub name: String,
    /// What runs, in order.
    pub calls: Vec<PlannedCall>,
    /// What the host may read after a run.
    pub fetches: Vec<(String, TensorType, Place)>,
    /// The most bytes of temporaries alive at once: no assignment to memory can do with less.
    pub live_bytes: u64,
    /// What the rewrites did, a sentence each.
    pub notes: Vec<String>,
    /// Why whole steps of the program do not fit one call, where only the network's size speaks against it.
    pub(crate) oversized: Option<String>,
}

impl PlannedProgram {
    /// Type and place of what it fetches under that name.
    pub(crate) fn fetched(&self, name: &str) -> Option<(&TensorType, Place)> {
        let mut fetches = self.fetches.iter();
        fetches
            .find(|(known, ..)| known == name)
            .map(|(_, kind, place)| (kind, *place))
    }

    /// Dispatches of one step.
    pub fn dispatches(&self) -> usize {
        self.launches().count()
    }

    /// Most steps that one dispatch does: above 1 only where a step is one dispatch.
    pub fn steps_per_dispatch(&self) -> u32 {
        let mut launches = self.launches();
        match (launches.next(), launches.next()) {
            (Some(only), None) => only.steps.max(1),
            _ => 1,
        }
    }

    /// The launches of all calls, in order.
    fn launches(&self) -> impl Iterator<Item = &Launch> {
        self.calls.iter().flat_map(|call| &call.launches)
    }

    /// Floating-point operations of one step, as far as the launches state them.
    pub fn flops(&self) -> u64 {
        self.launches().map(|launch| launch.flops).sum()
    }

    /// The same with what kernels compute beyond the edges of their results.
    pub fn padded_flops(&self) -> u64 {
        self.launches().map(|launch| launch.padded_flops).sum()
    }

    /// Bytes that one step's launches read and write, each operand once.
    pub fn bytes(&self) -> u64 {
        self.calls.iter().map(PlannedCall::bytes).sum()
    }
}

/// The schedule of a graph's programs for one target. `Display` prints it as a table.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it was made for.
    pub target: Target,
    /// The buffers.
    pub slots: Vec<Slot>,
    /// What outlives a run.
    pub variables: Vec<PlannedVariable>,
    /// The programs, by name.
    pub programs: Vec<PlannedProgram>,
    /// The places of the variables in their list, by name.
    names: HashMap<String, usize>,
}

impl Plan {
    /// The program of that name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the programs that there are.
    pub fn program(&self, name: &str) -> Result<&PlannedProgram> {
        let names = self.programs.iter().map(|program| &program.name);
        let place = names.clone().position(|known| known == name);
        let place = place.ok_or_else(|| Error::not_found("program", name, names))?;
        Ok(&self.programs[place])
    }

    /// The variable of that name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the variables that there are.
    pub fn variable(&self, name: &str) -> Result<&PlannedVariable> {
        let names = self.variables.iter().map(|variable| &variable.name);
        self.find_variable(name)
            .ok_or_else(|| Error::not_found("variable", name, names))
    }

    /// The same where a missing variable is no error.
    pub(crate) fn find_variable(&self, name: &str) -> Option<&PlannedVariable> {
        self.names.get(name).map(|&place| &self.variables[place])
    }

    /// Type and place of a variable, or of what a program fetches: of the first that fetches something of that name.
    pub(crate) fn readable(&self, name: &str) -> Result<(&TensorType, Place)> {
        if let Some(variable) = self.find_variable(name) {
            return Ok((&variable.kind, variable.place));
        }
        let mut programs = self.programs.iter();
        let found = programs.find_map(|program| program.fetched(name));
        found.ok_or_else(|| {
            let variables = self.variables.iter().map(|variable| &variable.name);
            let fetches = self.programs.iter().flat_map(|program| &program.fetches);
            let known = variables.chain(fetches.map(|(name, ..)| name));
            Error::not_found("tensor to read", name, known)
        })
    }

    /// The stretches of slots that none of `places` covers: what no kernel that binds only these may write.
    pub(crate) fn outside(&self, places: impl IntoIterator<Item = Place>) -> Vec<Place> {
        let mut covered: Vec<Vec<(u64, u64)>> = vec![Vec::new(); self.slots.len()];
        for place in places {
            covered[place.slot].push((place.offset, place.offset.saturating_add(place.len)));
        }
        let mut outside = Vec::new();
        for (slot, mut covered) in covered.into_iter().enumerate() {
            covered.sort_unstable();
            let end = self.slots[slot].elements;
            // The smallest write is a word.
            let unit = 4 / self.slots[slot].dtype.bytes();
            let mut offset = 0;
            for (from, to) in covered.into_iter().chain([(end, end)]) {
                if from > offset {
                    outside.push(Place {
                        slot,
                        offset,
                        len: from - offset,
                    });
                }
                offset = offset.max(to.next_multiple_of(unit));
            }
        }
        outside
    }

    /// The variables that each slot holds.
    pub(crate) fn variables_by_slot(&self) -> Vec<Vec<&PlannedVariable>> {
        let mut by_slot = vec![Vec::new(); self.slots.len()];
        for variable in &self.variables {
            by_slot[variable.place.slot].push(variable);
        }
        by_slot
    }

    /// Bytes of all slots.
    pub fn slot_bytes(&self) -> u64 {
        self.slots.iter().map(Slot::bytes).sum()
    }

    /// Bytes that a session of it takes of a GPU: all slots, and the params of every dispatch. Readbacks come on top, as they
    /// are asked for.
    pub fn device_bytes(&self) -> u64 {
        let launches = self.programs.iter().flat_map(PlannedProgram::launches);
        // Each launch has params for 1, 2, 4, … steps.
        let params = launches.map(|launch| u64::from(launch.steps.max(1).ilog2()) + 1);
        let params = params.sum::<u64>().max(1);
        self.slot_bytes()
            .saturating_add(params.saturating_mul(self.target.alignment))
    }

    /// The least bytes that any assignment needs: all variables, and the largest sum of temporaries alive at once.
    pub fn lower_bound_bytes(&self) -> u64 {
        let persistent = self.slots.iter().filter(|slot| slot.persistent);
        let live = self.programs.iter().map(|program| program.live_bytes);
        persistent.map(Slot::bytes).sum::<u64>() + live.max().unwrap_or(0)
    }
}
