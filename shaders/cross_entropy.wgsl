// lossᵣ = −Σⱼ tᵣⱼ·ln pᵣⱼ, and its gradient, from logits z (p = softmax z) or from probabilities.
//
// y (z or p), dy: [rows, columns]; t: [rows, columns] numbers or, where SPARSE, [rows] class labels; loss, dloss: [rows].
// Lanes to a row as in rows.wgsl.
//
// Of logits, with d = z − max z and L = ln Σ e^d:  loss = L·Σt − Σ t·d,  dz = (e^d/Σ e^d·Σt − t)·dloss;
// L ≥ 0 and d ≤ 0, so nothing cancels for targets that are not negative: see cross_entropy_rows.wgsl.
// Of probabilities, with S = Σ p and q = p/S kept between LOWEST and HIGHEST:  loss = Σ t·ln(1 + (1 − q)/q),
// dp = (Σₖ tₖ·[qₖ inside] − t·[q inside]/q)/S·dloss.

struct Params {
    rows: u32,
    columns: u32,
}

override SPARSE: bool = false;

// Keras's ends of a probability, 1e-7 and 1 − 1e-7, as f32.
const LOWEST = 1e-7f;
const HIGHEST = 0.9999998807907104f;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
// Labels, or the bits of numbers, so that both kinds of targets share the kernels.
@group(0) @binding(2) var<storage, read> t: array<u32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dy: array<f32>;

fn number(i: u32) -> f32 {
    return y[i];
}

// t of element i.
fn weight(row: Row, i: u32) -> f32 {
    if SPARSE {
        return select(0.0, 1.0, t[row.index] == i - row.start);
    }
    return bitcast<f32>(t[i]);
}

// NaN for a label that names no class, so that it cannot pass unseen; no driver can fold it away, the bits are the label's.
fn known_label(row: Row, value: f32) -> f32 {
    if SPARSE {
        let label = t[row.index];
        return select(value, bitcast<f32>(label | 0x7fc00000u), label >= params.columns);
    }
    return value;
}

@compute @workgroup_size(WORKGROUP)
fn forward_logits(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    let powers = row_powers(row, local);
    let loss_of_row = loss_of_logits(row, local, powers);
    if row.leads {
        loss[row.index] = known_label(row, loss_of_row);
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward_logits(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    let powers = row_powers(row, local);
    for (var i = row.first; i < row.end; i += LANES) {
        dy[i] = known_label(row, slope_of_logit(row, i, powers) * dloss[row.index]);
    }
}

@compute @workgroup_size(WORKGROUP)
fn forward_probabilities(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    var total = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        total += y[i];
    }
    total = row_sum(local, total);
    var sum = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        // In a row that sums to nothing it is 0/0, which a clamp would make a probability.
        let share = y[i] / total;
        let q = clamp(share, LOWEST, HIGHEST);
        sum += keep_nan(share, weight(row, i) * log1p((1.0 - q) / q));
    }
    sum = row_sum(local, sum);
    if row.leads {
        loss[row.index] = known_label(row, keep_nan(total, sum));
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward_probabilities(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    var total = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        total += y[i];
    }
    total = row_sum(local, total);
    var inside = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        let q = y[i] / total;
        inside += select(0.0, weight(row, i), q >= LOWEST && q <= HIGHEST);
    }
    inside = row_sum(local, inside);
    for (var i = row.first; i < row.end; i += LANES) {
        let q = y[i] / total;
        let own = select(0.0, weight(row, i) / q, q >= LOWEST && q <= HIGHEST);
        dy[i] = known_label(row, keep_nan(total, (inside - own) / total) * dloss[row.index]);
    }
}
