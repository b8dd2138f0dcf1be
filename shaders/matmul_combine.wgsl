// C = Σ_s partials[s], s ascending, after a product over splits of k; then bias and function as in matmul_store.wgsl.
//
// partials: [splits, m, n] or, like C, [splits, n, m] with TC: the order of the elements does not matter here, but for the
// column that the bias belongs to. bias: [columns of C], saved: as C; bound to anything where they are not asked for.

struct Params {
    len: u32,
    columns: u32, // of C as stored
    splits: u32,
    first: f32,
    second: f32,
    third: f32,
}

override ACCUMULATE: bool = false; // C += instead of C =
override BIAS: bool = false;
override SLOPE: bool = false;
override WORKGROUP: u32 = 64;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn combine(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = linear_index(group, groups, local, WORKGROUP);
    if at >= params.len { return; }
    var sum = 0.0;
    for (var s = 0u; s < params.splits; s++) { sum += partials[s * params.len + at]; }
    if ACCUMULATE { sum += c[at]; }
    if BIAS { sum += bias[at % params.columns]; }
    if SLOPE {
        sum *= slope_of(saved[at], vec3(params.first, params.second, params.third));
    } else {
        sum = value_of(sum, vec3(params.first, params.second, params.third));
    }
    c[at] = sum;
}
