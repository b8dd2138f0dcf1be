//! Losses, metrics and objectives.

use kiln::prelude::*;
use kiln::train::{
    Auc, BinaryFocalCrossentropy, CategoricalFocalCrossentropy, Classes, Decision, FBeta,
    Objective, Point, Reduction,
};

use super::{refuses, says};

pub fn all() {
    settings_of_losses_out_of_range_name_the_field();
    settings_that_a_loss_does_not_have_are_refused();
    settings_of_metrics_out_of_range_name_the_field();
    names_that_a_log_would_have_twice_are_refused();
    objectives_that_the_outputs_do_not_have_are_refused();
}

fn with(loss: impl Into<Loss>) -> Result<Model> {
    Sequential::new(2)
        .dense(3, Softmax)
        .compile_on(&Device::cpu(), loss, Adam::default(), [])
}

/// A model of three classes that is measured so.
fn measured(metric: Metric) -> Result<Model> {
    let model = Sequential::new(2).dense(3, Softmax);
    let mut model = model.compile_on(
        &Device::cpu(),
        CategoricalCrossentropy,
        Adam::default(),
        [metric],
    )?;
    let data = Dataset::from_rows(&[[0.0, 1.0]], &[[0.0, 1.0, 0.0]])?;
    model.evaluate(&data)?;
    Ok(model)
}

#[test]
pub fn settings_of_losses_out_of_range_name_the_field() {
    refuses(with(Loss::huber(0.0)), "delta", &["above 0", "got 0"]);
    refuses(with(Loss::huber(f32::NAN)), "delta", &["above 0", "NaN"]);
    let binary = |alpha, gamma| BinaryFocalCrossentropy { alpha, gamma };
    refuses(
        with(binary(Some(1.5), 2.0)),
        "alpha",
        &["between 0 and 1", "1.5"],
    );
    refuses(with(binary(None, -1.0)), "gamma", &["at least 0", "-1"]);
    let categorical = |alpha, gamma| CategoricalFocalCrossentropy { alpha, gamma };
    refuses(
        with(categorical(-0.5, 2.0)),
        "alpha",
        &["at least 0", "-0.5"],
    );
    refuses(
        with(categorical(0.25, f32::INFINITY)),
        "gamma",
        &["finite", "inf"],
    );
    refuses(with(Loss::tversky(-1.0, 0.5)), "alpha", &["-1"]);
    refuses(with(Loss::tversky(0.5, f32::NAN)), "beta", &["NaN"]);
    let smoothed = |share| CategoricalCrossentropy.label_smoothing(share);
    refuses(
        with(smoothed(1.5)),
        "label_smoothing",
        &["between 0 and 1", "1.5"],
    );
    refuses(
        with(smoothed(-0.1)),
        "label_smoothing",
        &["between 0 and 1", "-0.1"],
    );
    refuses(
        with(smoothed(f32::NAN)),
        "label_smoothing",
        &["between 0 and 1", "NaN"],
    );
}

#[test]
pub fn settings_that_a_loss_does_not_have_are_refused() {
    refuses(
        with(MeanSquaredError.from_logits()),
        "reads",
        &["cross-entropy"],
    );
    refuses(
        with(MeanSquaredError.label_smoothing(0.1)),
        "label_smoothing",
        &["cross-entropy"],
    );
    refuses(
        with(CategoricalCrossentropy.ignore_class(1)),
        "ignore_class",
        &["integer labels"],
    );
    refuses(
        with(CategoricalCrossentropy.reduction(Reduction::None)),
        "reduction",
        &["one number", "Sum"],
    );
    refuses(
        with(Loss::Dice.reduction(Reduction::Sum)),
        "reduction",
        &["dice", "one number for a batch"],
    );
}

