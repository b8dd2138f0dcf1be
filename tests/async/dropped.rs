//! What a run leaves whose future was dropped on its way: a model after a whole step, whose counts and names are right.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use kiln::optim::{ExponentialDecay, Schedule};
use kiln::prelude::*;
use kiln::train::Every;

use super::common::{alone, devices};
use super::{data, fit, model};

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

/// Starts a run and drops it after this number of polls without time.
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

/// Epochs and steps that a run of one step has counted of the model.
fn counted_by_the_next(own: &mut Model, data: &Dataset) -> (u64, u64) {
    let (mut epochs, mut steps) = (0, 0);
    let one = Fit::steps(1).batch_size(33).silent();
    let noted = one.states(Every::Steps(1), |state| {
        (epochs, steps) = (state.model_epochs, state.model_steps);
        Ok(())
    });
    own.fit(data, noted).unwrap();
    (epochs, steps)
}

#[test]
fn epochs_of_a_run_that_was_dropped_are_not_repeated() {
    let _alone = alone();
    let data = data(330);
    for device in devices() {
        let mut own = model(&device);
        dropped_after(60, &mut own, &data, fit());
        let (epochs, steps) = counted_by_the_next(&mut own, &data);
        // The one that was under way counts as one, as it does where a run ends in it.
        let begun = (steps - 1).div_ceil(10);
        assert!(steps > 1 && epochs == begun, "{device}: {epochs}, {steps}");
        // Rows to evaluate on open another session, whose clock begins anew.
        let mut own = model(&device);
        dropped_after(60, &mut own, &data, fit());
        own.evaluate(&data).unwrap();
        let (_, again) = counted_by_the_next(&mut own, &data);
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
fn a_step_on_a_batch_after_a_dropped_run_takes_no_epoch_back() {
    let _alone = alone();
    let data = data(330);
    let (few, _) = data.split_at(33).unwrap();
    for device in devices() {
        let mut own = model(&device);
        dropped_after(60, &mut own, &data, fit());
        own.train_on_batch(&few).unwrap();
        let (epochs, steps) = counted_by_the_next(&mut own, &data);
        let begun = (steps - 2).div_ceil(10);
        assert!(steps > 2 && epochs == begun, "{device}: {epochs}, {steps}");
    }
}

#[test]
fn a_rate_that_is_set_after_a_dropped_run_is_that_of_the_next_step() {
    let _alone = alone();
    let (few, _) = data(500).split_at(33).unwrap();
    let decay = ExponentialDecay {
        initial: 0.1,
        decay_steps: 1,
        decay_rate: 0.9,
        staircase: false,
    };
    for device in devices() {
        let network = Sequential::new(8).dense(6, Tanh).dense(1, Linear);
        let sgd = Sgd::new(Schedule::from(decay.clone()));
        let mut own = network
            .compile_on(&device, MeanSquaredError, sgd, [])
            .unwrap();
        dropped_after(40, &mut own, &few, Fit::steps(100).batch_size(33));
        own.set_learning_rate(0.01).unwrap();
        let one = Fit::steps(1).batch_size(33).silent();
        own.fit(&few, one).unwrap();
        let after = own.learning_rate().unwrap();
        assert!((after / 0.009 - 1.0).abs() < 1e-4, "{device}: {after}");
    }
}
