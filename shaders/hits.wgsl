// Whether a row's answer is right: among the top_k largest, or equal to the target, element by element.
//
// y: [rows, columns]; t: [rows, columns] numbers or, where SPARSE, [rows] class labels; hits: [rows]. Lanes to a row as in
// rows.wgsl. Top: whether fewer than top_k numbers exceed that of the wanted class; equal: the mean over j of [yⱼ = tⱼ].

struct Params {
    rows: u32,
    columns: u32,
    top_k: u32,
}

override SPARSE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
// Labels, or the bits of numbers.
@group(0) @binding(2) var<storage, read> t: array<u32>;
@group(0) @binding(3) var<storage, read_write> hits: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn forward_equal(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    var right = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        let wanted = bitcast<f32>(t[i]);
        right += keep_nan(y[i], keep_nan(wanted, select(0.0, 1.0, y[i] == wanted)));
    }
    right = row_sum(local, right);
    if row.leads {
        hits[row.index] = right / f32(params.columns);
    }
}

@compute @workgroup_size(WORKGROUP)
fn forward_top(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    // Zero, or a NaN that the row holds.
    var lost = 0.0;
    var wanted = t[row.index];
    if SPARSE {
        // A label that names no class must not pass for a miss.
        if wanted >= params.columns {
            lost = bitcast<f32>(wanted | 0x7fc00000u);
            wanted = 0u;
        }
    } else {
        var largest = bitcast<f32>(t[row.start]);
        for (var i = row.first; i < row.end; i += LANES) {
            largest = max(largest, bitcast<f32>(t[i]));
            lost = keep_nan(bitcast<f32>(t[i]), lost);
        }
        largest = row_max(local, largest);
        wanted = 0xffffffffu;
        for (var i = row.first; i < row.end; i += LANES) {
            if bitcast<f32>(t[i]) == largest {
                wanted = min(wanted, i - row.start);
            }
        }
        // A row of NaNs has no largest.
        wanted = min(row_first(local, wanted), params.columns - 1u);
    }
    let own = y[row.start + wanted];
    var before = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        before += keep_nan(y[i], select(0.0, 1.0, y[i] > own));
    }
    before = row_sum(local, before + lost);
    if row.leads {
        hits[row.index] = keep_nan(before, select(0.0, 1.0, before < f32(params.top_k)));
    }
}
