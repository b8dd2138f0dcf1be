// 16-bit floats in words, two to a word, the earlier one in the low half: what kernels share that store activations so.
//
// By integers, not pack2x16float and unpack2x16float: WGSL lets the builtins round in either direction and lose what is below
// 2⁻¹⁴, and DirectX rounds towards zero. The rounding here is that of src/cpu/half.rs, to the nearest, ties to even, on
// every adapter, and needs no feature of it.

fn value_of_half(bits: vec4<u32>) -> vec4<f32> {
    let body = bits & vec4(0x7fffu);
    let normal = bitcast<vec4<f32>>((body << vec4(13u)) + vec4(0x38000000u));
    // Below 2⁻¹⁴ in steps of 2⁻²⁴.
    let small = vec4<f32>(body) * 5.9604644775390625e-8;
    let special = bitcast<vec4<f32>>((body << vec4(13u)) | vec4(0x7f800000u));
    let magnitude = select(select(normal, small, body < vec4(0x400u)), special, body >= vec4(0x7c00u));
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(magnitude) | ((bits & vec4(0x8000u)) << vec4(16u)));
}

// Four neighbours.
fn unpack_halves(words: vec2<u32>) -> vec4<f32> {
    return value_of_half(vec4(words.x & 0xffffu, words.x >> 16u, words.y & 0xffffu, words.y >> 16u));
}

// Element `at`, given its word.
fn unpack_half(word: u32, at: u32) -> f32 {
    return value_of_half(vec4((word >> ((at & 1u) * 16u)) & 0xffffu)).x;
}

fn bits_of_half(x: vec2<f32>) -> vec2<u32> {
    let bits = bitcast<vec2<u32>>(x);
    let body = bits & vec2(0x7fffffffu);
    // Half a unit of the last bit that stays, less one, plus that bit: so ties go to the even one. A carry raises the exponent.
    let normal = (body - vec2(0x38000000u) + vec2(0xfffu) + ((body >> vec2(13u)) & vec2(1u))) >> vec2(13u);
    // Below 2⁻¹⁴ the significand, with its hidden bit, in steps of 2⁻²⁴; all of it is gone after 25 places.
    let places = min(vec2(126u) - min(body >> vec2(23u), vec2(113u)), vec2(25u));
    let significand = (body & vec2(0x7fffffu)) | vec2(0x800000u);
    let half_unit = (vec2(1u) << (places - vec2(1u))) - vec2(1u);
    let small = (significand + half_unit + ((significand >> places) & vec2(1u))) >> places;
    var found = select(normal, small, body < vec2(0x38800000u));
    found = select(found, vec2(0x7c00u), body >= vec2(0x477ff000u));
    found = select(found, vec2(0x7e00u), body > vec2(0x7f800000u));
    return found | ((bits >> vec2(16u)) & vec2(0x8000u));
}

fn pack_halves(x: vec2<f32>) -> u32 {
    let bits = bits_of_half(x);
    return bits.x | (bits.y << 16u);
}
