// The outputs that a head reads, from memory. Behind head.wgsl.

@group(0) @binding(4) var<storage, read> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> ring: array<f32>;
@group(0) @binding(6) var<storage, read_write> dy: array<f32>;

fn number(i: u32) -> f32 {
    return y[i];
}

// Nothing to do before the rows from `first` on are read.
fn prepare(first: u32, local: u32) {}
