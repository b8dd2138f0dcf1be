//! The WGSL of a network's training steps: the one kernel whose text follows from what it computes.
//!
//! A lane to a row of the batch. The lane keeps the row's numbers in variables, named one by one, and reads the weights,
//! four at a time, at addresses that all lanes share; it then leaves inputs, outputs and slopes in workgroup memory, where
//! each lane sums the gradient of its own weights, as a product of a vector and a number a row, and updates them. Loops
//! over sizes known at run time reach a fifth of the speed on lavapipe.

use crate::contract::Shader;
use crate::op::RowLoss;

use super::{LANES, Network, StepRule};

mod entry;
mod header;
mod loss;
mod parameters;
mod row;

const PRELUDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/prelude.wgsl"));
const SCHEDULE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/shaders/schedule.wgsl"
));
const TERMS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/shaders/binary_cross_entropy_terms.wgsl"
));

/// Vectors of four that hold the given count of numbers.
fn fours(numbers: usize) -> usize {
    numbers.div_ceil(4)
}

const COMPONENT: [&str; 4] = ["x", "y", "z", "w"];

/// Where a layer's things lie, counted in vectors.
#[derive(Debug, Clone, Copy)]
struct TextPlace {
    inputs: usize,
    units: usize,
    /// The first vector of W among the parameters: for each unit the weights of its inputs.
    kernel: usize,
    bias: Option<usize>,
    /// In a row's record: the inputs, and the slopes of what comes before the function.
    x: usize,
    dz: usize,
}

/// The text of one network, before it is written.
pub(super) struct Text<'a> {
    network: &'a Network,
    layers: Vec<TextPlace>,
    /// Vectors of parameters.
    vectors: usize,
    /// Where a row's record keeps a one and the numbers to be summed into the ring, and the vectors of a record.
    sums: usize,
    record: usize,
    lanes: usize,
}

impl<'a> Text<'a> {
    /// With as many lanes as fit in the given number of vectors of workgroup memory, or the fewest.
    pub fn of(network: &'a Network, workgroup_vectors: usize) -> Self {
        let (mut vectors, mut record) = (0, 0);
        let mut layers = Vec::new();
        for (inputs, layer) in network.layers() {
            let kernel = vectors;
            vectors += layer.units * fours(inputs);
            let bias = layer.bias.map(|_| vectors);
            vectors += bias.map_or(0, |_| fours(layer.units));
            layers.push(TextPlace {
                inputs,
                units: layer.units,
                kernel,
                bias,
                x: record,
                dz: 0,
            });
            record += fours(inputs);
        }
        for layer in &mut layers {
            layer.dz = record;
            record += fours(layer.units);
        }
        let sums = record;
        record += fours(1 + network.columns.len());
        let mut text = Text {
            network,
            layers,
            vectors,
            sums,
            record,
            lanes: LANES.min(network.clock.batch.next_power_of_two()).max(8),
        };
        while text.workgroup_vectors() > workgroup_vectors && text.lanes > 8 {
            text.lanes /= 2;
        }
        text
    }

    pub fn lanes(&self) -> usize {
        self.lanes
    }

    pub fn vectors(&self) -> usize {
        self.vectors
    }

    /// Vectors of four numbers that are summed into the ring, the one among them.
    fn sums_vectors(&self) -> usize {
        self.record - self.sums
    }

    fn one_pass(&self) -> bool {
        self.network.clock.batch <= self.lanes
    }

    pub fn workgroup_vectors(&self) -> usize {
        // Weights, states, gradients; two vectors for every block.
        let copies = 2 + self.network.rule.states();
        let blocks = 2 * (self.blocks() + self.sums_vectors());
        copies * self.vectors + self.lanes * self.record + blocks
    }

    /// Loop iterations of a step.
    pub fn iterations(&self) -> u64 {
        let passes = self.network.clock.batch.div_ceil(self.lanes);
        let own = self.vectors.div_ceil(self.lanes);
        let blocks = (self.blocks() + self.sums_vectors()).div_ceil(self.lanes);
        // The permutation: see the clock's launch; four sums are written one by one.
        let pass = 1 + 37 + blocks * (1 + self.lanes / 2 + 4);
        (1 + passes * pass + own) as u64
    }

    /// Blocks of four inputs by four units, each of which has its gradient from one lane.
    fn blocks(&self) -> usize {
        let of = |place: &TextPlace| fours(place.inputs) * fours(place.units);
        self.layers.iter().map(of).sum()
    }

    /// Values of the fields of `params` that depend on rule and loss.
    pub fn constants(&self) -> Vec<(&'static str, f32)> {
        let mut constants = match self.network.rule {
            StepRule::Sgd => Vec::new(),
            StepRule::Momentum(rule) => vec![("momentum", rule.momentum)],
            StepRule::Adam(rule) => rule.constants().to_vec(),
        };
        if let RowLoss::Squared(scale) = self.network.loss {
            constants.push(("scale", scale));
        }
        constants
    }

    pub fn shader(&self, labels: bool) -> Shader {
        let mut wgsl = self.write(labels);
        let terms = match self.network.loss {
            RowLoss::Binary(_) => TERMS,
            _ => "",
        };
        for part in [terms, SCHEDULE, PRELUDE] {
            wgsl.push('\n');
            wgsl.push_str(part);
        }
        Shader {
            name: "network",
            source: wgsl.into(),
        }
    }

    fn write(&self, labels: bool) -> String {
        let mut text = String::new();
        self.header(&mut text, labels);
        self.tables(&mut text);
        self.gradient(&mut text);
        self.update(&mut text);
        self.row(&mut text, labels);
        self.entry(&mut text);
        text
    }
}

/// A statement or several, of which the first is indented; an empty line before it stays empty.
fn line(text: &mut String, depth: usize, statement: &str) {
    let shown = statement.trim_start_matches('\n');
    text.push_str(&statement[..statement.len() - shown.len()]);
    text.push_str(&"    ".repeat(depth));
    text.push_str(shown);
    text.push('\n');
}

/// A number as WGSL reads it back, bit by bit.
fn float(number: f32) -> String {
    format!("{number:?}f")
}
