//! What a rule is tried on: alone, and with what may run before and after it.

use crate::contract::{Case, Fill};
use crate::op::{LONG_RATES, rate};

use super::{Clipped, Running, Treatment, Update, UpdateRule};

/// η, β₁ᵗ, β₂ᵗ, factor, t, flags, two of a series, three sums of squares. Some 3 updates in, where corrections count.
fn rates(t: f32, flags: f32, series: [f32; 2]) -> Vec<f32> {
    let mut rates = vec![0.05, 0.729, 0.997, 1.0, t, flags];
    rates.extend(series);
    rates.extend([17.0, 5.0, 3.0, 0.0]);
    assert_eq!(rates.len(), LONG_RATES);
    rates
}

/// The numbers of a series in most cases.
const SERIES: [f32; 2] = [0.9, 0.4];

impl<R: UpdateRule> Update<R> {
    fn case(&self, shape: &[usize], rates: Vec<f32>) -> Case {
        let states = &self.form.states;
        let mut case = Case::new(self.clone()).input(shape, Fill::Uniform(-2.0, 2.0));
        for state in states {
            let fill = if state.positive {
                Fill::Uniform(0.3, 1.0)
            } else {
                Fill::Uniform(-0.5, 0.5)
            };
            case = if state.hides_nan {
                case.constant(shape, fill)
            } else {
                case.input(shape, fill)
            };
        }
        for _ in states.len() + 1..self.written() {
            case = case.constant(shape, Fill::Uniform(-1.0, 1.0));
        }
        case.input(shape, Fill::Uniform(-2.0, 2.0))
            .constant(&[LONG_RATES], Fill::Values(rates))
            .without_gradient()
    }
}

/// What a rule is tried on: see [`UpdateRule::cases`].
pub(super) fn cases<R: UpdateRule>(rule: &R, number: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    let plain = Update::from(rule.clone());
    let shapes: [&[usize]; 3] = [&[1], &[33, 10], &[257]];
    for shape in shapes {
        let case = plain.case(shape, rates(3.0, 1.0, SERIES));
        cases.push(if plain.form.hides_nan {
            case.without_nan()
        } else {
            case
        });
    }
    // The first update, with the flag that says so, at a sum and an average, due or not.
    let treated = |batches, running| Treatment {
        maximize: number.is_multiple_of(2),
        batches,
        clip: [None, Some(Clipped::Value(0.4)), Some(Clipped::Norm(2.0))][number % 3],
        decay: 0.1,
        l2: 0.05,
        running,
        factor: 0.5,
    };
    let mean = Some(Running::Mean { keep: 0.9 });
    let slow = Some(Running::Slow { share: 0.5 });
    let runs = [
        (treated(1, None), 1.0, 5.0),
        (treated(4, None), 2.0, 0.0),
        (treated(4, None), 2.0, 1.0),
        (treated(4, None), 2.0, 4.0),
        (treated(1, mean), 1.0, 5.0),
        (treated(1, slow), 5.0, 7.0),
        (treated(1, mean), 5.0, 7.0),
    ];
    for (i, (treatment, t, flags)) in runs.into_iter().enumerate() {
        let shape = [[3], [17], [5], [255]][(number + i) % 4];
        let series = if i % 2 == 0 { SERIES } else { [0.0, 1.0] };
        let update = Update {
            treatment,
            ..plain.clone()
        };
        let case = update.case(&shape, rates(t, flags, series));
        cases.push(case.without_nan());
    }
    cases
}

/// A norm that is within its limit, and more shapes.
pub(crate) fn cases_within_the_limit(rule: impl UpdateRule) -> Vec<Case> {
    let treatment = Treatment {
        clip: Some(Clipped::Norm(9.0)),
        ..Treatment::default()
    };
    let within = Update::new(rule, treatment);
    let shapes: [&[usize]; 6] = [&[], &[2], &[3], &[2, 3, 5, 7], &[1000], &[70_000]];
    let case = |shape: &[usize]| within.case(shape, rates(3.0, 1.0, SERIES));
    let mut cases: Vec<Case> = shapes.into_iter().map(case).collect();
    // A norm of 2⁹⁶·√17, whose square is beyond f32.
    let mut rates = rates(3.0, 1.0, SERIES);
    rates[rate::SQUARES] = -17.0;
    let mut long = within.case(&[257], rates);
    let gradient = long.inputs.len() - 2;
    long.inputs[gradient].1 = Fill::Uniform(-2e28, 2e28);
    cases.push(long);
    cases
}
