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

// ½(1 − cos(π·x)) for x in [0, 1], as sin²(½π·x), which is accurate to its first step.
fn rise(x: f32) -> f32 {
    let sine = sin_quarter(1.5707964 * x);
    return sine * sine;
}

fn learning_rate(step: u32) -> f32 {
    if step < params.warmup_steps {
        return params.climb * (f32(step) / f32(params.warmup_steps)) + params.start;
    }
    return after_warmup(step - params.warmup_steps);
}

fn after_warmup(step: u32) -> f32 {
    switch SCHEDULE {
        case 0u: { return params.initial; }
        case 1u: { return params.initial * exp2(params.rate * progress(step)); }
        case 2u: { return params.initial / (1.0 + params.rate * progress(step)); }
        case 3u: {
            var whole = params.decay_steps;
            if params.staircase != 0u {
                whole *= max((step + params.decay_steps - 1u) / params.decay_steps, 1u);
            }
            let done = min(step, whole);
            let left = whole - done;
            if left == 0u {
                return params.end;
            }
            if params.power == 1.0 {
                return (params.initial - params.end) * (f32(left) / f32(whole)) + params.end;
            }
            // (left/d)^power = e^(−power·ln(1 + done/left)).
            let fall = exp(-params.power * log1p(f32(done) / f32(left)));
            return (params.initial - params.end) * fall + params.end;
        }
        case 4u: {
            let left = params.decay_steps - min(step, params.decay_steps);
            let fall = rise(f32(left) / f32(params.decay_steps));
            return params.top * ((1.0 - params.end) * fall + params.end);
        }
        case 5u: { return restarted(step); }
        case 6u: {
            let place = step % (2u * params.decay_steps);
            let left = max(params.decay_steps, place) - min(params.decay_steps, place);
            return (params.initial - params.end) * rise(f32(left) / f32(params.decay_steps)) + params.end;
        }
        default: {
            // Up to the step in `power`, down to that in `rate`.
            let s = f32(step);
            var begin_at = params.initial;
            var to = params.top;
            var share = s / params.power;
            if s > params.power {
                begin_at = params.top;
                to = params.end;
                share = min((s - params.power) / (params.rate - params.power), 1.0);
            }
            let left = 1.0 - share;
            if params.staircase != 0u {
                return to + (begin_at - to) * left;
            }
            return to + (begin_at - to) * rise(left);
        }
    }
}

// Decays one after the other, each `power` times as long as the one before and 2^rate times as high.
fn restarted(step: u32) -> f32 {
    var done = f32(step % params.decay_steps);
    var length = f32(params.decay_steps);
    var round = step / params.decay_steps;
    if params.power != 1.0 {
        done = f32(step);
        round = 0u;
        while done >= length {
            done -= length;
            length *= params.power;
            round++;
        }
    }
    var height = 1.0;
    if params.rate != 0.0 {
        height = exp2(params.rate * f32(round));
    }
    let fall = height * rise((length - done) / length);
    return params.top * ((1.0 - params.end) * fall + params.end);
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
