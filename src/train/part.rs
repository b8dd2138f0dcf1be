//! A part of a model as a model that shares its weights, weights taken from another model, and layers that are frozen.

use std::collections::BTreeSet;

use crate::{Error, Result, Shape, Snapshot, TensorType, Values};

use super::engine::KnownBefore;
use super::shared::Share;
use super::{Loss, Model, Objective};

impl Model {
    /// The part of the model that computes `outputs` from `inputs`, as a model of its own on the same device, Keras'
    /// `Model(inputs, layer.output)`: the encoder of an autoencoder, or its decoder. Each is an input, an output or a layer by its
    /// name, as [`summary`](Self::summary) has them.
    ///
    /// The two share their weights. What one has learned, by `fit` or by weights that are set, the other has when it is used next,
    /// within the other's [callbacks](super::Callback::epoch) too. A run that is dropped before its end hands on what it learned when
    /// its model is used next; until then the others have the weights of before, and refuse to be trained. States of optimizers are
    /// each model's own, and so is which layers are [trained](Self::set_trainable): a new head learns over a frozen part.
    ///
    /// Losses and metrics are those of the model where an output has some, else the mean squared error. The optimizer is one of the
    /// same settings that starts anew, and [`Adam`](crate::optim::Adam) where the model's is the program's own.
    ///
    /// ```
    /// use kiln::prelude::*;
    ///
    /// let data = Dataset::from_rows(&[[0.1, 0.9], [0.8, 0.2]], &[[0.1, 0.9], [0.8, 0.2]])?;
    /// let network = Sequential::new(2).layer(Dense::new(1).named("code")).layer(Dense::new(2).named("decoded"));
    /// let mut model = network.compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])?;
    /// let mut encoder = model.part(["input"], ["code"])?;
    /// let mut decoder = model.part(["code"], ["decoded"])?;
    /// model.fit(&data, Fit::epochs(10).silent())?;
    /// let codes = encoder.predict(&data)?;
    /// assert_eq!(decoder.predict(&codes.values[..])?, model.predict(&data)?);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for a name that nothing has; [`Error::Argument`] for a layer that is called several times, for inputs
    /// that do not suffice and for those that no output is computed from; what reading the weights raises.
    pub fn part<'a>(
        &mut self,
        inputs: impl IntoIterator<Item = &'a str>,
        outputs: impl IntoIterator<Item = &'a str>,
    ) -> Result<Model> {
        let inputs: Vec<&str> = inputs.into_iter().collect();
        let outputs: Vec<&str> = outputs.into_iter().collect();
        let architecture = self.architecture.part(&inputs, &outputs)?;
        let trained = |name: &str| {
            let output = self.architecture.output_called(name)?;
            self.objectives.iter().find(|own| own.output == output.name)
        };
        let objective = |name: &&str| match trained(name) {
            Some(own) => Objective {
                output: (*name).into(),
                ..own.clone()
            },
            None => Objective::new(*name, Loss::MeanSquaredError),
        };
        let objectives: Vec<Objective> = outputs.iter().map(objective).collect();
        // Settings by parts of names may be those of layers that the part does without.
        let optimizer = Box::new(self.optimizer.config().unwrap_or_default());
        let mut part = Model::new(architecture, self.device(), objectives, optimizer)?;
        let weights = self.weights()?;
        let (names, running) = (part.names_of(self), self.engine.is_running());
        let share = self.engine.share.get_or_insert_with(|| {
            let variables = weights.into_iter().map(|own| {
                let kind = TensorType::f32(&own.shape);
                (own.name, (kind, Values::F32(own.values)))
            });
            let variables = variables.collect();
            Share::new(Snapshot { variables }, self.architecture.names.clone())
        });
        let own = part.architecture.parameters();
        let own = own.map(|parameter| parameter.name).collect();
        part.engine.share = Some(share.of_part(own, names));
        if running {
            // In a callback: the run goes on to learn.
            share.claim()?;
        }
        let device = part.device().clone();
        device.block_on(part.share())?;
        Ok(part)
    }

    /// Hands on to models that share the weights what this one has learned, or takes what others have; not within a run.
    pub(super) async fn share(&mut self) -> Result<()> {
        let before = self.engine.known_before.as_ref();
        if before.is_some_and(KnownBefore::is_left) {
            self.settle_dropped().await?;
        }
        let Some(share) = self.engine.share.as_ref() else {
            return Ok(());
        };
        if self.engine.is_running() {
            return Ok(());
        }
        let (learning, last) = (share.is_learning(), share.is_last());
        self.fall_back();
        if learning && !last && self.engine.unread {
            let lost = |error: &Error| matches!(error, Error::DeviceLost { .. });
            let read = self.engine.read().await;
            self.engine.loss_is_told |= read.as_ref().is_err_and(lost);
            read?;
        }
        if let Some(share) = &mut self.engine.share {
            if learning {
                share.hand_on(&self.engine.kept, &self.architecture.names);
                share.release();
            } else if let Some((weights, names)) = share.newer() {
                self.engine.take(weights);
                self.architecture.names.learn(names);
            }
        }
        if last {
            self.engine.share = None;
        }
        Ok(())
    }

    /// Hands on what this model has learned so far, with its run under way.
    pub(super) async fn hand_on_in_run(&mut self) -> Result<()> {
        if self.engine.share.is_none() {
            return Ok(());
        }
        let read = self.engine.read().await;
        // The run goes on.
        self.engine.unread = true;
        match read {
            Err(error @ Error::OutOfMemory { .. }) => {
                tracing::warn!(%error, "no memory to hand on weights before the run ends");
                return Ok(());
            }
            read => read?,
        }
        if let Some(share) = &mut self.engine.share {
            share.hand_on(&self.engine.kept, &self.architecture.names);
        }
        Ok(())
    }

    /// Readies the model to learn: with what models that share its weights have learned, none of which learns as long as it does.
    pub(super) async fn begin_to_learn(&mut self) -> Result<()> {
        loop {
            self.share().await?;
            let claimed = match &mut self.engine.share {
                Some(share) => share.claim()?,
                None => true,
            };
            if claimed {
                return Ok(());
            }
        }
    }

    /// Changes weights, and hands them on.
    pub(super) fn learning<T>(&mut self, change: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.engine.share.is_none() || self.engine.is_running() {
            return change(self);
        }
        let device = self.device().clone();
        device.block_on(self.begin_to_learn())?;
        let changed = change(self);
        let shared = device.block_on(self.share());
        let changed = changed?;
        shared.map(|()| changed)
    }

    /// Whether columns and classes are those of a model that this one has all its weights of: the columns where the inputs are the
    /// same, the classes where the only trained output is.
    fn names_of(&self, from: &Model) -> [bool; 2] {
        let (own, theirs) = (&self.architecture, &from.architecture);
        let output = |model: &Model| match &model.objectives[..] {
            [only] => model.architecture.output_called(&only.output).cloned(),
            _ => None,
        };
        let same_output = match (output(self), output(from)) {
            (Some(here), Some(there)) => {
                let called = theirs.output_called(&here.name);
                called.is_some_and(|called| called.source == there.source)
                    && here.shape == there.shape
            }
            _ => false,
        };
        // What preprocessing was fitted on names the columns by itself.
        let raw = own.preprocessing.is_none() && theirs.preprocessing.is_none();
        [raw && own.inputs == theirs.inputs, same_output]
    }

    /// Sets every tensor of the layers that `from` has under the same name to what it is there, and tells their names: a target
    /// network that follows another one, or a network with some of its layers; a [`part`](Self::part) shares them without. The
    /// optimizer's state stays. Where these are all of its tensors, the names of columns and classes are taken over too, as far as inputs
    /// and output are the same.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where no name is the same or a tensor has another shape, before any is set; what reading and setting
    /// raise.
    pub fn copy_weights(&mut self, from: &mut Model) -> Result<Vec<String>> {
        let own = self.architecture.parameters();
        let own: Vec<(String, Shape)> = own.map(|own| (own.name, own.shape)).collect();
        let mut weights = from.weights()?;
        weights.retain(|weights| own.iter().any(|(name, _)| *name == weights.name));
        let Some(first) = weights.first() else {
            let message = format!(
                "no weight is called as one of the other model: here are {}",
                own.into_iter()
                    .map(|(name, _)| name)
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            return Err(Error::argument("from", message));
        };
        let odd = |weights: &&super::Weights| {
            let shape = (&weights.name, &weights.shape);
            !own.iter().any(|(name, own)| (name, own) == shape)
        };
        if let Some(there) = weights.iter().find(odd) {
            let here = own.iter().find(|(name, _)| *name == there.name);
            let here = here.map_or(&first.shape, |(_, shape)| shape);
            let message = format!("`{}` is {here} here, but {} there", there.name, there.shape);
            return Err(Error::argument("from", message));
        }
        let values = weights.iter();
        self.set_weights(values.map(|own| (own.name.as_str(), &own.values[..])))?;
        if weights.len() == own.len() {
            let [columns, classes] = self.names_of(from);
            let (own, names) = (&mut self.architecture.names, &from.architecture.names);
            if columns && !names.columns.is_empty() {
                own.columns = names.columns.clone();
            }
            if classes && !names.classes.is_empty() {
                own.classes = names.classes.clone();
            }
        }
        Ok(weights.into_iter().map(|own| own.name).collect())
    }

    /// Freezes a layer, or lets training change it again: what the layer's `trainable` says before a model is compiled, without
    /// compiling it anew. Weights stay; optimizer and clock start anew, as in a model that is compiled with them, so that states and
    /// schedules are those of the layers that are trained now. A rate that was [set](Self::set_learning_rate) stays a factor.
    ///
    /// A model that stands as a layer in this one is frozen whole; what is frozen within it stays so.
    ///
    /// ```
    /// use kiln::prelude::*;
    ///
    /// let data = Dataset::from_rows(&[[0.1, 0.9], [0.8, 0.2]], &[[1.0], [0.0]])?;
    /// let base = Dense::new(4).activation(Tanh).named("base").trainable(false);
    /// let network = Sequential::new(2).layer(base).dense(1, Sigmoid);
    /// let mut model = network.compile_on(&Device::cpu(), BinaryCrossentropy, Adam::new(0.01), [])?;
    /// model.fit(&data, Fit::epochs(10).silent())?;
    /// // Fine-tuning: all layers, by small steps.
    /// model.set_trainable("base", true)?;
    /// model.set_learning_rate(1e-4)?;
    /// model.fit(&data, Fit::epochs(10).silent())?;
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where no layer has that name, [`Error::Argument`] where a callback calls it, and what reading the
    /// weights raises.
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> Result<()> {
        self.engine.refuse_in_run("set_trainable")?;
        let members = &self.architecture.members;
        let Some(place) = members.iter().position(|member| member.name == layer) else {
            return Err(Error::not_found(
                "layer",
                layer,
                members.iter().map(|member| &member.name),
            ));
        };
        if members[place].layer.trainable == trainable {
            return Ok(());
        }
        self.engine.close_lost();
        if self.engine.unread {
            let device = self.device().clone();
            device.block_on(self.engine.read())?;
        }
        self.engine.close();
        self.architecture.members[place].layer.trainable = trainable;
        let parameters = self.architecture.parameters();
        let weights: BTreeSet<String> = parameters.map(|parameter| parameter.name).collect();
        let kept = &mut self.engine.kept.variables;
        kept.retain(|name, _| weights.contains(name));
        (self.steps, self.epochs, self.micro) = (0, 0, 1);
        self.unfinished = None;
        Ok(())
    }
}
