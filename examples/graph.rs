//! The graph level alone: fits y = 3x₀ − 2x₁ + 1 with tensors, gradients and an optimizer, without the model API.
#![allow(clippy::print_stdout)]

mod common;

use kiln::Plan;
use kiln::optim::Rates;
use kiln::prelude::*;

fn main() -> std::process::ExitCode {
    common::run(|| {
        let mut arguments =
            common::Arguments::parse("graph: linear regression with tensors, gradients and Adam");
        let device = arguments.device()?;
        arguments.finish()?;
        println!("device: {device}\n");

        // y = xW + b, L = mean((y − y*)²).
        let graph = Graph::new();
        let x = graph.input("x", [64, 2]);
        let target = graph.input("target", [64, 1]);
        let w = graph.parameter("w", [2, 1], &[0.0, 0.0]);
        let b = graph.parameter("b", [1], &[0.0]);
        let y = x.matmul(&w) + &b;
        let loss = (&y - &target).square().mean();

        // The optimizer's updates are more nodes of the same graph; the clock counts its steps on the device.
        let adam = Adam::new(0.05);
        let rates: Rates = adam.rates();
        let clock = graph.clock("clock", 64, rates);
        let updates = adam.minimize(&loss, &[("w", &w), ("b", &b)], &clock);
        let step = Program::new("step").update(&updates).fetch("loss", &loss);

        let plan = Plan::compile(&graph, device.target(), [step])?;
        println!("{plan}");
        let mut session = device.open(&plan)?;
        let inputs: Vec<f32> = (0..128)
            .map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0)
            .collect();
        let targets: Vec<f32> = inputs
            .chunks_exact(2)
            .map(|x| 3.0 * x[0] - 2.0 * x[1] + 1.0)
            .collect();
        session.write("x", &inputs)?;
        session.write("target", &targets)?;
        for _ in 0..5 {
            session.run("step", 100)?;
            println!("loss {:.6}", session.read("loss")?[0]);
        }
        let (w, b) = (session.read("w")?, session.read("b")?);
        let term = |value: f32| {
            let sign = if value < 0.0 { '−' } else { '+' };
            format!("{sign} {:.3}", value.abs())
        };
        println!("y = {:.3}·x₀ {}·x₁ {}", w[0], term(w[1]), term(b[0]));
        Ok(())
    })
}
