//! Layers that draw, and those that are fitted to data.
//!
//! Another library's draws cannot be had, but their law can.

use kiln::nn::{Call, Dropout, Layer};
use kiln::optim::Clock;
use kiln::{Dataset, Device, Scaler, Targets};

use crate::conform::Stop;
use crate::conform::case::{Array, Case};
use crate::conform::check::Check;
use crate::conform::compute::Work;
use crate::conform::onnx::Node;
use crate::conform::settings::Settings;

/// Whether the layer of that class draws in training.
pub fn draws(class: &str) -> bool {
    let classes = [
        "Dropout",
        "AlphaDropout",
        "GaussianDropout",
        "GaussianNoise",
    ];
    classes.contains(&class)
}

/// x, dy → y, dx in training: y = factor·x + noise with dx = factor·dy, where the factors and the noise have the mean and
/// the variance of the layer's law.
pub fn run(
    case: &Case,
    layer: &dyn Layer,
    device: &Device,
    check: &mut Check<'_>,
) -> Result<(), Stop> {
    let mut settings = Settings::of(case);
    let rate = settings.number("rate", 0.0)?;
    let deviation = settings.number("stddev", 0.0)?;
    let (ys, dxs) = drawn(case, layer, ("x", "dy"), device)?;
    let (x, dy) = (case.tensor("x")?, case.tensor("dy")?);
    // Of the gradient, which is free of what is added.
    let factors = divided(&dxs, &dy.values);
    match case.op.as_str() {
        "GaussianNoise" => {
            let noise = ys.iter().zip(&x.values).map(|(y, x)| y - x).collect();
            law(check, "the noise", noise, 0.0, deviation * deviation);
            law(check, "the factors", factors, 1.0, 0.0);
        }
        "AlphaDropout" => {
            // Of SELU's value far left.
            const FAR: f64 = -1.758_099_340_847_376_6;
            let scale = 1.0 / ((1.0 - rate) * (1.0 + rate * FAR * FAR)).sqrt();
            let offset = -scale * FAR * rate;
            let kept = |(factor, x): (&f64, &f64)| match *factor == 0.0 {
                true => scale * FAR + offset,
                false => scale * x + offset,
            };
            let wanted: Vec<f64> = factors.iter().zip(&x.values).map(kept).collect();
            let apart = ys.iter().zip(&wanted).map(|(y, wanted)| (y - wanted).abs());
            check.within("y", apart.fold(0.0, f64::max), 0.0, 1e-5);
            let variance = scale * scale * rate * (1.0 - rate);
            law(
                check,
                "the factors",
                factors,
                scale * (1.0 - rate),
                variance,
            );
        }
        _ => {
            let of_y = divided(&ys, &x.values);
            let apart = of_y.iter().zip(&factors).map(|(a, b)| (a - b).abs());
            let apart = apart.fold(0.0, f64::max);
            check.within("the factors of dx less those of y", apart, 0.0, 1e-4);
            law(check, "the factors", of_y, 1.0, rate / (1.0 - rate));
        }
    }
    for name in ["y", "dx"] {
        check.skip(name);
    }
    Ok(())
}

