//! PyTorch's modules: outputs, and gradients of inputs and parameters.

mod activation;
pub mod arguments;
mod index;
pub mod loss;
mod margin;
mod normalization;
pub mod op;
mod tensor;

use kiln::{Device, Tensor};
use serde_json::Value;

use crate::conform::Stop;
use crate::conform::case::Case;
use crate::conform::check::Check;
use crate::conform::compute::Work;
use crate::conform::operation::algebra;
use crate::conform::operation::distance;
use crate::conform::operation::rearrange;
use arguments::Arguments;
use loss::Loss;

/// in0, in1 … and w.NAME → y0, din0 …, dw.NAME, after.NAME.
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let mut call = Call::new(case);
    let mut module = Arguments::of(case, "constructor_args", "constructor_kwargs")?;
    let mut forward = Arguments::of(case, "forward_args", "forward_kwargs")?;
    let y = match case.op.strip_prefix("nn.").unwrap_or(&case.op) {
        "Linear" => {
            module.ignore(2, &["in_features", "out_features"]);
            module.flag(2, "bias", true)?;
            let x = call.tensor(&mut forward, 0, "input")?;
            let weight = call.weight("weight")?;
            let bias = case
                .find("w.bias")
                .map(|_| call.weight("bias"))
                .transpose()?;
            algebra::linear(&x, &weight, bias.as_ref())
        }
        "PReLU" => {
            module.ignore(2, &["num_parameters", "init"]);
            let x = call.tensor(&mut forward, 0, "input")?;
            activation::prelu(&x, &call.weight("weight")?)
        }
        "Flatten" => {
            let (first, last) = (
                module.number(0, "start_dim", 1.0)?,
                module.number(1, "end_dim", -1.0)?,
            );
            algebra::flatten(
                &call.tensor(&mut forward, 0, "input")?,
                first as i64,
                last as i64,
            )?
        }
        "Bilinear" => {
            module.ignore(4, &["in1_features", "in2_features", "out_features", "bias"]);
            let (a, b) = (
                call.tensor(&mut forward, 0, "input1")?,
                call.tensor(&mut forward, 1, "input2")?,
            );
            let weight = call.weight("weight")?;
            let bias = case.find("w.bias").map(|_| call.weight("bias"));
            distance::bilinear(&a, &b, &weight, bias.transpose()?.as_ref())
        }
        "PairwiseDistance" => {
            let (a, b) = (
                call.tensor(&mut forward, 0, "x1")?,
                call.tensor(&mut forward, 1, "x2")?,
            );
            let (p, eps) = (module.number(0, "p", 2.0)?, module.number(1, "eps", 1e-6)?);
            distance::pairwise(&a, &b, p, eps, module.flag(2, "keepdim", false)?)?
        }
        "CosineSimilarity" => {
            let (a, b) = (
                call.tensor(&mut forward, 0, "x1")?,
                call.tensor(&mut forward, 1, "x2")?,
            );
            let axis = module.number(0, "dim", 1.0)? as i64;
            distance::cosine(&a, &b, axis, module.number(1, "eps", 1e-8)?)?
        }
        "PixelShuffle" | "PixelUnshuffle" => {
            let larger = case.op.ends_with("PixelShuffle");
            let r = module.number(
                0,
                if larger {
                    "upscale_factor"
                } else {
                    "downscale_factor"
                },
                1.0,
            )?;
            rearrange::pixels(&call.tensor(&mut forward, 0, "input")?, r as usize, larger)
        }
        "ChannelShuffle" => {
            let groups = module.number(0, "groups", 1.0)? as usize;
            rearrange::shuffle(&call.tensor(&mut forward, 0, "input")?, groups)
        }
        name if Loss::known(name) => {
            let loss = Loss::of(name, &mut module)?;
            let mut buffer = |name: &str| {
                let given = case.find(&format!("w.{name}"));
                given.map(|_| call.weight(name)).transpose()
            };
            let (weight, pos_weight) = (buffer("weight")?, buffer("pos_weight")?);
            module.ignore(0, &["weight", "pos_weight"]);
            loss.apply(
                &mut call,
                &mut forward,
                weight.as_ref(),
                pos_weight.as_ref(),
            )?
        }
        name => {
            let unknown = || Stop::Unsupported(format!("op {}", case.op));
            if let Some((padding, pads)) = tensor::padding(name, &mut module)? {
                let x = call.tensor(&mut forward, 0, "input")?;
                let y = padding.around_last(&x, &pads)?;
                module.finish()?;
                forward.finish()?;
                return call.compare(&y, device, check);
            }
            if let Some(y) =
                normalization::torch_module(name, &mut call, &mut module, &mut forward)?
            {
                module.finish()?;
                forward.finish()?;
                call.updated = normalization::torch_running(case, device, check)?;
                return call.compare(&y, device, check);
            }
            let x = call
                .tensor(&mut forward, 0, "input")
                .map_err(|_not_one| unknown())?;
            activation::apply(name, &x, &mut module, 0)?.ok_or_else(unknown)?
        }
    };
    module.finish()?;
    forward.finish()?;
    call.compare(&y, device, check)
}

