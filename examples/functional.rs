//! A model of two inputs and two outputs with a shared layer: which of two points lies farther out, and how far apart they
//! are.
#![allow(clippy::print_stdout)]

mod common;

use kiln::prelude::*;

const ABOUT: &str = "functional: a model of two inputs and two outputs with a shared layer
  --epochs N      passes over the training rows (default 20)";

fn main() -> std::process::ExitCode {
    common::run(|| {
        let mut arguments = common::Arguments::parse(ABOUT);
        let epochs = arguments.number("epochs", 20)?;
        let device = arguments.device()?;
        arguments.finish()?;

        // Both points go through the same encoder.
        let (p, q) = (Input::named("p", 2), Input::named("q", 2));
        let encoder = Dense::new(16).activation(Tanh).named("encoder");
        let (in_p, in_q) = (encoder.on(&p), encoder.on(&q));
        let difference = Subtract.on([&in_p, &in_q]);
        let joined = Concatenate::default().on([&in_p, &in_q, &difference]);
        let hidden = Dense::new(32).activation(Relu).on(&joined);
        let farther = Dense::new(1)
            .activation(Sigmoid)
            .named("farther")
            .on(&difference);
        let distance = Dense::new(1).named("distance").on(&hidden);
        let network = Functional::new([&p, &q], [&farther, &distance]).seed(1);

        let objectives = [
            Objective::new("farther", BinaryCrossentropy).metric(Accuracy),
            Objective::new("distance", MeanSquaredError).weight(2.0),
        ];
        let mut model = network.compile_with(&device, objectives, Adam::new(0.01))?;
        println!("{}", model.summary());

        let (train, test) = points(2000)?.split(0.2, 1)?;
        let fit = Fit::epochs(epochs).batch_size(32).validation(&test);
        let history = model.fit(&train, fit)?;
        println!("stopped after {} steps: {}", history.steps, history.stop);

        let (here, there) = ([0.1, 0.2], [-0.9, 0.8]);
        let pair = [("p", &here[..]), ("q", &there[..])];
        let predicted = model.predict(&pair)?;
        println!(
            "p farther out: {:.3}; distance {:.3}, truly {:.3}",
            predicted.output("farther")?.values[0],
            predicted.output("distance")?.values[0],
            1.0f32.hypot(0.6),
        );
        let gradients = model.gradients(&pair, |outputs| outputs[1].clone())?;
        println!("the distance by p: {:.2?}", gradients.inputs[0].values);
        Ok(())
    })
}

/// Pairs of points in a square, which of them is farther from the middle, and their distance.
fn points(count: usize) -> Result<Dataset> {
    // A congruential generator (Knuth's) is random enough for this.
    let mut state = 1u64;
    let mut number = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let p: Vec<f32> = (0..2 * count).map(|_| number()).collect();
    let q: Vec<f32> = (0..2 * count).map(|_| number()).collect();
    let pairs = || p.chunks(2).zip(q.chunks(2));
    let length = |a: &[f32]| a[0].hypot(a[1]);
    let farther = pairs()
        .map(|(p, q)| u32::from(length(p) > length(q)))
        .collect();
    let distance = pairs()
        .map(|(p, q)| (p[0] - q[0]).hypot(p[1] - q[1]))
        .collect();
    let farther = Targets::Labels {
        labels: farther,
        classes: 2,
    };
    let distance = Targets::Values {
        values: distance,
        columns: 1,
    };
    Dataset::from_inputs(
        [("p", (p, 2)), ("q", (q, 2))],
        [("farther", farther), ("distance", distance)],
    )
}
