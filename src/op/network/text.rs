//! The WGSL of a network's training steps: the one kernel whose text follows from what it computes.
//!
//! A lane to a row of the batch. The lane keeps the row's numbers in variables, named one by one, and reads the weights,
//! four at a time, at addresses that all lanes share; it then leaves inputs, outputs and slopes in workgroup memory, where
//! each lane sums the gradient of its own weights, as a product of a vector and a number a row, and updates them. Loops
//! over sizes known at run time reach a fifth of the speed on lavapipe.

use crate::op::launch::Shader;
use crate::op::record::Parts;
use crate::op::{Accuracy, Function, RowLoss, SquaredError};

use super::{Column, LANES, Network, Rule, WORKGROUP_VECTORS};

const PRELUDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/prelude.wgsl"));
const SCHEDULE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/shaders/schedule.wgsl"
));
const TERMS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/shaders/binary_cross_entropy_terms.wgsl"
));

/// Vectors of four that hold so many numbers.
fn fours(numbers: usize) -> usize {
    numbers.div_ceil(4)
}

const COMPONENT: [&str; 4] = ["x", "y", "z", "w"];

/// Where a layer's things lie, counted in vectors.
#[derive(Debug, Clone, Copy)]
struct Place {
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
    layers: Vec<Place>,
    /// Vectors of parameters.
    vectors: usize,
    /// Where a row's record keeps a one and the numbers to be summed into the ring, and the vectors of a record.
    sums: usize,
    record: usize,
    lanes: usize,
}

