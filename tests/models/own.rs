//! Losses and metrics of one's own, through the traits that the built-in ones are of.

use crate::common::devices;
use kiln::prelude::*;
use kiln::train::{Counter, Form, MetricFunction, Objective, Reduction, RowFunction};
use kiln::train::{MetricSetting, Span, Takes, Tally};

/// Σ |y − y*|ᵖ of each row.
#[derive(Debug)]
struct Powers {
    cubed: bool,
}

impl RowFunction for Powers {
    fn name(&self) -> &str {
        "powers"
    }

    fn rows(&self, y: &Tensor, target: &Tensor, _form: Form) -> Tensor {
        let distance = y.sub(target).abs();
        let powers = if self.cubed {
            distance.mul(&distance.square())
        } else {
            distance.square()
        };
        powers.sum_over(1)
    }
}

/// The probability that is missing from the labelled class: 1 − y of that class.
#[derive(Debug)]
struct Missing;

impl RowFunction for Missing {
    fn name(&self) -> &str {
        "missing"
    }

    fn rows(&self, y: &Tensor, target: &Tensor, form: Form) -> Tensor {
        let p = match form {
            Form::Logits => y.softmax(-1),
            Form::Probabilities => y.clone(),
        };
        p.mul(target).sum_over(1).neg().offset(1.0)
    }

    fn takes(&self) -> Takes {
        Takes::Shares
    }

    fn span(&self) -> Span {
        Span::Position
    }

    fn logits_of(&self) -> Option<Activation> {
        Some(Softmax)
    }
}

/// √(recall·specificity) above one half.
#[derive(Debug)]
struct GeometricMean;

impl MetricFunction for GeometricMean {
    fn name(&self) -> &str {
        "geometric_mean"
    }

    fn counter(&self, setting: &MetricSetting) -> Result<Counter> {
        Counter::thresholds(&[0.5], setting)
    }

    fn values(&self, tally: &Tally) -> Result<Vec<f64>> {
        let outcomes = tally.thresholds()?.all()[0];
        Ok(vec![(outcomes.recall() * outcomes.specificity()).sqrt()])
    }

    fn rises(&self) -> Option<bool> {
        Some(true)
    }
}

const X: [f32; 6] = [1.0, 2.0, 3.0, -1.0, 0.5, -2.0];
const W: [f32; 6] = [0.5, 2.0, 0.0, 1.5, 3.0, 1.0];

fn numbers() -> Dataset {
    let targets = Targets::Values {
        values: X.map(|x| 0.7 * x - 0.2).to_vec(),
        columns: 1,
    };
    let data = Dataset::new(X.to_vec(), 1, targets).unwrap();
    data.with_weights(W.to_vec()).unwrap()
}

#[track_caller]
fn near(value: Option<f64>, expected: f64) {
    let value = value.unwrap();
    let off = (value - expected).abs();
    assert!(
        off <= 1e-5 * expected.abs().max(1.0),
        "{value}, not {expected}"
    );
}

#[test]
fn a_loss_of_ones_own_has_reductions_weights_metrics_and_trains() {
    for device in devices() {
        let loss = || Loss::from(Powers { cubed: true });
        let square = || Loss::from(Powers { cubed: false });
        let objective = Objective::new("y", loss().reduction(Reduction::Sum))
            .metric(square())
            .metric(Metric::from(loss()).with_name("cubes"))
            .metric(Metric::MeanSquaredError)
            .weighted_metric(square().into());
        let x = Input::named("x", 1);
        let y = Dense::new(1).named("y").on(&x);
        let rate = Adam::new(0.05);
        let model = Functional::new([&x], [("y", &y)]).seed(3);
        let mut model = model.compile_with(&device, [objective], rate).unwrap();
        let evaluation = model.evaluate(&numbers()).unwrap();
        let predicted = model.predict(&X).unwrap();
        let errors = predicted
            .values
            .iter()
            .zip(X)
            .map(|(y, x)| f64::from(y - (0.7 * x - 0.2)).abs());
        let errors: Vec<f64> = errors.collect();
        let weighed = |power: i32| {
            let each = errors.iter().zip(W);
            each.map(|(e, w)| f64::from(w) * e.powi(power)).sum::<f64>()
        };
        let mean = |power: i32| errors.iter().map(|e| e.powi(power)).sum::<f64>() / 6.0;
        near(Some(evaluation.loss), weighed(3));
        near(evaluation.get("powers"), mean(2));
        near(evaluation.get("cubes"), mean(3));
        near(evaluation.get("mean_squared_error"), mean(2));
        near(evaluation.get("weighted_powers"), weighed(2) / 8.0);
        let history = model.fit(&numbers(), Fit::epochs(60).silent()).unwrap();
        let losses = history.loss();
        assert!(losses[59] < 0.2 * losses[0], "{losses:?}");
        let refused = model.save("nowhere").unwrap_err().to_string();
        assert!(refused.contains("`powers`"), "{refused}");
    }
}

