//! Places for every tensor: variables in slots of their own, temporaries in slots shared by lifetime.

use std::collections::{HashMap, HashSet};

use crate::contract::Launches;
use crate::graph::{Node, Record};
use crate::target::Target;
use crate::{DType, Error, Result, TensorType};

use super::fuse::Slab;
use super::schedule::{Key, Operand, Scheduled};
use super::{Call, Place, Plan, PlannedProgram, PlannedVariable, Slot};

/// A stretch of memory that is assigned as a whole: a tensor, a slab of tensors, or scratch.
#[derive(Debug)]
struct Block {
    dtype: DType,
    elements: u64,
    /// Program and first and last call that use it; none for variables.
    life: Option<Life>,
    slot: usize,
    offset: u64,
}

#[derive(Debug, Clone, Copy)]
struct Life {
    program: usize,
    first: usize,
    last: usize,
}

impl Life {
    fn overlaps(&self, other: &Life) -> bool {
        self.program == other.program && self.first <= other.last && other.first <= self.last
    }
}

struct Memory<'a> {
    records: &'a [Record],
    slabs: &'a [Slab],
    /// The multiple, in bytes, of every block.
    alignment: u64,
    blocks: Vec<Block>,
    /// Block and offset of each tensor, and block of each slab.
    of_key: HashMap<Key, (usize, u64)>,
    of_slab: HashMap<usize, usize>,
    /// Pairs of blocks that may not share a slot: a call writes one and touches the other.
    apart: HashSet<(usize, usize)>,
}

/// One way to place all temporaries: block, slot and offset of each.
struct Packing {
    slots: Vec<Slot>,
    places: Vec<(usize, usize, u64)>,
}

/// The operands of a call as blocks.
struct Draft {
    inputs: Vec<(usize, u64, u64)>,
    outputs: Vec<(usize, u64, u64)>,
    scratch: Vec<(usize, u64, u64)>,
    launches: Launches,
}

pub(super) fn place(
    records: &[Record],
    programs: Vec<Scheduled>,
    slabs: Vec<Slab>,
    target: &Target,
) -> Result<Plan> {
    let mut memory = Memory {
        records,
        slabs: &slabs,
        alignment: target.alignment,
        blocks: Vec::new(),
        of_key: HashMap::new(),
        of_slab: HashMap::new(),
        apart: HashSet::new(),
    };
    let mut drafts = Vec::new();
    for (index, program) in programs.iter().enumerate() {
        drafts.push(memory.blocks_of(index, program, target)?);
    }
    let slots = memory.assign();
    let live_bytes: Vec<u64> = (0..programs.len())
        .map(|program| memory.live_bytes(program))
        .collect();
    let mut planned = Vec::new();
    for ((program, drafts), live_bytes) in programs.into_iter().zip(drafts).zip(live_bytes) {
        let fetches = program.fetches.into_iter().map(|(name, kind, key)| {
            let home = memory.of_key.get(&key).copied().unwrap_or_default();
            let place = memory.place_of(home, kind.elements());
            (name, kind, place)
        });
        let fetches = fetches.collect();
        let calls = program
            .drafts
            .into_iter()
            .zip(drafts)
            .map(|(call, draft)| Call {
                op: call.op,
                signature: call.signature,
                inputs: memory.places(&draft.inputs),
                outputs: memory.places(&draft.outputs),
                scratch: memory.places(&draft.scratch),
                launches: draft.launches.launches,
                merged: call.merged,
            });
        planned.push(PlannedProgram {
            name: program.name,
            calls: calls.collect(),
            fetches,
            live_bytes,
            notes: program.notes,
            oversized: program.oversized,
        });
    }
    let variables = memory.variables();
    Ok(Plan {
        target: target.clone(),
        slots,
        variables,
        programs: planned,
    })
}

