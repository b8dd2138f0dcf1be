//! The graph: nodes with shapes and types, recorded by calls on tensors. No GPU in it.

mod initial;
mod nodes;

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::contract::Op;
use crate::{Error, Result, Shape, Tensor, TensorType};

pub use initial::Initial;
pub(crate) use nodes::{Nodes, Origin};

/// One output of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ValueId {
    /// The node's number in order of recording.
    pub node: usize,
    /// Which of its outputs.
    pub port: usize,
}

/// What a variable is there for, and so whether a [`Snapshot`](crate::Snapshot) keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// What training changes: parameters, states of optimizers, running averages, rates. Kept.
    State,
    /// Where a run is: a clock's cursor, counts over the epoch under way. Kept with a run, but no part of a model.
    Progress,
    /// What the host writes before a run: inputs, labels, data sets. Not kept: the host has it.
    Data,
    /// What a run leaves for the host to read once: rings of sums. Not kept.
    Scratch,
}

impl Role {
    /// Whether a snapshot of a session keeps it.
    pub(crate) fn is_kept(self) -> bool {
        matches!(self, Role::State | Role::Progress)
    }
}

/// A named tensor that outlives a step: an input the host writes, a parameter, an optimizer's state, a constant.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    /// Unique within its graph.
    pub name: String,
    pub initial: Initial,
    pub role: Role,
    /// Whether it keeps its first elements for ever: no op may update it.
    pub constant: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Variable(Variable),
    Op(Arc<dyn Op>),
    /// Stands where a call was refused; the graph keeps the first refusal.
    Error,
}

/// A node with its operands and the types of its outputs.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub node: Node,
    pub inputs: Vec<ValueId>,
    pub outputs: Vec<TensorType>,
}

