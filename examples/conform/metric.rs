//! Metrics: the share of right answers so far, after each of three updates.

use kiln::nn::{Activation, Dense, Initializer, Sequential};
use kiln::optim::Sgd;
use kiln::train::{Loss, Metric};
use kiln::{Dataset, Device, Targets, Tensor, op};

use super::Stop;
use super::case::Case;
use super::check::Check;
use super::compute::Work;
use super::settings::Settings;

/// The rows after which the source reported.
const UPDATES: [(usize, usize); 3] = [(0, 20), (20, 35), (35, 50)];

/// y_true, y_pred, sample_weight → result, and result_w weighted.
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let mut settings = Settings::of(case);
    settings.ignore(&["name", "dtype"]);
    let (metric, accuracy) = match case.op.as_str() {
        "BinaryAccuracy" => {
            let threshold = settings.number("threshold", 0.5)? as f32;
            (
                Metric::BinaryAccuracy(threshold),
                op::Accuracy::Binary { threshold },
            )
        }
        "CategoricalAccuracy" => (Metric::CategoricalAccuracy, op::Accuracy::Categorical),
        "SparseCategoricalAccuracy" => (Metric::SparseCategoricalAccuracy, op::Accuracy::Sparse),
        other => return Stop::unsupported(format!("op {other}")),
    };
    settings.finish()?;
    let rows = case.tensor("y_pred")?.shape.first().copied().unwrap_or(0);
    if case.tensor("y_pred")?.shape.len() != 2 || rows != UPDATES[2].1 {
        return Stop::unsupported("predictions other than 50 rows");
    }
    let (mut plain, mut weighted) = (Streamed::default(), Streamed::default());
    let (mut results, mut results_w) = (Vec::new(), Vec::new());
    for (first, end) in UPDATES {
        let sums = update(case, accuracy, first, end, device)?;
        results.push(plain.add(sums.right, (end - first) as f64));
        results_w.push(weighted.add(sums.right_w, sums.weight));
    }
    check.values("result", &results)?;
    if case.find("result_w").is_some() {
        check.values("result_w", &results_w)?;
    }
    // The same by `evaluate`, which is how a user meets it.
    check.values("result", &evaluated(case, metric, device)?)
}

/// A share whose parts come one after the other.
#[derive(Default)]
struct Streamed {
    right: f64,
    all: f64,
}

impl Streamed {
    fn add(&mut self, right: f64, all: f64) -> f64 {
        self.right += right;
        self.all += all;
        self.right / self.all
    }
}

struct Sums {
    right: f64,
    right_w: f64,
    weight: f64,
}

/// Sums over the rows of one update.
fn update(
    case: &Case,
    accuracy: op::Accuracy,
    first: usize,
    end: usize,
    device: &Device,
) -> Result<Sums, Stop> {
    let mut work = Work::new();
    let y = work.number("y_pred", &case.tensor("y_pred")?.rows(first, end))?;
    let target = case.tensor("y_true")?.rows(first, end);
    let target = match accuracy {
        op::Accuracy::Sparse => work.label("y_true", &target, &[end - first].into())?,
        _ => work.number("y_true", &target)?,
    };
    let right: Tensor = y.accuracy(&target, accuracy);
    work.fetch("right", &right.sum());
    if case.find("sample_weight").is_some() {
        let mut weights = case.tensor("sample_weight")?.rows(first, end);
        weights.shape = vec![end - first];
        let weights = work.number("sample_weight", &weights)?;
        work.fetch("right_w", &right.mul(&weights).sum());
        work.fetch("weight", &weights.sum());
    }
    let fetched = work.run(device)?;
    let value = |name: &str| {
        let array = fetched.iter().find(|(known, _)| known == name);
        array
            .and_then(|(_, array)| array.values.first().copied())
            .unwrap_or(f64::NAN)
    };
    Ok(Sums {
        right: value("right"),
        right_w: value("right_w"),
        weight: value("weight"),
    })
}

/// What `evaluate` reports over the rows so far, of a model that hands its inputs on.
fn evaluated(case: &Case, metric: Metric, device: &Device) -> Result<Vec<f64>, Stop> {
    let (y, target) = (case.tensor("y_pred")?, case.tensor("y_true")?);
    let columns = y.shape[1];
    let mut identity = vec![0.0; columns * columns];
    identity
        .iter_mut()
        .step_by(columns + 1)
        .for_each(|one| *one = 1.0);
    let sparse = metric == Metric::SparseCategoricalAccuracy;
    let loss = if sparse {
        Loss::SparseCategoricalCrossentropy
    } else {
        Loss::MeanSquaredError
    };
    let layer = Dense::new(columns)
        .activation(Activation::Linear)
        .kernel_initializer(Initializer::Zeros);
    let model = Sequential::new(columns).layer(layer.without_bias());
    let mut model = model.compile_on(device, loss, Sgd::default(), [metric.clone()])?;
    model.set_weights([("dense/kernel", identity.as_slice())])?;
    let mut results = Vec::new();
    for (_, end) in UPDATES {
        let values = target.rows(0, end).to_f32();
        let targets = if sparse {
            Targets::Labels {
                labels: values.iter().map(|&label| label as u32).collect(),
                classes: columns,
            }
        } else {
            Targets::Values {
                columns: values.len() / end,
                values,
            }
        };
        let data = Dataset::new(y.rows(0, end).to_f32(), columns, targets)?;
        let evaluation = model.evaluate(&data)?;
        results.push(evaluation.get(metric.name()).unwrap_or(f64::NAN));
    }
    Ok(results)
}
