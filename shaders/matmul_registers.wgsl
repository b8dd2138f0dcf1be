// C = op(A)·op(B) for CPU adapters without subgroups: no workgroup memory, no barriers, up to 8×8 of C in registers.
//
// Contract with the host, figures, and what was rejected: see matmul.wgsl. Operands and blocks: see matmul_blocks.wgsl; where C
// goes: matmul_store.wgsl or matmul_update.wgsl. They stand behind this text.

override BLOCKS_M: u32 = 1;  // 4×4 blocks of an invocation, 1 or 2 each way
override BLOCKS_N: u32 = 1;
override LANES: u32 = 8;     // invocations of a workgroup

fn block_of_a(i: u32, p: u32, end: u32) -> mat4x4<f32> {
    if TA {
        return transpose(mat4x4(a_along_m(i, p, end), a_along_m(i, p + 1u, end),
                                a_along_m(i, p + 2u, end), a_along_m(i, p + 3u, end)));
    }
    return mat4x4(a_along_k(i, p, end), a_along_k(i + 1u, p, end), a_along_k(i + 2u, p, end), a_along_k(i + 3u, p, end));
}

@compute @workgroup_size(LANES)
fn registers(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
             @builtin(local_invocation_id) local: vec3<u32>) {
    let number = group.y * groups.x + group.x;
    if number >= params.tiles { return; }
    let task = begin(number);
    problem = task;
    let tile_i = task.tile / task.tiles_n;
    let i = tile_i * 4u * BLOCKS_M;
    let j = ((task.tile - tile_i * task.tiles_n) * LANES * BLOCKS_N + local.x) * 4u;
    let j2 = j + LANES * 4u;
    let begin = task.k_begin + group.z * task.k_chunk;
    let end = min(begin + task.k_chunk, task.k_end);

    var c00: mat4x4<f32>;
    var c01: mat4x4<f32>;
    var c10: mat4x4<f32>;
    var c11: mat4x4<f32>;
    for (var p = begin; p < end; p += 4u) {
        let a0 = block_of_a(i, p, end);
        let b0 = block_of_b(p, j, end);
        c00 = add_product(c00, a0, b0);
        if BLOCKS_N == 2u {
            let b1 = block_of_b(p, j2, end);
            c01 = add_product(c01, a0, b1);
            if BLOCKS_M == 2u {
                let a1 = block_of_a(i + 4u, p, end);
                c10 = add_product(c10, a1, b0);
                c11 = add_product(c11, a1, b1);
            }
        } else if BLOCKS_M == 2u {
            c10 = add_product(c10, block_of_a(i + 4u, p, end), b0);
        }
    }
    store_block(group.z, i, j, 1u, c00);
    if BLOCKS_N == 2u { store_block(group.z, i, j2, 1u, c01); }
    if BLOCKS_M == 2u { store_block(group.z, i + 4u, j, 1u, c10); }
    if BLOCKS_M == 2u && BLOCKS_N == 2u { store_block(group.z, i + 4u, j2, 1u, c11); }
}
