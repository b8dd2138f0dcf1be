// C = op(A)·op(B): matrix products, for GPUs and for adapters that run on the processor.
//
//   C [m,n]   c_ij = Σ_p op(A)_ip · op(B)_pj,  p ascending in fours, so the same bits on every run
//   op(A) [m,k], stored [k,m] with TA;  op(B) [k,n], stored [n,k] with TB;  all row-major f32
//
// Entry points
//   tiled      GPUs: tiles of op(A) and op(B) in workgroup memory, 4×4 (or 8×8) of C in an invocation's registers
//   registers  in matmul_registers.wgsl, CPU adapters without subgroups: no workgroup memory, no barriers, 8×8 in registers
//   vector     in matmul_vector.wgsl, GPUs: C of at most eight rows or columns
//   combine    in matmul_combine.wgsl, after a product over splits of k (workgroup z computes split z into [splits, m, n])
// `lanes` in matmul_subgroup.wgsl is for CPU adapters with subgroups; it is a file of its own because a device without
// the feature refuses a module that mentions them. `choose` in src/op/matmul/choose.rs picks entry, tile and splits by shape.
//
// Contract with the host
//   - a and b are bound in whole quads: their binding sizes are rounded up to 16 bytes. What lies in the rest, or
//     behind, is never used. c is bound as it is; nothing outside m×n (of its split) is written.
//   - A_VEC (B_VEC) only if a stored row of A (B) is a multiple of 4 long. Otherwise quads are gathered by element.
//   - K_TAIL unless k is a multiple of 4 (of TILE_K, for `tiled`).
//   - C narrower than a row of lanes: bind B as a and A as b, swap m and n, TA = !TB and TB = !TA, and set TC. The
//     lanes then lie along the longer side of C: a product with n = 10 or n = 1 uses all of them.
//   - Long k: several dispatches over k_begin..k_end, the later ones with ACCUMULATE, or splits and `combine`.
//
// Everything is done in 4×4 blocks, held as a mat4x4 whose *columns* are the block's *rows*. A block is read in the
// direction in which its operand is stored and transposed in registers, which is free, so all four of NN, NT, TN, TT
// run the same code at the same speed and nothing is transposed in memory.
//
// Tiles of `tiled`: 64×64 (16×16 invocations, TILE_K 16, 10 KiB) is the middle way; 128×128 in 8×8 (TILE_K 8, 12 KiB)
// halves what a product reads from workgroup memory, when C has 64 such tiles; 32×32 when C is small; 64×16, 16×64, 32×16 and
// 16×32 where they compute less beyond its edges. The usual shapes for GPUs: `tiled` is tested on CPU adapters and was not yet timed on a GPU.
// Tile of `registers`: 8×8, 16 loaded quads for 256 vec4 products a step of four k.
//
// Measured: GFLOP/s on lavapipe 22.3.6 (LLVM 15, 8 lanes), 2 cores of an AMD EPYC (Zen 3: AVX2, no AVX-512), from
// processor time because the machine was shared; tiles and swaps as `choose` picks them.
//      m    n     k      lanes   registers
//    128  128   784 NN    7.1     2.2
//    784  128   128 TN    6.6     2.2
//    128  784   128 NT    7.1     2.0
//    128   10   128 NN    3.3     1.4
//    128   10   128 TN    2.7     1.3
//    128  128    10 NT    3.5     1.5
//    512 1024   784 NN    6.7     2.0
//    512 1024  1024 NN    6.6     1.9
//   1024 1024   512 TN    6.2     2.1
//     32   10     8 NN    0.5     0.1    (10 µs)
//      8   10    32 TN    0.3     0.1    (20 µs)
//      1 1024  1024 NN    0.3     0.4    (every float of B is loaded for one product)
//   1024    1  1024 NN    0.4     0.4
//    128   10 60000 TN    2.8     1.4    (2 splits)
//    512  512   512 NN TN NT   6.2 6.9 6.9    2.1 2.0 2.2
//   1024 1024  1024 NN TN NT   6.3 5.9 8.2    1.9 1.9 2.2
// `tiled` reaches 0.9 at 512³ there: it is for GPUs.
//
// Loads set these figures. llvmpipe loads lane by lane and inserts each float into a vector at a variable place, which
// without AVX-512 goes through memory: about 24 cycles a float. With AVX-512 it does not: a 16-row prototype of `lanes`
// that reaches 5 GFLOP/s here reached 49 on such a processor.
//
// Tried and rejected (same adapter and processor):
//   - accumulators in an array walked by a loop: 16 rows as fast as named blocks, but at 32 rows Mesa no longer unrolls
//     the loop, and 2.6 GFLOP/s and 3.2 s of compilation are left of 7.1 and 0.6.
//   - guarded stores written out instead of a loop over the columns of a block: 0.2 s more compilation at 32 rows.
//   - operands in uniform buffers: llvmpipe gathers those without the detour, 16 GFLOP/s instead of 3.9 at 128³, but a
//     binding ends at 64 KiB. Worth remembering for tiny networks.

