//! One matrix product, to be timed.

use std::time::Instant;

use kiln::op::MatMul;
use kiln::plan::ProductShape;
use kiln::{Device, Graph, Plan, Program, Result, Session};

/// C `[m, n]` over k, either operand stored transposed, in a session of its own.
pub struct Product {
    session: Session,
    /// The name of its kernel's entry point; none on the processor.
    pub kernel: Option<&'static str>,
    /// Floating-point operations of one.
    pub flops: f64,
}

impl Product {
    /// Plans the product on `device` and opens its session.
    pub fn open(device: &Device, shape: ProductShape) -> Result<Self> {
        let [m, n, k] = shape.sizes.map(|size| size as usize);
        let (transpose_a, transpose_b) = (shape.transpose_a, shape.transpose_b);
        let values = |len: usize| {
            let value = |i| (i % 17) as f32 / 17.0 - 0.5;
            (0..len).map(value).collect::<Vec<_>>()
        };
        let stored = |rows, columns, transposed| match transposed {
            false => [rows, columns],
            true => [columns, rows],
        };
        let graph = Graph::new();
        let a = graph.parameter("a", stored(m, k, transpose_a), &values(m * k));
        let b = graph.parameter("b", stored(k, n, transpose_b), &values(k * n));
        let product = MatMul {
            transpose_a,
            transpose_b,
            ..MatMul::default()
        };
        let y = graph.apply_one(product, &[&a, &b]);
        let plan = Plan::compile(
            &graph,
            device.target(),
            [Program::new("product").fetch("y", &y)],
        )?;
        let launches = &plan.programs[0].calls[0].launches;
        Ok(Product {
            session: device.open(&plan)?,
            kernel: launches.first().map(|launch| launch.entry),
            flops: 2.0 * m as f64 * n as f64 * k as f64,
        })
    }

    /// Seconds of each of `times` products, submission and readback among them.
    pub fn seconds(&mut self, times: u64) -> Result<f64> {
        let begun = Instant::now();
        self.session.run("product", times)?;
        self.session.read("y")?;
        Ok(begun.elapsed().as_secs_f64() / times as f64)
    }

    /// Seconds of one, in each of `runs` runs of about `length` seconds; the first use is not among them.
    pub fn runs(&mut self, runs: usize, length: f64) -> Result<Vec<f64>> {
        let times = (length / self.seconds(2)?).clamp(1.0, 10_000.0) as u64;
        (0..runs).map(|_| self.seconds(times)).collect()
    }
}
