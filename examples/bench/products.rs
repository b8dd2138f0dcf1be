//! Matrix products alone.

use std::time::Instant;

use kiln::op::MatMul;
use kiln::prelude::*;
use serde_json::{Value, json};

/// C `[m, n]` over k, either operand stored transposed: the median of five runs of 200 ms.
pub fn measure(device: &Device, [m, n, k]: [usize; 3], (ta, tb): (bool, bool)) -> Result<Value> {
    let graph = Graph::new();
    let values = |len: usize| {
        (0..len)
            .map(|i| (i % 17) as f32 / 17.0 - 0.5)
            .collect::<Vec<_>>()
    };
    let a = graph.parameter("a", if ta { [k, m] } else { [m, k] }, &values(m * k));
    let b = graph.parameter("b", if tb { [n, k] } else { [k, n] }, &values(k * n));
    let product = MatMul {
        transpose_a: ta,
        transpose_b: tb,
    };
    let y = graph.apply_one(product, &[&a, &b]);
    let plan = graph.compile(device.target(), [Program::new("product").fetch("y", &y)])?;
    let mut session = device.open(&plan)?;
    let flops = 2.0 * m as f64 * n as f64 * k as f64;
    let mut time = |steps: u64| -> Result<f64> {
        let begun = Instant::now();
        session.run("product", steps)?;
        session.read("y")?;
        Ok(begun.elapsed().as_secs_f64())
    };
    let first = time(1)?;
    let steps = (0.2 / time(1)?).clamp(1.0, 10_000.0) as u64;
    let mut runs = (0..5).map(|_| time(steps)).collect::<Result<Vec<f64>>>()?;
    runs.sort_by(f64::total_cmp);
    let kernel = plan.programs[0].calls[0]
        .launches
        .first()
        .map(|launch| launch.entry);
    Ok(json!({
        "device": device.to_string(), "kernels": plan.target.to_string(), "kernel": kernel,
        "m": m, "n": n, "k": k, "ta": ta, "tb": tb,
        "gflop_per_s": flops * steps as f64 / runs[2] / 1e9,
        "first_ms": first * 1e3,
    }))
}