impl Memory<'_> {
    /// Makes the blocks of one program's calls and records lifetimes and conflicts.
    fn blocks_of(
        &mut self,
        index: usize,
        program: &Scheduled,
        target: &Target,
    ) -> Result<Vec<Draft>> {
        let mut drafts = Vec::new();
        for (step, call) in program.drafts.iter().enumerate() {
            let launches = if target.has_shaders() {
                call.op
                    .launch(&call.signature, target)
                    .map_err(|message| Error::Device {
                        message: format!("{}: {message}", call.op.name()),
                    })?
            } else {
                Launches::default()
            };
            let mut operand = |operand: &Operand, kind: &TensorType| {
                let (block, offset) = self.operand(*operand, kind.dtype, index, step);
                (block, offset, kind.elements())
            };
            let types = &call.signature;
            let inputs: Vec<_> = call
                .inputs
                .iter()
                .zip(&types.inputs)
                .map(|(o, t)| operand(o, t))
                .collect();
            let outputs: Vec<_> = call
                .outputs
                .iter()
                .zip(&types.outputs)
                .map(|(o, t)| operand(o, t))
                .collect();
            let scratch: Vec<_> = launches
                .scratch
                .iter()
                .map(|&elements| {
                    let life = Life {
                        program: index,
                        first: step,
                        last: step,
                    };
                    (self.block(DType::F32, elements, Some(life)), 0, elements)
                })
                .collect();
            let writes = call.op.writes();
            let reads = inputs
                .iter()
                .enumerate()
                .filter(|(i, _)| !writes.contains(i))
                .map(|(_, o)| o.0);
            let written = writes
                .iter()
                .map(|&i| inputs[i].0)
                .chain(outputs.iter().chain(&scratch).map(|o| o.0));
            let written: Vec<usize> = written.collect();
            for (i, &a) in written.iter().enumerate() {
                for b in reads.clone().chain(written[i + 1..].iter().copied()) {
                    self.apart.insert((a.min(b), a.max(b)));
                }
            }
            drafts.push(Draft {
                inputs,
                outputs,
                scratch,
                launches,
            });
        }
        // What is fetched lives to the end of the program.
        for (_, kind, key) in &program.fetches {
            let steps = program.drafts.len();
            let (block, _) = self.operand(Operand::Value(*key), kind.dtype, index, steps);
            if let Some(life) = &mut self.blocks[block].life {
                life.last = program.drafts.len();
            }
        }
        Ok(drafts)
    }

    /// Block and offset of an operand. A call's signature tells how it is stored, which a rewrite may have changed.
    fn operand(
        &mut self,
        operand: Operand,
        dtype: DType,
        program: usize,
        step: usize,
    ) -> (usize, u64) {
        let (block, offset) = match operand {
            Operand::Slab(slab) => (self.slab(slab, program, step), 0),
            Operand::Value(key) => match self
                .slabs
                .iter()
                .position(|slab| slab.members.iter().any(|m| m.key == key))
            {
                Some(slab) => {
                    let offset = self.slabs[slab]
                        .members
                        .iter()
                        .find(|m| m.key == key)
                        .map_or(0, |m| m.offset);
                    let block = self.slab(slab, program, step);
                    self.of_key.insert(key, (block, offset));
                    (block, offset)
                }
                None => (self.single(key, dtype, program, step), 0),
            },
        };
        if let Some(life) = &mut self.blocks[block].life {
            life.last = life.last.max(step);
        }
        (block, offset)
    }

    fn slab(&mut self, slab: usize, program: usize, step: usize) -> usize {
        if let Some(&block) = self.of_slab.get(&slab) {
            return block;
        }
        let temporary = self.slabs[slab]
            .members
            .iter()
            .any(|member| member.key.program.is_some());
        let life = temporary.then_some(Life {
            program,
            first: step,
            last: step,
        });
        let block = self.block(DType::F32, self.slabs[slab].elements, life);
        self.of_slab.insert(slab, block);
        // Members that no call takes by themselves, such as an optimizer's state, are variables all the same.
        let members = self.slabs[slab].members.iter();
        self.of_key
            .extend(members.map(|member| (member.key, (block, member.offset))));
        block
    }

    fn single(&mut self, key: Key, dtype: DType, program: usize, step: usize) -> usize {
        if let Some(&(block, _)) = self.of_key.get(&key) {
            return block;
        }
        let kind = &self.records[key.id.node].outputs[key.id.port];
        let life = key.program.map(|_| Life {
            program,
            first: step,
            last: step,
        });
        let block = self.block(dtype, kind.elements(), life);
        self.of_key.insert(key, (block, 0));
        block
    }

    fn block(&mut self, dtype: DType, elements: u64, life: Option<Life>) -> usize {
        let elements = elements
            .max(1)
            .checked_next_multiple_of(self.alignment / dtype.bytes())
            .unwrap_or(u64::MAX);
        self.blocks.push(Block {
            dtype,
            elements,
            life,
            slot: usize::MAX,
            offset: 0,
        });
        self.blocks.len() - 1
    }

    /// Variables one slot each; then temporaries, packed in several orders, of which the tightest result stays.
    fn assign(&mut self) -> Vec<Slot> {
        let mut slots: Vec<Slot> = Vec::new();
        let mut temporaries = Vec::new();
        for (index, block) in self.blocks.iter_mut().enumerate() {
            if let Some(life) = block.life {
                temporaries.push((index, life));
            } else {
                block.slot = slots.len();
                slots.push(Slot {
                    dtype: block.dtype,
                    elements: block.elements,
                    persistent: true,
                });
            }
        }
        let size = |index: usize| {
            let block = &self.blocks[index];
            block.elements.saturating_mul(block.dtype.bytes())
        };
        let length = |life: Life| (life.last - life.first) as u64 + 1;
        let by_size = |&(index, life): &(usize, Life)| (size(index), length(life));
        let by_length = |&(index, life): &(usize, Life)| (length(life), size(index));
        let by_area =
            |&(index, life): &(usize, Life)| (size(index).saturating_mul(length(life)), 0);
        let by_start = |&(index, life): &(usize, Life)| (u64::MAX - life.first as u64, size(index));
        let by_end = |&(index, life): &(usize, Life)| (life.last as u64, size(index));
        type Rank<'a> = &'a dyn Fn(&(usize, Life)) -> (u64, u64);
        let orders: [Rank<'_>; 5] = [&by_size, &by_length, &by_area, &by_start, &by_end];
        let packings = orders.iter().map(|order| {
            let mut sorted = temporaries.clone();
            sorted.sort_by_key(|entry| std::cmp::Reverse(order(entry)));
            self.pack(slots.clone(), sorted.into_iter().map(|(index, _)| index))
        });
        let bytes = |packing: &Packing| packing.slots.iter().map(Slot::bytes).sum::<u64>();
        if let Some(best) = packings.min_by_key(bytes) {
            slots = best.slots;
            for (index, slot, offset) in best.places {
                (self.blocks[index].slot, self.blocks[index].offset) = (slot, offset);
            }
        }
        slots
    }

    /// Places each block where the slots grow least, in the order given.
    fn pack(&self, slots: Vec<Slot>, order: impl Iterator<Item = usize>) -> Packing {
        let mut members: Vec<Vec<(usize, u64)>> = vec![Vec::new(); slots.len()];
        let mut packing = Packing {
            slots,
            places: Vec::new(),
        };
        for index in order {
            let Block {
                elements: size,
                dtype,
                ..
            } = self.blocks[index];
            let fits = |slot: &usize| {
                let apart =
                    |&(m, _): &(usize, u64)| self.apart.contains(&(m.min(index), m.max(index)));
                let Slot {
                    persistent,
                    dtype: of_slot,
                    ..
                } = packing.slots[*slot];
                !persistent && of_slot == dtype && !members[*slot].iter().any(apart)
            };
            let growth = |slot: usize| {
                let offset = self.lowest_gap(index, &members[slot]);
                (
                    (offset + size).saturating_sub(packing.slots[slot].elements),
                    slot,
                    offset,
                )
            };
            let best = (0..packing.slots.len()).filter(fits).map(growth).min();
            let (slot, offset) = match best.filter(|&(growth, ..)| growth < size) {
                Some((growth, slot, offset)) => {
                    packing.slots[slot].elements += growth;
                    (slot, offset)
                }
                None => {
                    packing.slots.push(Slot {
                        dtype,
                        elements: size,
                        persistent: false,
                    });
                    members.push(Vec::new());
                    (packing.slots.len() - 1, 0)
                }
            };
            members[slot].push((index, offset));
            packing.places.push((index, slot, offset));
        }
        packing
    }

    /// The first offset in a slot where `index` overlaps no member that is alive at the same time.
    fn lowest_gap(&self, index: usize, members: &[(usize, u64)]) -> u64 {
        let (Some(life), size) = (self.blocks[index].life, self.blocks[index].elements) else {
            return 0;
        };
        let alive = members.iter().filter(|(m, _)| {
            self.blocks[*m]
                .life
                .is_some_and(|other| other.overlaps(&life))
        });
        let mut taken: Vec<(u64, u64)> = alive
            .map(|&(m, offset)| (offset, offset + self.blocks[m].elements))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if offset + size <= start {
                break;
            }
            offset = offset.max(end);
        }
        offset
    }

    fn live_bytes(&self, program: usize) -> u64 {
        let lives = || {
            self.blocks.iter().filter_map(|b| {
                b.life
                    .filter(|l| l.program == program)
                    .map(|l| (l, b.elements.saturating_mul(b.dtype.bytes())))
            })
        };
        let last = lives().map(|(life, _)| life.last).max().unwrap_or(0);
        let at = |step| {
            lives()
                .filter(|(l, _)| l.first <= step && step <= l.last)
                .map(|(_, bytes)| bytes)
                .sum()
        };
        (0..=last).map(at).max().unwrap_or(0)
    }

    fn place_of(&self, (block, offset): (usize, u64), len: u64) -> Place {
        Place {
            slot: self.blocks[block].slot,
            offset: self.blocks[block].offset + offset,
            len,
        }
    }

    fn places(&self, operands: &[(usize, u64, u64)]) -> Vec<Place> {
        operands
            .iter()
            .map(|&(block, offset, len)| self.place_of((block, offset), len))
            .collect()
    }

    fn variables(&self) -> Vec<PlannedVariable> {
        let mut keys: Vec<(&Key, &(usize, u64))> = self
            .of_key
            .iter()
            .filter(|(key, _)| key.program.is_none())
            .collect();
        keys.sort();
        let planned = keys.into_iter().filter_map(|(key, &home)| {
            let record = &self.records[key.id.node];
            let Node::Variable(variable) = &record.node else {
                return None;
            };
            let kind = record.outputs[0].clone();
            Some(PlannedVariable {
                name: variable.name.clone(),
                initial: variable.initial.clone(),
                role: variable.role,
                constant: variable.constant,
                place: self.place_of(home, kind.elements()),
                kind,
            })
        });
        planned.collect()
    }
}
