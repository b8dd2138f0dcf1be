//! Metrics of scikit-learn: many of one set of predictions.

use kiln::train::{
    Averaging, Classes, FBeta, Loss, Metric, R2, Streaming, average_precision,
    median_absolute_error, roc_auc,
};
use kiln::{Device, Targets};

use super::metric::targets;
use crate::conform::Stop;
use crate::conform::case::{Array, Case};
use crate::conform::check::Check;

/// bin.*, cls.* and reg.* → result.NAME for each of scikit-learn's functions.
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let set = Set { case, device };
    for name in case.names("result.") {
        let values = match name.split_once('.') {
            Some(("cls", of)) => set.of_classes(of)?,
            Some(("reg", of)) => set.of_numbers(of)?,
            _ if name == "confusion" => set.confusion()?,
            _ => set.binary(&name)?,
        };
        check.values(&format!("result.{name}"), &values)?;
    }
    Ok(())
}

struct Set<'a> {
    case: &'a Case,
    device: &'a Device,
}

impl Set<'_> {
    /// A metric over all rows.
    fn measure(
        &self,
        metric: Metric,
        targets: &Targets,
        y: &Array,
        weights: Option<&[f32]>,
    ) -> Result<Vec<f64>, Stop> {
        let columns = y.values.len() / y.shape[0];
        let mut stream = Streaming::new(self.device, &[metric], columns, targets)?;
        stream.update(targets, &y.to_f32(), weights)?;
        Ok(stream
            .result()?
            .into_iter()
            .map(|(_, value)| value)
            .collect())
    }

    fn binary(&self, name: &str) -> Result<Vec<f64>, Stop> {
        let (y, truth) = (self.case.tensor("bin.score")?, self.case.tensor("bin.y")?);
        let (scores, wanted) = (y.to_f32(), truth.to_f32());
        let weights = self.case.tensor("w")?.to_f32();
        let metric = match name {
            "roc_auc" => return Ok(vec![roc_auc(&wanted, &scores, None)?]),
            "roc_auc_w" => return Ok(vec![roc_auc(&wanted, &scores, Some(&weights))?]),
            "avg_precision" => return Ok(vec![average_precision(&wanted, &scores, None)?]),
            "log_loss" => {
                // The source clipped the scores further than the loss does.
                let mut clipped = y.clone();
                let clip = |score: &mut f64| *score = score.clamp(1e-6, 1.0 - 1e-6);
                clipped.values.iter_mut().for_each(clip);
                let metric = Metric::from(Loss::BinaryCrossentropy.from_probabilities());
                return self.measure(metric, &targets(truth, 1, false), &clipped, None);
            }
            "brier" => Metric::MeanSquaredError,
            "accuracy@0.5" => Metric::BinaryAccuracy(0.5),
            "precision@0.5" => Metric::Precision(0.5),
            "recall@0.5" => Metric::Recall(0.5),
            "f1@0.5" => Metric::F1Score(FBeta {
                threshold: Some(0.5),
                ..FBeta::default()
            }),
            "mcc@0.5" => Metric::MatthewsCorrelation(Classes::default()),
            "balanced_acc@0.5" => Metric::BalancedAccuracy(Classes::default()),
            other => return Stop::unsupported(format!("sklearn.metrics {other}")),
        };
        self.measure(metric, &targets(truth, 1, false), y, None)
    }

    fn of_classes(&self, name: &str) -> Result<Vec<f64>, Stop> {
        let (y, truth) = (self.case.tensor("cls.prob")?, self.case.tensor("cls.y")?);
        let metric = match name {
            "accuracy" => Metric::SparseCategoricalAccuracy,
            "top2" => Metric::SparseTopKCategoricalAccuracy(2),
            "f1_macro" => Metric::F1Score(Averaging::Macro),
            "f1_micro" => Metric::F1Score(Averaging::Micro),
            "f1_weighted" => Metric::F1Score(Averaging::Weighted),
            "log_loss" => Metric::from(Loss::SparseCategoricalCrossentropy.from_probabilities()),
            "kappa" => Metric::CohenKappa(Classes::default()),
            "roc_auc_ovr" => return self.one_against_the_rest(y, truth),
            other => return Stop::unsupported(format!("sklearn.metrics {other}")),
        };
        self.measure(metric, &targets(truth, y.shape[1], true), y, None)
    }

    /// The mean of each class's area.
    fn one_against_the_rest(&self, y: &Array, truth: &Array) -> Result<Vec<f64>, Stop> {
        let classes = y.shape[1];
        let mut sum = 0.0;
        for class in 0..classes {
            let scores: Vec<f32> = y
                .to_f32()
                .into_iter()
                .skip(class)
                .step_by(classes)
                .collect();
            let is = |&wanted: &f64| f32::from(wanted as usize == class);
            let wanted: Vec<f32> = truth.values.iter().map(is).collect();
            sum += roc_auc(&wanted, &scores, None)?;
        }
        Ok(vec![sum / classes as f64])
    }

    fn of_numbers(&self, name: &str) -> Result<Vec<f64>, Stop> {
        let (y, truth) = (self.case.tensor("reg.pred")?, self.case.tensor("reg.y")?);
        let weights = self.case.tensor("w")?.to_f32();
        let targets = targets(truth, y.shape[1], false);
        let metric = match name {
            "mse" => Metric::MeanSquaredError,
            "rmse" => return self.roots_of_columns(truth, y),
            "mae" => Metric::MeanAbsoluteError,
            "r2" => Metric::R2Score(R2::default()),
            "r2_w" => {
                return self.measure(Metric::R2Score(R2::default()), &targets, y, Some(&weights));
            }
            "explained_variance" => Metric::ExplainedVariance(R2::default()),
            "medae" => {
                return Ok(vec![median_absolute_error(
                    &truth.to_f32(),
                    &y.to_f32(),
                    y.shape[1],
                )?]);
            }
            "mape" => {
                // A share there, a percentage here.
                let percent =
                    self.measure(Metric::MeanAbsolutePercentageError, &targets, y, None)?;
                return Ok(percent.into_iter().map(|percent| percent / 100.0).collect());
            }
            other => return Stop::unsupported(format!("sklearn.metrics {other}")),
        };
        self.measure(metric, &targets, y, None)
    }

    /// The source takes a root for each column and averages those.
    fn roots_of_columns(&self, truth: &Array, y: &Array) -> Result<Vec<f64>, Stop> {
        let columns = y.shape[1];
        let column = |array: &Array, of: usize| {
            let values = array.values.iter().skip(of).step_by(columns);
            Array::floats(&[array.shape[0], 1], values.copied().collect())
        };
        let mut sum = 0.0;
        for of in 0..columns {
            let (y, targets) = (column(y, of), targets(&column(truth, of), 1, false));
            let root = self.measure(Metric::RootMeanSquaredError, &targets, &y, None)?;
            sum += root.iter().sum::<f64>();
        }
        Ok(vec![sum / columns as f64])
    }

    fn confusion(&self) -> Result<Vec<f64>, Stop> {
        let (y, truth) = (self.case.tensor("cls.prob")?, self.case.tensor("cls.y")?);
        let targets = targets(truth, y.shape[1], true);
        let metric = Metric::CohenKappa(Classes::default());
        let mut stream = Streaming::new(self.device, &[metric], y.shape[1], &targets)?;
        stream.update(&targets, &y.to_f32(), None)?;
        let matrix = stream.confusion()?;
        Ok(matrix
            .iter()
            .flat_map(|matrix| matrix.cells.concat())
            .collect())
    }
}
