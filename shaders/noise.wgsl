// Random factors and summands of every element, drawn by counter: y = factor·x + summand, dx = factor·dy, where both
// depend on the element's draw. See src/op/noise.rs for the kinds.
//
// x, y: any shape, `len` elements, four to an invocation; cursor: u32 [8]. The draws of elements 4i … 4i + 3 are those of
// the counter (i, step, stream, 0) under the seed.

// Where the cursor holds the number of the step.
const STEP = 0u;

struct Params {
    len: u32,
    seed_low: u32,
    seed_high: u32,
    stream: u32,
    // The least of 2²⁴ equally likely draws that keeps an element.
    least: u32,
    // What a kept and a dropped element are multiplied by, and what is added to them; or the deviation, in `kept`.
    kept: f32,
    kept_more: f32,
    dropped_more: f32,
}

// 0: dropped or kept; 1: a normal draw added; 2: multiplied by 1 + a normal draw.
override KIND: u32 = 0u;
// Whether only what depends on x is wanted.
override SLOPE: bool = false;
override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> cursor: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

// Two normal draws from two words, by Box and Muller.
fn normals(a: u32, b: u32) -> vec2<f32> {
    let share = f32((a >> 8u) + 1u) * 5.9604645e-8;
    let radius = sqrt(-2.0 * log_accurate(share));
    let angle = f32(b >> 8u) * 3.7450704e-7;
    return radius * vec2(sine(angle, 1), sine(angle, 0));
}

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let draws = philox(vec4(i, cursor[STEP], params.stream, 0u), vec2(params.seed_low, params.seed_high));
    var values = x[i];
    if KIND == 0u {
        let keeps = (draws >> vec4(8u)) >= vec4(params.least);
        let more = select(vec4(params.dropped_more), vec4(params.kept_more), keeps);
        let own = select(vec4(0.0), params.kept * values, keeps);
        values = select(own + more, own, SLOPE);
    } else {
        let normal = params.kept * vec4(normals(draws.x, draws.y), normals(draws.z, draws.w));
        if KIND == 1u {
            values = values + normal;
        } else {
            values = values * (1.0 + normal);
        }
    }
    y[i] = keep_tail(values, y[i], params.len - i * 4u);
}
