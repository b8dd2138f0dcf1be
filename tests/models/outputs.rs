//! What losses and metrics read of outputs: logits where there are some, and every position of an output of several.

use crate::common::devices;
use kiln::nn::{ActivityRegularization, LayerRef, Regularizer};
use kiln::prelude::*;
use kiln::train::{Classes, Curve, Decision, Objective};

/// Numbers of no pattern in [−½, ½).
fn numbers(count: usize) -> Vec<f32> {
    let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5;
    (0..count).map(number).collect()
}

/// A kernel so large that every output saturates: the loss tells whether it reads what is before the activation.
#[test]
fn after_a_penalty_on_outputs_the_loss_still_reads_the_logits() {
    let data = |columns: usize| {
        let values = if columns == 1 {
            vec![0.0]
        } else {
            vec![0.0, 1.0]
        };
        Dataset::new(vec![1.0], 1, Targets::Values { values, columns }).unwrap()
    };
    let penalty = 0.01f32;
    let apart = ActivityRegularization {
        l1: penalty,
        l2: 0.0,
    };
    for device in devices() {
        for (activation, columns) in [(Sigmoid, 1), (Softmax, 2)] {
            let dense = || Dense::new(columns).activation(activation).without_bias();
            let own = dense().activity_regularizer(Regularizer::L1(penalty));
            let inner = Sequential::new(1).layer(dense()).layer(apart);
            for layers in [
                vec![LayerRef::from(own)],
                vec![dense().into(), apart.into()],
                vec![dense().into(), apart.into(), apart.into()],
                vec![Functional::from(inner).into()],
            ] {
                let place = format!("{device}, {activation}, {layers:?}");
                let penalties = if layers.len() == 3 { 2.0 } else { 1.0 };
                let network = layers
                    .into_iter()
                    .fold(Sequential::new(1), Sequential::layer);
                let loss = match columns {
                    1 => BinaryCrossentropy,
                    _ => CategoricalCrossentropy,
                };
                let metrics = [Metric::BinaryAccuracy(0.5)];
                let mut model = network
                    .compile_on(&device, loss, Sgd::new(1.0), metrics)
                    .unwrap();
                let name = model.weights().unwrap()[0].name.clone();
                let kernel = [100.0, 0.0];
                let given = [(name.as_str(), &kernel[..columns])];
                model.set_weights(given).unwrap();
                let measured = model.evaluate(&data(columns)).unwrap();
                // From probabilities, which are clipped, it would be 16.1.
                let expected = 100.0 + penalties * f64::from(penalty);
                let off = (measured.loss - expected).abs();
                assert!(off < 1e-3, "{place}: {measured}");
                assert_eq!(measured.get("binary_accuracy"), Some(0.0), "{place}");
                // And its slope is not that of a clipped number, which is 0.
                model.fit(&data(columns), Fit::steps(1).silent()).unwrap();
                let moved = model.weights().unwrap()[0].values[0];
                assert!((moved - 99.0).abs() < 1e-3, "{place}: {moved}");
            }
        }
    }
}

const ROWS: usize = 7;
const POSITIONS: usize = 3;
const FEATURES: usize = 2;
const CLASSES: usize = 4;

fn labels() -> Vec<u32> {
    (0..ROWS * POSITIONS)
        .map(|i| (i * 5 / 3 % CLASSES) as u32)
        .collect()
}

fn tagged() -> Dataset {
    let targets = Targets::LabelTable {
        labels: labels(),
        columns: POSITIONS,
        classes: CLASSES,
    };
    let features = numbers(ROWS * POSITIONS * FEATURES);
    Dataset::new(features, POSITIONS * FEATURES, targets).unwrap()
}

/// A softmax over classes at every position.
fn tagger(device: &Device, loss: impl Into<Loss>, metrics: Vec<Metric>) -> Model {
    let network = Sequential::new([POSITIONS, FEATURES])
        .dense(CLASSES, Softmax)
        .seed(3);
    network
        .compile_on(device, loss, Sgd::new(0.5), metrics)
        .unwrap()
}

/// The model's shares of the classes at every position of every row.
fn shares(model: &mut Model) -> Vec<Vec<f64>> {
    let predicted = model.predict(&tagged()).unwrap();
    assert_eq!(predicted.columns, POSITIONS * CLASSES);
    let shares = predicted.values.chunks(CLASSES);
    shares
        .map(|row| row.iter().map(|&p| f64::from(p)).collect())
        .collect()
}

