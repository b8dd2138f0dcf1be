// Moments of an epoch's targets and errors, for each column: tally[slot, column, ·] = Σ w, K, Σ w·d, Σ w·d², Σ w·f, Σ w·f², L
// and the number of rows, with d = t − K, f = (y − t) − L, K a number near the targets and L one near the errors.
//
// See tally.wgsl for the operands and pair.wgsl for the sums. K and L keep the sums of squares from cancelling where targets or
// errors lie far from zero. They begin at the heaviest row of a batch that outweighs all rows before, which without weights is
// the first of the epoch; after a batch they are moved towards the means so far, by powers of two, whose products are exact. A
// workgroup takes a column: an invocation sums every WORKGROUP-th row; then GROUP at a time are summed, each of the sums by an
// invocation of its own.

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
const SUMS: u32 = 5u;
const GROUP: u32 = 16u;
// Times that K or L is moved after a batch, at most: `STEPS` in src/op/moments.rs.
const STEPS: u32 = 8u;

const WEIGHT = 0u;
const D = 1u;
const DD = 2u;
const F = 3u;
const FF = 4u;

// The cells that are no sums.
const K_CELL = 1u;
const L_CELL = 6u;
const ROWS_CELL = 7u;

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

// Sums of numbers and of their squares about an origin.
struct About {
    sum: vec2<f32>,
    squares: vec2<f32>,
    origin: vec2<f32>,
}

// The same about an origin that lies `by` further.
fn moved(about: About, weight: vec2<f32>, by: vec2<f32>) -> About {
    let way = pair_times(weight, by);
    let change = pair_times(pair_plus(way, -2.0 * about.sum), by);
    return About(
        pair_plus(about.sum, -way), pair_plus(about.squares, change), pair_plus(about.origin, by)
    );
}

fn exponent(x: f32) -> i32 {
    return i32((bitcast<u32>(x) >> 23u) & 255u);
}

// How far the origin is to be moved towards the mean, or 0: see `step` in src/op/moments.rs.
fn way_to_mean(about: About, weight: vec2<f32>) -> f32 {
    let d = exponent(about.sum.x);
    let dd = exponent(about.squares.x);
    let w = exponent(weight.x);
    let by = d - w + 126;
    if d == 0 || w == 0 || dd == 0 || dd == 255 || by < 1 || by > 254 || 2 * d < dd + w - 3 {
        return 0.0;
    }
    return bitcast<f32>((u32(by) << 23u) | (bitcast<u32>(about.sum.x) & 0x80000000u));
}

fn centred(given: About, weight: vec2<f32>) -> About {
    var about = given;
    for (var i = 0u; i < STEPS; i++) {
        let by = way_to_mean(about, weight);
        if by == 0.0 {
            break;
        }
        about = moved(about, weight, vec2(by, 0.0));
    }
    return about;
}

fn is_finite(x: f32) -> bool {
    return exponent(x) != 255;
}

// A row and its weight.
struct Heavy {
    weight: f32,
    row: u32,
}

var<workgroup> heavy: array<Heavy, WORKGROUP>;

fn heavier(a: Heavy, b: Heavy) -> Heavy {
    if b.weight > a.weight || (b.weight == a.weight && b.row < a.row) {
        return b;
    }
    return a;
}

// The heaviest row, the first among equals; a weight of 0 where none weighs anything.
fn heaviest(local: u32, counted: u32) -> Heavy {
    var own = Heavy(select(0.0, 1.0, counted > 0u), 0u);
    if WEIGHTED {
        own.weight = 0.0;
        for (var r = local; r < counted; r += WORKGROUP) {
            own = heavier(own, Heavy(weight_of(r), r));
        }
        heavy[local] = own;
        workgroupBarrier();
        if local < GROUP {
            for (var i = local; i < WORKGROUP; i += GROUP) {
                own = heavier(own, heavy[i]);
            }
            heavy[local] = own;
        }
        workgroupBarrier();
        for (var i = 0u; i < GROUP; i++) {
            own = heavier(own, heavy[i]);
        }
    }
    return own;
}

