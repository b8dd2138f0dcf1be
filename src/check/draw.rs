//! The inputs of a case, drawn from a seed.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use crate::contract::{Case, Fill};
use crate::number::{half_bits, half_value};
use crate::{DType, Result, TensorType, Values};

/// The inputs of a case: the same numbers for the same seed on every machine. Numbers are drawn as f32, so that every
/// device and the reference compute from the same ones.
///
/// # Errors
///
/// [`Error::Check`](crate::Error::Check) where a fill does not suit its input.
pub fn draw(case: &Case, seed: u64) -> Result<Vec<Values>> {
    case.inputs
        .iter()
        .enumerate()
        .map(|(input, (kind, fill))| {
            let drawn = fill_one(kind, fill, &mut generator(seed, input));
            drawn.map(|values| stored(kind, values)).ok_or_else(|| {
                super::failed(
                    case,
                    format!("input {input}: {fill:?} does not fill {kind}"),
                )
            })
        })
        .collect()
}

/// Numbers that the kind holds exactly.
fn stored(kind: &TensorType, values: Values) -> Values {
    match values {
        Values::F32(values) if kind.dtype == DType::F16 => {
            let stored = |value: f32| half_value(half_bits(f64::from(value)));
            Values::F32(values.into_iter().map(stored).collect())
        }
        values => values,
    }
}

/// An element among `len`, drawn for input `input`.
pub(super) fn index(seed: u64, input: usize, len: usize) -> usize {
    below(&mut generator(!seed, input), len)
}

pub(super) fn generator(seed: u64, input: usize) -> Pcg32 {
    Pcg32::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(input as u64))
}

pub(super) fn below(random: &mut Pcg32, bound: usize) -> usize {
    ((u64::from(random.next_u32()) * bound as u64) >> 32) as usize
}

/// Uniform between the two, in steps of 2⁻²⁴ of their distance.
pub(super) fn between(random: &mut Pcg32, from: f32, to: f32) -> f32 {
    let unit = (random.next_u32() >> 8) as f32 / (1u32 << 24) as f32;
    from + (to - from) * unit
}

fn fill_one(kind: &TensorType, fill: &Fill, random: &mut Pcg32) -> Option<Values> {
    let len = usize::try_from(kind.elements()).ok()?;
    let (rows, columns) = kind.shape.rows_and_columns();
    let values = match fill {
        Fill::Words(words) => Values::U32(words.clone()),
        Fill::Below(bound) => Values::U32(
            (0..len)
                .map(|_| below(random, *bound as usize) as u32)
                .collect(),
        ),
        Fill::Values(values) => Values::F32(values.clone()),
        Fill::Uniform(from, to) => {
            Values::F32((0..len).map(|_| between(random, *from, *to)).collect())
        }
        Fill::Binary => Values::F32((0..len).map(|_| below(random, 2) as f32).collect()),
        Fill::OneHot => {
            let mut values = vec![0.0; len];
            for row in 0..rows {
                values[row * columns + below(random, columns)] = 1.0;
            }
            Values::F32(values)
        }
        Fill::Probabilities => {
            let mut values = Vec::with_capacity(len);
            for _ in 0..rows {
                let row: Vec<f64> = (0..columns)
                    .map(|_| f64::from(between(random, 0.05, 1.0)))
                    .collect();
                let sum: f64 = row.iter().sum();
                values.extend(row.iter().map(|value| (value / sum) as f32));
            }
            Values::F32(values)
        }
    };
    let fits = match &values {
        Values::F32(values) => kind.dtype != DType::U32 && values.len() == len,
        Values::U32(values) => kind.dtype == DType::U32 && values.len() == len,
        Values::F64(_) => false,
    };
    fits.then_some(values)
}
