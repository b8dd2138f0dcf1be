//! The architecture of a model: layers and what flows from one to the next, from any number of inputs to any of outputs.

use std::panic::Location;

use crate::{DType, Error, Preprocessing, Result, Shape, TensorType};

use super::layer_ref::snake_case;
use super::symbol::{Origin, Outputs, Symbol, Symbols};
use super::{LayerRef, Parameter};

/// A network of layers with its inputs and outputs by name: Keras' functional model.
///
/// ```
/// use kiln::prelude::*;
///
/// let a = Input::named("a", 8);
/// let b = Input::named("b", 4);
/// let x = Dense::new(10).activation(Relu).on(&a);
/// let y = Dense::new(10).activation(Relu).on(&b);
/// let joined = Concatenate::new().on([&x, &y]);
/// let price = Dense::new(1).named("price").on(&joined);
/// let kind = Dense::new(3).activation(Softmax).named("kind").on(&joined);
/// let model = Functional::new([&a, &b], [&price, &kind]);
/// assert_eq!(model.parameter_count(), 90 + 50 + 21 + 63);
/// println!("{}", model.summary());
/// ```
///
/// What does not fit, a shape or a name, is told by `compile`, with the line where the layer was put in its place.
///
/// A layer that stands in two models has weights of its own in each; [`Model::set_weights`](crate::train::Model::set_weights) takes them over.
#[derive(Debug, Clone)]
pub struct Functional {
    pub(crate) inputs: Vec<InputSpec>,
    pub(crate) members: Vec<Member>,
    pub(crate) calls: Vec<Step>,
    pub(crate) outputs: Vec<OutputSpec>,
    pub(crate) seed: u64,
    pub(crate) preprocessing: Option<Preprocessing>,
    refusal: Option<Error>,
}

/// An input: its name, and the shape and type of a sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InputSpec {
    pub name: String,
    pub kind: TensorType,
}

impl InputSpec {
    /// Elements of a sample.
    pub fn width(&self) -> usize {
        usize::try_from(self.kind.elements()).unwrap_or(usize::MAX)
    }
}

/// A layer under its name in the model, with what it keeps.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub name: String,
    pub layer: LayerRef,
    pub parameters: Vec<Parameter>,
}

/// A call of a layer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// The member's index.
    pub member: usize,
    pub inputs: Vec<Source>,
    /// The shape and type of a sample's output.
    pub kind: TensorType,
}

/// Where a tensor of the model comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Input(usize),
    Call(usize),
}

/// An output under its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutputSpec {
    pub name: String,
    pub source: Source,
    pub shape: Shape,
}

impl Functional {
    /// The model that computes `outputs` from `inputs`.
    ///
    /// Outputs are called after the layers that make them, as in Keras, or by names given with them:
    /// `[("price", &y), ("kind", &z)]`.
    pub fn new(inputs: impl Symbols, outputs: impl Outputs) -> Self {
        let built = built(&inputs.symbols(), outputs.outputs());
        built.unwrap_or_else(|error| Functional {
            refusal: Some(error),
            ..Functional::empty()
        })
    }

    pub(crate) fn empty() -> Self {
        Functional {
            inputs: Vec::new(),
            members: Vec::new(),
            calls: Vec::new(),
            outputs: Vec::new(),
            seed: 0,
            preprocessing: None,
            refusal: None,
        }
    }

    /// The same, refused for this reason, which goes before any other.
    pub(crate) fn refused(mut self, error: Error) -> Self {
        self.refusal = Some(error);
        self
    }

    /// Sets the seed of the weights, the shuffle and the random layers; default 0.
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

