//! Symbolic tensors: what the inputs and outputs of layers are while a model is being written.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Result, TensorType};

use super::LayerRef;

/// The inputs of a [`Functional`](super::Functional) model.
#[derive(Debug, Clone, Copy)]
pub struct Input;

impl Input {
    /// An input of that name; `kind` is the shape of one sample, `8` or `[8]` for rows of eight numbers, or shape and type:
    /// `TensorType::u32([12])` for twelve tokens, `TensorType::u8([28, 28, 1])` for an image of bytes, which layers see as
    /// numbers from 0 to 255.
    ///
    /// ```
    /// use kiln::prelude::*;
    ///
    /// let tokens = Input::named("tokens", TensorType::u32([12]));
    /// let image = Input::named("image", TensorType::u8([8, 8, 1]));
    /// let words = Flatten.on(&CategoryEncoding::one_hot(50).on(&tokens));
    /// let pixels = Flatten.on(&Rescaling::new(1.0 / 255.0).on(&image));
    /// let both = Concatenate::default().on([&words, &pixels]);
    /// let model = Functional::new([&tokens, &image], &Dense::new(2).on(&both));
    /// assert_eq!(model.parameter_count(), (12 * 50 + 64 + 1) * 2);
    /// ```
    pub fn named(name: impl Into<String>, kind: impl Into<TensorType>) -> Symbol {
        Symbol::new(SymbolOrigin::Input(name.into()), Ok(kind.into()))
    }
}

/// A tensor of a model that is being written: an input, or what a layer makes of others. Clones are the same tensor.
#[derive(Debug, Clone)]
pub struct Symbol(Arc<Recorded>);

#[derive(Debug)]
pub(crate) struct Recorded {
    /// Numbers in the order of the program, so that what a call takes comes before it.
    pub serial: u64,
    pub origin: SymbolOrigin,
    pub kind: Result<TensorType>,
}

#[derive(Debug)]
pub(crate) enum SymbolOrigin {
    Input(String),
    Call {
        layer: LayerRef,
        inputs: Vec<Symbol>,
        location: &'static Location<'static>,
    },
}

impl Symbol {
    fn new(origin: SymbolOrigin, kind: Result<TensorType>) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        Symbol(Arc::new(Recorded {
            serial,
            origin,
            kind,
        }))
    }

    pub(crate) fn call(
        layer: &LayerRef,
        inputs: Vec<Symbol>,
        location: &'static Location<'static>,
    ) -> Self {
        let kinds = inputs.iter().map(|input| input.0.kind.clone());
        let kinds: Result<Vec<TensorType>> = kinds.collect();
        let kind = kinds.and_then(|kinds| layer.checked_type(&kinds, Some(location)));
        let layer = layer.clone();
        let origin = SymbolOrigin::Call {
            layer,
            inputs,
            location,
        };
        Symbol::new(origin, kind)
    }

    /// The shape and type of a sample, or why there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) of the call that did not fit.
    pub fn kind(&self) -> Result<TensorType> {
        self.0.kind.clone()
    }

    pub(crate) fn recorded(&self) -> &Recorded {
        &self.0
    }
}

/// A list of one: what takes symbols takes `&x` as well as `[&a, &b]` or a vector.
impl<'a> IntoIterator for &'a Symbol {
    type Item = &'a Symbol;
    type IntoIter = std::iter::Once<&'a Symbol>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}

/// An output of a model: a symbol, which is called after its layer, or a pair of a name and a symbol.
#[derive(Debug, Clone)]
pub struct ModelOutput {
    pub(super) name: Option<String>,
    pub(super) symbol: Symbol,
}

impl From<&Symbol> for ModelOutput {
    fn from(symbol: &Symbol) -> Self {
        symbol.clone().into()
    }
}

impl From<Symbol> for ModelOutput {
    fn from(symbol: Symbol) -> Self {
        ModelOutput { name: None, symbol }
    }
}

impl<N: Into<String>> From<(N, &Symbol)> for ModelOutput {
    fn from((name, symbol): (N, &Symbol)) -> Self {
        ModelOutput {
            name: Some(name.into()),
            symbol: symbol.clone(),
        }
    }
}
