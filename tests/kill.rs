//! Processes killed while they write checkpoints: no save that was told is lost, no damaged file is accepted.
//!
//!     cargo test --release --test kill -- --times 1000
//!
//! The test starts itself as the process that trains. It says every step whose checkpoint is on the disk; after a while
//! it is killed (SIGKILL), and the next one goes on from the newest file.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kiln::prelude::*;
use kiln::train::{Checkpoints, Every, RunState};

/// Processes killed where nothing else is said.
const TIMES: u64 = 12;

/// After this many processes the folder is emptied: what a run remembers of its steps makes files longer.
const LIVES: u64 = 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &arguments[..] {
        ["train", folder] => train(Path::new(folder)),
        ["--times", times] => kill(times.parse().unwrap()),
        // Whatever else `cargo test` hands to all of its tests.
        [filter, ..] if !filter.starts_with('-') && !"kill".contains(filter) => {}
        ["--list", ..] => println!("kill: test"),
        _ => kill(TIMES),
    }
}

/// Trains without an end, with a checkpoint after every step.
fn train(folder: &Path) {
    let x: Vec<[f32; 2]> = (0..40).map(|i| [i as f32 / 40.0, 1.0]).collect();
    let y: Vec<[f32; 1]> = x.iter().map(|[a, _]| [a * a]).collect();
    let data = Dataset::from_rows(&x, &y).unwrap();
    let network = Sequential::new(2).dense(64, Tanh).dense(1, Linear).seed(3);
    let mut model = network
        .compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])
        .unwrap();
    let checkpoints = Checkpoints::in_folder(folder).every(Every::Steps(1));
    let tell = |state: &RunState| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", state.steps)
            .and_then(|()| out.flush())
            .unwrap();
        Ok(())
    };
    let fit = Fit::steps(1_000_000)
        .batch_size(4)
        .silent()
        .checkpoints(checkpoints)
        .resume_from(folder)
        .states(Every::Steps(1), tell);
    model.fit(&data, fit).unwrap();
}

fn kill(times: u64) {
    let folder = std::env::temp_dir().join(format!("kiln-kill-{}", std::process::id()));
    let (mut told, mut unfinished) = (0, 0);
    let mut seed = 20_261_125_u64;
    for life in 0..times {
        if life % LIVES == 0 {
            fs::remove_dir_all(&folder).unwrap_or_default();
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("train")
            .arg(&folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // From the first save on, after up to 20 ms: in the midst of any part of another.
        let mut last: u64 = lines.next().unwrap().unwrap().parse().unwrap();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_micros((seed >> 33) % 20_000));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            // A line cut off by the kill was not told.
            if let Ok(step) = line.unwrap().parse() {
                last = last.max(step);
            }
            told += 1;
        }
        let newest = Checkpoints::newest(&folder).unwrap().unwrap();
        assert!(newest.passed_over.is_empty(), "{:?}", newest.passed_over);
        assert!(
            newest.state.steps >= last,
            "step {last} was told to be on the disk, but the newest is {}",
            newest.state.steps
        );
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().is_some_and(|ending| ending == "part") {
                true => unfinished += 1,
                false => drop(RunState::load(&path).unwrap()),
            }
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    println!(
        "killed {times} times: of {} saves told none was lost, no damaged file; {unfinished} were in the midst of a write",
        told + times
    );
}
