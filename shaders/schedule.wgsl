// The learning rate of a step and the order of an epoch, for every kernel that begins a step: it declares the override
// SCHEDULE and `params` with the schedule's numbers, see `schedule` in src/op/clock.rs.

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
    // One walk in the text, which drivers unroll.
    var x = position;
    loop {
        x = walk(p, x);
        if x < p.rows {
            break;
        }
    }
    return x;
}