/// y and dx of a layer in its first step of training.
pub fn drawn(
    case: &Case,
    layer: &dyn Layer,
    (x, dy): (&str, &str),
    device: &Device,
) -> Result<(Vec<f64>, Vec<f64>), Stop> {
    let mut work = Work::new();
    let same = x == dy;
    let x = work.input(case, x)?;
    let dy = if same {
        x.clone()
    } else {
        work.input(case, dy)?
    };
    let cursor = Array::floats(&[8], vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let clock = Clock {
        cursor: work.label("cursor", &cursor, &[8].into())?,
        rates: work.graph.constant([8], &[0.0; 8]),
        indices: work.label("indices", &cursor, &[8].into())?,
    };
    let mut call = Call::new(&work.graph);
    (call.training, call.clock, call.seed) = (true, Some(clock), 1);
    let y = layer.forward(std::slice::from_ref(&x), &mut call);
    work.fetch("y", &y);
    for dx in work.graph.gradients(&y.mul(&dy), &[&x]) {
        work.fetch("dx", &dx);
    }
    let mut results = work.run(device)?.into_iter().map(|(_, array)| array.values);
    Ok((
        results.next().unwrap_or_default(),
        results.next().unwrap_or_default(),
    ))
}

fn divided(results: &[f64], of: &[f64]) -> Vec<f64> {
    results.iter().zip(of).map(|(y, x)| y / x).collect()
}

/// Whether draws have that mean and variance, within what their number allows.
pub fn law(check: &mut Check<'_>, what: &str, draws: Vec<f64>, mean: f64, variance: f64) {
    let n = draws.len() as f64;
    let found = draws.iter().sum::<f64>() / n;
    let squares = draws.iter().map(|draw| (draw - found) * (draw - found));
    let spread = squares.sum::<f64>() / n;
    let allowed = 5.0 * (variance / n).sqrt() + 1e-5;
    check.within(&format!("the mean of {what}"), found, mean, allowed);
    let allowed = 8.0 * variance / n.sqrt() + 1e-5;
    check.within(
        &format!("the variance of {what}"),
        spread,
        variance,
        allowed,
    );
}

/// Keras' layer that is fitted to data: Kiln's scaling, which is fitted before training and saved with the model.
pub fn adapted(case: &Case, mut settings: Settings<'_>, check: &mut Check<'_>) -> Result<(), Stop> {
    settings.ignore(&["name", "dtype", "trainable"]);
    let x = case.tensor("x")?;
    let columns = x.shape.last().copied().unwrap_or(1);
    let axis = settings.number("axis", -1.0)?;
    if axis != -1.0 && axis != x.shape.len() as f64 - 1.0 {
        return Stop::unsupported("channels that do not come last");
    }
    let given = ["mean", "variance"].map(|key| {
        let values = settings.get(key)?.as_array()?;
        values
            .iter()
            .map(crate::conform::case::number)
            .collect::<Option<Vec<f64>>>()
    });
    settings.finish()?;
    if let [Some(mean), Some(variance)] = given {
        let deviation = variance.iter().map(|variance| variance.sqrt().max(1e-7));
        let scaler = Scaler::from_parts(mean, deviation.collect())?;
        let mut rows = x.to_f32();
        scaler.transform_rows(&mut rows)?;
        let scaled: Vec<f64> = rows.into_iter().map(f64::from).collect();
        return check.values("y", &scaled);
    }
    let data = Dataset::new(x.to_f32(), columns, Targets::None)?;
    let scaler = Scaler::standard(&data)?;
    let mut rows = x.to_f32();
    scaler.transform_rows(&mut rows)?;
    let scaled: Vec<f64> = rows.into_iter().map(f64::from).collect();
    check.values("y", &scaled)?;
    check.values("mean", &scaler.center[..])?;
    let variances: Vec<f64> = scaler.scale.iter().map(|scale| scale * scale).collect();
    check.values("variance", &variances)
}

/// The number that an input of ONNX' dropout holds.
fn held(case: &Case, node: &Node<'_>, index: usize) -> Option<f64> {
    let name = node.inputs.get(index).filter(|name| !name.is_empty())?;
    let array = case.find(&format!("in.{name}"))?;
    array.values.first().copied()
}

/// Whether ONNX' dropout drops anything.
pub fn trains(case: &Case, node: &Node<'_>) -> bool {
    let rate = held(case, node, 1).unwrap_or(0.5);
    held(case, node, 2).unwrap_or(0.0) != 0.0 && rate > 0.0
}

/// ONNX' dropout in training.
pub fn dropout(
    case: &Case,
    node: &Node<'_>,
    device: &Device,
    check: &mut Check<'_>,
) -> Result<(), Stop> {
    let rate = held(case, node, 1).unwrap_or(0.5);
    let x = format!("in.{}", node.inputs[0]);
    let layer = Dropout::new(rate as f32);
    let (ys, _) = drawn(case, &layer, (&x, &x), device)?;
    let factors = divided(&ys, &case.tensor(&x)?.values);
    let mask = node.outputs.get(1).map(|name| format!("out.{name}"));
    law(check, "the factors", factors, 1.0, rate / (1.0 - rate));
    check.skip(&format!("out.{}", node.outputs[0]));
    if let Some(mask) = mask {
        check.skip(&mask);
    }
    Ok(())
}
