//! R² and the explained variance: errors against how much the targets vary.

use serde::{Deserialize, Serialize};

use super::{ColumnMoments, Counter, Metric, MetricSetting, Tally};

/// How values of output columns become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClassAggregation {
    /// Not at all: a value of each column.
    None,
    /// Their mean.
    #[default]
    UniformAverage,
    /// Their mean, each weighing as much as its targets vary.
    VarianceWeightedAverage,
}

/// The settings of R².
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct R2 {
    /// How columns are averaged; default uniformly.
    pub class_aggregation: ClassAggregation,
    /// The number of predictors for the adjusted R² = 1 − (1 − R²)·(n − 1)/(n − p − 1); default 0, not adjusted.
    pub num_regressors: usize,
}

#[expect(non_snake_case, reason = "metrics are spelled as Keras' classes are")]
impl Metric {
    /// R² = 1 − Σ(y − y*)²/Σ(y* − ȳ*)², of each output column or averaged. A column whose targets do not vary has 1 where it
    /// is met exactly, else 0, as scikit-learn has it.
    pub fn R2Score(settings: R2) -> Metric {
        explained("r2_score", settings, ColumnMoments::squared_errors)
    }

    /// 1 − Var(y − y*)/Var y*: R² that forgives a constant error. Not in Keras; as scikit-learn has it: 1 where neither
    /// varies, and 0 where the errors alone do.
    pub fn ExplainedVariance(settings: R2) -> Metric {
        explained("explained_variance", settings, ColumnMoments::error_spread)
    }
}

fn explained(name: &'static str, r2: R2, residual: fn(&ColumnMoments) -> f64) -> Metric {
    let counter = |_: &R2, _: &MetricSetting| Ok(Counter::moments());
    let values = move |r2: &R2, tally: &Tally| Ok(of_columns(*r2, tally.moments()?, residual));
    Metric::composed(name, r2, true, counter, values)
}

/// 1 − residual/spread of a column. As scikit-learn has it, one whose targets do not vary has 1 where it is met exactly, else 0;
/// and NaN where no row weighs anything.
fn score(column: &ColumnMoments, residual: f64) -> f64 {
    let raw = 1.0 - residual / column.spread();
    match (column.spread(), residual) {
        _ if column.weight == 0.0 => f64::NAN,
        (0.0, 0.0) => 1.0,
        (0.0, residual) if !residual.is_nan() => 0.0,
        _ => raw,
    }
}

/// The scores of the columns, averaged.
fn of_columns(r2: R2, columns: &[ColumnMoments], residual: fn(&ColumnMoments) -> f64) -> Vec<f64> {
    let scores = columns.iter().map(|column| score(column, residual(column)));
    let scores: Vec<f64> = scores.collect();
    let vary = columns.iter().any(|column| column.spread() != 0.0);
    let values = match r2.class_aggregation {
        ClassAggregation::None => scores,
        ClassAggregation::VarianceWeightedAverage if vary => {
            let spreads = || columns.iter().map(ColumnMoments::spread);
            let sum: f64 = scores
                .iter()
                .zip(spreads())
                .map(|(score, s)| score * s)
                .sum();
            vec![sum / spreads().sum::<f64>()]
        }
        // Where no column varies there is nothing to weigh by.
        _ => vec![scores.iter().sum::<f64>() / scores.len() as f64],
    };
    let (p, n) = (
        r2.num_regressors as f64,
        columns.first().map_or(0.0, |c| c.rows),
    );
    // Keras leaves it unadjusted where there are too few rows.
    if r2.num_regressors == 0 || n - p - 1.0 <= 0.0 {
        return values;
    }
    let adjusted = |value| 1.0 - (1.0 - value) * (n - 1.0) / (n - p - 1.0);
    values.into_iter().map(adjusted).collect()
}
