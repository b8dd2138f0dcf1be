// C = op(A)·op(B) where C has at most eight rows: a matrix times a vector or a few, for GPUs.
//
//   C [m,n]   c_ij = Σ_p op(A)_ip · op(B)_pj;  op(A) [m,k], stored [k,m] with TA;  op(B) [k,n], stored [n,k] with TB
//
// Every element of B is used m times only, so loads of B are all that counts: tiles of 16 rows would compute rows that do
// not exist, and leave a GPU with too few invocations to hide its latency. Here an invocation owns four columns of all
// rows and one of SLICES interleaved slices of k; the slices are then added in ascending order, so the same bits on every run.
//
// GPUs: 32 columns a workgroup, and 32, 16 or 8 slices for 1, 4 or 8 rows: sums of 4 to 8 KiB in workgroup memory. The
// invocations along x load neighbouring quads of B: of a row where it is stored [k,n], of a column where it is [n,k].
// Reasoned, not yet timed on a GPU. CPU adapters keep their tiles of four rows in registers, which load no more than this
// does; a table of measured kernels may name it there, with one slice and hence no barrier.
//
// Few columns instead of few rows: bound with A and B exchanged, see matmul.wgsl. Blocks: see matmul_blocks.wgsl;
// Params, operands and where C goes: matmul_store.wgsl. Both stand behind this text. A, B and saved may be f16, C is f32:
// with TC a word of two f16 would lie in the rows of two invocations.

override ROWS: u32 = 1;    // 1, 4 or 8, at least m
override QUADS: u32 = 8;   // columns of a workgroup, in fours
override SLICES: u32 = 1;
override GROUP_X: u32 = 8; // QUADS, and SLICES along y; the other way round with TB and more than one slice
override GROUP_Y: u32 = 1;

override SUMS: u32 = QUADS * SLICES * ROWS;
var<workgroup> sums: array<vec4<f32>, SUMS>; // [slice, quad, row]

fn one_row_of_a(p: u32, end: u32) -> vec4<f32> {
    if !TA { return a_along_k(0u, p, end); }
    return vec4(a_along_m(0u, p, end).x, a_along_m(0u, p + 1u, end).x,
                a_along_m(0u, p + 2u, end).x, a_along_m(0u, p + 3u, end).x);
}

fn four_rows_of_a(i: u32, p: u32, end: u32) -> mat4x4<f32> {
    if TA {
        return transpose(mat4x4(a_along_m(i, p, end), a_along_m(i, p + 1u, end),
                                a_along_m(i, p + 2u, end), a_along_m(i, p + 3u, end)));
    }
    return mat4x4(a_along_k(i, p, end), a_along_k(i + 1u, p, end), a_along_k(i + 2u, p, end), a_along_k(i + 3u, p, end));
}

fn keep_four(at: u32, c: mat4x4<f32>) {
    sums[at] = c[0];
    sums[at + 1u] = c[1];
    sums[at + 2u] = c[2];
    sums[at + 3u] = c[3];
}

fn store_row(split: u32, i: u32, j: u32, v: vec4<f32>) {
    for (var q = 0u; q < 4u && j + q < problem.n; q++) {
        store(split, i, j + q, v[q]);
    }
}

@compute @workgroup_size(GROUP_X, GROUP_Y)
fn vector(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
          @builtin(local_invocation_id) local: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let number = group.y * groups.x + group.x;
    if number >= params.tiles { return; }
    let task = begin(number);
    problem = task;
    let along_k = TB && SLICES > 1u;
    let quad = select(local.x, local.y, along_k);
    let slice = select(local.y, local.x, along_k);
    let first = task.tile * QUADS * 4u;
    let j = first + quad * 4u;
    let begin = task.k_begin + group.z * task.k_chunk;
    let end = min(begin + task.k_chunk, task.k_end);

    var row: vec4<f32>;
    var c0: mat4x4<f32>;
    var c1: mat4x4<f32>;
    for (var p = begin + slice * 4u; p < end; p += SLICES * 4u) {
        let rows_of_b = block_of_b(p, j, end);
        if ROWS == 1u {
            row = row_product(row, one_row_of_a(p, end), rows_of_b);
        } else {
            c0 = add_product(c0, four_rows_of_a(0u, p, end), rows_of_b);
            if ROWS == 8u { c1 = add_product(c1, four_rows_of_a(4u, p, end), rows_of_b); }
        }
    }
    if SLICES == 1u {
        if ROWS == 1u {
            store_row(group.z, 0u, j, row);
        } else {
            store_block(group.z, 0u, j, 1u, c0);
            if ROWS == 8u { store_block(group.z, 4u, j, 1u, c1); }
        }
    } else {
        let at = (slice * QUADS + quad) * ROWS;
        if ROWS == 1u {
            sums[at] = row;
        } else {
            keep_four(at, c0);
            if ROWS == 8u { keep_four(at + 4u, c1); }
        }
        workgroupBarrier();
        // With fewer slices than rows an invocation adds up several.
        for (var own = index; own < QUADS * ROWS; own += GROUP_X * GROUP_Y) {
            var sum = sums[own];
            for (var s = 1u; s < SLICES; s++) { sum += sums[s * QUADS * ROWS + own]; }
            store_row(group.z, own % ROWS, first + own / ROWS * 4u, sum);
        }
    }
}
