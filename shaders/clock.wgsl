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
