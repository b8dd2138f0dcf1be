//! Rows that come to the device in parts: to the bits of rows that lie there, within the budget, a few uploads an epoch.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use common::alone;
use kiln::prelude::*;
use kiln::train::{Callback, Curve, Every, Moment, RunState, Stop, Timing};
use kiln::{Dataset, Options, Plan};

/// Bytes that the adapter's sessions may have; the data of one test is more.
const BUDGET: u64 = 6 << 20;

/// The device that `KILN_DEVICE` names, with a budget; none under `KILN_NO_GPU=1`.
fn budgeted() -> Option<&'static Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let options = Options {
        budget: Some(BUDGET),
        ..Options::default()
    };
    let opened = || common::may_open().then(|| common::open(options).unwrap());
    DEVICE.get_or_init(opened).as_ref()
}

fn devices() -> Vec<Device> {
    let all = [Some(Device::cpu()), budgeted().cloned()];
    all.into_iter().flatten().collect()
}

/// Rows of numbers with labels, by a congruential generator.
fn rows(count: usize, columns: usize) -> Dataset {
    let mut state = 7u64;
    let mut number = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let x: Vec<f32> = (0..count * columns).map(|_| number()).collect();
    let labels = x.chunks(columns).map(|x| u32::from(x[0] * x[1] > 0.0));
    let labels = labels.collect();
    Dataset::new(x, columns, Targets::Labels { labels, classes: 2 }).unwrap()
}

/// A network that is one kernel, or one with a wide layer, which is not.
fn model(device: &Device, columns: usize, wide: bool) -> Model {
    let units = if wide { 70 } else { 6 };
    let network = Sequential::new(columns)
        .dense(units, Relu)
        .dense(1, Sigmoid);
    let metrics: Vec<Metric> = match wide {
        true => vec![Accuracy, Metric::Auc(Curve::Roc)],
        false => vec![Accuracy],
    };
    let network = network.seed(5);
    network
        .compile_on(device, BinaryCrossentropy, Adam::new(0.01), metrics)
        .unwrap()
}

/// Everything that training leaves: losses of steps and epochs, metrics, weights.
fn outcome(model: &mut Model, history: &History) -> (Vec<u64>, Vec<u32>) {
    let epochs = history.epochs.iter();
    let figures = epochs.flat_map(|epoch| {
        let validated = epoch.val_metrics.iter();
        let metrics = epoch.metrics.iter().chain(validated);
        let metrics = metrics.map(|(_, value)| *value).chain(epoch.val_loss);
        [epoch.loss, epoch.samples as f64]
            .into_iter()
            .chain(metrics)
    });
    let steps = history.step_losses.iter().copied();
    let numbers = figures.chain(steps).map(f64::to_bits).collect();
    let weights = model.weights().unwrap();
    let bits = weights
        .iter()
        .flat_map(|weights| weights.values.iter().map(|x| x.to_bits()));
    (numbers, bits.collect())
}

#[test]
fn parts_of_any_size_train_to_the_bits_of_a_resident_set() {
    let _alone = alone();
    let data = rows(1003, 5);
    for device in devices() {
        for wide in [false, true] {
            for shuffle in [false, true] {
                let fit = || Fit::epochs(3).batch_size(32).shuffle(shuffle).silent();
                let mut resident = model(&device, 5, wide);
                let history = resident.fit(&data, fit()).unwrap();
                let expected = outcome(&mut resident, &history);
                for part in [1, 100, 501] {
                    let mut streamed = model(&device, 5, wide);
                    let history = streamed.fit(&data, fit().chunk_rows(part)).unwrap();
                    let place =
                        format!("{device}, parts of {part}, wide {wide}, shuffle {shuffle}");
                    assert_eq!(history.epochs.len(), 3, "{place}");
                    assert!(outcome(&mut streamed, &history) == expected, "{place}");
                }
            }
        }
    }
}

