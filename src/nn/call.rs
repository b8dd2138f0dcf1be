//! What a layer knows in its forward pass, and what it hands back beside its output.

use crate::optim::Clock;
use crate::{Graph, Tensor};

use super::Activation;

/// One call of a layer: its weights, the mode, and places for updates and losses.
///
/// `fit` and `predict` make it. A layer can be tried out with one made by hand:
///
/// ```
/// use kiln::nn::Call;
/// use kiln::prelude::*;
///
/// let graph = Graph::new();
/// let x = graph.input("x", [2, 3]);
/// let mut call = Call::new(&graph).with_weight("kernel", &graph.input("kernel", [3, 4]));
/// let y = Dense::new(4).without_bias().forward(&[x], &mut call);
/// assert_eq!(y.shape().dims(), [2, 4]);
/// ```
#[derive(Debug)]
pub struct Call {
    /// The graph that the pass is recorded in. A variable that a layer declares there has the layer's name before its own, is
    /// one of its own in each of the model's programs, and is of no file or snapshot: what a layer keeps are its
    /// [`parameters`](super::Layer::parameters).
    pub graph: Graph,
    /// Whether this is a step of training, not evaluation or prediction. Default: false.
    pub training: bool,
    /// Whether training changes the layer's weights. Default: true.
    pub trainable: bool,
    /// The clock of training or evaluation: the step, how many rows of the batch are its own, the learning rate.
    pub clock: Option<Clock>,
    /// The model's seed, for random draws by counter.
    pub seed: u64,
    /// The number of this call in its model: no two layers, and no two calls of one, draw the same numbers.
    pub stream: u32,
    /// Updates of states, such as a running mean, that run with every step of training: handles of ops that write.
    pub updates: Vec<Tensor>,
    pub(crate) losses: Vec<Tensor>,
    pub(crate) activated: Option<Activated>,
    /// What the first input was made by.
    pub(crate) given: Option<Activated>,
    /// The layer's name, for refusals.
    pub(crate) layer: String,
    pub(crate) weights: Vec<(String, Tensor)>,
}

/// An activation that was applied, with what it was applied to: losses and metrics may read that.
#[derive(Debug, Clone)]
pub(crate) struct Activated {
    pub before: Tensor,
    pub after: Tensor,
    pub activation: Activation,
}

impl Activated {
    /// A tensor that no activation was applied to.
    pub fn linear(tensor: Tensor) -> Self {
        Activated {
            before: tensor.clone(),
            after: tensor,
            activation: Activation::Linear,
        }
    }
}

impl Call {
    /// A call without weights, for inference.
    pub fn new(graph: &Graph) -> Self {
        Call {
            graph: graph.clone(),
            training: false,
            trainable: true,
            clock: None,
            seed: 0,
            stream: 0,
            updates: Vec::new(),
            losses: Vec::new(),
            activated: None,
            given: None,
            layer: "layer".into(),
            weights: Vec::new(),
        }
    }

    /// Adds a tensor that the layer keeps.
    pub fn with_weight(mut self, name: &str, tensor: &Tensor) -> Self {
        self.weights.push((name.into(), tensor.clone()));
        self
    }

    /// The tensor that the layer keeps under this name. One that it does not have is an error of the graph, which
    /// `compile` returns.
    #[track_caller]
    pub fn weight(&self, name: &str) -> Tensor {
        let mut weights = self.weights.iter();
        match weights.find(|(known, _)| known == name) {
            Some((_, tensor)) => tensor.clone(),
            None => self.refuse(format!("the layer keeps no tensor `{name}`")),
        }
    }

    /// Refuses the call: an error of the graph with the layer's name, which `compile` returns. For what a shape rule cannot
    /// have seen; the tensor only stands in its place.
    #[track_caller]
    pub fn refuse(&self, message: impl Into<String>) -> Tensor {
        let location = std::panic::Location::caller();
        self.graph.refuse_at(&self.layer, message.into(), location)
    }

    /// Adds to the loss: a scalar, such as a penalty on weights, or a number for each row, `[batch]`, such as a penalty on
    /// outputs, whose mean over the batch's own rows is added. It is part of every loss that is reported; weights of rows do
    /// not change it.
    pub fn add_loss(&mut self, loss: &Tensor) {
        self.losses.push(loss.clone());
    }

    /// f(x) where f ends the layer: a cross-entropy after a sigmoid or softmax then reads x, where nothing saturates.
    #[track_caller]
    pub fn activate(&mut self, activation: Activation, x: &Tensor) -> Tensor {
        let after = activation.apply(x);
        self.activated = Some(Activated {
            before: x.clone(),
            after: after.clone(),
            activation,
        });
        after
    }

    /// The first input, `x`, handed on as it is: a loss after it reads the logits as if the layer were not there.
    pub(crate) fn hand_on(&mut self, x: &Tensor) -> Tensor {
        self.activated = self.given.take();
        x.clone()
    }
}
