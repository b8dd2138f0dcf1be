//! Numbers rounded to bfloat16, the nearest of eight significant bits, ties to even; they stay f32.
//!
//! For what another framework computes in bfloat16. The exponents are those of f32, so nothing overflows but what rounds
//! up from the largest number. A NaN stays one.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, arity,
    expect_dtype, shader, shapes,
};
use crate::number::Real;
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

const SHADER: Shader = shader!("bfloat16");

pub const ENTRY: Entry = Entry::new("bfloat16", &[SHADER], cases);

/// y = x with eight significant bits, of the same shape. It has no gradient.
#[derive(Debug, Clone, Copy)]
pub struct Bfloat16;

/// The rounded number.
fn rounded(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    let bits = x.to_bits();
    let up = 0x7fff + ((bits >> 16) & 1);
    f32::from_bits(bits.wrapping_add(up) & 0xffff_0000)
}

impl Op for Bfloat16 {
    fn name(&self) -> &'static str {
        "bfloat16"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        expect_dtype("x", x, DType::F32)?;
        Ok(vec![x.clone()])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let len = signature.inputs[0].elements();
        Ok(Launch::new(SHADER, "forward")
            .param("len", len as usize)
            .bind_all(1, 1)
            .over(len, 64)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // Bits are moved, nothing is computed; a device may flush the smallest numbers.
        vec![vec![1.2e-38; sample.results[0].len()]]
    }
}

impl Compute for Bfloat16 {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let x = io.input(0);
        for (y, &x) in io.output(0).iter_mut().zip(x) {
            *y = T::constant(f64::from(rounded(x.double() as f32)));
        }
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 15] = shapes![
        scalar; 1; 2; 3; 17; 33; 33 x 10; 255; 256; 257; 2 x 3 x 5 x 7; 1000; 1 x 1; 4 x 3; 70_000
    ];
    let fills = [Fill::Uniform(-2.0, 2.0), Fill::Uniform(1e-20, 1e20)];
    let cases = shapes.into_iter().flat_map(|shape| {
        let case = |fill| Case::new(Bfloat16).input(shape, fill).without_gradient();
        fills.clone().map(case)
    });
    cases.collect()
}

/// # Storage
impl Tensor {
    /// The nearest bfloat16 of each number, as f32. It has no gradient.
    #[track_caller]
    pub fn bfloat16(&self) -> Tensor {
        self.graph().apply_one(Bfloat16, &[self])
    }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn numbers_round_to_the_nearest_of_eight_bits_and_ties_to_even() {
        let step = 1.0 / 128.0;
        for (x, y) in [
            (1.0, 1.0),
            (1.0 + 0.4 * step, 1.0),
            (1.0 + 0.5 * step, 1.0),
            (1.0 + 1.5 * step, 1.0 + 2.0 * step),
            (1.0 + 0.6 * step, 1.0 + step),
            (-1.0 - 0.6 * step, -1.0 - step),
            (0.0, 0.0),
            (f32::INFINITY, f32::INFINITY),
        ] {
            assert_eq!(rounded(x), y, "{x}");
        }
        assert!(rounded(f32::NAN).is_nan());
    }
}
