//! Rows brought to mean 0 and variance 1: y = (x − μ)/√(v + ε) with μ = Σx/n and v = Σ(x − μ)²/n, or to mean square 1,
//! where μ = 0; dx = (dy − Σdy/n − y·Σ(dy·y)/n)/√(v + ε), without Σdy/n where μ is 0.
//!
//! What normalisations are made of: along the last dimension of layer normalisation (Ba, Kiros, Hinton 2016) and RMS
//! normalisation (Zhang, Sennrich 2019), along the batch of batch normalisation (Ioffe, Szegedy 2015). The variance is the
//! biased one, divided by n.

mod cases;
mod counted;

use crate::contract::{
    Binding, Compute, Entry, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp,
    expect_dtype, shader,
};
use crate::number::{Real, UNIT};
use crate::op::shape::along::Along;
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

use super::cursor::{ROWS, WORDS};

use counted::CountedMoments;

const SHADER: Shader = shader!("standardize", "rows", "along");

pub const ENTRY: Entry = Entry::new("standardize", &[SHADER], cases::cases);

/// Inputs: x, and a cursor where rows are ragged. Outputs: y, shaped as x; μ and v, without the axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standardize {
    /// The dimension that rows go along, counted from the back where it is negative.
    pub axis: isize,
    /// Whether μ is the mean; else 0.
    pub center: bool,
    /// ε.
    pub epsilon: f32,
    /// Rows go along a batch, and hold this many elements of each of its rows; only those of the cursor's rows count.
    pub ragged: Option<usize>,
}

/// dx. Inputs: y, v, dy, and the cursor where rows are ragged.
#[derive(Debug, Clone, Copy)]
struct Backward(Standardize);

impl Standardize {
    fn inputs(self, others: usize, inputs: &[TensorType]) -> Result<(), String> {
        let wanted = others + usize::from(self.ragged.is_some());
        if inputs.len() != wanted {
            return Err(format!("takes {wanted} inputs, got {}", inputs.len()));
        }
        match inputs.get(others) {
            Some(cursor) if *cursor != TensorType::u32([WORDS]) => {
                Err(format!("the cursor must be [{WORDS}] u32, got {cursor}"))
            }
            _ => Ok(()),
        }
    }

    /// Elements of a row that count, at least one, of a batch of `rows` rows.
    fn count(self, along: Along, rows: impl Fn() -> u32) -> usize {
        match self.ragged {
            Some(each) => (rows() as usize).saturating_mul(each).clamp(1, along.len),
            None => along.len,
        }
    }

    fn launch(
        self,
        entry: &'static str,
        x: &TensorType,
        passes: (u64, u64),
        target: &Target,
    ) -> Launch {
        Along::admitted(x, self.axis)
            .launch((SHADER, entry), passes, target)
            .set("CENTER", self.center)
            .set("RAGGED", self.ragged.is_some())
            .param("each", self.ragged.unwrap_or(1))
            .param("epsilon", self.epsilon)
    }

    /// The cursor's binding; what is not asked for is bound to the first input and never read.
    fn cursor(self, position: usize) -> Binding {
        Binding::Input(if self.ragged.is_some() { position } else { 0 })
    }
}

