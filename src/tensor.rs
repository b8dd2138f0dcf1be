//! The handle of a value in a graph.

use std::fmt;
use std::panic::Location;

use crate::graph::{Graph, ValueId};
use crate::{DType, Shape, TensorType};

/// A value in a [`Graph`]: operators and methods on it record more nodes.
///
/// A call whose shapes, types or settings do not fit is recorded as an error with the caller's source line, and
/// [`Plan::compile`](crate::Plan::compile) returns the first one. Every method that gives numbers has a gradient, unless it says
/// that it has none.
#[derive(Clone)]
pub struct Tensor {
    graph: Graph,
    id: ValueId,
}

impl Tensor {
    pub(crate) fn new(graph: Graph, id: ValueId) -> Self {
        Tensor { graph, id }
    }

    /// Records that a call on it was refused.
    #[track_caller]
    pub(crate) fn refuse(&self, op: &str, message: String) -> Tensor {
        self.graph.refuse_at(op, message, Location::caller())
    }

    /// The graph it belongs to.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The node that makes it, and which of the node's outputs it is.
    pub(crate) fn id(&self) -> ValueId {
        self.id
    }

    /// The tensor's shape and element type.
    pub fn kind(&self) -> TensorType {
        self.graph.lock().kind(self.id)
    }

    /// The tensor's shape.
    pub fn shape(&self) -> Shape {
        self.kind().shape
    }

    /// The type of its elements.
    pub fn dtype(&self) -> DType {
        self.kind().dtype
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{} {}", self.id.node, self.kind())
    }
}
