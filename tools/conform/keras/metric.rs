//! Metrics after each of three updates, streamed from the host and by `evaluate`.

use kiln::nn::{Activation, Dense, Initializer, Sequential};
use kiln::optim::Sgd;
use kiln::train::{
    Auc, Averaging, ClassAggregation, Classes, Curve, Decision, FBeta, Loss, Metric, Point, R2,
    Streaming, Summation,
};
use kiln::{Dataset, Device, Targets};

use crate::conform::Stop;
use crate::conform::case::{Array, Case, number};
use crate::conform::check::Check;
use crate::conform::settings::Settings;

/// The rows after which the source reported.
const UPDATES: [(usize, usize); 3] = [(0, 20), (20, 35), (35, 50)];

/// y_true, y_pred, sample_weight → result, and result_w weighted.
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let metric = metric(case)?;
    let (y, target) = (case.tensor("y_pred")?, case.tensor("y_true")?);
    if y.shape.first() != Some(&UPDATES[2].1) || y.shape.len() > 2 {
        return Stop::unsupported("predictions other than 50 rows of numbers");
    }
    let columns = y.values.len() / UPDATES[2].1;
    let labels = target.values.len() != y.values.len();
    for (name, weights) in [("result", None), ("result_w", case.find("sample_weight"))] {
        if case.find(name).is_none() || (name == "result_w") != weights.is_some() {
            continue;
        }
        let form = targets(&target.rows(0, 1), columns, labels);
        let mut stream = Streaming::new(device, std::slice::from_ref(&metric), columns, &form)?;
        let mut results = Vec::new();
        for (first, end) in UPDATES {
            let targets = targets(&target.rows(first, end), columns, labels);
            let mut weights = weights.map(|weights| weights.rows(first, end).to_f32());
            if let ("mean_io_u", Some(weights)) = (metric.name(), &mut weights) {
                // The source counts whole weights only.
                weights
                    .iter_mut()
                    .for_each(|weight| *weight = weight.trunc());
            }
            stream.update(&targets, &y.rows(first, end).to_f32(), weights.as_deref())?;
            results.extend(stream.result()?.into_iter().map(|(_, value)| value));
        }
        check.values(name, &results)?;
    }
    // The same by `evaluate`, which is how a user meets it.
    check.values("result", &evaluated(y, target, metric, labels, device)?)
}

/// Targets as Kiln takes them: class labels, where there is one for each row of several predictions, or numbers.
pub fn targets(target: &Array, columns: usize, labels: bool) -> Targets {
    let values = target.to_f32();
    match labels {
        true => Targets::Labels {
            labels: values.iter().map(|&label| label as u32).collect(),
            classes: columns,
        },
        false => Targets::Values { values, columns },
    }
}

