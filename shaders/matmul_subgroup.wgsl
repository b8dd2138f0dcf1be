// C = op(A)·op(B) for CPU adapters with subgroups: the lanes load A once between them and share it.
//
//   C [m,n]   c_ij = Σ_p op(A)_ip · op(B)_pj,  p ascending in fours, so the same bits on every run
//   op(A) [m,k], stored [k,m] with TA;  op(B) [k,n], stored [n,k] with TB;  all row-major f32
//
// Needs Features::SUBGROUP and an adapter whose smallest and largest subgroup are both LANES: a workgroup is exactly one
// subgroup. A device without the feature refuses the whole module, so this is a file of its own; params, overrides, the
// contract with the host and the readers of quads are those of matmul.wgsl.
//
// A tile is ROWS × 4·LANES of C. A lane owns four columns of every row: it loads its own four quads of op(B) a step of
// four k, and its share, ROWS / LANES quads, of op(A), which the others take from it by shuffles with constant indices.
// So nothing is loaded twice in a tile: a step loads ROWS/8 + 4 quads a lane for 4·ROWS vec4 products (8 lanes).
//
// Measured on lavapipe 22.3.6 (8 lanes, AMD EPYC Zen 3, AVX2), GFLOP/s at 512³ NN / NT / TN, and compilation:
//   16 rows   4.8 / 5.1 / 5.0   0.30 s
//   32 rows   7.1 / 7.0 / 7.6   0.55 s     4 + 4 quads for 128 products: loads of A and B in balance
// `choose` cuts the rows evenly into tiles of at most 32. More shapes, and what was rejected: see matmul.wgsl.
// Named blocks c0…c7, because an array of them falls back to memory where a driver does not unroll its loop.

// Params, operands and blocks: see matmul_blocks.wgsl; where C goes: matmul_store.wgsl. Both stand behind this text.

override ROWS: u32 = 32; // rows of a tile: a multiple of 4, at most 32
override LANES: u32 = 8; // the adapter's subgroup size, exactly; a power of two, at least 4

// ---- the lanes' share of A ------------------------------------------------------------------------------------------

// The ROWS quads of a step of four k, spread over the lanes: lane l holds quads l, l + LANES, l + 2·LANES, …
const MOST_QUADS = 8u; // ROWS / LANES of the tallest tile on the narrowest subgroup: 32 / 4
alias Quads = array<vec4<f32>, MOST_QUADS>;

// Quad q is row i + q along k, or, with TA, columns 4·(q mod ROWS/4) of stored row p + q / (ROWS/4).
fn load_quads(lane: u32, i: u32, p: u32, end: u32) -> Quads {
    var quads: Quads;
    for (var s = 0u; s < (ROWS + LANES - 1u) / LANES; s++) {
        let q = min(s * LANES + lane, ROWS - 1u);
        if TA {
            quads[s] = a_along_m(i + q % (ROWS / 4u) * 4u, p + q / (ROWS / 4u), end);
        } else {
            quads[s] = a_along_k(i + q, p, end);
        }
    }
    return quads;
}

fn quad(quads: Quads, q: u32) -> vec4<f32> {
    var local = quads; // naga indexes values by constants only
    return subgroupShuffle(local[q / LANES], q % LANES);
}

// Rows 4r..4r+3 of the tile.
fn block_of_a(quads: Quads, r: u32) -> mat4x4<f32> {
    if TA {
        let k_step = ROWS / 4u;
        return transpose(mat4x4(quad(quads, r), quad(quads, r + k_step),
                                quad(quads, r + 2u * k_step), quad(quads, r + 3u * k_step)));
    }
    return mat4x4(quad(quads, 4u * r), quad(quads, 4u * r + 1u), quad(quads, 4u * r + 2u), quad(quads, 4u * r + 3u));
}

@compute @workgroup_size(LANES)
fn lanes(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
         @builtin(subgroup_invocation_id) lane: u32) {
    let number = group.y * groups.x + group.x;
    if number >= params.tiles { return; }
    let task = begin(number);
    problem = task;
    let tile_i = task.tile / task.tiles_n;
    let i = tile_i * ROWS;
    let j = ((task.tile - tile_i * task.tiles_n) * LANES + lane) * 4u;
    let begin = task.k_begin + group.z * task.k_chunk;
    let end = min(begin + task.k_chunk, task.k_end);

    var c0: mat4x4<f32>;
    var c1: mat4x4<f32>;
    var c2: mat4x4<f32>;
    var c3: mat4x4<f32>;
    var c4: mat4x4<f32>;
    var c5: mat4x4<f32>;
    var c6: mat4x4<f32>;
    var c7: mat4x4<f32>;
    for (var p = begin; p < end; p += 4u) {
        let quads = load_quads(lane, i, p, end);
        let rows_of_b = block_of_b(p, j, end);
        c0 = add_product(c0, block_of_a(quads, 0u), rows_of_b);
        if ROWS > 4u { c1 = add_product(c1, block_of_a(quads, 1u), rows_of_b); }
        if ROWS > 8u { c2 = add_product(c2, block_of_a(quads, 2u), rows_of_b); }
        if ROWS > 12u { c3 = add_product(c3, block_of_a(quads, 3u), rows_of_b); }
        if ROWS > 16u { c4 = add_product(c4, block_of_a(quads, 4u), rows_of_b); }
        if ROWS > 20u { c5 = add_product(c5, block_of_a(quads, 5u), rows_of_b); }
        if ROWS > 24u { c6 = add_product(c6, block_of_a(quads, 6u), rows_of_b); }
        if ROWS > 28u { c7 = add_product(c7, block_of_a(quads, 7u), rows_of_b); }
    }
    store_block(group.z, i, j, 1u, c0);
    if ROWS > 4u { store_block(group.z, i + 4u, j, 1u, c1); }
    if ROWS > 8u { store_block(group.z, i + 8u, j, 1u, c2); }
    if ROWS > 12u { store_block(group.z, i + 12u, j, 1u, c3); }
    if ROWS > 16u { store_block(group.z, i + 16u, j, 1u, c4); }
    if ROWS > 20u { store_block(group.z, i + 20u, j, 1u, c5); }
    if ROWS > 24u { store_block(group.z, i + 24u, j, 1u, c6); }
    if ROWS > 28u { store_block(group.z, i + 28u, j, 1u, c7); }
}
