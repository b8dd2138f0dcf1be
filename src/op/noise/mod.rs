//! Noise for training: dropout (Srivastava and others 2014), alpha dropout (Klambauer and others 2017), Gaussian noise and
//! Gaussian dropout, y = factor·x + summand with draws of their own for every element and step; dx = factor·dy.
//!
//! Draws are by counter: those of elements 4i … 4i + 3 come from the counter (i, step, stream, 0) under the seed. So the
//! backward pass draws what the forward pass drew and stores no mask, the reference draws what the device does, and a run
//! that is continued draws on. An element is kept where the upper 24 bits of its word are at least p·2²⁴.

mod kind;

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    expect_dtype, shader,
};
use crate::number::{Real, UNIT};
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

use super::cursor::{STEP, WORDS};
use super::philox::philox;

pub use kind::NoiseKind;

const SHADER: Shader = shader!("noise", "philox", "functions");

pub const ENTRY: Entry = Entry::new("noise", &[SHADER], cases);

use NoiseKind::{AlphaDropout, Dropout, Gaussian, GaussianDropout};

/// What is drawn, and from which numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Noise {
    pub kind: NoiseKind,
    /// The seed of all draws.
    pub seed: u64,
    /// What tells these draws from others of the same step: the number of the layer.
    pub stream: u32,
}

/// y = factor·x + summand, or, for the slope, dx = factor·dy. Inputs: x or dy, any shape, and cursor u32 `[8]`; y: as x.
#[derive(Debug, Clone, Copy)]
struct Noising {
    noise: Noise,
    slope: bool,
}

/// Two normal draws from two words, by Box and Muller.
fn normals(a: u32, b: u32) -> [f64; 2] {
    const SHARE: f64 = 1.0 / (1 << 24) as f64;
    let radius = (-2.0 * (f64::from((a >> 8) + 1) * SHARE).ln()).sqrt();
    let angle = f64::from(b >> 8) * SHARE * std::f64::consts::TAU;
    [radius * angle.cos(), radius * angle.sin()]
}

impl Noise {
    /// The words of elements 4i … 4i + 3 in a step.
    fn words(self, i: usize, step: u32) -> [u32; 4] {
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        philox([i as u32, step, self.stream, 0], key)
    }

    /// y from x; without the summands where only the slope is wanted.
    #[inline(always)]
    fn apply<T: Real>(self, x: &[T], step: u32, y: &mut [T], slope: bool) {
        let constants = self.kind.constants();
        let of = |constant: f32| T::constant(f64::from(constant));
        let (kept, more) = (
            of(constants.kept),
            [constants.dropped_more, constants.kept_more].map(of),
        );
        for (i, (y, x)) in y.chunks_mut(4).zip(x.chunks(4)).enumerate() {
            let words = self.words(i, step);
            let drawn = match constants.kind {
                0 => [0.0; 4],
                _ => {
                    let ([a, b], [c, d]) =
                        (normals(words[0], words[1]), normals(words[2], words[3]));
                    [a, b, c, d]
                }
            };
            for (j, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                *y = match constants.kind {
                    0 => {
                        let keeps = words[j] >> 8 >= constants.least;
                        let own = if keeps { kept * x } else { T::zero() };
                        if slope {
                            own
                        } else {
                            own + more[usize::from(keeps)]
                        }
                    }
                    1 => x + kept * T::constant(drawn[j]),
                    _ => x * (T::one() + kept * T::constant(drawn[j])),
                };
            }
        }
    }
}

impl Op for Noising {
    fn name(&self) -> &'static str {
        match self.noise.kind {
            _ if self.slope => "noise.backward",
            Dropout { .. } => "dropout",
            AlphaDropout { .. } => "alpha_dropout",
            Gaussian { .. } => "gaussian_noise",
            GaussianDropout { .. } => "gaussian_dropout",
        }
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x, cursor] = arity::<2>(inputs)?;
        expect_dtype("x", x, DType::F32)?;
        if *cursor != TensorType::u32([WORDS]) {
            return Err(format!("the cursor must be [{WORDS}] u32, got {cursor}"));
        }
        let wrong = |(name, message)| format!("{name} {message}");
        self.noise.kind.check().map_err(wrong)?;
        Ok(vec![x.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (dy, cursor) = (vjp.dy()?, &vjp.inputs[1]);
        let slope = Noising {
            slope: true,
            ..*self
        };
        let dx = match self.noise.kind {
            Gaussian { .. } => dy.clone(),
            _ => dy.graph().apply_one(slope, &[dy, cursor]),
        };
        Ok(vec![Some(dx), None])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let len = signature.inputs[0].elements();
        let Noise { kind, seed, stream } = self.noise;
        let constants = kind.constants();
        Ok(Launch::new(SHADER, "forward")
            .set("KIND", constants.kind)
            .set("SLOPE", self.slope)
            .param("len", len as usize)
            .param("seed_low", seed as u32)
            .param("seed_high", (seed >> 32) as u32)
            .param("stream", stream)
            .param("least", constants.least)
            .param("kept", constants.kept)
            .param("kept_more", constants.kept_more)
            .param("dropped_more", constants.dropped_more)
            .bind_all(2, 1)
            .over(len.div_ceil(4), 64)
            .iterations(10)
            .flops(len * 8)
            .into())
    }

    /// Two roundings of factor and summand; of a normal draw, up to 6 with the errors of a logarithm, a root and a sine.
    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let constants = self.noise.kind.constants();
        let kept = f64::from(constants.kept);
        let drawn = 2.0 * UNIT * 6.0 * 30.0 * kept;
        let more = f64::from(constants.kept_more.abs().max(constants.dropped_more.abs()));
        let mut bound = sample.relative(0, 2.0);
        for (bound, x) in bound.iter_mut().zip(&sample.inputs[0]) {
            *bound += match constants.kind {
                0 => 2.0 * UNIT * ((kept * x).abs() + more),
                1 => drawn,
                _ => drawn * x.abs(),
            };
        }
        vec![bound]
    }
}