@compute @workgroup_size(WORKGROUP)
fn add(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let column = group.x;
    let own = home() + column * MOMENTS;
    let counted = counted_rows();
    let begins = begins_epoch();
    var weight = vec2<f32>();
    var k = vec2<f32>();
    var l = vec2<f32>();
    if !begins {
        weight = cell_at(own);
        k = cell_at(own + K_CELL);
        l = cell_at(own + L_CELL);
    }
    let k_before = k;
    let l_before = l;
    let most = heaviest(local, counted);
    let anew = most.weight > weight.x || (most.weight == weight.x && weight.y < 0.0);
    if anew {
        let wanted = target_of(most.row, column);
        let error = two_sum(y[most.row * params.columns + column], -wanted);
        k = select(vec2<f32>(), vec2(wanted, 0.0), is_finite(wanted));
        l = select(vec2<f32>(), error, is_finite(error.x));
    }
    var sum = Sums();
    for (var r = local; r < counted; r += WORKGROUP) {
        let wanted = target_of(r, column);
        let said = y[r * params.columns + column];
        let w = weight_of(r);
        // What weighs nothing is left out however large it is, but for a NaN.
        if WEIGHTED && w == 0.0 && !is_nan(wanted) && !is_nan(said) {
            continue;
        }
        let d = pair_plus(vec2(wanted, 0.0), -k);
        let f = pair_plus(two_sum(said, -wanted), -l);
        var terms = Sums(array<vec2<f32>, SUMS>(
            vec2<f32>(1.0, 0.0), d, pair_times(d, d), f, pair_times(f, f)
        ));
        for (var i = 0u; i < SUMS; i++) {
            if WEIGHTED {
                terms.pairs[i] = pair_times(terms.pairs[i], vec2(w, 0.0));
            }
            sum.pairs[i] = pair_plus(sum.pairs[i], terms.pairs[i]);
        }
    }
    sums[local] = sum;
    // Every invocation has read the cells by then.
    storageBarrier();
    workgroupBarrier();
    let lanes = min(WORKGROUP, counted);
    let filled = (lanes + GROUP - 1u) / GROUP;
    if local < filled * SUMS {
        let i = local % SUMS;
        let first = local / SUMS * GROUP;
        var total = vec2<f32>();
        for (var lane = first; lane < min(lanes, first + GROUP); lane++) {
            total = pair_plus(total, sums[lane].pairs[i]);
        }
        groups[local / SUMS].pairs[i] = total;
    }
    workgroupBarrier();
    if local < SUMS {
        var total = vec2<f32>();
        for (var i = 0u; i < filled; i++) {
            total = pair_plus(total, groups[i].pairs[local]);
        }
        sums[0].pairs[local] = total;
    }
    workgroupBarrier();
    if local == 0u {
        sum = sums[0];
        var targets = About(vec2<f32>(), vec2<f32>(), k);
        var errors = About(vec2<f32>(), vec2<f32>(), l);
        var rows = vec2<f32>();
        if !begins {
            targets = About(cell_at(own + cell_of(D)), cell_at(own + cell_of(DD)), k_before);
            errors = About(cell_at(own + cell_of(F)), cell_at(own + cell_of(FF)), l_before);
            rows = cell_at(own + ROWS_CELL);
        }
        if anew {
            targets = moved(targets, weight, pair_plus(k, -k_before));
            errors = moved(errors, weight, pair_plus(l, -l_before));
        }
        weight = pair_plus(weight, sum.pairs[WEIGHT]);
        targets = About(
            pair_plus(targets.sum, sum.pairs[D]), pair_plus(targets.squares, sum.pairs[DD]), k
        );
        errors = About(
            pair_plus(errors.sum, sum.pairs[F]), pair_plus(errors.squares, sum.pairs[FF]), l
        );
        targets = centred(targets, weight);
        errors = centred(errors, weight);
        set_cell(own, weight);
        set_cell(own + K_CELL, targets.origin);
        set_cell(own + cell_of(D), targets.sum);
        set_cell(own + cell_of(DD), targets.squares);
        set_cell(own + cell_of(F), errors.sum);
        set_cell(own + cell_of(FF), errors.squares);
        set_cell(own + L_CELL, errors.origin);
        set_cell(own + ROWS_CELL, pair_plus(rows, vec2(f32(counted), 0.0)));
    }
}
