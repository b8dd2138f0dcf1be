// Predictions of each column by the thresholds that they exceed: tally[slot, column, side, bucket] += Σ w·share over the
// rows whose prediction exceeds `bucket` of the ascending thresholds, on side 0 with the share t, on side 1 with 1 − t.
//
// See tally.wgsl for the operands. A workgroup takes a column, WORKGROUP rows at a time. A row with a NaN, or with a label
// that names no class, makes both sides of the lowest bucket NaN.

struct Params {
    batch: u32,
    columns: u32,
    slots: u32,
    cells: u32,
    last: u32,
    each: u32,
    // The first of the columns that are counted.
    first_column: u32,
    thresholds: u32,
    top_k: u32,
    // The label of rows that do not count, where IGNORES.
    ignored: u32,
    // What the largest of a row must exceed in size to be taken for the prediction.
    floor: f32,
}

// What a prediction is: 0: y itself, 1: the softmax of the row.
override SOFTMAX: bool = false;
// 0: all of them, 1: one where y is its row's largest and zero elsewhere, 2: those among the top_k of their row; the others
// exceed nothing.
override SELECT: u32 = 0u;
override IGNORES: bool = false;

// Exceeds nothing.
const LOWEST = -3.4028234e38f;

@group(0) @binding(6) var<storage, read> thresholds: array<f32>;
@group(0) @binding(7) var<storage, read_write> tally: array<f32>;

var<workgroup> buckets: array<u32, WORKGROUP>;
var<workgroup> shares: array<vec2<f32>, WORKGROUP>;

// The prediction of row r; a NaN if there is one in what it depends on.
fn prediction(r: u32, column: u32) -> f32 {
    let start = r * params.columns;
    let own = y[start + column];
    if !SOFTMAX && SELECT == 0u {
        return own;
    }
    var lost = 0.0;
    var largest = own;
    var before = 0u;
    for (var j = 0u; j < params.columns; j++) {
        let other = y[start + j];
        lost = keep_nan(other, lost);
        largest = max(largest, other);
        before += select(0u, 1u, other > own || (other == own && j < column));
    }
    var value = own;
    if SELECT == 1u {
        value = select(0.0, 1.0, own == largest && abs(own) > params.floor);
    } else if SOFTMAX {
        var sum = 0.0;
        for (var j = 0u; j < params.columns; j++) {
            let d = y[start + j] - largest;
            sum += keep_nan(d, exp(d));
        }
        value = keep_nan(sum, exp(own - largest) / sum);
    }
    if SELECT == 2u && before >= params.top_k {
        value = LOWEST;
    }
    return keep_nan(lost, value);
}

// How many thresholds x exceeds.
fn bucket_of(x: f32) -> u32 {
    var low = 0u;
    var high = params.thresholds;
    while low < high {
        let middle = (low + high) / 2u;
        if x > thresholds[middle] {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low;
}

@compute @workgroup_size(WORKGROUP)
fn count(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let column = params.first_column + group.x;
    let size = params.thresholds + 1u;
    let own = home() + group.x * 2u * size;
    if begins_epoch() {
        for (var i = local; i < 2u * size; i += WORKGROUP) {
            set_cell(own + i, vec2<f32>());
        }
    }
    let counted = counted_rows();
    for (var first = 0u; first < counted; first += WORKGROUP) {
        let r = first + local;
        var bucket = NOWHERE;
        var share = vec2<f32>();
        if r < counted {
            let x = prediction(r, column);
            let wanted = target_of(r, column);
            let w = weight_of(r);
            bucket = bucket_of(x);
            share = vec2(wanted * w, (1.0 - wanted) * w);
            if is_nan(x) || is_nan(wanted) || is_nan(w) {
                bucket = 0u;
                share = vec2(keep_nan(x, keep_nan(wanted, w)));
            }
            if SPARSE && IGNORES && t[row_of(r)] == params.ignored {
                bucket = NOWHERE;
            }
        }
        buckets[local] = bucket;
        shares[local] = share;
        workgroupBarrier();
        storageBarrier();
        var leads = bucket != NOWHERE;
        var yes = vec2<f32>();
        var no = vec2<f32>();
        for (var i = 0u; leads && i < min(WORKGROUP, counted - first); i++) {
            if buckets[i] == bucket {
                leads = i >= local;
                // Ones and zeros add up exactly.
                if WEIGHTED || !SPARSE {
                    yes = pair_and(yes, shares[i].x);
                    no = pair_and(no, shares[i].y);
                } else {
                    yes.x += shares[i].x;
                    no.x += shares[i].y;
                }
            }
        }
        if leads {
            set_cell(own + bucket, pair_plus(cell_at(own + bucket), yes));
            set_cell(own + size + bucket, pair_plus(cell_at(own + size + bucket), no));
        }
        workgroupBarrier();
    }
}