fn near(value: f64, expected: f64, place: &str) {
    assert!(
        (value - expected).abs() < 2e-5,
        "{place}: {value} for {expected}"
    );
}

#[test]
fn labels_of_every_position_make_the_loss_that_is_computed_by_hand() {
    let labels = labels();
    for device in devices() {
        let weights: Vec<f64> = (0..ROWS).map(|i| 0.5 + i as f64).collect();
        let data = || tagged().with_weights(weights.iter().map(|&w| w as f32).collect());
        let data = data().unwrap();
        let smoothed = SparseCategoricalCrossentropy.label_smoothing(0.2);
        let ignoring = SparseCategoricalCrossentropy.ignore_class(1);
        for (spec, smoothing, ignored) in [
            (SparseCategoricalCrossentropy, 0.0, None),
            (smoothed, 0.2, None),
            (ignoring, 0.0, Some(1)),
        ] {
            let place = format!("{device}, {spec}");
            let mut model = tagger(&device, spec, vec![]);
            let shares = shares(&mut model);
            let each = shares.iter().zip(&labels).map(|(p, &label)| {
                if ignored == Some(label.cast_signed()) {
                    return 0.0;
                }
                let terms = p.iter().enumerate().map(|(class, p)| {
                    let own = if class == label as usize { 1.0 } else { 0.0 };
                    -(own * (1.0 - smoothing) + smoothing / CLASSES as f64) * p.ln()
                });
                terms.sum()
            });
            let each: Vec<f64> = each.collect();
            let kept = labels
                .iter()
                .filter(|&&label| ignored != Some(label.cast_signed()));
            let kept = kept.count() as f64;
            let plain: f64 = each.iter().sum::<f64>() / kept;
            near(model.evaluate(&tagged()).unwrap().loss, plain, &place);
            let weighed = each
                .iter()
                .enumerate()
                .map(|(i, loss)| weights[i / POSITIONS] * loss);
            let weighed = weighed.sum::<f64>() / kept;
            near(model.evaluate(&data).unwrap().loss, weighed, &place);
        }
    }
}

#[test]
fn a_step_over_positions_moves_weights_by_the_gradient_of_their_mean() {
    let (labels, data) = (labels(), tagged());
    for device in devices() {
        let mut model = tagger(&device, SparseCategoricalCrossentropy, vec![]);
        let before = model.weights().unwrap();
        let shares = shares(&mut model);
        let fit = Fit::steps(1).batch_size(ROWS).silent();
        let history = model.fit(&data, fit).unwrap();
        let after = model.weights().unwrap();
        for (at, (before, after)) in before[0].values.iter().zip(&after[0].values).enumerate() {
            let (feature, class) = (at / CLASSES, at % CLASSES);
            let terms = shares
                .iter()
                .zip(&labels)
                .enumerate()
                .map(|(i, (p, &label))| {
                    let x = f64::from(data.features()[i * FEATURES + feature]);
                    x * (p[class] - f64::from(u8::from(class == label as usize)))
                });
            let slope = terms.sum::<f64>() / (ROWS * POSITIONS) as f64;
            near(
                f64::from(before - after),
                0.5 * slope,
                &format!("{device}, {at}"),
            );
        }
        // Batches of any size, rows at hand or in parts: the mean over all positions of all rows.
        let losses = shares.iter().zip(&labels);
        let mean = losses
            .map(|(p, &label)| -p[label as usize].ln())
            .sum::<f64>();
        near(
            history.epochs[0].loss,
            mean / labels.len() as f64,
            "one step",
        );
        let bits = [None, Some(2), Some(4)].map(|part| {
            let mut model = tagger(&device, SparseCategoricalCrossentropy, vec![Accuracy]);
            let fit = Fit::epochs(3).batch_size(2).silent();
            let fit = match part {
                Some(rows) => fit.chunk_rows(rows),
                None => fit,
            };
            let history = model.fit(&data, fit).unwrap();
            let weights = model.weights().unwrap();
            let bits: Vec<u32> = weights
                .iter()
                .flat_map(|w| w.values.iter().map(|x| x.to_bits()))
                .collect();
            (bits, history.loss())
        });
        assert!(bits[0] == bits[1] && bits[1] == bits[2], "{device}");
    }
}

