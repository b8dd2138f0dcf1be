//! Trains the network 8-10-8-1 on the Pima diabetes data: summary, progress, history, test accuracy, predictions.
#![allow(clippy::print_stdout)]

mod common;

use kiln::prelude::*;

const ABOUT: &str = "quickstart: train a small network on the Pima diabetes data
  --epochs N      passes over the training rows (default 50)
  --batch N       rows of a step (default 32)
  --seed N        seed of weights, shuffle and split (default 1)";

fn main() -> std::process::ExitCode {
    common::run(|| {
        let mut arguments = common::Arguments::parse(ABOUT);
        let epochs = arguments.number("epochs", 50)?;
        let batch = arguments.number("batch", 32)?;
        let seed = arguments.number("seed", 1)?;
        let device = arguments.device()?;
        arguments.finish()?;
        println!("device: {device}\n");

        // 768 women, 8 measurements each; the last column says who has diabetes.
        let data = Csv::new()
            .target("diabetes")
            .read(common::shipped("pima.csv"))?;
        let (train, test) = data.split(0.2, seed)?;

        let model = Sequential::new(8)
            .dense(10, Relu)
            .dense(8, Relu)
            .dense(1, Sigmoid);
        let model = model.seed(seed).preprocessing(Scaler::standard(&train)?);
        let mut model =
            model.compile_on(&device, BinaryCrossentropy, Adam::default(), [Accuracy])?;
        println!("{}", model.summary());

        let history = model.fit(
            &train,
            Fit::epochs(epochs).batch_size(batch).validation_split(0.1),
        )?;
        for (number, epoch) in history.epochs.iter().enumerate() {
            if number % 10 == 0 || number + 1 == history.epochs.len() {
                let (loss, val_loss) = (epoch.loss, epoch.val_loss.unwrap_or(f64::NAN));
                let accuracy = epoch.metrics.first().map_or(f64::NAN, |(_, value)| *value);
                println!(
                    "epoch {:>4}  loss {loss:.4}  accuracy {accuracy:.4}  val_loss {val_loss:.4}",
                    number + 1
                );
            }
        }
        println!("stopped after {} steps: {}\n", history.steps, history.stop);

        println!(
            "on {} rows never seen: {}\n",
            test.rows(),
            model.evaluate(&test)?
        );

        println!("predicted  truth");
        let predictions = model.predict(&test)?;
        let Targets::Values { values: truth, .. } = test.targets() else {
            return Ok(());
        };
        for (row, truth) in predictions.rows().zip(truth).take(8) {
            println!("{:>9.3}  {truth}", row[0]);
        }
        Ok(())
    })
}
