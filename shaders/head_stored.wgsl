// The outputs that a head reads, from memory. Behind head.wgsl.

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
}

@group(0) @binding(4) var<storage, read> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> ring: array<f32>;
@group(0) @binding(6) var<storage, read_write> dy: array<f32>;

fn number(i: u32) -> f32 {
    return y[i];
}

// Nothing to do before the rows from `first` on are read.
fn prepare(first: u32, local: u32) {}