#[test]
fn a_set_beyond_the_budget_comes_in_parts_by_itself_and_an_upload_is_many_steps() {
    let _alone = alone();
    let Some(device) = budgeted() else {
        return;
    };
    // 16 MiB of numbers for a budget of 6.
    let data = rows(4096 * 8 + 7, 128);
    let mut streamed = model(device, 128, true);
    let before = device.counters();
    let fit = || Fit::epochs(2).batch_size(64).silent();
    let history = streamed.fit(&data, fit()).unwrap();
    assert!(device.counters().peak_bytes <= BUDGET);
    let told = device.counters().since(&before);
    assert!(told.upload_bytes > 2 * (16 << 20), "{}", told.upload_bytes);
    assert_eq!(history.steps, 2 * 513);
    // Parts of two tables each, and of the cursor.
    let uploads = history.counters.uploads;
    assert!((8..80).contains(&uploads), "{uploads} uploads");

    let mut resident = model(&Device::cpu(), 128, true);
    let other = resident.fit(&data, fit()).unwrap();
    for (a, b) in history.epochs.iter().zip(&other.epochs) {
        assert!((a.loss - b.loss).abs() < 1e-4, "{} and {}", a.loss, b.loss);
        assert_eq!(a.samples, 4096 * 8 + 7);
    }
}

#[test]
fn bytes_beyond_the_budget_come_in_parts_as_bytes() {
    let _alone = alone();
    let Some(device) = budgeted() else {
        return;
    };
    // 9 MiB of bytes for a budget of 6, in rows of 285 bytes: 72 words.
    let (rows, columns) = (32_775, 285);
    let pixel = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8;
    let pixels: Vec<u8> = (0..rows * columns).map(pixel).collect();
    let labels: Vec<u32> = pixels
        .chunks(columns)
        .map(|x| u32::from(x[0] > 99))
        .collect();
    let data = Dataset::images(pixels, [19, 15, 1], labels).unwrap();
    let model = |device: &Device| {
        let network = Sequential::new(kiln::TensorType::u8([19, 15, 1]))
            .layer(Rescaling::new(1.0 / 255.0))
            .layer(Flatten)
            .dense(1, Sigmoid)
            .seed(5);
        network
            .compile_on(device, BinaryCrossentropy, Adam::new(0.01), [Accuracy])
            .unwrap()
    };
    let before = device.counters();
    let fit = || Fit::epochs(2).batch_size(64).silent();
    let history = model(device).fit(&data, fit()).unwrap();
    assert!(device.counters().peak_bytes <= BUDGET);
    let told = device.counters().since(&before);
    let bytes = 2 * rows as u64 * (72 * 4 + 4);
    let most = bytes + bytes / 50;
    assert!(
        (bytes..most).contains(&told.upload_bytes),
        "{}",
        told.upload_bytes
    );

    let other = model(&Device::cpu()).fit(&data, fit()).unwrap();
    for (a, b) in history.epochs.iter().zip(&other.epochs) {
        assert!((a.loss - b.loss).abs() < 1e-4, "{} and {}", a.loss, b.loss);
    }
}

#[test]
fn a_small_set_is_not_divided() {
    let _alone = alone();
    let Some(device) = budgeted() else {
        return;
    };
    let mut model = model(device, 5, true);
    let history = model.fit(&rows(1003, 5), Fit::epochs(5).silent()).unwrap();
    assert_eq!(
        history.counters.uploads, 0,
        "all was there before the first step"
    );
}

/// The rows of a set in pieces of these lengths, over and over.
fn pieces(data: &Dataset, lengths: &[usize]) -> Vec<Result<Dataset>> {
    let (mut at, mut pieces) = (0, Vec::new());
    for length in lengths.iter().cycle() {
        let end = (at + length).min(data.rows());
        pieces.push(data.select(&(at..end).collect::<Vec<_>>()));
        at = end;
        if at == data.rows() {
            return pieces;
        }
    }
    pieces
}

