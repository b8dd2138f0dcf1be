// What varies per step, on the device: the step, the place in the data, the learning rate, and the batch's row numbers.
//
// cursor: 8 words, rates: 4 numbers, both advanced in place (see `cursor` and `RATES` in src/op/clock.rs);
// indices: [batch], the rows of the data set that make this step's batch, 0 beyond the last of a short batch.
// One workgroup does it all: every invocation reads the old cursor, none writes before all have read, and each then
// computes the indices of every WORKGROUP-th row. The schedules work on whole numbers as long as they can and avoid
// the builtins that drivers are loose about: cos, log near 1, pow.

struct Params {
    batch: u32,
    beta_1: f32,
    beta_2: f32,
    // The numbers of a schedule, by the names that `schedule` in src/op/clock.rs gives them; 0 where it has none.
    initial: f32,
    // Exponential: log2 of the decay rate.
    rate: f32,
    // Polynomial: the last rate. Cosine: the fraction that is left.
    end: f32,
    power: f32,
    top: f32,
    decay_steps: u32,
    warmup_steps: u32,
    staircase: u32,
}

// The numbers of the schedules in src/op/clock.rs.
override SCHEDULE: u32 = 0u;
override WORKGROUP: u32 = 64u;

// The words of the cursor: `cursor` in src/op/clock.rs.
const STEP: u32 = 0u;
const EPOCH: u32 = 1u;
const OFFSET: u32 = 2u;
const ROWS: u32 = 3u;
const DATA_ROWS: u32 = 4u;
const SHUFFLE: u32 = 5u;
const SEED: u32 = 6u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> cursor: array<u32>;
@group(0) @binding(2) var<storage, read_write> rates: array<f32>;
@group(0) @binding(3) var<storage, read_write> indices: array<u32>;

// s/decay_steps, rounded down if the schedule falls in jumps.
fn progress(step: u32) -> f32 {
    if params.staircase != 0u {
        return f32(step / params.decay_steps);
    }
    return f32(step) / f32(params.decay_steps);
}

// sin x for 0 ≤ x ≤ π/2: the series up to x¹³, which leaves 7e-10.
fn sin_quarter(x: f32) -> f32 {
    let q = x * x;
    return x * (1.0 - q * (0.16666667 - q * (0.008333334 - q * (0.0001984127 - q * (0.0000027557319 - q * (2.5052108e-8 - q * 1.6059044e-10))))));
}

fn learning_rate(step: u32) -> f32 {
    switch SCHEDULE {
        case 0u: { return params.initial; }
        case 1u: { return params.initial * exp2(params.rate * progress(step)); }
        case 2u: { return params.initial / (1.0 + params.rate * progress(step)); }
        case 3u: {
            let done = min(step, params.decay_steps);
            let left = params.decay_steps - done;
            if left == 0u {
                return params.end;
            }
            if params.power == 1.0 {
                return (params.initial - params.end) * (f32(left) / f32(params.decay_steps)) + params.end;
            }
            // (left/d)^power = e^(−power·ln(1 + done/left)).
            let fall = exp(-params.power * log1p(f32(done) / f32(left)));
            return (params.initial - params.end) * fall + params.end;
        }
        default: {
            if step < params.warmup_steps {
                return (params.top - params.initial) * (f32(step) / f32(params.warmup_steps)) + params.initial;
            }
            // ½(1 + cos(π·s/d)) = sin²(½π·(d − s)/d), which is accurate to its last step.
            let left = params.decay_steps - min(step - params.warmup_steps, params.decay_steps);
            let sine = sin_quarter(1.5707964 * f32(left) / f32(params.decay_steps));
            return params.top * ((1.0 - params.end) * (sine * sine) + params.end);
        }
    }
}

// The shuffle; src/op/permutation.rs says how and why.

const ROUNDS: u32 = 8u;
const WEYL: u32 = 0x9e3779b9u;

fn scramble(word: u32) -> u32 {
    var x = (word ^ (word >> 16u)) * 0x85ebca6bu;
    x = (x ^ (x >> 13u)) * 0xc2b2ae35u;
    return x ^ (x >> 16u);
}

// ⌊x·n/2³²⌋ for n ≤ 2¹⁶.
fn scale(x: u32, n: u32) -> u32 {
    return ((x >> 16u) * n + (((x & 0xffffu) * n) >> 16u)) >> 16u;
}

struct Permutation {
    rows: u32,
    bits: u32,
    columns: u32,
    key: u32,
}

fn permutation(data_rows: u32, seed: u32, epoch: u32) -> Permutation {
    let rows = max(data_rows, 1u);
    let bits = (33u - countLeadingZeros(rows - 1u)) / 2u;
    return Permutation(rows, bits, ((rows - 1u) >> bits) + 1u, scramble(scramble(seed + WEYL) + epoch));
}

fn walk(p: Permutation, x: u32) -> u32 {
    let mask = (1u << p.bits) - 1u;
    var left = x & mask;
    var right = x >> p.bits;
    var key = p.key;
    for (var round = 0u; round < ROUNDS; round++) {
        key += WEYL;
        left = (left + scramble(right ^ key)) & mask;
        key += WEYL;
        right += scale(scramble(left ^ key), p.columns);
        right -= select(0u, p.columns, right >= p.columns);
    }
    return (right << p.bits) | left;
}

fn permuted(p: Permutation, position: u32) -> u32 {
    var x = walk(p, position);
    while x >= p.rows {
        x = walk(p, x);
    }
    return x;
}

@compute @workgroup_size(WORKGROUP)
fn advance(@builtin(local_invocation_index) local: u32) {
    let before = cursor[STEP];
    let data_rows = cursor[DATA_ROWS];
    var epoch = 0u;
    var offset = 0u;
    if before != 0u {
        epoch = cursor[EPOCH];
        offset = cursor[OFFSET] + cursor[ROWS];
        if offset >= data_rows {
            epoch += 1u;
            offset = 0u;
        }
    }
    let rows = min(params.batch, data_rows - offset);
    let shuffle = cursor[SHUFFLE] != 0u;
    let order = permutation(data_rows, cursor[SEED], epoch);
    storageBarrier();
    if local == 0u {
        cursor[STEP] = before + 1u;
        cursor[EPOCH] = epoch;
        cursor[OFFSET] = offset;
        cursor[ROWS] = rows;
        let first = before == 0u;
        rates[0] = learning_rate(before);
        rates[1] = select(rates[1], 1.0, first) * params.beta_1;
        rates[2] = select(rates[2], 1.0, first) * params.beta_2;
    }
    for (var r = local; r < params.batch; r += WORKGROUP) {
        var index = 0u;
        if r < rows {
            index = offset + r;
            if shuffle {
                index = permuted(order, index);
            }
        }
        indices[r] = index;
    }
}
