//! Losses and metrics at the edges of their numbers: hardly any row that counts, weights of 0, counts next to a threshold,
//! numbers whose squares f32 does not hold.

use kiln::prelude::*;
use kiln::train::{Auc, Curve, Metric, Point, R2, Reduction, Streaming, average_precision};
use kiln::{Graph, Plan, Program};

use crate::common::devices;
use crate::epoch_sums::{near, streamed};

#[test]
fn a_few_rows_in_a_thousand_that_count_have_the_loss_that_they_have_alone() {
    for (rows, wanted) in [(1000, 3), (1000, 10), (64, 3)] {
        let line = |row: usize| {
            let label = if row < wanted { row as i32 % 3 } else { -100 };
            format!("{},{},{label}\n", row % 7, (row * row) % 5)
        };
        let text: String = (0..rows).map(line).collect();
        let csv = Csv::new().labels();
        let data = csv.read_from(text.as_bytes(), "marked.csv").unwrap();
        let kept: Vec<usize> = (0..wanted).collect();
        let kept = data.select(&kept).unwrap();
        for device in devices() {
            let network = Sequential::new(2).dense(4, Tanh).dense(3, Softmax).seed(5);
            let loss = SparseCategoricalCrossentropy.ignore_class(-100);
            let mut model = network
                .compile_on(&device, loss, Sgd::new(0.1), [])
                .unwrap();
            let alone = model.evaluate(&kept).unwrap().loss;
            let among = model.evaluate(&data).unwrap().loss;
            let fit = Fit::steps(1).batch_size(rows).shuffle(false).silent();
            let trained = model.fit(&data, fit).unwrap().step_losses[0];
            let what = format!("{wanted} of {rows} rows on {device}");
            near(among, alone, 1e-6, &what);
            near(trained, alone, 1e-6, &what);
        }
    }
}

#[test]
fn a_loss_over_classes_refuses_a_single_unit() {
    for (unit, loss) in [
        (Sigmoid, CategoricalCrossentropy),
        (Linear, CategoricalCrossentropy),
        (Linear, SparseCategoricalCrossentropy.from_logits()),
    ] {
        let network = Sequential::new(2).dense(4, Relu).dense(1, unit);
        let refused = network.compile_on(&Device::cpu(), loss, Sgd::new(0.1), []);
        let refusal = refused.unwrap_err().to_string();
        assert!(
            refusal.contains("one unit") && refusal.contains("BinaryCrossentropy"),
            "{refusal}"
        );
    }
}

#[test]
fn an_average_precision_passes_over_best_scores_that_weigh_nothing() {
    let weights = [0.0, 1.0, 1.0];
    let value = average_precision(&[1.0, 0.0, 1.0], &[0.9, 0.8, 0.7], Some(&weights));
    assert_eq!(value.unwrap(), 0.5);
}

#[test]
fn a_class_that_is_predicted_as_minus_zero_is_class_0() {
    let rounded = [(-0.2f32).round(), 1.0, 2.0];
    let metrics = [Metric::MeanIou(3), Metric::CohenKappa(3)];
    for device in devices() {
        let values = streamed(&device, &metrics, &rounded, &[0.0, 1.0, 2.0], None);
        assert_eq!(values, [1.0, 1.0], "{device}");
    }
}

#[test]
fn as_many_thresholds_as_no_device_has_room_for_are_refused() {
    let targets = Targets::Values {
        values: Vec::new(),
        columns: 1,
    };
    for count in [usize::MAX, usize::MAX / 2, 100_000_000_000] {
        let auc = Auc {
            num_thresholds: count,
            ..Auc::default()
        };
        let point = Point {
            num_thresholds: count,
            ..Point::from(0.5)
        };
        for metric in [Metric::Auc(auc), Metric::RecallAtPrecision(point)] {
            let refused = Streaming::new(&Device::cpu(), &[metric], 1, &targets);
            let refusal = refused.unwrap_err().to_string();
            let said = ["num_thresholds", &count.to_string()];
            assert!(said.iter().all(|part| refusal.contains(part)), "{refusal}");
        }
    }
}

#[test]
fn a_point_that_is_missed_by_one_row_in_a_hundred_million_is_missed() {
    // Recall 67 108 863/83 886 079 < 0.8 where the fifth row is not found, and all else is.
    let weights = [
        16_777_216.0,
        16_777_216.0,
        16_777_216.0,
        16_777_215.0,
        16_777_216.0,
        1.0,
    ];
    let predictions = [0.9, 0.9, 0.9, 0.9, 0.1, 0.5];
    let truth = [1.0, 1.0, 1.0, 1.0, 1.0, 0.0];
    let metric = [Metric::PrecisionAtRecall(0.8)];
    for device in devices() {
        let values = streamed(&device, &metric, &predictions, &truth, Some(&weights));
        // All rows have to be taken, the one that is wrong too.
        near(
            values[0],
            83_886_079.0 / 83_886_080.0,
            1e-12,
            &device.to_string(),
        );
    }
}

