//! Σ x² over one or several tensors, into the clock's rates: for norms that updates scale by.
//!
//! The sum is in two passes in a fixed order where tensors are long, so that it is the same in every run. A sum beyond the
//! range of f32 is kept in another unit, so that a norm is known though its square is not: see [`norm_of`].

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature,
    expect_dtype, shader,
};
use crate::number::{Known, Real};
use crate::target::{Class, Target};
use crate::{DType, TensorType};

use super::{LONG_RATES, rate};

const SHADER: Shader = shader!("sum_of_squares");

pub const ENTRY: Entry = Entry::new("sum_of_squares", &[SHADER], cases);

/// The most tensors of a call.
pub const MAX_TENSORS: usize = 6;

/// Workgroups of the first pass.
const PARTS: u32 = 64;

/// Invocations of a workgroup.
const WORKGROUP: u32 = 256;

/// What a sum beyond the range of f32 is counted in: it is left as −Σ (x/2⁹⁶)², for which any f32 will do.
const LONG: f64 = (1u128 << 96) as f64;

/// The root of a sum of squares that [`SumOfSquares`] left, and the unit that the root is counted in: 1, or [`LONG`].
#[inline(always)]
pub(crate) fn norm_of<N: Known>(squares: N) -> (N, N) {
    if squares.decides() < 0.0 {
        ((-squares).root(), N::constant(LONG))
    } else {
        (squares.root(), N::constant(1.0))
    }
}

/// Writes Σ x² into the rates. Inputs: the rates of a clock with a [`UpdateCount`](super::UpdateCount), updated in place, and up to 6
/// tensors. No output.
#[derive(Debug, Clone, Copy)]
pub struct SumOfSquares {
    /// Whether each tensor has a sum of its own, of which there are 3; else all have one.
    pub separate: bool,
    /// Whether the sum is added to what is there.
    pub add: bool,
}

impl SumOfSquares {
    /// The number in the rates that tensor `i` adds to.
    fn word(&self, i: usize) -> usize {
        rate::SQUARES + if self.separate { i } else { 0 }
    }
}

impl Op for SumOfSquares {
    fn name(&self) -> &'static str {
        "sum_of_squares"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let most = if self.separate { 3 } else { MAX_TENSORS };
        let Some((rates, tensors)) = inputs.split_first() else {
            return Err("got no inputs".into());
        };
        if *rates != TensorType::f32([LONG_RATES]) {
            return Err(format!(
                "rates must be [{LONG_RATES}], those of a clock that counts updates, got {rates}"
            ));
        }
        if !(1..=most).contains(&tensors.len()) {
            return Err(format!("takes 1 to {most} tensors, got {}", tensors.len()));
        }
        for tensor in tensors {
            expect_dtype("x", tensor, DType::F32)?;
        }
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0]
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let tensors = &signature.inputs[1..];
        let vectors = |tensor: &TensorType| tensor.elements().div_ceil(4);
        let total: u64 = tensors.iter().map(vectors).sum();
        // One workgroup is one thread of a processor, and a small part of a GPU.
        let alone = match target.class {
            Class::Gpu => 8192,
            _ => 2048,
        };
        let parts = if total <= alone { 1 } else { PARTS };
        let rounds = |parts: u32| {
            let lanes = u64::from(parts * WORKGROUP);
            tensors
                .iter()
                .map(|tensor| vectors(tensor).div_ceil(lanes))
                .sum::<u64>()
        };
        let tree = u64::from(WORKGROUP.ilog2()) * tensors.len() as u64;
        let common = |entry: &'static str| {
            let launch = Launch::new(SHADER, entry)
                .set("WORKGROUP", WORKGROUP)
                .set("SEPARATE", u32::from(self.separate))
                .param("add", u32::from(self.add))
                .param("parts", parts);
            let names = ["len_0", "len_1", "len_2", "len_3", "len_4", "len_5"];
            names
                .into_iter()
                .enumerate()
                .fold(launch, |launch, (i, name)| {
                    let len = tensors.get(i).map_or(0, TensorType::elements);
                    launch.param(name, len as usize)
                })
        };
        let bind = |launch: Launch| {
            // What is not there is the first one, of which nothing is read.
            (0..MAX_TENSORS).fold(launch, |launch, i| {
                launch.bind(Binding::Input(if i < tensors.len() { i + 1 } else { 1 }))
            })
        };
        let flops = 20 * total;
        if parts == 1 {
            let launch = bind(common("whole")).bind(Binding::Input(0));
            return Ok(launch.iterations(rounds(1) + tree).flops(flops).into());
        }
        let first = bind(common("part"))
            .bind(Binding::Scratch(0))
            .grid([parts, 1, 1])
            .iterations(rounds(parts) + tree)
            .flops(flops);
        let second = common("combine")
            .bind(Binding::Scratch(0))
            .bind(Binding::Input(0))
            .iterations(u64::from(parts) * 3);
        Ok(Launches {
            scratch: vec![u64::from(parts) * 6],
            launches: vec![first, second],
        })
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let mut bounds = vec![0.0; LONG_RATES];
        let words = if self.separate {
            sample.inputs.len() - 1
        } else {
            1
        };
        let tensors = &sample.inputs[1..];
        for i in 0..words {
            // A sum of positive terms: γ of its length.
            let n: usize = if self.separate {
                tensors[i].len()
            } else {
                tensors.iter().map(Vec::len).sum()
            };
            let word = self.word(i);
            let sum = sample.results[0][word].abs();
            bounds[word] = Sample::gamma(n + 2) * sum + 1e-37 * n as f64;
        }
        vec![bounds]
    }
}

