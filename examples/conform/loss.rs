//! Losses: a number for each row, what the reductions make of them, and the gradients.

use kiln::op::Form;
use kiln::{Device, Tensor};

use super::Stop;
use super::activation::last_axis;
use super::case::{Array, Case};
use super::check::Check;
use super::compute::Work;
use super::settings::Settings;

/// A loss of Kiln's, by Keras' name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    MeanSquaredError,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
}

impl Kind {
    /// The loss that Keras' class, function or short name means.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "MeanSquaredError" | "mean_squared_error" | "mse" => Kind::MeanSquaredError,
            "BinaryCrossentropy" | "binary_crossentropy" | "bce" => Kind::BinaryCrossentropy,
            "CategoricalCrossentropy" | "categorical_crossentropy" | "cce" => {
                Kind::CategoricalCrossentropy
            }
            "SparseCategoricalCrossentropy"
            | "sparse_categorical_crossentropy"
            | "scce"
            | "sparse_cce" => Kind::SparseCategoricalCrossentropy,
            _ => return None,
        })
    }

    /// Whether the targets are class labels.
    pub fn is_sparse(self) -> bool {
        self == Kind::SparseCategoricalCrossentropy
    }

    /// The loss of each row of `y`.
    pub fn rows(self, y: &Tensor, target: &Tensor, form: Form) -> Tensor {
        let (_, columns) = y.shape().rows_and_columns();
        match self {
            Kind::MeanSquaredError => y.squared_error(target, 1.0 / columns as f32),
            Kind::BinaryCrossentropy => y.binary_cross_entropy(target, form),
            Kind::CategoricalCrossentropy | Kind::SparseCategoricalCrossentropy => {
                y.cross_entropy(target, form)
            }
        }
    }
}

/// y_true, y_pred, sample_weight → value.R and grad.R for each recorded reduction R, with `_w` weighted.
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let Some(kind) = Kind::named(&case.op) else {
        return Stop::unsupported(format!("op {}", case.op));
    };
    let mut settings = Settings::of(case);
    settings.ignore(&["name", "reduction", "dtype"]);
    let form = if settings.flag("from_logits", false)? {
        Form::Logits
    } else {
        Form::Probabilities
    };
    let smoothing = settings.number("label_smoothing", 0.0)?;
    let rank = case.tensor("y_pred")?.shape.len();
    last_axis(settings.number("axis", -1.0)? as i64, rank, "cross-entropy")?;
    settings.finish()?;

    let mut work = Work::new();
    let y = work.input(case, "y_pred")?;
    let target = targets(case, &mut work, kind, &y, smoothing)?;
    let rows = kind.rows(&y, &target, form);
    let weights = match case.find("sample_weight") {
        None => None,
        Some(weights) => {
            Some(work.number("sample_weight", &weights_of(weights, rows.shape().dims())?)?)
        }
    };
    for reduction in case.names("value.") {
        let value = reduced(&rows, weights.as_ref(), &reduction)?;
        work.fetch(format!("value.{reduction}"), &value);
        for gradient in work.graph.gradients(&value, &[&y]) {
            work.fetch(format!("grad.{reduction}"), &gradient);
        }
    }
    for (name, array) in work.run(device)? {
        check.tensor(&name, &array)?;
    }
    Ok(())
}

/// The targets: labels, or shares that are smoothed first where the case says so, y*·(1 − s) + s/classes.
fn targets(
    case: &Case,
    work: &mut Work,
    kind: Kind,
    y: &Tensor,
    smoothing: f64,
) -> Result<Tensor, Stop> {
    let dims = y.shape().dims().to_vec();
    let target = case.tensor("y_true")?;
    if kind.is_sparse() {
        let rows = dims.split_last().map_or(&[][..], |(_, rows)| rows);
        return work.label("y_true", target, &rows.into());
    }
    let target = work.number("y_true", target)?;
    if smoothing == 0.0 {
        return Ok(target);
    }
    let classes = match kind {
        Kind::BinaryCrossentropy => 2.0,
        _ => dims.last().copied().unwrap_or(1) as f64,
    };
    Ok(target
        .scale((1.0 - smoothing) as f32)
        .offset((smoothing / classes) as f32))
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

/// Keras' reductions. The mean is over all rows, weighted or not; only `mean_with_sample_weight` divides by the weights.
fn reduced(rows: &Tensor, weights: Option<&Tensor>, reduction: &str) -> Result<Tensor, Stop> {
    let (reduction, weighted) = match reduction.strip_suffix("_w") {
        Some(reduction) => (reduction, true),
        None => (reduction, false),
    };
    let values = match weights.filter(|_| weighted) {
        Some(weights) => rows.mul(weights),
        None => rows.clone(),
    };
    Ok(match (reduction, weights.filter(|_| weighted)) {
        ("none", _) => values,
        ("sum", _) => values.sum(),
        ("mean_with_sample_weight", Some(weights)) => values.sum().div(&weights.sum()),
        ("sum_over_batch_size" | "mean" | "mean_with_sample_weight", _) => values.mean(),
        (other, _) => return Stop::unsupported(format!("reduction {other}")),
    })
}
