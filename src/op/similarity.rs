//! How unlike a row of predictions is to its row of targets: cosine similarity, Tversky and Dice.
//!
//! Cosine as Keras 3 has it: loss = −Σ y·t·n(Σ y²)·n(Σ t²) with n(x) = 1/√max(x, 1e-12). Tversky (Salehi, Erdogmus,
//! Gholipour 2017): with A = Σ y·t, loss = 1 − A/(A + α·Σ t·(1 − y) + β·Σ y·(1 − t) + ε), as α and β fall in Keras; Dice
//! has α = β = ½ and half of Keras' ε.

use crate::Tensor;
use crate::contract::{Case, Entry, Fill, Launch, Sample, Shader, shader};
use crate::number::{Number, Real, Tracked};

use super::row_reduction::{self, Comparison, RowReduction, SHAPES, TargetGradient};

const SHADER: Shader = shader!("similarity", "rows");

pub const ENTRY: Entry = Entry::new("similarity", &[SHADER], cases);

/// The square of the least length that a vector is divided by.
const SHORTEST: f32 = 1e-12;

/// A loss of each row by three sums over it. y and t: one shape; loss: the same without the last dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Similarity {
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

/// The three sums, of A, B and C as the shader names them.
struct SimilaritySums<T> {
    a: T,
    b: T,
    c: T,
}

impl Similarity {
    #[inline(always)]
    fn terms<N: Number>(self, y: N, t: N) -> [N; 3] {
        let one = N::constant(1.0);
        match self {
            Cosine => [y * t, y * y, t * t],
            Tversky { .. } => [y * t, t * (one - y), y * (one - t)],
        }
    }

    #[inline(always)]
    fn sums<T: Real>(self, y: &[T], t: &[T]) -> SimilaritySums<T> {
        let (mut a, mut b, mut c) = (T::zero(), T::zero(), T::zero());
        for (&y, &t) in y.iter().zip(t) {
            let terms = self.terms(y, t);
            a += terms[0];
            b += terms[1];
            c += terms[2];
        }
        SimilaritySums { a, b, c }
    }

    /// The sums with what a device's may be off by: γ of the terms' magnitudes.
    fn tracked_sums(self, y: &[f64], t: &[f64]) -> SimilaritySums<Tracked> {
        let gamma = Sample::gamma(y.len() + 2);
        let mut sums = [Tracked::exact(0.0); 3];
        for (&y, &t) in y.iter().zip(t) {
            for (sum, term) in sums.iter_mut().zip(self.terms(y, t)) {
                sum.value += term;
                sum.error += gamma * term.abs();
            }
        }
        let [a, b, c] = sums;
        SimilaritySums { a, b, c }
    }

    /// αB + βC + ε.
    #[inline(always)]
    fn mistakes<N: Number>(self, sums: &SimilaritySums<N>) -> N {
        match self {
            Cosine => N::constant(0.0),
            Tversky {
                alpha,
                beta,
                epsilon,
            } => N::given(alpha) * sums.b + N::given(beta) * sums.c + N::given(epsilon),
        }
    }

    #[inline(always)]
    fn of_sums<N: Number>(self, sums: &SimilaritySums<N>) -> N {
        match self {
            Cosine => -(sums.a * sums.lengths()),
            Tversky { .. } => {
                let mistakes = self.mistakes(sums);
                mistakes / (sums.a + mistakes)
            }
        }
    }

    #[inline(always)]
    fn slope_at<N: Number>(self, sums: &SimilaritySums<N>, y: N, t: N) -> N {
        match self {
            Cosine => (y * sums.along() - t) * sums.lengths(),
            Tversky { alpha, beta, .. } => {
                let mistakes = self.mistakes(sums);
                let all = sums.a + mistakes;
                let weight = N::given(beta) * (N::constant(1.0) - t) - N::given(alpha) * t;
                (sums.a * weight - t * mistakes) / all / all
            }
        }
    }
}

impl<N: Number> SimilaritySums<N> {
    #[inline(always)]
    fn lengths(&self) -> N {
        let least = N::given(SHORTEST);
        // Not the larger one, which would lose a NaN.
        let length = |x: N| N::choose(x.is_less(least), least, x).root();
        N::constant(1.0) / (length(self.b) * length(self.c))
    }

    /// The share of y that points along the target; none where y is too short to be normalised.
    #[inline(always)]
    fn along(&self) -> N {
        let short = self.b.is_less(N::given(SHORTEST));
        N::choose(short, N::constant(0.0), self.a / self.b)
    }
}

impl Comparison for Similarity {
    fn names(&self) -> [&'static str; 2] {
        ["similarity", "similarity.backward"]
    }

    fn shader(&self) -> Shader {
        SHADER
    }

    fn trees(&self) -> (u64, Option<(u64, u64)>) {
        (3, Some((2, 3)))
    }

    fn params(&self, launch: Launch) -> Launch {
        let (alpha, beta, epsilon) = match *self {
            Cosine => (0.0, 0.0, 0.0),
            Tversky {
                alpha,
                beta,
                epsilon,
            } => (alpha, beta, epsilon),
        };
        launch
            .set("COSINE", *self == Cosine)
            .param("alpha", alpha)
            .param("beta", beta)
            .param("epsilon", epsilon)
    }

    /// Targets and predictions change places, and with them what is missed and what is a false alarm.
    fn of_targets(&self) -> TargetGradient<Self> {
        TargetGradient::Swapped(match *self {
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
        })
    }

    #[inline(always)]
    fn value<T: Real>(&self, y: &[T], t: &[T]) -> T {
        self.of_sums(&self.sums(y, t))
    }

    #[inline(always)]
    fn slopes<T: Real>(&self, dy: &mut [T], y: &[T], t: &[T], dloss: T) {
        let sums = self.sums(y, t);
        for ((dy, &y), &t) in dy.iter_mut().zip(y).zip(t) {
            *dy = self.slope_at(&sums, y, t) * dloss;
        }
    }

    fn value_error(&self, y: &[f64], t: &[f64], _loss: f64) -> f64 {
        self.of_sums(&self.tracked_sums(y, t)).error
    }

    fn add_slope_errors(&self, bound: &mut [f64], y: &[f64], t: &[f64], dloss: f64) {
        let sums = self.tracked_sums(y, t);
        for (bound, (&y, &t)) in bound.iter_mut().zip(y.iter().zip(t)) {
            let slope = self.slope_at(&sums, Tracked::exact(y), Tracked::exact(t));
            *bound += slope.error * dloss.abs();
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut push = |op: Similarity, shape: &[usize], fills: (Fill, Fill), smooth: bool| {
        cases.extend(row_reduction::pair(op, shape, fills, smooth, false));
    };
    for (i, shape) in SHAPES.into_iter().enumerate() {
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
    /// How unlike each row is to the target's, over the last dimension, which is dropped: from −1 for the same direction to
    /// 1 for opposite ones, or from 0 for equal zeros and ones to 1 for no overlap, as `kind` says. The target has this
    /// tensor's shape.
    #[track_caller]
    pub(crate) fn similarity(&self, target: &Tensor, kind: Similarity) -> Tensor {
        self.graph().apply_one(RowReduction(kind), &[self, target])
    }
}
