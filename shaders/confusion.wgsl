// The confusion matrix of an epoch: tally[slot, wanted, said] += w for each row.
//
// See tally.wgsl for the operands. One workgroup, WORKGROUP rows at a time, because any row may fall into any cell. A row
// with a NaN, or with a class that is none, makes cell [0, 0] NaN.

struct Params {
    batch: u32,
    columns: u32,
    slots: u32,
    cells: u32,
    last: u32,
    each: u32,
    classes: u32,
    // The class that a row must not be of to count, where IGNORES.
    ignored: u32,
    threshold: f32,
}

// What a row says, and wants where its target is not a label: 0: the first of its largest, 1: whether its one number
// exceeds the threshold, or one half, 2: its one number is the class.
override SAYS: u32 = 0u;
override IGNORES: bool = false;

@group(0) @binding(6) var<storage, read_write> tally: array<f32>;

var<workgroup> cells: array<u32, WORKGROUP>;
var<workgroup> shares: array<f32, WORKGROUP>;

// A class, or a NaN's bits and no class.
struct Class {
    number: u32,
    lost: f32,
}

fn class_of_number(x: f32, threshold: f32) -> Class {
    if is_nan(x) {
        return Class(0u, x);
    }
    if SAYS == 1u {
        return Class(select(0u, 1u, x > threshold), 0.0);
    }
    // Beyond 2^24 whole numbers are not exact, and no class.
    let number = u32(clamp(x, 0.0, 16777216.0));
    let known = f32(number) == x && number < params.classes;
    return Class(number, select(bitcast<f32>(number | 0x7fc00000u), 0.0, known));
}

fn said_of(r: u32) -> Class {
    let start = r * params.columns;
    if SAYS != 0u {
        return class_of_number(y[start], params.threshold);
    }
    var best = 0u;
    var lost = 0.0;
    for (var j = 0u; j < params.columns; j++) {
        lost = keep_nan(y[start + j], lost);
        best = select(best, j, y[start + j] > y[start + best]);
    }
    return Class(best, lost);
}

fn wanted_of(r: u32) -> Class {
    if SPARSE {
        let label = t[row_of(r)];
        return Class(label, known_label(label, params.classes, 0.0));
    }
    let start = row_of(r) * params.columns;
    if SAYS != 0u {
        return class_of_number(bitcast<f32>(t[start]), 0.5);
    }
    var best = 0u;
    var lost = 0.0;
    for (var j = 0u; j < params.columns; j++) {
        let share = bitcast<f32>(t[start + j]);
        lost = keep_nan(share, lost);
        best = select(best, j, share > bitcast<f32>(t[start + best]));
    }
    return Class(best, lost);
}

@compute @workgroup_size(WORKGROUP)
fn count(@builtin(local_invocation_index) local: u32) {
    let own = home();
    if begins_epoch() {
        for (var i = local; i < params.cells; i += WORKGROUP) {
            set_cell(own + i, vec2<f32>());
        }
    }
    let counted = counted_rows();
    for (var first = 0u; first < counted; first += WORKGROUP) {
        let r = first + local;
        var cell = NOWHERE;
        var share = 0.0;
        if r < counted {
            let wanted = wanted_of(r);
            let said = said_of(r);
            let w = weight_of(r);
            cell = wanted.number * params.classes + said.number;
            share = w;
            if is_nan(wanted.lost) || is_nan(said.lost) || is_nan(w) {
                cell = 0u;
                share = keep_nan(wanted.lost, keep_nan(said.lost, w));
            }
            if IGNORES && wanted.number == params.ignored {
                cell = NOWHERE;
            }
        }
        cells[local] = cell;
        shares[local] = share;
        workgroupBarrier();
        storageBarrier();
        var leads = cell != NOWHERE;
        var sum = vec2<f32>();
        for (var i = 0u; leads && i < min(WORKGROUP, counted - first); i++) {
            if cells[i] == cell {
                leads = i >= local;
                // Ones add up exactly.
                if WEIGHTED {
                    sum = pair_and(sum, shares[i]);
                } else {
                    sum.x += shares[i];
                }
            }
        }
        if leads {
            set_cell(own + cell, pair_plus(cell_at(own + cell), sum));
        }
        workgroupBarrier();
    }
}