/// The metric that the case's op and settings name.
fn metric(case: &Case) -> Result<Metric, Stop> {
    let mut settings = Settings::of(case);
    settings.ignore(&["name", "dtype"]);
    let metric = match case.op.as_str() {
        "Accuracy" => Metric::EqualAccuracy,
        "BinaryAccuracy" => Metric::BinaryAccuracy(settings.number("threshold", 0.5)? as f32),
        "CategoricalAccuracy" => Metric::CategoricalAccuracy,
        "SparseCategoricalAccuracy" => Metric::SparseCategoricalAccuracy,
        "TopKCategoricalAccuracy" => {
            Metric::TopKCategoricalAccuracy(settings.number("k", 5.0)? as usize)
        }
        "SparseTopKCategoricalAccuracy" => {
            Metric::SparseTopKCategoricalAccuracy(settings.number("k", 5.0)? as usize)
        }
        "Precision" => Metric::Precision(decision(&mut settings)?),
        "Recall" => Metric::Recall(decision(&mut settings)?),
        "TruePositives" => Metric::TruePositives(decision(&mut settings)?.thresholds),
        "FalsePositives" => Metric::FalsePositives(decision(&mut settings)?.thresholds),
        "TrueNegatives" => Metric::TrueNegatives(decision(&mut settings)?.thresholds),
        "FalseNegatives" => Metric::FalseNegatives(decision(&mut settings)?.thresholds),
        "F1Score" => Metric::F1Score(f_beta(&mut settings)?),
        "FBetaScore" => Metric::FBetaScore(f_beta(&mut settings)?),
        "AUC" => Metric::Auc(auc(&mut settings)?),
        "SensitivityAtSpecificity" => {
            Metric::SensitivityAtSpecificity(point(&mut settings, "specificity")?)
        }
        "SpecificityAtSensitivity" => {
            Metric::SpecificityAtSensitivity(point(&mut settings, "sensitivity")?)
        }
        "PrecisionAtRecall" => Metric::PrecisionAtRecall(point(&mut settings, "recall")?),
        "RecallAtPrecision" => Metric::RecallAtPrecision(point(&mut settings, "precision")?),
        "MeanIoU" | "OneHotMeanIoU" => {
            settings.ignore(&["sparse_y_true", "sparse_y_pred"]);
            settings.axis()?;
            let mut classes = Classes::from(settings.count("num_classes")? as usize);
            let ignored = settings.number("ignore_class", -1.0)?;
            classes.ignore_class = (ignored >= 0.0).then_some(ignored as i32);
            Metric::MeanIou(classes)
        }
        "R2Score" => Metric::R2Score(R2 {
            class_aggregation: match settings.text("class_aggregation", "")? {
                "" if case.config.contains_key("class_aggregation") => ClassAggregation::None,
                "" | "uniform_average" => ClassAggregation::UniformAverage,
                "variance_weighted_average" => ClassAggregation::VarianceWeightedAverage,
                other => return Stop::unsupported(format!("class_aggregation {other}")),
            },
            num_regressors: settings.number("num_regressors", 0.0)? as usize,
        }),
        "MeanSquaredError" => Metric::MeanSquaredError,
        "RootMeanSquaredError" => Metric::RootMeanSquaredError,
        "MeanAbsoluteError" => Metric::MeanAbsoluteError,
        "MeanAbsolutePercentageError" => Metric::MeanAbsolutePercentageError,
        "MeanSquaredLogarithmicError" => Metric::MeanSquaredLogarithmicError,
        "LogCoshError" => Metric::LogCoshError,
        "KLDivergence" => Metric::KlDivergence,
        "Poisson" => Metric::Poisson,
        "Hinge" => Metric::Hinge,
        "SquaredHinge" => Metric::SquaredHinge,
        "CategoricalHinge" => Metric::CategoricalHinge,
        "CosineSimilarity" => settings.axis().map(|()| Metric::CosineSimilarity)?,
        "PearsonCorrelation" => settings.axis().map(|()| Metric::PearsonCorrelation)?,
        "ConcordanceCorrelation" => settings.axis().map(|()| Metric::ConcordanceCorrelation)?,
        "BinaryCrossentropy" => crossentropy(&mut settings, Loss::BinaryCrossentropy)?,
        "CategoricalCrossentropy" => crossentropy(&mut settings, Loss::CategoricalCrossentropy)?,
        "SparseCategoricalCrossentropy" => {
            crossentropy(&mut settings, Loss::SparseCategoricalCrossentropy)?
        }
        other => return Stop::unsupported(format!("op {other}")),
    };
    settings.finish()?;
    Ok(metric)
}

impl<'a> Settings<'a> {
    /// The last axis, which is the only one that metrics go along.
    fn axis(&mut self) -> Result<(), Stop> {
        match self.number("axis", -1.0)? {
            -1.0 => Ok(()),
            axis => Stop::unsupported(format!("axis {axis}")),
        }
    }

    /// A list of numbers, or one alone.
    fn numbers(&mut self, key: &str) -> Option<Vec<f32>> {
        let value = self.get(key)?;
        let one = |value| number(value).map(|number| number as f32);
        match value.as_array() {
            Some(values) => values.iter().map(one).collect(),
            None => one(value).map(|one| vec![one]),
        }
    }

    fn optional(&mut self, key: &str) -> Result<Option<usize>, Stop> {
        let value = self.number(key, -1.0)?;
        Ok((value >= 0.0).then_some(value as usize))
    }
}

