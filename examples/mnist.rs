//! Trains 784-128-10 on MNIST's files, or, without them, a small network on the 8×8 digits that ship.
#![allow(clippy::print_stdout)]

mod common;

use kiln::prelude::*;

const ABOUT: &str = "mnist: train a classifier of handwritten digits
  --data DIR      a folder with MNIST's four IDX files, plain or gzipped (default: 8×8 digits that ship)
  --epochs N      passes over the training rows (default 5, for the small digits 30)
  --batch N       rows of a step (default 128, for the small digits 32)
  --seed N        seed of weights and shuffle (default 1)
  --save FILE     write the trained model as safetensors
  --curve FILE    draw loss and accuracy over the epochs as an SVG";

fn main() -> std::process::ExitCode {
    common::run(|| {
        let mut arguments = common::Arguments::parse(ABOUT);
        let folder = arguments.value("data")?;
        let small = folder.is_none();
        let epochs = arguments.number("epochs", if small { 30 } else { 5 })?;
        let batch = arguments.number("batch", if small { 32 } else { 128 })?;
        let seed = arguments.number("seed", 1)?;
        let (save, curve) = (arguments.output("save")?, arguments.output("curve")?);
        let device = arguments.device()?;
        arguments.finish()?;
        println!("device: {device}\n");

        let (train, test, model) = match &folder {
            Some(folder) => {
                // Pixels stay bytes, on the device too; the first layer brings them into 0 to 1.
                let (train, test) = kiln::data::mnist(folder)?;
                let images = Sequential::new(TensorType::u8([28, 28, 1]));
                let pixels = images.layer(Rescaling::new(1.0 / 255.0)).layer(Flatten);
                (train, test, pixels.dense(128, Relu))
            }
            None => {
                let digits = Csv::new().labels().read(common::shipped("digits.csv.gz"))?;
                let (train, test) = digits.scaled(1.0 / 16.0)?.split(0.2, seed)?;
                (train, test, Sequential::new(64).dense(64, Relu))
            }
        };
        println!("{} rows to train on, {} to test", train.rows(), test.rows());
        let mut model = model.dense(10, Softmax).seed(seed).compile_on(
            &device,
            SparseCategoricalCrossentropy,
            Adam::new(1e-3),
            [Accuracy],
        )?;
        println!("{}", model.summary());

        let history = model.fit(
            &train,
            Fit::epochs(epochs).batch_size(batch).validation(&test),
        )?;
        println!("stopped after {} steps: {}\n", history.steps, history.stop);
        println!("test: {}", model.evaluate(&test)?);
        if let Some(file) = save {
            model.save(&file)?;
            println!("model written to {file}");
        }
        if let Some(file) = curve {
            history.plot(&file)?;
            println!("curve written to {file}");
        }
        Ok(())
    })
}
