//! Losses: a number for each row, what the reductions make of them, and the gradients.

use kiln::Device;
use kiln::train::{BinaryFocalCrossentropy, CategoricalFocalCrossentropy, Loss, Reduction, Takes};

use super::activation::last_axis;
use crate::conform::Stop;
use crate::conform::case::{Array, Case};
use crate::conform::check::Check;
use crate::conform::compute::Work;
use crate::conform::settings::Settings;

/// y_true, y_pred, sample_weight → value.R and grad.R for each recorded reduction R, with `_w` weighted.
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let Ok(loss) = Loss::from_name(&case.op) else {
        return Stop::unsupported(format!("op {}", case.op));
    };
    let rank = case.tensor("y_pred")?.shape.len();
    let loss = configured(loss, rank, Settings::of(case))?;

    let mut work = Work::new();
    let y = work.input(case, "y_pred")?;
    // Overlaps are Keras' of the batch as a whole: one row.
    let whole = matches!(loss.name(), "dice" | "tversky");
    let shape = match whole {
        true => [y.shape().elements() as usize].as_slice().into(),
        false => y.shape(),
    };
    let predicted = y.reshape(&shape);
    let given = case.tensor("y_true")?;
    let target = match loss.takes() {
        Takes::Labels => {
            let rows = shape.dims().split_last().map_or(&[][..], |(_, rows)| rows);
            work.label("y_true", given, &rows.into())?
        }
        _ => work.number("y_true", given)?.reshape(&shape),
    };
    let rows = loss.each_row(&predicted, &target);
    let weights = match case.find("sample_weight") {
        // One loss for the batch takes no weights of its rows.
        None => None,
        Some(_) if whole => None,
        Some(weights) => {
            Some(work.number("sample_weight", &weights_of(weights, rows.shape().dims())?)?)
        }
    };
    for name in case.names("value.") {
        let (reduction, weights) = match name.strip_suffix("_w") {
            Some(reduction) => (reduction, weights.as_ref()),
            None => (name.as_str(), None),
        };
        let loss = loss.clone().reduction(reduction_of(reduction)?);
        let value = loss.of_batch(&predicted, &target, weights);
        work.fetch(format!("value.{name}"), &value);
        for gradient in work.graph.gradients(&value, &[&y]) {
            work.fetch(format!("grad.{name}"), &gradient);
        }
    }
    for (name, array) in work.run(device)? {
        check.tensor(&name, &array)?;
    }
    Ok(())
}

/// The loss with the settings of Keras' class of that name.
fn configured(loss: Loss, rank: usize, mut settings: Settings<'_>) -> Result<Loss, Stop> {
    settings.ignore(&["name", "reduction", "dtype"]);
    let mut number = |key, default| settings.number(key, default).map(|number| number as f32);
    let name = loss.name().to_string();
    let mut spec = match name.as_str() {
        "huber" => Loss::huber(number("delta", 1.0)?),
        "binary_focal_crossentropy" => {
            let (gamma, alpha) = (number("gamma", 2.0)?, number("alpha", 0.25)?);
            let balanced = settings.flag("apply_class_balancing", false)?;
            let alpha = balanced.then_some(alpha);
            BinaryFocalCrossentropy { alpha, gamma }.into()
        }
        "categorical_focal_crossentropy" => CategoricalFocalCrossentropy {
            alpha: number("alpha", 0.25)?,
            gamma: number("gamma", 2.0)?,
        }
        .into(),
        "tversky" => Loss::tversky(number("alpha", 0.5)?, number("beta", 0.5)?),
        _ => loss,
    };
    if settings.flag("from_logits", false)? {
        spec = spec.from_logits();
    }
    spec = spec.label_smoothing(settings.number("label_smoothing", 0.0)? as f32);
    if settings.get("ignore_class").is_some() {
        spec = spec.ignore_class(settings.number("ignore_class", 0.0)? as i32);
    }
    match name.as_str() {
        "dice" | "tversky" => settings.without(&["axis"])?,
        name => last_axis(settings.number("axis", -1.0)? as i64, rank, name)?,
    }
    settings.finish()?;
    spec.validate()?;
    Ok(spec)
}

/// Weights that broadcast over the rows: as many as rows, or one for each entry of the first dimensions.
fn weights_of(weights: &Array, rows: &[usize]) -> Result<Array, Stop> {
    let shape = match weights.shape.as_slice() {
        _ if weights.values.len() == rows.iter().product::<usize>() => rows.to_vec(),
        leading if rows.starts_with(leading) => {
            let mut shape = leading.to_vec();
            shape.resize(rows.len(), 1);
            shape
        }
        _ => return Stop::unsupported("sample_weight of another shape than the rows"),
    };
    Ok(Array {
        shape,
        ..weights.clone()
    })
}

fn reduction_of(name: &str) -> Result<Reduction, Stop> {
    Ok(match name {
        "sum_over_batch_size" => Reduction::SumOverBatchSize,
        "mean" => Reduction::Mean,
        "sum" => Reduction::Sum,
        "mean_with_sample_weight" => Reduction::MeanWithSampleWeight,
        "none" => Reduction::None,
        other => return Stop::unsupported(format!("reduction {other}")),
    })
}
