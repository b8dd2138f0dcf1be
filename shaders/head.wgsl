// The head of a model in one dispatch: each row's loss and accuracy, summed into the step's place in a ring, and the
// gradient of the batch's mean loss.
//
// y (logits, or outputs where the loss reads those), dy: [batch, columns], where y is read from memory (head_stored.wgsl) or
// computed here from the last layer's input (head_dense.wgsl), one of which stands behind this text; t: [batch, columns]
// numbers or, where SPARSE, [batch] labels; with GATHER [rows of the data, …], of which row indices[r] is meant. ring:
// [ring_rows, ring_columns, parts, 2], a pair for each sum, see pair.wgsl. A workgroup takes one part of the batch, `part_rows`
// rows, of which it has WORKGROUP / LANES at a time, and sums them in a fixed order: first an invocation its own rows, then the
// first invocation all of theirs.
//
// Only the first cursor[ROWS] rows count; dy of the others is 0, which is what the mean over the counted ones gives.

struct Params {
    batch: u32,
    columns: u32,
    part_rows: u32,
    parts: u32,
    ring_rows: u32,
    ring_columns: u32,
    loss_column: u32,
    metric_column: u32,
    last: u32,      // the last row of t, with GATHER
    threshold: f32, // of the binary accuracy
    scale: f32,     // of the squared error
    // Of the last layer, if it is computed here: columns of x, and the last row of x, with GATHER_X.
    inputs: u32,
    last_x: u32,
}

// The words of the cursor: `cursor` in src/op/clock.rs.
const STEP: u32 = 0u;
const ROWS: u32 = 3u;
const SCALE: u32 = 7u;

override LOSS: u32 = 0u;     // 0: cross-entropy of logits, 1: binary cross-entropy, 2: squared error
override ACCURACY: u32 = 0u; // 0: none, 1: binary, 2: classes
override SPARSE: bool = false;
override GATHER: bool = false;
override SCALED: bool = false; // dy is times the loss scale

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cursor: array<u32>;
// Labels, or the bits of numbers.
@group(0) @binding(2) var<storage, read> t: array<u32>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;

// Where the row's target begins in t.
fn target_of(row: Row) -> u32 {
    var at = row.index;
    if GATHER {
        at = min(indices[row.index], params.last);
    }
    return select(at * params.columns, at, SPARSE);
}

fn weight(row: Row, i: u32) -> f32 {
    let at = target_of(row);
    if SPARSE {
        return select(0.0, 1.0, t[at] == i - row.start);
    }
    return bitcast<f32>(t[at + i - row.start]);
}

// NaN for a label that names no class; the bits are the label's, so that no driver can fold it away.
fn known_label(row: Row, value: f32) -> f32 {
    if SPARSE {
        let label = t[target_of(row)];
        return select(value, bitcast<f32>(label | 0x7fc00000u), label >= params.columns);
    }
    return value;
}

// The row that this invocation shares: the `number`-th of the part. Behind the part's end it has no elements, but goes on:
// it must take part in the barriers.
fn part_row(part: u32, number: u32, lane: u32) -> Row {
    let index = part * params.part_rows + number;
    if number >= params.part_rows || index >= params.batch {
        return Row(0u, 0u, 0u, 0u, false);
    }
    let start = index * params.columns;
    return Row(index, start, start + lane, start + params.columns, lane == 0u);
}

fn accuracy(row: Row, local: u32) -> f32 {
    if ACCURACY == 1u {
        var right = 0.0;
        for (var i = row.first; i < row.end; i += LANES) {
            let wanted = weight(row, i);
            let said = select(0.0, 1.0, number(i) > params.threshold);
            right += keep_nan(number(i), keep_nan(wanted, select(0.0, 1.0, said == wanted)));
        }
        return row_sum(local, right) / f32(params.columns);
    }
    // The first of the largest, in two passes: the largest, then the smallest index that holds it.
    var lost = 0.0;
    var largest = number(row.start);
    var largest_target = weight(row, row.start);
    for (var i = row.first; i < row.end; i += LANES) {
        largest = max(largest, number(i));
        largest_target = max(largest_target, weight(row, i));
        lost = keep_nan(number(i), keep_nan(weight(row, i), lost));
    }
    largest = row_max(local, largest);
    largest_target = row_max(local, largest_target);
    var said = 0xffffffffu;
    var wanted = 0xffffffffu;
    for (var i = row.first; i < row.end; i += LANES) {
        if number(i) == largest {
            said = min(said, i - row.start);
        }
        if weight(row, i) == largest_target {
            wanted = min(wanted, i - row.start);
        }
    }
    said = row_first(local, said);
    wanted = row_first(local, wanted);
    return known_label(row, keep_nan(row_sum(local, lost), select(0.0, 1.0, said == wanted)));
}

