//! Futures of training, evaluation and prediction under executors of several kinds.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../common/mod.rs"]
mod common;
mod dropped;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use kiln::prelude::*;
use kiln::train::{Interrupt, Lambda, Member, Population, Timing};

use common::{alone, devices};

/// Rows of eight features with values to learn.
fn data(rows: usize) -> Dataset {
    let feature = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
    let features: Vec<f32> = (0..rows * 8).map(feature).collect();
    let values = features
        .chunks(8)
        .map(|row| row[0] - row[7] * row[3])
        .collect();
    Dataset::new(features, 8, Targets::Values { values, columns: 1 }).unwrap()
}

/// A network of several dispatches a step.
fn model(device: &Device) -> Model {
    let model = Sequential::new(8).dense(32, Tanh).dense(32, Tanh);
    let model = model.dense(1, Linear).seed(7);
    let adam = Adam::new(0.01);
    model
        .compile_on(device, MeanSquaredError, adam, [])
        .unwrap()
}

fn fit() -> Fit<'static> {
    Fit::epochs(3).batch_size(33).silent()
}

/// Bits of all that a run leaves: losses of steps, then weights.
fn bits(model: &mut Model, history: &History) -> Vec<u64> {
    let losses = history.step_losses.iter().map(|loss| loss.to_bits());
    let weights = model.weights().unwrap();
    let values = weights.iter().flat_map(|own| &own.values);
    losses
        .chain(values.map(|value| u64::from(value.to_bits())))
        .collect()
}

/// The bits of a run that blocks.
fn blocking(device: &Device, data: &Dataset) -> Vec<u64> {
    let mut model = model(device);
    let history = model.fit(data, fit()).unwrap();
    bits(&mut model, &history)
}

/// Polls a future to its end, with something done between two polls: what it says, and how often it gave the thread back.
fn polled<T>(future: impl Future<Output = T>, mut between: impl FnMut(u64)) -> (T, u64) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 0;
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(done) => return (done, polls),
            Poll::Pending => polls += 1,
        }
        between(polls);
    }
}

fn is_send<T: Send>(_: &T) {}

#[test]
fn futures_of_all_doors_are_send() {
    let (device, data) = (Device::cpu(), data(40));
    let validation = data.clone();
    let mut own = model(&device);
    let interrupt = Interrupt::default();
    let logged = Lambda::new(|_| Ok(()));
    let settings = fit()
        .callback(logged)
        .interrupt(&interrupt)
        .validation(&validation);
    is_send(&own.fit_async(&data, settings));
    is_send(&own.evaluate_async(&data));
    is_send(&own.predict_async(&data));
    is_send(&own.predict_async(&[0.0; 8]));
    let batches = (0..3).map(|_| Ok(validation.clone()));
    is_send(&own.fit_batches_async(batches, fit()));
    let network = Sequential::new(8).dense(2, Tanh).dense(1, Linear);
    let members = [1, 2].map(|seed| Member {
        seed,
        learning_rate: 0.1,
    });
    let adam = kiln::optim::OptimizerConfig::default();
    let mut population =
        Population::new(&network, members, &device, MeanSquaredError, adam, []).unwrap();
    is_send(&population.fit_async(&data, fit()));
    is_send(&own);
}

#[test]
fn bits_are_the_same_whatever_the_slice_and_the_budget() {
    let _alone = alone();
    let data = data(500);
    for device in devices() {
        let expected = blocking(&device, &data);
        for slice in [0, 1, 50, 2000, 1 << 40].map(Duration::from_micros) {
            let mut own = model(&device);
            let (history, polls) = polled(own.fit_async(&data, fit().slice(slice)), |_| ());
            let history = history.unwrap();
            assert_eq!(bits(&mut own, &history), expected, "{device} {slice:?}");
            // Each submission of a poll without time is one step.
            assert!(
                !slice.is_zero() || polls >= history.steps,
                "{device}: {polls} polls"
            );
            // A slice holds for a run that blocks too, where it is asked for.
            let mut own = model(&device);
            let history = own.fit(&data, fit().slice(slice)).unwrap();
            assert_eq!(bits(&mut own, &history), expected, "{device} {slice:?}");
        }
        for budget in [0, 300, 2000].map(Duration::from_micros) {
            let mut own = model(&device);
            let mut calls = 0;
            let history = {
                let mut training = pin!(own.fit_async(&data, fit()));
                loop {
                    calls += 1;
                    if let Poll::Ready(history) = device.poll_for(training.as_mut(), budget) {
                        break history.unwrap();
                    }
                }
            };
            assert_eq!(bits(&mut own, &history), expected, "{device} {budget:?}");
            assert!(!budget.is_zero() || calls > 10, "{device}: {calls} calls");
        }
    }
}

