//! A model of layers is put together from symbols: every layer becomes a member, every use of it a call.

use std::collections::{HashMap, HashSet};
use std::panic::Location;

use crate::{Error, Result, Shape, TensorType};

use super::functional::{InputSpec, LayerCall, NamedLayer, OutputSpec, TensorSource};
use super::layer_ref::{refused, snake_case};
use super::symbol::{ModelOutput, Symbol, SymbolOrigin};
use super::{Functional, LayerRef, Parameter};

impl Functional {
    /// Adds a call of a layer that gives a tensor of this type.
    pub(super) fn call(
        &mut self,
        layer: &LayerRef,
        inputs: Vec<TensorSource>,
        kind: TensorType,
        location: Option<&'static Location<'static>>,
    ) -> Result<TensorSource> {
        let shape = |&source: &TensorSource| self.type_of(source).shape.clone();
        let shapes: Vec<Shape> = inputs.iter().map(shape).collect();
        let member = self.member(layer, &shapes, location)?;
        self.calls.push(LayerCall {
            member,
            inputs,
            kind,
        });
        Ok(TensorSource::Call(self.calls.len() - 1))
    }

    /// Makes a tensor of the model an output.
    pub(super) fn output(&mut self, name: String, source: TensorSource) {
        let shape = self.type_of(source).shape.clone();
        self.outputs.push(OutputSpec {
            name,
            source,
            shape,
        });
    }

    /// The index of a layer's member; a new one, named, where it is not there yet.
    fn member(
        &mut self,
        layer: &LayerRef,
        inputs: &[Shape],
        location: Option<&'static Location<'static>>,
    ) -> Result<usize> {
        let parameters = layer.parameters(inputs);
        let known = self
            .members
            .iter()
            .position(|member| member.layer.is(layer));
        let Some(known) = known else {
            let name = match &layer.name {
                Some(name) => name.clone(),
                None => self.free_name(layer.class()),
            };
            self.members.push(NamedLayer {
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
            return Err(refused(member.name.clone(), message, location));
        }
        Ok(known)
    }

    /// Keras' automatic name: the class in snake case, numbered from the second on.
    fn free_name(&self, class: &str) -> String {
        let base = snake_case(class);
        let number = |member: &NamedLayer| {
            let rest = member.name.strip_prefix(&base)?;
            let digits = match rest.strip_prefix('_') {
                Some(digits) if !digits.starts_with(['0', '+']) => digits,
                _ => return rest.is_empty().then_some(0),
            };
            digits.parse().ok()
        };
        // Among one more number than there are members, at least one is free.
        let mut taken = vec![false; self.members.len() + 1];
        for number in self.members.iter().filter_map(number) {
            if let Some(taken) = taken.get_mut(number) {
                *taken = true;
            }
        }
        match taken.iter().position(|taken| !taken) {
            None | Some(0) => base,
            Some(number) => format!("{base}_{number}"),
        }
    }
}

/// The model that computes these outputs from these inputs.
///
/// # Errors
///
/// What a layer refuses, names that are taken, inputs that no output depends on.
pub(super) fn assemble(inputs: &[Symbol], outputs: Vec<ModelOutput>) -> Result<Functional> {
    let mut model = Functional::empty();
    let mut sources: HashMap<u64, TensorSource> = HashMap::new();
    for (index, input) in inputs.iter().enumerate() {
        let recorded = input.recorded();
        let SymbolOrigin::Input(name) = &recorded.origin else {
            let message = "must come from `Input`; one of those given is the output of a layer";
            return Err(Error::argument("inputs", message));
        };
        model.inputs.push(InputSpec {
            name: name.clone(),
            kind: recorded.kind.clone()?,
        });
        sources.insert(recorded.serial, TensorSource::Input(index));
    }
    for symbol in in_order(&outputs) {
        let recorded = symbol.recorded();
        let (layer, operands, location) = match &recorded.origin {
            SymbolOrigin::Call {
                layer,
                inputs,
                location,
            } => (layer, inputs, *location),
            SymbolOrigin::Input(name) => {
                if sources.contains_key(&recorded.serial) {
                    continue;
                }
                let message = format!("lack `{name}`, which the outputs are computed from");
                return Err(Error::argument("inputs", message));
            }
        };
        let operands = operands.iter();
        let operands = operands.filter_map(|operand| sources.get(&operand.recorded().serial));
        let made = model.call(
            layer,
            operands.copied().collect(),
            recorded.kind.clone()?,
            Some(location),
        )?;
        sources.insert(recorded.serial, made);
    }
    model.check_names()?;
    for (index, input) in model.inputs.iter().enumerate() {
        let uses = |step: &LayerCall| step.inputs.contains(&TensorSource::Input(index));
        if !model.calls.is_empty() && !model.calls.iter().any(uses) {
            let message = format!("hold `{}`, which no output is computed from", input.name);
            return Err(Error::argument("inputs", message));
        }
    }
    for ModelOutput { name, symbol } in outputs {
        let Some(&source @ TensorSource::Call(_)) = sources.get(&symbol.recorded().serial) else {
            continue;
        };
        let name = name.unwrap_or_else(|| model.name_of(source).into());
        model.output(name, source);
    }
    model.check_names()?;
    Ok(model)
}

/// Every symbol that the outputs depend on, each before those that take it.
fn in_order(outputs: &[ModelOutput]) -> Vec<Symbol> {
    let mut found: Vec<Symbol> = Vec::new();
    let mut seen = HashSet::new();
    let mut open: Vec<Symbol> = outputs.iter().map(|output| output.symbol.clone()).collect();
    while let Some(symbol) = open.pop() {
        if !seen.insert(symbol.recorded().serial) {
            continue;
        }
        if let SymbolOrigin::Call { inputs, .. } = &symbol.recorded().origin {
            open.extend(inputs.iter().cloned());
        }
        found.push(symbol);
    }
    found.sort_by_key(|symbol| symbol.recorded().serial);
    found
}
