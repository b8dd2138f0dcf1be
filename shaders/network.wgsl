// Training steps of a small dense network, as many in a dispatch as params.steps says. A lane to a row; weights and states
// stay in workgroup memory between the steps. Followed by the text of a rule, and by what src/op/network/text.rs writes for
// the network at hand:
//
//   x, y              the data, in the types that they are read in
//   VECTORS, RECORD … sizes
//   home, block, ends where parameters lie, and of which numbers of a record their gradients are products
//   work              forward and backward of a row

struct Params {
    batch: u32,
    beta_1: f32,
    beta_2: f32,
    initial: f32,
    rate: f32,
    end: f32,
    power: f32,
    top: f32,
    decay_steps: u32,
    warmup_steps: u32,
    staircase: u32,
    start: f32,
    climb: f32,
    steps: u32,
    // Vectors of parameters; lanes of the workgroup.
    vectors: u32,
    lanes: u32,
    // Elements of one member's slab and ring; rows of the ring; the last row of the data.
    slab: u32,
    ring: u32,
    ring_rows: u32,
    last: u32,
    // Whether the learning rate is rates[3], not the schedule's times that.
    own_rates: u32,
    // What the rule and a squared error take; 0 where there are none.
    momentum: f32,
    rate_1: f32,
    rate_2: f32,
    epsilon: f32,
    scale: f32,
}

override SCHEDULE: u32 = 0u;
override WORKGROUP: u32 = 32u;
override ONE_PASS: bool = true; // a batch has no more rows than there are lanes

// The words of the cursor: `cursor` in src/op/clock.rs.
const STEP: u32 = 0u;
const EPOCH: u32 = 1u;
const OFFSET: u32 = 2u;
const ROWS: u32 = 3u;
const DATA_ROWS: u32 = 4u;
const SHUFFLE: u32 = 5u;
const SEED: u32 = 6u;

const NONE: u32 = 0xffffffffu;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> cursor: array<u32>;
@group(0) @binding(4) var<storage, read_write> rates: array<f32>;
@group(0) @binding(5) var<storage, read_write> ring: array<f32>;
@group(0) @binding(6) var<storage, read_write> w: array<f32>;

var<workgroup> weights: array<vec4<f32>, VECTORS>;
var<workgroup> gradients: array<vec4<f32>, VECTORS>;
// What each row at hand leaves: inputs of every layer, slopes, and a one with what the ring sums.
var<workgroup> records: array<vec4<f32>, RECORDS>;
// What `block` and `ends` say.
var<workgroup> blocks: array<vec4<u32>, ALL_BLOCKS>;
var<workgroup> block_ends: array<vec2<u32>, ALL_BLOCKS>;

// NaN for a label that names no class, so that it cannot pass unseen; no driver can fold it away.
fn known_label(label: u32, classes: u32, value: f32) -> f32 {
    return select(value, bitcast<f32>(label | 0x7fc00000u), label >= classes);
}

fn exp_nan(x: f32) -> f32 {
    return keep_nan(x, exp(x));
}

fn keep_nans(x: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    return select(y, x, (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u));
}

fn relu(z: vec4<f32>) -> vec4<f32> {
    return keep_nans(z, select(z, vec4<f32>(), z < vec4<f32>()));
}

fn relu_slope(h: vec4<f32>) -> vec4<f32> {
    return keep_nans(h, select(vec4<f32>(), vec4<f32>(1.0), h > vec4<f32>()));
}

fn leaky_relu(z: vec4<f32>, slope: f32) -> vec4<f32> {
    return select(z, slope * z, z < vec4<f32>());
}

fn leaky_relu_slope(h: vec4<f32>, slope: f32) -> vec4<f32> {
    return keep_nans(h, select(vec4<f32>(slope), vec4<f32>(1.0), h > vec4<f32>()));
}

// The gradient of a vector of parameters, or what further rows, from `first` on, add to it.
fn add(i: u32, g: vec4<f32>, first: u32) {
    if first > 0u {
        gradients[i] += g;
    } else {
        gradients[i] = g;
    }
}

// Adds the sums over the rows from `first` on to the step's place in the ring, whose parts have PART_ROWS rows and a pair each.
fn record_sums(vector: u32, sums: vec4<f32>, place: u32, first: u32) {
    for (var c = 0u; c < 4u; c++) {
        let column = vector * 4u + c;
        // The first of all is the one.
        if column > 0u && column <= COLUMNS {
            let at = place + 2u * ((column - 1u) * PARTS + first / PART_ROWS);
            var sum = vec2(sums[c], 0.0);
            if first % PART_ROWS != 0u {
                sum = pair_plus(vec2(ring[at], ring[at + 1u]), sum);
            }
            ring[at] = sum.x;
            ring[at + 1u] = sum.y;
        }
    }
}

