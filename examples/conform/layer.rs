//! Layers: outputs, and gradients of inputs and weights.

use kiln::nn::Activation;
use kiln::{Device, Tensor};

use super::Stop;
use super::activation::rectifier;
use super::algebra;
use super::case::Case;
use super::check::Check;
use super::compute::Work;
use super::normalization::{self, Running};
use super::settings::Settings;

/// x or x0, x1 … and weights → y; dx and dw of Σ y·dy.
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let mut settings = Settings::of(case);
    let known = [
        "Dense",
        "Activation",
        "ReLU",
        "LeakyReLU",
        "ELU",
        "PReLU",
        "LayerNormalization",
        "RMSNormalization",
        "UnitNormalization",
        "BatchNormalization",
        "GroupNormalization",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "AlphaDropout",
        "Softmax",
        "Flatten",
        "Reshape",
        "Add",
        "Subtract",
        "Multiply",
        "Rescaling",
    ];
    if !known.contains(&case.op.as_str()) {
        return Stop::unsupported(format!("op {}", case.op));
    }
    let mut training = false;
    if let Some(call) = settings
        .get("__call__")
        .and_then(serde_json::Value::as_object)
    {
        let mut call = Settings::within(case, call);
        training = call.flag("training", false)?;
        call.finish()?;
    }
    if training && matches!(case.op.as_str(), "Dropout" | "GaussianDropout") {
        return normalization::noise(case, &mut settings, device, check);
    }
    settings.ignore(&["name", "dtype", "trainable", "data_format"]);
    let mut work = Work::new();
    let inputs = inputs(case, &mut work)?;
    let mut weights = Vec::new();
    for name in case.names("w.") {
        weights.push((format!("w.{name}"), work.input(case, &format!("w.{name}"))?));
    }
    let tensors: Vec<&Tensor> = inputs.iter().map(|(_, tensor)| tensor).collect();
    let y = output(case, &mut settings, training, &tensors, &weights)?;
    settings.finish()?;
    let dy = work.input(case, "dy")?;
    work.fetch("y", &y);
    let parameters: Vec<&(String, Tensor)> = inputs.iter().chain(&weights).collect();
    let tensors: Vec<&Tensor> = parameters.iter().map(|(_, tensor)| tensor).collect();
    let gradients = work.graph.gradients(&y.mul(&dy), &tensors);
    let asked = |name: &str| case.find(&format!("d{name}")).is_some();
    for ((name, _), gradient) in parameters.iter().zip(&gradients) {
        if asked(name) {
            work.fetch(format!("d{name}"), gradient);
        }
    }
    for (name, array) in work.run(device)? {
        check.tensor(&name, &array)?;
    }
    if training && case.op == "BatchNormalization" {
        let mut settings = Settings::of(case);
        return Running {
            axis: settings.number("axis", -1.0)? as isize,
            keep: settings.number("momentum", 0.99)? as f32,
            unbiased: false,
            input: "x",
            before: ["moving_mean", "moving_variance"],
        }
        .check(case, device, check);
    }
    for name in case.names("after.") {
        let before = case.tensor(&format!("w.{name}"))?;
        check.values(&format!("after.{name}"), &before.values)?;
    }
    Ok(())
}

fn inputs(case: &Case, work: &mut Work) -> Result<Vec<(String, Tensor)>, Stop> {
    if case.find("x").is_some() {
        return Ok(vec![("x".into(), work.input(case, "x")?)]);
    }
    let mut inputs = Vec::new();
    while case.find(&format!("x{}", inputs.len())).is_some() {
        let name = format!("x{}", inputs.len());
        let tensor = work.input(case, &name)?;
        inputs.push((name, tensor));
    }
    Ok(inputs)
}

