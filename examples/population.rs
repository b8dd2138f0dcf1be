//! Trains the network 8-10-8-1 with many seeds and learning rates at once, and compares them.
#![allow(clippy::print_stdout)]

mod common;

use std::time::Instant;

use kiln::optim::OptimizerConfig;
use kiln::prelude::*;
use kiln::train::{Member, Population};

const ABOUT: &str = "population: 8-10-8-1 on the Pima diabetes data, a sweep over learning rates
  --seeds 8      networks for each learning rate
  --epochs 30";

fn main() -> std::process::ExitCode {
    common::run(|| {
        let mut arguments = common::Arguments::parse(ABOUT);
        let device = arguments.device()?;
        let seeds = arguments.number("seeds", 8)?;
        let epochs = arguments.number("epochs", 30)?;
        arguments.finish()?;
        let data = Csv::new()
            .target("diabetes")
            .read(common::shipped("pima.csv"))?;
        let (train, test) = data.split(0.2, 1)?;
        let scaler = Scaler::standard(&train)?;
        let network = Sequential::new(train.columns())
            .dense(10, Relu)
            .dense(8, Relu)
            .dense(1, Sigmoid)
            .preprocessing(scaler);
        let rates = [0.0003, 0.001, 0.003, 0.01, 0.03];
        let members = rates.iter().flat_map(|&learning_rate| {
            (0..seeds as u64).map(move |seed| Member {
                seed,
                learning_rate,
            })
        });
        let members: Vec<Member> = members.collect();
        let mut population = Population::new(
            &network,
            members.iter().copied(),
            &device,
            BinaryCrossentropy,
            OptimizerConfig::default(),
            [Accuracy],
        )?;
        let begun = Instant::now();
        let fit = Fit::epochs(epochs as u64).batch_size(32).silent();
        let histories = population.fit(&train, fit)?;
        let (count, steps) = (histories.len(), histories[0].steps);
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{count} networks, {steps} steps each on {device}: {seconds:.2} s, {:.0} network steps a second\n",
            (count as u64 * steps) as f64 / seconds
        );
        println!(
            "{:>13} {:>14} {:>15}",
            "learning rate", "training loss", "test accuracy"
        );
        for (index, &rate) in rates.iter().enumerate() {
            let own = index * seeds..(index + 1) * seeds;
            let mut accuracy = 0.0;
            for member in own.clone() {
                let evaluation = population.member(member)?.evaluate(&test)?;
                accuracy += evaluation.get("accuracy").unwrap_or(f64::NAN) / seeds as f64;
            }
            let last = |history: &History| history.epochs.last().map_or(f64::NAN, |e| e.loss);
            let loss: f64 = histories[own].iter().map(last).sum::<f64>() / seeds as f64;
            println!("{rate:>13} {loss:>14.4} {accuracy:>15.4}");
        }
        let best = population.best(&histories);
        let Member {
            seed,
            learning_rate,
        } = members[best];
        println!("\nsmallest training loss: seed {seed}, learning rate {learning_rate}");
        Ok(())
    })
}
