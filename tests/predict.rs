//! Facts about `predict`: any number of rows gives what each gives alone, in few batches, beside a session that stays as it
//! is.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use common::{alone, device, devices};
use kiln::Options;
use kiln::gpu::{Fault, FaultKind};
use kiln::plan::Class;
use kiln::prelude::*;

/// Rows of 70 numbers: as many as let a device's kernel for few rows be the one that is chosen.
fn rows(count: usize) -> Vec<f32> {
    let number = |i: usize| ((i * 7919) % 2003) as f32 / 1001.5 - 1.0;
    (0..count * 70).map(number).collect()
}

fn model(device: &Device) -> Model {
    let network = Sequential::new(70)
        .dense(33, Relu)
        .dense(5, Softmax)
        .seed(4);
    let (loss, optimizer) = (SparseCategoricalCrossentropy, Adam::new(0.01));
    network
        .compile_on(device, loss, optimizer, [Accuracy])
        .unwrap()
}

fn data(count: usize) -> Dataset {
    let labels = (0..count as u32).map(|i| i * i % 5).collect();
    let targets = Targets::Labels { labels, classes: 5 };
    Dataset::new(rows(count), 70, targets).unwrap()
}

fn bits(model: &mut Model, rows: &[f32]) -> Vec<u32> {
    let predicted = model.predict(rows).unwrap();
    predicted
        .values
        .iter()
        .map(|value| value.to_bits())
        .collect()
}

