//! A device that does not answer: every wait ends after its deadline, and nobody waits for the device after that. How soon is
//! printed: it hangs on what else the machine does.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kiln::prelude::*;
use kiln::{Options, Plan, Session};

const DEADLINE: Duration = Duration::from_millis(500);

/// Steps that keep a processor busy for many times the deadline, most of which are never submitted.
const LONG: u64 = 1000;

/// A software adapter, the only one that is slow enough, one at a time.
fn opened() -> Option<(Device, MutexGuard<'static, ()>)> {
    static ALONE: Mutex<()> = Mutex::new(());
    if std::env::var("KILN_NO_GPU").is_ok_and(|value| value == "1") {
        println!("KILN_NO_GPU=1: what needs a GPU is skipped");
        return None;
    }
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let name = std::env::var("KILN_DEVICE").unwrap_or_else(|_| "software".into());
    let options = Options {
        deadline: DEADLINE,
        ..Options::default()
    };
    let device = Device::named_with(&name, options).unwrap();
    let software = device
        .adapter_summary()
        .is_some_and(|adapter| adapter.kind == "software");
    if !software {
        println!("{device}: only a software adapter is slow enough");
        return None;
    }
    Some((device, alone))
}

/// A session of large products, its kernels compiled.
fn busy(device: &Device) -> Session {
    let graph = Graph::new();
    let x = graph.parameter("x", [1024, 1024], &vec![0.001; 1 << 20]);
    let y = x.matmul(&x).matmul(&x).matmul(&x);
    // A first run compiles, which may take longer than the deadline, of less.
    let small = graph.parameter("small", [8, 8], &[0.5; 64]);
    let programs = [
        Program::new("busy").fetch("y", &y),
        Program::new("idle").fetch("z", &small.tanh()),
    ];
    let plan = Plan::compile(&graph, device.target(), programs).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("idle", 1).unwrap();
    session.read("z").unwrap();
    session
}

/// `work` ends in an error of a device that hangs.
#[track_caller]
fn in_time<T: std::fmt::Debug>(what: &str, work: impl FnOnce() -> kiln::Result<T>) -> Error {
    let begun = Instant::now();
    let error = work().unwrap_err();
    let took = begun.elapsed();
    println!("{what}: {error} after {took:?}");
    error
}

#[track_caller]
fn timed_out(what: &str, work: impl FnOnce() -> kiln::Result<Vec<f32>>) {
    let begun = Instant::now();
    let error = in_time(what, work);
    assert!(matches!(error, Error::Timeout { .. }), "{what}: {error}");
    assert!(begun.elapsed() >= DEADLINE, "{what}: {:?}", begun.elapsed());
}

/// Behind that, everything is an error at once, and so is letting go of it.
fn is_given_up(device: Device, mut session: Session) {
    let begun = Instant::now();
    let error = session.run("busy", 1).unwrap_err();
    assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    drop(session);
    drop(device);
    println!("dropping it took {:?}", begun.elapsed());
}

#[test]
fn a_wait_ends_after_its_deadline_and_what_hangs_is_dropped() {
    let Some((device, _alone)) = opened() else {
        return;
    };
    let mut session = busy(&device);
    timed_out("one submission that copies", || {
        let pending = session.submit("busy", 15, &["y"])?;
        device.block_on(session.finish(pending))
    });
    is_given_up(device, session);
}

#[test]
fn a_submission_after_one_that_hangs_ends_in_time_too() {
    let Some((device, _alone)) = opened() else {
        return;
    };
    let mut session = busy(&device);
    timed_out("a run, and a read after it", || {
        session.run("busy", LONG)?;
        session.read("y")
    });
    is_given_up(device, session);
}

#[test]
fn several_submissions_under_way_end_in_time() {
    let Some((device, _alone)) = opened() else {
        return;
    };
    let mut session = busy(&device);
    timed_out("three submissions", || {
        let mut last = None;
        for _ in 0..3 {
            last = Some(session.submit("busy", 15, &["y"])?);
        }
        device.block_on(session.finish(last.unwrap()))
    });
    is_given_up(device, session);
}

