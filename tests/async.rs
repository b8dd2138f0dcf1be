//! Futures of training, evaluation and prediction under executors of several kinds.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use kiln::prelude::*;
use kiln::train::{Every, Interrupt, Lambda, Member, Population, Timing};

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
fn a_dropped_run_leaves_the_model_after_a_whole_step() {
    let _alone = alone();
    let data = data(500);
    // One batch, whose order is no matter.
    let (few, _) = data.split_at(33).unwrap();
    for device in devices() {
        let weights = |own: &mut Model| -> Vec<Vec<f32>> {
            let weights = own.weights().unwrap();
            weights.into_iter().map(|own| own.values).collect()
        };
        // The weights after each of the first steps.
        let mut own = model(&device);
        let mut after = vec![weights(&mut own)];
        for _ in 0..30 {
            let one = Fit::steps(1).batch_size(33).silent();
            own.fit(&few, one).unwrap();
            after.push(weights(&mut own));
        }
        let mut seen = std::collections::BTreeSet::new();
        for polls in [1, 2, 3, 5, 8, 13, 21, 34] {
            let mut own = model(&device);
            dropped_after(polls, &mut own, &few, Fit::steps(100).batch_size(33));
            let left = weights(&mut own);
            let step = after.iter().position(|after| *after == left);
            assert!(
                step.is_some(),
                "{device}: not a whole step after {polls} polls"
            );
            seen.extend(step);
            // And it can be trained on.
            let history = own.fit(&data, fit()).unwrap();
            assert!(history.loss().iter().all(|loss| loss.is_finite()));
        }
        assert!(seen.len() > 1, "{device}: dropped at {seen:?} only");
    }
}

/// Starts a run and drops it after so many polls without time.
fn dropped_after(polls: u64, own: &mut Model, data: &Dataset, fit: Fit<'_>) {
    let adapter = own.device().adapter_summary().is_some();
    let mut training = pin!(own.fit_async(data, fit.slice(Duration::ZERO).silent()));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        let _pending = training.as_mut().poll(&mut context).is_pending();
        if adapter {
            // What was submitted takes its time, which a poll does not wait for.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn weights(own: &mut Model) -> Vec<Vec<f32>> {
    let weights = own.weights().unwrap();
    weights.into_iter().map(|own| own.values).collect()
}

#[test]
fn steps_of_a_run_that_was_dropped_are_counted_by_the_next() {
    let _alone = alone();
    // One batch, whose order is no matter.
    let (few, _) = data(500).split_at(33).unwrap();
    for device in devices() {
        let model = || {
            let model = Sequential::new(8)
                .dense(6, Tanh)
                .layer(Dropout { rate: 0.2 });
            let adam = Adam::new(0.01).gradient_accumulation_steps(4);
            let model = model.dense(1, Linear).seed(7);
            model
                .compile_on(&device, MeanSquaredError, adam, [])
                .unwrap()
        };
        let steps = |count| Fit::steps(count).batch_size(33).silent();
        // The weights after each step: a step more than the others where the run is dropped, and all of those after it.
        let (mut whole, mut after) = (model(), Vec::new());
        for _ in 0..90 {
            whole.fit(&few, steps(1)).unwrap();
            after.push(weights(&mut whole));
        }
        let mut seen = std::collections::BTreeSet::new();
        for polls in [1, 7, 20, 33, 51, 77, 110, 150] {
            let mut own = model();
            dropped_after(polls, &mut own, &few, steps(100));
            let mut next = Vec::new();
            let mut counted = 0;
            for _ in 0..9 {
                let noted = steps(1).states(Every::Steps(1), |state| {
                    counted = state.model_steps;
                    Ok(())
                });
                own.fit(&few, noted).unwrap();
                next.push(weights(&mut own));
            }
            let last = counted as usize;
            assert!(
                last <= after.len() && after[last - next.len()..last] == next[..],
                "{device}: dropped after {polls} polls, {last} steps"
            );
            seen.insert(last);
        }
        assert!(seen.len() > 3, "{device}: {seen:?} steps only");
    }
}

#[test]
fn epochs_of_a_run_that_was_dropped_are_not_repeated() {
    let _alone = alone();
    let data = data(330);
    for device in devices() {
        let mut own = model(&device);
        dropped_after(60, &mut own, &data, fit());
        let (mut epochs, mut steps) = (0, 0);
        let one = Fit::steps(1).batch_size(33).silent();
        let noted = one.states(Every::Steps(1), |state| {
            (epochs, steps) = (state.model_epochs, state.model_steps);
            Ok(())
        });
        own.fit(&data, noted).unwrap();
        // The one that was under way counts as one, as it does where a run ends in it.
        let begun = (steps - 1).div_ceil(10);
        assert!(steps > 1 && epochs == begun, "{device}: {epochs}, {steps}");
        // Rows to evaluate on open another session, whose clock begins anew.
        let mut own = model(&device);
        dropped_after(60, &mut own, &data, fit());
        own.evaluate(&data).unwrap();
        let mut again = 0;
        let one = Fit::steps(1).batch_size(33).silent();
        let noted = one.states(Every::Steps(1), |state| {
            again = state.model_steps;
            Ok(())
        });
        own.fit(&data, noted).unwrap();
        assert!(again > 1, "{device}");
    }
}

#[test]
fn parts_of_a_batch_that_a_dropped_run_has_left_count_for_none() {
    let _alone = alone();
    let (few, _) = data(500).split_at(32).unwrap();
    for device in devices() {
        let model = || {
            let model = Sequential::new(8).dense(6, Tanh).dense(1, Linear).seed(7);
            let sgd = Sgd::new(0.05);
            model
                .compile_on(&device, MeanSquaredError, sgd, [])
                .unwrap()
        };
        let parts = |count| {
            let fit = Fit::steps(count).batch_size(32).micro_batches(4);
            fit.shuffle(false).silent()
        };
        let (mut whole, mut after) = (model(), Vec::new());
        for _ in 0..40 {
            whole.fit(&few, parts(1)).unwrap();
            after.push(weights(&mut whole));
        }
        for polls in [9, 16, 27, 38, 49, 61] {
            let mut own = model();
            dropped_after(polls, &mut own, &few, parts(30));
            let mut next = Vec::new();
            for _ in 0..3 {
                own.fit(&few, parts(1)).unwrap();
                next.push(weights(&mut own));
            }
            assert!(
                after.windows(3).any(|three| three == next),
                "{device}: dropped after {polls} polls"
            );
        }
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
