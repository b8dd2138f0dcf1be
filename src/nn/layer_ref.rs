//! A layer as models hold it: shared where it is cloned, with a name, frozen or not.

use std::borrow::Borrow;
use std::panic::Location;
use std::sync::Arc;

use crate::{Error, Result, TensorType};

use super::Layer;
use super::layer::refused_line;
use super::symbol::Symbol;

/// A layer with what a model knows of it. Clones are the same layer: they share their weights.
///
/// ```
/// use kiln::prelude::*;
///
/// let encoder = Dense::new(4).activation(Tanh).named("encoder");
/// let (a, b) = (Input::named("a", 8), Input::named("b", 8));
/// let both = Concatenate::default().on([&encoder.on(&a), &encoder.on(&b)]);
/// let model = Functional::new([&a, &b], &Dense::new(1).on(&both));
/// assert_eq!(model.parameter_count(), 8 * 4 + 4 + 8 + 1);
/// ```
#[derive(Debug, Clone)]
pub struct LayerRef {
    pub(crate) layer: Arc<dyn Layer>,
    pub(crate) name: Option<String>,
    pub(crate) trainable: bool,
}

impl<L: Layer + 'static> From<L> for LayerRef {
    fn from(layer: L) -> Self {
        LayerRef {
            layer: Arc::new(layer),
            name: None,
            trainable: true,
        }
    }
}

impl std::ops::Deref for LayerRef {
    type Target = dyn Layer + 'static;

    fn deref(&self) -> &Self::Target {
        &*self.layer
    }
}

impl LayerRef {
    /// Gives the layer a name of its own, unique within its model.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether training changes its weights; default true.
    pub fn trainable(mut self, trainable: bool) -> Self {
        self.trainable = trainable;
        self
    }

    /// The layer's output on these inputs; every call shares the weights.
    #[track_caller]
    pub fn on(&self, inputs: impl IntoIterator<Item: Borrow<Symbol>>) -> Symbol {
        let inputs = inputs.into_iter().map(|input| input.borrow().clone());
        Symbol::call(self, inputs.collect(), Location::caller())
    }

    /// The type of a sample's output for inputs of these types, of which bytes are numbers to a layer; refused under the
    /// layer's name, or that of its class, with the line if there is one.
    pub(crate) fn checked_type(
        &self,
        inputs: &[TensorType],
        location: Option<&'static Location<'static>>,
    ) -> Result<TensorType> {
        let class = || snake_case(self.class());
        let name = || self.name.clone().unwrap_or_else(class);
        if inputs.is_empty() {
            let message = "takes at least one input, got none";
            return Err(refused(name(), message.into(), location));
        }
        let widened: Vec<TensorType> = inputs.iter().map(TensorType::widened).collect();
        refused_line();
        self.output_type(&widened).map_err(|message| {
            // A closure's line is nearer to the cause than that of its place in the model; a line of Kiln's is not.
            // By its length: separators differ between systems.
            let kiln = &file!()[..file!().len() - "nn/layer_ref.rs".len()];
            let own = refused_line().filter(|line| !line.file().starts_with(kiln));
            refused(name(), message, own.or(location))
        })
    }

    /// Whether both are one layer.
    pub(crate) fn is(&self, other: &LayerRef) -> bool {
        Arc::ptr_eq(&self.layer, &other.layer)
    }
}

/// An error of shapes, with the line if there is one.
pub(crate) fn refused(
    op: String,
    message: String,
    location: Option<&'static Location<'static>>,
) -> Error {
    match location {
        Some(location) => Error::Shape {
            op,
            message,
            location,
        },
        None => Error::data(format!("{op}: {message}")),
    }
}

/// Keras' name of a layer of that class: `BatchNormalization` is `batch_normalization`, `ReLU` is `re_lu`.
pub(crate) fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().filter(|c| c.is_alphanumeric()).collect();
    let mut name = String::new();
    for (i, &letter) in letters.iter().enumerate() {
        let lower = |i: usize| letters.get(i).is_some_and(|c| c.is_lowercase());
        let begins = letter.is_uppercase() && i > 0 && (lower(i - 1) || lower(i + 1));
        if begins && !name.ends_with('_') {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_classes_are_those_of_keras() {
        let names = [
            ("Dense", "dense"),
            ("RepeatVector", "repeat_vector"),
            ("BatchNormalization", "batch_normalization"),
            ("ReLU", "re_lu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("PReLU", "p_re_lu"),
            ("GRU", "gru"),
            ("Conv2D", "conv2d"),
        ];
        for (class, name) in names {
            assert_eq!(snake_case(class), name);
        }
    }
}
