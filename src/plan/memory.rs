//! Places for every tensor: variables in slots of their own, temporaries in slots shared by lifetime.

use std::collections::HashMap;

use crate::contract::Launches;
use crate::graph::{Node, Record};
use crate::target::Target;
use crate::{DType, Error, Result, TensorType};

use super::fuse::TensorSlab;
use super::life::{Life, peak_of};
use super::pack::{Packing, Tenant, pack};
use super::schedule::{Key, Operand, Scheduled};
use super::{Place, Plan, PlannedCall, PlannedProgram, PlannedVariable, Slot};

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

struct Memory<'a> {
    records: &'a [Record],
    slabs: &'a [TensorSlab],
    /// The multiple, in bytes, of every block.
    alignment: u64,
    blocks: Vec<Block>,
    /// Slab and offset of each tensor that lies in one.
    homes: HashMap<Key, (usize, u64)>,
    /// Block and offset of each tensor, and block of each slab.
    of_key: HashMap<Key, (usize, u64)>,
    of_slab: HashMap<usize, usize>,
    /// For each block those that may not share a slot with it: a call writes one and touches the other.
    apart: Vec<Vec<usize>>,
}

/// A block, an offset in it, and elements from there on.
type BlockPart = (usize, u64, u64);

/// The operands of a call as parts of blocks.
struct BlockCall {
    inputs: Vec<BlockPart>,
    outputs: Vec<BlockPart>,
    scratch: Vec<BlockPart>,
    launches: Launches,
}

