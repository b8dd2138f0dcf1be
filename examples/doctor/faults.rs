//! Lets calls to the driver fail, one at a time, while a small network trains and predicts, and tells what came of it.

use std::collections::BTreeMap;
use std::time::Instant;

use kiln::gpu::{Fault, FaultKind};
use kiln::prelude::*;
use kiln::{Options, Result};
use serde_json::{Value, json};

/// What came of the faults of one kind.
#[derive(Default)]
struct Tally {
    right: u64,
    refused: u64,
    wrong: u64,
    /// An error that was told.
    example: Option<String>,
}

/// What came of all of them.
pub struct Report {
    kinds: BTreeMap<String, Tally>,
    calls: u64,
    seconds: f64,
}

impl Report {
    /// Whether no fault went by with a wrong result.
    pub fn passed(&self) -> bool {
        self.kinds.values().all(|tally| tally.wrong == 0)
    }

    pub fn json(&self) -> Value {
        let kind = |(name, tally): (&String, &Tally)| json!({ "kind": name, "right": tally.right, "refused": tally.refused, "wrong": tally.wrong });
        json!({
            "calls": self.calls,
            "seconds": self.seconds,
            "kinds": self.kinds.iter().map(kind).collect::<Vec<_>>(),
        })
    }

    pub fn print(&self) {
        println!(
            "faults let in at every {STRIDE}th of {} calls, {:.0} s",
            self.calls, self.seconds
        );
        for (name, tally) in &self.kinds {
            let Tally {
                right,
                refused,
                wrong,
                example,
            } = tally;
            println!("  {name:<12} {right} ended right, {refused} in an error, {wrong} wrong");
            if let Some(example) = example {
                println!("    such as: {example}");
            }
        }
    }
}

/// Calls from one fault to the next.
const STRIDE: usize = 16;

/// Trains on a device of this name with every kind of fault at calls spread over the run.
pub fn faults(name: &str) -> Result<Report> {
    let begun = Instant::now();
    let device = Device::named(name)?;
    let expected = results(&device)?;
    let calls = device.calls().iter().map(|(_, count)| count).sum();
    drop(device);
    let mut kinds: BTreeMap<String, Tally> = BTreeMap::new();
    for call in (1..=calls).step_by(STRIDE) {
        for kind in FaultKind::ALL {
            let options = Options {
                fault: Some(Fault { call, kind }),
                ..Options::default()
            };
            let tally = kinds.entry(format!("{kind:?}")).or_default();
            match Device::named_with(name, options).and_then(|device| results(&device)) {
                Ok(bits) if bits == expected => tally.right += 1,
                Ok(_) => tally.wrong += 1,
                Err(error) => {
                    tally.refused += 1;
                    tally.example = Some(error.to_string());
                }
            }
        }
    }
    Ok(Report {
        kinds,
        calls,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Every bit of the weights and predictions of a small network.
fn results(device: &Device) -> Result<Vec<u32>> {
    let features: Vec<f32> = (0..96)
        .map(|i| ((i * 7919) % 1009) as f32 / 1009.0)
        .collect();
    let columns = 1;
    let values = features
        .chunks(3)
        .map(|row| row[0] - row[1] * row[2])
        .collect();
    let data = Dataset::new(features, 3, Targets::Values { values, columns })?;
    let model = Sequential::new(3).dense(40, Tanh).dense(1, Linear).seed(2);
    let mut model = model.compile_on(device, MeanSquaredError, Adam::new(0.01), [])?;
    model.fit(&data, Fit::epochs(2).batch_size(8).silent())?;
    let predictions = model.predict(&data)?;
    let weights = model.weights()?;
    let weights = weights.iter().flat_map(|weights| &weights.values);
    Ok(weights
        .chain(&predictions.values)
        .map(|value| value.to_bits())
        .collect())
}
