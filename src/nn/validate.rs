//! What an architecture must be before a model is compiled from it.

use std::collections::HashSet;

use crate::{DType, Error, Preprocessing, Result, TensorType};

use super::Functional;
use super::functional::{InputSpec, NamedLayer, OutputSpec};

impl Functional {
    pub(crate) fn validate(&self) -> Result<()> {
        for member in &self.members {
            member.layer.validate()?;
            for parameter in &member.parameters {
                parameter.initializer.validate()?;
                if let Some(constraint) = parameter.constraint {
                    let name = || format!("{}/{}", member.name, parameter.name);
                    constraint.validate(name, parameter.shape.rank())?;
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
        let taken = self.inputs.iter();
        let taken = taken.map(|input| (input.name.as_str(), &input.kind.shape));
        let made = self.calls.iter().map(|call| {
            let member = self.members.get(call.member);
            let name = member.map_or("a layer", |member| &member.name);
            (name, &call.kind.shape)
        });
        if let Some((name, shape)) = taken.chain(made).find(|(_, shape)| !shape.is_possible()) {
            let message =
                format!("`{name}` is {shape} a sample, which is more than any machine holds");
            return Err(Error::argument("layers", message));
        }
        if self.calls.is_empty() {
            let message = "a model needs at least one layer between its inputs and outputs";
            return Err(Error::argument("layers", message));
        }
        self.check_target_scaling()?;
        let preprocessing = self.preprocessing.as_ref();
        preprocessing.map_or(Ok(()), |own| self.check_preprocessing(own))
    }

    fn check_preprocessing(&self, preprocessing: &Preprocessing) -> Result<()> {
        let refuse = |message| Err(Error::argument("preprocessing", message));
        let [InputSpec { kind, .. }] = &self.inputs[..] else {
            let got = self.inputs.len();
            return refuse(format!("needs a model of one input, got {got}"));
        };
        if kind.dtype != DType::F32 {
            return refuse(format!(
                "makes numbers, f32, but the model's input is {kind}"
            ));
        }
        let (columns, width) = (preprocessing.outputs(), self.input_width());
        if columns != width {
            return refuse(format!(
                "makes {columns} columns, but the model has {width} inputs"
            ));
        }
        Ok(())
    }

    /// Refuses, by its name, what keeps the model from being a chain of trained dense layers.
    pub(crate) fn dense_chain(&self) -> Result<(), String> {
        let odd = |member: &&NamedLayer| member.layer.class() != "Dense" || !member.layer.trainable;
        if let Some(member) = self.members.iter().find(odd) {
            return Err(format!("`{}`", member.name));
        }
        if !self.is_chain() || self.calls.len() != self.members.len() {
            return Err("a model with branches".into());
        }
        let plain = |kind: &TensorType| kind.shape.rank() == 1 && kind.dtype == DType::F32;
        match self.inputs.iter().find(|input| !plain(&input.kind)) {
            Some(input) => Err(format!("an input {}", input.kind)),
            None => Ok(()),
        }
    }

    /// Refuses names that two layers, inputs or outputs have in common.
    pub(crate) fn check_names(&self) -> Result<()> {
        let inputs = self.inputs.iter().map(|input| ("inputs", &input.name));
        let layers = self.members.iter().map(|member| ("layers", &member.name));
        let outputs = self.outputs.iter().map(|output| ("outputs", &output.name));
        let mut seen = HashSet::new();
        for (kind, name) in inputs.chain(layers).chain(outputs) {
            if !seen.insert((kind, name)) {
                let message = format!("need names of their own, but two are called `{name}`");
                return Err(Error::argument(kind, message));
            }
            if name.is_empty() || name.contains('/') {
                let message = format!("need names without `/` that are not empty, got `{name}`");
                return Err(Error::argument(kind, message));
            }
        }
        Ok(())
    }
}