/// What counts at every position, by labels and by shares that say the same.
#[test]
fn metrics_count_every_position_of_every_row() {
    let labels = labels();
    for device in devices() {
        let all = || {
            vec![
                Accuracy,
                Metric::SparseTopKCategoricalAccuracy(2),
                Metric::MeanIou(Classes::default()),
                Metric::CohenKappa(Classes::default()),
            ]
        };
        let mut model = tagger(&device, SparseCategoricalCrossentropy, all());
        let shares = shares(&mut model);
        let ranks = shares.iter().zip(&labels).map(|(p, &label)| {
            let own = p[label as usize];
            p.iter().filter(|&&other| other > own).count()
        });
        let ranks: Vec<usize> = ranks.collect();
        let share = |most: usize| {
            ranks.iter().filter(|&&rank| rank < most).count() as f64 / ranks.len() as f64
        };
        let largest = |p: &Vec<f64>| (0..CLASSES).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap();
        let said: Vec<usize> = shares.iter().map(largest).collect();
        let classes = model.predict(&tagged()).unwrap().classes();
        assert_eq!(classes, said, "{device}");
        let iou = (0..CLASSES).filter_map(|class| {
            let (mut both, mut either) = (0, 0);
            for (&said, &wanted) in said.iter().zip(&labels) {
                let (said, wanted) = (said == class, wanted as usize == class);
                both += usize::from(said && wanted);
                either += usize::from(said || wanted);
            }
            (either > 0).then_some(both as f64 / either as f64)
        });
        let iou: Vec<f64> = iou.collect();
        let iou = iou.iter().sum::<f64>() / iou.len() as f64;
        let measured = model.evaluate(&tagged()).unwrap();
        let place = format!("{device}");
        near(measured.get("accuracy").unwrap(), share(1), &place);
        let top = "sparse_top_k_categorical_accuracy";
        near(measured.get(top).unwrap(), share(2), &place);
        near(measured.get("mean_io_u").unwrap(), iou, &place);
        let matrix = measured.confusion.clone().unwrap();
        assert!(matrix.cells.iter().all(|row| row.len() == CLASSES));
        let counted: f64 = matrix.cells.iter().flatten().sum();
        near(counted, (ROWS * POSITIONS) as f64, &place);
        // The same in training, over batches of which the last is ragged.
        let mut frozen = {
            let network = Sequential::new([POSITIONS, FEATURES])
                .dense(CLASSES, Softmax)
                .seed(3);
            let still = Sgd::new(0.0);
            network
                .compile_on(&device, SparseCategoricalCrossentropy, still, all())
                .unwrap()
        };
        let fit = Fit::epochs(1).batch_size(3).silent();
        let history = frozen.fit(&tagged(), fit).unwrap();
        for (name, value) in &history.epochs[0].metrics {
            near(
                *value,
                measured.get(name).unwrap(),
                &format!("{device}, {name}"),
            );
        }

        // Shares in place of labels: one of them is all.
        let shares_of = vec![
            Metric::CategoricalAccuracy,
            Metric::Precision(Decision::default()),
            Metric::Auc(Curve::Roc),
        ];
        let mut model = tagger(&device, CategoricalCrossentropy, shares_of.clone());
        let by_shares = model.evaluate(&tagged().one_hot().unwrap()).unwrap();
        near(by_shares.loss, measured.loss, &place);
        let accuracy = by_shares.get("categorical_accuracy").unwrap();
        near(accuracy, share(1), &place);
        // Labels stand for them, and weights of rows are those of their positions.
        let by_labels = model.evaluate(&tagged()).unwrap();
        assert_eq!(by_labels, by_shares, "{device}");
        let above = |p: &f64| *p > 0.5;
        let positive = shares.iter().flatten().filter(|p| above(p)).count() as f64;
        let right = shares.iter().zip(&labels);
        let right = right
            .filter(|(p, label)| above(&p[**label as usize]))
            .count() as f64;
        let precision = if positive == 0.0 {
            0.0
        } else {
            right / positive
        };
        near(by_shares.get("precision").unwrap(), precision, &place);
    }
}