/// A computation under construction. Clones share the same nodes.
///
/// Calls on [`Tensor`]s record nodes in program order: a node that reads a variable before an update is recorded sees
/// the value before it. A badly shaped call records an error with the caller's source line instead of panicking, and
/// [`Plan::compile`](crate::Plan::compile) returns the first one.
///
/// ```
/// use kiln::{Device, Graph, Plan, Program};
///
/// let graph = Graph::new();
/// let x = graph.input("x", [2, 3]);
/// let w = graph.parameter("w", [3, 1], &[1.0, 2.0, 3.0]);
/// let y = x.matmul(&w).relu();
/// let device = Device::cpu();
/// let plan = Plan::compile(&graph, device.target(), [Program::new("forward").fetch("y", &y)])?;
/// let mut session = device.open(&plan)?;
/// session.write("x", &[1.0, 0.0, 0.0, 0.0, 1.0, 1.0])?;
/// session.run("forward", 1)?;
/// assert_eq!(session.read("y")?, [1.0, 5.0]);
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Graph {
    nodes: Arc<Mutex<Nodes>>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Graph::default()
    }

    /// A tensor of numbers that the host writes before a run; zeros until then.
    ///
    /// It may have no elements, a batch of no rows: what is computed of it has none either, but for sums, which are 0. Ops
    /// for which that has no meaning, such as a mean of no rows, refuse it.
    #[track_caller]
    pub fn input(&self, name: impl Into<String>, shape: impl Into<Shape>) -> Tensor {
        self.variable_as(Role::Data, name, TensorType::f32(shape), Initial::Zeros)
    }

    /// A tensor of integers, such as class labels, that the host writes before a run; zeros until then.
    #[track_caller]
    pub fn labels(&self, name: impl Into<String>, shape: impl Into<Shape>) -> Tensor {
        self.variable_as(Role::Data, name, TensorType::u32(shape), Initial::Zeros)
    }

    /// A trained tensor with its first values, row-major.
    #[track_caller]
    pub fn parameter(
        &self,
        name: impl Into<String>,
        shape: impl Into<Shape>,
        values: &[f32],
    ) -> Tensor {
        self.variable(name, TensorType::f32(shape), Initial::Floats(values.into()))
    }

    /// A tensor that stays as it is, row-major: numbers, or integers such as indices.
    ///
    /// ```
    /// let graph = kiln::Graph::new();
    /// let table = graph.constant([3, 2], &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
    /// let rows = graph.constant([4], &[2, 0, 0, 1]);
    /// assert_eq!(table.take(0, &rows).shape().dims(), [4, 2]);
    /// ```
    #[track_caller]
    pub fn constant(&self, shape: impl Into<Shape>, values: impl Into<Initial>) -> Tensor {
        let number = self.lock().records.len();
        let name = self.free_name(&format!("constant.{number}"));
        let (shape, initial) = (shape.into(), values.into());
        let kind = match initial {
            Initial::Words(_) => TensorType::u32(shape),
            Initial::Zeros | Initial::Floats(_) => TensorType::f32(shape),
        };
        self.declare(true, Role::Data, name, kind, initial)
    }

    /// A named tensor that outlives a step and that training changes, such as an optimizer's state: a
    /// [`Snapshot`](crate::Snapshot) keeps it.
    #[track_caller]
    pub fn variable(&self, name: impl Into<String>, kind: TensorType, initial: Initial) -> Tensor {
        self.variable_as(Role::State, name, kind, initial)
    }

    /// A named tensor that outlives a step, in this role.
    #[track_caller]
    pub(crate) fn variable_as(
        &self,
        role: Role,
        name: impl Into<String>,
        kind: TensorType,
        initial: Initial,
    ) -> Tensor {
        self.declare(false, role, name.into(), kind, initial)
    }

    #[track_caller]
    fn declare(
        &self,
        constant: bool,
        role: Role,
        name: String,
        kind: TensorType,
        initial: Initial,
    ) -> Tensor {
        let location = Location::caller();
        let mut nodes = self.lock();
        // Layers and losses are recorded in each of a model's programs.
        let (name, role) = match nodes.naming.clone() {
            Some(whose) if !constant => (nodes.free_name(&format!("{whose}:{name}")), Role::Data),
            _ => (name, role),
        };
        let refusal = nodes.refuses_variable(&name, &kind, &initial);
        let record = match refusal {
            Some(message) => nodes.refuse("variable", message, location),
            None => Record {
                node: Node::Variable(Variable {
                    name,
                    initial,
                    role,
                    constant,
                }),
                inputs: Vec::new(),
                outputs: vec![kind],
            },
        };
        self.push(nodes, record)
    }

    /// The tensor of a record's first output.
    fn push(&self, mut nodes: MutexGuard<'_, Nodes>, record: Record) -> Tensor {
        let node = nodes.push(record);
        drop(nodes);
        Tensor::new(self.clone(), ValueId { node, port: 0 })
    }

    /// Records an op on `inputs` and returns its outputs; the way to use an op of one's own.
    #[track_caller]
    pub fn apply(&self, op: impl Op, inputs: &[&Tensor]) -> Vec<Tensor> {
        self.apply_at(Arc::new(op), inputs, Location::caller())
    }

    /// Records an op that has a single output.
    #[track_caller]
    pub fn apply_one(&self, op: impl Op, inputs: &[&Tensor]) -> Tensor {
        let [output] = self.apply_many(op, inputs);
        output
    }

    /// Records an op that has `N` outputs; what was refused has one handle, which stands for all of them.
    #[track_caller]
    pub(crate) fn apply_many<const N: usize>(
        &self,
        op: impl Op,
        inputs: &[&Tensor],
    ) -> [Tensor; N] {
        let outputs = self.apply_at(Arc::new(op), inputs, Location::caller());
        std::array::from_fn(|i| outputs.get(i).unwrap_or(&outputs[0]).clone())
    }

    pub(crate) fn apply_at(
        &self,
        op: Arc<dyn Op>,
        inputs: &[&Tensor],
        location: &'static Location<'static>,
    ) -> Vec<Tensor> {
        let foreign = inputs.iter().any(|input| !self.owns(input));
        let mut nodes = self.lock();
        let record = if foreign {
            nodes.refuse(
                op.name(),
                "a tensor of another graph was given".into(),
                location,
            )
        } else {
            let ids: Vec<ValueId> = inputs.iter().map(|input| input.id()).collect();
            nodes.infer(op, ids, location)
        };
        // An update has no output; its handle names the node for `Program::update`.
        let ports = record.outputs.len().max(1);
        let node = nodes.push(record);
        nodes.origins[node].location.get_or_insert(location);
        drop(nodes);
        (0..ports)
            .map(|port| Tensor::new(self.clone(), ValueId { node, port }))
            .collect()
    }

    /// Records that a call was refused, for rules that find out beyond an op's own shape rule.
    pub(crate) fn refuse_at(
        &self,
        op: &str,
        message: String,
        location: &'static Location<'static>,
    ) -> Tensor {
        let mut nodes = self.lock();
        let record = nodes.refuse(op, message, location);
        self.push(nodes, record)
    }

    /// Keeps this as the graph's refusal, unless there is one.
    pub(crate) fn refuse_with(&self, error: Error) {
        self.lock().refuse_with(error);
    }

    /// What `record` records, as part of the layer of that name.
    pub(crate) fn in_layer<R>(&self, name: &str, record: impl FnOnce() -> R) -> R {
        let layer = Origin {
            layer: Some(name.into()),
            ..Origin::default()
        };
        self.within(layer, || self.naming(name, record))
    }

    /// What `record` records, with variables named after their owner, a layer or loss, and told apart where it is recorded more
    /// than once. They are of no snapshot: what a layer keeps are its parameters.
    pub(crate) fn naming<R>(&self, owner: &str, record: impl FnOnce() -> R) -> R {
        let before = self.lock().naming.replace(owner.into());
        let recorded = record();
        self.lock().naming = before;
        recorded
    }

    /// This name, or where a variable has it already the first of `name.1`, `name.2` … that none has.
    pub(crate) fn free_name(&self, name: &str) -> String {
        self.lock().free_name(name)
    }

    /// What `record` records, as part of the gradient of a node.
    pub(crate) fn in_gradient<R>(&self, node: usize, record: impl FnOnce() -> R) -> R {
        let of = self.lock().origins[node].clone();
        let gradient = Origin {
            backward: true,
            ..of
        };
        self.within(gradient, record)
    }

    fn within<R>(&self, origin: Origin, record: impl FnOnce() -> R) -> R {
        let before = std::mem::replace(&mut self.lock().within, origin);
        let recorded = record();
        self.lock().within = before;
        recorded
    }

    /// The node of this op, and where it comes from.
    pub(crate) fn origin_of(&self, op: &Arc<dyn Op>) -> Option<(usize, Origin)> {
        let nodes = self.lock();
        let is = |record: &Record| matches!(&record.node, Node::Op(own) if std::ptr::addr_eq(Arc::as_ptr(own), Arc::as_ptr(op)));
        let node = nodes.records.iter().position(is)?;
        Some((node, nodes.origins[node].clone()))
    }

    /// Records an update once more, after all that is there: a program that has the second record does not have the first.
    pub(crate) fn again(&self, update: &Tensor) -> Tensor {
        let nodes = self.lock();
        let record = nodes.records[update.id().node].clone();
        self.push(nodes, record)
    }

    /// The first error recorded, if a call was refused.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) or [`Error::Argument`](crate::Error::Argument) of the call that was
    /// refused first, with the caller's line.
    pub fn check(&self) -> Result<()> {
        self.lock().error.clone().map_or(Ok(()), Err)
    }

    /// Whether a tensor is a value of this graph.
    pub(crate) fn owns(&self, tensor: &Tensor) -> bool {
        Arc::ptr_eq(&tensor.graph().nodes, &self.nodes)
    }

    /// A tensor by value id, for passes that walk the nodes.
    pub(crate) fn tensor(&self, id: ValueId) -> Tensor {
        Tensor::new(self.clone(), id)
    }

    /// The types of all outputs of the node of a tensor: none for an update.
    pub(crate) fn output_types(&self, tensor: &Tensor) -> Vec<TensorType> {
        self.lock().records[tensor.id().node].outputs.clone()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Nodes> {
        // A panic cannot happen while the lock is held half-way through a change: records are pushed whole.
        self.nodes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Graph {
    /// One line a node: its number, what it is, its inputs, its type.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.lock();
        for (number, record) in nodes.records.iter().enumerate() {
            let what = match &record.node {
                Node::Variable(variable) => format!("variable {}", variable.name),
                Node::Op(op) => op.name().to_string(),
                Node::Error => "error".to_string(),
            };
            let inputs: Vec<String> = record
                .inputs
                .iter()
                .map(|id| format!("%{}", id.node))
                .collect();
            let outputs: Vec<String> = record.outputs.iter().map(TensorType::to_string).collect();
            writeln!(
                f,
                "%{number:<4} {what:<34} {:<24} {}",
                inputs.join(" "),
                outputs.join(" ")
            )?;
        }
        Ok(())
    }
}
