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
    /// This number everywhere; Keras' `ones` is 1.
    Constant(f32),
    /// Uniform in ±√(3/fan-in) (LeCun et al., 1998).
    LecunUniform,
    /// Normal with variance 1/fan-in, cut at two standard deviations. The one for SELU.
    LecunNormal,
    /// Normal with this mean and standard deviation, cut at two deviations from the mean; Keras' default is 0 and 0.05.
    /// What is left has 0.88 of that deviation.
    TruncatedNormal(f32, f32),
    /// With variance scale/fan.
    VarianceScaling {
        /// The scale; above 0. Keras' default: 1.
        scale: f32,
        /// Which fan. Keras' default: fan-in.
        fan: Fan,
        /// Of which kind. Keras' default: truncated normal.
        distribution: Distribution,
    },
    /// Rows or columns, whichever are fewer, at right angles and of this length (Saxe et al., 2014): the orthogonal factor
    /// of a normal matrix. All dimensions but the last count as rows. Keras' default: 1.
    Orthogonal(f32),
    /// This number where row and column are the same, zeros elsewhere; of matrices. Keras' default: 1.
    Identity(f32),
}

/// Which of a tensor's sizes a variance is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fan {
    /// Fan-in.
    In,
    /// Fan-out.
    Out,
    /// The mean of both.
    Average,
}

/// What numbers of a given variance are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// A normal distribution that is cut at two deviations, and of that variance after the cut.
    TruncatedNormal,
    /// A normal distribution.
    UntruncatedNormal,
    /// ±√(3·variance).
    Uniform,
}

/// Fan-in and fan-out as Keras has them: of a vector its length for both; of a kernel its last two sizes, times all
/// sizes before them.
fn fans(shape: &[usize]) -> (usize, usize) {
    match *shape {
        [] => (1, 1),
        [len] => (len, len),
        [ref field @ .., fan_in, fan_out] => {
            let field: usize = field.iter().product();
            (field * fan_in, field * fan_out)
        }
    }
}

/// The standard deviation of a standard normal cut at ±2, by which a cut normal is too narrow.
const CUT_DEVIATION: f64 = 0.879_625_661_034_239_8;

impl Initializer {
    /// `fan_in`·`fan_out` values of a dense kernel, or `fan_out` of a bias with fan-in 1; `stream` numbers the tensor
    /// within its model.
    pub fn draw(self, fan_in: usize, fan_out: usize, seed: u64, stream: u64) -> Vec<f32> {
        self.draw_shape(&[fan_in, fan_out], seed, stream)
    }