#[test]
fn another_thread_of_a_device_that_hangs_ends_in_time() {
    let Some((device, _alone)) = opened() else {
        return;
    };
    let (mut first, mut second) = (busy(&device), busy(&device));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            in_time("the thread whose work hangs", || {
                first.run("busy", LONG)?;
                first.read("y")
            });
        });
        // In the midst of the other's wait.
        std::thread::sleep(DEADLINE / 4);
        let error = in_time("a thread beside it", || {
            second.run("idle", 1)?;
            second.read("z")
        });
        // Its own deadline, or the other's.
        assert!(
            matches!(error, Error::Timeout { .. } | Error::DeviceLost { .. }),
            "{error}"
        );
    });
    drop(first);
    is_given_up(device, second);
}

/// Rows of 16 numbers, and a network whose step on all of them takes a software adapter many times the deadline.
fn slow_to_train() -> (Dataset, Model) {
    let rows = 4096;
    let features: Vec<f32> = (0..rows * 16).map(|i| (i % 97) as f32 / 97.0).collect();
    let values = features.chunks(16).map(|row| row[0] - row[1]).collect();
    let data = Dataset::new(features, 16, Targets::Values { values, columns: 1 });
    let network = Sequential::new(16).dense(2048, Tanh).dense(2048, Tanh);
    let network = network.dense(1, Linear).seed(7);
    let model = network.compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.001), []);
    (data.unwrap(), model.unwrap())
}

#[test]
fn a_fit_that_hangs_ends_in_time_with_its_weights_and_is_gone_on_with_elsewhere() {
    let Some((device, _alone)) = opened() else {
        return;
    };
    let (data, mut model) = slow_to_train();
    // What it learns on the processor, where nothing hangs and nothing is compiled.
    let (few, _) = data.split_at(8).unwrap();
    let steps = Fit::steps(2).batch_size(4).silent();
    model.fit(&few, steps).unwrap();
    let learned = model.weights().unwrap();

    model.move_to(&device).unwrap();
    let error = in_time("a fit", || {
        let whole = Fit::epochs(1).batch_size(4096).silent();
        model.fit(&data, whole).map(drop)
    });
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    let begun = Instant::now();
    // The state that was kept as the run began, which needs no device now.
    assert!(model.weights().unwrap() == learned, "other weights");
    let state = model.take_unfinished().unwrap();
    assert_eq!((state.steps, state.model_steps), (0, 2));
    model.move_to(&Device::cpu()).unwrap();
    drop(device);
    println!("weights, state and leave: {:?}", begun.elapsed());

    let (_, mut other) = slow_to_train();
    let weights = learned
        .iter()
        .map(|own| (own.name.as_str(), &own.values[..]));
    other.set_weights(weights).unwrap();
    let predicted = model.predict(few.features()).unwrap();
    assert!(other.predict(few.features()).unwrap() == predicted);
}

/// Opens the adapter in a process of its own, where nothing is known of its driver, and prints what the canary asked of it.
#[test]
fn the_canary_asks_a_driver_once_in_one_submission() {
    const CHILD: &str = "KILN_TEST_CANARY";
    if std::env::var(CHILD).is_ok() {
        for opening in 0..2 {
            let (device, _alone) = opened().unwrap();
            let canary = device.canary().unwrap();
            let (counters, findings) = (device.counters(), canary.findings.len());
            println!(
                "{CHILD}={opening} {findings} {} {} {} {}",
                counters.submits, counters.readbacks, counters.passes, counters.dispatches
            );
        }
        return;
    }
    let Some((device, _alone)) = opened() else {
        return;
    };
    println!("the canary took {} s", device.canary().unwrap().seconds);
    drop(device);
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "the_canary_asks_a_driver_once_in_one_submission",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8(child.stdout).unwrap();
    let told: Vec<&str> = text
        .lines()
        .filter_map(|line| Some(line.split_once("KILN_TEST_CANARY=")?.1))
        .collect();
    // Opening, findings, submissions, readbacks, passes, dispatches.
    assert_eq!(told, ["0 6 1 1 1 13", "1 6 0 0 0 0"], "{text}");
}
