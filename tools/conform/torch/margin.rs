//! PyTorch's losses of margins and distances, from Kiln's tensors.

use kiln::op::Form;
use kiln::{Tensor, train};

use super::Call;
use super::arguments::Arguments;
use super::loss::{Loss, Losses, binary, data, of_all};
use crate::conform::Stop;
use crate::conform::case::Array;

/// The losses before reduction; `x` is the first forward argument.
pub fn losses(
    name: &str,
    loss: &Loss,
    call: &mut Call<'_>,
    forward: &mut Arguments<'_>,
    x: &Tensor,
    weight: Option<&Tensor>,
) -> Result<Losses, Stop> {
    let margin = loss.setting("margin") as f32;
    Ok(match name {
        "SoftMarginLoss" => {
            let target = call.tensor(forward, 1, "target")?;
            binary(&x.mul(&target), &of_all(x, 1.0), Form::Logits).into()
        }
        "HingeEmbeddingLoss" => {
            let target = call.tensor(forward, 1, "target")?;
            let apart = positive(&x.neg().offset(margin));
            // A target that is neither has both.
            let alike = x.mul(&is(&target, -1.0).neg().offset(1.0));
            alike
                .add(&apart.mul(&is(&target, 1.0).neg().offset(1.0)))
                .into()
        }
        "MarginRankingLoss" => {
            let other = call.tensor(forward, 1, "other")?;
            let target = call.tensor(forward, 2, "target")?;
            positive(&target.mul(&other.sub(x)).offset(margin)).into()
        }
        "CosineEmbeddingLoss" => {
            let other = call.tensor(forward, 1, "other")?;
            let target = call.tensor(forward, 2, "target")?;
            let unlike = train::Loss::CosineSimilarity.each_row(x, &other);
            let apart = positive(&unlike.neg().offset(-margin));
            let alike = unlike.offset(1.0).mul(&is(&target, 1.0));
            alike.add(&apart.mul(&is(&target, -1.0))).into()
        }
        "MultiLabelSoftMarginLoss" => {
            let target = data(call, forward, 1, "target")?;
            let values = binary(x, &target, Form::Logits);
            let values = weight.map_or(values.clone(), |weight| values.mul(weight));
            let (_, classes) = x.shape().rows_and_columns();
            values.sum_over(-1).scale(1.0 / classes as f32).into()
        }
        "MultiMarginLoss" => {
            let labels = call.name(forward, 1, "target")?;
            multi_margin(loss, call, &labels, x, weight)?.into()
        }
        "MultiLabelMarginLoss" => {
            let targets = call.name(forward, 1, "target")?;
            multi_label_margin(call, &targets, x)?.into()
        }
        "TripletMarginLoss" => {
            let (near, far) = (
                call.tensor(forward, 1, "positive")?,
                call.tensor(forward, 2, "negative")?,
            );
            let distance = |a: &Tensor, b: &Tensor| distance(loss, a, b);
            let mut apart = distance(x, &far)?;
            if loss.setting("swap") != 0.0 {
                apart = apart.minimum(&distance(&near, &far)?);
            }
            positive(&distance(x, &near)?.sub(&apart).offset(margin)).into()
        }
        other => return Stop::unsupported(format!("op nn.{other}")),
    })
}

/// max(x, 0); the slope at 0 is 1.
fn positive(x: &Tensor) -> Tensor {
    x.maximum(&of_all(x, 0.0))
}

/// One where x has this value, else zero.
fn is(x: &Tensor, value: f64) -> Tensor {
    let value = of_all(x, value);
    x.greater_equal(&value).mul(&value.greater_equal(x))
}

/// ‖a − b + ε‖ of each row.
fn distance(loss: &Loss, a: &Tensor, b: &Tensor) -> Result<Tensor, Stop> {
    let difference = a.sub(b).offset(loss.setting("eps") as f32);
    match loss.setting("p") {
        2.0 => Ok(difference.square().sum_over(-1).sqrt()),
        1.0 => Ok(difference.abs().sum_over(-1)),
        p => Stop::unsupported(format!("the norm of p = {p}")),
    }
}

/// Σ max(0, margin − x_label + xᵢ)ᵖ/classes over the other classes, times the weight of the label.
fn multi_margin(
    loss: &Loss,
    call: &mut Call<'_>,
    labels: &str,
    x: &Tensor,
    weight: Option<&Tensor>,
) -> Result<Tensor, Stop> {
    let (rows, classes) = x.shape().rows_and_columns();
    let labels = call
        .work
        .label(labels, call.case.tensor(labels)?, &[rows].into())?;
    let own = labels.one_hot(classes);
    let table = x.reshape([rows, classes]);
    let scores = table.mul(&own).sum_over(1).reshape([rows, 1]);
    let margins = positive(&table.sub(&scores).offset(loss.setting("margin") as f32));
    let powers = match loss.setting("p") {
        1.0 => margins,
        _ => margins.square(),
    };
    let others = own.neg().offset(1.0);
    let losses = powers.mul(&others).sum_over(1).scale(1.0 / classes as f32);
    let weighted = match weight {
        None => losses,
        Some(weight) => losses.mul(&own.mul(weight).sum_over(1)),
    };
    let shape = x.shape();
    let kept = shape.dims().split_last().map_or(&[][..], |(_, rows)| rows);
    Ok(weighted.reshape(kept))
}

/// Σ max(0, 1 − xⱼ + xᵢ)/classes over target classes j, each as often as it is named, and other classes i; targets end at
/// the first −1.
fn multi_label_margin(call: &mut Call<'_>, targets: &str, x: &Tensor) -> Result<Tensor, Stop> {
    let (rows, classes) = x.shape().rows_and_columns();
    let given = call.case.tensor(targets)?;
    let mut own = vec![0.0; rows * classes];
    for (row, targets) in own
        .chunks_exact_mut(classes)
        .zip(given.values.chunks_exact(classes))
    {
        for &target in targets.iter().take_while(|target| **target >= 0.0) {
            row[target as usize] += 1.0;
        }
    }
    let others: Vec<f64> = own
        .iter()
        .map(|&own| f64::from(u8::from(own == 0.0)))
        .collect();
    let mut table = |name: &str, values| {
        let name = format!("{targets}.{name}");
        call.work
            .number(&name, &Array::floats(&[rows, classes], values))
    };
    let (own, others) = (table("own", own)?, table("others", others)?);
    let tall = |tensor: &Tensor| tensor.reshape([rows, classes, 1]);
    let wide = |tensor: &Tensor| tensor.reshape([rows, 1, classes]);
    let margins = positive(&wide(x).sub(&tall(x)).offset(1.0));
    let pairs = margins.mul(&tall(&own)).mul(&wide(&others));
    let losses = pairs.sum_over(2).sum_over(1).scale(1.0 / classes as f32);
    let shape = x.shape();
    let kept = shape.dims().split_last().map_or(&[][..], |(_, rows)| rows);
    Ok(losses.reshape(kept))
}
