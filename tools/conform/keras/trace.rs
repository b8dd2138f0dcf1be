//! Training traces: what a real `fit` did, from the same first weights on the same batches.

use std::path::PathBuf;

use kiln::nn::Call;
use kiln::train::Model;
use kiln::{Device, Targets, Tensor};

use super::recipe::Recipe;
use crate::conform::Stop;
use crate::conform::case::{Array, Case};
use crate::conform::check::Check;
use crate::conform::compute::Work;

/// Tensors of a run, under their names in the case.
type Recording = Vec<(String, Array)>;

/// x, y, init.* → batch0.*, stepN.*, epochN.*, final.*, history.*, epoch1.* losses.
pub fn run(
    case: &Case,
    device: &Device,
    data: &[PathBuf],
    check: &mut Check<'_>,
) -> Result<(), Stop> {
    let recipe = Recipe::read(case, data)?;
    if case.noise.is_empty() {
        measure_noise(case, &recipe, check)?;
    }
    for (name, array) in replay(case, &recipe, device)? {
        check.tensor(&name, &array)?;
    }
    Ok(())
}

/// The rounding noise that a case does not state, by its definition: the largest distance between the run in f32 and the
/// same in f64. It can be large: beside a saturated probability the last bit of p decides on the size of ln(1 − p).
fn measure_noise(case: &Case, recipe: &Recipe, check: &mut Check<'_>) -> Result<(), Stop> {
    let narrow = replay(case, recipe, &Device::cpu())?;
    let wide = replay(case, recipe, &Device::reference())?;
    for ((name, narrow), (_, wide)) in narrow.iter().zip(&wide) {
        let distances = narrow
            .values
            .iter()
            .zip(&wide.values)
            .map(|(a, b)| (a - b).abs());
        check.assume_noise(name, distances.fold(0.0, f64::max));
    }
    Ok(())
}

/// Trains as the case describes it and records what the case records.
fn replay(case: &Case, recipe: &Recipe, device: &Device) -> Result<Recording, Stop> {
    let mut recording = first_batch(case, recipe, device)?;
    for step in numbers(case, "step") {
        // A run that stops within an epoch begins the next at the first row, so each length has a model of its own.
        let mut model = recipe.model(case, device)?;
        let fit = recipe.fit(recipe.epochs).max_steps(step);
        model.fit(&recipe.data, fit.silent())?;
        recording.extend(weights(recipe, &mut model, &format!("step{step}."))?);
    }
    // Whole epochs go on where the last call ended.
    let recorded = numbers(case, "epoch");
    let stages = recorded
        .iter()
        .copied()
        .filter(|&epoch| epoch < recipe.epochs);
    let mut model = recipe.model(case, device)?;
    let (mut done, mut history) = (0, Vec::new());
    for epoch in stages.chain([recipe.epochs]) {
        let fit = recipe.fit(epoch - done);
        history.push(model.fit(&recipe.data, fit.silent())?);
        done = epoch;
        if recorded.contains(&epoch) {
            recording.extend(weights(recipe, &mut model, &format!("epoch{epoch}."))?);
        }
    }
    let losses: Vec<f64> = history
        .iter()
        .flat_map(|part| part.step_losses.clone())
        .collect();
    recording.extend(step_losses(case, recipe, &losses));
    for series in case.names("history.") {
        let mut values: Vec<f64> = Vec::new();
        for part in &history {
            values.extend(part.get(&series)?);
        }
        recording.push((
            format!("history.{series}"),
            Array::floats(&[values.len()], values),
        ));
    }
    recording.extend(weights(recipe, &mut model, "final.")?);
    let rows = recipe.data.rows().min(64);
    let features = &recipe.data.features()[..rows * recipe.data.columns()];
    let predicted = model.predict(features)?;
    let shape = [rows, predicted.columns];
    recording.push(("final.pred".into(), array(&shape, &predicted.values)));
    Ok(recording)
}

