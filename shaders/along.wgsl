// Rows along any dimension of a tensor seen as [outer, columns, inner]: where their elements lie. Appended, with rows.wgsl,
// to shaders whose params have `columns` and `inner`.

// Where row.start lies.
fn base_of(row: Row) -> u32 {
    return row.index / params.inner * params.columns * params.inner + row.index % params.inner;
}

// Where element i of the row lies, which begins at `base`.
fn place(row: Row, base: u32, i: u32) -> u32 {
    return base + (i - row.start) * params.inner;
}
