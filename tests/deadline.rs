//! A device that does not answer: the wait ends soon after its deadline, and nobody waits for the device behind that.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use kiln::prelude::*;
use kiln::{DEVICE_VARIABLE, Options};

#[test]
fn a_wait_ends_within_a_second_of_its_deadline_and_dropping_what_hangs_blocks_nobody() {
    if std::env::var("KILN_NO_GPU").is_ok_and(|value| value == "1") {
        println!("KILN_NO_GPU=1: what needs a GPU is skipped");
        return;
    }
    let name = std::env::var(DEVICE_VARIABLE).unwrap_or_else(|_| "software".into());
    let deadline = Duration::from_millis(500);
    let options = Options {
        deadline,
        ..Options::default()
    };
    let device = Device::named_with(&name, options).unwrap();
    // Products that keep a processor busy for many times the deadline.
    let software = device
        .adapter_summary()
        .is_some_and(|adapter| adapter.kind_name() == "software");
    if !software {
        println!("{device}: only a software adapter is slow enough");
        return;
    }
    let graph = Graph::new();
    let x = graph.parameter("x", [1024, 1024], &vec![0.001; 1 << 20]);
    let y = x.matmul(&x).matmul(&x).matmul(&x);
    let program = Program::new("busy").fetch("y", &y);
    let plan = graph.compile(device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("busy", 1).unwrap();
    session.read("y").unwrap();

    // The copy is part of the submission: on lavapipe a second one would wait in the driver for the first.
    let begun = Instant::now();
    let pending = session.run_and_copy("busy", 100, "y").unwrap();
    let error = device.block_on(session.finish(pending)).unwrap_err();
    let took = begun.elapsed();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(
        took >= deadline && took < deadline + Duration::from_secs(1),
        "{took:?}"
    );

    let begun = Instant::now();
    let error = session.run("busy", 1).unwrap_err();
    assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    drop(session);
    drop(device);
    let took = begun.elapsed();
    assert!(
        took < Duration::from_millis(200),
        "dropping it took {took:?}"
    );
}
