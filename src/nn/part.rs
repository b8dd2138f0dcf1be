//! A part of a model, between tensors of it by name, as a model of its own.

use std::collections::HashMap;

use crate::{Error, Result};

use super::Functional;
use super::functional::{InputSpec, LayerCall, OutputSpec, TensorSource};

impl Functional {
    /// The part that computes these outputs from these inputs: each an input, an output or a layer by its name. Layers keep their
    /// names, and so do the tensors that they keep.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for a name that nothing has; [`Error::Argument`] for a layer that is called several times, for inputs
    /// that do not suffice and for those that no output is computed from.
    pub(crate) fn part(&self, inputs: &[&str], outputs: &[&str]) -> Result<Functional> {
        let mut part = Functional::empty().seed(self.seed);
        let mut sources: HashMap<TensorSource, TensorSource> = HashMap::new();
        for (index, name) in inputs.iter().enumerate() {
            let source = self.source_called("inputs", name)?;
            part.inputs.push(InputSpec {
                name: name.to_string(),
                kind: self.type_of(source).clone(),
            });
            sources.insert(source, TensorSource::Input(index));
        }
        let ends = outputs.iter();
        let ends = ends.map(|name| self.source_called("outputs", name));
        let ends = ends.collect::<Result<Vec<_>>>()?;
        for index in self.needed(&ends, &sources)? {
            let call = &self.calls[index];
            let member = &self.members[call.member];
            let operands = call.inputs.iter();
            let operands = operands.filter_map(|operand| sources.get(operand).copied());
            let layer = member.layer.clone().named(&member.name);
            let made = part.call(&layer, operands.collect(), call.kind.clone(), None)?;
            sources.insert(TensorSource::Call(index), made);
        }
        for (name, end) in outputs.iter().zip(ends) {
            match sources.get(&end) {
                Some(&source @ TensorSource::Call(_)) => part.output(name.to_string(), source),
                _ => {
                    let message = format!("hold `{name}`, which is an input of the part itself");
                    return Err(Error::argument("outputs", message));
                }
            }
        }
        for (index, name) in inputs.iter().enumerate() {
            let uses = |call: &LayerCall| call.inputs.contains(&TensorSource::Input(index));
            if !part.calls.iter().any(uses) {
                let message = format!("hold `{name}`, which no output is computed from");
                return Err(Error::argument("inputs", message));
            }
        }
        part.check_names()?;
        if part.inputs == self.inputs {
            part.preprocessing.clone_from(&self.preprocessing);
        }
        for name in outputs {
            let output = self.output_called(name);
            if let Some(scaler) = output.and_then(|output| self.scaler_of(&output.name)) {
                part.target_scaling.push((name.to_string(), scaler.clone()));
            }
        }
        Ok(part)
    }

    /// The output that has this name, or is what the layer of this name gives.
    pub(crate) fn output_called(&self, name: &str) -> Option<&OutputSpec> {
        let source = self.source_called("outputs", name).ok()?;
        let own = |output: &&OutputSpec| output.source == source;
        let named = self.outputs.iter().find(|output| output.name == name);
        named.or_else(|| self.outputs.iter().find(own))
    }

    /// The tensor of that name: an input, an output, or what a layer gives.
    fn source_called(&self, what: &'static str, name: &str) -> Result<TensorSource> {
        let input = self.inputs.iter().position(|input| input.name == name);
        let output = self.outputs.iter().find(|output| output.name == name);
        if let Some(source) = input
            .map(TensorSource::Input)
            .or(output.map(|output| output.source))
        {
            return Ok(source);
        }
        let calls = self.calls.iter().enumerate();
        let mut calls = calls.filter(|(_, call)| self.members[call.member].name == name);
        match (calls.next(), calls.next()) {
            (Some((index, _)), None) => Ok(TensorSource::Call(index)),
            (Some(_), Some(_)) => {
                let message = format!("hold `{name}`, a layer that is called several times");
                Err(Error::argument(what, message))
            }
            (None, _) => {
                let inputs = self.inputs.iter().map(|input| &input.name);
                let layers = self.members.iter().map(|member| &member.name);
                Err(Error::not_found(
                    "input, output or layer",
                    name,
                    inputs.chain(layers),
                ))
            }
        }
    }

    /// The calls that these tensors are computed by from those that are known, in order.
    fn needed(
        &self,
        ends: &[TensorSource],
        known: &HashMap<TensorSource, TensorSource>,
    ) -> Result<Vec<usize>> {
        let mut needed = vec![false; self.calls.len()];
        let mut open = ends.to_vec();
        while let Some(source) = open.pop() {
            match source {
                source if known.contains_key(&source) => {}
                TensorSource::Input(index) => {
                    let name = &self.inputs[index].name;
                    let message = format!("lack `{name}`, which the outputs are computed from");
                    return Err(Error::argument("inputs", message));
                }
                TensorSource::Call(index) if needed[index] => {}
                TensorSource::Call(index) => {
                    needed[index] = true;
                    open.extend(&self.calls[index].inputs);
                }
            }
        }
        let calls = (0..self.calls.len()).filter(|&index| needed[index]);
        Ok(calls.collect())
    }
}