fn loss(row: Row, local: u32, powers: Powers) -> f32 {
    if LOSS == 0u {
        return known_label(row, loss_of_logits(row, local, powers));
    }
    // Four sums in turn: of equal terms, one would be off in the same direction in every row.
    var turns = vec4<f32>();
    for (var i = row.first; i < row.end; i += LANES) {
        let wanted = weight(row, i);
        var own = 0.0;
        if LOSS == 1u {
            own = keep_nan(number(i), keep_nan(wanted, term(number(i), wanted)));
        } else {
            let error = number(i) - wanted;
            own = error * error;
        }
        turns = vec4(turns.yzw, turns.x + own);
    }
    let sum = row_sum(local, (turns.x + turns.y) + (turns.z + turns.w));
    return select(params.scale * sum, sum / f32(params.columns), LOSS == 1u);
}

// d loss/dy of element i.
fn slope_of_loss(row: Row, i: u32, powers: Powers) -> f32 {
    let wanted = weight(row, i);
    if LOSS == 0u {
        return known_label(row, slope_of_logit(row, i, powers));
    }
    if LOSS == 1u {
        return keep_nan(number(i), keep_nan(wanted, slope(number(i), wanted))) / f32(params.columns);
    }
    return 2.0 * params.scale * (number(i) - wanted);
}

// The largest logit and the sum of powers, for the loss that needs them.
fn powers_of(row: Row, local: u32) -> Powers {
    if LOSS == 0u {
        return row_powers(row, local);
    }
    return Powers(0.0, 0.0, 0.0);
}

// Loss and accuracy of a row, if it counts; only of an invocation that leads its row.
fn measured(row: Row, local: u32, powers: Powers, counted: u32) -> vec2<f32> {
    var values = vec2(loss(row, local, powers), 0.0);
    if ACCURACY != 0u {
        values.y = accuracy(row, local);
    }
    return select(vec2<f32>(), values, row.leads && row.index < counted);
}

// The rows of a part, of a step that has a number, as all have. A bound that is a uniform's alone is one that lavapipe writes into
// the kernel, and compiles that anew for each dispatch.
fn rows_of_part() -> u32 {
    return select(params.part_rows, 0u, cursor[STEP] == 0u);
}

// Sums over rows, as pairs.
struct RowSums {
    loss: vec2<f32>,
    right: vec2<f32>,
}

var<workgroup> sums: array<RowSums, WORKGROUP>;

fn with_row(sum: RowSums, values: vec2<f32>) -> RowSums {
    var more = RowSums(pair_and(sum.loss, values.x), sum.right);
    if ACCURACY != 0u {
        more.right = pair_and(sum.right, values.y);
    }
    return more;
}

fn store_sum(column: u32, part: u32, sum: vec2<f32>) {
    let row = ((cursor[STEP] - 1u) % params.ring_rows) * params.ring_columns;
    let at = 2u * ((row + column) * params.parts + part);
    let stored = pair_plus(sum, vec2<f32>());
    ring[at] = stored.x;
    ring[at + 1u] = stored.y;
}

fn record(part: u32, local: u32, sum: RowSums) {
    sums[local] = sum;
    workgroupBarrier();
    if local == 0u {
        var total = sum;
        for (var i = LANES; i < WORKGROUP; i += LANES) {
            let other = sums[i];
            total = with_row(total, vec2(other.loss.x, other.right.x));
            total.loss.y += other.loss.y;
            total.right.y += other.right.y;
        }
        store_sum(params.loss_column, part, total.loss);
        if ACCURACY != 0u {
            store_sum(params.metric_column, part, total.right);
        }
    }
}

// Measures only.
@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let counted = cursor[ROWS];
    let rows = rows_of_part();
    var sum = RowSums();
    for (var first = 0u; first < rows; first += WORKGROUP / LANES) {
        prepare(group.x * params.part_rows + first, local);
        let row = part_row(group.x, first + local / LANES, local % LANES);
        sum = with_row(sum, measured(row, local, powers_of(row, local), counted));
    }
    record(group.x, local, sum);
}

// Measures, and stores dy.
@compute @workgroup_size(WORKGROUP)
fn forward_backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let counted = min(cursor[ROWS], params.batch);
    var share = 1.0 / f32(max(counted, 1u));
    if SCALED { share *= bitcast<f32>(cursor[SCALE]); }
    let rows = rows_of_part();
    var sum = RowSums();
    for (var first = 0u; first < rows; first += WORKGROUP / LANES) {
        prepare(group.x * params.part_rows + first, local);
        let row = part_row(group.x, first + local / LANES, local % LANES);
        let powers = powers_of(row, local);
        sum = with_row(sum, measured(row, local, powers, counted));
        let dloss = select(0.0, share, row.index < counted);
        for (var i = row.first; i < row.end; i += LANES) {
            dy[i] = slope_of_loss(row, i, powers) * dloss;
        }
    }
    record(group.x, local, sum);
}
