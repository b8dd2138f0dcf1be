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
    graph: Graph,
    layer: String,
    weights: Vec<(String, Tensor)>,
    clock: Option<Clock>,
    trainable: bool,
    training: bool,
    seed: u64,
    stream: u32,
    pub(crate) updates: Vec<Tensor>,
    pub(crate) losses: Vec<Tensor>,
    pub(crate) activated: Option<Activated>,
    /// What the first input was made by.
    pub(crate) given: Option<Activated>,
}

/// An activation that was applied, with what it was applied to: losses and metrics may read that.
#[derive(Debug, Clone)]
pub(crate) struct Activated {
    pub before: Tensor,
    pub after: Tensor,
    pub activation: Activation,
}

impl Call {
    /// A call without weights, for inference.
    pub fn new(graph: &Graph) -> Self {
        Call {
            graph: graph.clone(),
            layer: "layer".into(),
            weights: Vec::new(),
            clock: None,
            trainable: true,
            training: false,
            seed: 0,
            stream: 0,
            updates: Vec::new(),
            losses: Vec::new(),
            activated: None,
            given: None,
        }
    }

    /// Adds a tensor that the layer keeps.
    pub fn with_weight(mut self, name: &str, tensor: &Tensor) -> Self {
        self.weights.push((name.into(), tensor.clone()));
        self
    }

    /// Makes it a call in training.
    pub fn in_training(mut self) -> Self {
        self.training = true;
        self
    }

    /// Gives the clock of the program that the call is part of.
    pub fn with_clock(mut self, clock: &Clock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Sets what tells the random draws of this call from those of others: the model's seed and the call's number.
    pub fn with_stream(mut self, seed: u64, stream: u32) -> Self {
        (self.seed, self.stream) = (seed, stream);
        self
    }

    pub(crate) fn of_layer(mut self, name: &str, trainable: bool) -> Self {
        self.layer = name.into();
        self.trainable = trainable;
        self
    }

    /// The graph that the pass is recorded in.
    pub fn graph(&self) -> &Graph {
        &self.graph
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

    /// Whether this is a step of training, not evaluation or prediction.
    pub fn training(&self) -> bool {
        self.training
    }

    /// Whether training changes the layer's weights.
    pub fn trainable(&self) -> bool {
        self.trainable
    }

    /// The clock of training or evaluation: the step, how many rows of the batch are its own, the learning rate.
    pub fn clock(&self) -> Option<&Clock> {
        self.clock.as_ref()
    }

    /// The model's seed, for random draws by counter.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The number of this call in its model: no two layers, and no two calls of one, draw the same numbers.
    pub fn stream(&self) -> u32 {
        self.stream
    }

    /// Runs an update of a state, such as a running mean, with every step of training: the handle of an op that writes.
    pub fn update(&mut self, update: &Tensor) {
        self.updates.push(update.clone());
    }

    /// The updates that the pass has asked for so far.
    pub fn updates(&self) -> &[Tensor] {
        &self.updates
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
