//! How unlike a row of predictions is to its row of targets: cosine similarity, Tversky and Dice.
//!
//! Cosine as Keras 3 has it: loss = −Σ y·t·n(Σ y²)·n(Σ t²) with n(x) = 1/√max(x, 1e-12). Tversky (Salehi, Erdogmus,
//! Gholipour 2017): with A = Σ y·t, loss = 1 − A/(A + α·Σ t·(1 − y) + β·Σ y·(1 − t) + ε), as α and β fall in Keras; Dice
//! has α = β = ½ and half of Keras' ε.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    shader,
};
use crate::number::{Real, UNIT};
use crate::op::shape::row_pairs::{gradients, losses, of_sample};
use crate::op::shape::rows::{Rows, dense};
use crate::target::Target;
use crate::{Tensor, TensorType};

const SHADER: Shader = shader!("similarity", "rows");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "similarity",
    shaders: &[SHADER],
    cases,
};

/// The square of the least length that a vector is divided by.
const SHORTEST: f32 = 1e-12;

/// A loss of each row by three sums over it. y and t: one shape; loss: the same without the last dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Similarity {
    /// −cos of the angle between y and t: −1 for the same direction, 1 for opposite ones.
    Cosine,
    /// 1 − A/(A + α·Σ t·(1 − y) + β·Σ y·(1 − t) + ε) with A = Σ y·t: 0 where y = t and both are zeros and ones.
    Tversky {
        /// The weight of what is missed, t·(1 − y).
        alpha: f32,
        /// The weight of false alarms, y·(1 − t).
        beta: f32,
        /// What keeps the divisor from 0.
        epsilon: f32,
    },
}

use Similarity::{Cosine, Tversky};

/// dy. Inputs: y, t, dloss; output dy, shaped as y.
#[derive(Debug, Clone, Copy)]
struct Backward(Similarity);

/// The three sums, of A, B and C as the shader names them, and how far off they may be on a device.
struct SimilaritySums<T> {
    a: T,
    b: T,
    c: T,
}

impl Similarity {
    fn params(self, launch: Launch) -> Launch {
        let (alpha, beta, epsilon) = match self {
            Cosine => (0.0, 0.0, 0.0),
            Tversky {
                alpha,
                beta,
                epsilon,
            } => (alpha, beta, epsilon),
        };
        launch
            .set("COSINE", self == Cosine)
            .param("alpha", alpha)
            .param("beta", beta)
            .param("epsilon", epsilon)
    }

    #[inline(always)]
    fn terms<T: Real>(self, y: T, t: T) -> (T, T, T) {
        match self {
            Cosine => (y * t, y * y, t * t),
            Tversky { .. } => (y * t, t * (T::one() - y), y * (T::one() - t)),
        }
    }

    #[inline(always)]
    fn sums<T: Real>(self, y: &[T], t: &[T]) -> SimilaritySums<T> {
        let (mut a, mut b, mut c) = (T::zero(), T::zero(), T::zero());
        for (&y, &t) in y.iter().zip(t) {
            let terms = self.terms(y, t);
            a += terms.0;
            b += terms.1;
            c += terms.2;
        }
        SimilaritySums { a, b, c }
    }

    /// αB + βC + ε.
    #[inline(always)]
    fn mistakes<T: Real>(self, sums: &SimilaritySums<T>) -> T {
        let of = |number: f32| T::of(f64::from(number));
        match self {
            Cosine => T::zero(),
            Tversky {
                alpha,
                beta,
                epsilon,
            } => of(alpha) * sums.b + of(beta) * sums.c + of(epsilon),
        }
    }

    #[inline(always)]
    fn value<T: Real>(self, sums: &SimilaritySums<T>) -> T {
        match self {
            Cosine => -(sums.a * sums.lengths()),
            Tversky { .. } => {
                let mistakes = self.mistakes(sums);
                mistakes / (sums.a + mistakes)
            }
        }
    }