impl<'a> Text<'a> {
    pub fn of(network: &'a Network) -> Self {
        let (mut vectors, mut record) = (0, 0);
        let mut layers = Vec::new();
        for (inputs, layer) in network.layers() {
            let kernel = vectors;
            vectors += layer.units * fours(inputs);
            let bias = layer.bias.map(|_| vectors);
            vectors += bias.map_or(0, |_| fours(layer.units));
            layers.push(Place {
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
        while text.workgroup_vectors() > WORKGROUP_VECTORS && text.lanes > 8 {
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
        let of = |place: &Place| fours(place.inputs) * fours(place.units);
        self.layers.iter().map(of).sum()
    }

    /// Values of the fields of `params` that depend on rule and loss.
    pub fn constants(&self) -> Vec<(&'static str, f32)> {
        let mut constants = match self.network.rule {
            Rule::Sgd => Vec::new(),
            Rule::Momentum(rule) => vec![("momentum", rule.momentum)],
            Rule::Adam(rule) => rule.constants().to_vec(),
        };
        if let RowLoss::Squared(SquaredError { scale }) = self.network.loss {
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

    /// Whether the inputs of a row are whole vectors.
    fn x_in_vectors(&self) -> bool {
        self.network.inputs.is_multiple_of(4)
    }

    fn header(&self, text: &mut String, labels: bool) {
        let states = match self.network.rule {
            Rule::Sgd => &[][..],
            Rule::Momentum(_) => &["v"],
            Rule::Adam(_) => &["m", "v"],
        };
        let (x, y) = (
            if self.x_in_vectors() {
                "vec4<f32>"
            } else {
                "f32"
            },
            if labels { "u32" } else { "f32" },
        );
        line(
            text,
            0,
            &format!(
                "// Training steps of the network {}, batch {}, as many in a dispatch as params.steps says; made by\n\
             // src/op/network/text.rs. A lane to a row; weights and states stay in workgroup memory between the steps.\n\n\
             struct Params {{\n    batch: u32,\n    beta_1: f32,\n    beta_2: f32,\n    initial: f32,\n    rate: f32,\n    \
             end: f32,\n    power: f32,\n    top: f32,\n    decay_steps: u32,\n    warmup_steps: u32,\n    staircase: u32,",
                self.network.widths(),
                self.network.clock.batch
            ),
        );
        line(
            text,
            1,
            "steps: u32,\n    // Vectors of parameters; lanes of the workgroup.\n    vectors: u32,\n    lanes: u32,",
        );
        line(
            text,
            1,
            "// Elements of one member's slab and ring; rows of the ring; the last row of the data.\n    slab: u32,\n    ring: u32,\n    ring_rows: u32,\n    last: u32,",
        );
        line(
            text,
            1,
            "// Whether the learning rate is rates[3].\n    own_rates: u32,",
        );
        for (name, _) in self.constants() {
            line(text, 1, &format!("{name}: f32,"));
        }
        line(
            text,
            0,
            &format!(
                "}}\n\noverride SCHEDULE: u32 = 0u;\noverride WORKGROUP: u32 = {}u;\n\n\
             // The words of the cursor: `cursor` in src/op/clock.rs.\n\
             const STEP: u32 = 0u;\nconst EPOCH: u32 = 1u;\nconst OFFSET: u32 = 2u;\nconst ROWS: u32 = 3u;\n\
             const DATA_ROWS: u32 = 4u;\nconst SHUFFLE: u32 = 5u;\nconst SEED: u32 = 6u;\n\n\
             @group(0) @binding(0) var<uniform> params: Params;\n\
             @group(0) @binding(1) var<storage, read> x: array<{x}>;\n\
             @group(0) @binding(2) var<storage, read> y: array<{y}>;\n\
             @group(0) @binding(3) var<storage, read_write> cursor: array<u32>;\n\
             @group(0) @binding(4) var<storage, read_write> rates: array<f32>;\n\
             @group(0) @binding(5) var<storage, read_write> ring: array<f32>;\n\
             @group(0) @binding(6) var<storage, read_write> w: array<f32>;",
                self.lanes
            ),
        );
        for (binding, state) in (7..).zip(states) {
            line(
                text,
                0,
                &format!(
                    "@group(0) @binding({binding}) var<storage, read_write> {state}: array<f32>;"
                ),
            );
        }
        line(
            text,
            0,
            &format!(
                "\n// Vectors of a row's record: inputs of every layer, slopes, and a one with what the ring sums.\n\
             const RECORD: u32 = {}u;\nconst SUMS: u32 = {}u;\nconst SUMS_VECTORS: u32 = {}u;\nconst BLOCKS: u32 = {}u;\nconst NONE: u32 = 0xffffffffu;\n",
                self.record,
                self.sums,
                self.sums_vectors(),
                self.blocks()
            ),
        );
        for copy in ["weights"].iter().chain(&self.copies()) {
            line(
                text,
                0,
                &format!("var<workgroup> {copy}: array<vec4<f32>, {}>;", self.vectors),
            );
        }
        let blocks = self.blocks() + self.sums_vectors();
        line(
            text,
            0,
            &format!(
                "var<workgroup> records: array<vec4<f32>, {}>;\n\
                 // What `block` and `ends` say.\n\
                 var<workgroup> blocks: array<vec4<u32>, {blocks}>;\n\
                 var<workgroup> block_ends: array<vec2<u32>, {blocks}>;",
                self.lanes * self.record
            ),
        );
    }

    /// What is kept of each parameter besides its value.
    fn copies(&self) -> Vec<&'static str> {
        let mut copies = match self.network.rule {
            Rule::Sgd => vec![],
            Rule::Momentum(_) => vec!["velocities"],
            Rule::Adam(_) => vec!["means", "squares"],
        };
        copies.push("gradients");
        copies
    }

    /// The copies in workgroup memory with the buffers that they come from.
    fn buffers(&self) -> &'static [(&'static str, &'static str)] {
        match self.network.rule {
            Rule::Sgd => &[("weights", "w")],
            Rule::Momentum(_) => &[("weights", "w"), ("velocities", "v")],
            Rule::Adam(_) => &[("weights", "w"), ("means", "m"), ("squares", "v")],
        }
    }

    /// Where vectors of parameters lie in the slab, and of which numbers of a record their gradients are products.
    fn tables(&self, text: &mut String) {
        line(
            text,
            0,
            "\n// Of a vector of parameters: its first element in the slab, the distance to the next, and how many of the four are\n// there.\nfn home(i: u32) -> vec3<u32> {",
        );
        for (place, layer) in self.layers.iter().zip(&self.network.layers) {
            let (q, units, from) = (fours(place.inputs), place.units, place.kernel);
            line(
                text,
                1,
                &format!(
                    "if i < {}u {{\n        let unit = (i - {from}u) / {q}u;\n        let row = (i - {from}u) % {q}u * 4u;\n        \
                 return vec3<u32>({}u + row * {units}u + unit, {units}u, min({}u - row, 4u));\n    }}",
                    from + units * q,
                    layer.kernel,
                    place.inputs
                ),
            );
            if let (Some(bias), Some(at)) = (place.bias, layer.bias) {
                line(
                    text,
                    1,
                    &format!(
                        "if i < {}u {{\n        let unit = (i - {bias}u) * 4u;\n        return vec3<u32>({at}u + unit, 1u, min({units}u - unit, 4u));\n    }}",
                        bias + fours(units)
                    ),
                );
            }
        }
        line(text, 1, "return vec3<u32>();\n}\n");
        line(
            text,
            0,
            "// Of a block of four inputs by four units: where inputs and slopes stand in a row's record, the first unit's vector of
// parameters, and the distance to the next unit's. The last blocks are the sums.
fn block(i: u32) -> vec4<u32> {",
        );
        let mut begin = 0;
        for place in &self.layers {
            let q = fours(place.inputs);
            let end = begin + q * fours(place.units);
            line(
                text,
                1,
                &format!(
                    "if i < {end}u {{
        let input = (i - {begin}u) % {q}u;
        let unit = (i - {begin}u) / {q}u;
        return vec4<u32>({}u + input, {}u + unit, {}u + unit * {}u + input, {q}u);
    }}",
                    place.x,
                    place.dz,
                    place.kernel,
                    4 * q
                ),
            );
            begin = end;
        }
        line(
            text,
            1,
            "return vec4<u32>(SUMS, SUMS + i - BLOCKS, 0u, 0u);\n}",
        );
        line(
            text,
            0,
            "\n// Of a block: its units, and the vector of their biases, NONE where there are none or another block has them.
fn ends(i: u32) -> vec2<u32> {",
        );
        let mut begin = 0;
        for place in &self.layers {
            let q = fours(place.inputs);
            let end = begin + q * fours(place.units);
            let bias = match place.bias {
                Some(bias) => {
                    format!("select(NONE, {bias}u + unit, (i - {begin}u) % {q}u == 0u)")
                }
                None => "NONE".into(),
            };
            line(
                text,
                1,
                &format!(
                    "if i < {end}u {{
        let unit = (i - {begin}u) / {q}u;
        return vec2<u32>(min({}u - unit * 4u, 4u), {bias});
    }}",
                    place.units
                ),
            );
            begin = end;
        }
        line(text, 1, "return vec2<u32>(0u, NONE);\n}");
    }

    /// Σ of inputs · slopes over the rows at hand, for four by four of them and the slopes alone.
    fn gradient(&self, text: &mut String) {
        line(
            text,
            0,
            "\n// The gradient of a vector of parameters, or what further rows, from `first` on, add to it.
fn add(i: u32, g: vec4<f32>, first: u32) {
    if first > 0u {
        gradients[i] += g;
    } else {
        gradients[i] = g;
    }
}

// Sums of inputs and slopes over the rows at hand, whose first is `first`; those of a block are read once for all its 16
// products, because every load whose address differs by lane is dear on drivers that run on the processor.
fn sum_block(i: u32, place: u32, first: u32) {
    let block = blocks[i];
    var g0 = vec4<f32>();
    var g1 = vec4<f32>();
    var g2 = vec4<f32>();
    var g3 = vec4<f32>();
    var total = vec4<f32>();
    for (var row = 0u; row < params.lanes; row += 2u) {
        let even = row * RECORD;
        let odd = even + RECORD;
        let h0 = records[even + block.x];
        let d0 = records[even + block.y];
        let h1 = records[odd + block.x];
        let d1 = records[odd + block.y];
        g0 += h0 * d0.x + h1 * d1.x;
        g1 += h0 * d0.y + h1 * d1.y;
        g2 += h0 * d0.z + h1 * d1.z;
        g3 += h0 * d0.w + h1 * d1.w;
        total += d0 + d1;
    }
    let end = block_ends[i];
    if end.x > 0u {
        add(block.z, g0, first);
    }
    if end.x > 1u {
        add(block.z + block.w, g1, first);
    }
    if end.x > 2u {
        add(block.z + 2u * block.w, g2, first);
    }
    if end.x > 3u {
        add(block.z + 3u * block.w, g3, first);
    }
    if end.y != NONE {
        add(end.y, total, first);
    }
    if i >= BLOCKS {
        record_sums(i - BLOCKS, total, place, first);
    }
}",
        );
    }

    fn update(&self, text: &mut String) {
        line(
            text,
            0,
            "\n// One step of a vector of parameters by its gradient g. `rate` is the learning rate; Adam's, corrected by the powers.\nfn update(i: u32, g: vec4<f32>, rate: f32) {",
        );
        match self.network.rule {
            Rule::Sgd => line(text, 1, "weights[i] -= rate * g;"),
            Rule::Momentum(rule) => {
                line(
                    text,
                    1,
                    "let change = rate * g;\n    let velocity = params.momentum * velocities[i] - change;\n    velocities[i] = velocity;",
                );
                line(
                    text,
                    1,
                    if rule.nesterov {
                        "weights[i] = weights[i] + params.momentum * velocity - change;"
                    } else {
                        "weights[i] += velocity;"
                    },
                );
            }
            Rule::Adam(_) => {
                for statement in [
                    "let mean = means[i] + (g - means[i]) * params.rate_1;",
                    "let square = squares[i] + (g * g - squares[i]) * params.rate_2;",
                    "means[i] = mean;",
                    "squares[i] = square;",
                    "weights[i] -= mean * rate / (sqrt(square) + params.epsilon);",
                ] {
                    line(text, 1, statement);
                }
            }
        }
        line(text, 0, "}");
    }

    /// The functions of the layers, where they are less than a word.
    fn functions(&self, text: &mut String) {
        let uses = |wanted: fn(&Function) -> bool| {
            let mut functions = self
                .network
                .layers
                .iter()
                .filter_map(|layer| layer.function);
            functions.any(|function| wanted(&function))
        };
        let relu = uses(|f| matches!(f, Function::Relu));
        let leaky = uses(|f| matches!(f, Function::LeakyRelu(_)));
        if relu || leaky {
            line(
                text,
                0,
                "
fn keep_nans(x: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    return select(y, x, (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u));
}",
            );
        }
        if relu {
            line(
                text,
                0,
                "
fn relu(z: vec4<f32>) -> vec4<f32> {
    return keep_nans(z, select(z, vec4<f32>(), z < vec4<f32>()));
}

fn relu_slope(h: vec4<f32>) -> vec4<f32> {
    return keep_nans(h, select(vec4<f32>(), vec4<f32>(1.0), h > vec4<f32>()));
}",
            );
        }
        if leaky {
            line(
                text,
                0,
                "
fn leaky_relu(z: vec4<f32>, slope: f32) -> vec4<f32> {
    return select(z, slope * z, z < vec4<f32>());
}

fn leaky_relu_slope(h: vec4<f32>, slope: f32) -> vec4<f32> {
    return keep_nans(h, select(vec4<f32>(slope), vec4<f32>(1.0), h > vec4<f32>()));
}",
            );
        }
        if matches!(self.network.loss, RowLoss::CrossEntropy) {
            line(
                text,
                0,
                "
fn exp_nan(x: f32) -> f32 {
    return keep_nan(x, exp(x));
}",
            );
        }
    }

    fn row(&self, text: &mut String, labels: bool) {
        self.functions(text);
        line(
            text,
            0,
            "\n// Forward and backward of one row of the data; its record. `share` is 1 by the rows of the batch, and 0 behind them.\nfn work(lane: u32, row: u32, live: bool, share: f32) {",
        );
        for q in 0..fours(self.network.inputs) {
            let load = if self.x_in_vectors() {
                format!("x[row * {}u + {q}u]", fours(self.network.inputs))
            } else {
                let n = self.network.inputs;
                let parts = |c| match 4 * q + c {
                    i if i < n => format!("x[row * {n}u + {i}u]"),
                    _ => "0.0".into(),
                };
                format!(
                    "vec4<f32>({})",
                    (0..4).map(parts).collect::<Vec<_>>().join(", ")
                )
            };
            line(text, 1, &format!("let h0_{q} = {load};"));
        }
        for l in 1..=self.layers.len() {
            self.layer(text, l);
        }
        self.targets(text, labels);
        self.loss(text, labels);
        self.metrics(text, labels);
        self.slopes(text);
        self.store(text);
        line(text, 0, "}");
    }

    /// z = x·W + b and h = f(z) of layer `l`, from 1.
    fn layer(&self, text: &mut String, l: usize) {
        let place = self.layers[l - 1];
        let function = self.network.layers[l - 1].function;
        let name = function.map_or("linear".into(), |f| format!("{f:?}"));
        line(
            text,
            1,
            &format!(
                "\n// Layer {l}: {} → {}, {name}.",
                place.inputs, place.units
            ),
        );
        for q in 0..fours(place.units) {
            let unit = |c: usize| match 4 * q + c {
                j if j < place.units => {
                    let at = place.kernel + j * fours(place.inputs);
                    let terms = (0..fours(place.inputs))
                        .map(|i| format!("dot(h{}_{i}, weights[{}])", l - 1, at + i));
                    terms.collect::<Vec<_>>().join(" + ")
                }
                _ => "0.0".into(),
            };
            let bias = place
                .bias
                .map_or(String::new(), |bias| format!("weights[{}] + ", bias + q));
            line(text, 1, &format!("let z{l}_{q} = {bias}vec4<f32>("));
            (0..4).for_each(|c| line(text, 2, &format!("{},", unit(c))));
            line(text, 1, ");");
            let value = match function {
                None => format!("z{l}_{q}"),
                Some(f) => {
                    let units = (place.units - 4 * q).min(4);
                    match f {
                        Function::Relu => format!("relu(z{l}_{q})"),
                        Function::LeakyRelu(slope) => {
                            format!("leaky_relu(z{l}_{q}, {})", float(slope))
                        }
                        _ => {
                            let name = if f == Function::Tanh {
                                "tanh_accurate"
                            } else {
                                "sigmoid"
                            };
                            let part = |c| match c < units {
                                true => format!("{name}(z{l}_{q}.{})", COMPONENT[c]),
                                // The function of zero need not be zero.
                                false => "0.0".into(),
                            };
                            let parts = (0..4).map(part).collect::<Vec<_>>().join(", ");
                            format!("vec4<f32>({parts})")
                        }
                    }
                }
            };
            line(text, 1, &format!("let h{l}_{q} = {value};"));
        }
    }

    /// The name of the last layer's output `j`, before or after its function.
    fn output(&self, before: bool, j: usize) -> String {
        let name = if before { "z" } else { "h" };
        format!("{name}{}_{}.{}", self.layers.len(), j / 4, COMPONENT[j % 4])
    }

    fn targets(&self, text: &mut String, labels: bool) {
        let n = self.network.outputs();
        line(text, 1, "\n// Targets.");
        if labels {
            line(text, 1, "let label = y[row];");
        }
        for j in 0..n {
            let target = match labels {
                true => format!("select(0.0, 1.0, label == {j}u)"),
                false => format!("y[row * {n}u + {j}u]"),
            };
            line(text, 1, &format!("let t{j} = {target};"));
        }
    }

    /// The row's loss, and its slope by each of the numbers that it reads, times the row's share.
    fn loss(&self, text: &mut String, labels: bool) {
        let n = self.network.outputs();
        let y = |j| self.output(self.network.loss_before, j);
        line(text, 1, "\n// The loss and its slopes.");
        match self.network.loss {
            RowLoss::Squared(_) => {
                let squares = (0..n).map(|j| format!("({0} - t{j}) * ({0} - t{j})", y(j)));
                let sum = squares.collect::<Vec<_>>().join(" + ");
                line(text, 1, &format!("let loss = params.scale * ({sum});"));
                for j in 0..n {
                    line(
                        text,
                        1,
                        &format!("let s{j} = 2.0 * params.scale * ({} - t{j}) * share;", y(j)),
                    );
                }
            }
            RowLoss::Binary(_) => {
                let terms =
                    (0..n).map(|j| format!("keep_nan({0}, keep_nan(t{j}, term({0}, t{j})))", y(j)));
                let sum = terms.collect::<Vec<_>>().join(" + ");
                line(text, 1, &format!("let loss = ({sum}) / {n}.0;"));
                for j in 0..n {
                    line(
                        text,
                        1,
                        &format!(
                            "let s{j} = keep_nan({0}, keep_nan(t{j}, slope({0}, t{j}))) * share / {n}.0;",
                            y(j)
                        ),
                    );
                }
            }
            RowLoss::CrossEntropy => {
                let joined = |part: &dyn Fn(usize) -> String| {
                    (0..n).map(part).collect::<Vec<_>>().join(" + ")
                };
                let largest = (1..n).fold(y(0), |most, j| format!("max({most}, {})", y(j)));
                line(text, 1, &format!("let largest = {largest};"));
                for j in 0..n {
                    line(text, 1, &format!("let e{j} = exp_nan({} - largest);", y(j)));
                }
                line(
                    text,
                    1,
                    &format!("let sum = {};", joined(&|j| format!("e{j}"))),
                );
                line(
                    text,
                    1,
                    &format!("let weight = {};", joined(&|j| format!("t{j}"))),
                );
                line(
                    text,
                    1,
                    "// A class that is ruled out by a logit of −∞ and by its target costs nothing.",
                );
                let distance =
                    joined(&|j| format!("select(t{j} * (largest - {}), 0.0, t{j} == 0.0)", y(j)));
                line(text, 1, &format!("let distance = {distance};"));
                let loss = "keep_nan(sum, weight * log1p(sum - 1.0) + distance)";
                line(
                    text,
                    1,
                    &match labels {
                        true => format!("let loss = known_label(label, {n}u, {loss});"),
                        false => format!("let loss = {loss};"),
                    },
                );
                for j in 0..n {
                    let slope = format!("(keep_nan(sum, e{j} / sum) * weight - t{j}) * share");
                    line(
                        text,
                        1,
                        &match labels {
                            true => format!("let s{j} = known_label(label, {n}u, {slope});"),
                            false => format!("let s{j} = {slope};"),
                        },
                    );
                }
            }
        }
    }

    fn metrics(&self, text: &mut String, labels: bool) {
        let n = self.network.outputs();
        for (c, column) in self.network.columns.iter().enumerate() {
            let Column::Accuracy { kind, before } = *column else {
                line(text, 1, &format!("let column{c} = loss;"));
                continue;
            };
            let p = |j| self.output(before, j);
            match kind {
                Accuracy::Binary { threshold } => {
                    let right = |j| {
                        let said = format!("select(0.0, 1.0, {} > {})", p(j), float(threshold));
                        format!(
                            "keep_nan({}, keep_nan(t{j}, select(0.0, 1.0, {said} == t{j})))",
                            p(j)
                        )
                    };
                    let sum = (0..n).map(right).collect::<Vec<_>>().join(" + ");
                    line(text, 1, &format!("let column{c} = ({sum}) / {n}.0;"));
                }
                Accuracy::Categorical | Accuracy::Sparse => {
                    self.first_largest(text, &format!("said{c}"), &p);
                    if labels {
                        line(
                            text,
                            1,
                            &format!(
                                "let column{c} = known_label(label, {n}u, keep_nan(said{c}_lost, select(0.0, 1.0, said{c} == label)));"
                            ),
                        );
                    } else {
                        self.first_largest(text, &format!("wanted{c}"), &|j| format!("t{j}"));
                        line(
                            text,
                            1,
                            &format!(
                                "let column{c} = keep_nan(said{c}_lost + wanted{c}_lost, select(0.0, 1.0, said{c} == wanted{c}));"
                            ),
                        );
                    }
                }
            }
        }
    }

    /// `name`, the first of the largest numbers, and `name_lost`: a NaN where there is one among them.
    fn first_largest(&self, text: &mut String, name: &str, number: &dyn Fn(usize) -> String) {
        let n = self.network.outputs();
        let largest = (1..n).fold(number(0), |most, j| format!("max({most}, {})", number(j)));
        line(text, 1, &format!("let {name}_most = {largest};"));
        let first = (0..n).rev().fold("0xffffffffu".to_string(), |later, j| {
            format!("select({later}, {j}u, {} == {name}_most)", number(j))
        });
        line(text, 1, &format!("let {name} = {first};"));
        let lost = (0..n).fold("0.0".to_string(), |lost, j| {
            format!("keep_nan({}, {lost})", number(j))
        });
        line(text, 1, &format!("let {name}_lost = {lost};"));
    }

    /// dz of every layer, from the last.
    fn slopes(&self, text: &mut String) {
        let last = self.layers.len();
        for l in (1..=last).rev() {
            let place = self.layers[l - 1];
            line(text, 1, &format!("\n// Slopes of layer {l}."));
            for q in 0..fours(place.units) {
                let dh = if l == last {
                    let part = |c| match 4 * q + c {
                        j if j < place.units => format!("s{j}"),
                        _ => "0.0".into(),
                    };
                    format!(
                        "vec4<f32>({})",
                        (0..4).map(part).collect::<Vec<_>>().join(", ")
                    )
                } else {
                    let next = self.layers[l];
                    let term = |j: usize| {
                        let at = next.kernel + j * fours(next.inputs) + q;
                        format!("d{}_{}.{} * weights[{at}]", l + 1, j / 4, COMPONENT[j % 4])
                    };
                    format!(
                        "({})",
                        (0..next.units).map(term).collect::<Vec<_>>().join(" + ")
                    )
                };
                let function = self.network.layers[l - 1].function;
                let slope = match function.filter(|_| !(l == last && self.network.loss_before)) {
                    Some(Function::Relu) => format!(" * relu_slope(h{l}_{q})"),
                    Some(Function::LeakyRelu(slope)) => {
                        format!(" * leaky_relu_slope(h{l}_{q}, {})", float(slope))
                    }
                    Some(Function::Tanh) => format!(" * (1.0 - h{l}_{q} * h{l}_{q})"),
                    Some(_) => format!(" * (h{l}_{q} * (1.0 - h{l}_{q}))"),
                    None => String::new(),
                };
                line(text, 1, &format!("let d{l}_{q} = {dh}{slope};"));
            }
        }
    }

    fn store(&self, text: &mut String) {
        line(text, 1, "\nlet at = lane * RECORD;");
        for (index, place) in self.layers.iter().enumerate() {
            for q in 0..fours(place.inputs) {
                line(
                    text,
                    1,
                    &format!("records[at + {}u] = h{index}_{q};", place.x + q),
                );
            }
        }
        for (index, place) in self.layers.iter().enumerate() {
            for q in 0..fours(place.units) {
                line(
                    text,
                    1,
                    &format!("records[at + {}u] = d{}_{q};", place.dz + q, index + 1),
                );
            }
        }
        for q in 0..self.sums_vectors() {
            let part = |c| match 4 * q + c {
                0 => "1.0".into(),
                i if i <= self.network.columns.len() => {
                    format!("select(0.0, column{}, live)", i - 1)
                }
                _ => "0.0".to_string(),
            };
            let parts = (0..4).map(part).collect::<Vec<_>>().join(", ");
            line(
                text,
                1,
                &format!("records[at + {}u] = vec4<f32>({parts});", self.sums + q),
            );
        }
    }

    fn entry(&self, text: &mut String) {
        if matches!(self.network.loss, RowLoss::CrossEntropy) {
            line(
                text,
                0,
                "\n// NaN for a label that names no class, so that it cannot pass unseen; no driver can fold it away.\nfn known_label(label: u32, classes: u32, value: f32) -> f32 {\n    return select(value, bitcast<f32>(label | 0x7fc00000u), label >= classes);\n}",
            );
        }
        let parts = Parts::of(self.network.clock.batch);
        let columns = self.network.columns.len();
        line(text, 0, &format!("
// Adds the sums over the rows from `first` on to the step's place in the ring, whose parts have {rows} rows each.
fn record_sums(vector: u32, sums: vec4<f32>, place: u32, first: u32) {{
    for (var c = 0u; c < 4u; c++) {{
        let column = vector * 4u + c;
        // The first of all is the one.
        if column > 0u && column <= {columns}u {{
            let at = place + (column - 1u) * {count}u + first / {rows}u;
            ring[at] = select(ring[at], 0.0, first % {rows}u == 0u) + sums[c];
        }}
    }}
}}", rows = parts.rows, count = parts.count));
        line(
            text,
            0,
            "
@compute @workgroup_size(WORKGROUP)
fn train(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let own_cursor = group.x * 8u;
    let own_rates = group.x * 4u;
    let own_slab = group.x * params.slab;
    for (var i = lane; i < params.vectors; i += params.lanes) {
        let place = home(i);",
        );
        for (copy, buffer) in self.buffers() {
            let part = |c: usize| {
                format!(
                    "select(0.0, {buffer}[own_slab + place.x + min({c}u, place.z - 1u) * place.y], place.z > {c}u)"
                )
            };
            line(
                text,
                2,
                &format!(
                    "{copy}[i] = vec4<f32>({});",
                    (0..4).map(part).collect::<Vec<_>>().join(", ")
                ),
            );
        }
        line(
            text,
            0,
            "    }
    for (var i = lane; i < BLOCKS + SUMS_VECTORS; i += params.lanes) {
        blocks[i] = block(i);
        block_ends[i] = ends(i);
    }
    var step = cursor[own_cursor + STEP];
    var epoch = cursor[own_cursor + EPOCH];
    var offset = cursor[own_cursor + OFFSET];
    var rows = cursor[own_cursor + ROWS];
    let data_rows = cursor[own_cursor + DATA_ROWS];
    let shuffle = cursor[own_cursor + SHUFFLE] != 0u;
    let seed = cursor[own_cursor + SEED];
    var power_1 = rates[own_rates + 1u];
    var power_2 = rates[own_rates + 2u];
    let own_rate = rates[own_rates + 3u];
    var eta = 0.0;
    workgroupBarrier();
    for (var done = 0u; done < params.steps; done++) {
        // The clock: see clock.wgsl.
        if step == 0u {
            epoch = 0u;
            offset = 0u;
            power_1 = 1.0;
            power_2 = 1.0;
        } else {
            offset += rows;
            if offset >= data_rows {
                epoch += 1u;
                offset = 0u;
            }
        }
        rows = min(params.batch, data_rows - offset);
        eta = own_rate;
        if params.own_rates == 0u {
            eta = learning_rate(step);
        }
        power_1 *= params.beta_1;
        power_2 *= params.beta_2;
        let order = permutation(data_rows, seed, epoch);
        let share = 1.0 / f32(max(rows, 1u));
        let place = group.x * params.ring + step % params.ring_rows * COLUMNS_AND_PARTS;
        step += 1u;"
                .replace("COLUMNS_AND_PARTS", &format!("{}u", columns * parts.count))
                .as_str(),
        );
        let rate = match self.network.rule {
            Rule::Adam(_) => "eta * sqrt(1.0 - power_2) / (1.0 - power_1)",
            _ => "eta",
        };
        line(text, 2, &format!("let rate = {rate};"));
        let work = |text: &mut String, depth: usize, first: &str| {
            for statement in [
                format!("let number = {first}lane;"),
                "let live = number < rows;".into(),
                "var row = 0u;".into(),
                "if live {".into(),
                "    row = offset + number;".into(),
                "    if shuffle {".into(),
                "        row = permuted(order, row);".into(),
                "    }".into(),
                "}".into(),
                "work(lane, min(row, params.last), live, select(0.0, share, live));".into(),
                "workgroupBarrier();".into(),
            ] {
                line(text, depth, &statement);
            }
        };
        let (depth, first) = if self.one_pass() {
            (2, "")
        } else {
            (3, "first + ")
        };
        if !self.one_pass() {
            line(
                text,
                2,
                "for (var first = 0u; first < params.batch; first += params.lanes) {",
            );
        }
        work(text, depth, first);
        let from = if self.one_pass() { "0u" } else { "first" };
        line(
            text,
            depth,
            "for (var i = lane; i < BLOCKS + SUMS_VECTORS; i += params.lanes) {",
        );
        line(text, depth + 1, &format!("sum_block(i, place, {from});"));
        line(text, depth, "}");
        line(text, depth, "workgroupBarrier();");
        if !self.one_pass() {
            line(text, 2, "}");
        }
        line(
            text,
            0,
            "        for (var i = lane; i < params.vectors; i += params.lanes) {
            update(i, gradients[i], rate);
        }
        workgroupBarrier();",
        );
        line(
            text,
            0,
            "    }
    for (var i = lane; i < params.vectors; i += params.lanes) {
        let place = home(i);
        for (var c = 0u; c < place.z; c++) {",
        );
        for (copy, buffer) in self.buffers() {
            line(
                text,
                3,
                &format!("{buffer}[own_slab + place.x + c * place.y] = {copy}[i][c];"),
            );
        }
        line(
            text,
            0,
            "        }
    }
    if lane == 0u {
        cursor[own_cursor + STEP] = step;
        cursor[own_cursor + EPOCH] = epoch;
        cursor[own_cursor + OFFSET] = offset;
        cursor[own_cursor + ROWS] = rows;
        rates[own_rates] = eta;
        rates[own_rates + 1u] = power_1;
        rates[own_rates + 2u] = power_2;
    }
}",
        );
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
