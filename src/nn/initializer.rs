//! The first values of weights, drawn from a seed.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How a tensor's first values are drawn. Fans are the sizes of a dense kernel, [fan-in, fan-out].
///
/// Draws come from PCG-64 seeded by (seed, stream), 24 bits a number, so that a seed gives the same weights on every
/// machine and in every version. Names and defaults as in Keras.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initializer {
    /// Uniform in ±√(6/(fan-in + fan-out)) (Glorot and Bengio, 2010). The default of kernels.
    #[default]
    GlorotUniform,
    /// Normal with variance 2/(fan-in + fan-out), cut at two standard deviations.
    GlorotNormal,
    /// Uniform in ±√(6/fan-in) (He et al., 2015).
    HeUniform,
    /// Normal with variance 2/fan-in, cut at two standard deviations.
    HeNormal,
    /// Uniform between two numbers; Keras' default is ±0.05.
    Uniform(f32, f32),
    /// Normal with this mean and standard deviation; Keras' default is 0 and 0.05.
    Normal(f32, f32),
    /// Zeros. The default of biases.
    Zeros,
    /// This number everywhere.
    Constant(f32),
}

/// The standard deviation of a standard normal cut at ±2, by which a cut normal is too narrow.
const CUT_DEVIATION: f64 = 0.879_625_661_034_239_8;

impl Initializer {
    /// `fan_in`·`fan_out` values of a dense kernel, or `fan_out` of a bias with fan-in 1; `stream` numbers the tensor
    /// within its model.
    pub fn draw(self, fan_in: usize, fan_out: usize, seed: u64, stream: u64) -> Vec<f32> {
        let len = fan_in * fan_out;
        let (fan_in, fan_out) = (fan_in.max(1) as f64, fan_out.max(1) as f64);
        let mut draws = Draws::new(seed, stream);
        let mut uniform =
            |low: f64, high: f64| (0..len).map(|_| draws.uniform(low, high) as f32).collect();
        match self {
            Initializer::GlorotUniform => {
                let limit = (6.0 / (fan_in + fan_out)).sqrt();
                uniform(-limit, limit)
            }
            Initializer::HeUniform => {
                let limit = (6.0 / fan_in).sqrt();
                uniform(-limit, limit)
            }
            Initializer::Uniform(low, high) => uniform(f64::from(low), f64::from(high)),
            Initializer::GlorotNormal => draws.cut_normals(len, (2.0 / (fan_in + fan_out)).sqrt()),
            Initializer::HeNormal => draws.cut_normals(len, (2.0 / fan_in).sqrt()),
            Initializer::Normal(mean, deviation) => {
                let (mean, deviation) = (f64::from(mean), f64::from(deviation));
                (0..len)
                    .map(|_| (mean + deviation * draws.normal()) as f32)
                    .collect()
            }
            Initializer::Zeros => vec![0.0; len],
            Initializer::Constant(value) => vec![value; len],
        }
    }

    pub(crate) fn validate(self) -> Result<()> {
        match self {
            Initializer::Uniform(low, high)
                if !(low <= high && low.is_finite() && high.is_finite()) =>
            {
                Err(Error::argument(
                    "uniform",
                    format!("needs finite bounds in order, got {low} and {high}"),
                ))
            }
            Initializer::Normal(mean, deviation)
                if !(mean.is_finite() && deviation.is_finite() && deviation >= 0.0) =>
            {
                let got = format!(
                    "needs a finite mean and a deviation of at least 0, got {mean} and {deviation}"
                );
                Err(Error::argument("normal", got))
            }
            Initializer::Constant(value) if !value.is_finite() => Err(Error::argument(
                "constant",
                format!("must be finite, got {value}"),
            )),
            _ => Ok(()),
        }
    }
}

struct Draws(Pcg64);

impl Draws {
    fn new(seed: u64, stream: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&stream.to_le_bytes());
        Draws(Pcg64::from_seed(key))
    }

    /// One of 2²⁴ numbers in [0, 1).
    fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32() >> 8) / f64::from(1 << 24)
    }

    fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A standard normal, by Box and Muller (1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Normals cut at two deviations, drawn again beyond, of standard deviation `deviation` after the cut.
    fn cut_normals(&mut self, len: usize, deviation: f64) -> Vec<f32> {
        let cut = |draws: &mut Self| loop {
            let normal = draws.normal();
            if normal.abs() <= 2.0 {
                break normal;
            }
        };
        (0..len)
            .map(|_| (cut(self) * deviation / CUT_DEVIATION) as f32)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = values
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / n;
        (mean, variance.sqrt())
    }

    #[test]
    fn draws_have_the_moments_of_their_formulas() {
        let (fan_in, fan_out) = (300, 200);
        let cases = [
            (Initializer::GlorotUniform, 0.0, (2.0f64 / 500.0).sqrt()),
            (Initializer::GlorotNormal, 0.0, (2.0f64 / 500.0).sqrt()),
            (Initializer::HeUniform, 0.0, (2.0f64 / 300.0).sqrt()),
            (Initializer::HeNormal, 0.0, (2.0f64 / 300.0).sqrt()),
            (Initializer::Uniform(-0.05, 0.05), 0.0, 0.05 / 3.0f64.sqrt()),
            (Initializer::Normal(1.0, 0.05), 1.0, 0.05),
            (Initializer::Constant(0.25), 0.25, 0.0),
        ];
        for (initializer, mean, deviation) in cases {
            let (m, d) = moments(&initializer.draw(fan_in, fan_out, 1, 2));
            assert!(
                (m - mean).abs() < 0.02 * deviation.max(1e-9),
                "{initializer:?}: mean {m}"
            );
            assert!(
                (d - deviation).abs() <= 0.01 * deviation,
                "{initializer:?}: deviation {d}, not {deviation}"
            );
        }
    }

    #[test]
    fn a_seed_gives_the_same_weights_for_ever() {
        let drawn = Initializer::GlorotUniform.draw(2, 2, 42, 0);
        assert_eq!(drawn, Initializer::GlorotUniform.draw(2, 2, 42, 0));
        assert_ne!(drawn, Initializer::GlorotUniform.draw(2, 2, 43, 0));
        assert_ne!(drawn, Initializer::GlorotUniform.draw(2, 2, 42, 1));
    }
}
