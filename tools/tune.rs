//! Measures every product kernel that an adapter offers on a model's shapes, and writes the fastest to a table.
#![allow(clippy::print_stdout)]

use std::sync::Arc;

use kiln::op::candidates;
use kiln::plan::{ProductChoice, ProductShape, Target, TuningTable};
use kiln::prelude::*;
use kiln_tools::product::Product;

const ABOUT: &str = "tune: measure product kernels for a model's shapes and write a table for KILN_TUNING
  --layers 784,128,10 --batch 128   the products of the model's forward pass and its gradients
  --out tuning.txt                  the table; one that is there already and is of this adapter is added to";

/// A candidate must beat the default by this share to go into the table: less is noise.
const GAIN: f64 = 0.05;

fn main() -> std::process::ExitCode {
    kiln_tools::run(|| {
        let mut arguments = kiln_tools::Arguments::parse(ABOUT);
        let device = arguments.device()?.with_target(|mut target| {
            // What an earlier table chose is no default.
            target.table = None;
            target
        });
        let layers = arguments.value("layers")?;
        let widths = widths(layers.as_deref().unwrap_or("784,128,10"))?;
        let batch: u32 = arguments.number("batch", 128)?;
        let out = arguments
            .output("out")?
            .unwrap_or_else(|| "tuning.txt".into());
        arguments.finish()?;
        if batch == 0 {
            return Err(Error::argument("batch", "must be at least 1, got 0"));
        }
        let Some(adapter) = device.adapter_summary() else {
            let message = "the CPU session has no kernels to choose from; name an adapter";
            return Err(Error::argument("device", message));
        };
        let mut table = TuningTable {
            adapter: adapter.name.clone(),
            driver: adapter.driver.clone(),
            ..TuningTable::default()
        };
        if std::path::Path::new(&out).exists() {
            let before = TuningTable::read(&out)?;
            if (&before.adapter, &before.driver) != (&table.adapter, &table.driver) {
                let message = format!(
                    "{out} is the table of {}; choose another file",
                    before.adapter
                );
                return Err(Error::argument("out", message));
            }
            table = before;
        }
        println!("{device}");
        for shape in shapes(&widths, batch) {
            tune(&device, shape, &mut table)?;
        }
        table.write(&out)?;
        println!("table written to {out}; set KILN_TUNING={out} to use it");
        Ok(())
    })
}

fn widths(layers: &str) -> Result<Vec<u32>> {
    let parsed: std::result::Result<Vec<u32>, _> = layers.split(',').map(str::parse).collect();
    let widths =
        parsed.map_err(|error| Error::argument("layers", format!("`{layers}`: {error}")))?;
    if widths.len() < 2 || widths.contains(&0) {
        let message = format!("`{layers}` needs two widths at least, none of them 0");
        return Err(Error::argument("layers", message));
    }
    Ok(widths)
}

/// Y = X·W, dX = dY·Wᵀ and dW = Xᵀ·dY of every layer; nobody asks for the gradient of the data.
fn shapes(widths: &[u32], batch: u32) -> Vec<ProductShape> {
    let shape = |sizes, transpose_a, transpose_b| ProductShape {
        sizes,
        transpose_a,
        transpose_b,
    };
    let mut shapes = Vec::new();
    for (layer, pair) in widths.windows(2).enumerate() {
        let (inputs, units) = (pair[0], pair[1]);
        shapes.push(shape([batch, units, inputs], false, false));
        if layer > 0 {
            shapes.push(shape([batch, inputs, units], false, true));
        }
        shapes.push(shape([inputs, units, batch], true, false));
    }
    shapes
}

fn tune(device: &Device, shape: ProductShape, table: &mut TuningTable) -> Result<()> {
    let with = |choice| {
        let mut alone = TuningTable::default();
        alone.insert(shape, choice);
        device.clone().with_target(|target| Target {
            table: Some(Arc::new(alone)),
            ..target
        })
    };
    let default = seconds(device, shape)?;
    let mut best: Option<(f64, ProductChoice)> = None;
    let all = candidates(shape, device.target());
    for &candidate in &all {
        // A kernel that this adapter refuses is no candidate.
        let Ok(time) = seconds(&with(candidate), shape) else {
            continue;
        };
        if best.is_none_or(|(least, _)| time < least) {
            best = Some((time, candidate));
        }
    }
    // A disturbance of the first measurement is no gain: both are measured again, side by side.
    let (default, best) = match best {
        Some((_, choice)) => {
            let again = seconds(device, shape)?;
            (
                default.min(again),
                Some((seconds(&with(choice), shape)?, choice)),
            )
        }
        None => (default, None),
    };
    let [m, n, k] = shape.sizes;
    let flops = 2.0 * f64::from(m) * f64::from(n) * f64::from(k);
    let letter = |transposed| if transposed { 't' } else { 'n' };
    print!(
        "{m:>5} {n:>5} {k:>5} {}{}  {} candidates, default {:.2} GFLOP/s",
        letter(shape.transpose_a),
        letter(shape.transpose_b),
        all.len(),
        flops / default / 1e9
    );
    match best {
        Some((time, choice)) if time < default * (1.0 - GAIN) => {
            println!(
                ", {} {:?} in {} splits {:.2}",
                choice.kernel,
                choice.tile,
                choice.splits,
                flops / time / 1e9
            );
            table.insert(shape, choice);
        }
        _ => println!(", kept"),
    }
    Ok(())
}

/// Seconds of one product: the best of three runs of about 20 ms, because what disturbs a run only lengthens it.
fn seconds(device: &Device, shape: ProductShape) -> Result<f64> {
    let mut product = Product::open(device, shape)?;
    product.seconds(1)?;
    let runs = product.runs(3, 0.02)?;
    Ok(runs.into_iter().fold(f64::INFINITY, f64::min))
}
