//! The tensors of a model's layers, read and set by name.

use crate::nn::{Applied, Parameter};
use crate::op::rate;
use crate::optim::CommonSettings;
use crate::{Error, Graph, Result, Session, Shape, Snapshot, Tensor, TensorType, Values};

use super::Model;
use super::programs::{Capacity, RowProgram};
use super::recovery::Recovery;

/// A layer's tensor on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// The tensor's name: `dense/kernel`, `dense/bias`, `dense_1/kernel` …
    pub name: String,
    /// The tensor's shape; kernels are `[inputs, units]`.
    pub shape: Shape,
    /// The tensor's elements, row-major.
    pub values: Vec<f32>,
}

impl Model {
    /// Every tensor that the layers keep, trained or not, in order.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`] where what the model has learned is on a device that was lost; memory, a device that fails.
    pub fn weights(&mut self) -> Result<Vec<Weights>> {
        let device = self.device().clone();
        device.block_on(self.share())?;
        self.through_losses(Self::weights_now)
    }

    fn weights_now(&mut self) -> Result<Vec<Weights>> {
        self.engine.close_lost();
        let parameters: Vec<Parameter> = self.architecture.parameters().collect();
        let mut weights = Vec::new();
        for (index, parameter) in parameters.into_iter().enumerate() {
            weights.push(Weights {
                values: self.weight(index, &parameter)?,
                shape: parameter.shape,
                name: parameter.name,
            });
        }
        Ok(weights)
    }

    /// The elements of the parameter of that number.
    fn weight(&mut self, index: usize, parameter: &Parameter) -> Result<Vec<f32>> {
        // What the host knows needs no device, which may be gone for good.
        if self.engine.unread || self.engine.open.is_some() {
            let session = self.session_now()?;
            if session.plan().variable(&parameter.name).is_ok() {
                return session.read(&parameter.name);
            }
        }
        // A session for prediction does without what only training reads.
        let kept = self.engine.kept.variables.get(&parameter.name);
        let kept = kept.and_then(|(_, values)| values.to_f32());
        Ok(kept.unwrap_or_else(|| parameter.drawn(self.architecture.seed, index as u64)))
    }

    /// Puts the running means of the weights in their place, where the optimizer keeps some: what Keras' `fit` ends with,
    /// `finalize_variable_values`. Before the first update there are none.
    pub(super) async fn finalize_averages(&mut self, steps: u64) -> Result<()> {
        let parts = u64::from(self.micro);
        let Some(mut config) = self.optimizer.config() else {
            return Ok(());
        };
        let common = config.common_mut();
        let batches = u64::from(common.gradient_accumulation_steps);
        if !common.use_ema || steps < batches {
            return Ok(());
        }
        let updates = self.steps / batches.saturating_mul(parts);
        let parameters: Vec<Parameter> = self.architecture.parameters().collect();
        let open = self.opened(Capacity::default()).await?;
        let (session, handles) = open.program(RowProgram::Train)?;
        let rates = session.get_floats(handles.rates).await?;
        let skipped = rates.get(rate::SKIPPED).map_or(0, |&count| count as u64);
        if updates <= skipped {
            return Ok(());
        }
        for parameter in parameters.iter().filter(|parameter| parameter.trainable) {
            let mean = format!("{}.average", parameter.name);
            let mean = session.read_values_async(&mean).await?;
            let kind = TensorType::f32(&parameter.shape);
            let variables = std::iter::once((parameter.name.clone(), (kind, mean)));
            let variables = variables.collect();
            session.restore(&Snapshot { variables })?;
        }
        Ok(())
    }

