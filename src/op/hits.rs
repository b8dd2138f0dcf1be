//! Right answers of each row that need not be the largest: among the k largest, as Keras's TopKCategoricalAccuracy, or
//! equal to the target, as Keras's Accuracy.
//!
//! A number as large as that of the wanted class does not count before it. A NaN in a row gives NaN, where Keras counts a
//! miss: a diverged model should not pass for a bad one.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, Vjp, arity, shader,
};
use crate::number::Real;
use crate::op::shape::rows::{RowTarget, Rows, dense, sparse};
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

use super::accuracy::{SHAPES, one_if, scores, wanted};

const SHADER: Shader = shader!("hits", "rows");

pub const ENTRY: Entry = Entry::new("hits", &[SHADER], cases);

/// Which answers are right. Answers: `[rows, columns]`; the result: `[rows]`. It has no gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hits {
    /// Whether fewer than this many numbers exceed that of the wanted class: of the label, u32 \[rows\], or of the target's
    /// largest, \[rows, columns\]. A label that names no column gives NaN.
    Top(usize),
    /// The share of numbers that equal the target's, \[rows, columns\].
    Equal,
}

use Hits::{Equal, Top};

impl Op for Hits {
    fn name(&self) -> &'static str {
        "hits"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, t] = arity::<2>(inputs)?;
        let rows = match (self, t.dtype) {
            (Top(_), DType::U32) => sparse(y, t)?,
            _ => dense(y, t)?,
        };
        Ok(vec![TensorType::f32(rows)])
    }

    /// Zero: the function is flat wherever it does not jump.
    fn gradient(&self, _vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        Ok(vec![None, None])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let sparse = signature.inputs[1].dtype == DType::U32;
        let (entry, passes, trees, k) = match *self {
            Equal => ("forward_equal", 1, 1, 0),
            Top(k) if sparse => ("forward_top", 1, 1, k),
            Top(k) => ("forward_top", 3, 3, k),
        };
        let rows = Rows::new(&signature.inputs[0].shape, passes, target);
        Ok(rows
            .launch(SHADER, entry, passes, trees)
            .set("SPARSE", sparse)
            .param("top_k", k)
            .bind_all(2, 1)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // Counts are exact; WGSL allows the division 2.5 units.
        vec![sample.relative(0, 3.0)]
    }
}

impl Compute for Hits {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        scores(io, |y, target| self.of_row(y, target));
    }
}

impl Hits {
    fn of_row<T: Real>(self, y: &[T], target: Option<RowTarget<'_, T>>) -> T {
        match (self, target) {
            (Equal, Some(RowTarget::Shares(t))) => {
                let hits = y.iter().zip(t).map(|(&y, &t)| {
                    let lost = y.is_nan() || t.is_nan();
                    if lost { T::nan() } else { one_if(y == t) }
                });
                hits.sum::<T>() / T::constant(y.len() as f64)
            }
            (Top(k), Some(target)) if !y.iter().any(|x| x.is_nan()) => {
                let before = |wanted: usize| y.iter().filter(|&&x| x > y[wanted]).count();
                wanted(target).map_or(T::nan(), |wanted| one_if(before(wanted) < k))
            }
            _ => T::nan(),
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, shape) in SHAPES.into_iter().enumerate() {
        let rows = &shape[..shape.len() - 1];
        let classes = shape[shape.len() - 1];
        let equal = Case::new(Equal).input(shape, Fill::Binary);
        cases.push(equal.input(shape, Fill::Binary).without_gradient());
        let k = [1, 2, 5, classes / 2 + 1][number % 4];
        // Zeros and ones: many are equal.
        let y = [Fill::Uniform(-1.0, 1.0), Fill::Binary][number % 2].clone();
        let top = Case::new(Top(k)).input(shape, y.clone());
        cases.push(top.input(shape, Fill::OneHot).without_gradient());
        let top = Case::new(Top(k)).input(shape, y).without_gradient();
        cases.push(top.words(rows, Fill::Below(classes as u32)));
    }
    let top = Case::new(Top(2)).constant(&[4, 3], Fill::Uniform(-1.0, 1.0));
    cases.push(top.words(&[4], Fill::Words(vec![0, 3, 2, u32::MAX])));
    cases
}

impl Tensor {
    /// 1 for each row whose answer is right by `kind`, or the share of right ones, else 0: `[…, columns]` becomes `[…]`. `target` is
    /// as [`Hits`] says for the kind. A row with a NaN gives NaN. It has no gradient.
    #[track_caller]
    pub(crate) fn hits(&self, target: &Tensor, kind: Hits) -> Tensor {
        self.graph().apply_one(kind, &[self, target])
    }
}
