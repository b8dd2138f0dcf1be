//! Measures training and matrix products; prints one JSON line, tables, or what changed since an earlier result.
#![allow(clippy::print_stdout)]

mod models;
mod population;
mod products;
mod profile;
mod results;
mod scaling;
mod suite;

use std::path::PathBuf;

use kiln::prelude::*;
use serde_json::Value;

const ABOUT: &str = "bench: measure, and print one JSON line
  mlp      --layers 784,128,10 --batch 128 --samples 60000 --epochs 1
           hidden ReLU, softmax cross-entropy, Adam 1e-3, synthetic data
           --profile: the time of every dispatch of a step and its roofline; --trace FILE: for Chrome and Perfetto
  profile  the same as mlp --profile
  tiny     --epochs 100: 8-10-8-1, BCE, Adam, 768 rows, batch 32
           --members N: a population of N beside one of one
  matmul   --m 512 --n 512 --k 512 [--ta] [--tb]
  suite    every measure with its target; --peers FILE: ratios to other engines' results, lines of JSON with peer, w (w1: 8-10-8-1,
           w2: 784-128-10, w3: 784-1024-1024-10) and steps_s
  scaling  --out target/scaling.svg [--most 4096]: time per step against batch, width and depth, on the CPU session and --device
  of mlp, tiny and matmul: --repeat N: the median of N runs (default 1; 3 with --compare)
           --json FILE: save the result; --compare FILE: ratios to a saved one";

fn main() -> std::process::ExitCode {
    kiln_tools::run(|| {
        let mut arguments = kiln_tools::Arguments::parse(ABOUT);
        let device = arguments.device()?;
        let (json, compare) = (
            file(&mut arguments, "json")?,
            file(&mut arguments, "compare")?,
        );
        // A file that cannot be read is known before anything is measured.
        let before = compare.as_deref().map(results::read).transpose()?;
        let repeat = arguments.number("repeat", if before.is_some() { 3 } else { 1 })?;
        let what = arguments.positional().unwrap_or_default();
        let result = match what.as_str() {
            "mlp" | "profile" => mlp(arguments, &device, what == "profile", repeat)?,
            "tiny" => {
                let epochs = arguments.number("epochs", 100)?;
                let members = arguments.number("members", 0)?;
                arguments.finish()?;
                let data = models::synthetic(768, 8, 2)?;
                if members > 0 {
                    population::measure(&device, &data, members, epochs)?
                } else {
                    let mut model = models::tiny_network(&device)?;
                    let fit = || Fit::epochs(epochs);
                    models::train(&device, &mut model, &data, 32, fit, repeat)?
                }
            }
            "matmul" => {
                let sizes = [
                    arguments.number("m", 512)?,
                    arguments.number("n", 512)?,
                    arguments.number("k", 512)?,
                ];
                let transposed = (arguments.flag("ta"), arguments.flag("tb"));
                arguments.finish()?;
                products::measure(&device, sizes, transposed)?
            }
            "suite" => {
                let peers = file(&mut arguments, "peers")?;
                arguments.finish()?;
                return suite::run(&device, peers.as_deref());
            }
            "scaling" => {
                let out =
                    file(&mut arguments, "out")?.unwrap_or_else(|| "target/scaling.svg".into());
                let most = arguments.number("most", 4096)?;
                arguments.finish()?;
                let mut devices = vec![Device::cpu()];
                if device.adapter_summary().is_some() {
                    devices.push(device);
                }
                return scaling::run(&devices, &out, most);
            }
            other => {
                let message = format!(
                    "`{other}` is not one of mlp, profile, tiny, matmul, suite, scaling\n{ABOUT}"
                );
                return Err(Error::argument("arguments", message));
            }
        };
        println!("{result}");
        if let Some(path) = json {
            results::write(&path, &result)?;
        }
        match before {
            Some(before) => results::compare(&before, &result),
            None => Ok(()),
        }
    })
}

fn file(arguments: &mut kiln_tools::Arguments, name: &str) -> Result<Option<PathBuf>> {
    Ok(arguments.value(name)?.map(PathBuf::from))
}

fn mlp(
    mut arguments: kiln_tools::Arguments,
    device: &Device,
    profiled: bool,
    repeat: usize,
) -> Result<Value> {
    let layers = arguments.value("layers")?;
    let widths = models::widths(layers.as_deref().unwrap_or("784,128,10"))?;
    let samples: usize = arguments.number("samples", 60_000)?;
    let (batch, epochs) = (
        arguments.number("batch", 128)?,
        arguments.number("epochs", 1)?,
    );
    let profiled = arguments.flag("profile") || profiled;
    let trace = file(&mut arguments, "trace")?;
    arguments.finish()?;
    if batch == 0 || samples == 0 {
        return Err(Error::argument(
            "arguments",
            "--batch and --samples must be at least 1",
        ));
    }
    if trace.is_some() && !profiled {
        return Err(Error::argument("arguments", "--trace needs --profile"));
    }
    let mut model = models::classifier(device, &widths)?;
    if profiled {
        return profile::print(device, &model, &widths, samples, batch, trace.as_deref());
    }
    let data = models::synthetic(samples, widths[0], widths[widths.len() - 1])?;
    models::train(
        device,
        &mut model,
        &data,
        batch,
        || Fit::epochs(epochs),
        repeat,
    )
}
