//! Trains long and makes many models, and watches what is left behind: resident memory and the device's account of bytes.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use kiln::prelude::*;

const ABOUT: &str = "soak: many steps and many models, with an eye on memory; fails where it grows
  --steps 100000   steps of one model
  --models 2000    models made, trained for a moment, asked and dropped
  --most-mib 4     most that resident memory may grow by in either part after its first quarter";

/// Steps between two looks at memory.
const ROUND: u64 = 1000;

fn main() -> std::process::ExitCode {
    kiln_tools::run(|| {
        let mut arguments = kiln_tools::Arguments::parse(ABOUT);
        let device = arguments.device()?;
        let steps: u64 = arguments.number("steps", 100_000)?;
        let models: u64 = arguments.number("models", 2000)?;
        let most: f64 = arguments.number("most-mib", 4.0)?;
        arguments.finish()?;
        println!("device: {device}\n");
        let data = Csv::new()
            .target("diabetes")
            .read(kiln_tools::shipped("pima.csv"))?;

        let mut long = model(&device, 0)?;
        let fit = || Fit::steps(ROUND).batch_size(32).silent();
        watch("steps", steps, ROUND, most, |_| {
            long.fit(&data, fit()).map(|_| ())
        })?;
        drop(long);

        watch("models", models, 1, most, |index| {
            let mut model = model(&device, index)?;
            model.fit(&data, Fit::steps(3).batch_size(32).silent())?;
            model.evaluate(&data)?;
            model.predict(&data)?;
            Ok(())
        })?;

        match device.counters().bytes {
            0 => println!("the device's account: 0 bytes"),
            left => {
                let message =
                    format!("{left} bytes are on the device's account, and no model is left");
                return Err(Error::Device { message });
            }
        }
        Ok(())
    })
}

/// The index-th model: of one call a step, or of a kernel a layer. Each of the 240 kinds comes within the first quarter, so
/// that what a driver keeps of a new kernel is not taken for growth.
fn model(device: &Device, index: u64) -> Result<Model> {
    let kind = index / 2 % 120;
    let (first, second) = match index % 2 {
        1 => (64 + 3 * (kind % 24), 4 + kind % 5),
        _ => (4 + kind % 12, 8),
    };
    Sequential::new(8)
        .dense(first as usize, Relu)
        .dense(second as usize, Relu)
        .dense(1, Sigmoid)
        .seed(index)
        .compile_on(device, BinaryCrossentropy, Adam::default(), [Accuracy])
}

/// Does `count` things, `each` at a time, and compares memory after the first quarter with memory at the end.
fn watch(
    what: &str,
    count: u64,
    each: u64,
    most: f64,
    mut work: impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let begun = Instant::now();
    let rounds = count.div_ceil(each);
    let mut before = None;
    for round in 0..rounds {
        if round == rounds / 4 {
            before = resident_mib();
        }
        work(round)?;
        if (round + 1).is_multiple_of((rounds / 10).max(1)) {
            let done = (round + 1) * each;
            let memory =
                resident_mib().map_or("not known here".into(), |mib| format!("{mib:.1} MiB"));
            println!(
                "{done:>8} {what}: {:>6.1} s, resident {memory}",
                begun.elapsed().as_secs_f64()
            );
        }
    }
    let (Some(before), Some(after)) = (before, resident_mib()) else {
        return Ok(());
    };
    let grown = after - before;
    println!(
        "{what}: resident memory grew by {grown:.1} MiB after the first quarter, at most {most} allowed\n"
    );
    if grown > most {
        let message = format!("{what}: resident memory grew by {grown:.1} MiB, more than {most}");
        return Err(Error::Device { message });
    }
    Ok(())
}

/// The process's memory that lies in RAM; none where the system does not tell in this way.
fn resident_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