#[test]
fn an_iterator_trains_to_the_bits_of_the_set_that_it_gives_and_ends_with_its_last_row() {
    let _alone = alone();
    let data = rows(1003, 5);
    for device in devices() {
        for wide in [false, true] {
            let fit = || Fit::epochs(1).batch_size(32).silent();
            let mut resident = model(&device, 5, wide);
            let history = resident.fit(&data, fit().shuffle(false)).unwrap();
            let expected = outcome(&mut resident, &history);
            for lengths in [&[1003][..], &[17, 3, 200]] {
                for chunk in [None, Some(64)] {
                    let fit = match chunk {
                        Some(rows) => fit().chunk_rows(rows),
                        None => fit(),
                    };
                    let mut streamed = model(&device, 5, wide);
                    let history = streamed.fit_batches(pieces(&data, lengths), fit).unwrap();
                    assert_eq!(history.stop, kiln::train::Stop::Data);
                    let same = outcome(&mut streamed, &history) == expected;
                    assert!(
                        same,
                        "{device}, pieces of {lengths:?}, wide {wide}, {chunk:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn epochs_of_an_iterator_are_the_steps_asked_for_and_no_piece_more_is_taken() {
    let _alone = alone();
    let data = rows(960, 5);
    for device in devices() {
        // Three passes over the set are its rows three times, in epochs of 30 steps.
        let mut resident = model(&device, 5, true);
        let fit = || Fit::epochs(3).batch_size(32).silent();
        let history = resident.fit(&data, fit().shuffle(false)).unwrap();
        let expected = outcome(&mut resident, &history);
        let taken = AtomicU64::new(0);
        let endless = (0..).flat_map(|_| pieces(&data, &[48]));
        let counted = endless.inspect(|_| {
            taken.fetch_add(1, Relaxed);
        });
        let mut streamed = model(&device, 5, true);
        let fit = fit().steps_per_epoch(30);
        let history = streamed.fit_batches(counted, fit).unwrap();
        assert!(outcome(&mut streamed, &history) == expected, "{device}");
        assert_eq!(taken.load(Relaxed), 3 * 20);

        // An end in the midst of the second epoch, and within a batch.
        let cut = pieces(&rows(32 * 40 + 5, 5), &[100]);
        let fit = Fit::epochs(5).batch_size(32).steps_per_epoch(30).silent();
        let history = model(&device, 5, true).fit_batches(cut, fit).unwrap();
        let samples: Vec<u64> = history.epochs.iter().map(|epoch| epoch.samples).collect();
        assert_eq!((samples, history.steps), (vec![960, 325], 41));
    }
}

#[test]
fn weights_of_rows_and_classes_come_with_the_parts() {
    let _alone = alone();
    let weights: Vec<f32> = (0..500).map(|i| 0.5 + (i % 7) as f32).collect();
    let data = rows(500, 5).with_weights(weights).unwrap();
    let device = Device::cpu();
    let fit = || {
        Fit::epochs(1)
            .class_weight([(1, 2.5)])
            .shuffle(false)
            .silent()
    };
    let mut resident = model(&device, 5, true);
    let history = resident.fit(&data, fit()).unwrap();
    let expected = outcome(&mut resident, &history);
    let mut streamed = model(&device, 5, true);
    let history = streamed.fit(&data, fit().chunk_rows(100)).unwrap();
    assert!(outcome(&mut streamed, &history) == expected);
    let mut streamed = model(&device, 5, true);
    let history = streamed.fit_batches(pieces(&data, &[60]), fit()).unwrap();
    assert!(outcome(&mut streamed, &history) == expected);
}

#[test]
fn a_run_over_parts_goes_on_from_the_midst_of_one_to_the_same_bits() {
    let _alone = alone();
    let data = rows(1003, 5);
    for device in devices() {
        let fit = || Fit::epochs(3).batch_size(32).silent();
        let mut whole = model(&device, 5, true);
        let history = whole.fit(&data, fit()).unwrap();
        let (_, expected) = outcome(&mut whole, &history);
        let mut states: Vec<RunState> = Vec::new();
        let take = |state: &RunState| {
            states.push(state.clone());
            Ok(())
        };
        let fit_in_parts = fit().chunk_rows(200).states(Every::Steps(13), take);
        model(&device, 5, true).fit(&data, fit_in_parts).unwrap();
        for state in [&states[0], &states[3]] {
            let mut resumed = model(&device, 5, true);
            let fit = fit().chunk_rows(300).resume(state.clone());
            let history = resumed.fit(&data, fit).unwrap();
            assert!(outcome(&mut resumed, &history).1 == expected, "{device}");
        }
    }
}

#[test]
fn what_does_not_fit_an_iterator_is_refused_by_name() {
    let data = || pieces(&rows(100, 5), &[50]);
    let told = |batches: Vec<Result<Dataset>>, fit: Fit<'_>| {
        let mut model = model(&Device::cpu(), 5, false);
        model
            .fit_batches(batches, fit.silent())
            .unwrap_err()
            .to_string()
    };
    for (error, says) in [
        (
            told(data(), Fit::epochs(2)),
            "steps_per_epoch: must be given for 2 epochs",
        ),
        (
            told(data(), Fit::epochs(1).steps_per_epoch(0)),
            "steps_per_epoch: must be at least 1",
        ),
        (
            told(data(), Fit::epochs(1).chunk_rows(0)),
            "chunk_rows: must be at least 1",
        ),
        (
            told(data(), Fit::epochs(1).validation_split(0.5)),
            "validation_split: needs a data set",
        ),
        (told(Vec::new(), Fit::epochs(1)), "no batch"),
        (
            told(vec![Ok(rows(3, 4))], Fit::epochs(1)),
            "batch 0: the rows have 4 columns",
        ),
        (
            told(
                vec![Ok(rows(40, 5)), Err(kiln::Error::data("the file is gone"))],
                Fit::epochs(1),
            ),
            "the file is gone",
        ),
        (
            told(
                vec![Ok(rows(40, 5)), rows(40, 5).with_weights(vec![1.0; 40])],
                Fit::epochs(1),
            ),
            "batch 1 has 1 weights a row, the first has 0",
        ),
    ] {
        assert!(error.contains(says), "{error} does not say: {says}");
    }
    let mut whole = model(&Device::cpu(), 5, false);
    let fit = Fit::epochs(1).steps_per_epoch(3);
    let error = whole.fit(&rows(40, 5), fit).unwrap_err().to_string();
    assert!(error.contains("steps_per_epoch: is for batches"), "{error}");
}

/// The bits of an evaluation.
fn figures(measured: &kiln::train::Evaluation) -> Vec<u64> {
    let metrics = measured.metrics.iter().map(|(_, value)| value.to_bits());
    [measured.loss.to_bits()]
        .into_iter()
        .chain(metrics)
        .collect()
}

#[test]
fn rows_to_validate_on_come_in_parts_to_the_same_bits() {
    let _alone = alone();
    let (data, validation) = (rows(203, 5), rows(5003, 5));
    for (number, device) in devices().into_iter().enumerate() {
        for wide in [false, true] {
            let fit = || Fit::epochs(3).silent().validation(&validation);
            let mut resident = model(&device, 5, wide);
            let history = resident.fit(&data, fit()).unwrap();
            assert!(history.epochs[2].val_loss.is_some());
            let expected = outcome(&mut resident, &history);
            for part in [1, 2000, 5003] {
                let mut streamed = model(&device, 5, wide);
                let before = device.counters();
                let history = streamed.fit(&data, fit().chunk_rows(part)).unwrap();
                let place = format!("{device}, parts of {part}, wide {wide}");
                assert!(outcome(&mut streamed, &history) == expected, "{place}");
                if number == 1 && part == 1 {
                    // Five batches of 1024 rows come anew for every epoch, features and targets.
                    let told = device.counters().since(&before);
                    assert!(told.uploads > 3 * 5 * 2, "{place}: {}", told.uploads);
                }
            }
        }
    }
}

#[test]
fn a_set_to_evaluate_beyond_the_budget_comes_in_parts_to_the_same_bits() {
    let _alone = alone();
    let Some(device) = budgeted() else {
        return;
    };
    // 4 MiB of numbers, which the budget of 6 has room for.
    let data = rows(8192 + 77, 128);
    let uploaded = |model: &mut Model, data: &Dataset| {
        let before = device.counters();
        let measured = model.evaluate(data).unwrap();
        assert!(device.counters().peak_bytes <= BUDGET);
        (measured, device.counters().since(&before).uploads)
    };
    let mut covered = model(device, 128, true);
    let (resident, few) = uploaded(&mut covered, &data);
    // What a session holds it need not find room for again, whatever else has taken of the rest.
    let graph = kiln::Graph::new();
    let program = kiln::Program::new("p").fetch("y", &graph.input("x", [512, 256]).tanh());
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let beside = device.open(&plan).unwrap();
    assert!(device.counters().bytes + (1 << 20) > BUDGET);
    let (again, uploads) = uploaded(&mut covered, &data);
    assert_eq!(figures(&again), figures(&resident));
    assert!(uploads <= few, "{uploads} uploads, {few} before");
    drop((beside, covered));
    // Another model leaves room for less.
    let mut other = model(device, 128, true);
    other.evaluate(&rows(1500, 128)).unwrap();
    let (in_parts, many) = uploaded(&mut model(device, 128, true), &data);
    drop(other);
    assert_eq!(figures(&in_parts), figures(&resident));
    assert!(many > few + 4, "{many} uploads for {few}");
    // 16 MiB, and what was trained on before in the way.
    let large = rows(4096 * 8 + 7, 128);
    let mut trained = model(device, 128, true);
    trained.fit(&data, Fit::steps(3).silent()).unwrap();
    let (measured, _) = uploaded(&mut trained, &large);
    let mut on_host = model(&Device::cpu(), 128, true);
    let weights = trained.weights().unwrap();
    let weights = weights.iter().map(|w| (w.name.as_str(), &w.values[..]));
    on_host.set_weights(weights).unwrap();
    let expected = on_host.evaluate(&large).unwrap();
    assert!((measured.loss - expected.loss).abs() < 1e-4);
    let accuracy = measured.get("accuracy").unwrap() - expected.get("accuracy").unwrap();
    assert!(accuracy.abs() < 1e-3, "{accuracy}");
    drop(trained);
    // And validation beyond the budget, beside rows to train on that are.
    let mut both = model(device, 128, true);
    let fit = Fit::epochs(1).batch_size(64).silent().validation(&large);
    let history = both.fit(&rows(4096 * 4, 128), fit).unwrap();
    assert!(device.counters().peak_bytes <= BUDGET);
    let told = history.epochs[0].val_loss.unwrap();
    assert_eq!(
        told.to_bits(),
        both.evaluate(&large).unwrap().loss.to_bits()
    );
}

#[test]
fn the_cpu_session_evaluates_in_parts_to_the_bits_of_a_validation() {
    for count in [1, 1024, 2048, 2049, 5003] {
        let data = rows(count, 17);
        for wide in [false, true] {
            let mut validated = model(&Device::cpu(), 17, wide);
            let fit = Fit::epochs(1).batch_size(64).silent().validation(&data);
            let history = validated.fit(&rows(300, 17), fit).unwrap();
            let told = history.epochs[0].val_loss.unwrap();
            let here = validated.evaluate(&data).unwrap();
            assert_eq!(told.to_bits(), here.loss.to_bits(), "{count} rows");
            // And in a session without rows to train on.
            let mut other = model(&Device::cpu(), 17, wide);
            let weights = validated.weights().unwrap();
            let weights = weights.iter().map(|w| (w.name.as_str(), &w.values[..]));
            other.set_weights(weights).unwrap();
            let there = other.evaluate(&data).unwrap();
            assert_eq!(figures(&here), figures(&there), "{count} rows");
        }
    }
}

/// Evaluates another data set in the midst of a run.
struct Elsewhere<'a> {
    timing: Timing,
    data: &'a Dataset,
    seen: Vec<Vec<u64>>,
}

impl Elsewhere<'_> {
    fn look(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.seen.push(figures(&moment.model.evaluate(self.data)?));
        Ok(())
    }
}

impl Callback for Elsewhere<'_> {
    fn timing(&self) -> Timing {
        self.timing
    }

    fn begin(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.look(moment)
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.look(moment)
    }

    fn steps(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.look(moment)
    }

    fn end(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.look(moment)
    }
}

#[test]
fn a_callback_that_evaluates_other_rows_leaves_the_run_to_its_bits() {
    let _alone = alone();
    let (data, validation) = (rows(203, 5), rows(91, 5));
    for device in devices() {
        for wide in [false, true] {
            for chunk in [None, Some(64)] {
                let fit = || {
                    let fit = Fit::epochs(3).silent().validation(&validation);
                    chunk.map_or(fit, |rows| {
                        Fit::epochs(3)
                            .silent()
                            .validation(&validation)
                            .chunk_rows(rows)
                    })
                };
                let mut plain = model(&device, 5, wide);
                let history = plain.fit(&data, fit()).unwrap();
                let expected = outcome(&mut plain, &history);
                // Fewer rows than those to validate on, but enough that a session for them has other batches.
                for count in [50, 3000] {
                    for timing in [Timing::Epochs, Timing::Steps(3)] {
                        let other = rows(count, 5);
                        let mut elsewhere = Elsewhere {
                            timing,
                            data: &other,
                            seen: Vec::new(),
                        };
                        let mut watched = model(&device, 5, wide);
                        let fit = fit().callback(&mut elsewhere);
                        let history = watched.fit(&data, fit).unwrap();
                        let place =
                            format!("{device}, {count} rows at {timing:?}, wide {wide}, {chunk:?}");
                        assert!(outcome(&mut watched, &history) == expected, "{place}");
                        assert!(elsewhere.seen.len() >= 5, "{place}");
                        // It saw the weights as they were.
                        let last = figures(&watched.evaluate(&other).unwrap());
                        assert_eq!(elsewhere.seen.last(), Some(&last), "{place}");
                        assert_ne!(elsewhere.seen[0], last, "{place}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_callback_evaluates_beside_a_run_that_fills_the_budget() {
    let _alone = alone();
    let Some(device) = budgeted() else {
        return;
    };
    // 16 MiB to train on, in parts as large as the budget allows; few rows and many to look at.
    let data = rows(4096 * 8 + 7, 128);
    for resident in [false, true] {
        // The most that lies there whole, beside which there is room for little.
        let data = match resident {
            true => data.select(&(0..8700).collect::<Vec<_>>()).unwrap(),
            false => data.clone(),
        };
        for count in [50, 5000] {
            let other = rows(count, 128);
            let mut elsewhere = Elsewhere {
                timing: Timing::Epochs,
                data: &other,
                seen: Vec::new(),
            };
            let mut watched = model(device, 128, true);
            let fit = || Fit::epochs(2).batch_size(64).silent();
            let history = watched.fit(&data, fit().callback(&mut elsewhere)).unwrap();
            let place = format!("resident {resident}, {count} rows");
            assert!(device.counters().peak_bytes <= BUDGET, "{place}");
            // Batches may have been smaller there, for want of room.
            let last = figures(&watched.evaluate(&other).unwrap());
            let pairs = elsewhere.seen.last().unwrap().iter().zip(&last);
            for (seen, last) in pairs {
                let (seen, last) = (f64::from_bits(*seen), f64::from_bits(*last));
                assert!((seen - last).abs() < 1e-6, "{place}: {seen}, {last}");
            }
            let seen = outcome(&mut watched, &history);
            drop(watched);
            let mut plain = model(device, 128, true);
            let history = plain.fit(&data, fit()).unwrap();
            assert!(outcome(&mut plain, &history) == seen, "{place}");
        }
    }
}

/// Trains the model of the run that calls it.
struct Trains<'a>(&'a Dataset, Option<String>);

impl Callback for Trains<'_> {
    fn timing(&self) -> Timing {
        Timing::Epochs
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        let inner = moment.model.fit(self.0, Fit::epochs(1).silent());
        self.1 = inner.err().map(|error| error.to_string());
        Ok(())
    }
}

#[test]
fn a_callback_may_not_train_the_model_and_a_run_given_up_leaves_it_free() {
    let _alone = alone();
    let data = rows(203, 5);
    for device in devices() {
        let mut plain = model(&device, 5, false);
        let history = plain.fit(&data, Fit::epochs(2).silent()).unwrap();
        let expected = outcome(&mut plain, &history);

        let mut trains = Trains(&data, None);
        let mut tried = model(&device, 5, false);
        let fit = Fit::epochs(2).silent().callback(&mut trains);
        let history = tried.fit(&data, fit).unwrap();
        assert!(outcome(&mut tried, &history) == expected, "{device}");
        let refused = trains.1.unwrap();
        assert!(
            refused.starts_with("fit: is called by a callback"),
            "{refused}"
        );

        // A future that is dropped ends its run.
        drop(Box::pin(tried.fit_async(&data, Fit::epochs(2).silent())));
        {
            let mut run = Box::pin(tried.fit_async(&data, Fit::epochs(2000).silent()));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(run.as_mut().poll(&mut context).is_pending(), "{device}");
        }
        tried.evaluate(&data).unwrap();
        tried.fit(&data, Fit::epochs(1).silent()).unwrap();
    }
}

/// Moves the model of the run that calls it.
struct Moves(Device, Option<String>);

impl Callback for Moves {
    fn timing(&self) -> Timing {
        Timing::Epochs
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        let moved = moment.model.move_to(&self.0);
        self.1 = moved.err().map(|error| error.to_string());
        Ok(())
    }
}

#[test]
fn a_callback_may_not_move_the_model_from_the_rows_that_it_trains_on() {
    let _alone = alone();
    let data = rows(203, 5);
    for device in devices() {
        let mut plain = model(&device, 5, false);
        let history = plain.fit(&data, Fit::epochs(3).silent()).unwrap();
        let expected = outcome(&mut plain, &history);

        let mut moves = Moves(Device::cpu(), None);
        let mut tried = model(&device, 5, false);
        let fit = Fit::epochs(3).silent().callback(&mut moves);
        let history = tried.fit(&data, fit).unwrap();
        assert!(outcome(&mut tried, &history) == expected, "{device}");
        let refused = moves.1.unwrap();
        assert!(
            refused.starts_with("move_to: is called by a callback"),
            "{refused}"
        );
        tried.move_to(&Device::cpu()).unwrap();
        tried.fit(&data, Fit::epochs(1).silent()).unwrap();
    }
}

#[test]
fn weights_of_classes_may_name_any_that_the_model_tells_apart_whatever_a_piece_has() {
    let network = Sequential::new(2).dense(3, Softmax).seed(1);
    let piece = |labels: Vec<u32>, classes| {
        let x = labels.iter().flat_map(|&y| [y as f32, 1.0]).collect();
        Dataset::new(x, 2, Targets::Labels { labels, classes }).unwrap()
    };
    let trained = |first: Dataset, weights: [(u32, f32); 2]| {
        let (loss, sgd) = (SparseCategoricalCrossentropy, Sgd::new(0.1));
        let network = network.clone();
        let mut model = network.compile_on(&Device::cpu(), loss, sgd, []).unwrap();
        let pieces = [Ok(piece(vec![2, 1, 0], 3)), Ok(first)];
        let fit = Fit::epochs(1).batch_size(3).silent().class_weight(weights);
        model.fit_batches(pieces, fit)?;
        model.weights()
    };
    let weights = [(2, 3.0), (0, 0.5)];
    let expected = trained(piece(vec![0, 1, 1], 3), weights).unwrap();
    assert_eq!(trained(piece(vec![0, 1, 1], 2), weights).unwrap(), expected);
    let error = trained(piece(vec![0, 1, 1], 3), [(2, 3.0), (3, 0.5)]).unwrap_err();
    let error = error.to_string();
    for part in ["batch 0", "class_weight", "class 3", "0 to 2"] {
        assert!(error.contains(part), "{error} does not say: {part}");
    }
}

#[test]
fn batches_of_one_row_are_trained_on_as_often_as_one_likes() {
    let data = rows(40, 5);
    let mut model = model(&Device::cpu(), 5, false);
    for _ in 0..3 {
        let fit = Fit::epochs(1).batch_size(1).silent();
        let history = model.fit_batches(pieces(&data, &[9]), fit).unwrap();
        assert_eq!((history.steps, history.stop), (40, Stop::Data));
    }
    let error = model.fit(&data, Fit::steps(u64::from(u32::MAX)).silent());
    let error = error.unwrap_err().to_string();
    let sum = (u64::from(u32::MAX) + 120).to_string();
    assert!(error.contains(&sum), "{error} does not say: {sum}");
}

#[test]
fn a_run_that_ended_with_its_iterator_is_over() {
    let _alone = alone();
    let data = rows(325, 5);
    for (per_epoch, epochs, device) in devices()
        .into_iter()
        .flat_map(|device| [(None, 1, device.clone()), (Some(3), 9, device)])
    {
        let settings = || {
            let fit = Fit::epochs(epochs).batch_size(32).silent();
            match per_epoch {
                Some(steps) => fit.steps_per_epoch(steps),
                None => fit,
            }
        };
        let mut states: Vec<RunState> = Vec::new();
        let take = |state: &RunState| {
            states.push(state.clone());
            Ok(())
        };
        let mut whole = model(&device, 5, true);
        let fit = settings().states(Every::Steps(5), take);
        let history = whole.fit_batches(pieces(&data, &[64]), fit).unwrap();
        assert_eq!((history.steps, &history.stop), (11, &Stop::Data));
        let expected = outcome(&mut whole, &history);
        let steps: Vec<u64> = states.iter().map(|state| state.steps).collect();
        assert_eq!(steps, [5, 10, 11], "{device}");
        // The rows after each state; after the last there are none that the run would take.
        for (state, rest) in states.into_iter().zip([160..325, 320..325, 0..64]) {
            let (step, rest) = (state.steps, rest.collect::<Vec<_>>());
            let rest = [data.select(&rest)];
            let mut again = model(&device, 5, true);
            let history = again.fit_batches(rest, settings().resume(state)).unwrap();
            assert_eq!((history.steps, &history.stop), (11, &Stop::Data));
            let same = outcome(&mut again, &history) == expected;
            assert!(same, "{device}, {per_epoch:?} from step {step}");
        }
    }
}

#[test]
fn parts_to_evaluate_are_whole_batches_of_the_session_that_is_open() {
    let _alone = alone();
    let Some(device) = budgeted() else {
        return;
    };
    let columns = 300;
    let (few, many) = (rows(513, columns), rows(2000, columns));
    let mut here = model(device, columns, true);
    let mut there = model(&Device::cpu(), columns, true);
    let mut compare = |data: &Dataset| {
        let (seen, wanted) = (here.evaluate(data).unwrap(), there.evaluate(data).unwrap());
        for (seen, wanted) in figures(&seen).into_iter().zip(figures(&wanted)) {
            let (seen, wanted) = (f64::from_bits(seen), f64::from_bits(wanted));
            assert!((seen - wanted).abs() < 1e-4, "{seen}, {wanted}");
        }
    };
    // This set fits as a whole, in a batch of 1024 rows; then something else leaves room for smaller batches only.
    compare(&few);
    let graph = Graph::new();
    let held = graph.parameter("held", [650_000], &vec![0.0; 650_000]);
    let program = Program::new("held").fetch("sum", &held.sum());
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let held = device.open(&plan).unwrap();
    compare(&many);
    drop(held);
    compare(&few);
}
