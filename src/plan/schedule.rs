//! Which nodes a program needs, in the order they were recorded, with views followed to what they show.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::contract::{Op, Signature};
use crate::graph::{Node, Record, ValueId};
use crate::{Error, Result, TensorType};

use super::Program;

/// A tensor of the plan: a variable, shared by all programs, or a temporary of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    /// The program's index; none for a variable.
    pub program: Option<usize>,
    pub id: ValueId,
}

/// What an operand of a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Operand {
    Value(Key),
    /// All of a slab: see [`super::fuse`].
    Slab(usize),
}

/// An operand and its type.
pub(super) type Typed = (Operand, TensorType);

/// A call before its operands have places.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub op: Arc<dyn Op>,
    pub signature: Signature,
    pub inputs: Vec<Operand>,
    pub outputs: Vec<Operand>,
    pub merged: usize,
}

impl Draft {
    /// A call of these operands, each with its type, that stands for `merged` nodes.
    pub fn new(
        op: impl Op,
        inputs: impl IntoIterator<Item = Typed>,
        outputs: impl IntoIterator<Item = Typed>,
        merged: usize,
    ) -> Self {
        let (inputs, input_types) = inputs.into_iter().unzip();
        let (outputs, output_types) = outputs.into_iter().unzip();
        Draft {
            op: Arc::new(op),
            signature: Signature {
                inputs: input_types,
                outputs: output_types,
            },
            inputs,
            outputs,
            merged,
        }
    }

    /// Input `i` and its type.
    pub fn input(&self, i: usize) -> Typed {
        (self.inputs[i], self.signature.inputs[i].clone())
    }

    /// The inputs with their types.
    pub fn typed_inputs(&self) -> impl Iterator<Item = Typed> {
        (0..self.inputs.len()).map(|i| self.input(i))
    }

    /// The outputs with their types.
    pub fn typed_outputs(&self) -> impl Iterator<Item = Typed> {
        let types = self.signature.outputs.iter().cloned();
        self.outputs.iter().copied().zip(types)
    }

    /// What it writes: inputs updated in place, then outputs.
    pub fn written(&self) -> impl Iterator<Item = &Operand> {
        let updated = self.op.writes().iter().map(|&i| &self.inputs[i]);
        updated.chain(&self.outputs)
    }
}

/// A program before placing.
#[derive(Debug, Clone)]
pub(super) struct Scheduled {
    pub name: String,
    pub drafts: Vec<Draft>,
    pub fetches: Vec<(String, TensorType, Key)>,
    /// What the rewrites did, a sentence each.
    pub notes: Vec<String>,
    /// Why whole steps do not fit one call, where only the size of the network speaks against it.
    pub oversized: Option<String>,
}

pub(super) fn schedule(records: &[Record], programs: &[Program]) -> Result<Vec<Scheduled>> {
    let mut names = HashSet::new();
    for program in programs {
        if !names.insert(&program.name) {
            let message = format!("two are named `{}`", program.name);
            return Err(Error::argument("programs", message));
        }
        let mut fetched = HashSet::new();
        for (name, tensor) in &program.fetch {
            let refused = |what: &str| {
                let message = format!("`{}` fetches {what}", program.name);
                Err(Error::argument("programs", message))
            };
            let ValueId { node, port } = tensor.id();
            if port >= records[node].outputs.len() {
                return refused(&format!("`{name}`, but an update has no value"));
            }
            if !fetched.insert(name) {
                return refused(&format!("two tensors under the name `{name}`"));
            }
        }
    }
    Ok(programs
        .iter()
        .enumerate()
        .map(|(index, program)| schedule_one(records, index, program))
        .collect())
}

fn schedule_one(records: &[Record], index: usize, program: &Program) -> Scheduled {
    let needed = needed(records, program);
    let mut shown: HashMap<ValueId, Key> = HashMap::new();
    let key = |shown: &HashMap<ValueId, Key>, id: ValueId| match records[id.node].node {
        Node::Variable(_) => Key { program: None, id },
        _ => shown.get(&id).copied().unwrap_or(Key {
            program: Some(index),
            id,
        }),
    };
    let mut drafts = Vec::new();
    for (node, record) in records.iter().enumerate().filter(|(node, _)| needed[*node]) {
        let Node::Op(op) = &record.node else { continue };
        let inputs: Vec<Key> = record.inputs.iter().map(|&id| key(&shown, id)).collect();
        if op.is_view() {
            shown.insert(ValueId { node, port: 0 }, inputs[0]);
            continue;
        }
        let outputs = (0..record.outputs.len()).map(|port| key(&shown, ValueId { node, port }));
        drafts.push(Draft {
            op: Arc::clone(op),
            signature: record.signature(records),
            outputs: outputs.map(Operand::Value).collect(),
            inputs: inputs.into_iter().map(Operand::Value).collect(),
            merged: 1,
        });
    }
    let fetches = program.fetch.iter().map(|(name, tensor)| {
        (
            name.clone(),
            records[tensor.id().node].outputs[tensor.id().port].clone(),
            key(&shown, tensor.id()),
        )
    });
    Scheduled {
        name: program.name.clone(),
        fetches: fetches.collect(),
        drafts,
        notes: Vec::new(),
        oversized: None,
    }
}

/// Marks what the program's roots depend on.
fn needed(records: &[Record], program: &Program) -> Vec<bool> {
    let mut needed = vec![false; records.len()];
    let mut pending: Vec<usize> = program.roots().map(|id| id.node).collect();
    while let Some(node) = pending.pop() {
        if !std::mem::replace(&mut needed[node], true) {
            pending.extend(records[node].inputs.iter().map(|id| id.node));
        }
    }
    needed
}
