//! Back-propagation: the gradient rules of the ops, applied in reverse order of recording.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;

use crate::contract::{Op, Vjp};
use crate::graph::{Graph, Node, ValueId};
use crate::{Tensor, TensorType};

impl Graph {
    /// ∂L/∂p for each of `parameters`, as tensors of the graph.
    ///
    /// `loss` may have any shape: the gradient is that of the sum of its elements. A parameter that does not reach the
    /// loss gets zeros. Shapes are those of the parameters.
    ///
    /// `parameters` may be any tensors, also what ops have made, such as a layer's input: the way back ends there. Gradients are
    /// nodes as all others, so that a loss may be made of them, as penalties on slopes and equations with derivatives are:
    ///
    /// ```
    /// let graph = kiln::Graph::new();
    /// let t = graph.input("t", [32, 1]);
    /// let w = graph.parameter("w", [1, 8], &[0.1; 8]);
    /// let u = t.matmul(&w).tanh();
    /// let slope = graph.gradients(&u, &[&t]).remove(0);
    /// let penalty = (slope - 1.0).square().mean();
    /// assert_eq!(graph.gradients(&penalty, &[&w])[0].shape().dims(), [1, 8]);
    /// # graph.check()?;
    /// # Ok::<(), kiln::Error>(())
    /// ```
    #[track_caller]
    pub fn gradients(&self, loss: &Tensor, parameters: &[&Tensor]) -> Vec<Tensor> {
        let seed = self.filled(&loss.kind(), 1.0);
        self.gradients_from(loss, &seed, parameters)
    }

    /// The same with `seed`, of the loss' shape, as dL/dL: Σ seed·∂L/∂p.
    #[track_caller]
    pub(crate) fn gradients_from(
        &self,
        loss: &Tensor,
        seed: &Tensor,
        parameters: &[&Tensor],
    ) -> Vec<Tensor> {
        let location = Location::caller();
        let foreign = |tensor: &Tensor| !self.owns(tensor);
        if foreign(loss) || parameters.iter().any(|parameter| foreign(parameter)) {
            let message = "a tensor of another graph was given";
            let refused = self.refuse_at("gradients", message.into(), location);
            return vec![refused; parameters.len()];
        }
        let mut gradients: HashMap<ValueId, Tensor> = HashMap::new();
        gradients.insert(loss.id(), seed.clone());
        let wanted = self.reaches(parameters, loss.id().node);
        for node in (0..=loss.id().node).rev().filter(|&node| wanted[node]) {
            let Some(call) = self.call(node) else {
                continue;
            };
            let upstream: Vec<Option<Tensor>> = call
                .outputs
                .iter()
                .map(|output| gradients.get(&output.id()).cloned())
                .collect();
            if upstream.iter().all(Option::is_none) {
                continue;
            }
            let wanted: Vec<bool> = call
                .inputs
                .iter()
                .map(|input| wanted[input.id().node])
                .collect();
            // What is asked for is itself the result of an op: the way back ends there.
            if !wanted.contains(&true) {
                continue;
            }
            let vjp = Vjp {
                inputs: &call.inputs,
                outputs: &call.outputs,
                gradients: &upstream,
                wanted: &wanted,
            };
            match self.in_gradient(node, || call.op.gradient(&vjp)) {
                Ok(found) if found.len() != call.inputs.len() => {
                    let message = format!(
                        "{} has {} inputs, but its rule gives {} gradients",
                        call.op.name(),
                        call.inputs.len(),
                        found.len()
                    );
                    self.refuse_at("gradients", message, location);
                }
                Ok(found) => {
                    let found = found.into_iter().zip(&call.inputs).zip(&wanted);
                    for ((gradient, input), _) in found.filter(|(_, wanted)| **wanted) {
                        let Some(gradient) = gradient else { continue };
                        let sum = match gradients.remove(&input.id()) {
                            Some(earlier) => earlier.add(&gradient),
                            None => gradient,
                        };
                        gradients.insert(input.id(), sum);
                    }
                }
                Err(message) => {
                    self.refuse_at("gradients", message, location);
                }
            }
        }
        parameters
            .iter()
            .map(|parameter| match gradients.get(&parameter.id()) {
                Some(gradient) => gradient.clone(),
                None => self.filled(&parameter.kind(), 0.0),
            })
            .collect()
    }

    /// For each node up to `last`, whether one of `parameters` flows into it.
    fn reaches(&self, parameters: &[&Tensor], last: usize) -> Vec<bool> {
        let nodes = self.lock();
        let mut reached = vec![false; last + 1];
        for parameter in parameters.iter().map(|parameter| parameter.id().node) {
            if let Some(reached) = reached.get_mut(parameter) {
                *reached = true;
            }
        }
        for node in 0..=last {
            let mut inputs = nodes.records[node].inputs.iter();
            reached[node] |= inputs.any(|input| reached[input.node]);
        }
        reached
    }

    fn call(&self, node: usize) -> Option<OpCall> {
        let nodes = self.lock();
        let record = &nodes.records[node];
        let Node::Op(op) = &record.node else {
            return None;
        };
        let (op, inputs, ports) = (Arc::clone(op), record.inputs.clone(), record.outputs.len());
        drop(nodes);
        Some(OpCall {
            op,
            inputs: inputs.into_iter().map(|id| self.tensor(id)).collect(),
            outputs: (0..ports)
                .map(|port| self.tensor(ValueId { node, port }))
                .collect(),
        })
    }

    #[track_caller]
    fn filled(&self, kind: &TensorType, value: f32) -> Tensor {
        let len = usize::try_from(kind.elements()).unwrap_or(0);
        self.constant(&kind.shape, &vec![value; len])
    }
}

struct OpCall {
    op: Arc<dyn Op>,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}