// Params, operands and blocks: see matmul_blocks.wgsl; where C goes: matmul_store.wgsl. Both stand behind this text.

override TILE_M: u32 = 64;
override TILE_N: u32 = 64;
override TILE_K: u32 = 16;
override BLOCKS_M: u32 = 1;  // 4×4 blocks of an invocation, 1 or 2 each way
override BLOCKS_N: u32 = 1;
override SUMS: bool = false;   // tiles of the first rows hand the sums of op(B)'s columns to `store_sums` of the part behind
override SPREAD: bool = true;  // with TB: an invocation's columns lie GROUP_X apart, not side by side
override GROUP_X: u32 = 16;  // TILE_N / (4·BLOCKS_N)
override GROUP_Y: u32 = 16;  // TILE_M / (4·BLOCKS_M)

// The tiles lie as their operands are stored. Where stored rows run along k, one quad of padding a row spreads the rows
// over the banks; the arrays are sized for that case, the larger one.
// Named, because naga 30 stumbles over an unnamed length in front of other overrides.
override QUADS_OF_A: u32 = TILE_M * (TILE_K / 4u + 1u);
override QUADS_OF_B: u32 = TILE_N * (TILE_K / 4u + 1u);
var<workgroup> tile_a: array<vec4<f32>, QUADS_OF_A>;
var<workgroup> tile_b: array<vec4<f32>, QUADS_OF_B>;

const PAD = 1u;

// Consecutive invocations read consecutive quads of stored rows.
fn fill_tiles(index: u32, i: u32, j: u32, p: u32, end: u32) {
    for (var q = index; q < TILE_M * TILE_K / 4u; q += GROUP_X * GROUP_Y) {
        if TA {
            tile_a[q] = a_along_m(i + q % (TILE_M / 4u) * 4u, p + q / (TILE_M / 4u), end);
        } else {
            let row = q / (TILE_K / 4u);
            tile_a[q + row * PAD] = a_along_k(i + row, p + q % (TILE_K / 4u) * 4u, end);
        }
    }
    for (var q = index; q < TILE_N * TILE_K / 4u; q += GROUP_X * GROUP_Y) {
        if TB {
            let row = q / (TILE_K / 4u);
            tile_b[q + row * PAD] = b_along_k(p + q % (TILE_K / 4u) * 4u, j + row, end);
        } else {
            tile_b[q] = b_along_n(p + q / (TILE_N / 4u), j + q % (TILE_N / 4u) * 4u, end);
        }
    }
}

// Rows i..i+3, columns 4p..4p+3 of the tile of op(A).
fn tile_block_of_a(i: u32, p: u32) -> mat4x4<f32> {
    if TA {
        let at = p * TILE_M + i / 4u;
        let row = TILE_M / 4u;
        return transpose(mat4x4(tile_a[at], tile_a[at + row], tile_a[at + 2u * row], tile_a[at + 3u * row]));
    }
    let row = TILE_K / 4u + PAD;
    let at = i * row + p;
    return mat4x4(tile_a[at], tile_a[at + row], tile_a[at + 2u * row], tile_a[at + 3u * row]);
}

