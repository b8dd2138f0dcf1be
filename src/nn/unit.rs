//! Scalers in a graph: targets' own unit at the end of a model, and numbers scaled at the begin of one within another.

use crate::{Result, Scaler, Shape, Tensor};

use super::Functional;
use super::call::Activated;
use super::functional::OutputSpec;

/// The centers of a scaler in two parts, as one f32 does not hold what a clock or a year adds to a small spread; and its scales.
struct ScalerParts {
    high: Vec<f32>,
    low: Vec<f32>,
    scale: Vec<f32>,
}

impl ScalerParts {
    fn of(scaler: &Scaler) -> Self {
        let high = |center: &f64| *center as f32;
        let low = |center: &f64| (center - f64::from(*center as f32)) as f32;
        ScalerParts {
            high: scaler.center.iter().map(high).collect(),
            low: scaler.center.iter().map(low).collect(),
            scale: scaler.scale.iter().map(|scale| *scale as f32).collect(),
        }
    }
}

/// What `compute` makes of rows `[batch, …]` and a row of each of these numbers, in the rows' shape.
fn by_columns(
    x: &Tensor,
    numbers: [&[f32]; 3],
    compute: impl FnOnce(&Tensor, [Tensor; 3]) -> Tensor,
) -> Tensor {
    let shape: Shape = x.shape();
    let columns = numbers[0].len();
    let rows = usize::try_from(shape.elements()).unwrap_or(usize::MAX) / columns.max(1);
    let constants = numbers.map(|numbers| x.graph().constant([columns], numbers));
    compute(&x.reshape([rows, columns]), constants).reshape(shape)
}

/// x·scale + center, column by column: the inverse of [`scaled`].
pub(crate) fn unscaled(scaler: &Scaler, x: &Tensor) -> Tensor {
    let parts = ScalerParts::of(scaler);
    let numbers = [&parts.scale[..], &parts.low, &parts.high];
    by_columns(x, numbers, |x, [scale, low, high]| {
        x.mul(&scale).add(&low).add(&high)
    })
}

/// (x − center) / scale, column by column.
pub(super) fn scaled(scaler: &Scaler, x: &Tensor) -> Tensor {
    let parts = ScalerParts::of(scaler);
    let numbers = [&parts.high[..], &parts.low, &parts.scale];
    by_columns(x, numbers, |x, [high, low, scale]| {
        x.sub(&high).sub(&low).div(&scale)
    })
}

impl Functional {
    /// Scales the targets of the output of that name in training, where targets far from 0 or of large spread are slow to learn, and
    /// brings what the model gives back to their unit: scikit-learn's `TransformedTargetRegressor`. It is saved with the model.
    ///
    /// `fit` and `evaluate` take targets in their own unit. The loss is that of scaled targets, and so are `val_loss` and
    /// [`Fit::until_loss`](crate::train::Fit::until_loss); metrics, `predict`, `gradients` and `apply` are in the targets' unit.
    ///
    /// What does not fit is refused by `compile`: an output that is not there, another number of columns, a loss of classes.
    pub fn target_scaling(mut self, output: impl Into<String>, scaler: Scaler) -> Self {
        let output = output.into();
        self.target_scaling.retain(|(known, _)| *known != output);
        self.target_scaling.push((output, scaler.without_names()));
        self
    }

    /// What scales the targets of an output.
    pub(crate) fn scaler_of(&self, output: &str) -> Option<&Scaler> {
        let mut scalers = self.target_scaling.iter();
        let found = scalers.find(|(name, _)| name == output);
        found.map(|(_, scaler)| scaler)
    }

    /// An output in its targets' own unit.
    pub(super) fn in_own_unit(&self, output: &OutputSpec, value: &Activated) -> Activated {
        match self.scaler_of(&output.name) {
            None => value.clone(),
            Some(scaler) => Activated::linear(unscaled(scaler, &value.after)),
        }
    }

    /// Refuses scaling for outputs that are not there or have other columns.
    pub(super) fn check_target_scaling(&self) -> Result<()> {
        for (name, scaler) in &self.target_scaling {
            let place = self.outputs.iter().position(|own| own.name == *name);
            let Some(place) = place else {
                return Err(crate::Error::not_found(
                    "output",
                    name,
                    self.outputs.iter().map(|own| &own.name),
                ));
            };
            let (columns, width) = (scaler.columns(), self.width_of(place));
            if columns != width {
                let message =
                    format!("scales {columns} columns, but the output `{name}` has {width}");
                return Err(crate::Error::argument("target_scaling", message));
            }
        }
        Ok(())
    }
}
