// What row-wise kernels share: a row belongs to LANES neighbouring invocations. Appended to their shaders.
//
// With one lane a row is a plain loop, which suits short rows and adapters on the processor; a long row on a GPU gets up
// to a whole workgroup. LANES is a power of two that divides WORKGROUP. Lanes combine in a tree, always in the same
// order, so that reruns give the same bits.

override WORKGROUP: u32 = 64u;
override LANES: u32 = 1u;

var<workgroup> lane_values: array<f32, WORKGROUP>;
var<workgroup> lane_indices: array<u32, WORKGROUP>;

// A row as one of its lanes sees it: elements first, first + LANES … below end.
struct Row {
    index: u32,
    start: u32,
    first: u32,
    end: u32,
    // Whether this lane stores what there is one of per row.
    leads: bool,
}

// An invocation behind the last row gets no elements, but goes on: it must take part in the barriers. What it loads
// outside of loops over elements it loads from row 0.
fn own_row(group: vec3<u32>, groups: vec3<u32>, local: u32, rows: u32, columns: u32) -> Row {
    let index = linear_index(group, groups, local, WORKGROUP) / LANES;
    let lane = local % LANES;
    if index >= rows {
        return Row(0u, 0u, 0u, 0u, false);
    }
    let start = index * columns;
    return Row(index, start, start + lane, start + columns, lane == 0u);
}

// The sum of the lanes' values, for each of them.
fn row_sum(local: u32, value: f32) -> f32 {
    if LANES == 1u {
        return value;
    }
    let lane = local % LANES;
    lane_values[local] = value;
    workgroupBarrier();
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        if lane < step {
            lane_values[local] += lane_values[local + step];
        }
        workgroupBarrier();
    }
    let sum = lane_values[local - lane];
    // Before the next call overwrites it.
    workgroupBarrier();
    return sum;
}

// The largest of the lanes' values, for each of them. A NaN may be lost.
fn row_max(local: u32, value: f32) -> f32 {
    if LANES == 1u {
        return value;
    }
    let lane = local % LANES;
    lane_values[local] = value;
    workgroupBarrier();
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        if lane < step {
            lane_values[local] = max(lane_values[local], lane_values[local + step]);
        }
        workgroupBarrier();
    }
    let largest = lane_values[local - lane];
    workgroupBarrier();
    return largest;
}

// The smallest of the lanes' indices, for each of them.
fn row_first(local: u32, index: u32) -> u32 {
    if LANES == 1u {
        return index;
    }
    let lane = local % LANES;
    lane_indices[local] = index;
    workgroupBarrier();
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        if lane < step {
            lane_indices[local] = min(lane_indices[local], lane_indices[local + step]);
        }
        workgroupBarrier();
    }
    let smallest = lane_indices[local - lane];
    workgroupBarrier();
    return smallest;
}

// e^x that keeps a NaN, which a driver's exp may turn into a number.
fn exp_nan(x: f32) -> f32 {
    return keep_nan(x, exp(x));
}
