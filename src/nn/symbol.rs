//! Symbolic tensors: what the inputs and outputs of layers are while a model is being written.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Shape, TensorType};

use super::LayerRef;
use super::layer_ref::snake_case;

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
    /// let both = Concatenate::new().on([&words, &pixels]);
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
    pub kind: Result<TensorType, Error>,
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
    fn new(origin: SymbolOrigin, kind: Result<TensorType, Error>) -> Self {
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
        let nothing = || Error::Shape {
            op: snake_case(layer.layer.class()),
            message: "takes at least one input, got none".into(),
            location,
        };
        let kinds: Result<Vec<TensorType>, Error> = if inputs.is_empty() {
            Err(nothing())
        } else {
            inputs.iter().map(|input| input.0.kind.clone()).collect()
        };
        let kind = kinds.and_then(|kinds| {
            let refused = |message| Error::Shape {
                op: match &layer.name {
                    Some(name) => name.clone(),
                    None => snake_case(layer.layer.class()),
                },
                message,
                location,
            };
            layer.output_type(&kinds).map_err(refused)
        });
        let layer = layer.clone();
        let origin = SymbolOrigin::Call {
            layer,
            inputs,
            location,
        };
        Symbol::new(origin, kind)
    }

    /// The shape of a sample, or why there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] of the call that did not fit.
    pub fn shape(&self) -> Result<Shape, Error> {
        self.kind().map(|kind| kind.shape)
    }

    /// The shape and type of a sample, or why there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] of the call that did not fit.
    pub fn kind(&self) -> Result<TensorType, Error> {
        self.0.kind.clone()
    }

    pub(crate) fn recorded(&self) -> &Recorded {
        &self.0
    }
}

/// One symbol or several: `&x`, `[&a, &b]`, a vector of them.
pub trait Symbols {
    /// The symbols, in order.
    fn symbols(self) -> Vec<Symbol>;
}

impl Symbols for &Symbol {
    fn symbols(self) -> Vec<Symbol> {
        vec![self.clone()]
    }
}

impl<const N: usize> Symbols for [&Symbol; N] {
    fn symbols(self) -> Vec<Symbol> {
        self.into_iter().cloned().collect()
    }
}

impl<const N: usize> Symbols for [Symbol; N] {
    fn symbols(self) -> Vec<Symbol> {
        self.into()
    }
}

impl Symbols for &[Symbol] {
    fn symbols(self) -> Vec<Symbol> {
        self.to_vec()
    }
}

impl Symbols for &Vec<Symbol> {
    fn symbols(self) -> Vec<Symbol> {
        self.clone()
    }
}

impl Symbols for Vec<Symbol> {
    fn symbols(self) -> Vec<Symbol> {
        self
    }
}

/// The outputs of a model: symbols, which are called after their layers, or pairs of a name and a symbol.
pub trait Outputs {
    /// The symbols, with the names that were given.
    fn outputs(self) -> Vec<(Option<String>, Symbol)>;
}

impl<S: Symbols> Outputs for S {
    fn outputs(self) -> Vec<(Option<String>, Symbol)> {
        let unnamed = |symbol| (None, symbol);
        self.symbols().into_iter().map(unnamed).collect()
    }
}

impl<N: Into<String>, const M: usize> Outputs for [(N, &Symbol); M] {
    fn outputs(self) -> Vec<(Option<String>, Symbol)> {
        let named = |(name, symbol): (N, &Symbol)| (Some(name.into()), symbol.clone());
        self.into_iter().map(named).collect()
    }
}
