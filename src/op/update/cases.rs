//! What updates are tried on: every formula, alone and with what may run before and after it.

use crate::contract::{Case, Fill};
use crate::op::LONG_RATES;

use super::{Clipped, Formula, Running, Update};

/// Of every formula one or two settings.
fn formulas() -> Vec<Formula> {
    let rmsprop = |momentum, centered, outside| Formula::RmsProp {
        rho: 0.9,
        momentum,
        epsilon: 1e-7,
        centered,
        outside,
    };
    let adam = |amsgrad, corrected| Formula::Adam {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-7,
        amsgrad,
        corrected,
    };
    let adamax = |inside| Formula::Adamax {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-7,
        inside,
    };
    let ftrl = |power, l1| Formula::Ftrl {
        power,
        l1,
        l2: 0.02,
        shrinkage: 0.01,
        beta: 0.1,
    };
    let heavy = |nesterov| Formula::HeavyBall {
        momentum: 0.9,
        dampening: 0.5,
        nesterov,
    };
    let momentum = |nesterov| Formula::Momentum {
        momentum: 0.9,
        nesterov,
    };
    let adagrad = |outside| Formula::Adagrad {
        epsilon: 1e-7,
        outside,
    };
    let (beta_1, beta_2, epsilon) = (0.9, 0.999, 1e-7);
    vec![
        Formula::Descent,
        momentum(false),
        momentum(true),
        heavy(false),
        heavy(true),
        rmsprop(0.0, false, false),
        rmsprop(0.0, true, true),
        rmsprop(0.8, false, true),
        rmsprop(0.8, true, false),
        adagrad(false),
        adagrad(true),
        Formula::Adadelta {
            rho: 0.95,
            epsilon: 1e-6,
        },
        adam(false, false),
        adam(false, true),
        adam(true, false),
        adam(true, true),
        adamax(false),
        adamax(true),
        Formula::Nadam {
            beta_1,
            beta_2,
            epsilon,
            base: 0.96,
            rounded: false,
        },
        Formula::Radam {
            beta_1,
            beta_2,
            epsilon,
        },
        Formula::Lion {
            beta_1: 0.9,
            beta_2: 0.99,
        },
        ftrl(0.5, 0.0),
        ftrl(0.4, 0.1),
        Formula::Asgd { lambda: 1e-2 },
        Formula::Rprop {
            shrink: 0.5,
            grow: 1.2,
            least: 1e-6,
            most: 0.6,
        },
        Formula::Lamb {
            beta_1,
            beta_2,
            epsilon,
        },
        Formula::Trust,
        Formula::Relative {
            epsilon: 1e-3,
            threshold: 1.0,
            elements: 33,
        },
        Formula::Blend,
        Formula::Buffer {
            momentum: 0.95,
            share: 1.0,
        },
        Formula::Collect { share: 0.25 },
    ]
}

/// η, β₁ᵗ, β₂ᵗ, factor, t, flags, two of a series, three sums of squares. Some 3 updates in, where corrections count.
fn rates(t: f32, flags: f32, series: [f32; 2]) -> Vec<f32> {
    let mut rates = vec![0.05, 0.729, 0.997, 1.0, t, flags];
    rates.extend(series);
    rates.extend([17.0, 5.0, 3.0, 0.0]);
    assert_eq!(rates.len(), LONG_RATES);
    rates
}

fn case(update: &Update, shape: &[usize], rates: Vec<f32>) -> Case {
    let states = update.formula.states();
    let mut case = Case::new(update.clone()).input(shape, Fill::Uniform(-2.0, 2.0));
    for state in states {
        // Means of squares, of magnitudes, of sizes are positive.
        let positive = !matches!(
            *state,
            "m" | "momentum"
                | "momentum_buffer"
                | "average_gradient"
                | "linear"
                | "ax"
                | "prev"
                | "direction"
        );
        let fill = match positive {
            true => Fill::Uniform(0.3, 1.0),
            false => Fill::Uniform(-0.5, 0.5),
        };
        // What is only written, or only of a sign, need not show a NaN.
        case = match *state {
            "direction" | "prev" | "step_size" | "ax" => case.constant(shape, fill),
            _ => case.input(shape, fill),
        };
    }
    for _ in states.len() + 1..update.written() {
        case = case.constant(shape, Fill::Uniform(-1.0, 1.0));
    }
    case.input(shape, Fill::Uniform(-2.0, 2.0))
        .constant(&[LONG_RATES], Fill::Values(rates))
        .without_gradient()
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let series = [0.9, 0.4];
    for (f, formula) in formulas().into_iter().enumerate() {
        let plain = Update::from(formula);
        let shapes: [&[usize]; 3] = [&[1], &[33, 10], &[257]];
        for shape in shapes {
            let mut case = case(&plain, shape, rates(3.0, 1.0, series));
            // Weights that the formula does not read, or only in some steps.
            if matches!(formula, Formula::Ftrl { .. } | Formula::Collect { .. }) {
                case = case.without_nan();
            }
            cases.push(case);
        }
        // The first update, with the flag that says so, at a sum and an average, due or not.
        let treated = |batches, running| Update {
            maximize: f % 2 == 0,
            batches,
            clip: [None, Some(Clipped::Value(0.4)), Some(Clipped::Norm(2.0))][f % 3],
            decay: 0.1,
            l2: 0.05,
            running,
            factor: 0.5,
            ..plain.clone()
        };
        let mean = Some(Running::Mean { keep: 0.9 });
        let slow = Some(Running::Slow { share: 0.5 });
        let runs = [
            (treated(1, None), 1.0, 5.0),
            (treated(4, None), 2.0, 0.0),
            (treated(4, None), 2.0, 1.0),
            (treated(1, mean), 1.0, 5.0),
            (treated(1, slow), 5.0, 7.0),
            (treated(1, mean), 5.0, 7.0),
        ];
        for (i, (update, t, flags)) in runs.into_iter().enumerate() {
            let shape = [[3], [17], [5], [255]][(f + i) % 4];
            let series = if i % 2 == 0 { series } else { [0.0, 1.0] };
            cases.push(case(&update, &shape, rates(t, flags, series)).without_nan());
        }
    }
    // A clipped norm that is within its limit, other shapes.
    let within = Update {
        clip: Some(Clipped::Norm(9.0)),
        ..Update::from(Formula::Descent)
    };
    let shapes: [&[usize]; 6] = [&[], &[2], &[3], &[2, 3, 5, 7], &[1000], &[70_000]];
    for shape in shapes {
        cases.push(case(&within, shape, rates(3.0, 1.0, series)));
    }
    cases
}