// Sums of inputs and slopes over the rows at hand, whose first is `first`; those of a block are read once for all its 16
// products, because every load whose address differs by lane is dear on drivers that run on the processor.
fn sum_block(i: u32, place: u32, first: u32) {
    let block = blocks[i];
    var g0 = vec4<f32>();
    var g1 = vec4<f32>();
    var g2 = vec4<f32>();
    var g3 = vec4<f32>();
    var total = vec4<f32>();
    for (var row = 0u; row < params.lanes; row += 2u) {
        let even = row * RECORD;
        let odd = even + RECORD;
        let h0 = records[even + block.x];
        let d0 = records[even + block.y];
        let h1 = records[odd + block.x];
        let d1 = records[odd + block.y];
        g0 += h0 * d0.x + h1 * d1.x;
        g1 += h0 * d0.y + h1 * d1.y;
        g2 += h0 * d0.z + h1 * d1.z;
        g3 += h0 * d0.w + h1 * d1.w;
        total += d0 + d1;
    }
    let end = block_ends[i];
    if end.x > 0u {
        add(block.z, g0, first);
    }
    if end.x > 1u {
        add(block.z + block.w, g1, first);
    }
    if end.x > 2u {
        add(block.z + 2u * block.w, g2, first);
    }
    if end.x > 3u {
        add(block.z + 3u * block.w, g3, first);
    }
    if end.y != NONE {
        add(end.y, total, first);
    }
    if i >= BLOCKS {
        record_sums(i - BLOCKS, total, place, first);
    }
}

// The rows of the batch from `first` on, one to a lane, and what they add to gradients and ring. `offset` and `rows`: the
// batch; `share`: 1 by its rows; `place`: the step's place in the ring.
fn work_rows(lane: u32, first: u32, offset: u32, rows: u32, shuffle: u32, order: Permutation, share: f32, place: u32) {
    let number = first + lane;
    let live = number < rows;
    var row = 0u;
    if live {
        row = offset + number;
        if shuffle == 1u {
            row = permuted(order, row);
        } else if shuffle != 0u {
            row %= shuffle;
        }
    }
    work(lane, min(row, params.last), live, select(0.0, share, live));
    workgroupBarrier();
    for (var i = lane; i < ALL_BLOCKS; i += params.lanes) {
        sum_block(i, place, first);
    }
    workgroupBarrier();
}

@compute @workgroup_size(WORKGROUP)
fn train(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let own_cursor = group.x * 8u;
    let own_rates = group.x * 4u;
    let own_slab = group.x * params.slab;
    let four = vec4<u32>(0u, 1u, 2u, 3u);
    for (var i = lane; i < params.vectors; i += params.lanes) {
        let place = home(i);
        let at = vec4<u32>(own_slab + place.x) + min(four, vec4<u32>(place.z - 1u)) * place.y;
        let there = four < vec4<u32>(place.z);
        weights[i] = select(vec4<f32>(), vec4<f32>(w[at.x], w[at.y], w[at.z], w[at.w]), there);
        load_states(i, at, there);
    }
    for (var i = lane; i < ALL_BLOCKS; i += params.lanes) {
        blocks[i] = block(i);
        block_ends[i] = ends(i);
    }
    var step = cursor[own_cursor + STEP];
    var epoch = cursor[own_cursor + EPOCH];
    var offset = cursor[own_cursor + OFFSET];
    var rows = cursor[own_cursor + ROWS];
    let data_rows = cursor[own_cursor + DATA_ROWS];
    let shuffle = cursor[own_cursor + SHUFFLE];
    let seed = cursor[own_cursor + SEED];
    var power_1 = rates[own_rates + 1u];
    var power_2 = rates[own_rates + 2u];
    let own_rate = rates[own_rates + 3u];
    var eta = 0.0;
    workgroupBarrier();
    for (var done = 0u; done < params.steps; done++) {
        // The clock: see clock.wgsl.
        if step == 0u {
            epoch = 0u;
            offset = 0u;
            power_1 = 1.0;
            power_2 = 1.0;
        } else {
            offset += rows;
            if offset >= data_rows {
                epoch += 1u;
                offset = 0u;
            }
        }
        rows = min(params.batch, data_rows - offset);
        eta = own_rate;
        if params.own_rates == 0u {
            eta = learning_rate(step) * own_rate;
        }
        power_1 *= params.beta_1;
        power_2 *= params.beta_2;
        let order = permutation(data_rows, seed, epoch);
        let share = 1.0 / f32(max(rows, 1u));
        let place = group.x * params.ring + step % params.ring_rows * (2u * COLUMNS * PARTS);
        step += 1u;
        let rate = step_length(eta, power_1, power_2);
        if ONE_PASS {
            work_rows(lane, 0u, offset, rows, shuffle, order, share, place);
        } else {
            for (var first = 0u; first < params.batch; first += params.lanes) {
                work_rows(lane, first, offset, rows, shuffle, order, share, place);
            }
        }
        for (var i = lane; i < params.vectors; i += params.lanes) {
            update(i, gradients[i], rate);
        }
        workgroupBarrier();
    }
    for (var i = lane; i < params.vectors; i += params.lanes) {
        let place = home(i);
        for (var c = 0u; c < place.z; c++) {
            let at = own_slab + place.x + c * place.y;
            w[at] = weights[i][c];
            store_states(i, c, at);
        }
    }
    if lane == 0u {
        cursor[own_cursor + STEP] = step;
        cursor[own_cursor + EPOCH] = epoch;
        cursor[own_cursor + OFFSET] = offset;
        cursor[own_cursor + ROWS] = rows;
        rates[own_rates] = eta;
        rates[own_rates + 1u] = power_1;
        rates[own_rates + 2u] = power_2;
    }
}