#[test]
fn a_loss_of_ones_own_reads_logits_and_leaves_out_what_the_settings_say() {
    let labels = [0, 1, 1, 0, 1, 0];
    let shares: Vec<f32> = labels
        .iter()
        .flat_map(|&l| [1.0 - l as f32, l as f32])
        .collect();
    let targets = Targets::Values {
        values: shares.clone(),
        columns: 2,
    };
    let data = Dataset::new(X.to_vec(), 1, targets).unwrap();
    for device in devices() {
        let model = Sequential::new(1).dense(2, Softmax).seed(5);
        let loss = Loss::from(Missing).label_smoothing(0.2);
        let mut model = model.compile_on(&device, loss, Sgd::new(0.0), []).unwrap();
        let loss = model.evaluate(&data).unwrap().loss;
        let predicted = model.predict(&X).unwrap();
        let smoothed = shares.iter().map(|share| 0.8 * share + 0.1);
        let kept = predicted.values.iter().zip(smoothed);
        let kept: f64 = kept.map(|(y, t)| f64::from(y * t)).sum();
        near(Some(loss), 1.0 - kept / 6.0);
    }
    let refused = Loss::from(Missing).ignore_class(1).validate().unwrap_err();
    assert!(refused.to_string().contains("ignore_class"), "{refused}");
    let plain = Loss::from(Powers { cubed: true }).from_logits().validate();
    assert!(plain.unwrap_err().to_string().contains("reads"));
}

#[test]
fn a_metric_of_ones_own_shares_counts_with_the_built_in_ones() {
    let labels: Vec<u32> = X.iter().map(|&x| u32::from(x > 0.6)).collect();
    let targets = Targets::Labels { labels, classes: 2 };
    let data = Dataset::new(X.to_vec(), 1, targets).unwrap();
    for device in devices() {
        let metrics: [Metric; 3] = [
            GeometricMean.into(),
            Metric::Recall(0.5),
            Metric::Specificity(kiln::train::Decision::default()),
        ];
        let model = Sequential::new(1).dense(1, Sigmoid).seed(2);
        let mut model = model
            .compile_on(&device, BinaryCrossentropy, Adam::new(0.05), metrics)
            .unwrap();
        // Which way the metric gets better is what it says.
        let best = EarlyStopping::new("val_geometric_mean", 3).restore_best_weights(true);
        let fit = Fit::epochs(5).silent().validation(&data).callback(best);
        let history = model.fit(&data, fit).unwrap();
        assert_eq!(
            history.get("geometric_mean").unwrap().len(),
            history.loss().len()
        );
        let evaluation = model.evaluate(&data).unwrap();
        let get = |name: &str| evaluation.get(name).unwrap();
        near(
            evaluation.get("geometric_mean"),
            (get("recall") * get("specificity")).sqrt(),
        );
        let mean = Tally::Mean {
            sum: 1.0,
            weight: 2.0,
        };
        let other = GeometricMean.values(&mean).unwrap_err();
        assert!(other.to_string().contains("tally"), "{other}");
        let refused = model.save("nowhere").unwrap_err().to_string();
        assert!(refused.contains("`geometric_mean`"), "{refused}");
    }
}