// Rows 4p..4p+3 of the tile of op(B), columns j, j + step, j + 2·step, j + 3·step (see `column_step`).
fn tile_block_of_b(p: u32, j: u32) -> mat4x4<f32> {
    if TB {
        let row = TILE_K / 4u + PAD;
        let at = j * row + p;
        let next = select(1u, GROUP_X, SPREAD) * row;
        return transpose(mat4x4(tile_b[at], tile_b[at + next], tile_b[at + 2u * next], tile_b[at + 3u * next]));
    }
    let row = TILE_N / 4u;
    let at = p * TILE_N + j / 4u;
    return mat4x4(tile_b[at], tile_b[at + row], tile_b[at + 2u * row], tile_b[at + 3u * row]);
}

@compute @workgroup_size(GROUP_X, GROUP_Y)
fn tiled(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
         @builtin(local_invocation_id) local: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let number = group.y * groups.x + group.x;
    if number >= params.tiles { return; }
    let task = begin(number);
    problem = task;
    let tile_i = task.tile / task.tiles_n;
    let i = tile_i * TILE_M;
    let j = (task.tile - tile_i * task.tiles_n) * TILE_N;
    let begin = task.k_begin + group.z * task.k_chunk;
    let end = min(begin + task.k_chunk, task.k_end);

    // An invocation's four columns are neighbours, or, where B's stored rows run along k, GROUP_X apart: then the
    // invocations of a row read neighbouring stored rows, which lie in different banks. C in pairs must do without.
    let spread = TB && SPREAD;
    let ti = local.y * 4u;
    let tj = select(local.x * 4u, local.x, spread);
    let column_step = select(1u, GROUP_X, spread);

    var c00: mat4x4<f32>;
    var c01: mat4x4<f32>;
    var c10: mat4x4<f32>;
    var c11: mat4x4<f32>;
    let first_rows = tile_i == 0u && local.y == 0u;
    var sums_0: vec4<f32>;
    var sums_1: vec4<f32>;
    for (var p0 = begin; p0 < end; p0 += TILE_K) {
        fill_tiles(index, i, j, p0, end);
        workgroupBarrier();
        // The last step goes as far as k does: its zeros behind would add nothing.
        var quads = TILE_K / 4u;
        if K_TAIL { quads = min(quads, (end - p0 + 3u) / 4u); }
        for (var p = 0u; p < quads; p++) {
            let a0 = tile_block_of_a(ti, p);
            let b0 = tile_block_of_b(p, tj);
            c00 = add_product(c00, a0, b0);
            if SUMS { if first_rows { sums_0 = add_rows(sums_0, b0); } }
            if BLOCKS_N == 2u {
                let b1 = tile_block_of_b(p, tj + TILE_N / 2u);
                if SUMS { if first_rows { sums_1 = add_rows(sums_1, b1); } }
                c01 = add_product(c01, a0, b1);
                if BLOCKS_M == 2u {
                    let a1 = tile_block_of_a(ti + TILE_M / 2u, p);
                    c10 = add_product(c10, a1, b0);
                    c11 = add_product(c11, a1, b1);
                }
            } else if BLOCKS_M == 2u {
                c10 = add_product(c10, tile_block_of_a(ti + TILE_M / 2u, p), b0);
            }
        }
        workgroupBarrier();
    }
    if SUMS {
        if first_rows {
            store_sums(j + tj, column_step, sums_0);
            if BLOCKS_N == 2u { store_sums(j + tj + TILE_N / 2u, column_step, sums_1); }
        }
    }
    store_block(group.z, i + ti, j + tj, column_step, c00);
    if BLOCKS_N == 2u { store_block(group.z, i + ti, j + tj + TILE_N / 2u, column_step, c01); }
    if BLOCKS_M == 2u { store_block(group.z, i + ti + TILE_M / 2u, j + tj, column_step, c10); }
    if BLOCKS_M == 2u && BLOCKS_N == 2u {
        store_block(group.z, i + ti + TILE_M / 2u, j + tj + TILE_N / 2u, column_step, c11);
    }
}
