//! Predicts the fuel consumption of cars (auto-mpg) and plots prediction against truth.
#![allow(clippy::print_stdout)]

mod common;

use std::path::Path;

use common::chart::{self, Plot, PlotSeries, Style};
use kiln::prelude::*;

const ABOUT: &str = "regression: predict miles per gallon from seven measurements of a car
  --epochs N      passes over the training rows at most (default 200)
  --batch N       rows of a step (default 32)
  --seed N        seed of weights, shuffle and split (default 1)
  --plot FILE     draw prediction against truth as an SVG";

fn main() -> std::process::ExitCode {
    common::run(|| {
        let mut arguments = common::Arguments::parse(ABOUT);
        let epochs = arguments.number("epochs", 200)?;
        let batch = arguments.number("batch", 32)?;
        let seed = arguments.number("seed", 1)?;
        let plot = arguments.output("plot")?;
        let device = arguments.device()?;
        arguments.finish()?;
        println!("device: {device}\n");

        let cars = Csv::new().target("mpg").skip("name");
        let cars = cars.read(common::shipped("autompg.csv"))?;
        let (train, test) = cars.split(0.2, seed)?;
        let model = Sequential::new(7)
            .dense(64, Relu)
            .dense(64, Relu)
            .dense(1, Linear)
            .seed(seed)
            .preprocessing(Scaler::standard(&train)?)
            .target_scaling(Scaler::targets(&train)?);
        let metrics = [Metric::MeanAbsoluteError];
        let mut model = model.compile_on(&device, MeanSquaredError, Adam::new(1e-3), metrics)?;
        println!("{}", model.summary());

        // The last tenth of the training rows says when to stop; the best weights come back.
        let mut stopping = EarlyStopping::new("val_loss", 20).restore_best_weights(true);
        let fit = Fit::epochs(epochs).batch_size(batch).validation_split(0.1);
        let history = model.fit(&train, fit.callback(&mut stopping))?;
        for (number, epoch) in (1..).zip(&history.epochs) {
            if number % 20 == 0 || number == history.epochs.len() {
                let val_loss = epoch.val_loss.unwrap_or(f64::NAN);
                println!(
                    "epoch {number:>4}  loss {:>8.3}  val_loss {val_loss:>8.3}",
                    epoch.loss
                );
            }
        }
        println!("stopped after {} steps: {}\n", history.steps, history.stop);

        let predictions = model.predict(&test)?;
        let pairs: Vec<(f32, f32)> = test
            .target_values()?
            .iter()
            .copied()
            .zip(predictions.rows().map(|row| row[0]))
            .collect();
        let measured = model.evaluate(&test)?;
        let error = measured.get("mean_absolute_error").unwrap_or(f64::NAN);
        println!(
            "on {} cars never seen: off by {error:.2} miles per gallon on average\n",
            test.rows()
        );
        println!("truth  predicted");
        for (truth, said) in pairs.iter().take(8) {
            println!("{truth:>5.1}  {said:>9.1}");
        }
        if let Some(file) = plot {
            draw(&pairs, Path::new(&file))?;
            println!("\nplot written to {file}");
        }
        Ok(())
    })
}

/// A point for each car, and the line on which they would all lie.
fn draw(pairs: &[(f32, f32)], file: &Path) -> Result<()> {
    let points: Vec<(f64, f64)> = pairs
        .iter()
        .map(|&(truth, said)| (truth.into(), said.into()))
        .collect();
    let all = || points.iter().flat_map(|point| [point.0, point.1]);
    let (low, high) = (
        all().fold(f64::INFINITY, f64::min),
        all().fold(0.0, f64::max),
    );
    let series = |label: &str, points, style| PlotSeries {
        label: label.into(),
        points,
        style,
    };
    let plot = Plot {
        title: "Miles per gallon of cars never seen".into(),
        x: "truth",
        y: "predicted",
        series: vec![
            series("a car", points, Style::Dots),
            series("", vec![(low, low), (high, high)], Style::Line),
        ],
        ..Plot::default()
    };
    let svg = chart::svg((520.0, 500.0), &[plot]);
    std::fs::write(file, svg).map_err(|error| Error::io(file, error))
}