fn output(
    case: &Case,
    settings: &mut Settings<'_>,
    training: bool,
    inputs: &[&Tensor],
    weights: &[(String, Tensor)],
) -> Result<Tensor, Stop> {
    let no_input = || Stop::Failed(case.error("there is no input x"));
    let (&x, rest) = inputs.split_first().ok_or_else(no_input)?;
    let dims = x.shape().dims().to_vec();
    let all = |op: fn(&Tensor, &Tensor) -> Tensor| rest.iter().fold(x.clone(), |y, x| op(&y, x));
    Ok(match case.op.as_str() {
        "Dense" => {
            settings.ignore(&["units"]);
            let activation = activation(settings)?;
            let bias = settings.flag("use_bias", true)?;
            settings.ignore(&["kernel_initializer", "bias_initializer"]);
            let find = |name: &str| weights.iter().find(|(known, _)| known == name);
            let missing = || Stop::Failed(case.error("the layer's kernel or bias is missing"));
            let (_, kernel) = find("w.kernel").ok_or_else(missing)?;
            let bias = bias
                .then(|| find("w.bias").ok_or_else(missing))
                .transpose()?;
            activation.apply(&algebra::dense(x, kernel, bias.map(|(_, bias)| bias)))
        }
        "Activation" => activation(settings)?.apply(x),
        "ReLU" => rectifier(settings)?.apply(x),
        "LeakyReLU" => x.leaky_relu(settings.number("negative_slope", 0.3)? as f32),
        "ELU" => x.elu(settings.number("alpha", 1.0)? as f32),
        "PReLU" => {
            settings.ignore(&["alpha_initializer"]);
            // Dimensions that share a slope have size one in it.
            settings.ignore(&["shared_axes"]);
            let missing = || Stop::Failed(case.error("the layer's slopes are missing"));
            let (_, slope) = weights
                .iter()
                .find(|(known, _)| known == "w.alpha")
                .ok_or_else(missing)?;
            x.prelu(slope)
        }
        "Softmax" => x.softmax_along(settings.number("axis", -1.0)? as isize),
        "Flatten" => {
            let rows = dims.first().copied().unwrap_or(1);
            x.reshape([rows, dims.iter().skip(1).product()])
        }
        "Reshape" => {
            let target = settings.integers("target_shape")?.unwrap_or_default();
            let rows = dims.first().copied().unwrap_or(1);
            let columns: usize = dims.iter().skip(1).product();
            let mut shape = vec![rows];
            shape.extend(whole(case, &target, columns)?);
            x.reshape(shape)
        }
        "Rescaling" => {
            let scale = settings.number("scale", 1.0)? as f32;
            x.scale(scale)
                .offset(settings.number("offset", 0.0)? as f32)
        }
        "Add" => all(Tensor::add),
        "Subtract" => all(Tensor::sub),
        "Multiply" => all(Tensor::mul),
        other => {
            let weight = |name: &str| {
                let name = format!("w.{name}");
                let found = weights.iter().find(|(known, _)| *known == name);
                found.map(|(_, tensor)| tensor.clone())
            };
            match normalization::keras(case, settings, training, x, weight)? {
                Some(y) => y,
                None => return Stop::unsupported(format!("op {other}")),
            }
        }
    })
}

/// The `activation` of a layer by Keras' name.
pub fn activation(settings: &mut Settings<'_>) -> Result<Activation, Stop> {
    let name = settings.text("activation", "linear")?;
    Activation::named(name).or_else(|_unknown| Stop::unsupported(format!("activation {name}")))
}

/// A shape in which −1 stands for what is left of `elements`.
pub fn whole(case: &Case, shape: &[i64], elements: usize) -> Result<Vec<usize>, Stop> {
    let wrong =
        || Stop::Failed(case.error(format!("{shape:?} is no shape of {elements} elements")));
    let known: i64 = shape.iter().filter(|&&dim| dim != -1).product();
    let known = usize::try_from(known).map_err(|_negative| wrong())?;
    let dim = |&dim: &i64| match dim {
        -1 => elements.checked_div(known).ok_or_else(wrong),
        dim => usize::try_from(dim).map_err(|_negative| wrong()),
    };
    shape.iter().map(dim).collect()
}
