//! What the functions are tested on: each that the table names, on what it says that it is tried on.

use crate::contract::{Case, Fill, shapes};

use super::functions::{Gelu, LeakyRelu, Relu, Sigmoid, Square, Tanh};
use super::methods::ALL;
use super::{Backward, Function, Tried, UnaryFunction};

/// Not 0 itself and no kink: the sides are tested with whole numbers elsewhere.
const EDGES: [f32; 19] = [
    -100.0, -88.5, -40.0, -15.0, -6.5, -3.01, -1.01, -0.51, -1e-3, -1e-6, 1e-6, 1e-3, 0.49, 0.99,
    2.99, 15.0, 44.5, 88.5, 100.0,
];

const HUGE: [f32; 8] = [-3e38, -1e30, -1e19, -1e10, 1e10, 1e19, 1e30, 3e38];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // Every size that the kernels divide differently.
    for function in [
        Sigmoid::function(),
        Tanh::function(),
        Relu::function(),
        LeakyRelu::function(),
        Square::function(),
        Gelu::function(),
    ] {
        let shapes: [&[usize]; 9] = shapes![
            1; 2; 3; 17; 33 x 5; 257; 2 x 3 x 5 x 7; 1000; 70_000
        ];
        for shape in shapes {
            both(&mut cases, function, shape, (-6.0, 6.0));
        }
    }
    let mut seen = Vec::new();
    for formulas in ALL {
        if seen.contains(&formulas.name) {
            continue;
        }
        seen.push(formulas.name);
        let Tried { settings, also, .. } = (formulas.tried)();
        let own = settings.iter().map(|settings| &settings[..]);
        let none: &[f32] = &[];
        for settings in own.chain(settings.is_empty().then_some(none)) {
            cases.extend(Function::with(formulas, settings).cases());
        }
        for settings in also {
            for shape in [&[1][..], &[33], &[255]] {
                let function = Function::with(formulas, settings);
                both(&mut cases, function, shape, (0.1, 6.0));
            }
        }
    }
    cases
}

impl Function {
    /// What the function and its slope are tested on by the harness of [`check`](crate::check), as
    /// [`UnaryFunction::tried`] says: values, slopes, and gradients of both.
    pub fn cases(self) -> Vec<Case> {
        let (tried, mut cases) = ((self.formulas.tried)(), Vec::new());
        for shape in [&[1][..], &[3], &[33, 5], &[255], &[1000]] {
            both(&mut cases, self, shape, tried.range);
        }
        let scale = tried.farthest / 100.0;
        let edges = (scale > 0.0).then(|| EDGES.map(|x| x * scale).to_vec());
        let huge = tried.huge.then(|| HUGE.to_vec());
        for values in [edges, huge].into_iter().flatten() {
            let len = values.len();
            let fill = || Fill::Values(values.clone());
            cases.push(Case::new(self).constant(&[len], fill()));
            if !self.saves_output() {
                let backward = Case::new(Backward(self)).constant(&[len], fill());
                cases.push(backward.constant(&[len], Fill::Uniform(-2.0, 2.0)));
            }
        }
        cases
    }
}

/// f and f′ on draws between two numbers.
fn both(cases: &mut Vec<Case>, function: Function, shape: &[usize], (low, high): (f32, f32)) {
    let tried = (function.formulas.tried)();
    let fill = Fill::Uniform(low, high);
    let forward = Case::new(function).input(shape, fill.clone());
    cases.push(if (tried.jumps)(function.settings) {
        forward.without_gradient()
    } else {
        forward
    });
    let saved = tried
        .saved
        .map_or(fill, |(low, high)| Fill::Uniform(low, high));
    let backward = Case::new(Backward(function)).constant(shape, saved);
    // A NaN is lost where the slope is 0, but derivatives are differentiated again.
    cases.push(Case {
        gradients: vec![0, 1],
        ..backward.constant(shape, Fill::Uniform(-2.0, 2.0))
    });
}