    /// The values of a tensor of any shape, row-major. Of a kernel the last two sizes are fan-in and fan-out, times all
    /// sizes before them; of a vector its length is both.
    pub fn draw_shape(self, shape: &[usize], seed: u64, stream: u64) -> Vec<f32> {
        let len = shape.iter().product();
        let (fan_in, fan_out) = fans(shape);
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
            Initializer::LecunUniform => {
                let limit = (3.0 / fan_in).sqrt();
                uniform(-limit, limit)
            }
            Initializer::LecunNormal => draws.cut_normals(len, (1.0 / fan_in).sqrt()),
            Initializer::TruncatedNormal(mean, deviation) => {
                let deviation = f64::from(deviation) * CUT_DEVIATION;
                let drawn = draws.cut_normals(len, deviation);
                drawn.into_iter().map(|value| mean + value).collect()
            }
            Initializer::VarianceScaling {
                scale,
                fan,
                distribution,
            } => {
                let fan = match fan {
                    Fan::In => fan_in,
                    Fan::Out => fan_out,
                    Fan::Average => 0.5 * (fan_in + fan_out),
                };
                let variance = f64::from(scale) / fan;
                match distribution {
                    Distribution::Uniform => {
                        let limit = (3.0 * variance).sqrt();
                        uniform(-limit, limit)
                    }
                    Distribution::TruncatedNormal => draws.cut_normals(len, variance.sqrt()),
                    Distribution::UntruncatedNormal => (0..len)
                        .map(|_| (variance.sqrt() * draws.normal()) as f32)
                        .collect(),
                }
            }
            Initializer::Orthogonal(gain) => {
                let columns = shape.last().copied().unwrap_or(1);
                draws.orthogonal(len / columns.max(1), columns, f64::from(gain))
            }
            Initializer::Identity(gain) => {
                let columns = shape.last().copied().unwrap_or(1).max(1);
                let mut values = vec![0.0; len];
                values
                    .iter_mut()
                    .step_by(columns + 1)
                    .take(columns)
                    .for_each(|own| *own = gain);
                values
            }
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
            Initializer::TruncatedNormal(mean, deviation)
                if !(mean.is_finite() && deviation.is_finite() && deviation >= 0.0) =>
            {
                let got = format!(
                    "needs a finite mean and a deviation of at least 0, got {mean} and {deviation}"
                );
                Err(Error::argument("truncated_normal", got))
            }
            Initializer::VarianceScaling { scale, .. } if !(scale > 0.0 && scale.is_finite()) => {
                let got = format!("must be above 0 and finite, got {scale}");
                Err(Error::argument("scale", got))
            }
            Initializer::Orthogonal(gain) | Initializer::Identity(gain) if !gain.is_finite() => {
                Err(Error::argument(
                    "gain",
                    format!("must be finite, got {gain}"),
                ))
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

    /// A matrix of which the fewer of rows and columns are at right angles and `gain` long: Gram and Schmidt, twice over,
    /// on normals; the triangular factor has a positive diagonal, so that the matrix is uniform among all.
    fn orthogonal(&mut self, rows: usize, columns: usize, gain: f64) -> Vec<f32> {
        let (long, short) = (rows.max(columns), rows.min(columns));
        let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(short);
        while vectors.len() < short {
            let mut own: Vec<f64> = (0..long).map(|_| self.normal()).collect();
            for _ in 0..2 {
                for other in &vectors {
                    let along: f64 = own.iter().zip(other).map(|(a, b)| a * b).sum();
                    own.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
                }
            }
            let length = own.iter().map(|a| a * a).sum::<f64>().sqrt();
            // All but impossible, and no direction.
            if length > 1e-9 {
                own.iter_mut().for_each(|a| *a /= length);
                vectors.push(own);
            }
        }
        let at = |row: usize, column: usize| match rows < columns {
            true => vectors[row][column],
            false => vectors[column][row],
        };
        let values = (0..rows * columns).map(|i| (gain * at(i / columns, i % columns)) as f32);
        values.collect()
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

    fn scaled(fan: Fan, distribution: Distribution) -> Initializer {
        Initializer::VarianceScaling {
            scale: 3.0,
            fan,
            distribution,
        }
    }

    #[test]
    fn orthogonal_matrices_have_rows_or_columns_at_right_angles() {
        for (rows, columns) in [(5, 3), (3, 5), (4, 4), (1, 7)] {
            let w = Initializer::Orthogonal(2.0).draw(rows, columns, 7, 0);
            let short = rows.min(columns);
            let vector = |i: usize| -> Vec<f32> {
                let element = |j: usize| match rows < columns {
                    true => w[i * columns + j],
                    false => w[j * columns + i],
                };
                (0..rows.max(columns)).map(element).collect()
            };
            for i in 0..short {
                for j in 0..short {
                    let product: f32 = vector(i).iter().zip(vector(j)).map(|(a, b)| a * b).sum();
                    let wanted = if i == j { 4.0 } else { 0.0 };
                    assert!((product - wanted).abs() < 1e-5, "{rows}×{columns} {i} {j}");
                }
            }
        }
    }

    #[test]
    fn an_identity_has_its_gain_on_the_diagonal() {
        let wide = Initializer::Identity(2.0).draw(2, 3, 0, 0);
        assert_eq!(wide, [2.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
        let tall = Initializer::Identity(1.0).draw(3, 2, 0, 0);
        assert_eq!(tall, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn fans_of_any_shape_are_keras() {
        assert_eq!(fans(&[]), (1, 1));
        assert_eq!(fans(&[64]), (64, 64));
        assert_eq!(fans(&[8, 10]), (8, 10));
        assert_eq!(fans(&[3, 3, 16, 32]), (144, 288));
    }

    #[test]
    fn numbers_outside_their_range_are_refused_by_name() {
        for (initializer, field) in [
            (Initializer::Uniform(1.0, -1.0), "uniform"),
            (Initializer::Normal(0.0, -1.0), "normal"),
            (
                Initializer::TruncatedNormal(f32::NAN, 1.0),
                "truncated_normal",
            ),
            (Initializer::Constant(f32::INFINITY), "constant"),
            (Initializer::Orthogonal(f32::NAN), "gain"),
            (Initializer::Identity(f32::NAN), "gain"),
            (
                Initializer::VarianceScaling {
                    scale: 0.0,
                    fan: Fan::In,
                    distribution: Distribution::Uniform,
                },
                "scale",
            ),
        ] {
            match initializer.validate() {
                Err(Error::Argument { name, .. }) => assert_eq!(name, field),
                other => panic!("{initializer:?}: {other:?}"),
            }
        }
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
            (Initializer::LecunUniform, 0.0, (1.0f64 / 300.0).sqrt()),
            (Initializer::LecunNormal, 0.0, (1.0f64 / 300.0).sqrt()),
            (
                Initializer::TruncatedNormal(1.0, 0.05),
                1.0,
                0.05 * CUT_DEVIATION,
            ),
            (
                scaled(Fan::Out, Distribution::Uniform),
                0.0,
                (3.0f64 / 200.0).sqrt(),
            ),
            (
                scaled(Fan::Average, Distribution::UntruncatedNormal),
                0.0,
                (3.0f64 / 250.0).sqrt(),
            ),
            (
                scaled(Fan::In, Distribution::TruncatedNormal),
                0.0,
                (3.0f64 / 300.0).sqrt(),
            ),
            (Initializer::Orthogonal(2.0), 0.0, 2.0 / (300.0f64).sqrt()),
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