impl Op for Standardize {
    fn name(&self) -> &'static str {
        "standardize"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        self.inputs(1, inputs)?;
        let x = &inputs[0];
        expect_dtype("x", x, DType::F32)?;
        let along = Along::of(x, self.axis)?;
        // One below 0 is for whoever knows that the variance is larger, as in PyTorch.
        if !self.epsilon.is_finite() {
            return Err(format!("epsilon must be finite, got {}", self.epsilon));
        }
        let statistics = TensorType::f32(x.shape.without(along.at));
        Ok(vec![x.clone(), statistics.clone(), statistics])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (x, y, variance) = (&vjp.inputs[0], &vjp.outputs[0], &vjp.outputs[2]);
        let graph = x.graph();
        let mut dx = vjp.gradients[0].as_ref().map(|dy| {
            let mut inputs = vec![y, variance, dy];
            inputs.extend(&vjp.inputs[1..]);
            graph.apply_one(Backward(*self), &inputs)
        });
        // What the statistics add: dμ/n + dv·2(x − μ)/n.
        let statistics = [&vjp.gradients[1], &vjp.gradients[2]];
        if statistics.iter().any(|gradient| gradient.is_some()) {
            let along = Along::admitted(&x.kind(), self.axis);
            let wide = |t: &Tensor| t.reshape([along.outer, 1, along.inner]);
            let counted = CountedMoments::of(*self, y, variance, vjp.inputs.get(1));
            let [dmean, dvariance] = statistics.map(|gradient| gradient.as_ref().map(wide));
            let of_variance = dvariance.map(|dv| {
                let root = wide(variance).offset(self.epsilon).sqrt();
                along
                    .wide(y)
                    .mul(&dv.mul(&root).scale(2.0).div(&counted.count))
            });
            let of_mean = dmean.filter(|_| self.center).map(|dmean| {
                let shape = [along.outer, along.inner];
                let share = dmean.div(&counted.count).reshape(shape);
                along.wide(&share.repeat(1, along.len))
            });
            for part in [of_variance, of_mean].into_iter().flatten() {
                let part = counted.only(part).reshape(x.shape());
                dx = Some(match dx {
                    Some(dx) => dx.add(&part),
                    None => part,
                });
            }
        }
        let mut gradients = vec![dx];
        gradients.resize(vjp.inputs.len(), None);
        Ok(gradients)
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let launch = Standardize::launch(*self, "forward", &signature.inputs[0], (3, 2), target);
        Ok(launch
            .bind(Binding::Input(0))
            .bind(self.cursor(1))
            .bind(Binding::Output(0))
            .bind(Binding::Output(1))
            .bind(Binding::Output(2))
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // μ is off by δ = γₙ·Σ|x|/n and a rounding. v then gains δ² and γ of its sum; y is off by δ/√(v + ε), half of v's
        // relative error, and the roundings of a difference, a root and a quotient.
        let along = Along::admitted(&sample.signature.inputs[0], self.axis);
        let n = self.count(along, || sample.inputs[1][ROWS] as u32);
        let gamma = Sample::gamma(n + 4);
        let mut bounds = [
            sample.relative(0, 8.0),
            sample.relative(1, 1.0),
            sample.relative(2, 4.0),
        ];
        for row in 0..along.rows() {
            let (mean, variance) = (sample.results[1][row], sample.results[2][row]);
            let values = along.row(&sample.inputs[0], row).take(n);
            let terms = values.map(f64::abs).sum::<f64>() / n as f64;
            let delta = if self.center {
                gamma * terms + 3.0 * UNIT * mean.abs()
            } else {
                0.0
            };
            let off = delta * delta + gamma * variance;
            bounds[1][row] += delta;
            bounds[2][row] += off;
            let total = (variance + f64::from(self.epsilon)).max(1e-37);
            for at in along.places(row) {
                let x = sample.inputs[0][at];
                let y = sample.results[0][at].abs();
                bounds[0][at] += (delta + UNIT * (x - mean).abs()) / total.sqrt()
                    + y * (0.5 * off / total + UNIT);
            }
        }
        bounds.into()
    }
}

