// Sums whose rounding errors are kept: pairs of numbers, the sum rounded and what rounding took (Dekker, 1971). Appended to
// kernels whose params have batch, the rows of a batch.
//
// A compiler may reorder sums, and would find that the errors are 0: WGSL lets it compute as if numbers were real. So every
// step goes through `opaque`, whose bits it cannot know.

// The number itself. A batch has fewer than 2^31 rows, which only the host knows.
fn opaque(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ (params.batch >> 31u));
}

// a + b.
fn two_sum(a: f32, b: f32) -> vec2<f32> {
    let sum = opaque(a + b);
    let of_b = opaque(sum - a);
    let of_a = opaque(sum - of_b);
    return vec2(sum, opaque(a - of_a) + opaque(b - of_b));
}

// The upper half of the bits of a number, which times another's is exact.
fn upper(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
}

// a·b.
fn two_product(a: f32, b: f32) -> vec2<f32> {
    let product = opaque(a * b);
    let a_high = upper(a);
    let b_high = upper(b);
    let a_low = opaque(a - a_high);
    let b_low = opaque(b - b_high);
    let first = opaque(a_high * b_high - product);
    let second = opaque(first + a_high * b_low);
    let third = opaque(second + a_low * b_high);
    return vec2(product, opaque(third + a_low * b_low));
}

// A pair's sum and another's; beside an infinity or a NaN the second number is 0.
fn pair_plus(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    let sum = two_sum(a.x, b.x);
    let low = opaque(opaque(a.y + b.y) + sum.y);
    let high = opaque(sum.x + low);
    let rest = opaque(low - opaque(high - sum.x));
    let finite = (bitcast<u32>(sum.x) & 0x7f800000u) != 0x7f800000u;
    return vec2(select(sum.x, high, finite), select(0.0, rest, finite));
}

// A pair times another.
fn pair_times(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    let product = two_product(a.x, b.x);
    return vec2(product.x, product.y + opaque(a.x * b.y + a.y * b.x));
}

// A sum and a further number, of which few are to come.
fn pair_and(a: vec2<f32>, x: f32) -> vec2<f32> {
    let sum = two_sum(a.x, x);
    return vec2(sum.x, a.y + sum.y);
}
