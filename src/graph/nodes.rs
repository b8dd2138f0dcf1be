//! The nodes of a graph: what a call becomes, and which calls are refused.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;

use crate::contract::{MAX_OPERANDS, Op, Signature};
use crate::{DType, Error, Result, TensorType};

use super::{Initial, Node, Record, Role, ValueId, Variable};

#[derive(Default)]
pub(crate) struct Nodes {
    pub(crate) records: Vec<Record>,
    /// Where each of them comes from.
    pub(crate) origins: Vec<Origin>,
    /// The variables' nodes by name.
    pub(crate) names: HashMap<String, usize>,
    /// What nodes that are recorded now belong to.
    pub(super) within: Origin,
    /// Whose variables are recorded now, if they are named after a layer or loss.
    pub(super) naming: Option<Arc<str>>,
    pub(super) error: Option<Error>,
}

/// Where a node comes from: what to say of it when something is wrong with its numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// The line that recorded it, or that recorded what it is part of the gradient of.
    pub location: Option<&'static Location<'static>>,
    /// The layer whose forward pass it is part of.
    pub layer: Option<Arc<str>>,
    /// Whether it is part of the gradient of that.
    pub backward: bool,
}

impl Nodes {
    pub(super) fn push(&mut self, record: Record) -> usize {
        if let Node::Variable(variable) = &record.node {
            let node = self.records.len();
            self.names.entry(variable.name.clone()).or_insert(node);
        }
        self.records.push(record);
        self.origins.push(self.within.clone());
        self.records.len() - 1
    }

    /// See [`Graph::free_name`](crate::Graph).
    pub(super) fn free_name(&self, name: &str) -> String {
        let mut names = (0u64..).map(|number| match number {
            0 => name.to_string(),
            number => format!("{name}.{number}"),
        });
        let free = names.find(|name| !self.names.contains_key(name));
        free.unwrap_or_else(|| name.into())
    }

    /// Why a variable of this name and type cannot be, if so.
    pub(super) fn refuses_variable(
        &self,
        name: &str,
        kind: &TensorType,
        initial: &Initial,
    ) -> Option<String> {
        if self.names.contains_key(name) {
            return Some(format!(
                "there is already a variable `{name}` in this graph"
            ));
        }
        if kind.dtype == DType::U8 {
            return Some(format!(
                "`{name}` is {kind}, but tensors hold no single bytes: keep four in a u32 and gather them with `gather_bytes`"
            ));
        }
        if !kind.shape.is_possible() {
            return Some(format!(
                "`{name}` is {kind}, which is more than any machine holds"
            ));
        }
        let (dtype, len) = match initial {
            Initial::Zeros => return None,
            Initial::Floats(values) => (DType::F32, values.len() as u64),
            Initial::Words(values) => (DType::U32, values.len() as u64),
        };
        (dtype != kind.dtype || len != kind.elements())
            .then(|| format!("`{name}` is {kind}, but {len} values of {dtype} were given"))
    }

    /// The type of a value; a scalar for the handle of an update.
    pub(crate) fn kind(&self, id: ValueId) -> TensorType {
        self.records[id.node]
            .outputs
            .get(id.port)
            .cloned()
            .unwrap_or_else(|| TensorType::f32([]))
    }

    /// Keeps the first refusal.
    pub(super) fn refuse_with(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    pub(super) fn refuse(
        &mut self,
        op: &str,
        message: String,
        location: &'static Location<'static>,
    ) -> Record {
        self.refuse_with(Error::Shape {
            op: op.to_string(),
            message,
            location,
        });
        Record {
            node: Node::Error,
            inputs: Vec::new(),
            outputs: vec![TensorType::f32([])],
        }
    }

    pub(super) fn infer(
        &mut self,
        op: Arc<dyn Op>,
        inputs: Vec<ValueId>,
        location: &'static Location<'static>,
    ) -> Record {
        let failed = inputs
            .iter()
            .any(|id| matches!(self.records[id.node].node, Node::Error));
        let types: Vec<TensorType> = inputs.iter().map(|&id| self.kind(id)).collect();
        let varies =
            |id: &ValueId| matches!(&self.records[id.node].node, Node::Variable(v) if !v.constant);
        let fixed = |i: &usize| !inputs.get(*i).is_some_and(varies);
        let valueless = inputs
            .iter()
            .any(|id| id.port >= self.records[id.node].outputs.len());
        let outcome = if failed {
            // The first refusal is on record; what follows from it is not news.
            Err(String::new())
        } else if valueless {
            Err("an update is no value that an op could take".to_string())
        } else if inputs.len() > MAX_OPERANDS {
            Err(format!(
                "takes {} inputs; {} is the most an op may have",
                inputs.len(),
                MAX_OPERANDS
            ))
        } else {
            op.infer(&types)
                .and_then(|outputs| match op.writes().iter().find(|&i| fixed(i)) {
                    Some(i) => Err(format!(
                        "input {i} is updated in place, so it must be a variable that is no constant"
                    )),
                    None => Ok(outputs),
                })
                .and_then(|outputs| {
                    let written = op.writes().len() + outputs.len();
                    if written <= MAX_OPERANDS {
                        return Ok(outputs);
                    }
                    Err(format!(
                        "writes {written} tensors; {} is the most an op may have",
                        MAX_OPERANDS
                    ))
                })
                .and_then(|outputs| {
                    match outputs.iter().find(|kind| !kind.shape.is_possible()) {
                        Some(kind) => {
                            Err(format!("the result {kind} is more than any machine holds"))
                        }
                        None => Ok(outputs),
                    }
                })
        };
        let nothing = |kind: &TensorType| kind.elements() == 0;
        match outcome {
            Ok(outputs) if outputs.iter().any(nothing) || types.iter().any(nothing) => {
                match self.of_nothing(&*op, outputs) {
                    Ok(record) => record,
                    Err(message) => self.refuse(op.name(), message, location),
                }
            }
            Ok(outputs) => Record {
                node: Node::Op(op),
                inputs,
                outputs,
            },
            Err(message) => self.refuse(op.name(), message, location),
        }
    }

    /// What stands for an op on tensors without elements, such as a batch of no rows: nothing is computed, and nothing
    /// depends on them. A result without elements is a constant, and so is a sum of none, zeros.
    fn of_nothing(&self, op: &dyn Op, outputs: Vec<TensorType>) -> Result<Record, String> {
        let empty = outputs.iter().all(|kind| kind.elements() == 0) && !outputs.is_empty();
        if !empty && !op.sums_nothing_to_zero() {
            return Err("takes no tensor without elements".into());
        }
        let constant = Variable {
            name: format!("constant.{}", self.records.len()),
            initial: Initial::Zeros,
            role: Role::Data,
            constant: true,
        };
        Ok(Record {
            node: Node::Variable(constant),
            inputs: Vec::new(),
            outputs,
        })
    }
}

impl Record {
    /// The operands' types, given the graph's records.
    pub(crate) fn signature(&self, records: &[Record]) -> Signature {
        Signature {
            inputs: self
                .inputs
                .iter()
                .map(|id| records[id.node].outputs[id.port].clone())
                .collect(),
            outputs: self.outputs.clone(),
        }
    }
}