impl Compute for Noising {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (x, step) = (io.input(0), io.words(1)[STEP]);
        self.noise.apply(x, step, io.output(0), self.slope);
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 6] = [&[1], &[3], &[33, 5], &[257], &[2, 3, 5, 7], &[70_000]];
    let kinds = [
        Dropout { rate: 0.3 },
        Dropout { rate: 0.0 },
        AlphaDropout { rate: 0.25 },
        Gaussian { deviation: 0.7 },
        GaussianDropout { rate: 0.4 },
    ];
    let mut cases = Vec::new();
    for (k, kind) in kinds.into_iter().enumerate() {
        for (s, shape) in shapes.into_iter().enumerate() {
            let noise = Noise {
                kind,
                seed: 0x0123_4567_89ab_cdef * (s as u64 + 1),
                stream: k as u32,
            };
            let cursor = || Fill::Words(vec![7 + s as u32, 0, 0, 1, 1, 0, 0, 0]);
            let of = |slope| Case::new(Noising { noise, slope });
            let forward = of(false).input(shape, Fill::Uniform(-2.0, 3.0));
            cases.push(forward.words(&[WORDS], cursor()).without_nan());
            let backward = of(true).constant(shape, Fill::Uniform(-2.0, 2.0));
            cases.push(backward.words(&[WORDS], cursor()));
        }
    }
    cases
}

/// # Noise
impl Tensor {
    /// The elements with noise on them, drawn under a seed anew for each element and step; the clock's `cursor` says which
    /// step, and `stream` tells these draws from others of the same step. The result has the shape of the tensor.
    #[track_caller]
    pub fn noise(&self, cursor: &Tensor, kind: NoiseKind, seed: u64, stream: u32) -> Tensor {
        let noise = Noise { kind, seed, stream };
        let slope = false;
        self.graph()
            .apply_one(Noising { noise, slope }, &[self, cursor])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_moments_that_they_should() {
        let len = 100_000;
        let moments = |kind, x: f64| {
            let noise = Noise {
                kind,
                seed: 5,
                stream: 2,
            };
            let mut y = vec![0.0; len];
            noise.apply(&vec![x; len], 3, &mut y, false);
            let mean = y.iter().sum::<f64>() / len as f64;
            let variance = y.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / len as f64;
            (mean, variance)
        };
        let near = |(mean, variance): (f64, f64), wanted: (f64, f64)| {
            let off = 5.0 * (wanted.1 / len as f64).sqrt();
            assert!((mean - wanted.0).abs() < off, "mean {mean}, not {wanted:?}");
            assert!(
                (variance / wanted.1 - 1.0).abs() < 0.03,
                "variance {variance}, not {wanted:?}"
            );
        };
        near(moments(Dropout { rate: 0.3 }, 2.0), (2.0, 4.0 * 0.3 / 0.7));
        near(moments(Gaussian { deviation: 0.5 }, 1.0), (1.0, 0.25));
        near(moments(GaussianDropout { rate: 0.2 }, 2.0), (2.0, 1.0));
    }

    #[test]
    fn a_draw_depends_on_seed_stream_step_and_element() {
        let words = |seed, stream, step, i| {
            let kind = Dropout { rate: 0.5 };
            Noise { kind, seed, stream }.words(i, step)
        };
        let first = words(1, 0, 0, 0);
        let others = [
            words(2, 0, 0, 0),
            words(1 << 32, 0, 0, 0),
            words(1, 1, 0, 0),
            words(1, 0, 1, 0),
            words(1, 0, 0, 1),
        ];
        assert!(others.iter().all(|other| *other != first));
        assert_eq!(words(1, 0, 0, 0), first);
    }
}
