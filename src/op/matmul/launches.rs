//! The dispatches of a matrix product: passes over k, the ordered sum of its splits, and what C ends in.

use crate::contract::{Binding, Launch, Launches, Param, Shader, fold, shader};
use crate::number::Product;
use crate::op::pointwise::Function;
use crate::target::{ProductShape, Target};

use super::choose::{Choice, choose_for};

/// A family of kernels, followed by what all of them share.
macro_rules! family {
    ($name:literal) => {
        shader!(
            $name,
            "matmul_blocks",
            "matmul_store",
            "halves",
            "functions",
            "identity"
        )
    };
}

/// GPUs.
pub const TILED: Shader = family!("matmul");

/// CPU adapters without subgroups.
pub const REGISTERS: Shader = family!("matmul_registers");

/// CPU adapters with subgroups; apart, because a device without them refuses the whole module.
pub const LANES: Shader = family!("matmul_subgroup");

/// Few rows, on GPUs.
pub const VECTOR: Shader = family!("matmul_vector");

/// The sum of the splits.
pub const COMBINE: Shader = shader!("matmul_combine", "functions", "identity");

/// What a product takes beside A and B, which are the op's first two inputs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Operands {
    /// The input with the numbers of A's stored rows, and the last row that there is.
    pub indices: Option<(usize, u32)>,
    /// The input that is added to every row of C.
    pub bias: Option<usize>,
    /// The function that C goes through.
    pub function: Option<Function>,
    /// The input from which f′ is computed: then C is multiplied by it instead.
    pub saved: Option<usize>,
    /// Which operands are stored as f16.
    pub halves: Halves,
}

/// Which operands of a product are stored as f16: see `shaders/matmul_store.wgsl`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Halves {
    pub a: bool,
    pub b: bool,
    pub saved: bool,
    pub c: bool,
}

/// What is not asked for is bound to A and never read.
fn read(input: Option<usize>) -> Binding {
    Binding::Input(input.unwrap_or(0))
}

impl Operands {
    /// What C ends in, where this dispatch is the last.
    fn end(&self, launch: Launch, ends: bool) -> Launch {
        Function::describe(self.function.filter(|_| ends), launch)
            .set("BIAS", ends && self.bias.is_some())
            .set("SLOPE", ends && self.saved.is_some())
    }

    /// The dispatch that adds the splits of C up, which has `len` elements in rows of `columns`.
    fn sum_of_splits(
        &self,
        (len, columns): (u64, u32),
        splits: u32,
        (later, ends): (bool, bool),
    ) -> Launch {
        const WORKGROUP: u32 = 64;
        self.end(Launch::new(COMBINE, "combine"), ends)
            .set("WORKGROUP", WORKGROUP)
            .set("ACCUMULATE", later)
            .param("len", Param::U32(u32::try_from(len).unwrap_or(u32::MAX)))
            .param("columns", columns)
            .param("splits", splits)
            .bind(Binding::Scratch(0))
            .bind(read(self.bias))
            .bind(read(self.saved))
            .bind(Binding::Output(0))
            .grid(fold(len, WORKGROUP))
            .iterations(u64::from(splits) + 1)
            .flops(len * u64::from(splits))
    }
}

/// The kernel of a product, in one piece where f16 stands beside it.
fn chosen(product: &Product, halves: Halves, target: &Target) -> Result<Choice, String> {
    let size = |size: usize| {
        u32::try_from(size).map_err(|_source| format!("a dimension of {size} is too large"))
    };
    let shape = ProductShape {
        sizes: [size(product.m)?, size(product.n)?, size(product.k)?],
        transpose_a: product.transpose_a,
        transpose_b: product.transpose_b,
    };
    let choice = choose_for(shape, halves.c, target);
    if !halves.c && !halves.saved {
        return Ok(choice);
    }
    // What is rounded to f16, or computed from it, is a whole sum.
    let choice = choice.in_one_piece(shape, target);
    if choice.k_pass < shape.sizes[2] {
        let message = "f16 beside it takes it in one pass";
        return Err(format!(
            "a sum of {} is too long: {message}",
            shape.sizes[2]
        ));
    }
    Ok(choice)
}

/// The dispatches of C = op(A)·op(B), all of them writing output 0.
pub fn launches(
    product: &Product,
    operands: &Operands,
    target: &Target,
) -> Result<Launches, String> {
    let Halves {
        a: a_half,
        b: b_half,
        saved: saved_half,
        c: c_half,
    } = operands.halves;
    let choice = chosen(product, operands.halves, target)?;
    let Choice {
        shape: [m, n, k],
        tiles: [tiles_n, tiles],
        splits,
        k_pass,
        ..
    } = choice;
    let shader = match choice.entry {
        "lanes" => LANES,
        "registers" => REGISTERS,
        "vector" => VECTOR,
        _ => TILED,
    };
    let (a, b) = if choice.swapped { (1, 0) } else { (0, 1) };
    let half = |input: usize| if input == 0 { a_half } else { b_half };
    let gather = match operands.indices {
        None => 0,
        Some(_) => 1 + u32::from(choice.swapped),
    };
    let last_row = operands.indices.map_or(0, |(_, last)| last);
    let len = u64::from(m) * u64::from(n);
    let mut launches = Launches::default();
    let split = splits > 1;
    if split {
        launches.scratch.push(u64::from(splits) * len);
    }
    for begin in (0..k.max(1)).step_by(k_pass as usize) {
        let done = k.min(begin.saturating_add(k_pass));
        let (later, ends) = (begin > 0, done == k);
        let mut launch = Launch::new(shader.clone(), choice.entry);
        launch.overrides = choice.overrides.clone();
        if choice.entry == "tiled" {
            launch = launch.set("SPREAD", !c_half);
        }
        let dispatch = operands
            .end(launch, ends && !split)
            .set("GATHER", gather)
            .set("A_HALF", half(a))
            .set("B_HALF", half(b))
            .set("SAVED_HALF", saved_half)
            .set("C_HALF", c_half)
            .set("ACCUMULATE", later && !split)
            .param("m", m)
            .param("n", n)
            .param("k", k)
            .param("k_begin", begin)
            .param("k_end", done)
            .param("k_chunk", choice.k_chunk)
            .param("tiles_n", tiles_n)
            .param("tiles", tiles)
            .param("last", last_row)
            .bind(Binding::Input(a))
            .bind(Binding::Input(b))
            .bind(read(operands.indices.map(|(input, _)| input)))
            .bind(read(operands.bias))
            .bind(read(operands.saved))
            .bind(if split {
                Binding::Scratch(0)
            } else {
                Binding::Output(0)
            })
            .grid(choice.grid)
            .iterations(choice.iterations_per_invocation)
            .flops(2 * len * u64::from(done - begin))
            .padded_flops(choice.padded_flops(done - begin));
        launches.launches.push(dispatch);
        if split {
            let sum = operands.sum_of_splits((len, product.n as u32), splits, (later, ends));
            launches.launches.push(sum);
        }
    }
    Ok(launches)
}
