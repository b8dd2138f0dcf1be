//! The first values of weights, drawn from a seed.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::lookup::{self, Named};
use crate::range::{above_zero, finite, within};

use super::draws::{CUT_DEVIATION, Draws};

/// How a tensor's first values are drawn. Fans are the sizes of a dense kernel, [fan-in, fan-out].
///
/// Draws come from PCG-64 seeded by (seed, stream), 24 bits a number, so that a seed gives the same weights on every
/// machine and in every version. Names and defaults as in Keras.
// Functions are compared by address: a function equals itself, which is all that a comparison of settings asks.
#[allow(unpredictable_function_pointer_comparisons)]
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
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
        /// The distribution. Keras' default: truncated normal.
        distribution: Distribution,
    },
    /// Rows or columns, whichever are fewer, at right angles and of this length (Saxe et al., 2014): the orthogonal factor
    /// of a normal matrix. All dimensions but the last count as rows. Keras' default: 1.
    Orthogonal(f32),
    /// This number where row and column are the same, zeros elsewhere; of matrices. Keras' default: 1.
    Identity(f32),
    /// A function of one's own: from the shape, the model's seed and the number of the tensor to as many values, row-major.
    /// A model with one is not written to a model file.
    #[serde(skip)]
    Own(fn(&[usize], u64, u64) -> Vec<f32>),
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

/// What there is, by Keras' names and with Keras' defaults.
const TABLE: &[Named<Initializer>] = &[
    (Initializer::GlorotUniform, &["glorot_uniform"]),
    (Initializer::GlorotNormal, &["glorot_normal"]),
    (Initializer::HeUniform, &["he_uniform"]),
    (Initializer::HeNormal, &["he_normal"]),
    (Initializer::LecunUniform, &["lecun_uniform"]),
    (Initializer::LecunNormal, &["lecun_normal"]),
    (
        Initializer::Uniform(-0.05, 0.05),
        &["random_uniform", "uniform"],
    ),
    (Initializer::Normal(0.0, 0.05), &["random_normal", "normal"]),
    (
        Initializer::TruncatedNormal(0.0, 0.05),
        &["truncated_normal"],
    ),
    (
        Initializer::VarianceScaling {
            scale: 1.0,
            fan: Fan::In,
            distribution: Distribution::TruncatedNormal,
        },
        &["variance_scaling"],
    ),
    (
        Initializer::Orthogonal(1.0),
        &["orthogonal", "orthogonal_initializer"],
    ),
    (
        Initializer::Identity(1.0),
        &["identity", "identity_initializer"],
    ),
    (Initializer::Zeros, &["zeros", "zero"]),
    (Initializer::Constant(1.0), &["ones", "one"]),
    (Initializer::Constant(0.0), &["constant"]),
];

impl Initializer {
    /// The initializer of that name with Keras' defaults: the name of Keras' function (`he_normal`) or class (`HeNormal`).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) with the names that there are.
    ///
    /// ```
    /// use kiln::nn::Initializer;
    ///
    /// assert_eq!(Initializer::from_name("he_normal")?, Initializer::HeNormal);
    /// assert_eq!(Initializer::from_name("RandomNormal")?, Initializer::Normal(0.0, 0.05));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn from_name(name: &str) -> Result<Self> {
        lookup::find("initializer", name, TABLE)
    }

    /// The values of a tensor of any shape, row-major; `stream` numbers the tensor within its model. The last two sizes of
    /// a kernel are fan-in and fan-out, times all sizes before them; the length of a vector is both.
    pub fn draw(self, shape: &[usize], seed: u64, stream: u64) -> Vec<f32> {
        let len = shape.iter().product();
        let (fan_in, fan_out) = fans(shape);
        let (fan_in, fan_out) = (fan_in.max(1) as f64, fan_out.max(1) as f64);
        let both = fan_in + fan_out;
        let columns = shape.last().copied().unwrap_or(1).max(1);
        let mut draws = Draws::new(seed, stream);
        match self {
            Initializer::GlorotUniform => draws.within(len, (6.0 / both).sqrt()),
            Initializer::HeUniform => draws.within(len, (6.0 / fan_in).sqrt()),
            Initializer::LecunUniform => draws.within(len, (3.0 / fan_in).sqrt()),
            Initializer::Uniform(low, high) => draws.uniforms(len, low.into(), high.into()),
            Initializer::GlorotNormal => draws.cut_normals(len, (2.0 / both).sqrt()),
            Initializer::HeNormal => draws.cut_normals(len, (2.0 / fan_in).sqrt()),
            Initializer::LecunNormal => draws.cut_normals(len, (1.0 / fan_in).sqrt()),
            Initializer::Normal(mean, deviation) => {
                let (mean, deviation) = (f64::from(mean), f64::from(deviation));
                draws.normals(len, |normal| mean + deviation * normal)
            }
            Initializer::TruncatedNormal(mean, deviation) => {
                let drawn = draws.cut_normals(len, f64::from(deviation) * CUT_DEVIATION);
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
                    Fan::Average => 0.5 * both,
                };
                let variance = f64::from(scale) / fan;
                let deviation = variance.sqrt();
                match distribution {
                    Distribution::Uniform => draws.within(len, (3.0 * variance).sqrt()),
                    Distribution::TruncatedNormal => draws.cut_normals(len, deviation),
                    Distribution::UntruncatedNormal => {
                        draws.normals(len, |normal| deviation * normal)
                    }
                }
            }
            Initializer::Orthogonal(gain) => {
                draws.orthogonal(len / columns, columns, f64::from(gain))
            }
            Initializer::Identity(gain) => {
                let mut values = vec![0.0; len];
                let diagonal = values.iter_mut().step_by(columns + 1).take(columns);
                diagonal.for_each(|own| *own = gain);
                values
            }
            Initializer::Zeros => vec![0.0; len],
            Initializer::Constant(value) => vec![value; len],
            Initializer::Own(values) => values(shape, seed, stream),
        }
    }

    pub(crate) fn validate(self) -> Result<()> {
        let normal = |name, mean: f32, deviation: f32| {
            let fits = mean.is_finite() && (0.0..f32::INFINITY).contains(&deviation);
            let got = format!("{mean} and {deviation}");
            within(
                fits,
                name,
                "a finite mean and a deviation of at least 0",
                got,
            )
        };
        match self {
            Initializer::Uniform(low, high) => {
                let fits = low <= high && low.is_finite() && high.is_finite();
                let got = format!("{low} and {high}");
                within(fits, "uniform", "finite bounds in order", got)
            }
            Initializer::Normal(mean, deviation) => normal("normal", mean, deviation),
            Initializer::TruncatedNormal(mean, deviation) => {
                normal("truncated_normal", mean, deviation)
            }
            Initializer::VarianceScaling { scale, .. } => above_zero("scale", scale),
            Initializer::Orthogonal(gain) | Initializer::Identity(gain) => finite("gain", gain),
            Initializer::Constant(value) => finite("constant", value),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