fn decision(settings: &mut Settings<'_>) -> Result<Decision, Stop> {
    let thresholds = settings.numbers("thresholds");
    let decision = match settings.optional("top_k")? {
        Some(k) => Decision::top_k(k),
        None => Decision::default(),
    };
    Ok(Decision {
        thresholds: thresholds.unwrap_or(decision.thresholds),
        class_id: settings.optional("class_id")?,
        ..decision
    })
}

fn f_beta(settings: &mut Settings<'_>) -> Result<FBeta, Stop> {
    let average = match settings.text("average", "none")? {
        "none" => Averaging::None,
        "micro" => Averaging::Micro,
        "macro" => Averaging::Macro,
        "weighted" => Averaging::Weighted,
        other => return Stop::unsupported(format!("average {other}")),
    };
    Ok(FBeta {
        average,
        beta: settings.number("beta", 1.0)? as f32,
        threshold: settings
            .numbers("threshold")
            .and_then(|numbers| numbers.first().copied()),
    })
}

fn auc(settings: &mut Settings<'_>) -> Result<Auc, Stop> {
    settings.ignore(&["num_labels"]);
    settings.without(&["thresholds"])?;
    Ok(Auc {
        num_thresholds: settings.number("num_thresholds", 200.0)? as usize,
        curve: match settings.text("curve", "ROC")? {
            "ROC" | "roc" => Curve::Roc,
            "PR" | "pr" => Curve::Pr,
            other => return Stop::unsupported(format!("curve {other}")),
        },
        summation: match settings.text("summation_method", "interpolation")? {
            "interpolation" => Summation::Interpolation,
            "minoring" => Summation::Minoring,
            "majoring" => Summation::Majoring,
            other => return Stop::unsupported(format!("summation_method {other}")),
        },
        multi_label: settings.flag("multi_label", false)?,
        label_weights: settings.numbers("label_weights"),
        from_logits: settings.flag("from_logits", false)?,
    })
}

fn point(settings: &mut Settings<'_>, at: &str) -> Result<Point, Stop> {
    Ok(Point {
        at: settings.required(at)? as f32,
        num_thresholds: settings.number("num_thresholds", 200.0)? as usize,
        class_id: settings.optional("class_id")?,
    })
}

fn crossentropy(settings: &mut Settings<'_>, loss: Loss) -> Result<Metric, Stop> {
    settings.axis()?;
    let smoothing = settings.number("label_smoothing", 0.0)? as f32;
    let loss = match settings.flag("from_logits", false)? {
        true => loss.from_logits(),
        false => loss.from_probabilities(),
    };
    Ok(Metric::from(loss.label_smoothing(smoothing)))
}

/// What `evaluate` reports over the rows so far, of a model that hands its inputs on.
fn evaluated(
    y: &Array,
    target: &Array,
    metric: Metric,
    labels: bool,
    device: &Device,
) -> Result<Vec<f64>, Stop> {
    let columns = y.values.len() / UPDATES[2].1;
    let mut identity = vec![0.0; columns * columns];
    identity
        .iter_mut()
        .step_by(columns + 1)
        .for_each(|one| *one = 1.0);
    let loss = match labels {
        true => Loss::SparseCategoricalCrossentropy,
        false => Loss::MeanSquaredError,
    };
    let layer = Dense::new(columns)
        .activation(Activation::Linear)
        .kernel_initializer(Initializer::Zeros);
    let model = Sequential::new(columns).layer(layer.without_bias());
    let mut model = model.compile_on(device, loss, Sgd::default(), [metric])?;
    model.set_weights([("dense/kernel", identity.as_slice())])?;
    let mut results = Vec::new();
    for (_, end) in UPDATES {
        let targets = targets(&target.rows(0, end), columns, labels);
        let data = Dataset::new(y.rows(0, end).to_f32(), columns, targets)?;
        let evaluation = model.evaluate(&data)?;
        results.extend(evaluation.metrics.into_iter().map(|(_, value)| value));
    }
    Ok(results)
}