/// A call under way: the graph, and the inputs and parameters whose gradients the case may ask for.
pub struct Call<'a> {
    pub case: &'a Case,
    pub work: Work,
    parameters: Vec<(String, Tensor)>,
    /// Whether the case's buffers were compared after an update.
    pub updated: bool,
    /// The outputs after the first.
    pub outputs: Vec<Tensor>,
}

impl<'a> Call<'a> {
    /// A call without arguments so far.
    pub fn new(case: &'a Case) -> Self {
        Call {
            case,
            work: Work::new(),
            parameters: Vec::new(),
            updated: false,
            outputs: Vec::new(),
        }
    }

    /// The name of the argument's tensor.
    pub fn name(
        &self,
        arguments: &mut Arguments<'_>,
        position: usize,
        keyword: &str,
    ) -> Result<String, Stop> {
        let name = arguments.get(position, keyword).and_then(Value::as_str);
        match name.and_then(|name| name.strip_prefix("tensor:")) {
            Some(name) => Ok(name.to_string()),
            None => Stop::unsupported(format!("{keyword} other than a tensor")),
        }
    }

    /// The argument as a tensor of numbers, with a gradient.
    pub fn tensor(
        &mut self,
        arguments: &mut Arguments<'_>,
        position: usize,
        keyword: &str,
    ) -> Result<Tensor, Stop> {
        let name = self.name(arguments, position, keyword)?;
        self.parameter(&name)
    }

    /// The tensor of that name, with a gradient.
    pub fn parameter(&mut self, name: &str) -> Result<Tensor, Stop> {
        let tensor = self.work.input(self.case, name)?;
        self.parameters.push((name.into(), tensor.clone()));
        Ok(tensor)
    }

    /// A parameter or buffer of the module.
    pub fn weight(&mut self, name: &str) -> Result<Tensor, Stop> {
        self.parameter(&format!("w.{name}"))
    }

    /// Compares the output and the gradients of Σ y·dy that the case has.
    pub fn compare(
        mut self,
        y: &Tensor,
        device: &Device,
        check: &mut Check<'_>,
    ) -> Result<(), Stop> {
        let outputs: Vec<Tensor> = [y].into_iter().chain(&self.outputs).cloned().collect();
        let mut loss: Option<Tensor> = None;
        for (number, y) in outputs.iter().enumerate() {
            self.work.fetch(format!("y{number}"), y);
            let dy = format!("dy{number}");
            if self.case.find(&dy).is_none() {
                continue;
            }
            let part = y.mul(&self.work.input(self.case, &dy)?).sum();
            loss = Some(loss.map_or(part.clone(), |loss| loss.add(&part)));
        }
        if let Some(loss) = loss {
            let asked =
                |(name, _): &(String, Tensor)| self.case.find(&format!("d{name}")).is_some();
            let asked: Vec<(String, Tensor)> = self
                .parameters
                .iter()
                .filter(|p| asked(p))
                .cloned()
                .collect();
            let tensors: Vec<&Tensor> = asked.iter().map(|(_, tensor)| tensor).collect();
            let gradients = self.work.graph.gradients(&loss, &tensors);
            for ((name, _), gradient) in asked.iter().zip(&gradients) {
                self.work.fetch(format!("d{name}"), gradient);
            }
        }
        for (name, array) in self.work.run(device)? {
            check.tensor(&name, &array)?;
        }
        // Buffers that stay as they are.
        let unchanged = self.case.names("after.").into_iter();
        for name in unchanged.filter(|_| !self.updated) {
            let before = self.case.tensor(&format!("w.{name}"))?;
            check.values(&format!("after.{name}"), &before.values)?;
        }
        // Kiln's targets are data: its cross-entropies have no gradient for them.
        let used = |name: &str| self.parameters.iter().any(|(known, _)| known == name);
        for name in self
            .case
            .names("d")
            .iter()
            .filter(|name| name.starts_with("in") && !used(name))
        {
            check.skip(&format!("d{name}"));
        }
        Ok(())
    }
}
