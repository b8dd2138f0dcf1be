// yᵣ = the largest element of row r, or where LEAST the least, and indexᵣ = where it stands: the first of equals, or where
// LAST the last. dxᵣⱼ = dyᵣ for j = indexᵣ, or where SHARED dyᵣ/n for each of the n elements that equal yᵣ.
//
// x, dx: [outer, columns, inner], rows along the middle as in along.wgsl; y, index, dy: [outer, inner]. Lanes to a row as in
// rows.wgsl. Elements are compared as integers made of their bits, so that no driver's idea of NaN and of −0 matters.

struct Params {
    rows: u32,
    columns: u32,
    inner: u32,
}

override LEAST: bool = false;
override LAST: bool = false;
override SHARED: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<storage, read_write> index: array<u32>;

@group(0) @binding(2) var<storage, read> extreme: array<u32>;
@group(0) @binding(3) var<storage, read> chosen: array<u32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

// The place of a number in the order of what is looked for: 0 for a NaN, which beats all, then the best first.
fn order(bits: u32) -> u32 {
    let magnitude = bits & 0x7fffffffu;
    if magnitude > 0x7f800000u {
        return 0u;
    }
    let rising = select(0x80000000u + magnitude, 0x80000000u - magnitude, bits > 0x7fffffffu);
    return select(~rising, rising, LEAST);
}

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    let base = base_of(row);
    var best = 0xffffffffu;
    for (var i = row.first; i < row.end; i += LANES) {
        best = min(best, order(x[place(row, base, i)]));
    }
    best = row_first(local, best);
    // Counted from the end that wins.
    var found = 0xffffffffu;
    for (var i = row.first; i < row.end; i += LANES) {
        if order(x[place(row, base, i)]) == best {
            let j = i - row.start;
            found = min(found, select(j, params.columns - 1u - j, LAST));
        }
    }
    found = row_first(local, found);
    if row.leads {
        let j = select(found, params.columns - 1u - found, LAST);
        index[row.index] = j;
        y[row.index] = x[base + j * params.inner];
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    let base = base_of(row);
    let wanted = order(extreme[row.index]);
    var equal = 0.0;
    if SHARED {
        for (var i = row.first; i < row.end; i += LANES) {
            equal += select(0.0, 1.0, order(x[place(row, base, i)]) == wanted);
        }
        equal = row_sum(local, equal);
    }
    for (var i = row.first; i < row.end; i += LANES) {
        let at = place(row, base, i);
        if SHARED {
            dx[at] = select(0.0, dy[row.index] / max(equal, 1.0), order(x[at]) == wanted);
        } else {
            dx[at] = select(0.0, dy[row.index], i - row.start == chosen[row.index]);
        }
    }
}