    #[inline(always)]
    fn slope<T: Real>(self, sums: &SimilaritySums<T>, y: T, t: T) -> T {
        let of = |number: f32| T::of(f64::from(number));
        match self {
            Cosine => (y * sums.along() - t) * sums.lengths(),
            Tversky { alpha, beta, .. } => {
                let mistakes = self.mistakes(sums);
                let all = sums.a + mistakes;
                let hits = sums.a * (of(beta) * (T::one() - t) - of(alpha) * t);
                (hits - t * mistakes) / all / all
            }
        }
    }

    /// The absolute errors of a device's A and N, and N.
    fn errors(self, y: &[f64], t: &[f64]) -> (f64, f64, f64) {
        let gamma = Sample::gamma(y.len() + 2);
        let (mut a, mut n) = (0.0, 0.0);
        for (&y, &t) in y.iter().zip(t) {
            let terms = self.terms(y, t);
            a += terms.0.abs();
            if let Tversky { alpha, beta, .. } = self {
                n += f64::from(alpha).abs() * terms.1.abs() + f64::from(beta).abs() * terms.2.abs();
            }
        }
        let mistakes = self.mistakes(&self.sums(y, t));
        (
            gamma * a,
            (gamma + 4.0 * UNIT) * n + UNIT * mistakes.abs(),
            mistakes,
        )
    }
}

impl<T: Real> SimilaritySums<T> {
    #[inline(always)]
    fn lengths(&self) -> T {
        let least = T::of(f64::from(SHORTEST));
        // Not `max`, which would lose a NaN.
        let length = |x: T| if x < least { least } else { x }.sqrt();
        T::one() / (length(self.b) * length(self.c))
    }

    /// The share of y that points along the target; none where y is too short to be normalised.
    #[inline(always)]
    fn along(&self) -> T {
        if self.b < T::of(f64::from(SHORTEST)) {
            T::zero()
        } else {
            self.a / self.b
        }
    }
}

