//! A number for each row of predictions and its row of targets: what such ops share. A [`Comparison`] has the formula.

use std::fmt;

use crate::contract::{
    Case, Compute, Fill, Io, Launch, Launches, Op, RowLoss, Sample, Shader, Signature, Vjp, arity,
    shapes,
};
use crate::number::Real;
use crate::target::Target;
use crate::{Tensor, TensorType};

use crate::op::shape::row_pairs::{gradients, losses, of_sample};
use crate::op::shape::rows::{Rows, dense, elementwise};

/// How a row of predictions y is compared with its row of targets t.
pub(crate) trait Comparison: Copy + fmt::Debug + Send + Sync + 'static {
    /// The names of the op and of its gradient.
    fn names(&self) -> [&'static str; 2];

    /// The kernels, `forward` and `backward`.
    fn shader(&self) -> Shader;

    /// How often `forward` combines the lanes of a row, and how often `backward` loops over a row and combines lanes: none
    /// where it has an invocation to an element.
    fn trees(&self) -> (u64, Option<(u64, u64)>);

    /// Sets overrides and params.
    fn params(&self, launch: Launch) -> Launch {
        launch
    }

    /// Where the gradient by the targets comes from.
    fn of_targets(&self) -> TargetGradient<Self>;

    /// The number of a row.
    fn value<T: Real>(&self, y: &[T], t: &[T]) -> T;

    /// dy of a row from the row's dloss.
    fn slopes<T: Real>(&self, dy: &mut [T], y: &[T], t: &[T], dloss: T);

    /// How far a device may be from the number of a row, `loss`.
    fn value_error(&self, y: &[f64], t: &[f64], loss: f64) -> f64;

    /// Units of rounding by which dloss and a factor make dy of a slope: two products.
    fn slope_units(&self) -> f64 {
        2.0
    }

    /// Adds to `bound` how far a device may be from dy of a row.
    fn add_slope_errors(&self, bound: &mut [f64], y: &[f64], t: &[f64], dloss: f64);

    /// The gradient of dy: by y, t and dloss, as far as they are wanted.
    ///
    /// # Errors
    ///
    /// What has no gradient; by default dy.
    fn second(&self, _vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        Err(format!("{} has no gradient", self.names()[1]))
    }

    /// The loss that a head may compute along with the last layer.
    fn row_loss(&self) -> Option<RowLoss> {
        None
    }
}

/// The gradient by the targets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TargetGradient<C> {
    /// Targets are data.
    None,
    /// dt = −dy.
    Negated,
    /// dt is the gradient of this comparison by its predictions, with targets and predictions in each other's place.
    Swapped(C),
}

/// The number of each row. y and t: one shape; loss: the same without the last dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RowReduction<C>(pub C);

/// dy. Inputs: y, t, dloss; output dy, shaped as y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RowReductionBackward<C>(pub C);

impl<C: Comparison> Op for RowReduction<C> {
    fn name(&self) -> &'static str {
        self.0.names()[0]
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, t] = arity::<2>(inputs)?;
        Ok(vec![TensorType::f32(dense(y, t)?)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (y, t, dloss) = (&vjp.inputs[0], &vjp.inputs[1], vjp.dy()?);
        let graph = y.graph();
        let dy = || graph.apply_one(RowReductionBackward(self.0), &[y, t, dloss]);
        let wanted = vjp.wanted[1];
        Ok(match self.0.of_targets() {
            TargetGradient::None if wanted => {
                return Err(format!("the target of {} has no gradient", self.name()));
            }
            TargetGradient::None => vec![Some(dy()), None],
            TargetGradient::Negated => {
                let dy = dy();
                let dt = wanted.then(|| dy.neg());
                vec![Some(dy), dt]
            }
            TargetGradient::Swapped(other) => {
                let dt = || graph.apply_one(RowReductionBackward(other), &[t, y, dloss]);
                vec![vjp.wanted[0].then(dy), wanted.then(dt)]
            }
        })
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let rows = Rows::new(&signature.inputs[0].shape, 1, target);
        let (trees, _) = self.0.trees();
        let launch = rows.launch(self.0.shader(), "forward", 1, trees);
        Ok(self.0.params(launch.bind_all(2, 1)).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let rows = of_sample(sample).zip(&sample.results[0]);
        let error =
            |((y, t), &loss): ((&[f64], &[f64]), &f64)| self.0.value_error(y, t, loss) + 1e-37;
        vec![rows.map(error).collect()]
    }

    fn row_loss(&self) -> Option<RowLoss> {
        self.0.row_loss()
    }
}

impl<C: Comparison> Compute for RowReduction<C> {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        losses(
            io,
            #[inline(always)]
            |y, t| self.0.value(y, t),
        );
    }
}

