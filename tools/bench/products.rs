//! Matrix products alone.

use kiln::plan::ProductShape;
use kiln::prelude::*;
use serde_json::{Value, json};

use kiln_tools::product::Product;

/// C `[m, n]` over k, either operand stored transposed: the median of five runs of 200 ms.
pub fn measure(device: &Device, [m, n, k]: [usize; 3], (ta, tb): (bool, bool)) -> Result<Value> {
    if let Some(size) = [m, n, k]
        .into_iter()
        .find(|size| !(1..=1 << 14).contains(size))
    {
        let message = format!("a side of a product is from 1 to 16384 here, not {size}");
        return Err(Error::argument("m, n, k", message));
    }
    let shape = ProductShape {
        sizes: [m, n, k].map(|size| size as u32),
        transpose_a: ta,
        transpose_b: tb,
    };
    let mut product = Product::open(device, shape)?;
    let first = product.seconds(1)?;
    let mut runs = product.runs(5, 0.2)?;
    runs.sort_by(f64::total_cmp);
    Ok(json!({
        "device": device.to_string(), "kernels": device.target().to_string(), "kernel": product.kernel,
        "m": m, "n": n, "k": k, "ta": ta, "tb": tb,
        "gflop_per_s": product.flops / runs[2] / 1e9,
        "first_ms": first * 1e3,
    }))
}
