//! A population of 8-10-8-1 beside one network alone, in one run.

use std::time::Instant;

use kiln::optim::OptimizerConfig;
use kiln::prelude::*;
use kiln::train::{Member, Population};
use serde_json::{Value, json};

/// Network steps a second of `members` networks, of one, and their ratio.
pub fn measure(device: &Device, data: &Dataset, members: usize, epochs: u64) -> Result<Value> {
    let network = Sequential::new(8)
        .dense(10, Relu)
        .dense(8, Relu)
        .dense(1, Sigmoid);
    let rate = |count: usize| -> Result<(f64, u64)> {
        let members = (0..count as u64).map(|seed| Member {
            seed,
            learning_rate: 0.001,
        });
        let optimizer = OptimizerConfig::default();
        let metrics = [Accuracy];
        let mut population = Population::new(
            &network,
            members,
            device,
            BinaryCrossentropy,
            optimizer,
            metrics,
        )?;
        let fit = || Fit::epochs(epochs).batch_size(32).silent();
        // The first run compiles.
        population.fit(data, Fit::epochs(1).batch_size(32).silent())?;
        let begun = Instant::now();
        let histories = population.fit(data, fit())?;
        let steps = histories.iter().map(|history| history.steps).sum::<u64>() as f64;
        Ok((
            steps / begun.elapsed().as_secs_f64(),
            histories[0].counters.dispatches,
        ))
    };
    let (many, dispatches) = rate(members)?;
    let (one, dispatches_of_one) = rate(1)?;
    Ok(json!({
        "device": device.to_string(), "members": members, "network_steps_per_s": many,
        "one_network_steps_per_s": one, "ratio": many / one,
        "dispatches": dispatches, "dispatches_of_one": dispatches_of_one,
    }))
}
