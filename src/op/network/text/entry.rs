//! The entry point: a step after the other, each from its batch to its updates.

use crate::op::RowLoss;
use crate::op::record::Parts;

use super::super::StepRule;
use super::{Text, line};

impl Text<'_> {
    pub(super) fn entry(&self, text: &mut String) {
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
        self.load_state(text);
        self.begin_step(text, columns * parts.count);
        self.step(text);
        self.store_state(text);
    }

    /// Parameters and states into workgroup memory, the clock into variables.
    fn load_state(&self, text: &mut String) {
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
    let shuffle = cursor[own_cursor + SHUFFLE];
    let seed = cursor[own_cursor + SEED];
    var power_1 = rates[own_rates + 1u];
    var power_2 = rates[own_rates + 2u];
    let own_rate = rates[own_rates + 3u];
    var eta = 0.0;",
        );
    }

    /// The clock of a step. `row` are the numbers of a row of the ring.
    fn begin_step(&self, text: &mut String, row: usize) {
        line(
            text,
            0,
            "    workgroupBarrier();
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
            eta = learning_rate(step) * own_rate;
        }
        power_1 *= params.beta_1;
        power_2 *= params.beta_2;
        let order = permutation(data_rows, seed, epoch);
        let share = 1.0 / f32(max(rows, 1u));
        let place = group.x * params.ring + step % params.ring_rows * COLUMNS_AND_PARTS;
        step += 1u;"
                .replace("COLUMNS_AND_PARTS", &format!("{row}u"))
                .as_str(),
        );
        let rate = match self.network.rule {
            StepRule::Adam(_) => "eta * sqrt(1.0 - power_2) / (1.0 - power_1)",
            _ => "eta",
        };
        line(text, 2, &format!("let rate = {rate};"));
    }

    /// The work of a step: rows, sums of gradients, updates.
    fn step(&self, text: &mut String) {
        let work = |text: &mut String, depth: usize, first: &str| {
            for statement in [
                format!("let number = {first}lane;"),
                "let live = number < rows;".into(),
                "var row = 0u;".into(),
                "if live {".into(),
                "    row = offset + number;".into(),
                "    if shuffle == 1u {".into(),
                "        row = permuted(order, row);".into(),
                "    } else if shuffle != 0u {".into(),
                "        row %= shuffle;".into(),
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
    }

    /// Parameters, states and the clock back into their buffers.
    fn store_state(&self, text: &mut String) {
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
