//! Layers: outputs, and gradients of inputs and weights.

use kiln::nn::{
    Activation, Add, Average, Call, Concatenate, Dense, Dot, Flatten, LayerRef, Maximum, Minimum,
    Multiply, Permute, RepeatVector, Rescaling, Reshape, Subtract,
};
use kiln::{Device, Shape, Tensor};

use super::Stop;
use super::activation::rectifier;
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
        "Average",
        "Maximum",
        "Minimum",
        "Concatenate",
        "Dot",
        "Permute",
        "RepeatVector",
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

/// The layer with the case's settings, where it is one that models are made of.
fn built(case: &Case, settings: &mut Settings<'_>) -> Result<Option<LayerRef>, Stop> {
    let mut whole =
        |key: &str| -> Result<Vec<i64>, Stop> { Ok(settings.integers(key)?.unwrap_or_default()) };
    Ok(Some(match case.op.as_str() {
        "Dense" => {
            let mut layer = Dense::new(settings.count("units")? as usize);
            layer = layer.activation(activation(settings)?);
            if !settings.flag("use_bias", true)? {
                layer = layer.without_bias();
            }
            settings.ignore(&["kernel_initializer", "bias_initializer"]);
            layer.into()
        }
        "Flatten" => Flatten.into(),
        "Reshape" => Reshape::new(whole("target_shape")?).into(),
        "Permute" => {
            let dims = whole("dims")?.into_iter().map(|dim| dim as usize);
            Permute::new(dims.collect::<Vec<_>>()).into()
        }
        "RepeatVector" => RepeatVector::new(settings.count("n")? as usize).into(),
        "Rescaling" => {
            let scale = settings.number("scale", 1.0)? as f32;
            let offset = settings.number("offset", 0.0)? as f32;
            Rescaling::new(scale).offset(offset).into()
        }
        "Add" => Add.into(),
        "Subtract" => Subtract.into(),
        "Multiply" => Multiply.into(),
        "Average" => Average.into(),
        "Maximum" => Maximum.into(),
        "Minimum" => Minimum.into(),
        "Concatenate" => Concatenate::axis(settings.number("axis", -1.0)? as i32).into(),
        "Dot" => {
            let axes = settings.integers("axes")?.unwrap_or_default();
            let axes: Vec<i32> = axes.into_iter().map(|axis| axis as i32).collect();
            let axes = match axes[..] {
                [axis] => (axis, axis),
                [first, second] => (first, second),
                _ => return Stop::unsupported(format!("axes {axes:?}")),
            };
            let layer = Dot::axes(axes.0, axes.1);
            match settings.flag("normalize", false)? {
                true => layer.normalize().into(),
                false => layer.into(),
            }
        }
        _ => return Ok(None),
    }))
}

fn output(
    case: &Case,
    settings: &mut Settings<'_>,
    training: bool,
    inputs: &[&Tensor],
    weights: &[(String, Tensor)],
) -> Result<Tensor, Stop> {
    let no_input = || Stop::Failed(case.error("there is no input x"));
    let &x = inputs.first().ok_or_else(no_input)?;
    if let Some(layer) = built(case, settings)? {
        let mut call = Call::new(x.graph());
        for (name, tensor) in weights {
            call = call.with_weight(name.trim_start_matches("w."), tensor);
        }
        let inputs: Vec<Tensor> = inputs.iter().copied().cloned().collect();
        // The rule of shapes is Keras' too.
        let sample = |x: &Tensor| Shape::from(x.shape().dims().get(1..).unwrap_or_default());
        let shapes: Vec<Shape> = inputs.iter().map(sample).collect();
        layer.layer().validate()?;
        let refused = |message| Stop::Failed(case.error(message));
        let shape = layer.layer().output_shape(&shapes).map_err(refused)?;
        let y = layer.layer().forward(&inputs, &mut call);
        // What the pass itself refused, a missing weight, is told when the graph is compiled.
        x.graph().check()?;
        if sample(&y) != shape {
            return Err(refused(format!("the rule of shapes says {shape} of {y:?}")));
        }
        return Ok(y);
    }
    Ok(match case.op.as_str() {
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
