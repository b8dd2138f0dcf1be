//! A run that is stopped and goes on ends in the bits of one that never stopped: at every step, in mid-epoch too.

use kiln::optim::Schedule;
use kiln::prelude::*;
use kiln::train::{
    Auc, EarlyStopping, Every, History, Lambda, Metric, ReduceOnPlateau, RunState, Stop, Timing,
};

use crate::common::device;

/// 37 rows: with batches of 8, epochs of five steps whose last is over five rows.
fn data() -> Dataset {
    let x: Vec<[f32; 3]> = (0..37)
        .map(|i| [7919, 104_729, 1_299_709].map(|p| (i * p % 1009) as f32 / 1009.0 - 0.5))
        .collect();
    let y: Vec<[f32; 1]> = x
        .iter()
        .map(|[a, b, c]| [f32::from(u8::from(a * b + 0.3 * c > 0.0))])
        .collect();
    Dataset::from_rows(&x, &y).unwrap()
}

/// Dropout, Adam and a schedule.
fn model(device: &Device, dropout: f32) -> Model {
    let mut network = Sequential::new(3).dense(6, Tanh);
    if dropout > 0.0 {
        network = network.layer(Dropout::new(dropout));
    }
    let network = network.dense(1, Sigmoid).seed(5);
    let adam = Adam::new(Schedule::exponential_decay(0.05, 20, 0.9));
    // Without dropout and areas its steps are one kernel.
    let metrics = match dropout {
        0.0 => vec![Accuracy],
        _ => vec![Accuracy, Metric::Auc(Auc::default())],
    };
    network
        .compile_on(device, BinaryCrossentropy, adam, metrics)
        .unwrap()
}

fn fit<'a>() -> Fit<'a> {
    Fit::epochs(40)
        .batch_size(8)
        .silent()
        .callback(ReduceOnPlateau::new("loss").patience(3).factor(0.5))
        .callback(EarlyStopping::new("loss", 100).restore_best_weights(true))
}

/// What two runs must have in common: all but the time they took.
fn bits(history: &History) -> Vec<u64> {
    let epochs = history.epochs.iter().flat_map(|epoch| {
        let metrics = epoch.metrics.iter().map(|(_, value)| value.to_bits());
        [epoch.loss.to_bits(), epoch.samples]
            .into_iter()
            .chain(metrics)
    });
    let steps = history.step_losses.iter().map(|loss| loss.to_bits());
    steps.chain(epochs).chain([history.steps]).collect()
}

/// Trains to the end from a state, if there is one; the history's bits, the last state and the weights.
fn run(device: &Device, dropout: f32, from: Option<RunState>) -> (Vec<u64>, RunState, Vec<u32>) {
    let mut model = model(device, dropout);
    let mut last = None;
    let keep = |state: &RunState| {
        last = Some(state.clone());
        Ok(())
    };
    let mut settings = fit().states(Every::Epochs(1000), keep);
    if let Some(state) = from {
        settings = settings.resume(state);
    }
    let history = model.fit(&data(), settings).unwrap();
    assert_eq!(history.stop, Stop::Epochs(40));
    let weights = model.weights().unwrap();
    let weights = weights
        .iter()
        .flat_map(|w| w.values.iter().map(|v| v.to_bits()));
    (bits(&history), last.unwrap(), weights.collect())
}

/// Trains for this many steps and stops.
fn stopped(device: &Device, dropout: f32, steps: u64) -> RunState {
    let mut last = None;
    let keep = |state: &RunState| {
        last = Some(state.clone());
        Ok(())
    };
    let settings = fit().max_steps(steps).states(Every::Epochs(1000), keep);
    model(device, dropout).fit(&data(), settings).unwrap();
    last.unwrap()
}

fn resumes_at(device: &Device, dropout: f32, steps: impl Iterator<Item = u64>) -> u64 {
    let (history, last, weights) = run(device, dropout, None);
    assert_eq!(last.steps, 200);
    let mut equal = 0;
    for step in steps {
        let state = stopped(device, dropout, step);
        assert_eq!((state.steps, state.seen), (step, step % 5 * 8));
        let (found, found_last, found_weights) = run(device, dropout, Some(state));
        assert!(found == history, "another history after step {step}");
        assert!(found_weights == weights, "other weights after step {step}");
        let same = found_last.snapshot == last.snapshot && found_last.callbacks == last.callbacks;
        assert!(same, "another last state after step {step}");
        equal += 1;
    }
    equal
}

#[test]
fn stopped_and_resumed_at_every_step_of_200_a_run_ends_in_the_same_bits() {
    assert_eq!(resumes_at(&Device::cpu(), 0.3, 1..=200), 200);
}

