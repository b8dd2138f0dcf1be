//! A model of layers is put together from symbols: every layer becomes a member, every use of it a call.

use std::panic::Location;

use crate::{Error, Result, Shape};

use super::functional::{InputSpec, LayerCall, NamedLayer, OutputSpec, TensorSource};
use super::layer_ref::snake_case;
use super::symbol::{Symbol, SymbolOrigin};
use super::{Functional, LayerRef, Parameter};

impl Functional {
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
            return Err(refused(&member.name, message, location));
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

/// The model that computes these outputs from these inputs.
///
/// # Errors
///
/// What a layer refuses, names that are taken, inputs that no output depends on.
pub(super) fn assemble(
    inputs: &[Symbol],
    outputs: Vec<(Option<String>, Symbol)>,
) -> Result<Functional> {
    let mut model = Functional::empty();
    let mut sources: Vec<(u64, TensorSource)> = Vec::new();
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
        sources.push((recorded.serial, TensorSource::Input(index)));
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
        sources.push((recorded.serial, TensorSource::Call(model.calls.len())));
        model.calls.push(LayerCall {
            member,
            inputs: operands,
            kind,
        });
    }
    model.check_names()?;
    for (index, input) in model.inputs.iter().enumerate() {
        let uses = |step: &LayerCall| step.inputs.contains(&TensorSource::Input(index));
        if !model.calls.is_empty() && !model.calls.iter().any(uses) {
            let message = format!("hold `{}`, which no output is computed from", input.name);
            return Err(Error::argument("inputs", message));
        }
    }
    for (name, symbol) in outputs {
        let serial = symbol.recorded().serial;
        let source = sources.iter().find(|(known, _)| *known == serial);
        let Some((_, source @ TensorSource::Call(call))) = source.copied() else {
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
        if let SymbolOrigin::Call { inputs, .. } = &symbol.recorded().origin {
            open.extend(inputs.iter().cloned());
        }
        found.push(symbol);
    }
    found.sort_by_key(|symbol| symbol.recorded().serial);
    found
}
