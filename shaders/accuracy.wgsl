// The share of a row's predictions that are right.
//
// p: [rows, columns]; t: [rows, columns] numbers or, where SPARSE, [rows] class labels; y: [rows]. Lanes to a row as in
// rows.wgsl. Binary: the mean over j of [[pⱼ > threshold] = tⱼ]; classes: whether the first largest p is that of t.

struct Params {
    rows: u32,
    columns: u32,
    threshold: f32,
}

override SPARSE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> p: array<f32>;
// Labels, or the bits of numbers, so that all kinds of targets share the binding.
@group(0) @binding(2) var<storage, read> t: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn forward_binary(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    var right = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        let wanted = bitcast<f32>(t[i]);
        let said = select(0.0, 1.0, p[i] > params.threshold);
        right += keep_nan(p[i], keep_nan(wanted, select(0.0, 1.0, said == wanted)));
    }
    right = row_sum(local, right);
    if row.leads {
        y[row.index] = right / f32(params.columns);
    }
}

// The first of the largest, in two passes: the largest, then the smallest index that holds it.
@compute @workgroup_size(WORKGROUP)
fn forward_classes(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    // Zero, or a NaN that the row holds.
    var lost = 0.0;
    var largest = p[row.start];
    for (var i = row.first; i < row.end; i += LANES) {
        largest = max(largest, p[i]);
        lost = keep_nan(p[i], lost);
    }
    largest = row_max(local, largest);
    var said = 0xffffffffu;
    for (var i = row.first; i < row.end; i += LANES) {
        if p[i] == largest {
            said = min(said, i - row.start);
        }
    }
    said = row_first(local, said);
    var wanted = t[row.index];
    if SPARSE {
        // A label that names no class must not pass for a miss.
        if wanted >= params.columns {
            lost = bitcast<f32>(wanted | 0x7fc00000u);
        }
    } else {
        var largest_target = bitcast<f32>(t[row.start]);
        for (var i = row.first; i < row.end; i += LANES) {
            largest_target = max(largest_target, bitcast<f32>(t[i]));
            lost = keep_nan(bitcast<f32>(t[i]), lost);
        }
        largest_target = row_max(local, largest_target);
        wanted = 0xffffffffu;
        for (var i = row.first; i < row.end; i += LANES) {
            if bitcast<f32>(t[i]) == largest_target {
                wanted = min(wanted, i - row.start);
            }
        }
        wanted = row_first(local, wanted);
    }
    lost = row_sum(local, lost);
    if row.leads {
        y[row.index] = keep_nan(lost, select(0.0, 1.0, said == wanted));
    }
}
