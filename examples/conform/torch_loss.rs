//! PyTorch's losses, from Kiln's and a reduction.

use kiln::Tensor;
use kiln::op::Form;

use super::Stop;
use super::arguments::Arguments;
use super::case::{Array, Kind};
use super::torch::Call;

/// A loss with its settings.
pub struct Loss {
    name: String,
    reduction: String,
    smoothing: f64,
    ignored: f64,
}

impl Loss {
    /// The loss of that module, or of the function that it calls.
    pub fn of(name: &str, arguments: &mut Arguments<'_>) -> Result<Self, Stop> {
        let given = arguments.keywords.text("reduction", "mean")?;
        arguments
            .keywords
            .without(&["size_average", "reduce", "pos_weight"])?;
        let categorical = name == "CrossEntropyLoss";
        let mut setting = |keyword, default| match categorical {
            true => arguments.keywords.number(keyword, default),
            false => Ok(default),
        };
        let (smoothing, ignored) = (
            setting("label_smoothing", 0.0)?,
            setting("ignore_index", -100.0)?,
        );
        Ok(Loss {
            name: name.into(),
            reduction: given.into(),
            smoothing,
            ignored,
        })
    }

    /// The reduced loss of the forward arguments `input` and `target`.
    pub fn apply(
        &self,
        call: &mut Call<'_>,
        forward: &mut Arguments<'_>,
        weight: Option<&Tensor>,
    ) -> Result<Tensor, Stop> {
        let x = call.tensor(forward, 0, "input")?;
        let values = match self.name.as_str() {
            "MSELoss" => x.sub(&call.tensor(forward, 1, "target")?).square(),
            "CrossEntropyLoss" => self.categorical(call, forward, &x, weight)?,
            name => {
                let target = call.name(forward, 1, "target")?;
                let target = call.work.input(call.case, &target)?;
                let form = if name == "BCELoss" {
                    Form::Probabilities
                } else {
                    Form::Logits
                };
                // A row for each element, so that nothing is averaged yet.
                let column =
                    |tensor: &Tensor| tensor.reshape([tensor.shape().elements() as usize, 1]);
                let values = column(&x)
                    .binary_cross_entropy(&column(&target), form)
                    .reshape(x.shape());
                weight.map_or(values.clone(), |weight| values.mul(weight))
            }
        };
        match self.reduction.as_str() {
            "none" => Ok(values),
            "sum" => Ok(values.sum()),
            "mean" => Ok(values.mean()),
            other => Stop::unsupported(format!("reduction {other}")),
        }
    }

    /// The cross-entropy of each row of logits, classes last: of labels, or of shares, which weights multiply.
    fn categorical(
        &self,
        call: &mut Call<'_>,
        forward: &mut Arguments<'_>,
        x: &Tensor,
        weight: Option<&Tensor>,
    ) -> Result<Tensor, Stop> {
        let dims = x.shape().dims().to_vec();
        let (rows, classes) = match dims.as_slice() {
            [classes] => (vec![], *classes),
            [rows, classes] => (vec![*rows], *classes),
            [rows, classes, rest @ ..] if rest.iter().all(|&dim| dim == 1) => {
                ([&[*rows], rest].concat(), *classes)
            }
            _ => return Stop::unsupported("cross-entropy over another axis than the last"),
        };
        let (count, target) = (rows.iter().product(), call.name(forward, 1, "target")?);
        let given: &Array = call.case.tensor(&target)?;
        let target = if given.kind == Kind::Integer {
            if weight.is_some() || self.smoothing != 0.0 || given.values.contains(&self.ignored) {
                return Stop::unsupported(
                    "labels with class weights, smoothing or an ignored class",
                );
            }
            call.work.label(&target, given, &[count].into())?
        } else {
            let share = call.work.number(&target, given)?.reshape([count, classes]);
            let smooth = match self.smoothing {
                0.0 => share,
                s => share
                    .scale((1.0 - s) as f32)
                    .offset((s / classes as f64) as f32),
            };
            weight.map_or(smooth.clone(), |weight| smooth.mul(weight))
        };
        Ok(x.reshape([count, classes])
            .cross_entropy(&target, Form::Logits)
            .reshape(rows))
    }
}