#[test]
fn weighted_metrics_give_positions_the_weight_of_their_row() {
    let labels = labels();
    let weights: Vec<f32> = (0..ROWS).map(|i| 1.0 + i as f32).collect();
    let data = tagged().with_weights(weights.clone()).unwrap();
    for device in devices() {
        let objective = Objective::new("dense", SparseCategoricalCrossentropy)
            .weighted_metric(Accuracy)
            .weighted_metric(Metric::BalancedAccuracy(Classes::default()));
        let network = Sequential::new([POSITIONS, FEATURES])
            .dense(CLASSES, Softmax)
            .seed(3);
        let mut model = Functional::from(network)
            .compile_with(&device, [objective], Sgd::new(0.1))
            .unwrap();
        let said = model.predict(&data).unwrap().classes();
        let (mut hits, mut all) = (0.0, 0.0);
        let mut recall = [(0.0, 0.0); CLASSES];
        for (i, (&said, &wanted)) in said.iter().zip(&labels).enumerate() {
            let w = f64::from(weights[i / POSITIONS]);
            let hit = if said == wanted as usize { w } else { 0.0 };
            (hits, all) = (hits + hit, all + w);
            recall[wanted as usize].0 += hit;
            recall[wanted as usize].1 += w;
        }
        let measured = model.evaluate(&data).unwrap();
        near(measured.get("accuracy").unwrap(), hits / all, "accuracy");
        let balanced = recall.iter().map(|(hit, all)| hit / all).sum::<f64>();
        let told = measured.get("balanced_accuracy").unwrap();
        near(told, balanced / CLASSES as f64, "balanced");
    }
}

#[test]
fn outputs_of_one_and_of_several_positions_have_their_labels_side_by_side() {
    let kinds: Vec<u32> = (0..ROWS as u32).map(|i| i % 2).collect();
    for device in devices() {
        let x = Input::named("x", [POSITIONS, FEATURES]);
        let kind = Dense::new(2).activation(Softmax).named("kind");
        let kind = kind.on(&Flatten.on(&x));
        let tags = Dense::new(CLASSES).activation(Softmax).named("tags").on(&x);
        let model = Functional::new([&x], [&kind, &tags]).seed(4);
        let loss = |output| Objective::new(output, SparseCategoricalCrossentropy).metric(Accuracy);
        let (losses, rate) = ([loss("kind"), loss("tags")], Sgd::new(0.1));
        let mut model = model.compile_with(&device, losses, rate).unwrap();
        let features = tagged().features().to_vec();
        let of_kind = Targets::Labels {
            labels: kinds.clone(),
            classes: 2,
        };
        let data = Dataset::from_inputs(
            [("x", (features, POSITIONS * FEATURES))],
            [("tags", tagged().targets().clone()), ("kind", of_kind)],
        );
        let data = data.unwrap();
        let predicted = model.predict(&data).unwrap();
        let share = |output: &str, labels: &[u32]| {
            let said = predicted.output(output).unwrap().classes();
            assert_eq!(said.len(), labels.len());
            let hits = said.iter().zip(labels).filter(|(a, b)| **a == **b as usize);
            hits.count() as f64 / labels.len() as f64
        };
        let measured = model.evaluate(&data).unwrap();
        for (output, labels) in [("kind", &kinds), ("tags", &labels())] {
            let told = measured.get(&format!("{output}_accuracy")).unwrap();
            near(told, share(output, labels), output);
        }
        model
            .fit(&data, Fit::epochs(2).batch_size(3).silent())
            .unwrap();
        assert!(model.evaluate(&data).unwrap().loss < measured.loss);
    }
}

