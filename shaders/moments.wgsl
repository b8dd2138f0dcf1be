// Moments of an epoch's targets and errors, for each column: tally[slot, column, ·] = Σ w, K, Σ w·d, Σ w·d², Σ w·e, Σ w·e²,
// Σ w·d·e and the number of rows, with d = t − K, e = y − t and K a number near the targets.
//
// See tally.wgsl for the operands and pair.wgsl for the sums. K keeps the sums of squares from cancelling where targets lie far
// from zero: it begins as the first target of the epoch and is moved towards the mean so far, by powers of two, whose products
// are exact. A workgroup takes a column: an invocation sums every WORKGROUP-th row; then GROUP at a time are summed, each of
// the sums by an invocation of its own.

struct Params {
    batch: u32,
    columns: u32,
    slots: u32,
    cells: u32,
    last: u32,
    each: u32,
}

// The numbers of a column: `MOMENTS` in src/op/moments.rs.
const MOMENTS: u32 = 8u;
// Those that are sums over rows but their number, in the order of the cells.
const SUMS: u32 = 6u;
const GROUP: u32 = 16u;
// Times that K is moved after a batch, at most: `STEPS` in src/op/moments.rs.
const STEPS: u32 = 8u;

const WEIGHT = 0u;
const D = 1u;
const DD = 2u;
const E = 3u;
const DE = 5u;

@group(0) @binding(6) var<storage, read_write> tally: array<f32>;

struct Sums {
    pairs: array<vec2<f32>, SUMS>,
}

var<workgroup> sums: array<Sums, WORKGROUP>;
var<workgroup> groups: array<Sums, GROUP>;

// The cell of a sum in a column's; K lies beside the first.
fn cell_of(sum: u32) -> u32 {
    return select(sum + 1u, 0u, sum == 0u);
}

fn exponent(x: f32) -> i32 {
    return i32((bitcast<u32>(x) >> 23u) & 255u);
}

// How far K is to be moved towards the mean, or 0: see `step` in src/op/moments.rs.
fn way(sum: Sums) -> f32 {
    let d = exponent(sum.pairs[D].x);
    let dd = exponent(sum.pairs[DD].x);
    let w = exponent(sum.pairs[WEIGHT].x);
    let by = d - w + 126;
    if d == 0 || w == 0 || dd == 0 || dd == 255 || by < 1 || by > 254 || 2 * d < dd + w - 3 {
        return 0.0;
    }
    return bitcast<f32>((u32(by) << 23u) | (bitcast<u32>(sum.pairs[D].x) & 0x80000000u));
}

@compute @workgroup_size(WORKGROUP)
fn add(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let column = group.x;
    let own = home() + column * MOMENTS;
    let counted = counted_rows();
    let begins = begins_epoch();
    var origin = cell_at(own + 1u);
    if begins {
        origin = vec2<f32>();
        if counted > 0u {
            origin.x = target_of(0u, column);
        }
    }
    var sum = Sums();
    for (var r = local; r < counted; r += WORKGROUP) {
        let wanted = target_of(r, column);
        let apart = two_sum(wanted, -origin.x);
        let d = vec2(apart.x, apart.y - origin.y);
        let e = two_sum(y[r * params.columns + column], -wanted);
        var terms = Sums(array<vec2<f32>, SUMS>(
            vec2<f32>(1.0, 0.0), d, pair_times(d, d), e, pair_times(e, e), pair_times(d, e)
        ));
        let w = vec2(weight_of(r), 0.0);
        for (var k = 0u; k < SUMS; k++) {
            if WEIGHTED {
                terms.pairs[k] = pair_times(terms.pairs[k], w);
            }
            sum.pairs[k] = pair_plus(sum.pairs[k], terms.pairs[k]);
        }
    }
    sums[local] = sum;
    // Every invocation has read the origin by then.
    storageBarrier();
    workgroupBarrier();
    let lanes = min(WORKGROUP, counted);
    let filled = (lanes + GROUP - 1u) / GROUP;
    if local < filled * SUMS {
        let k = local % SUMS;
        let first = local / SUMS * GROUP;
        var total = vec2<f32>();
        for (var i = first; i < min(lanes, first + GROUP); i++) {
            total = pair_plus(total, sums[i].pairs[k]);
        }
        groups[local / SUMS].pairs[k] = total;
    }
    workgroupBarrier();
    if local < SUMS {
        var total = vec2<f32>();
        if !begins {
            total = cell_at(own + cell_of(local));
        }
        for (var i = 0u; i < filled; i++) {
            total = pair_plus(total, groups[i].pairs[local]);
        }
        sums[0].pairs[local] = total;
    }
    workgroupBarrier();
    if local == 0u {
        sum = sums[0];
        for (var i = 0u; i < STEPS; i++) {
            let by = way(sum);
            if by == 0.0 {
                break;
            }
            let moved = pair_plus(sum.pairs[WEIGHT] * by, -2.0 * sum.pairs[D]);
            sum.pairs[DD] = pair_plus(sum.pairs[DD], moved * by);
            sum.pairs[D] = pair_plus(sum.pairs[D], sum.pairs[WEIGHT] * -by);
            sum.pairs[DE] = pair_plus(sum.pairs[DE], sum.pairs[E] * -by);
            origin = pair_plus(origin, vec2(by, 0.0));
        }
        for (var k = 0u; k < SUMS; k++) {
            set_cell(own + cell_of(k), sum.pairs[k]);
        }
        set_cell(own + 1u, pair_plus(origin, vec2<f32>()));
        var rows = vec2<f32>();
        if !begins {
            rows = cell_at(own + 7u);
        }
        set_cell(own + 7u, pair_plus(rows, vec2(f32(counted), 0.0)));
    }
}
