//! The WGSL of a network's training steps: the one kernel whose text follows from what it computes.
//!
//! A lane to a row of the batch. The lane keeps the row's numbers in variables, named one by one, and reads the weights,
//! four at a time, at addresses that all lanes share; it then leaves inputs, outputs and slopes in workgroup memory, where
//! each lane sums the gradient of its own weights, as a product of a vector and a number a row, and updates them. Loops
//! over sizes known at run time reach a fifth of the speed on lavapipe.

use crate::contract::{Shader, WRITTEN_FOR, shader, wgsl};
use crate::op::{Parts, RowLoss};

use super::{LANES, Network, StepRule};

mod loss;
mod row;
mod tables;

const SGD: Shader = shader!("network", "network_sgd", "schedule", "pair");
const MOMENTUM: Shader = shader!("network", "network_momentum", "schedule", "pair");
const ADAM: Shader = shader!("network", "network_adam", "schedule", "pair");

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
    /// The text with as many lanes as fit in the given number of vectors of workgroup memory, or the fewest.
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

    /// Whether a batch has no more rows than there are lanes.
    pub fn one_pass(&self) -> bool {
        self.network.clock.batch <= self.lanes
    }

    pub fn workgroup_vectors(&self) -> usize {
        // Weights, states, gradients; two vectors for every block.
        let copies = 2 + self.network.rule.states();
        copies * self.vectors + self.lanes * self.record + 2 * self.all_blocks()
    }

    /// Loop iterations of a step.
    pub fn iterations(&self) -> u64 {
        let passes = self.network.clock.batch.div_ceil(self.lanes);
        let own = self.vectors.div_ceil(self.lanes);
        let blocks = self.all_blocks().div_ceil(self.lanes);
        // The permutation: see the clock's launch; four sums are written one by one.
        let pass = 1 + 37 + blocks * (1 + self.lanes / 2 + 4);
        (1 + passes * pass + own) as u64
    }

    /// Blocks of four inputs by four units, each of which has its gradient from one lane.
    fn blocks(&self) -> usize {
        let of = |place: &TextPlace| fours(place.inputs) * fours(place.units);
        self.layers.iter().map(of).sum()
    }

    /// The blocks, and those of the ring's sums.
    fn all_blocks(&self) -> usize {
        self.blocks() + self.sums_vectors()
    }

    /// Values of the fields of `params` that depend on rule and loss.
    pub fn constants(&self) -> [(&'static str, f32); 5] {
        let (momentum, adam) = match self.network.rule {
            StepRule::Sgd => (0.0, [0.0; 3]),
            StepRule::Momentum(rule) => (rule.momentum, [0.0; 3]),
            StepRule::Adam(rule) => (0.0, rule.constants().map(|(_, value)| value)),
        };
        let scale = match self.network.loss {
            RowLoss::Squared(scale) => scale,
            _ => 0.0,
        };
        [
            ("momentum", momentum),
            ("rate_1", adam[0]),
            ("rate_2", adam[1]),
            ("epsilon", adam[2]),
            ("scale", scale),
        ]
    }

    pub fn shader(&self, labels: bool) -> Shader {
        let rule = match self.network.rule {
            StepRule::Sgd => SGD,
            StepRule::Momentum(_) => MOMENTUM,
            StepRule::Adam(_) => ADAM,
        };
        let terms = match self.network.loss {
            RowLoss::Binary(_) => wgsl!("binary_cross_entropy_terms"),
            _ => "",
        };
        let mut text = format!("{}\n{terms}\n", rule.source);
        self.sizes(&mut text, labels);
        self.tables(&mut text);
        self.row(&mut text, labels);
        Shader {
            name: rule.name,
            source: text.into(),
        }
    }

    /// Sizes of the network, and the types in which its data are read.
    fn sizes(&self, text: &mut String, labels: bool) {
        let parts = Parts::of(self.network.clock.batch);
        *text += &format!(
            "{WRITTEN_FOR}the network {}, batch {}, by src/op/network/text.rs.\n",
            self.network.widths(),
            self.network.clock.batch
        );
        for (name, size) in [
            ("VECTORS", self.vectors),
            ("RECORD", self.record),
            ("RECORDS", self.lanes * self.record),
            ("SUMS", self.sums),
            ("BLOCKS", self.blocks()),
            ("ALL_BLOCKS", self.all_blocks()),
            ("COLUMNS", self.network.columns.len()),
            ("PARTS", parts.count),
            ("PART_ROWS", parts.rows),
        ] {
            *text += &format!("const {name}: u32 = {size}u;\n");
        }
        let x = if self.x_in_vectors() {
            "vec4<f32>"
        } else {
            "f32"
        };
        let y = if labels { "u32" } else { "f32" };
        for (binding, name, kind) in [(1, "x", x), (2, "y", y)] {
            *text += &format!(
                "@group(0) @binding({binding}) var<storage, read> {name}: array<{kind}>;\n"
            );
        }
    }

    /// Whether the inputs of a row are whole vectors.
    fn x_in_vectors(&self) -> bool {
        self.network.inputs.is_multiple_of(4)
    }
}

/// Adds a line to the body of a function.
macro_rules! put {
    ($text:expr, $($line:tt)*) => {
        *$text += &format!("    {}\n", format_args!($($line)*))
    };
}
use put;

/// Four numbers as a vector.
fn vector(number: impl Fn(usize) -> String) -> String {
    let numbers: Vec<String> = (0..4).map(number).collect();
    format!("vec4<f32>({})", numbers.join(", "))
}

/// The first numbers, added up.
fn sum(count: usize, number: impl Fn(usize) -> String) -> String {
    (0..count).map(number).collect::<Vec<_>>().join(" + ")
}

/// A number as WGSL reads it back, bit by bit.
fn float(number: f32) -> String {
    format!("{number:?}f")
}
