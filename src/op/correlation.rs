//! How the predictions of each row go with its targets: Pearson's correlation, and Lin's concordance (Lin, 1989), as Keras
//! 3's PearsonCorrelation and ConcordanceCorrelation over the last axis.
//!
//! With A = Σ (y − ȳ)·(t − t̄), B = Σ (y − ȳ)², C = Σ (t − t̄)² over the n columns: A/√(B·C), and
//! 2·A/(B + C + n·(ȳ − t̄)²). A row that does not vary has 0, where Keras divides by 0.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, arity, shader, shapes,
};
use crate::number::{Real, UNIT};
use crate::op::shape::row_pairs::{losses, of_sample};
use crate::op::shape::rows::{Rows, dense};
use crate::target::Target;
use crate::{Tensor, TensorType};

const SHADER: Shader = shader!("correlation", "rows");

pub const ENTRY: Entry = Entry::new("correlation", &[SHADER], cases);

/// A correlation of each row. y and t: one shape; the result: the same without the last dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Correlation {
    /// How near they are to a straight line, −1 to 1.
    Pearson,
    /// How near they are to being equal, −1 to 1.
    Concordance,
}

/// The means and centred sums of a row.
struct PairSums<T> {
    a: T,
    b: T,
    c: T,
    /// n·(ȳ − t̄)².
    apart: T,
}

impl<T: Real> PairSums<T> {
    #[inline(always)]
    fn of(y: &[T], t: &[T]) -> Self {
        let n = T::constant(y.len() as f64);
        let (mean_y, mean_t) = (T::total(y) / n, T::total(t) / n);
        let (mut a, mut b, mut c) = (T::zero(), T::zero(), T::zero());
        for (&y, &t) in y.iter().zip(t) {
            let (dy, dt) = (y - mean_y, t - mean_t);
            a += dy * dt;
            b += dy * dy;
            c += dt * dt;
        }
        let apart = n * (mean_y - mean_t) * (mean_y - mean_t);
        PairSums { a, b, c, apart }
    }
}

impl Correlation {
    #[inline(always)]
    fn value<T: Real>(self, sums: &PairSums<T>) -> T {
        match self {
            Correlation::Pearson if sums.b == T::zero() || sums.c == T::zero() => T::zero(),
            Correlation::Pearson => sums.a / sums.b.sqrt() / sums.c.sqrt(),
            Correlation::Concordance => T::constant(2.0) * sums.a / (sums.b + sums.c + sums.apart),
        }
    }
}

impl Op for Correlation {
    fn name(&self) -> &'static str {
        "correlation"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, t] = arity::<2>(inputs)?;
        Ok(vec![TensorType::f32(dense(y, t)?)])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let rows = Rows::new(&signature.inputs[0].shape, 2, target);
        Ok(rows
            .launch(SHADER, "forward", 2, 5)
            .set("CONCORDANCE", *self == Correlation::Concordance)
            .bind_all(2, 1)
            .into())
    }

    /// A mean is off by γ of its terms, which moves every distance from it; products and sums of those add γ, the quotient
    /// the errors of its parts, doubled where they are no longer small.
    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let (_, columns) = sample.signature.inputs[0].shape.rows_and_columns();
        let n = columns as f64;
        let gamma = Sample::gamma(columns + 4);
        let bound = of_sample(sample).map(|(y, t)| {
            let mean = |x: &[f64]| x.iter().sum::<f64>() / n;
            let slip = |x: &[f64]| gamma * x.iter().map(|x| x.abs()).sum::<f64>() / n;
            let (mean_y, mean_t, slip_y, slip_t) = (mean(y), mean(t), slip(y), slip(t));
            let (mut of_a, mut of_b, mut of_c) = (0.0, 0.0, 0.0);
            for (&y, &t) in y.iter().zip(t) {
                let (dy, dt) = ((y - mean_y).abs(), (t - mean_t).abs());
                of_a += slip_y * dt + slip_t * dy + slip_y * slip_t + gamma * dy * dt;
                of_b += 2.0 * slip_y * dy + slip_y * slip_y + gamma * dy * dy;
                of_c += 2.0 * slip_t * dt + slip_t * slip_t + gamma * dt * dt;
            }
            let sums = PairSums::of(y, t);
            let value = self.value(&sums).abs();
            let error = match self {
                // The mean of equal numbers is exact in the cases.
                Correlation::Pearson if sums.b == 0.0 || sums.c == 0.0 => 0.0,
                Correlation::Pearson => {
                    let below = (sums.b * sums.c).sqrt();
                    of_a / below + value * (of_b / sums.b + of_c / sums.c) / 2.0
                }
                Correlation::Concordance => {
                    let slip = slip_y + slip_t;
                    let apart = (mean_y - mean_t).abs();
                    let below = sums.b + sums.c + sums.apart;
                    let of_below = of_b + of_c + n * slip * (2.0 * apart + slip) + gamma * below;
                    2.0 * of_a / below + value * of_below / below
                }
            };
            2.0 * error + 16.0 * UNIT * value + 1e-37
        });
        vec![bound.collect()]
    }
}

impl Compute for Correlation {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        losses(
            io,
            #[inline(always)]
            |y, t| self.value(&PairSums::of(y, t)),
        );
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 16] = shapes![
        2; 257; 1 x 2; 2 x 3; 3 x 2; 17 x 10; 33 x 17; 255 x 5; 256 x 10; 257 x 3; 1000 x 4; 2 x 3 x 5;
        33 x 257; 3 x 1000; 70 x 255; 2 x 60_000
    ];
    let mut cases = Vec::new();
    for (number, shape) in shapes.into_iter().enumerate() {
        for op in [Correlation::Pearson, Correlation::Concordance] {
            let (from, to) = [(-2.0, 3.0), (9.0, 11.0)][number % 2];
            let case = Case::new(op).input(shape, Fill::Uniform(from, to));
            cases.push(
                case.input(shape, Fill::Uniform(-3.0, 2.0))
                    .without_gradient(),
            );
        }
    }
    // A row that does not vary.
    let case =
        Case::new(Correlation::Pearson).constant(&[2, 2], Fill::Values(vec![1.0, 1.0, 1.0, 2.0]));
    cases.push(case.constant(&[2, 2], Fill::Values(vec![1.0, 3.0, 4.0, 3.0])));
    cases
}

impl Tensor {
    /// How each row goes with the row of `target`, a tensor of the same shape, from −1 to 1: `[…, columns]` becomes `[…]`. A row
    /// that does not vary has 0.
    #[track_caller]
    pub(crate) fn correlation(&self, target: &Tensor, kind: Correlation) -> Tensor {
        self.graph().apply_one(kind, &[self, target])
    }
}
