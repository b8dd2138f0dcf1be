//! What an architecture must be before a model is compiled from it.

use crate::{DType, Error, Preprocessing, Result, TensorType};

use super::Functional;
use super::functional::{InputSpec, NamedLayer, OutputSpec};

impl Functional {
    pub(crate) fn validate(&self) -> Result<()> {
        for member in &self.members {
            member.layer.layer.validate()?;
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

    /// Refuses, by its name, what keeps the model from being a chain of trained dense layers.
    pub(crate) fn dense_chain(&self) -> Result<(), String> {
        let odd =
            |member: &&NamedLayer| member.layer.layer.class() != "Dense" || !member.layer.trainable;
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