pub(super) fn place(
    records: &[Record],
    programs: Vec<Scheduled>,
    slabs: Vec<TensorSlab>,
    target: &Target,
) -> Result<Plan> {
    let members = slabs.iter().enumerate().flat_map(|(number, slab)| {
        let members = slab.members.iter();
        members.map(move |member| (member.key, (number, member.offset)))
    });
    let mut memory = Memory {
        records,
        slabs: &slabs,
        alignment: target.alignment,
        blocks: Vec::new(),
        homes: members.collect(),
        of_key: HashMap::new(),
        of_slab: HashMap::new(),
        apart: Vec::new(),
    };
    let mut drafts = Vec::new();
    for (index, program) in programs.iter().enumerate() {
        drafts.push(memory.blocks_of(index, program, target)?);
    }
    let lengths = programs.iter().map(|program| program.drafts.len());
    let lengths: Vec<usize> = lengths.collect();
    let slots = memory.assign(&lengths);
    let live_bytes = memory.live_bytes(programs.len());
    let mut planned = Vec::new();
    for ((program, drafts), live_bytes) in programs.into_iter().zip(drafts).zip(live_bytes) {
        let fetches = program.fetches.into_iter().map(|(name, kind, key)| {
            let (block, offset) = memory.of_key.get(&key).copied().unwrap_or_default();
            let place = memory.place_of(&(block, offset, kind.elements()));
            (name, kind, place)
        });
        let fetches = fetches.collect();
        let calls = program.drafts.into_iter().zip(drafts);
        let calls = calls.map(|(call, blocks)| PlannedCall {
            op: call.op,
            signature: call.signature,
            inputs: memory.places(&blocks.inputs),
            outputs: memory.places(&blocks.outputs),
            scratch: memory.places(&blocks.scratch),
            launches: blocks.launches.launches,
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
    let names = variables.iter().enumerate();
    let names = names.map(|(place, variable)| (variable.name.clone(), place));
    Ok(Plan {
        target: target.clone(),
        slots,
        names: names.collect(),
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
    ) -> Result<Vec<BlockCall>> {
        let mut drafts = Vec::new();
        for (step, call) in program.drafts.iter().enumerate() {
            let life = Life::at(index, step);
            let launches = if target.has_shaders() {
                let launches = call.op.launch(&call.signature, target);
                launches.map_err(|message| Error::Device {
                    message: format!("{}: {message}", call.op.name()),
                })?
            } else {
                Launches::default()
            };
            let mut parts = |operands: &[Operand], types: &[TensorType]| -> Vec<BlockPart> {
                let operands = operands.iter().zip(types);
                let part = |(operand, kind): (&Operand, _)| self.operand(*operand, kind, life);
                operands.map(part).collect()
            };
            let inputs = parts(&call.inputs, &call.signature.inputs);
            let outputs = parts(&call.outputs, &call.signature.outputs);
            let scratch = launches.scratch.iter();
            let scratch: Vec<BlockPart> = scratch
                .map(|&elements| (self.block(DType::F32, elements, Some(life)), 0, elements))
                .collect();
            let writes = call.op.writes();
            let reads = (0..inputs.len()).filter(|i| !writes.contains(i));
            let reads = reads.map(|i| inputs[i].0);
            let updated = writes.iter().map(|&i| &inputs[i]);
            let written = updated.chain(&outputs).chain(&scratch);
            let written: Vec<usize> = written.map(|part| part.0).collect();
            for (i, &a) in written.iter().enumerate() {
                for b in reads.clone().chain(written[i + 1..].iter().copied()) {
                    self.apart[a].push(b);
                    self.apart[b].push(a);
                }
            }
            drafts.push(BlockCall {
                inputs,
                outputs,
                scratch,
                launches,
            });
        }
        // What is fetched lives to the end of the program.
        for (_, kind, key) in &program.fetches {
            let end = Life::at(index, program.drafts.len());
            self.operand(Operand::Value(*key), kind, end);
        }
        Ok(drafts)
    }

    /// The part of a block that an operand of a call is. A call's signature tells how it is stored, which a rewrite may have
    /// changed.
    fn operand(&mut self, operand: Operand, kind: &TensorType, life: Life) -> BlockPart {
        let (block, offset) = match operand {
            Operand::Slab(slab) => (self.slab(slab, life), 0),
            Operand::Value(key) => match self.homes.get(&key).copied() {
                Some((slab, offset)) => (self.slab(slab, life), offset),
                None => (self.single(key, kind.dtype, life), 0),
            },
        };
        if let Some(own) = &mut self.blocks[block].life {
            own.last = own.last.max(life.last);
        }
        (block, offset, kind.elements())
    }

    fn slab(&mut self, slab: usize, life: Life) -> usize {
        if let Some(&block) = self.of_slab.get(&slab) {
            return block;
        }
        let TensorSlab { members, elements } = &self.slabs[slab];
        let temporary = members.iter().any(|member| member.key.program.is_some());
        let block = self.block(DType::F32, *elements, temporary.then_some(life));
        self.of_slab.insert(slab, block);
        // Members that no call takes by themselves, such as an optimizer's state, are variables all the same.
        let places = members
            .iter()
            .map(|member| (member.key, (block, member.offset)));
        self.of_key.extend(places);
        block
    }

    fn single(&mut self, key: Key, dtype: DType, life: Life) -> usize {
        if let Some(&(block, _)) = self.of_key.get(&key) {
            return block;
        }
        let kind = &self.records[key.id.node].outputs[key.id.port];
        let block = self.block(dtype, kind.elements(), key.program.map(|_| life));
        self.of_key.insert(key, (block, 0));
        block
    }

    fn block(&mut self, dtype: DType, elements: u64, life: Option<Life>) -> usize {
        let unit = self.alignment / dtype.bytes();
        let elements = elements.max(1).checked_next_multiple_of(unit);
        self.blocks.push(Block {
            dtype,
            elements: elements.unwrap_or(u64::MAX),
            life,
            slot: usize::MAX,
            offset: 0,
        });
        self.apart.push(Vec::new());
        self.blocks.len() - 1
    }

    /// Variables one slot each; then temporaries, packed in several orders, of which the tightest result stays. `lengths`
    /// holds the calls of each program.
    fn assign(&mut self, lengths: &[usize]) -> Vec<Slot> {
        let mut slots: Vec<Slot> = Vec::new();
        let mut tenants: Vec<Tenant> = Vec::new();
        for (index, block) in self.blocks.iter_mut().enumerate() {
            if let Some(life) = block.life {
                tenants.push(Tenant {
                    block: index,
                    dtype: block.dtype,
                    elements: block.elements,
                    life,
                });
            } else {
                block.slot = slots.len();
                slots.push(Slot {
                    dtype: block.dtype,
                    elements: block.elements,
                    persistent: true,
                });
            }
        }
        type Rank = fn(&Tenant) -> (u64, u64);
        let by_size: Rank = |tenant| (tenant.bytes(), tenant.life.length());
        let by_length: Rank = |tenant| (tenant.life.length(), tenant.bytes());
        let by_area: Rank = |tenant| (tenant.bytes().saturating_mul(tenant.life.length()), 0);
        let by_start: Rank = |tenant| (u64::MAX - tenant.life.first as u64, tenant.bytes());
        let by_end: Rank = |tenant| (tenant.life.last as u64, tenant.bytes());
        // No packing is tighter than what is in use at once.
        let bound = self.live_bytes(lengths.len()).into_iter().max();
        let bytes = |packing: &Packing| packing.slots.iter().map(Slot::bytes).sum::<u64>();
        let mut best: Option<Packing> = None;
        for order in [by_size, by_length, by_area, by_start, by_end] {
            tenants.sort_by_key(|tenant| tenant.block);
            tenants.sort_by_key(|tenant| std::cmp::Reverse(order(tenant)));
            let packing = pack(tenants.iter().copied(), &self.apart, lengths);
            let tighter = |best: &Packing| bytes(&packing) < bytes(best);
            if best.as_ref().is_none_or(tighter) {
                best = Some(packing);
            }
            if best.as_ref().map(bytes) == bound {
                break;
            }
        }
        if let Some(best) = best {
            for (index, slot, offset) in best.places {
                (self.blocks[index].slot, self.blocks[index].offset) = (slots.len() + slot, offset);
            }
            slots.extend(best.slots);
        }
        slots
    }

    /// The most bytes of temporaries that each of the programs has in use at once.
    fn live_bytes(&self, programs: usize) -> Vec<u64> {
        let mut uses = vec![Vec::new(); programs];
        for block in &self.blocks {
            if let Some(life) = block.life {
                let bytes = block.elements.saturating_mul(block.dtype.bytes());
                uses[life.program].push((life.first, life.last, bytes));
            }
        }
        let uses = uses.into_iter();
        uses.map(|uses| peak_of(uses.into_iter())).collect()
    }

    fn place_of(&self, &(block, offset, len): &BlockPart) -> Place {
        let Block {
            slot, offset: own, ..
        } = self.blocks[block];
        Place {
            slot,
            offset: own + offset,
            len,
        }
    }

    fn places(&self, parts: &[BlockPart]) -> Vec<Place> {
        parts.iter().map(|part| self.place_of(part)).collect()
    }

    fn variables(&self) -> Vec<PlannedVariable> {
        let keys = self.of_key.iter();
        let mut keys: Vec<_> = keys.filter(|(key, _)| key.program.is_none()).collect();
        keys.sort();
        let planned = keys.into_iter().filter_map(|(key, &(block, offset))| {
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
                place: self.place_of(&(block, offset, kind.elements())),
                kind,
            })
        });
        planned.collect()
    }
}