#[test]
fn any_number_of_rows_gives_what_each_gives_alone() {
    let (_alone, devices) = (alone(), devices());
    let all = rows(9000);
    for device in &devices {
        let mut model = model(device);
        // Weights of the host, then those that a run has left on the device.
        for epochs in [0, 1] {
            if epochs > 0 {
                model.fit(&data(64), Fit::epochs(epochs).silent()).unwrap();
            }
            let mut single = Vec::new();
            // Row by row what differs in the counts below: the first rows, the last of each, and some between.
            let checked = [
                0, 1, 6, 7, 8, 254, 255, 256, 1023, 1024, 2047, 4095, 4096, 4999,
            ];
            for row in checked {
                let own = model.predict(&all[row * 70..][..70]).unwrap();
                single.push(own.values.to_vec());
            }
            for count in [1, 7, 8, 9, 255, 257, 1024, 5000, 9000] {
                let together = model.predict(&all[..count * 70]).unwrap();
                assert_eq!(together.rows().len(), count);
                for (row, single) in checked.iter().zip(&single).filter(|(row, _)| **row < count) {
                    let own = together.rows().nth(*row).unwrap();
                    for (a, b) in own.iter().zip(single) {
                        // γ of sums of 70 and of 33 products that are below 1, through a softmax.
                        assert!(
                            (a - b).abs() < 2e-5,
                            "row {row} of {count} on {device}: {a} for {b}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn many_rows_take_few_readbacks_and_leave_nothing_behind() {
    let (_alone, devices) = (alone(), devices());
    for device in devices.iter().filter(|d| d.adapter_summary().is_some()) {
        let mut model = model(device);
        model.fit(&data(64), Fit::epochs(1).silent()).unwrap();
        let all = rows(32_000);
        let held = model.bytes().unwrap();
        let first = bits(&mut model, &all);
        let before = device.counters();
        let again = bits(&mut model, &all);
        let counters = device.counters().since(&before);
        // Batches of 4096 stay in a processor's cache; a GPU takes 16 384. Of 256 rows there would be 125.
        let batches = match device.target().class {
            Class::CpuAdapter => 8,
            _ => 2,
        };
        assert!(counters.readbacks <= batches, "{counters:?}");
        assert!(counters.submits <= batches + 2, "{counters:?}");
        assert_eq!(device.counters().bytes, before.bytes);
        assert_eq!(model.bytes().unwrap(), held);
        assert!(first == again);
        // A tail that fills no batch: parts of it must not be an earlier batch's.
        let tail = bits(&mut model, &all[..31_999 * 70]);
        assert!(tail == first[..31_999 * 5]);
    }
}

#[test]
fn a_prediction_that_is_dropped_leaves_the_model_usable() {
    let (_alone, devices) = (alone(), devices());
    let all = rows(8192 + 100);
    for device in &devices {
        let mut model = model(device);
        let expected = [700, 8292].map(|count| bits(&mut model, &all[..count * 70]));
        let before = device.counters().bytes;
        for polls in [1, 2, 3] {
            for count in [700, 8292] {
                let mut prediction = pin!(model.predict_async(&all[..count * 70]));
                let mut context = Context::from_waker(Waker::noop());
                for _ in 0..polls {
                    if prediction.as_mut().poll(&mut context).is_ready() {
                        break;
                    }
                }
            }
            let now = [700, 8292].map(|count| bits(&mut model, &all[..count * 70]));
            assert!(now == expected, "{polls} polls on {device}");
        }
        assert_eq!(device.counters().bytes, before);
    }
}

/// A device of its own, that faults and budgets are no other test's.
fn opened(options: Options) -> Option<Device> {
    device()?;
    let device = common::open(options).unwrap();
    device.adapter_summary().is_some().then_some(device)
}

#[test]
fn a_budget_without_room_for_many_rows_gives_them_in_small_batches() {
    let _alone = alone();
    let all = rows(20_000);
    let Some(free) = opened(Options::default()) else {
        return;
    };
    let expected = model(&free).predict(&all[..]).unwrap();
    let small = {
        let mut model = model(&free);
        model.predict(&all[..300 * 70]).unwrap();
        free.counters().bytes
    };
    drop(free);
    // Room for the session that is open anyway; for one of a thousand rows; for all.
    for budget in [small + (8 << 10), small + (1 << 20), 64 << 20] {
        let options = Options {
            budget: Some(budget),
            ..Options::default()
        };
        let Some(device) = opened(options) else {
            return;
        };
        let mut model = model(&device);
        let predicted = model.predict(&all[..]).unwrap();
        for (a, b) in predicted.values.iter().zip(&expected.values) {
            assert!((a - b).abs() < 2e-5, "{a} for {b} in {budget} bytes");
        }
        assert!(device.counters().peak_bytes <= budget);
    }
}

#[test]
fn a_device_lost_while_many_rows_are_predicted_is_made_again() {
    let _alone = alone();
    let all = rows(20_000);
    let Some(device) = opened(Options::default()) else {
        return;
    };
    let mut model = model(&device);
    model.fit(&data(64), Fit::epochs(1).silent()).unwrap();
    let expected = bits(&mut model, &all);
    // In the midst of the calls of a prediction: as it opens its session, runs, waits.
    for call in [2, 9, 20, 30] {
        device.inject(Fault {
            call,
            kind: FaultKind::Lost,
        });
        assert!(bits(&mut model, &all) == expected, "call {call}");
    }
    assert!(device.counters().generation > 0);
}

#[test]
fn predictions_go_into_memory_of_ones_own() {
    let (_alone, devices) = (alone(), devices());
    let all = rows(9000);
    for device in &devices {
        let mut model = model(device);
        for count in [0, 1, 3, 257, 9000] {
            let rows = &all[..count * 70];
            let mut out = vec![f32::NAN; count * 5];
            model.predict_into(rows, &mut out).unwrap();
            assert_eq!(out, model.predict(rows).unwrap().values, "{device}");
            let mut odd = vec![f32::NAN; count * 5 + 1];
            let refusal = model.predict_into(rows, &mut odd).unwrap_err().to_string();
            let told = format!("{count} rows are {count} × 5");
            assert!(
                refusal.contains("out") && refusal.contains(&told),
                "{refusal}"
            );
            assert!(odd.iter().all(|value| value.is_nan()));
        }
        let refusal = model.predict_into(&all[..71], &mut [0.0; 5]);
        assert!(refusal.unwrap_err().to_string().contains("71 numbers"));
    }
}
