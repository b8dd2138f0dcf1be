// y = (x − μ)/√(v + ε) along rows, with μ the row's mean and v = Σ(x − μ)²/n, or without a mean: μ = 0; and
// dx = (dy − Σdy/n − y·Σ(dy·y)/n)/√(v + ε), without Σdy/n where there is no mean.
//
// x, y, dy, dx: [outer, columns, inner], rows along the middle as in along.wgsl; mean, variance: [outer, inner]; lanes to
// a row as in rows.wgsl. v takes a second pass over the row: Σx² − n·μ² would lose it behind a large mean.
//
// With RAGGED rows go along the batch, and only the elements of the cursor's rows count, `each` of them a row of the
// batch: those behind them are computed alike, and have no gradient.

// Where the cursor holds the number of rows of this batch.
const ROWS = 3u;

struct Params {
    rows: u32,
    columns: u32,
    inner: u32,
    each: u32,
    epsilon: f32,
}

override CENTER: bool = true;
override RAGGED: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> cursor: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> variance: array<f32>;

@group(0) @binding(1) var<storage, read> saved: array<f32>;
@group(0) @binding(3) var<storage, read> spread: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

// How many elements of a row count: at least one, and never more than there are.
fn count() -> u32 {
    if RAGGED {
        return clamp(cursor[ROWS] * params.each, 1u, params.columns);
    }
    return params.columns;
}

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    let base = base_of(row);
    let n = count();
    let counted = min(row.end, row.start + n);
    var center = 0.0;
    if CENTER {
        for (var i = row.first; i < counted; i += LANES) {
            center += x[place(row, base, i)];
        }
        center = row_sum(local, center) / f32(n);
    }
    var squares = 0.0;
    for (var i = row.first; i < counted; i += LANES) {
        let d = x[place(row, base, i)] - center;
        squares += d * d;
    }
    let v = row_sum(local, squares) / f32(n);
    let root = sqrt(v + params.epsilon);
    for (var i = row.first; i < row.end; i += LANES) {
        let at = place(row, base, i);
        y[at] = keep_nan(v, (x[at] - center) / root);
    }
    if row.leads {
        mean[row.index] = center;
        variance[row.index] = v;
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    let base = base_of(row);
    let n = count();
    let counted = min(row.end, row.start + n);
    var sum = 0.0;
    var products = 0.0;
    for (var i = row.first; i < counted; i += LANES) {
        let at = place(row, base, i);
        sum += dy[at];
        products += dy[at] * saved[at];
    }
    sum = row_sum(local, sum) / f32(n);
    products = row_sum(local, products) / f32(n);
    if !CENTER {
        sum = 0.0;
    }
    let root = sqrt(spread[row.index] + params.epsilon);
    for (var i = row.first; i < row.end; i += LANES) {
        let at = place(row, base, i);
        let slope = keep_nan(root, (dy[at] - sum - saved[at] * products) / root);
        dx[at] = select(0.0, slope, i < counted);
    }
}
