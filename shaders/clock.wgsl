// What varies per step, on the device: the step, the place in the data, the learning rate, and the batch's row numbers.
//
// cursor: 8 words, rates: 4 numbers, 12 with a tally, both advanced in place (see `cursor` and `rate` in src/op/clock.rs);
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
    // Exponential: log2 of the decay rate. Inverse: the growth. Restarts: log2 of the factor of the height. One cycle:
    // the last step.
    rate: f32,
    // Polynomial, annealing, one cycle: the last rate. Cosine: the fraction that is left.
    end: f32,
    // Polynomial: the exponent. Restarts: the factor of the length. One cycle: the step of the top.
    power: f32,
    top: f32,
    // Of a table: its values; piecewise: the boundaries before the values.
    decay_steps: u32,
    warmup_steps: u32,
    staircase: u32,
    // Of a warm-up: the first rate, and how far it climbs.
    start: f32,
    climb: f32,
    // Of the tally: batches to an update, updates until something is due, constants of the series; see
    // src/op/clock/tally.rs.
    accumulate: u32,
    every: u32,
    series_a: f32,
    series_b: f32,
    series_c: f32,
    series_d: f32,
}

// The numbers of the schedules in src/op/clock.rs.
override SCHEDULE: u32 = 0u;
// 0: no tally; else one more than the number of its series in src/op/clock/tally.rs.
override TALLY: u32 = 0u;
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

@group(0) @binding(4) var<storage, read> table: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn advance(@builtin(local_invocation_index) local: u32) {
    begin(local, learning_rate(cursor[STEP]));
}

@compute @workgroup_size(WORKGROUP)
fn advance_by_table(@builtin(local_invocation_index) local: u32) {
    let step = cursor[STEP];
    var rate = learning_rate(min(step, params.warmup_steps));
    if step >= params.warmup_steps {
        rate = listed(step - params.warmup_steps);
    }
    begin(local, rate);
}

// The value of a step in the table, or after the boundaries.
fn listed(step: u32) -> f32 {
    if SCHEDULE == 9u {
        return table[min(step, params.decay_steps - 1u)];
    }
    var passed = 0u;
    for (var i = 0u; i < params.decay_steps; i++) {
        passed += select(0u, 1u, f32(step) > table[i]);
    }
    return table[params.decay_steps + passed];
}

fn begin(local: u32, rate: f32) {
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
    let shuffle = cursor[SHUFFLE];
    let order = permutation(data_rows, cursor[SEED], epoch);
    storageBarrier();
    if local == 0u {
        cursor[STEP] = before + 1u;
        cursor[EPOCH] = epoch;
        cursor[OFFSET] = offset;
        cursor[ROWS] = rows;
        let first = before == 0u;
        rates[0] = rate * rates[3];
        if TALLY == 0u || before % params.accumulate == 0u {
            rates[1] = select(rates[1], 1.0, first) * params.beta_1;
            rates[2] = select(rates[2], 1.0, first) * params.beta_2;
        }
        if TALLY != 0u {
            count_update(before);
        }
    }
    for (var r = local; r < params.batch; r += WORKGROUP) {
        var index = 0u;
        if r < rows {
            index = offset + r;
            if shuffle == 1u {
                index = permuted(order, index);
            } else if shuffle != 0u {
                index %= shuffle;
            }
        }
        indices[r] = index;
    }
}

// The number of the update, whether there is one, and the series.
fn count_update(before: u32) {
    if before == 0u {
        rates[11] = 0.0;
    }
    // Those that were skipped are none.
    let whole = before / params.accumulate;
    let update = whole - min(u32(rates[11]), whole) + 1u;
    let t = f32(update);
    rates[4] = t;
    let updates = (before + 1u) % params.accumulate == 0u;
    var due = false;
    if params.every != 0u {
        due = update % params.every == 0u;
    }
    let begins = before % params.accumulate == 0u;
    rates[5] = select(0.0, 1.0, updates) + select(0.0, 2.0, due) + select(0.0, 4.0, begins);
    switch TALLY {
        case 1u: {
            rates[6] = 0.0;
            rates[7] = 0.0;
        }
        case 2u: {
            var power = rates[6];
            var product = rates[7];
            if before == 0u {
                power = 1.0;
                product = 1.0;
            }
            if begins {
                power *= params.series_a;
                product *= params.beta_1 * (1.0 - 0.5 * power);
            }
            rates[6] = power;
            rates[7] = product;
        }
        case 3u: {
            let x = t * params.series_a;
            var rho = params.series_c - 2.0 * t / expm1(x);
            if x < 0.7 {
                let q = x * x;
                let odd = 0.16666667 - q * (0.0027777778 - q * 0.000066137566);
                rho = params.series_b + t * (1.0 - x * odd);
            }
            var rectified = 0.0;
            if rho > 5.0 {
                rectified = sqrt((rho - 4.0) * (rho - 2.0) * params.series_d / rho);
            }
            rates[6] = rectified;
            rates[7] = 0.0;
        }
        case 4u: {
            rates[6] = select(exp2(params.series_a * log2(t)), 1.0, update == 1u);
            rates[7] = 0.0;
        }
        default: {
            let slowed = log1p(params.series_a * rates[0] * (t - 1.0));
            rates[6] = rates[0] * exp(-params.series_b * slowed);
            rates[7] = 1.0 / max(t - 1.0 - params.series_c, 1.0);
        }
    }
}