    /// The layers by name, in the order of their first calls.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = (&str, &LayerRef)> {
        self.members
            .iter()
            .map(|member| (member.name.as_str(), &member.layer))
    }

    /// The numbers of a sample over all inputs.
    pub(crate) fn input_width(&self) -> usize {
        let widths = self.inputs.iter().map(|input| input.kind.elements());
        usize::try_from(widths.fold(0, u64::saturating_add)).unwrap_or(usize::MAX)
    }

    /// The numbers of a sample over all outputs.
    pub(crate) fn output_width(&self) -> usize {
        let widths = self.outputs.iter().map(|output| output.shape.elements());
        usize::try_from(widths.fold(0, u64::saturating_add)).unwrap_or(usize::MAX)
    }

    /// The numbers of a sample of the output of that number.
    pub(crate) fn width_of(&self, output: usize) -> usize {
        let elements = self
            .outputs
            .get(output)
            .map_or(0, |output| output.shape.elements());
        usize::try_from(elements).unwrap_or(usize::MAX)
    }

    /// The positions of an output, and the columns of each: `[…, columns]`. An output of one dimension has one position.
    pub(crate) fn places_of(&self, output: usize) -> (usize, usize) {
        let shape = self.outputs.get(output).map(|output| &output.shape);
        shape.map_or((1, 0), Shape::rows_and_columns)
    }

    pub(crate) fn type_of(&self, source: Source) -> &TensorType {
        match source {
            Source::Input(index) => &self.inputs[index].kind,
            Source::Call(index) => &self.calls[index].kind,
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        for member in &self.members {
            member.layer.layer.validate()?;
            for parameter in &member.parameters {
                let name = || format!("{}/{}", member.name, parameter.name);
                if let Some(constraint) = parameter.constraint {
                    constraint.check_axis(name, parameter.shape.rank())?;
                }
            }
        }
        if let Some(error) = &self.refusal {
            return Err(error.clone());
        }
        for InputSpec { name, kind } in &self.inputs {
            if kind.elements() == 0 {
                let message = format!("`{name}` needs at least one number a sample, got {kind}");
                return Err(Error::argument("inputs", message));
            }
            if kind.dtype == DType::F16 {
                let message = format!("`{name}` is f32, u32 or u8 as data are, got {kind}");
                return Err(Error::argument("inputs", message));
            }
        }
        for OutputSpec { name, source, .. } in &self.outputs {
            let kind = self.type_of(*source);
            if kind.widened().dtype != DType::F32 {
                let message = format!("`{name}` must be numbers, f32, got {kind}");
                return Err(Error::argument("outputs", message));
            }
        }
        let made = self.calls.iter().map(|call| {
            let name = self.members.get(call.member).map(|member| &member.name);
            (name, &call.kind.shape)
        });
        let taken = self
            .inputs
            .iter()
            .map(|input| (Some(&input.name), &input.kind.shape));
        if let Some((name, shape)) = taken.chain(made).find(|(_, shape)| !shape.is_possible()) {
            let name = name.map_or("a layer", String::as_str);
            let message =
                format!("`{name}` is {shape} a sample, which is more than any machine holds");
            return Err(Error::argument("layers", message));
        }
        if self.calls.is_empty() {
            return Err(Error::argument(
                "layers",
                "a model needs at least one layer between its inputs and outputs",
            ));
        }
        let width = self.input_width();
        if self.preprocessing.is_some() && self.inputs.len() != 1 {
            let message = format!("needs a model of one input, got {}", self.inputs.len());
            return Err(Error::argument("preprocessing", message));
        }
        let typed = self
            .inputs
            .iter()
            .find(|input| input.kind.dtype != DType::F32);
        if let (Some(_), Some(input)) = (&self.preprocessing, typed) {
            let message = format!(
                "makes numbers, f32, but the model's input is {}",
                input.kind
            );
            return Err(Error::argument("preprocessing", message));
        }
        let made = self.preprocessing.as_ref().map(Preprocessing::outputs);
        if let Some(columns) = made.filter(|&columns| columns != width) {
            let message = format!("makes {columns} columns, but the model has {width} inputs");
            return Err(Error::argument("preprocessing", message));
        }
        Ok(())
    }

    /// Refuses, by its name, what keeps the model from being trained dense layers one behind the other.
    pub(crate) fn dense_chain(&self) -> Result<(), String> {
        let odd =
            |member: &&Member| member.layer.layer.class() != "Dense" || !member.layer.trainable;
        match self.members.iter().find(odd) {
            Some(member) => Err(format!("`{}`", member.name)),
            None if !self.is_chain() || self.calls.len() != self.members.len() => {
                Err("a model with branches".into())
            }
            None => {
                let plain = |kind: &TensorType| kind.shape.rank() == 1 && kind.dtype == DType::F32;
                match self.inputs.iter().find(|input| !plain(&input.kind)) {
                    Some(input) => Err(format!("an input {}", input.kind)),
                    None => Ok(()),
                }
            }
        }
    }

    /// The index of a layer's member; a new one, named, where it is not there yet.
    pub(crate) fn member(
        &mut self,
        layer: &LayerRef,
        inputs: &[Shape],
        location: Option<&'static Location<'static>>,
    ) -> Result<usize> {
        let parameters = layer.layer.parameters(inputs);
        let known = self
            .members
            .iter()
            .position(|member| member.layer.is(layer));
        let Some(known) = known else {
            let name = match &layer.name {
                Some(name) => name.clone(),
                None => self.free_name(layer.layer.class()),
            };
            self.members.push(Member {
                name,
                layer: layer.clone(),
                parameters,
            });
            return Ok(self.members.len() - 1);
        };
        let member = &self.members[known];
        if (&member.layer.name, member.layer.trainable) != (&layer.name, layer.trainable) {
            let message = "is used under two names, or both frozen and trained; clone the handle that has the name";
            return Err(Error::argument(
                "layers",
                format!("`{}` {message}", member.name),
            ));
        }
        if member.parameters != parameters {
            let kinds = |parameters: &[Parameter]| -> Vec<String> {
                let kind = |p: &Parameter| format!("{} {}", p.name, p.shape);
                parameters.iter().map(kind).collect()
            };
            let (has, needs) = (kinds(&member.parameters), kinds(&parameters));
            let message = format!(
                "the shared layer keeps {}, but would need {} here",
                has.join(", "),
                needs.join(", ")
            );
            return Err(refused(&member.name, message, location));
        }
        Ok(known)
    }

    /// Keras' automatic name: the class in snake case, numbered from the second on.
    fn free_name(&self, class: &str) -> String {
        let base = snake_case(class);
        let taken = |name: &str| {
            let named = |member: &Member| member.name == name;
            self.members.iter().any(named)
        };
        let numbered = (1..).map(|number| format!("{base}_{number}"));
        std::iter::once(base.clone())
            .chain(numbered)
            .find(|name| !taken(name))
            .unwrap_or(base)
    }

    /// Refuses names that two layers, inputs or outputs have in common.
    pub(crate) fn check_names(&self) -> Result<()> {
        let kinds: [(&'static str, Vec<&str>); 3] = [
            (
                "inputs",
                self.inputs.iter().map(|i| i.name.as_str()).collect(),
            ),
            (
                "layers",
                self.members.iter().map(|m| m.name.as_str()).collect(),
            ),
            (
                "outputs",
                self.outputs.iter().map(|o| o.name.as_str()).collect(),
            ),
        ];
        for (kind, names) in kinds {
            for (i, name) in names.iter().enumerate() {
                if names[..i].contains(name) {
                    let message = format!("need names of their own, but two are called `{name}`");
                    return Err(Error::argument(kind, message));
                }
                if name.is_empty() || name.contains('/') {
                    let message =
                        format!("need names without `/` that are not empty, got `{name}`");
                    return Err(Error::argument(kind, message));
                }
            }
        }
        Ok(())
    }
}

/// An error of shapes, with the line if there is one.
pub(crate) fn refused(
    op: &str,
    message: String,
    location: Option<&'static Location<'static>>,
) -> Error {
    match location {
        Some(location) => Error::Shape {
            op: op.into(),
            message,
            location,
        },
        None => Error::data(format!("{op}: {message}")),
    }
}

/// The model behind these symbols.
fn built(inputs: &[Symbol], outputs: Vec<(Option<String>, Symbol)>) -> Result<Functional> {
    let mut model = Functional::empty();
    let mut sources: Vec<(u64, Source)> = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        let recorded = input.recorded();
        let Origin::Input(name) = &recorded.origin else {
            let message = "must come from `Input`; one of those given is the output of a layer";
            return Err(Error::argument("inputs", message));
        };
        model.inputs.push(InputSpec {
            name: name.clone(),
            kind: recorded.kind.clone()?,
        });
        sources.push((recorded.serial, Source::Input(index)));
    }
    for symbol in in_order(&outputs) {
        let recorded = symbol.recorded();
        let (layer, operands, location) = match &recorded.origin {
            Origin::Call {
                layer,
                inputs,
                location,
            } => (layer, inputs, *location),
            Origin::Input(name) => {
                if sources.iter().any(|(serial, _)| *serial == recorded.serial) {
                    continue;
                }
                let message = format!("lack `{name}`, which the outputs are computed from");
                return Err(Error::argument("inputs", message));
            }
        };
        let kind = recorded.kind.clone()?;
        let shapes = operands
            .iter()
            .map(Symbol::shape)
            .collect::<Result<Vec<_>>>()?;
        let member = model.member(layer, &shapes, Some(location))?;
        let find = |operand: &Symbol| {
            let serial = operand.recorded().serial;
            let known = sources.iter().find(|(known, _)| *known == serial);
            known.map(|(_, source)| *source)
        };
        let operands = operands.iter().filter_map(find).collect();
        sources.push((recorded.serial, Source::Call(model.calls.len())));
        model.calls.push(Step {
            member,
            inputs: operands,
            kind,
        });
    }
    model.check_names()?;
    for (index, input) in model.inputs.iter().enumerate() {
        let uses = |step: &Step| step.inputs.contains(&Source::Input(index));
        if !model.calls.is_empty() && !model.calls.iter().any(uses) {
            let message = format!("hold `{}`, which no output is computed from", input.name);
            return Err(Error::argument("inputs", message));
        }
    }
    for (name, symbol) in outputs {
        let serial = symbol.recorded().serial;
        let source = sources.iter().find(|(known, _)| *known == serial);
        let Some((_, source @ Source::Call(call))) = source.copied() else {
            continue;
        };
        let layer = &model.members[model.calls[call].member].name;
        let name = name.unwrap_or_else(|| layer.clone());
        let shape = model.calls[call].kind.shape.clone();
        model.outputs.push(OutputSpec {
            name,
            source,
            shape,
        });
    }
    model.check_names()?;
    Ok(model)
}

/// Every symbol that the outputs depend on, each before those that take it.
fn in_order(outputs: &[(Option<String>, Symbol)]) -> Vec<Symbol> {
    let mut found: Vec<Symbol> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut open: Vec<Symbol> = outputs.iter().map(|(_, symbol)| symbol.clone()).collect();
    while let Some(symbol) = open.pop() {
        if !seen.insert(symbol.recorded().serial) {
            continue;
        }
        if let Origin::Call { inputs, .. } = &symbol.recorded().origin {
            open.extend(inputs.iter().cloned());
        }
        found.push(symbol);
    }
    found.sort_by_key(|symbol| symbol.recorded().serial);
    found
}