/// A run on a task of its own: the bits that it ends in.
async fn on_a_task(device: Device, data: Dataset) -> Vec<u64> {
    let mut own = model(&device);
    let history = own.fit_async(&data, fit()).await.unwrap();
    let evaluation = own.evaluate_async(&data).await.unwrap();
    assert!(evaluation.loss.is_finite());
    let predictions = own.predict_async(&data).await.unwrap();
    assert_eq!(predictions.values.len(), data.rows());
    bits(&mut own, &history)
}

#[test]
fn tokio_runs_a_training_among_its_tasks() {
    let _alone = alone();
    let data = data(300);
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).build().unwrap();
    for device in devices() {
        let expected = blocking(&device, &data);
        let task = runtime.spawn(on_a_task(device.clone(), data.clone()));
        // Another task of the same executor.
        let other = runtime.spawn(async { 1 });
        let ended = runtime.block_on(async { (task.await.unwrap(), other.await.unwrap()) });
        assert_eq!(ended, (expected, 1), "{device}");
    }
}

#[test]
fn smol_runs_a_training_among_its_tasks() {
    let _alone = alone();
    let data = data(300);
    for device in devices() {
        let expected = blocking(&device, &data);
        let task = smol::spawn(on_a_task(device.clone(), data.clone()));
        let other = smol::spawn(async { 1 });
        let ended = smol::block_on(async { (task.await, other.await) });
        assert_eq!(ended, (expected, 1), "{device}");
    }
}

#[test]
fn a_plain_loop_of_polls_runs_a_training_and_other_work_between() {
    let _alone = alone();
    let data = data(20_000);
    for device in devices() {
        let expected = blocking(&device, &data);
        let mut frames = 0;
        let (ended, polls) = polled(on_a_task(device.clone(), data.clone()), |_| frames += 1);
        assert_eq!(ended, expected, "{device}");
        // Some 1800 steps, an evaluation and a prediction: many slices of 2 ms on any machine.
        assert!(polls == frames && polls >= 10, "{device}: {polls} polls");
    }
}

#[test]
fn an_interrupt_raised_by_the_polling_loop_ends_the_run_within_three_polls() {
    let _alone = alone();
    let data = data(2000);
    for device in devices() {
        let mut own = model(&device);
        let interrupt = Interrupt::default();
        // Once kernels are compiled and steps were timed.
        let (trained, mut raised_at) = (AtomicBool::new(false), 0);
        let warm = Lambda::new(|moment| {
            trained.store(moment.epoch() >= 3, Relaxed);
            Ok(())
        });
        let warm = warm.at(Timing::Overlapping);
        let endless = Fit::epochs(1_000_000).interrupt(&interrupt).silent();
        // So long that a submission ends within its poll on a busy machine too.
        let endless = endless.callback(warm).slice(Duration::from_millis(500));
        let (history, polls) = polled(own.fit_async(&data, endless), |polls| {
            if trained.load(Relaxed) && raised_at == 0 {
                interrupt.raise();
                raised_at = polls;
            }
        });
        let history = history.unwrap();
        assert_eq!(history.stop, Stop::Interrupted, "{device}");
        assert!(history.steps > 0 && history.loss().iter().all(|loss| loss.is_finite()));
        let software = device
            .adapter_summary()
            .is_none_or(|own| own.kind == "software");
        // A GPU works on beside the loop, which polls often meanwhile.
        assert!(
            !software || polls - raised_at <= 3,
            "{device}: {polls} polls"
        );
    }
}

#[test]
fn evaluation_and_prediction_give_the_thread_back_too() {
    let _alone = alone();
    let data = data(20_000);
    for device in devices() {
        let mut own = model(&device);
        let evaluated = own.evaluate(&data).unwrap();
        let predicted = own.predict(&data).unwrap();
        let mut calls = [0, 0];
        {
            let mut evaluating = pin!(own.evaluate_async(&data));
            let again = loop {
                calls[0] += 1;
                let polled = device.poll_for(evaluating.as_mut(), Duration::ZERO);
                if let Poll::Ready(evaluated) = polled {
                    break evaluated.unwrap();
                }
            };
            assert_eq!(again, evaluated, "{device}");
        }
        {
            let mut predicting = pin!(own.predict_async(&data));
            let again = loop {
                calls[1] += 1;
                let polled = device.poll_for(predicting.as_mut(), Duration::ZERO);
                if let Poll::Ready(predicted) = polled {
                    break predicted.unwrap();
                }
            };
            assert_eq!(again, predicted, "{device}");
        }
        // Twenty batches of an evaluation; those of a prediction may be large.
        assert!(calls[0] >= 20 && calls[1] > 1, "{device}: {calls:?} calls");
    }
}
