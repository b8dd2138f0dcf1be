//! Layers: outputs, and gradients of inputs and weights, through the layers that models are made of.

use kiln::nn::{Activation, Call, Layer, LayerRef};
use kiln::{Device, Graph, Initial, Plan, Program, Shape, Tensor, TensorType};

use super::noise;
use super::object;
use crate::conform::Stop;
use crate::conform::case::Case;
use crate::conform::check::Check;
use crate::conform::compute::{Work, to_f64};
use crate::conform::settings::Settings;

/// x or x0, x1 … and weights → y; dx and dw of Σ y·dy.
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let mut settings = Settings::of(case);
    if case.op == "Normalization" {
        return noise::adapted(case, settings, check);
    }
    settings.ignore(&["name", "dtype", "trainable", "data_format"]);
    let mut work = Work::new();
    let Some(layer) = object::of(case, &mut settings)? else {
        return Stop::unsupported(format!("op {}", case.op));
    };
    let mut training = false;
    let mut masked = false;
    if let Some(call) = settings
        .get("__call__")
        .and_then(serde_json::Value::as_object)
    {
        let mut call = Settings::within(case, call);
        training = call.flag("training", false)?;
        masked = call.get("mask").is_some()
            && ["Softmax", "BatchNormalization"].contains(&case.op.as_str());
        call.finish()?;
    }
    settings.finish()?;
    layer.validate()?;
    if training && noise::draws(&case.op) {
        return noise::run(case, &*layer, device, check);
    }
    let mut inputs = inputs(case, &mut work)?;
    let mut weights = Vec::new();
    for name in case.names("w.") {
        weights.push((format!("w.{name}"), work.input(case, &format!("w.{name}"))?));
    }
    let given = inputs.len();
    if masked {
        inputs.push(("call.mask".into(), work.input(case, "call.mask")?));
    }
    let tensors: Vec<Tensor> = inputs.iter().map(|(_, tensor)| tensor.clone()).collect();
    let y = output(case, &*layer, training, &work.graph, &tensors, &weights)?;
    inputs.truncate(given);
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
    match training {
        true => states(case, &layer, masked, device, check),
        false => unchanged(case, check),
    }
}

/// Tensors that a call in inference leaves as they are.
fn unchanged(case: &Case, check: &mut Check<'_>) -> Result<(), Stop> {
    for name in case.names("after.") {
        let before = case.tensor(&format!("w.{name}"))?;
        check.values(&format!("after.{name}"), &before.values)?;
    }
    Ok(())
}

/// What the layer keeps and updates itself, after each of up to three calls in training.
fn states(
    case: &Case,
    layer: &LayerRef,
    masked: bool,
    device: &Device,
    check: &mut Check<'_>,
) -> Result<(), Stop> {
    let graph = Graph::new();
    let x = case.tensor("x")?;
    let mut inputs = vec![graph.input("x", x.shape.as_slice())];
    let mask = masked.then(|| case.tensor("call.mask")).transpose()?;
    inputs.extend(mask.map(|mask| graph.input("mask", mask.shape.as_slice())));
    let mut call = Call::new(&graph);
    call.training = true;
    for name in case.names("w.") {
        let array = case.tensor(&format!("w.{name}"))?;
        let kind = TensorType::f32(array.shape.as_slice());
        let initial = Initial::Floats(array.to_f32().as_slice().into());
        call = call.with_weight(&name, &graph.variable(&name, kind, initial));
    }
    layer.forward(&inputs, &mut call);
    if call.updates.is_empty() {
        return unchanged(case, check);
    }
    let program = Program::new("call").update(&call.updates);
    let plan = Plan::compile(&graph, device.target(), [program])?;
    let mut session = device.open(&plan)?;
    session.write("x", &x.to_f32())?;
    if let Some(mask) = mask {
        session.write("mask", &mask.to_f32())?;
    }
    for times in ["after", "after2", "after3"] {
        session.run("call", 1)?;
        for name in case.names(&format!("{times}.")) {
            let values = to_f64(session.read_values(&name)?);
            check.values(&format!("{times}.{name}"), &values)?;
        }
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

/// The layer's pass over these inputs. Its rule of shapes is Keras' too.
fn output(
    case: &Case,
    layer: &dyn Layer,
    training: bool,
    graph: &Graph,
    inputs: &[Tensor],
    weights: &[(String, Tensor)],
) -> Result<Tensor, Stop> {
    let mut call = Call::new(graph);
    call.training = training;
    for (name, tensor) in weights {
        call = call.with_weight(name.trim_start_matches("w."), tensor);
    }
    let sample = |x: &Tensor| Shape::from(x.shape().dims().get(1..).unwrap_or_default());
    let shapes: Vec<Shape> = inputs.iter().map(sample).collect();
    let refused = |message| Stop::Failed(case.error(message));
    let shape = layer.output_shape(&shapes).map_err(refused)?;
    for parameter in layer.parameters(&shapes) {
        let known = weights.iter().find(|(name, _)| name[2..] == parameter.name);
        let (_, tensor) =
            known.ok_or_else(|| refused(format!("the case has no weight `{}`", parameter.name)))?;
        if tensor.shape() != parameter.shape {
            let (is, should) = (&parameter.shape, tensor.shape());
            return Err(refused(format!(
                "{} is {is}, and should be {should}",
                parameter.name
            )));
        }
    }
    let y = layer.forward(inputs, &mut call);
    // What the pass itself refused, a missing weight, is told when the graph is compiled.
    graph.check()?;
    if sample(&y) != shape {
        return Err(refused(format!("the rule of shapes says {shape} of {y:?}")));
    }
    Ok(y)
}

/// The `activation` of a layer by Keras' name.
pub fn activation(settings: &mut Settings<'_>) -> Result<Activation, Stop> {
    let name = settings.text("activation", "linear")?;
    Activation::from_name(name).or_else(|_unknown| Stop::unsupported(format!("activation {name}")))
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