impl Op for Similarity {
    fn name(&self) -> &'static str {
        "similarity"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, t] = arity::<2>(inputs)?;
        Ok(vec![TensorType::f32(dense(y, t)?)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (y, t, dloss) = (&vjp.inputs[0], &vjp.inputs[1], vjp.dy()?);
        // Targets and predictions change places, and with them what is missed and what is a false alarm.
        let swapped = match *self {
            Cosine => Cosine,
            Tversky {
                alpha,
                beta,
                epsilon,
            } => Tversky {
                alpha: beta,
                beta: alpha,
                epsilon,
            },
        };
        let graph = y.graph();
        let dy = vjp.wanted[0].then(|| graph.apply_one(Backward(*self), &[y, t, dloss]));
        let dt = vjp.wanted[1].then(|| graph.apply_one(Backward(swapped), &[t, y, dloss]));
        Ok(vec![dy, dt])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let rows = Rows::new(&signature.inputs[0].shape, 1, target);
        let launch = rows.launch(SHADER, "forward", 1, 3).bind_all(2, 1);
        Ok(self.params(launch).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let rows = of_sample(sample).zip(&sample.results[0]);
        let bound = rows.map(|((y, t), &loss)| {
            let sums = self.sums(y, t);
            let (a, n, mistakes) = self.errors(y, t);
            let own = match self {
                // Each length has half of γ of its sum, which is of squares, and two units of the root.
                Cosine => a * sums.lengths() + loss.abs() * (Sample::gamma(y.len()) + 12.0 * UNIT),
                Tversky { .. } => (n + loss.abs() * (a + n)) / (sums.a + mistakes).abs(),
            };
            own + 8.0 * UNIT * loss.abs() + 1e-37
        });
        vec![bound.collect()]
    }
}

impl Compute for Similarity {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        losses(
            io,
            #[inline(always)]
            |y, t| self.value(&self.sums(y, t)),
        );
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "similarity.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, _, _] = arity::<3>(inputs)?;
        Ok(vec![y.clone()])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let rows = Rows::new(&signature.inputs[0].shape, 2, target);
        let launch = rows.launch(SHADER, "backward", 2, 3).bind_all(3, 1);
        Ok(self.0.params(launch).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let mut bound = sample.relative(0, 2.0);
        let mut bounds = bound.iter_mut();
        for ((y, t), dloss) in of_sample(sample).zip(&sample.inputs[2]) {
            let sums = self.0.sums(y, t);
            let (a, n, mistakes) = self.0.errors(y, t);
            for ((&y_one, &t_one), bound) in y.iter().zip(t).zip(&mut bounds) {
                let slope = self.0.slope(&sums, y_one, t_one).abs();
                let gamma = Sample::gamma(y.len()) + 16.0 * UNIT;
                let error = match self.0 {
                    Cosine => {
                        let share = (y_one * sums.along()).abs();
                        let turned = if sums.along() == 0.0 {
                            0.0
                        } else {
                            (y_one / sums.b).abs() * a
                        };
                        (turned + share * gamma + UNIT * t_one.abs()) * sums.lengths()
                            + slope * gamma
                    }
                    Tversky { alpha, beta, .. } => {
                        let factor = f64::from(beta).abs() * (1.0 - t_one).abs()
                            + f64::from(alpha).abs() * t_one.abs();
                        let all = (sums.a + mistakes).abs();
                        let above = (a + 4.0 * UNIT * sums.a.abs()) * factor
                            + t_one.abs() * (n + 2.0 * UNIT * mistakes.abs());
                        above / all / all + slope * (2.0 * (a + n) / all + 16.0 * UNIT)
                    }
                };
                *bound += error * dloss.abs();
            }
        }
        vec![bound]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        gradients(
            io,
            #[inline(always)]
            |dy, y, t, dloss| {
                let sums = self.0.sums(y, t);
                for ((dy, &y), &t) in dy.iter_mut().zip(y).zip(t) {
                    *dy = self.0.slope(&sums, y, t) * dloss;
                }
            },
        );
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 13] = [
        &[1],
        &[257],
        &[1, 1],
        &[2, 3],
        &[17, 10],
        &[33, 17],
        &[255, 1],
        &[256, 3],
        &[1000, 10],
        &[2, 3, 5],
        &[33, 257],
        &[3, 1000],
        &[2, 70_000],
    ];
    let mut cases = Vec::new();
    let mut push = |op: Similarity, shape: &[usize], (y, t): (Fill, Fill), smooth: bool| {
        let forward = Case::new(op)
            .input(shape, y.clone())
            .input(shape, t.clone());
        cases.push(if smooth {
            forward
        } else {
            forward.without_gradient()
        });
        let rows = &shape[..shape.len() - 1];
        let backward = Case::new(Backward(op)).input(shape, y).input(shape, t);
        let backward = backward.input(rows, Fill::Uniform(-2.0, 2.0));
        cases.push(backward.without_gradient());
    };
    for (i, shape) in shapes.into_iter().enumerate() {
        let numbers = (Fill::Uniform(-2.0, 3.0), Fill::Uniform(-3.0, 2.0));
        push(Cosine, shape, numbers, true);
        let (alpha, beta) = [(0.5, 0.5), (0.3, 0.7)][i % 2];
        let op = Tversky {
            alpha,
            beta,
            epsilon: 1e-7,
        };
        let t = [Fill::Binary, Fill::Uniform(0.0, 1.0)][i % 2].clone();
        push(op, shape, (Fill::Uniform(0.05, 0.95), t), true);
    }
    // No direction, no positives, all right.
    let y = vec![0.0, 0.0, 0.0, 3e-8, 0.0, 0.0, 1.0, 0.0, 1.0];
    let t = vec![1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0];
    let fills = || (Fill::Values(y.clone()), Fill::Values(t.clone()));
    push(Cosine, &[3, 3], fills(), false);
    let dice = Tversky {
        alpha: 0.5,
        beta: 0.5,
        epsilon: 0.5e-7,
    };
    push(dice, &[3, 3], fills(), false);
    let far = Fill::Uniform(-1e4, 1e4);
    push(Cosine, &[17, 33], (far.clone(), far), false);
    cases
}

impl Tensor {
    /// How unlike each row is to the target's, over the last dimension, which is dropped.
    #[track_caller]
    pub fn similarity(&self, target: &Tensor, kind: Similarity) -> Tensor {
        self.graph().apply_one(kind, &[self, target])
    }
}
