//! An op of one's own: a WGSL kernel with its gradient and its form on the processor, checked by the harness that checks
//! Kiln's, and then trained with.
#![allow(clippy::print_stdout)]

#[path = "../common/mod.rs"]
mod common;
mod distances;

use distances::{ENTRY, RadialBasis};
use kiln::check;
use kiln::prelude::*;

fn main() -> std::process::ExitCode {
    common::run(|| {
        let about =
            "custom_op: radial basis functions by a kernel of one's own, checked and trained with
  --epochs 15";
        let mut arguments = common::Arguments::parse(about);
        let epochs = arguments.number("epochs", 15)?;
        let device = arguments.device()?;
        arguments.finish()?;

        // The device against the f64 reference, then the gradients against differences.
        let survey = check::survey(&ENTRY, &device);
        println!("{survey}");
        if !survey.passed() {
            return Err(Error::data(
                "the op does not keep its promises on this device",
            ));
        }
        let mut differentiated = 0;
        for case in (ENTRY.cases)() {
            differentiated += check::gradcheck(&case)?.elements;
        }
        println!("{differentiated} elements of gradients agree with differences");

        let (train, test) = spirals(600)?.split(0.25, 1)?;
        let basis = RadialBasis {
            units: 32,
            width: 0.3,
        };
        let network = Sequential::new(2).layer(basis).dense(1, Sigmoid).seed(1);
        let mut model =
            network.compile_on(&device, BinaryCrossentropy, Adam::new(0.03), [Accuracy])?;
        println!("{}", model.summary());
        let history = model.fit(&train, Fit::epochs(epochs).batch_size(32))?;
        println!("stopped after {} steps: {}", history.steps, history.stop);
        println!("on new points: {}", model.evaluate(&test)?);
        Ok(())
    })
}

/// Points on two spirals, one turning into the other, and which of them each is on.
fn spirals(count: usize) -> Result<Dataset> {
    let point = |i: usize| {
        let along = (i / 2) as f32 / (count / 2) as f32;
        let angle = along.sqrt() * 6.0 + (i % 2) as f32 * std::f32::consts::PI;
        let radius = 0.1 + 0.85 * along.sqrt();
        [radius * angle.cos(), radius * angle.sin()]
    };
    let points: Vec<[f32; 2]> = (0..count).map(point).collect();
    let labels = (0..count).map(|i| (i % 2) as u32).collect();
    let targets = Targets::Labels { labels, classes: 2 };
    Dataset::new(points.as_flattened().to_vec(), 2, targets)
}
