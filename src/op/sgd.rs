//! Gradient descent's update, plain and with momentum, as in Keras 3: w ← w − η·g, or v ← μ·v − η·g, w ← w + v, or with
//! Nesterov's look-ahead w ← w + μ·v − η·g. η is the clock's.

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Slab,
    arity, expect_dtype, fold, shader,
};
use crate::number::parallel::pieces;
use crate::number::{Number, Real, Tracked};
use crate::target::Target;
use crate::{DType, TensorType};

use super::RATES;

const SHADER: Shader = shader!("sgd");

pub const ENTRY: Entry = Entry::new("sgd", &[SHADER], cases);

/// w ← w − η·g. Inputs: w, updated in place, g of the same shape, the clock's rates. No output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd;

/// v ← μ·v − η·g, w ← w + v. Inputs: w and v, updated in place, g of the same shape, the clock's rates. No output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Momentum {
    /// μ, in [0, 1).
    pub momentum: f32,
    /// Whether w ← w + μ·v − η·g instead.
    pub nesterov: bool,
}

/// Checks the operands of an update: `names` of one shape, then the clock's rates.
pub(in crate::op) fn check_operands(names: &[&str], inputs: &[TensorType]) -> Result<(), String> {
    let Some((rates, operands)) = inputs.split_last() else {
        return Err("got no inputs".into());
    };
    let (first, shape) = (names[0], &operands[0]);
    for (name, operand) in names.iter().zip(operands) {
        expect_dtype(name, operand, DType::F32)?;
        if operand.shape != shape.shape {
            return Err(format!("{name} is {operand}, but {first} is {shape}"));
        }
    }
    if *rates != TensorType::f32([RATES]) {
        return Err(format!("rates must be [{RATES}], got {rates}"));
    }
    Ok(())
}

/// Checks that a factor lies in [0, 1); NaN does not.
pub(in crate::op) fn check_factor(name: &str, factor: f32) -> Result<(), String> {
    if (0.0..1.0).contains(&factor) {
        return Ok(());
    }
    Err(format!(
        "{name} must be at least 0 and below 1, got {factor}"
    ))
}

impl Op for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        check_operands(&["w", "g"], arity::<3>(inputs)?)?;
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0]
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let launch = launch("update", signature, 0.0, false)
            .bind(Binding::Input(1))
            .bind(Binding::Input(2))
            .bind(Binding::Input(0))
            .flops(2 * signature.inputs[0].elements());
        Ok(launch.into())
    }

    fn slab(&self) -> Option<Slab> {
        Some(Slab {
            key: format!("{self:?}"),
            operands: 2,
        })
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let rate = Tracked::exact(sample.inputs[2][0]);
        let operands = sample.inputs[0].iter().zip(&sample.inputs[1]);
        let step = |(&w, &g): (&f64, &f64)| {
            let (w, g) = (Tracked::exact(w), Tracked::exact(g));
            (w - rate * g).error
        };
        vec![operands.map(step).collect()]
    }
}

impl Compute for Sgd {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (g, rate) = (io.input(1), io.input(2)[0]);
        pieces::<T, _>(
            g.len(),
            12,
            (io.output(0), g),
            #[inline(always)]
            |_, (w, g)| {
                for (w, &g) in w.iter_mut().zip(g) {
                    *w = *w - rate * g;
                }
            },
        );
    }
}

impl Op for Momentum {
    fn name(&self) -> &'static str {
        if self.nesterov {
            "sgd.nesterov"
        } else {
            "sgd.momentum"
        }
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        check_operands(&["w", "v", "g"], arity::<4>(inputs)?)?;
        check_factor("momentum", self.momentum)?;
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0, 1]
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let launch = launch("update_momentum", signature, self.momentum, self.nesterov)
            .bind(Binding::Input(2))
            .bind(Binding::Input(3))
            .bind(Binding::Input(0))
            .bind(Binding::Input(1))
            .flops(signature.inputs[0].elements() * if self.nesterov { 6 } else { 4 });
        Ok(launch.into())
    }

    fn slab(&self) -> Option<Slab> {
        Some(Slab {
            key: format!("{self:?}"),
            operands: 3,
        })
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let (g, rate) = (&sample.inputs[2], Tracked::exact(sample.inputs[3][0]));
        let (mut w_bound, mut v_bound) = (Vec::new(), Vec::new());
        for (i, &g) in g.iter().enumerate() {
            let [w, v] = [0, 1].map(|input| Tracked::exact(sample.inputs[input][i]));
            let step = rate * Tracked::exact(g);
            let v = self.velocity(v, step);
            w_bound.push(self.weight(w, v, step).error);
            v_bound.push(v.error);
        }
        vec![w_bound, v_bound]
    }
}

impl Compute for Momentum {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (g, rates) = (io.input(2), io.input(3));
        let [w, v] = io.outputs();
        pieces::<T, _>(
            g.len(),
            20,
            (w, v, g),
            #[inline(always)]
            |_, (w, v, g)| self.step(w, v, g, rates),
        );
    }
}

impl Momentum {
    /// v after a step of length η·g.
    #[inline(always)]
    pub(crate) fn velocity<N: Number>(&self, v: N, step: N) -> N {
        N::given(self.momentum) * v - step
    }

    /// w after a step, given v after it.
    #[inline(always)]
    pub(crate) fn weight<N: Number>(&self, w: N, v: N, step: N) -> N {
        if self.nesterov {
            w + N::given(self.momentum) * v - step
        } else {
            w + v
        }
    }

    /// One step of w and v.
    #[inline(always)]
    pub(super) fn step<T: Real>(&self, w: &mut [T], v: &mut [T], g: &[T], rates: &[T]) {
        let rate = rates[0];
        for ((w, v), &g) in w.iter_mut().zip(v).zip(g) {
            let step = rate * g;
            *v = self.velocity(*v, step).flushed();
            *w = self.weight(*w, *v, step);
        }
    }
}

fn launch(entry: &'static str, signature: &Signature, momentum: f32, nesterov: bool) -> Launch {
    const WORKGROUP: u32 = 256;
    let len = signature.inputs[0].elements();
    Launch::new(SHADER, entry)
        .set("WORKGROUP", WORKGROUP)
        .param("len", len as usize)
        .param("momentum", momentum)
        .param("nesterov", u32::from(nesterov))
        .grid(fold(len.div_ceil(4), WORKGROUP))
}

/// Shapes that updates are tried on.
pub(super) const SHAPES: [&[usize]; 11] = [
    &[],
    &[1],
    &[2],
    &[3],
    &[17],
    &[33, 10],
    &[255],
    &[257],
    &[2, 3, 5, 7],
    &[1000],
    &[70_000],
];

fn cases() -> Vec<Case> {
    let numbers = || Fill::Uniform(-2.0, 2.0);
    let rates = |rate| Fill::Values(vec![rate, 0.9, 0.999, 0.0]);
    let mut cases = Vec::new();
    for shape in SHAPES {
        for rate in [0.01, 1.5] {
            let case = Case::new(Sgd)
                .input(shape, numbers())
                .input(shape, numbers());
            cases.push(case.constant(&[RATES], rates(rate)).without_gradient());
        }
        for (momentum, nesterov) in [(0.9, false), (0.9, true), (0.0, true), (0.3, false)] {
            let case = Case::new(Momentum { momentum, nesterov })
                .input(shape, numbers())
                .input(shape, numbers())
                .input(shape, numbers());
            cases.push(case.constant(&[RATES], rates(0.05)).without_gradient());
        }
    }
    cases
}