/// Cosines, divergences and hinges are of a position too; sums and means over all numbers are what they are.
#[test]
fn losses_of_numbers_at_positions_are_those_of_keras() {
    let device = Device::cpu();
    let targets: Vec<f32> = numbers(ROWS * POSITIONS * CLASSES)
        .iter()
        .map(|x| x + 0.6)
        .collect();
    let data = Dataset::new(
        numbers(ROWS * POSITIONS * FEATURES),
        POSITIONS * FEATURES,
        Targets::Values {
            values: targets.clone(),
            columns: POSITIONS * CLASSES,
        },
    );
    let data = data.unwrap();
    let cosine = |p: &[f64], t: &[f64]| {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        -dot(p, t) / (dot(p, p) * dot(t, t)).sqrt()
    };
    let divergence = |p: &[f64], t: &[f64]| {
        let t: Vec<f64> = t.iter().map(|t| t.clamp(1e-7, 1.0)).collect();
        p.iter().zip(t).map(|(p, t)| t * (t / p).ln()).sum::<f64>()
    };
    let squares = |p: &[f64], t: &[f64]| {
        let errors = p.iter().zip(t).map(|(p, t)| (p - t) * (p - t));
        errors.sum::<f64>() / p.len() as f64
    };
    let hinge = |p: &[f64], t: &[f64]| {
        let right: f64 = p.iter().zip(t).map(|(p, t)| p * t).sum();
        let others = p.iter().zip(t).map(|(p, t)| p * (1.0 - t));
        (1.0 + others.fold(f64::MIN, f64::max) - right).max(0.0)
    };
    type ByHand<'a> = &'a dyn Fn(&[f64], &[f64]) -> f64;
    let by_hand: [(Loss, ByHand<'_>); 4] = [
        (Loss::CosineSimilarity, &cosine),
        (Loss::KlDivergence, &divergence),
        (MeanSquaredError, &squares),
        (Loss::CategoricalHinge, &hinge),
    ];
    for (loss, by_hand) in by_hand {
        let mut model = tagger(&device, loss.clone(), vec![]);
        let shares = shares(&mut model);
        let wanted: Vec<f64> = targets.iter().map(|&t| f64::from(t)).collect();
        let each = shares.iter().zip(wanted.chunks(CLASSES));
        let mean = each.map(|(p, t)| by_hand(p, t)).sum::<f64>() / shares.len() as f64;
        near(model.evaluate(&data).unwrap().loss, mean, &loss.to_string());
    }
}

#[test]
fn labels_that_do_not_fit_the_positions_are_refused_by_their_number() {
    let device = Device::cpu();
    let with = |labels: Vec<u32>, columns: usize, classes: usize| {
        let targets = Targets::LabelTable {
            labels,
            columns,
            classes,
        };
        Dataset::new(vec![0.0; 2 * POSITIONS * FEATURES], 6, targets)
    };
    let told = |data: &Dataset| {
        let mut model = tagger(&device, SparseCategoricalCrossentropy, vec![]);
        let fitted = model.fit(data, Fit::epochs(1).silent()).unwrap_err();
        let evaluated = model.evaluate(data).unwrap_err();
        assert!(matches!(fitted, Error::Data { .. }), "{fitted:?}");
        assert_eq!(fitted.to_string(), evaluated.to_string());
        fitted.to_string()
    };
    let says = |message: String, words: &[&str]| {
        for word in words {
            assert!(message.contains(word), "`{message}` does not say `{word}`");
        }
    };
    let too_few = with(vec![0; 4], 2, CLASSES).unwrap();
    says(
        told(&too_few),
        &["2 labels a row", "3 × 4 numbers", "takes 3"],
    );
    let single = Targets::Labels {
        labels: vec![0, 1],
        classes: 2,
    };
    let single = Dataset::new(vec![0.0; 12], 6, single).unwrap();
    says(told(&single), &["1 labels a row", "takes 3"]);
    let beyond = with(vec![0, 1, 2, 3, 4, 0], 3, 5).unwrap();
    says(told(&beyond), &["row 1", "label 4", "0 to 3"]);
    // What the data set alone can see.
    let refused = |data: Result<Dataset>| data.unwrap_err().to_string();
    says(refused(with(vec![0; 7], 3, 2)), &["7 labels", "rows of 3"]);
    says(refused(with(vec![0; 6], 3, 0)), &["row 0", "label 0"]);
    says(refused(with(vec![0; 9], 3, 1)), &["2 rows", "3 of targets"]);
    let tagged = tagged();
    says(
        tagged.class_counts().unwrap_err().to_string(),
        &["3 labels a row"],
    );
    let mut model = tagger(&device, SparseCategoricalCrossentropy, vec![]);
    let fit = Fit::epochs(1).class_weight([(1, 2.0)]).silent();
    let weighed = model.fit(&tagged, fit).unwrap_err().to_string();
    says(weighed, &["class_weight", "3 positions"]);
    // A model of one position takes one label a row.
    let flat = Sequential::new(POSITIONS * FEATURES).dense(CLASSES, Softmax);
    let mut flat = flat
        .compile_on(&device, SparseCategoricalCrossentropy, Sgd::new(0.1), [])
        .unwrap();
    says(
        flat.evaluate(&tagged).unwrap_err().to_string(),
        &["3 labels a row", "1 × 4 numbers"],
    );
}
