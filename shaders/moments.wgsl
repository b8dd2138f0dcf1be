// Moments of an epoch's targets and errors, for each column: tally[slot, column, ·] = Σ w, K, Σ w·d, Σ w·d², Σ w·e, Σ w·e²,
// Σ w·d·e and the number of rows, with d = t − K, e = y − t and K the first target of the epoch.
//
// See tally.wgsl for the operands. K keeps the sums of squares from cancelling where targets lie far from zero. A workgroup
// takes a column: an invocation sums every WORKGROUP-th row, then the first sums theirs.

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

@group(0) @binding(6) var<storage, read_write> tally: array<f32>;

struct Sums {
    weight: f32,
    d: f32,
    dd: f32,
    e: f32,
    ee: f32,
    de: f32,
}

var<workgroup> sums: array<Sums, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn add(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let column = group.x;
    let own = home() + column * MOMENTS;
    let counted = counted_rows();
    var origin = tally[own + 1u];
    if begins_epoch() {
        origin = target_of(0u, column);
    }
    var sum = Sums(0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (var r = local; r < counted; r += WORKGROUP) {
        let w = weight_of(r);
        let wanted = target_of(r, column);
        let d = wanted - origin;
        let e = y[r * params.columns + column] - wanted;
        sum.weight += w;
        sum.d += w * d;
        sum.dd += w * d * d;
        sum.e += w * e;
        sum.ee += w * e * e;
        sum.de += w * d * e;
    }
    sums[local] = sum;
    // Every invocation has read the origin by then.
    storageBarrier();
    workgroupBarrier();
    if local == 0u {
        for (var i = 1u; i < WORKGROUP; i++) {
            sum.weight += sums[i].weight;
            sum.d += sums[i].d;
            sum.dd += sums[i].dd;
            sum.e += sums[i].e;
            sum.ee += sums[i].ee;
            sum.de += sums[i].de;
        }
        var more = array<f32, 8>(sum.weight, 0.0, sum.d, sum.dd, sum.e, sum.ee, sum.de, f32(counted));
        for (var i = 0u; i < MOMENTS; i++) {
            var value = tally[own + i];
            if begins_epoch() {
                value = select(0.0, origin, i == 1u);
            }
            tally[own + i] = value + more[i];
        }
    }
}
