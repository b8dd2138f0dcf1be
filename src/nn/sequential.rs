//! A stack of layers, each feeding the next.

use std::panic::Location;

use crate::{Error, Preprocessing, Scaler, TensorType};

use super::symbol::Symbol;
use super::{Activation, Dense, Functional, Input, LayerRef};

/// Layers in order, and the seed of their weights: a way of writing a [`Functional`] model without branches.
///
/// ```
/// use kiln::prelude::*;
///
/// let model = Sequential::new(8).dense(10, Relu).dense(8, Relu).dense(1, Sigmoid);
/// assert_eq!(model.parameter_count(), 187);
///
/// let images = Sequential::new([28, 28]).layer(Flatten).dense(10, Softmax);
/// assert_eq!(images.parameter_count(), 7850);
/// ```
#[derive(Debug, Clone)]
pub struct Sequential {
    inputs: TensorType,
    layers: Vec<(LayerRef, &'static Location<'static>)>,
    seed: u64,
    preprocessing: Option<Preprocessing>,
    target_scaling: Option<Scaler>,
}

impl Sequential {
    /// A model that takes samples of this shape, `8` or `[8]` for rows of eight numbers, and has no layers yet. Samples of
    /// another type than f32 say so: `TensorType::u8([28, 28, 1])`, see [`Input::named`].
    pub fn new(inputs: impl Into<TensorType>) -> Self {
        Sequential {
            inputs: inputs.into(),
            layers: Vec::new(),
            seed: 0,
            preprocessing: None,
            target_scaling: None,
        }
    }

    /// Adds a dense layer with Keras' defaults.
    #[track_caller]
    pub fn dense(self, units: usize, activation: Activation) -> Self {
        self.layer(Dense::new(units).activation(activation))
    }

    /// Adds a layer.
    #[track_caller]
    pub fn layer(mut self, layer: impl Into<LayerRef>) -> Self {
        self.layers.push((layer.into(), Location::caller()));
        self
    }

    /// Sets the seed of the weights and of the shuffle; default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Transforms the inputs of training, evaluation and prediction, and is saved with the model: fitted steps, or a
    /// [`Scaler`](crate::Scaler) alone.
    pub fn preprocessing(mut self, preprocessing: impl Into<Preprocessing>) -> Self {
        self.preprocessing = Some(preprocessing.into());
        self
    }

    /// Scales the targets in training and brings predictions back to their unit, as [`Functional::target_scaling`] does for the only
    /// output.
    ///
    /// ```
    /// use kiln::prelude::*;
    ///
    /// let prices = Dataset::from_rows(&[[1.0], [2.0], [3.0]], &[[200e3], [400e3], [600e3]])?;
    /// let network = Sequential::new(1).dense(1, Linear);
    /// let network = network.preprocessing(Scaler::standard(&prices)?).target_scaling(Scaler::targets(&prices)?);
    /// let metrics = [Metric::MeanAbsoluteError];
    /// let mut model = network.compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.1), metrics)?;
    /// model.fit(&prices, Fit::epochs(200).silent())?;
    /// let said = model.predict(&[[2.5]])?.values[0];
    /// assert!((said - 500e3).abs() < 5e3, "{said}");
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn target_scaling(mut self, scaler: Scaler) -> Self {
        self.target_scaling = Some(scaler);
        self
    }

    /// The number of numbers that the layers keep, trained or not.
    pub fn parameter_count(&self) -> usize {
        Functional::from(self).parameter_count()
    }

    /// A table of the layers with output shapes and parameter counts.
    pub fn summary(&self) -> String {
        Functional::from(self).summary()
    }
}

impl From<&Sequential> for Functional {
    fn from(sequential: &Sequential) -> Self {
        let input = Input::named("input", &sequential.inputs);
        let next = |x: Symbol, (layer, location): &(LayerRef, &'static Location<'static>)| {
            Symbol::call(layer, vec![x], location)
        };
        let output = sequential.layers.iter().fold(input.clone(), next);
        let mut model = Functional::new(&input, &output).seed(sequential.seed);
        if sequential.layers.is_empty() {
            model = model.refused(Error::argument(
                "layers",
                "a model needs at least one layer; add one with `dense` or `layer`",
            ));
        }
        if sequential.inputs.elements() == 0 {
            let got = &sequential.inputs;
            model = model.refused(Error::argument(
                "inputs",
                format!("a model needs at least one input number, got {got}"),
            ));
        }
        if let (Some(scaler), [only]) = (&sequential.target_scaling, &model.outputs[..]) {
            let name = only.name.clone();
            model = model.target_scaling(name, scaler.clone());
        }
        match sequential.preprocessing.clone() {
            Some(preprocessing) => model.preprocessing(preprocessing),
            None => model,
        }
    }
}

impl From<Sequential> for Functional {
    fn from(sequential: Sequential) -> Self {
        Functional::from(&sequential)
    }
}

impl From<&Functional> for Functional {
    fn from(model: &Functional) -> Self {
        model.clone()
    }
}
