//! What the functions are tested on.

use crate::contract::{Case, Fill};

use super::Function::{self, *};
use super::{Backward, Pointwise};

pub(super) fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 9] = [
        &[1],
        &[2],
        &[3],
        &[17],
        &[33, 5],
        &[257],
        &[2, 3, 5, 7],
        &[1000],
        &[70_000],
    ];
    let mut cases = Vec::new();
    for function in [Sigmoid, Tanh, Relu, LeakyRelu(0.2), Square, Gelu] {
        for shape in shapes {
            both(&mut cases, function, shape, (-6.0, 6.0));
        }
    }
    for function in everywhere() {
        for shape in [&[3][..], &[33, 5], &[1000]] {
            both(&mut cases, function, shape, (-6.0, 6.0));
        }
    }
    for function in [Exp, Log, Sqrt, Rsqrt, Power(0.3), Power(-1.5), Power(2.5)] {
        for shape in [&[1][..], &[33], &[255]] {
            both(&mut cases, function, shape, (0.1, 6.0));
        }
    }
    for shape in [&[1][..], &[33], &[255]] {
        both(&mut cases, Log1p, shape, (-0.9, 6.0));
        both(&mut cases, Reciprocal, shape, (0.2, 3.0));
    }
    // Saturated ends and the neighbourhood of zero, where a relative bound is hard to keep. Not 0 itself and no kink: the
    // sides are tested with whole numbers elsewhere.
    let edges = [
        -100.0, -88.5, -40.0, -15.0, -6.5, -3.01, -1.01, -0.51, -1e-3, -1e-6, 1e-6, 1e-3, 0.49,
        0.99, 2.99, 15.0, 44.5, 88.5, 100.0,
    ];
    let small: Vec<f32> = edges.iter().map(|x| x * 0.2).collect();
    let edges = edges.to_vec();
    let bounded = [Sigmoid, Tanh, Relu, LeakyRelu(0.3)].into_iter();
    for function in bounded.chain(everywhere()) {
        // These grow too fast.
        let values = match function {
            Expm1 | Power(_) => &small,
            _ => &edges,
        };
        let fill = || Fill::Values(values.clone());
        cases.push(Case::new(Pointwise(function)).constant(&[values.len()], fill()));
        if !function.saves_output() {
            let backward = Case::new(Backward(function)).constant(&[values.len()], fill());
            cases.push(backward.constant(&[values.len()], Fill::Uniform(-2.0, 2.0)));
        }
    }
    let huge = vec![-3e38, -1e30, -1e19, -1e10, 1e10, 1e19, 1e30, 3e38];
    for function in limited() {
        let fill = || Fill::Values(huge.clone());
        cases.push(Case::new(Pointwise(function)).constant(&[huge.len()], fill()));
        let backward = Case::new(Backward(function)).constant(&[huge.len()], fill());
        cases.push(backward.constant(&[huge.len()], Fill::Uniform(-2.0, 2.0)));
    }
    cases
}

/// f and f′ on draws between two numbers.
fn both(cases: &mut Vec<Case>, function: Function, shape: &[usize], (low, high): (f32, f32)) {
    let forward = Case::new(Pointwise(function));
    let fill = Fill::Uniform(low, high);
    cases.push(match function {
        // They jump, and have no gradient to check.
        Threshold { .. } | Sign | Floor | Ceil | Round => {
            forward.input(shape, fill.clone()).without_gradient()
        }
        Shrink { bias, lambda } if bias != lambda => {
            forward.input(shape, fill.clone()).without_gradient()
        }
        _ => forward.input(shape, fill.clone()),
    });
    let saved = match function {
        Sigmoid | Tanh => Fill::Uniform(-1.0, 1.0),
        _ => fill,
    };
    let backward = Case::new(Backward(function)).constant(shape, saved);
    // A NaN is lost where the slope is 0, but derivatives are differentiated again.
    cases.push(Case {
        gradients: vec![0, 1],
        ..backward.constant(shape, Fill::Uniform(-2.0, 2.0))
    });
}

/// Functions of any number, one for each and for what its constants choose.
fn everywhere() -> Vec<Function> {
    vec![
        Abs,
        Neg,
        Scale(-1.5),
        Offset(0.75),
        Rectify {
            slope: 0.0,
            threshold: 0.0,
            max: 6.0,
        },
        Rectify {
            slope: 0.1,
            threshold: 0.5,
            max: f32::INFINITY,
        },
        Elu {
            alpha: 0.7,
            scale: 1.0,
            width: 1.0,
        },
        Elu {
            alpha: 1.673_263_2,
            scale: 1.050_701,
            width: 1.0,
        },
        Elu {
            alpha: 2.0,
            scale: 1.0,
            width: 2.0,
        },
        GeluTanh,
        Silu(1.0),
        Silu(1.7),
        Softplus {
            beta: 1.0,
            threshold: f32::INFINITY,
        },
        Softplus {
            beta: 0.5,
            threshold: 2.0,
        },
        Softsign,
        Mish,
        LogSigmoid,
        HardSigmoid {
            slope: 0.2,
            offset: 0.5,
        },
        HardSilu {
            slope: 1.0 / 6.0,
            offset: 0.5,
        },
        Clamp {
            low: -1.0,
            high: 1.5,
        },
        TanhShrink,
        Shrink {
            lambda: 0.5,
            bias: 0.5,
        },
        Shrink {
            lambda: 1.5,
            bias: 0.0,
        },
        Threshold {
            threshold: 0.7,
            value: -1.0,
        },
        Squareplus(4.0),
        SparsePlus,
        Erf,
        Sin,
        Cos,
        Sign,
        Expm1,
        Floor,
        Ceil,
        Round,
        Power(3.0),
        Power(4.0),
    ]
}

/// Functions whose formulas would overflow where they have a limit.
fn limited() -> Vec<Function> {
    vec![
        Gelu,
        GeluTanh,
        Silu(1.0),
        Softplus {
            beta: 1.0,
            threshold: f32::INFINITY,
        },
        Softsign,
        Mish,
        LogSigmoid,
        Squareplus(4.0),
        TanhShrink,
        SparsePlus,
    ]
}
