// average ← keep·average + (1 − keep)·factor·value, with factor 1, or n/(n − 1) for the unbiased variance of n values.
//
// average, value: `len` elements, one to an invocation; cursor: u32 [8]. With RAGGED n is `each` for every row of the
// cursor's batch, and never more than `count`.

// Where the cursor holds the number of rows of this batch.
const ROWS = 3u;

struct Params {
    len: u32,
    count: u32,
    each: u32,
    keep: f32,
}

override UNBIASED: bool = false;
override RAGGED: bool = false;
override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> value: array<f32>;
@group(0) @binding(2) var<storage, read> cursor: array<u32>;
@group(0) @binding(3) var<storage, read_write> average: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn update(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i >= params.len {
        return;
    }
    var factor = 1.0;
    if UNBIASED {
        var n = params.count;
        if RAGGED {
            n = min(n, cursor[ROWS] * params.each);
        }
        // One value has no variance; it is counted as it is.
        factor = f32(max(n, 1u)) / f32(max(n, 2u) - 1u);
    }
    average[i] = params.keep * average[i] + (1.0 - params.keep) * (factor * value[i]);
}