#[test]
fn a_point_that_is_a_quotient_of_f32_is_reached_by_that_quotient() {
    // A third is 0.33333334 in f32, more than 1 of 3.
    let (third, truth) = (1.0f32 / 3.0, [1.0, 1.0, 1.0, 0.0]);
    let metric = [Metric::PrecisionAtRecall(third)];
    for device in devices() {
        let values = streamed(&device, &metric, &[0.9, 0.1, 0.1, 0.2], &truth, None);
        assert_eq!(values, [1.0], "{device}");
    }
}

#[test]
fn an_area_counts_scores_of_minus_infinity_as_the_lowest() {
    let infinite = f32::NEG_INFINITY;
    let multi_label = Auc {
        multi_label: true,
        ..Auc::default()
    };
    let metrics = [
        Metric::Auc(Curve::Roc),
        Metric::Auc(Curve::Pr).with_name("pr"),
        Metric::Auc(multi_label).with_name("each"),
        Metric::SpecificityAtSensitivity(1.0),
    ];
    for device in devices() {
        let values = streamed(&device, &metrics, &[0.9, infinite], &[1.0, 0.0], None);
        for (value, metric) in values.iter().zip(&metrics) {
            near(*value, 1.0, 1e-6, &format!("{metric} on {device}"));
        }
    }
}

#[test]
fn scores_whose_squares_no_number_holds_are_right_or_none() {
    let scores = || {
        [
            Metric::R2Score(R2::default()),
            Metric::ExplainedVariance(R2::default()),
        ]
    };
    let large = ([-2e19f32, 4e19], [-3e19f32, 3e19]);
    let small = ([1.5e-24f32, 2e-24, 2e-24], [1e-24f32, 2e-24, 3e-24]);
    // y, t: R² and the explained variance of them.
    let right = [
        [1.0 - 2.0 / 18.0, 1.0],
        [1.0 - 1.25 / 2.0, 1.0 - 1.166_666_7 / 2.0],
    ];
    for device in devices().into_iter().chain([Device::reference()]) {
        let of_large = streamed(&device, &scores(), &large.0, &large.1, None);
        let of_small = streamed(&device, &scores(), &small.0, &small.1, None);
        for (values, right) in [of_large, of_small].iter().zip(right) {
            for (value, right) in values.iter().zip(right) {
                assert!(
                    value.is_nan() || (value - right).abs() < 1e-5,
                    "{device}: {value}, but {right} is right"
                );
            }
        }
    }
}

#[test]
fn errors_that_are_tiny_beside_the_targets_leave_a_score_of_1() {
    let scores = [
        Metric::R2Score(R2::default()),
        Metric::ExplainedVariance(R2::default()),
    ];
    for device in devices() {
        // A sigmoid that is all but 0, and is right.
        for y in [1e-25, -1e-22] {
            let values = streamed(&device, &scores, &[y, 1.0, 2.0], &[0.0, 1.0, 2.0], None);
            assert_eq!(values, [1.0, 1.0], "{y} on {device}");
        }
        // One that is not the first.
        let values = streamed(&device, &scores, &[1.0, 1e-25, 2.0], &[1.0, 0.0, 2.0], None);
        assert_eq!(values, [1.0, 1.0], "{device}");
        // Targets that do not vary are not met.
        let values = streamed(&device, &scores[..1], &[0.0, 1e-25, 0.0], &[0.0; 3], None);
        assert_eq!(values, [0.0], "{device}");
    }
}

#[test]
fn a_metric_of_shares_refuses_a_single_unit() {
    let with = |metric: Metric| {
        let network = Sequential::new(2).dense(1, Sigmoid);
        network.compile_on(&Device::cpu(), BinaryCrossentropy, Sgd::new(0.1), [metric])
    };
    for metric in [
        Metric::CategoricalAccuracy,
        CategoricalCrossentropy.into(),
        Metric::TopKCategoricalAccuracy(1),
    ] {
        let name = format!("`{}`", metric.name());
        let refusal = with(metric).unwrap_err().to_string();
        let said = [name.as_str(), "one unit", "BinaryAccuracy"];
        assert!(said.iter().all(|part| refusal.contains(part)), "{refusal}");
    }
    with(Accuracy).unwrap();
}

#[test]
fn a_mean_by_weights_that_are_all_0_is_0() {
    for device in devices() {
        let graph = Graph::new();
        let (y, t) = (graph.input("y", [2, 1]), graph.input("t", [2, 1]));
        let weights = graph.input("weights", [2]);
        let loss = MeanSquaredError.reduction(Reduction::MeanWithSampleWeight);
        let mean = loss.of_batch(&y, &t, Some(&weights));
        let gradient = graph.gradients(&mean, &[&y]).remove(0);
        let program = Program::new("p").fetch("mean", &mean);
        let program = program.fetch("gradient", &gradient);
        let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
        let mut session = device.open(&plan).unwrap();
        for (name, values) in [("y", [1.0, 2.0]), ("t", [0.0; 2]), ("weights", [0.0; 2])] {
            session.write(name, &values).unwrap();
        }
        session.run("p", 1).unwrap();
        assert_eq!(session.read("mean").unwrap(), [0.0], "{device}");
        assert_eq!(session.read("gradient").unwrap(), [0.0; 2], "{device}");
    }
}
