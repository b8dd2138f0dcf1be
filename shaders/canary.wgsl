// What drivers are known to get wrong, tried out when a device is opened: see src/gpu/canary.rs, which says what must come out.
//
// x: [8] words to compute with; found: [64] words, a range for each entry point. Every entry point is one workgroup.

override ALONE: u32 = 1;
override LANES: u32 = 64;

struct Params {
    iterations: u32,
    round: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> found: array<u32>;

@group(0) @binding(1) var<storage, read_write> left: array<u32>;
@group(0) @binding(2) var<storage, read_write> right: array<u32>;

// found[0]: iterations that a loop really ran. The sum keeps a compiler from knowing.
@compute @workgroup_size(ALONE)
fn count_loops() {
    var count = 0u;
    var mixed = 0u;
    for (var i = 0u; i < params.iterations; i++) {
        mixed = mixed * 1664525u + x[i & 7u];
        count++;
    }
    found[0] = count;
    found[1] = mixed;
}

// found[2..6]: a NaN through a store, through the ReLU that should keep it, through the one that need not, and compared
// with itself.
@compute @workgroup_size(ALONE)
fn keep_nans() {
    let nan = bitcast<f32>(x[params.round]);
    found[2] = bitcast<u32>(nan);
    found[3] = bitcast<u32>(select(nan, 0.0, nan < 0.0));
    found[4] = bitcast<u32>(max(nan, 0.0));
    found[5] = select(0u, 1u, nan != nan);
}

// found[6..8]: the builtin tanh of x[1] and x[2].
@compute @workgroup_size(ALONE)
fn squash() {
    found[6] = bitcast<u32>(tanh(bitcast<f32>(x[params.round])));
    found[7] = bitcast<u32>(tanh(bitcast<f32>(x[params.round + 1u])));
}

var<workgroup> shared_words: array<u32, LANES>;

// found[16..]: words that every invocation takes from another one's place, 16 times, a barrier before and behind.
@compute @workgroup_size(LANES)
fn cross_barriers(@builtin(local_invocation_index) local: u32) {
    shared_words[local] = local * 2654435761u + x[params.round];
    for (var i = 0u; i < 16u; i++) {
        workgroupBarrier();
        let other = shared_words[63u - ((local + i) & 63u)];
        workgroupBarrier();
        shared_words[local] = other * 3u + i;
    }
    workgroupBarrier();
    if local < 48u {
        found[16u + local] = shared_words[local];
    }
}

// found[8]: a number that depends on the order of the dispatches.
@compute @workgroup_size(ALONE)
fn follow() {
    found[8] = found[8] * 3u + params.round + (x[params.iterations & 7u] & 0u);
}

// Two parts of one buffer, both written.
@compute @workgroup_size(LANES)
fn write_neighbours(@builtin(local_invocation_index) local: u32) {
    let sum = left[local] + right[63u - local] + params.round;
    workgroupBarrier();
    storageBarrier();
    left[local] = sum;
    right[local] = sum * 2u + left[local];
}
