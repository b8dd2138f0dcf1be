//! The smallest program that learns: XOR, until the loss falls to a threshold.
#![allow(clippy::print_stdout)]

mod common;

use kiln::prelude::*;

const ABOUT: &str = "xor: learn the exclusive or of two inputs
  --epochs N      passes over the four rows at most (default 2000)";

fn main() -> std::process::ExitCode {
    common::run(|| {
        let mut arguments = common::Arguments::parse(ABOUT);
        let epochs = arguments.number("epochs", 2000)?;
        let device = arguments.device()?;
        arguments.finish()?;
        println!("device: {device}");

        let inputs = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
        let data = Dataset::from_rows(&inputs, &[[0.0], [1.0], [1.0], [0.0]])?;
        let model = Sequential::new(2).dense(8, Tanh).dense(1, Sigmoid).seed(1);
        let mut model =
            model.compile_on(&device, BinaryCrossentropy, Adam::new(0.05), [Accuracy])?;
        let history = model.fit(
            &data,
            Fit::epochs(epochs).batch_size(4).until_loss(0.01).silent(),
        )?;

        println!("{} epochs: {}", history.epochs.len(), history.stop);
        for (input, output) in inputs.iter().zip(model.predict(&inputs)?.rows()) {
            println!("{} xor {} = {:.3}", input[0], input[1], output[0]);
        }
        Ok(())
    })
}
