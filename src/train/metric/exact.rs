//! What cannot be added up batch by batch: metrics of all predictions at once, on the host, in f64, as scikit-learn has
//! them.

use crate::{Error, Result};

use super::tally::ratio;

/// The area under the ROC curve: the chance that a positive's score exceeds a negative's, equal scores counting half.
/// `truth` above one half is positive; without weights every row weighs one.
///
/// # Errors
///
/// [`Error::Data`] where lengths differ, a number is none, or there are no positives or no negatives.
pub fn roc_auc(truth: &[f32], scores: &[f32], weights: Option<&[f32]>) -> Result<f64> {
    let steps = steps(truth, scores, weights)?;
    let (mut tp, mut fp, mut area) = (0.0, 0.0, 0.0);
    for step in &steps {
        area += step.negatives * (tp + step.positives / 2.0);
        tp += step.positives;
        fp += step.negatives;
    }
    Ok(area / (tp * fp))
}

/// Average precision: Σ (Rᵢ − Rᵢ₋₁)·Pᵢ over the scores from the highest down, without interpolation.
///
/// # Errors
///
/// The errors of [`roc_auc`].
pub fn average_precision(truth: &[f32], scores: &[f32], weights: Option<&[f32]>) -> Result<f64> {
    let steps = steps(truth, scores, weights)?;
    let (mut tp, mut fp, mut sum) = (0.0, 0.0, 0.0);
    for step in &steps {
        tp += step.positives;
        fp += step.negatives;
        sum += step.positives * ratio(tp, tp + fp);
    }
    Ok(sum / tp)
}

/// The median of |y − y*| over rows, averaged over `columns` columns; both row-major. An even number of rows has the
/// mean of the middle two.
///
/// # Errors
///
/// [`Error::Data`] where lengths differ, a number is none, or there are no whole rows.
pub fn median_absolute_error(truth: &[f32], predictions: &[f32], columns: usize) -> Result<f64> {
    if truth.len() != predictions.len()
        || columns == 0
        || truth.is_empty()
        || !truth.len().is_multiple_of(columns)
    {
        return Err(Error::data(format!(
            "{} predictions and {} targets are no rows of {columns}",
            predictions.len(),
            truth.len()
        )));
    }
    finite(truth.iter().chain(predictions))?;
    let median = |column: usize| {
        let pairs = truth.iter().zip(predictions).skip(column).step_by(columns);
        let mut errors: Vec<f64> = pairs
            .map(|(&t, &y)| (f64::from(y) - f64::from(t)).abs())
            .collect();
        errors.sort_by(f64::total_cmp);
        let middle = errors.len() / 2;
        match errors.len() % 2 {
            1 => errors[middle],
            _ => (errors[middle - 1] + errors[middle]) / 2.0,
        }
    };
    Ok((0..columns).map(median).sum::<f64>() / columns as f64)
}

/// Rows of one score.
struct ScoreStep {
    score: f32,
    positives: f64,
    negatives: f64,
}

/// From the highest score down.
fn steps(truth: &[f32], scores: &[f32], weights: Option<&[f32]>) -> Result<Vec<ScoreStep>> {
    let rows = truth.len();
    if scores.len() != rows || weights.is_some_and(|weights| weights.len() != rows) {
        return Err(Error::data(format!(
            "there are {rows} targets, but {} scores and {} weights",
            scores.len(),
            weights.map_or(rows, <[f32]>::len)
        )));
    }
    finite(truth.iter().chain(scores).chain(weights.unwrap_or(&[])))?;
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut steps: Vec<ScoreStep> = Vec::new();
    for row in order {
        if steps.last().is_none_or(|last| last.score != scores[row]) {
            steps.push(ScoreStep {
                score: scores[row],
                positives: 0.0,
                negatives: 0.0,
            });
        }
        let weight = weights.map_or(1.0, |weights| f64::from(weights[row]));
        if let Some(last) = steps.last_mut() {
            if truth[row] > 0.5 {
                last.positives += weight;
            } else {
                last.negatives += weight;
            }
        }
    }
    let positives: f64 = steps.iter().map(|step| step.positives).sum();
    let negatives: f64 = steps.iter().map(|step| step.negatives).sum();
    if positives <= 0.0 || negatives <= 0.0 {
        return Err(Error::data(
            "there must be positives and negatives for a curve to have an area",
        ));
    }
    Ok(steps)
}

fn finite<'a>(mut numbers: impl Iterator<Item = &'a f32>) -> Result<()> {
    match numbers.find(|number| !number.is_finite()) {
        None => Ok(()),
        Some(number) => Err(Error::data(format!("{number} is no number to be ranked"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_count_half() -> Result<()> {
        let truth = [1.0, 0.0, 1.0, 0.0];
        assert_eq!(roc_auc(&truth, &[0.9, 0.1, 0.8, 0.2], None)?, 1.0);
        assert_eq!(roc_auc(&truth, &[0.5; 4], None)?, 0.5);
        assert_eq!(roc_auc(&truth, &[0.9, 0.5, 0.5, 0.1], None)?, 0.875);
        assert_eq!(
            average_precision(&truth, &[0.9, 0.8, 0.7, 0.1], None)?,
            (1.0 + 2.0 / 3.0) / 2.0
        );
        Ok(())
    }

    #[test]
    fn a_weight_counts_as_that_many_rows() -> Result<()> {
        let once = roc_auc(
            &[1.0, 0.0, 0.0, 1.0],
            &[0.4, 0.5, 0.2, 0.6],
            Some(&[1.0, 2.0, 1.0, 1.0]),
        )?;
        let twice = roc_auc(&[1.0, 0.0, 0.0, 0.0, 1.0], &[0.4, 0.5, 0.5, 0.2, 0.6], None)?;
        assert_eq!(once, twice);
        Ok(())
    }

    #[test]
    fn a_curve_without_negatives_is_refused() {
        let refused = roc_auc(&[1.0, 1.0], &[0.1, 0.2], None);
        assert!(matches!(refused, Err(Error::Data { .. })));
    }

    #[test]
    fn a_median_of_an_even_number_is_the_mean_of_two() -> Result<()> {
        assert_eq!(
            median_absolute_error(&[0.0; 4], &[1.0, -2.0, 4.0, 8.0], 1)?,
            3.0
        );
        Ok(())
    }
}
