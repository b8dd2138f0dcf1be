//! What is submitted: much of it in parts, and its copy belongs to the session that asked for it.
#![allow(clippy::unwrap_used)]

mod common;

use common::{alone, device, devices};
use kiln::prelude::*;
use kiln::{Plan, Session};

/// A program that adds 1 to each of `count`, in few dispatches a step.
fn counting(device: &Device, len: usize) -> Plan {
    let graph = Graph::new();
    let count = graph.parameter("count", [len], &vec![0.0; len]);
    let one = graph.parameter("one", [len], &vec![1.0; len]);
    let next = count.assign(&(&count + &one));
    let program = Program::new("p").update([&next]);
    Plan::compile(&graph, device.target(), [program]).unwrap()
}

fn opened(device: &Device) -> Session {
    device.open(&counting(device, 3)).unwrap()
}

#[test]
fn very_many_steps_are_submitted_in_parts_whatever_is_copied_after_them() {
    let _alone = alone();
    let Some(device) = device().filter(|device| device.adapter_summary().is_some()) else {
        return;
    };
    let mut session = opened(device);
    let mut done = 0;
    // Not a whole number of parts, and one: there the copy goes with the last.
    for (steps, copied) in [((1 << 17) + 5, &["count"][..]), (1 << 16, &[])] {
        let before = device.counters();
        let pending = session.submit("p", steps, copied).unwrap();
        let submitted = device.counters().since(&before);
        assert!(submitted.dispatches >= steps, "{submitted:?}");
        let parts = submitted.dispatches.div_ceil(1 << 16);
        assert_eq!(submitted.submits, parts, "{submitted:?}");
        done += steps;
        let count = device.block_on(session.finish(pending)).unwrap();
        assert_eq!(count, vec![done as f32; 3 * copied.len()]);
    }
    assert_eq!(session.read("count").unwrap(), [done as f32; 3]);
}

#[test]
fn a_profile_of_more_measurements_than_are_kept_is_refused() {
    let _alone = alone();
    for device in devices() {
        let error = opened(&device).profile("p", u64::MAX).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, Error::Argument { name: "repeat", .. }) && text.contains("65536"),
            "{text}"
        );
    }
}

/// Two programs, each of which fetches a number of its own.
fn two(device: &Device) -> Session {
    let graph = Graph::new();
    let one = graph.parameter("one", [3], &[1.0; 3]);
    let (p, q) = (&one + &one, (&one + &one).mul(&(&one + &one)));
    let programs = [("p", "of_p", &p), ("q", "of_q", &q)];
    let programs = programs.map(|(name, fetch, y)| Program::new(name).fetch(fetch, y));
    device
        .open(&Plan::compile(&graph, device.target(), programs).unwrap())
        .unwrap()
}

#[test]
fn what_can_be_read_is_of_the_program_that_ran_last_profiled_or_refused() {
    let _alone = alone();
    for device in devices().into_iter().chain([Device::reference()]) {
        let mut session = two(&device);
        session.run("p", 1).unwrap();
        // What is refused has not run.
        session.submit("q", 1, &["of_nobody"]).unwrap_err();
        assert_eq!(session.read("of_p").unwrap(), [2.0; 3], "{device}");
        session.read("of_q").unwrap_err();
        // Two measurements are the fewest that are made.
        session.profile("q", 0).unwrap();
        session.read("of_p").unwrap_err();
        assert_eq!(session.read("of_q").unwrap(), [4.0; 3], "{device}");
    }
}

#[test]
fn a_copy_is_refused_by_every_session_but_its_own() {
    let _alone = alone();
    let devices: Vec<Device> = devices().into_iter().chain([Device::reference()]).collect();
    let mut refused = 0;
    for device in &devices {
        for other in &devices {
            let (mut own, mut other) = (opened(device), opened(other));
            let pending = own.submit("p", 2, &["count"]).unwrap();
            let error = device.block_on(other.finish(pending)).unwrap_err();
            let text = error.to_string();
            assert!(
                matches!(
                    error,
                    Error::Argument {
                        name: "pending",
                        ..
                    }
                ) && text.contains("another session"),
                "{text}"
            );
            // Neither device is given up for it.
            assert_eq!(own.read("count").unwrap(), [2.0; 3]);
            other.run("p", 1).unwrap();
            assert_eq!(other.read("count").unwrap(), [1.0; 3]);
            refused += 1;
        }
    }
    assert_eq!(refused, devices.len() * devices.len());
}
