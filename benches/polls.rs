//! How long a poll of a training takes, and how soon an interrupt ends it: on the CPU session, and on the device that
//! `KILN_DEVICE` names. Beside them, how long the machine itself makes two threads wait.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::pin::pin;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use kiln::prelude::*;
use kiln::train::{Interrupt, Lambda, Timing};

/// Polls that are measured, after those in which the session is opened and kernels are compiled.
const POLLS: usize = 10_000;

/// Epochs after which the training counts as under way.
const WARM_UP: u64 = 20;

fn data(columns: usize) -> Dataset {
    let feature = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
    let features: Vec<f32> = (0..2000 * columns).map(feature).collect();
    let values = features
        .chunks(columns)
        .map(|row| row[0] - row[1])
        .collect();
    Dataset::new(features, columns, Targets::Values { values, columns: 1 }).unwrap()
}

fn measure(device: &Device, widths: &[usize], batch: usize) {
    let data = data(widths[0]);
    let hidden = widths[1..].iter();
    let layers = hidden.fold(Sequential::new(widths[0]), |layers, width| {
        layers.dense(*width, Relu)
    });
    let layers = layers.dense(1, Linear);
    let mut model = layers
        .compile_on(device, MeanSquaredError, Adam::default(), [])
        .unwrap();
    let (interrupt, warm) = (Interrupt::default(), AtomicBool::new(false));
    let note = Lambda::new(|moment| {
        warm.store(moment.epoch() >= WARM_UP, Relaxed);
        Ok(())
    });
    let fit = Fit::epochs(1 << 24).batch_size(batch).silent();
    let fit = fit
        .interrupt(&interrupt)
        .callback(note.at(Timing::Overlapping));
    let (mut first, mut times, mut after) = (Duration::ZERO, Vec::new(), 0);
    let history = {
        let mut training = pin!(model.fit_async(&data, fit));
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let begun = Instant::now();
            let polled = training.as_mut().poll(&mut context);
            let took = begun.elapsed();
            match polled {
                Poll::Ready(history) => break history.unwrap(),
                Poll::Pending if interrupt.is_raised() => after += 1,
                Poll::Pending if warm.load(Relaxed) => times.push(took),
                Poll::Pending => first = first.max(took),
            }
            if times.len() == POLLS {
                interrupt.raise();
            }
        }
    };
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let mut longest: Vec<usize> = (0..times.len()).collect();
    longest.sort_by_key(|&poll| std::cmp::Reverse(times[poll]));
    let longest = longest.iter().take(5);
    let longest: Vec<String> = longest
        .map(|&poll| format!("{:.2} ms in poll {poll}", millis(times[poll])))
        .collect();
    times.sort();
    let share = |percent: usize| millis(times[(times.len() * percent / 100).min(times.len() - 1)]);
    println!(
        "{device}, {widths:?} in batches of {batch}, {} polls of {} steps: median {:.2} ms, 99 % {:.2} ms, longest {}; the longest \
         before, with the opening, {:.2} ms; ended {} polls after the interrupt",
        times.len(),
        history.steps,
        share(50),
        share(99),
        longest.join(", "),
        millis(first),
        after + 1
    );
}

/// The same of no training at all: two threads that work 0.2 ms each and then wait for each other, 2 ms long. Where that takes
/// longer now and then, the machine took a core away.
fn measure_the_machine() {
    let share = Duration::from_micros(200);
    let busy = || {
        let begun = Instant::now();
        while begun.elapsed() < share {
            std::hint::spin_loop();
        }
    };
    let (rounds, met) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut times = Vec::with_capacity(POLLS);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while round != u64::MAX {
                let next = rounds.load(Acquire);
                if next != round {
                    round = next;
                    busy();
                    met.store(round, Release);
                }
                std::hint::spin_loop();
            }
        });
        let mut round = 0;
        for _ in 0..POLLS {
            let begun = Instant::now();
            while begun.elapsed() + share < Duration::from_millis(2) {
                round += 1;
                rounds.store(round, Release);
                busy();
                while met.load(Acquire) != round {
                    std::hint::spin_loop();
                }
            }
            times.push(begun.elapsed());
        }
        rounds.store(u64::MAX, Release);
    });
    times.sort();
    let millis = |at: usize| times[at].as_secs_f64() * 1e3;
    println!(
        "two threads of this machine without a training: median {:.2} ms, 99 % {:.2} ms, longest {:.2} ms",
        millis(POLLS / 2),
        millis(POLLS * 99 / 100),
        millis(POLLS - 1)
    );
}

fn main() {
    measure_the_machine();
    let named = std::env::var("KILN_DEVICE").map(|name| Device::named(&name).unwrap());
    for device in std::iter::once(Device::cpu()).chain(named) {
        measure(&device, &[8, 32, 32], 32);
        measure(&device, &[784, 256, 128], 128);
    }
}