#[test]
fn so_does_a_network_whose_steps_are_one_kernel() {
    assert_eq!(resumes_at(&Device::cpu(), 0.0, (1..=200).step_by(9)), 23);
}

#[test]
fn so_does_a_run_on_the_device_under_test() {
    let Some(device) = device() else { return };
    let (_, plan) = model(device, 0.0).inspect(37, 8).unwrap();
    let fused = plan.program("train").unwrap().steps_per_dispatch() > 1;
    assert!(fused || device.adapter_summary().is_none(), "{plan}");
    for dropout in [0.3, 0.0] {
        let steps = [1, 7, 100, 163, 200];
        assert_eq!(resumes_at(device, dropout, steps.into_iter()), 5);
    }
}

#[test]
fn states_taken_as_a_run_goes_are_those_of_stopped_runs() {
    let device = Device::cpu();
    let mut taken = Vec::new();
    let keep = |state: &RunState| {
        taken.push(state.clone());
        Ok(())
    };
    let settings = fit().states(Every::Steps(7), keep);
    model(&device, 0.3).fit(&data(), settings).unwrap();
    let steps: Vec<u64> = taken.iter().map(|state| state.steps).collect();
    let expected: Vec<u64> = (1..=28).map(|i| 7 * i).chain([200]).collect();
    assert_eq!(steps, expected);
    for state in taken {
        let other = stopped(&device, 0.3, state.steps);
        assert_eq!(state.snapshot, other.snapshot);
        assert_eq!(bits(&state.history), bits(&other.history));
    }
}

#[test]
fn states_by_the_clock_on_the_wall_come_between_steps_too() {
    let device = Device::cpu();
    let mut taken = Vec::new();
    let keep = |state: &RunState| {
        taken.push(state.clone());
        Ok(())
    };
    let every = Every::Time(std::time::Duration::from_millis(1));
    model(&device, 0.3)
        .fit(&data(), fit().states(every, keep))
        .unwrap();
    assert!(taken.len() > 1, "{}", taken.len());
    let (history, ..) = run(&device, 0.3, None);
    for state in taken {
        assert_eq!(run(&device, 0.3, Some(state)).0, history);
    }
}

#[test]
fn a_run_that_a_stop_rule_ended_is_over_and_brings_back_its_best_weights() {
    let device = Device::cpu();
    let once = |from: Option<RunState>| {
        let mut last = None;
        let keep = |state: &RunState| {
            last = Some(state.clone());
            Ok(())
        };
        let stopping = EarlyStopping::new("loss", 2).restore_best_weights(true);
        let mut settings = Fit::epochs(500)
            .batch_size(8)
            .silent()
            .callback(stopping)
            .states(Every::Epochs(1), keep);
        if let Some(state) = from {
            settings = settings.resume(state);
        }
        let mut model = model(&device, 0.3);
        let history = model.fit(&data(), settings).unwrap();
        (history, model.snapshot().unwrap(), last)
    };
    let (history, best, last) = once(None);
    assert!(matches!(history.stop, Stop::Callback(_)));
    let (again, again_best, _) = once(last);
    assert_eq!((again.stop, again.steps), (history.stop, history.steps));
    assert_eq!(again_best, best);
}

#[test]
fn a_state_of_another_run_is_refused_with_what_differs() {
    let device = Device::cpu();
    let state = stopped(&device, 0.3, 7);
    let refused = |model: &mut Model, settings: Fit<'_>, data: &Dataset, parts: &[&str]| {
        let message = model.fit(data, settings).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "`{message}` does not say `{part}`");
        }
    };
    let mut own = model(&device, 0.3);
    let settings = fit().batch_size(4).resume(state.clone());
    refused(
        &mut own,
        settings,
        &data(),
        &["batches of 8", "batches of 4"],
    );
    let settings = fit().shuffle(false).resume(state.clone());
    refused(&mut own, settings, &data(), &["seed 5", "own order"]);
    let (part, _) = data().split(0.2, 1).unwrap();
    let settings = fit().resume(state.clone());
    refused(&mut own, settings, &part, &["37 rows"]);
    let more = fit()
        .callback(Lambda::new(|_| Ok(())))
        .resume(state.clone());
    refused(&mut own, more, &data(), &["2 callbacks", "has 3"]);
    let network = Sequential::new(3).dense(6, Tanh).dense(1, Sigmoid).seed(5);
    let metrics: [Metric; 2] = [Accuracy, Metric::Auc(Auc::default())];
    let mut other = network
        .compile_on(
            &device,
            BinaryCrossentropy,
            Sgd::new(0.1).momentum(0.9),
            metrics,
        )
        .unwrap();
    refused(
        &mut other,
        fit().resume(state),
        &data(),
        &["dense/kernel.momentum"],
    );
}

