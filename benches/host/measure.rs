//! Medians of repeated runs: what a bench of the host's work needs, without a crate for it.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Runs before the first sample.
const WARM_UP: Duration = Duration::from_millis(300);
/// How long the samples of one bench take together, if one run is shorter than a sample.
const LENGTH: Duration = Duration::from_secs(2);
/// Samples of one bench.
const SAMPLES: u32 = 20;

/// The benches whose names contain the first argument; all without one.
pub struct Benches {
    wanted: Option<String>,
}

impl Benches {
    /// By the program's arguments, of which cargo adds `--bench`.
    pub fn of_arguments() -> Self {
        let mut arguments = std::env::args().skip(1);
        let wanted = arguments.find(|argument| !argument.starts_with('-'));
        Benches { wanted }
    }

    /// Prints how long one run of `f` takes, and returns the median in seconds; nothing where it is not asked for.
    pub fn time<T>(&self, name: &str, mut f: impl FnMut() -> T) -> Option<f64> {
        self.timed(name, |times| {
            let begun = Instant::now();
            for _ in 0..times {
                black_box(f());
            }
            begun.elapsed()
        })
    }

    /// The same, where `f` says what a number of runs took.
    pub fn timed(&self, name: &str, mut f: impl FnMut(u32) -> Duration) -> Option<f64> {
        if self
            .wanted
            .as_ref()
            .is_some_and(|wanted| !name.contains(wanted))
        {
            return None;
        }
        let begun = Instant::now();
        let mut once = f(1);
        while begun.elapsed() < WARM_UP {
            once = f(1);
        }
        let times = (LENGTH.as_secs_f64() / f64::from(SAMPLES) / once.as_secs_f64().max(1e-9))
            .max(1.0) as u32;
        let mut samples: Vec<f64> = (0..SAMPLES)
            .map(|_| f(times).as_secs_f64() / f64::from(times))
            .collect();
        samples.sort_by(f64::total_cmp);
        let median = samples[samples.len() / 2];
        let [least, middle, most] = [samples[0], median, samples[samples.len() - 1]].map(shown);
        println!("{name:<60} {middle:>10}   ({least} to {most}, {SAMPLES} samples of {times})");
        Some(median)
    }
}

/// Seconds in the unit that fits.
fn shown(seconds: f64) -> String {
    match seconds {
        _ if seconds < 1e-3 => format!("{:.2} µs", seconds * 1e6),
        _ if seconds < 1.0 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}