impl Compute for SumOfSquares {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        const BLOCK: usize = 1024;
        let tensors = io.signature.inputs.len() - 1;
        for i in 0..tensors {
            let x = io.input(i + 1);
            // Blocks in order: the same sum on any number of threads.
            let sum_in = |unit: T| {
                let mut sum = T::zero();
                for block in x.chunks(BLOCK) {
                    let mut squares = [T::zero(); BLOCK];
                    for (square, &x) in squares.iter_mut().zip(block) {
                        let x = x * unit;
                        *square = x * x;
                    }
                    sum += T::total(&squares[..block.len()]);
                }
                sum
            };
            let fresh = !self.add && (self.separate || i == 0);
            let word = self.word(i);
            let before = io.output(0)[word];
            let sum = sum_in(T::one());
            let all = if fresh { sum } else { before + sum };
            let in_long_units = !fresh && before < T::zero();
            io.output(0)[word] = if in_long_units || all > T::constant(f64::from(f32::MAX)) {
                let down = T::constant(1.0 / LONG);
                let before = match (fresh, in_long_units) {
                    (true, _) => T::zero(),
                    (false, true) => -before,
                    (false, false) => before * down * down,
                };
                -(before + sum_in(down))
            } else {
                all
            };
        }
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[&[usize]]; 14] = [
        &[&[1]],
        &[&[2]],
        &[&[3]],
        &[&[17]],
        &[&[33, 10]],
        &[&[255], &[1]],
        &[&[257], &[3, 5], &[2]],
        &[&[1000], &[33, 17], &[17]],
        &[&[8193]],
        &[&[70_000]],
        &[&[300, 257], &[257], &[10]],
        &[&[1], &[2], &[3], &[4], &[5], &[6]],
        &[&[10, 7], &[7], &[7, 5], &[5], &[5, 3], &[3]],
        &[&[300, 257], &[257], &[257, 33], &[33], &[33, 10], &[10]],
    ];
    let mut cases = Vec::new();
    for tensors in shapes {
        for (separate, add) in [(false, false), (false, true), (true, false)] {
            if separate && tensors.len() > 3 {
                continue;
            }
            let rates = (0..LONG_RATES).map(|i| i as f32).collect();
            let mut case = Case::new(SumOfSquares { separate, add })
                .constant(&[LONG_RATES], Fill::Values(rates));
            for shape in tensors {
                case = case.input(shape, Fill::Uniform(-2.0, 2.0));
            }
            cases.push(case.without_gradient());
        }
    }
    // Sums beyond the range of f32, and one that is added to such a sum.
    for (size, before) in [(3e19, 8.0), (2e38, 8.0), (3e19, -0.5), (2.0, -0.5)] {
        let large: [&[&[usize]]; 3] = [&[&[1]], &[&[33, 10], &[10]], &[&[300, 257], &[257]]];
        for (tensors, (separate, add)) in
            large
                .into_iter()
                .zip([(false, false), (false, true), (true, true)])
        {
            let mut rates = vec![before; LONG_RATES];
            rates[0] = 0.5;
            let mut case = Case::new(SumOfSquares { separate, add })
                .constant(&[LONG_RATES], Fill::Values(rates));
            for shape in tensors {
                case = case.input(shape, Fill::Uniform(0.5 * size, size));
            }
            cases.push(case.without_gradient());
        }
    }
    cases
}
