//! Penalties on weights or outputs, which a layer adds to the loss.

use serde::{Deserialize, Serialize};

use crate::lookup::{self, Named};
use crate::range::at_least_zero;
use crate::{Error, Result, Tensor};

/// A penalty by Keras' names and defaults. PyTorch has none; its optimizers' `weight_decay` is the gradient of ½·λ·Σ W²:
/// [`Common::l2`](crate::optim::Common).
// Functions are compared by address: a function equals itself, which is all that a comparison of settings asks.
#[allow(unpredictable_function_pointer_comparisons)]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Regularizer {
    /// l1·Σ|x|. Keras' default factor: 0.01.
    L1(f32),
    /// l2·Σ x². Keras' default factor: 0.01.
    L2(f32),
    /// l1·Σ|x| + l2·Σ x². Keras' default factors: 0.
    L1L2 {
        /// The factor of magnitudes.
        l1: f32,
        /// The factor of squares.
        l2: f32,
    },
    /// factor·(the mean of |cos| over all pairs of rows, or of columns, of a matrix).
    Orthogonal {
        /// The factor. Keras' default: 0.01.
        factor: f32,
        /// Whether of columns. Keras' default: rows.
        columns: bool,
    },
    /// A function of one's own, from weights to a scalar. A model with one is not written to a model file.
    #[serde(skip)]
    Own(fn(&Tensor) -> Tensor),
}

/// What there is, by Keras' names and with Keras' defaults.
const TABLE: &[Named<Regularizer>] = &[
    (Regularizer::L1(0.01), &["l1"]),
    (Regularizer::L2(0.01), &["l2"]),
    (Regularizer::L1L2 { l1: 0.0, l2: 0.0 }, &["l1_l2"]),
    (
        Regularizer::Orthogonal {
            factor: 0.01,
            columns: false,
        },
        &["orthogonal_regularizer", "orthogonal"],
    ),
];

impl Regularizer {
    /// The penalty of that name with Keras' defaults: `l1`, `l2`, `l1_l2`, `orthogonal_regularizer`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the names that there are.
    pub fn from_name(name: &str) -> Result<Self> {
        lookup::find("regularizer", name, TABLE)
    }

    /// The penalty on `x`, a scalar. The gradient of |x| at 0 is 0; a row that is 0 is at right angles to all.
    #[track_caller]
    pub fn penalty(self, x: &Tensor) -> Tensor {
        if let Err(refusal) = self.validate() {
            let location = std::panic::Location::caller();
            return x
                .graph()
                .refuse_at("penalty", refusal.to_string(), location);
        }
        let magnitudes = |factor| x.abs().sum().scale(factor);
        let squares = |factor| x.square().sum().scale(factor);
        match self {
            Regularizer::L1(l1) => magnitudes(l1),
            Regularizer::L2(l2) => squares(l2),
            Regularizer::L1L2 { l1, l2 } => magnitudes(l1).add(&squares(l2)),
            Regularizer::Orthogonal { factor, columns } => x.orthogonal_penalty(factor, columns),
            Regularizer::Own(penalty) => penalty(x),
        }
    }

    /// The penalty on each row of `x`, `[batch, …]`: `[batch]`, for [`Call::add_loss`](super::Call::add_loss). The mean over
    /// a batch is Keras' penalty on outputs, which is divided by the rows of the batch.
    #[track_caller]
    pub(crate) fn row_penalty(self, x: &Tensor) -> Tensor {
        let Some([l1, l2]) = self.of_sums() else {
            return x.refuse_penalty("is no sum over rows, so no penalty on outputs".into());
        };
        let rows = x.shape().dims().first().copied().unwrap_or(1);
        let columns = usize::try_from(x.shape().elements()).unwrap_or(usize::MAX) / rows.max(1);
        let flat = x.reshape([rows, columns]);
        let magnitudes = || flat.abs().sum_over(1).scale(l1);
        let squares = || flat.square().sum_over(1).scale(l2);
        if l1 == 0.0 {
            squares()
        } else if l2 == 0.0 {
            magnitudes()
        } else {
            magnitudes().add(&squares())
        }
    }

    /// The factors of Σ|x| and Σ x², where the penalty is made of these.
    fn of_sums(self) -> Option<[f32; 2]> {
        match self {
            Regularizer::L1(l1) => Some([l1, 0.0]),
            Regularizer::L2(l2) => Some([0.0, l2]),
            Regularizer::L1L2 { l1, l2 } => Some([l1, l2]),
            Regularizer::Orthogonal { .. } | Regularizer::Own(_) => None,
        }
    }

    /// Checks the penalty as one on outputs.
    pub(super) fn validate_activity(self) -> Result<()> {
        if self.of_sums().is_none() {
            let message = "must be L1, L2 or L1L2, got one that is no sum over rows";
            return Err(Error::argument("activity_regularizer", message));
        }
        self.validate()
    }

    /// Checks that factors are finite and at least 0; the error names the factor.
    pub(super) fn validate(self) -> Result<()> {
        if let Regularizer::Orthogonal { factor, .. } = self {
            return at_least_zero("factor", factor);
        }
        let [l1, l2] = self.of_sums().unwrap_or_default();
        at_least_zero("l1", l1)?;
        at_least_zero("l2", l2)
    }
}

impl Tensor {
    /// `factor`·(the mean of |cos| over all pairs of rows, or of columns), of a matrix with at least two; a scalar.
    #[track_caller]
    fn orthogonal_penalty(&self, factor: f32, columns: bool) -> Tensor {
        let shape = self.shape();
        let &[rows, width] = shape.dims() else {
            return self.refuse_penalty(format!("takes a matrix, got {shape}"));
        };
        let count = if columns { width } else { rows };
        if count < 2 {
            return self.refuse_penalty(format!("takes at least two rows or columns, got {shape}"));
        }
        let axis = isize::from(!columns);
        let x = self.with_squares(axis);
        let unit = x.div(&x.norms(axis, 1e-6));
        let products = unit
            .graph()
            .apply_one(crate::op::MatMul::plain(columns, !columns), &[&unit, &unit]);
        let mut others = vec![1.0; count * count];
        let diagonal = others.iter_mut().step_by(count + 1);
        diagonal.for_each(|own| *own = 0.0);
        let others = self.graph().constant([count, count], &others);
        let pairs = (count * (count - 1)) as f64;
        let share = (f64::from(factor) / pairs) as f32;
        products.abs().mul(&others).sum().scale(share)
    }

    /// √Σ x² over one dimension of a matrix, which stays with size 1, but at least `least`.
    #[track_caller]
    fn norms(&self, axis: isize, least: f32) -> Tensor {
        let shape = self.shape();
        let kept = shape
            .axis(axis)
            .map_or(shape.clone(), |at| shape.resized(at, 1));
        let squares = self.square().sum_over(axis).reshape(kept);
        let least = self.graph().constant([1], &[least * least]);
        squares.maximum(&least).sqrt()
    }

    #[track_caller]
    fn refuse_penalty(&self, message: String) -> Tensor {
        let location = std::panic::Location::caller();
        self.graph()
            .refuse_at("orthogonal_penalty", message, location)
    }
}
