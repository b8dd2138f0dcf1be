//! What a network's text declares: params, buffers, constants and workgroup memory.

use super::super::StepRule;
use super::{Text, line};

impl Text<'_> {
    pub(super) fn header(&self, text: &mut String, labels: bool) {
        line(
            text,
            0,
            &format!(
                "// Training steps of the network {}, batch {}, as many in a dispatch as params.steps says; made by\n\
             // src/op/network/text.rs. A lane to a row; weights and states stay in workgroup memory between the steps.\n\n\
             struct Params {{\n    batch: u32,\n    beta_1: f32,\n    beta_2: f32,\n    initial: f32,\n    rate: f32,\n    \
             end: f32,\n    power: f32,\n    top: f32,\n    decay_steps: u32,\n    warmup_steps: u32,\n    staircase: u32,\n    \
             start: f32,\n    climb: f32,",
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
            "// Whether the learning rate is rates[3], not the schedule's times that.\n    own_rates: u32,",
        );
        for (name, _) in self.constants() {
            line(text, 1, &format!("{name}: f32,"));
        }
        self.bindings(text, labels);
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

    /// The overrides, the cursor's words and the buffers.
    fn bindings(&self, text: &mut String, labels: bool) {
        let states = match self.network.rule {
            StepRule::Sgd => &[][..],
            StepRule::Momentum(_) => &["v"],
            StepRule::Adam(_) => &["m", "v"],
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
    }

    /// What is kept of each parameter besides its value.
    fn copies(&self) -> Vec<&'static str> {
        let mut copies = match self.network.rule {
            StepRule::Sgd => vec![],
            StepRule::Momentum(_) => vec!["velocities"],
            StepRule::Adam(_) => vec!["means", "squares"],
        };
        copies.push("gradients");
        copies
    }

    /// The copies in workgroup memory with the buffers that they come from.
    pub(super) fn buffers(&self) -> &'static [(&'static str, &'static str)] {
        match self.network.rule {
            StepRule::Sgd => &[("weights", "w")],
            StepRule::Momentum(_) => &[("weights", "w"), ("velocities", "v")],
            StepRule::Adam(_) => &[("weights", "w"), ("means", "m"), ("squares", "v")],
        }
    }

    /// Whether the inputs of a row are whole vectors.
    pub(super) fn x_in_vectors(&self) -> bool {
        self.network.inputs.is_multiple_of(4)
    }
}