#[test]
pub fn settings_of_metrics_out_of_range_name_the_field() {
    refuses(measured(BinaryAccuracy(2.0)), "threshold", &["2"]);
    refuses(measured(BinaryAccuracy(f32::NAN)), "threshold", &["NaN"]);
    refuses(
        measured(Metric::TopKCategoricalAccuracy(0)),
        "k",
        &["between 1", "got 0"],
    );
    refuses(
        measured(Metric::TopKCategoricalAccuracy(4)),
        "k",
        &["3 outputs", "got 4"],
    );
    refuses(
        measured(SparseCategoricalAccuracy),
        "metrics",
        &["integer labels", "numbers"],
    );
    refuses(
        measured(Metric::Precision(-0.5)),
        "thresholds",
        &["between 0 and 1", "-0.5"],
    );
    let none: [f32; 0] = [];
    refuses(
        measured(Metric::Recall(none)),
        "thresholds",
        &["at least one"],
    );
    refuses(
        measured(Metric::Recall(Decision::top_k(0))),
        "top_k",
        &["got 0"],
    );
    refuses(
        measured(Metric::Precision(Decision::top_k(9))),
        "top_k",
        &["got 9"],
    );
    refuses(
        measured(Metric::Specificity(Decision {
            class_id: Some(3),
            ..Decision::default()
        })),
        "class_id",
        &["3"],
    );
    refuses(
        measured(Metric::TruePositives(vec![1.5])),
        "thresholds",
        &["1.5"],
    );
    refuses(
        measured(Metric::FalseNegatives(Vec::new())),
        "thresholds",
        &["at least one"],
    );
    refuses(
        measured(Metric::FBetaScore(FBeta {
            beta: 0.0,
            ..FBeta::default()
        })),
        "beta",
        &["above 0", "got 0"],
    );
    refuses(
        measured(Metric::F1Score(FBeta {
            threshold: Some(2.0),
            ..FBeta::default()
        })),
        "thresholds",
        &["got 2"],
    );
    let auc = |auc: Auc| measured(Metric::Auc(auc));
    refuses(
        auc(Auc {
            num_thresholds: 1,
            ..Auc::default()
        }),
        "num_thresholds",
        &["at least 2"],
    );
    let weighted = Auc {
        label_weights: Some(vec![1.0]),
        multi_label: true,
        ..Auc::default()
    };
    refuses(auc(weighted), "label_weights", &["3 outputs", "got 1"]);
    refuses(
        measured(Metric::RecallAtPrecision(1.5)),
        "at",
        &["between 0 and 1", "1.5"],
    );
    let none = Point {
        num_thresholds: 0,
        ..Point::from(0.5)
    };
    refuses(
        measured(Metric::PrecisionAtRecall(none)),
        "num_thresholds",
        &["at least 1"],
    );
    let fourth = Point {
        class_id: Some(3),
        ..Point::from(0.5)
    };
    refuses(
        measured(Metric::SensitivityAtSpecificity(fourth)),
        "class_id",
        &["3"],
    );
    refuses(measured(Metric::MeanIou(0)), "num_classes", &["at least 1"]);
    refuses(
        measured(Metric::CohenKappa(5)),
        "num_classes",
        &["outputs, 3", "got 5"],
    );
    let ignored = Classes {
        ignore_class: Some(7),
        ..Classes::default()
    };
    refuses(measured(Metric::MeanIou(ignored)), "ignore_class", &["7"]);
    let spec = SparseCategoricalCrossentropy.ignore_class(1);
    refuses(measured(Metric::from(spec)), "ignore_class", &["metric"]);
    let sums = MeanSquaredError.reduction(Reduction::Sum);
    refuses(
        measured(Metric::from(sums)),
        "reduction",
        &["metric", "mean over rows"],
    );
    let twice = Sequential::new(2).dense(3, Softmax).compile_on(
        &Device::cpu(),
        SparseCategoricalCrossentropy,
        Adam::default(),
        [Accuracy, Accuracy],
    );
    refuses(twice, "metrics", &["differ in name", "accuracy"]);
}

#[test]
pub fn names_that_a_log_would_have_twice_are_refused() {
    let mae = |name: &str| Metric::MeanAbsoluteError.with_name(name);
    for name in [
        "loss", "epoch", "step", "seconds", "val_loss", "val_mae", "val_", "",
    ] {
        let own = ["names of their own", &format!("`{name}`"), "with_name"];
        refuses(measured(mae(name)), "metrics", &own);
    }
    for name in ["steps", "my_loss", "value", "epoch_time", "Epoch"] {
        assert!(measured(mae(name)).is_ok(), "{name}");
    }
    let with = |metrics: Vec<Metric>| {
        let model = Sequential::new(2).dense(3, Softmax);
        let loss = CategoricalCrossentropy;
        model.compile_on(&Device::cpu(), loss, Adam::default(), metrics)
    };
    let several = || Metric::Precision([0.2, 0.8]);
    for name in ["precision_0", "precision_1"] {
        let twice = ["differ in name", &format!("`{name}` twice")];
        refuses(with(vec![several(), mae(name)]), "metrics", &twice);
        refuses(with(vec![mae(name), several()]), "metrics", &twice);
        // One threshold makes one figure, without a number.
        assert!(with(vec![Metric::Precision(0.2), mae(name)]).is_ok());
    }
    assert!(with(vec![several(), mae("precision_2")]).is_ok());
    assert!(with(vec![several(), mae("precision")]).is_err());
    // The name of an output may make one of these too.
    let x = Input::named("x", 2);
    let (a, b) = (Dense::new(1).on(&x), Dense::new(1).on(&x));
    let outputs = |name: &str| {
        let network = Functional::new(&x, [(name, &a), ("b", &b)]);
        let mse = |output: &str| Objective::new(output, MeanSquaredError);
        network.compile_with(&Device::cpu(), [mse(name), mse("b")], Adam::default())
    };
    refuses(outputs("val"), "metrics", &["`val_loss`"]);
    assert!(outputs("step").is_ok());
}

#[test]
pub fn objectives_that_the_outputs_do_not_have_are_refused() {
    let model = || {
        let x = Input::named("x", 2);
        let y = Dense::new(1).on(&x);
        Functional::new(&x, [("y", &y)])
    };
    let with = |objectives: Vec<Objective>| {
        model().compile_with(&Device::cpu(), objectives, Adam::default())
    };
    let mse = |name: &str| Objective::new(name, MeanSquaredError);
    refuses(with(Vec::new()), "objectives", &["at least one"]);
    says(with(vec![mse("z")]), &["output", "`z`", "y"]);
    refuses(
        with(vec![mse("y"), mse("y")]),
        "objectives",
        &["`y`", "twice"],
    );
    refuses(with(vec![mse("y").weight(-1.0)]), "loss_weights", &["-1"]);
    refuses(
        with(vec![mse("y").weight(f32::NAN)]),
        "loss_weights",
        &["NaN"],
    );
}