/// The numbers N, in order, of all tensors `<what>N.lI.P`.
fn numbers(case: &Case, what: &str) -> Vec<u64> {
    let names = case.names(what);
    let number = |name: &String| {
        let (number, rest) = name.split_once('.')?;
        number.parse().ok().filter(|_| rest.starts_with('l'))
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn array(shape: &[usize], values: &[f32]) -> Array {
    let len = shape.iter().product();
    let values = values.iter().take(len).copied().map(f64::from);
    Array::floats(shape, values.collect())
}

/// Loss, outputs and gradients on the first batch, before any step.
fn first_batch(case: &Case, recipe: &Recipe, device: &Device) -> Result<Recording, Stop> {
    if case.names("batch0.").is_empty() {
        return Ok(Vec::new());
    }
    let mut work = Work::new();
    let (rows, columns) = (recipe.batch.min(recipe.data.rows()), recipe.data.columns());
    let x = work.number("x", &array(&[rows, columns], recipe.data.features()))?;
    let target = match recipe.data.targets() {
        Targets::Values { values, columns } => {
            work.number("y", &array(&[rows, *columns], values))?
        }
        Targets::Labels { labels, .. } => {
            let wide = labels[..rows].iter().map(|&label| f64::from(label));
            work.label("y", &Array::floats(&[rows], wide.collect()), &[rows].into())?
        }
        _ => {
            return Err(Stop::Failed(case.error("targets are numbers or labels")));
        }
    };
    let mut weights = Vec::new();
    for name in &recipe.parameters {
        weights.push(work.input(case, &format!("init.{name}"))?);
    }
    let (mut before, mut after) = (x.clone(), x);
    let mut rest = recipe.parameters.iter().zip(&weights);
    for piece in &recipe.layers {
        let mut call = Call::new(&work.graph);
        call.training = true;
        for (name, weight) in rest.by_ref().take(piece.parameters.len()) {
            let (_, name) = name.split_once('.').unwrap_or_default();
            call = call.with_weight(name, weight);
        }
        before = piece.layer.forward(&[after], &mut call);
        after = piece.activation.apply(&before);
    }
    let (reads_after, loss) = recipe.reads();
    let loss = loss
        .each_row(if reads_after { &after } else { &before }, &target)
        .mean();
    work.fetch("batch0.loss", &loss);
    work.fetch("batch0.pred", &after);
    let tensors: Vec<&Tensor> = weights.iter().collect();
    for (name, gradient) in recipe
        .parameters
        .iter()
        .zip(work.graph.gradients(&loss, &tensors))
    {
        // States have none that is recorded.
        let name = format!("batch0.grad.{name}");
        if case.find(&name).is_some() {
            work.fetch(name, &gradient);
        }
    }
    work.run(device)
}

fn weights(recipe: &Recipe, model: &mut Model, prefix: &str) -> Result<Recording, Stop> {
    let weights = model.weights()?;
    let named = weights.iter().zip(&recipe.parameters);
    let record = named.map(|(weights, name)| {
        let array = array(weights.shape.dims(), &weights.values);
        (format!("{prefix}{name}"), array)
    });
    Ok(record.collect())
}

/// The losses of the first epoch's steps: each alone, and the mean so far, which a batch enters by its rows.
fn step_losses(case: &Case, recipe: &Recipe, losses: &[f64]) -> Recording {
    let rows = recipe.train_rows();
    let (mut sum, mut seen) = (0.0, 0);
    let (mut running, mut single) = (Vec::new(), Vec::new());
    for loss in &losses[..rows.div_ceil(recipe.batch).min(losses.len())] {
        let batch = recipe.batch.min(rows - seen);
        seen += batch;
        sum += loss * batch as f64;
        running.push(sum / seen as f64);
        single.push(*loss);
    }
    let series = [
        ("running_loss", running),
        ("step_loss_from_running", single),
    ];
    let recorded = series.into_iter().filter_map(|(name, values)| {
        let name = format!("epoch1.{name}");
        case.find(&name)
            .map(|_| (name, Array::floats(&[values.len()], values)))
    });
    recorded.collect()
}