    /// The model's outputs for tensors of a graph, as [`Functional::apply`](crate::nn::Functional::apply) records them, with its
    /// weights as they are now. [`take_weights`](Self::take_weights) brings back what the graph's programs make of them.
    ///
    /// ```
    /// use kiln::prelude::*;
    /// use kiln::Plan;
    ///
    /// let model = Sequential::new(2).dense(1, Linear);
    /// let mut model = model.compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])?;
    /// let graph = Graph::new();
    /// let x = graph.constant([1, 2], &[0.5, -1.0]);
    /// let applied = model.apply(&graph, &x)?;
    /// // A step that makes the output smaller.
    /// let sgd = Sgd::new(0.1);
    /// let clock = graph.clock("clock", 1, sgd.rates());
    /// let updates = sgd.minimize(&applied.outputs[0].sum(), &applied.trainable(), &clock);
    /// let plan = Plan::compile(&graph, model.device().target(), [Program::new("step").update(&updates)])?;
    /// let mut session = model.device().open(&plan)?;
    /// let before = model.predict(&[[0.5, -1.0]])?.values[0];
    /// session.run("step", 1)?;
    /// model.take_weights(&applied, &mut session)?;
    /// assert!(model.predict(&[[0.5, -1.0]])?.values[0] < before);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`weights`](Self::weights); [`Error::Shape`] for tensors that are not what the model takes.
    #[track_caller]
    pub fn apply(&mut self, graph: &Graph, inputs: impl AsRef<[Tensor]>) -> Result<Applied> {
        let values = self.weights()?.into_iter().map(|weights| weights.values);
        let architecture = &self.architecture;
        architecture.apply_with(graph, inputs.as_ref(), values)
    }

    /// Sets all weights to those that `applied` has in a session of its graph.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where it is a model of other weights; a session without them, a device that fails.
    pub fn take_weights(&mut self, applied: &Applied, session: &mut Session) -> Result<()> {
        let own: Vec<Parameter> = self.architecture.parameters().collect();
        let theirs = applied.weights();
        let same = |(own, (_, tensor)): (&Parameter, &(&str, &Tensor))| own.shape == tensor.shape();
        if own.len() != theirs.len() || !own.iter().zip(&theirs).all(same) {
            let shapes = |shapes: Vec<Shape>| {
                let told: Vec<String> = shapes.iter().map(Shape::to_string).collect();
                told.join(", ")
            };
            let message = format!(
                "must be of this model, which keeps {}, got {}",
                shapes(own.iter().map(|own| own.shape.clone()).collect()),
                shapes(theirs.iter().map(|(_, tensor)| tensor.shape()).collect())
            );
            return Err(Error::argument("applied", message));
        }
        let mut values = Vec::new();
        for (own, (name, _)) in own.iter().zip(theirs) {
            values.push((own.name.as_str(), session.read(name)?));
        }
        self.set_weights(values.iter().map(|(name, values)| (*name, &values[..])))
    }

    /// Sets tensors of layers by name, row-major; those not named stay.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for a name that no tensor has, with those that there are; [`Error::Argument`] where there are more or
    /// fewer values than the tensor has elements; a device that fails. Tensors that come before the one refused are set.
    pub fn set_weights<'a>(
        &mut self,
        weights: impl IntoIterator<Item = (&'a str, &'a [f32])>,
    ) -> Result<()> {
        self.learning(|model| {
            let device = model.device().clone();
            device.block_on(model.set_weights_async(weights))
        })
    }

    /// [`set_weights`](Self::set_weights) without blocking the thread, and without telling models that share them.
    pub(super) async fn set_weights_async<'a>(
        &mut self,
        weights: impl IntoIterator<Item = (&'a str, &'a [f32])>,
    ) -> Result<()> {
        let known: Vec<Parameter> = self.architecture.parameters().collect();
        for (name, values) in weights {
            let Some(parameter) = known.iter().find(|known| known.name == name) else {
                return Err(Error::not_found(
                    "weight",
                    name,
                    known.into_iter().map(|known| known.name),
                ));
            };
            if values.len() != parameter.elements() {
                let (shape, got) = (&parameter.shape, values.len());
                let message = format!("`{name}` is {shape}, but {got} values were given");
                return Err(Error::argument("weights", message));
            }
            self.engine.close_lost();
            // A model that nobody has used yet takes no device's memory for it.
            if self.engine.open.is_some() {
                let mut tries = Recovery::default().tries;
                while let Err(error) = self.write_weight(name, values).await {
                    self.engine.try_again(&mut tries, error)?;
                }
            }
            let kind = TensorType::f32(&parameter.shape);
            let value = (kind, Values::F32(values.to_vec()));
            self.engine.kept.variables.insert(name.into(), value);
        }
        Ok(())
    }

    /// Writes a weight into the open session, where its programs read that.
    async fn write_weight(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let session = self.session(Capacity::default()).await?;
        match session.plan().variable(name) {
            Ok(_) => session.write(name, values),
            Err(_) => Ok(()),
        }
    }
}