impl Compute for Standardize {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let along = Along::admitted(&io.signature.inputs[0], self.axis);
        let n = self.count(along, || io.words(1)[ROWS]);
        let (x, share) = (io.input(0), n as f64);
        let epsilon = T::constant(f64::from(self.epsilon));
        let [y, mean, variance] = io.outputs();
        for row in 0..along.rows() {
            // Sums in f64: they are one after the other, so that the wider numbers cost nothing.
            let counted = along.row(x, row).take(n);
            let center = if self.center {
                T::constant(counted.clone().map(T::double).sum::<f64>() / share)
            } else {
                T::zero()
            };
            let squares = counted.map(|x| (x - center).double().powi(2));
            let v = T::constant(squares.sum::<f64>() / share);
            let root = (v + epsilon).sqrt();
            for at in along.places(row) {
                y[at] = (x[at] - center) / root;
            }
            (mean[row], variance[row]) = (center, v);
        }
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "standardize.backward"
    }

    /// With g = dL/d(dx), r = 1/√(v + ε) and means over the elements that count: by dy it is the same operation on g; by y
    /// −r·(g·mean(dy ⊙ y) + dy·mean(g ⊙ y)); by v −½·Σ g ⊙ dx/(v + ε).
    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (y, variance, dy, g) = (&vjp.inputs[0], &vjp.inputs[1], &vjp.inputs[2], vjp.dy()?);
        let along = Along::admitted(&y.kind(), self.0.axis);
        let [wide_y, wide_dy, wide_g] = [y, dy, g].map(|tensor| along.wide(tensor));
        let spread = variance.reshape([along.outer, 1, along.inner]);
        let spread = spread.offset(self.0.epsilon);
        let by_y = || {
            let counted = CountedMoments::of(self.0, y, variance, vjp.inputs.get(3));
            let mean =
                |a: &Tensor, b: &Tensor| along.sums(&counted.only(a.mul(b))).div(&counted.count);
            let terms = wide_g.mul(&mean(&wide_dy, &wide_y));
            let terms = terms.add(&wide_dy.mul(&mean(&wide_g, &wide_y)));
            let by_y = counted.only(terms).div(&spread.sqrt()).neg();
            by_y.reshape(y.shape())
        };
        let by_variance = || {
            let products = along.sums(&wide_g.mul(&along.wide(&vjp.outputs[0])));
            products.div(&spread).scale(-0.5).reshape(variance.shape())
        };
        let by_dy = || {
            let mut inputs = vec![y, variance, g];
            inputs.extend(&vjp.inputs[3..]);
            y.graph().apply_one(*self, &inputs)
        };
        let mut gradients = vec![
            vjp.wanted[0].then(by_y),
            vjp.wanted[1].then(by_variance),
            vjp.wanted[2].then(by_dy),
        ];
        gradients.resize(vjp.inputs.len(), None);
        Ok(gradients)
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        self.0.inputs(3, inputs)?;
        Ok(vec![inputs[0].clone()])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let launch = self
            .0
            .launch("backward", &signature.inputs[0], (2, 2), target);
        Ok(launch
            .bind(Binding::Input(0))
            .bind(self.0.cursor(3))
            .bind(Binding::Input(1))
            .bind(Binding::Input(2))
            .bind(Binding::Output(0))
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // γ of both sums, a rounding of each term, and of a root and a quotient.
        let along = Along::admitted(&sample.signature.inputs[0], self.0.axis);
        let n = self.0.count(along, || sample.inputs[3][ROWS] as u32);
        let gamma = Sample::gamma(n + 4);
        let mut bound = sample.relative(0, 8.0);
        let (y, dy) = (&sample.inputs[0], &sample.inputs[2]);
        for row in 0..along.rows() {
            let places = along.places(row).take(n);
            let (sum, products) = places.fold((0.0, 0.0), |(sum, products), at| {
                (sum + dy[at].abs(), products + (dy[at] * y[at]).abs())
            });
            let (sum, products) = (sum / n as f64, products / n as f64);
            let spread = sample.inputs[1][row] + f64::from(self.0.epsilon);
            for at in along.places(row) {
                let terms = dy[at].abs() + sum + y[at].abs() * products;
                bound[at] += (gamma + 4.0 * UNIT) * terms / spread.sqrt();
            }
        }
        vec![bound]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let along = Along::admitted(&io.signature.inputs[0], self.0.axis);
        let n = self.0.count(along, || io.words(3)[ROWS]);
        let (y, variance, dy) = (io.input(0), io.input(1), io.input(2));
        let (share, epsilon) = (n as f64, T::constant(f64::from(self.0.epsilon)));
        let dx = io.output(0);
        for (row, &variance) in variance.iter().enumerate() {
            let counted = along.places(row).take(n);
            let (sum, products) = counted.fold((0.0, 0.0), |(sum, products), at| {
                let dy = dy[at].double();
                (sum + dy, products + dy * y[at].double())
            });
            let mean = if self.0.center {
                T::constant(sum / share)
            } else {
                T::zero()
            };
            let slope = T::constant(products / share);
            let root = (variance + epsilon).sqrt();
            for (i, at) in along.places(row).enumerate() {
                dx[at] = if i < n {
                    (dy[at] - mean - y[at] * slope) / root
                } else {
                    T::zero()
                };
            }
        }
    }
}
