// lossᵣ = scale·Σⱼ φ(yᵣⱼ, tᵣⱼ), and dyᵣⱼ = scale·∂φ/∂y·dlossᵣ, for a function φ of penalties.wgsl; with MEAN both are divided
// by the columns.
//
// y, t, dy: [rows, columns]; loss, dloss: [rows]. Forward has lanes to a row as in rows.wgsl, backward an invocation to
// an element.

struct Params {
    rows: u32,
    columns: u32,
    scale: f32,
    // The constants of `Penalty::code`.
    a: f32,
    b: f32,
    c: f32,
}

override FUNCTION: u32 = 0u;
override MEAN: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dy: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    // Four sums in turn: of equal terms, one would be off in the same direction in every row.
    var turns = vec4<f32>();
    for (var i = row.first; i < row.end; i += LANES) {
        let value = penalty(FUNCTION, y[i], t[i], params.a, params.b, params.c);
        turns = vec4(turns.yzw, turns.x + keep_nan(y[i], keep_nan(t[i], value)));
    }
    let sum = row_sum(local, (turns.x + turns.y) + (turns.z + turns.w));
    if row.leads {
        loss[row.index] = select(params.scale * sum, sum / f32(params.columns), MEAN);
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i >= params.rows * params.columns {
        return;
    }
    let value = penalty_slope(FUNCTION, y[i], t[i], params.a, params.b, params.c);
    let dterm = params.scale * keep_nan(y[i], keep_nan(t[i], value)) * dloss[i / params.columns];
    dy[i] = select(dterm, dterm / f32(params.columns), MEAN);
}