impl<C: Comparison> Op for RowReductionBackward<C> {
    fn name(&self) -> &'static str {
        self.0.names()[1]
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, _, _] = arity::<3>(inputs)?;
        Ok(vec![y.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let data = matches!(self.0.of_targets(), TargetGradient::None);
        if vjp.wanted[1] && data {
            return Err(format!(
                "the target of {} has no gradient",
                self.0.names()[0]
            ));
        }
        self.0.second(vjp)
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let shape = &signature.inputs[0].shape;
        let launch = match self.0.trees().1 {
            None => elementwise(self.0.shader(), "backward", shape),
            Some((passes, trees)) => {
                let rows = Rows::new(shape, passes, target);
                rows.launch(self.0.shader(), "backward", passes, trees)
            }
        };
        Ok(self.0.params(launch.bind_all(3, 1)).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let mut bound = sample.relative(0, self.0.slope_units());
        let (_, columns) = sample.signature.inputs[0].shape.rows_and_columns();
        let rows = of_sample(sample).zip(&sample.inputs[2]);
        for (bound, ((y, t), &dloss)) in bound.chunks_exact_mut(columns).zip(rows) {
            self.0.add_slope_errors(bound, y, t, dloss);
        }
        vec![bound]
    }

    fn row_loss_gradient(&self) -> Option<RowLoss> {
        self.0.row_loss()
    }
}

impl<C: Comparison> Compute for RowReductionBackward<C> {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        gradients(
            io,
            #[inline(always)]
            |dy, y, t, dloss| self.0.slopes(dy, y, t, dloss),
        );
    }
}

/// Shapes that every comparison is tried on: short rows and long ones, one row and many.
pub(super) const SHAPES: [&[usize]; 15] = shapes![
    1; 257; 1 x 1; 2 x 3; 3 x 2; 17 x 10; 33 x 17; 255 x 1; 256 x 3; 257 x 10; 1000 x 1; 2 x 3 x 5; 33 x 257;
    3 x 1000; 2 x 70_000
];

/// The op and its gradient on numbers y and t of a shape; with the gradient's own check where the function is smooth there, and
/// with that of the gradient's where there is one.
pub(super) fn pair<C: Comparison>(
    comparison: C,
    shape: &[usize],
    (y, t): (Fill, Fill),
    smooth: bool,
    second: bool,
) -> [Case; 2] {
    let data = matches!(comparison.of_targets(), TargetGradient::None);
    let of = |case: Case| {
        let case = case.input(shape, y.clone());
        if data {
            case.constant(shape, t.clone())
        } else {
            case.input(shape, t.clone())
        }
    };
    let forward = of(Case::new(RowReduction(comparison)));
    let rows = &shape[..shape.len() - 1];
    let backward = Case::new(RowReductionBackward(comparison)).input(shape, y.clone());
    let backward = if data || second {
        backward.constant(shape, t.clone())
    } else {
        backward.input(shape, t.clone())
    };
    let backward = backward.input(rows, Fill::Uniform(-2.0, 2.0));
    [
        if smooth {
            forward
        } else {
            forward.without_gradient()
        },
        if smooth && second {
            backward
        } else {
            backward.without_gradient()
        },
    ]
}