/// Trains 64 rows in batches of 16 and of 4 parts for this many steps, from a state if there is one.
fn in_parts(
    parts: impl FnOnce(Fit<'_>) -> Fit<'_>,
    steps: u64,
    from: Option<RunState>,
) -> kiln::Result<(Vec<u64>, RunState)> {
    let x: Vec<[f32; 3]> = (0..64)
        .map(|i| [7919, 104_729, 1_299_709].map(|p| (i * p % 1009) as f32 / 1009.0 - 0.5))
        .collect();
    let y: Vec<[f32; 1]> = x.iter().map(|[a, b, c]| [a * b + c]).collect();
    let network = Sequential::new(3).dense(6, Tanh).dense(1, Linear).seed(5);
    let mut model = network
        .compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])
        .unwrap();
    let mut last = None;
    let keep = |state: &RunState| {
        last = Some(state.clone());
        Ok(())
    };
    let mut settings = Fit::steps(steps).silent().states(Every::Epochs(1000), keep);
    if let Some(state) = from {
        settings = settings.resume(state);
    }
    let history = model.fit(&Dataset::from_rows(&x, &y).unwrap(), parts(settings))?;
    Ok((bits(&history), last.unwrap()))
}

#[test]
fn a_run_in_micro_batches_goes_on_with_as_many_and_no_others() {
    fn four(fit: Fit<'_>) -> Fit<'_> {
        fit.batch_size(16).micro_batches(4)
    }
    fn fitting(fit: Fit<'_>) -> Fit<'_> {
        fit.batch_size(16).micro_batches_to_fit()
    }
    let (whole, end) = in_parts(four, 12, None).unwrap();
    assert_eq!((end.steps, end.order.micro), (48, 4));
    let (_, state) = in_parts(four, 5, None).unwrap();
    let path = std::env::temp_dir().join(format!("kiln-micro-{}", std::process::id()));
    state.save(&path).unwrap();
    let state = RunState::load(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    // The rows of a step are as many, but each is an update.
    let error = in_parts(|fit| fit.batch_size(4), 48, Some(state.clone())).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("batches of 4, 4 of which are an update"),
        "{message}"
    );
    in_parts(
        |fit| fit.batch_size(8).micro_batches(2),
        24,
        Some(state.clone()),
    )
    .unwrap_err();
    assert_eq!(in_parts(four, 12, Some(state.clone())).unwrap().0, whole);
    // There would be room for whole batches.
    let (found, last) = in_parts(fitting, 12, Some(state)).unwrap();
    assert_eq!((found, last.order.micro), (whole, 4));
    assert_eq!(last.snapshot, end.snapshot);
}

#[test]
fn a_file_of_before_parts_of_batches_were_kept_is_gone_on_from_in_parts_only() {
    fn four(fit: Fit<'_>) -> Fit<'_> {
        fit.batch_size(16).micro_batches(4)
    }
    let (whole, end) = in_parts(four, 12, None).unwrap();
    // As such a file had it: nothing of the parts.
    let (_, mut state) = in_parts(four, 5, None).unwrap();
    state.order.micro = 1;
    let path = std::env::temp_dir().join(format!("kiln-silent-{}", std::process::id()));
    state.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("micro"));
    let state = RunState::load(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let (found, last) = in_parts(four, 12, Some(state.clone())).unwrap();
    assert_eq!((found, last.order.micro), (whole, 4));
    assert_eq!(last.snapshot, end.snapshot);
    // Each step an update, or as many parts as find room, which was one for such a file: the sums would be lost.
    fn single(fit: Fit<'_>) -> Fit<'_> {
        fit.batch_size(4)
    }
    fn fitting(fit: Fit<'_>) -> Fit<'_> {
        fit.batch_size(4).micro_batches_to_fit()
    }
    let outcomes = [
        in_parts(single, 48, Some(state.clone())),
        in_parts(fitting, 48, Some(state)),
    ];
    for outcome in outcomes {
        let message = outcome.unwrap_err().to_string();
        for words in ["dense/bias.gradient_accumulator", "as many `micro_batches`"] {
            assert!(message.contains(words), "{message}");
        }
    }
}

#[test]
fn a_run_goes_on_with_its_own_metrics_and_with_validation_only_if_it_had_it() {
    let compiled = |metric: Metric| {
        let network = Sequential::new(3).dense(6, Tanh).dense(1, Sigmoid).seed(5);
        network
            .compile_on(
                &Device::cpu(),
                BinaryCrossentropy,
                Adam::new(0.05),
                [metric],
            )
            .unwrap()
    };
    let data = data();
    let plain = || Fit::epochs(4).batch_size(8).silent();
    // In the first epoch, when no figure has been told, and after it.
    for steps in [2, 7] {
        let mut last = None;
        let keep = |state: &RunState| {
            last = Some(state.clone());
            Ok(())
        };
        let settings = plain().max_steps(steps).states(Every::Epochs(1000), keep);
        compiled(Accuracy).fit(&data, settings).unwrap();
        let path = std::env::temp_dir().join(format!("kiln-metrics-{}", std::process::id()));
        last.unwrap().save(&path).unwrap();
        let state = RunState::load(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let mut other = compiled(Metric::MeanAbsoluteError);
        let message = other
            .fit(&data, plain().resume(state.clone()))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("metrics accuracy, but this one has the metrics mean_absolute_error"),
            "{message}"
        );
        let validated = plain().validation(&data).resume(state.clone());
        let outcome = compiled(Accuracy).fit(&data, validated);
        if steps == 7 {
            let message = outcome.unwrap_err().to_string();
            assert!(
                message.contains("without validation, but this one is with it"),
                "{message}"
            );
        } else {
            // All epochs have figures of it.
            let epochs = outcome.unwrap().epochs;
            assert!(epochs.iter().all(|epoch| epoch.val_loss.is_some()));
        }
        compiled(Accuracy)
            .fit(&data, plain().resume(state))
            .unwrap();
    }
}

/// A checkpoint as version 1 of the format wrote it. A file of each version stays here for ever.
const VERSION_1: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/files/checkpoint-1.safetensors"
);

#[test]
#[ignore = "writes the file, which is done once for a version"]
fn a_checkpoint_of_this_version_is_written() {
    assert!(!std::path::Path::new(VERSION_1).exists());
    stopped(&Device::cpu(), 0.0, 13).save(VERSION_1).unwrap();
}

#[test]
fn a_checkpoint_of_version_1_is_read_and_gone_on_from() {
    let device = Device::cpu();
    let state = RunState::load(VERSION_1).unwrap();
    assert_eq!((state.steps, state.seen, state.model_epochs), (13, 24, 2));
    assert_eq!((state.order.rows, state.order.shuffle), (37, Some(5)));
    // It says nothing of parts.
    assert_eq!(
        (state.order.micro, &state.metrics[..]),
        (1, &["accuracy".to_string()][..])
    );
    let names: Vec<&str> = state
        .snapshot
        .variables
        .keys()
        .map(String::as_str)
        .collect();
    for name in [
        "dense/kernel",
        "dense/kernel.m",
        "dense_1/bias.v",
        "train.rates",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    // Nearly what the run comes to today, whatever became of the kernels since.
    let own = stopped(&device, 0.0, 13);
    assert_eq!(own.history.epochs.len(), state.history.epochs.len());
    for (then, now) in state
        .history
        .step_losses
        .iter()
        .zip(&own.history.step_losses)
    {
        assert!((then - now).abs() < 1e-4, "{then} then, {now} now");
    }
    assert_eq!(own.callbacks.len(), state.callbacks.len());
    assert!(state.callbacks[1].snapshot.is_some());
    let (history, ..) = run(&device, 0.0, Some(state));
    assert_eq!(*history.last().unwrap(), 200);
}

#[test]
fn a_run_that_goes_on_keeps_its_kernels_however_many_steps_it_is_to_have() {
    let Some(device) = device() else { return };
    // Of a size for which an adapter that compiles slowly has other kernels where few steps follow.
    let network = || {
        let network = Sequential::new(3).dense(32, Tanh).dense(32, Tanh);
        network
            .dense(1, Sigmoid)
            .seed(5)
            .compile_on(device, BinaryCrossentropy, Adam::new(0.01), [])
            .unwrap()
    };
    // The states at steps 100 and 200 of a run that is to have so many.
    let states = |steps: u64, from: Option<RunState>| {
        let mut states: Vec<RunState> = from.iter().cloned().collect();
        let keep = |state: &RunState| {
            states.push(state.clone());
            Ok(())
        };
        let enough = Lambda::new(|moment| {
            if moment.step == 200 {
                moment.stop("enough");
            }
            Ok(())
        });
        let mut fit = Fit::steps(steps).batch_size(8).silent();
        fit = fit.callback(enough.at(Timing::Steps(200)));
        fit = fit.states(Every::Steps(100), keep);
        if let Some(state) = from {
            fit = fit.resume(state);
        }
        network().fit(&data(), fit).unwrap();
        states
    };
    for (begun, resumed) in [(200, 1000), (1000, 200)] {
        let whole = states(begun, None);
        let again = states(resumed, Some(whole[0].clone()));
        assert_eq!((whole.len(), again.len(), again[1].steps), (2, 2, 200));
        assert_eq!(again[1].snapshot, whole[1].snapshot, "{begun}, {resumed}");
    }
}
