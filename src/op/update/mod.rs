//! Updates of parameters by every formula but plain gradient descent's and plain Adam's, which have kernels of their own.
//!
//! One dispatch does what there is to do element by element: the sum of an update's gradients, clipping, coupled and
//! decoupled decay, the formula, and the average of weights. What varies per step is in the clock's rates.

mod cases;
mod formula;
mod params;
mod step;

use crate::contract::{
    Binding, Compute, Entry, Io, Launch, Launches, Op, Sample, Shader, Signature, Slab,
    expect_dtype, fold, shader,
};
use crate::number::parallel::{Split, pieces};
use crate::number::{Known, Real, Tracked};
use crate::target::Target;
use crate::{DType, TensorType};

use super::{LONG_RATES, rate};

pub use formula::Formula;
use step::Lanes;

const PLAIN: Shader = shader!("update", "update_plain");
const SUM: Shader = shader!("update", "update_sum", "update_sums");
const AVERAGE: Shader = shader!("update", "update_average", "update_averages");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "update",
    shaders: &[PLAIN, SUM, AVERAGE],
    cases: cases::cases,
};

/// How a gradient is cut down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clipped {
    /// Each element into ± this.
    Value(f32),
    /// To this norm, if the root of the sum of squares in the rates is larger.
    Norm(f32),
}

/// What runs along with the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Running {
    /// a ← k·a + (1 − k)·w, and w where the first update is; when due, w ← a.
    Mean {
        /// k, in [0, 1].
        keep: f32,
    },
    /// Slow weights (Zhang et al., 2019): when due, a ← a + s·(w − a), w ← a. They begin as w.
    Slow {
        /// s, in (0, 1].
        share: f32,
    },
}

/// One update of a parameter.
///
/// Inputs: w, the formula's states, the sum of gradients where `batches` is above 1 or the average where there is one,
/// all updated in place; g of the same shape; the rates of a clock with a [`UpdateCount`](super::UpdateCount). No output.
///
/// In this order: g ← −g if it is to be maximised; the mean of the batches' gradients; clipping; w ← w − decay·η·w;
/// g ← g + l2·w; the formula; the average. η is the clock's times `factor`.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// How w changes.
    pub formula: Formula,
    /// Whether the loss is made large instead of small.
    pub maximize: bool,
    /// Batches whose gradients make one update; the clock counts them.
    pub batches: u32,
    /// How gradients are cut down.
    pub clip: Option<Clipped>,
    /// Decoupled weight decay, as a share of η.
    pub decay: f32,
    /// Coupled decay: what is added to the gradient for each unit of the weight.
    pub l2: f32,
    /// What runs along; the clock says when it is due.
    pub running: Option<Running>,
    /// The factor of the learning rate.
    pub factor: f32,
}

impl From<Formula> for Update {
    /// The formula and nothing else.
    fn from(formula: Formula) -> Self {
        Update {
            formula,
            maximize: false,
            batches: 1,
            clip: None,
            decay: 0.0,
            l2: 0.0,
            running: None,
            factor: 1.0,
        }
    }
}

/// Weights that are worked on at once on the processor.
const LANES: usize = 64;

impl Update {
    /// How many tensors it updates in place.
    pub fn written(&self) -> usize {
        let sum = usize::from(self.batches > 1);
        1 + self.formula.states().len() + sum + usize::from(self.running.is_some())
    }

    /// The update of a few weights, all numbers in place.
    #[inline(always)]
    fn step<N: Known, const B: usize>(
        &self,
        lanes: &mut Lanes<N, B>,
        sum: Option<&mut [N; B]>,
        average: Option<&mut [N; B]>,
        rates: &[N],
    ) {
        let of = |value: f32| N::constant(f64::from(value));
        let (one, zero) = (N::constant(1.0), N::constant(0.0));
        let flags = rates[rate::FLAGS].decides() as u32;
        let live = flags & 1 != 0;
        let (before, states) = (lanes.w, lanes.states);
        if self.maximize {
            for g in &mut lanes.g {
                *g = -*g;
            }
        }
        if let Some(sum) = sum {
            let share = N::constant(f64::from((1.0 / f64::from(self.batches)) as f32));
            for (sum, g) in sum.iter_mut().zip(&mut lanes.g) {
                *sum = *sum + *g;
                *g = *sum * share;
            }
            if live {
                *sum = [zero; B];
            }
        }
        match self.clip {
            None => {}
            Some(Clipped::Value(limit)) => {
                for g in &mut lanes.g {
                    *g = g.limited(f64::from(limit));
                }
            }
            Some(Clipped::Norm(limit)) => {
                let norm = rates[rate::SQUARES].root();
                // The scale is continuous where the norm is the limit, so either side will do there.
                let scale = of(limit) / norm.larger(of(limit));
                for g in &mut lanes.g {
                    *g = *g * scale;
                }
            }
        }
        let eta = rates[rate::LEARNING_RATE] * of(self.factor);
        let decay = eta * of(self.decay);
        for (w, g) in lanes.w.iter_mut().zip(&mut lanes.g) {
            *w = *w - *w * decay;
            *g = *g + of(self.l2) * *w;
        }
        self.formula.step(lanes, eta, self.factor, rates);
        if !live && !self.formula.always() {
            (lanes.w, lanes.states) = (before, states);
        }
        let Some(average) = average else {
            return;
        };
        let first = rates[rate::UPDATE].decides() == 1.0;
        let due = flags & 2 != 0;
        match self.running {
            None => {}
            Some(Running::Mean { keep }) => {
                let keep = if first { zero } else { of(keep) };
                for (average, w) in average.iter_mut().zip(&lanes.w) {
                    *average = keep * *average + (one - keep) * *w;
                }
                if due {
                    lanes.w = *average;
                }
            }
            Some(Running::Slow { share }) => {
                if first {
                    *average = before;
                }
                if due && live {
                    for (slow, w) in average.iter_mut().zip(&mut lanes.w) {
                        *slow = *slow + (*w - *slow) * of(share);
                        *w = *slow;
                    }
                }
            }
        }
    }

    fn shader(&self) -> Shader {
        if self.running.is_some() {
            AVERAGE
        } else if self.batches > 1 {
            SUM
        } else {
            PLAIN
        }
    }
}

impl Op for Update {
    fn name(&self) -> &'static str {
        self.formula.name()
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let written = self.written();
        if inputs.len() != written + 2 {
            return Err(format!(
                "takes {} inputs, got {}",
                written + 2,
                inputs.len()
            ));
        }
        let (operands, rates) = (&inputs[..=written], &inputs[written + 1]);
        for operand in operands {
            expect_dtype("an operand", operand, DType::F32)?;
            if operand != &operands[0] {
                return Err(format!("an operand is {operand}, but w is {}", operands[0]));
            }
        }
        if *rates != TensorType::f32([LONG_RATES]) {
            return Err(format!(
                "rates must be [{LONG_RATES}], those of a clock that counts updates, got {rates}"
            ));
        }
        if self.batches == 0 {
            return Err("batches must be at least 1, got 0".into());
        }
        if self.batches > 1 && self.running.is_some() {
            // All operands together would be more than some devices bind.
            return Err("an average takes gradients that are collected before".into());
        }
        self.formula.check()?;
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0, 1, 2, 3, 4][..self.written().min(5)]
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        const WORKGROUP: u32 = 256;
        let len = signature.inputs[0].elements();
        let (clip, limit) = match self.clip {
            None => (0u32, 0.0),
            Some(Clipped::Value(limit)) => (1, limit),
            Some(Clipped::Norm(limit)) => (2, limit),
        };
        let (keep, lookahead) = match self.running {
            None => (0.0, 0u32),
            Some(Running::Mean { keep }) => (keep, 0),
            Some(Running::Slow { share }) => (share, 1),
        };
        let (written, states) = (self.written(), self.formula.states().len());
        let launch = Launch::new(self.shader(), self.formula.entry())
            .set("WORKGROUP", WORKGROUP)
            .param("len", len as usize)
            .param("sign", if self.maximize { -1.0f32 } else { 1.0 })
            .param("share", (1.0 / f64::from(self.batches)) as f32)
            .param("clip", clip)
            .param("limit", limit)
            .param("l2", self.l2)
            .param("decay", self.decay)
            .param("factor", self.factor)
            .param("keep", keep)
            .param("lookahead", lookahead)
            .grid(fold(len.div_ceil(4), WORKGROUP))
            .flops(16 * len)
            .bind(Binding::Input(written))
            .bind(Binding::Input(written + 1))
            .bind(Binding::Input(0));
        // What runs along before the states, so that its number is the same for all formulas.
        let order = (states + 1..written).chain(1..=states);
        let launch = order.fold(launch, |launch, i| launch.bind(Binding::Input(i)));
        Ok(self.formula.params(launch).into())
    }

    fn slab(&self) -> Option<Slab> {
        Some(Slab {
            key: format!("{self:?}"),
            operands: self.written() + 1,
        })
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // The update itself, run on numbers that carry what a device may be off by.
        let (written, states) = (self.written(), self.formula.states().len());
        let exact = |i: usize, at: usize| [Tracked::exact(sample.inputs[i][at])];
        let rates: Vec<Tracked> = sample.inputs[written + 1]
            .iter()
            .map(|&value| Tracked::exact(value))
            .collect();
        let mut bounds = vec![Vec::new(); written];
        for at in 0..sample.inputs[0].len() {
            let mut lanes = Lanes {
                w: exact(0, at),
                states: std::array::from_fn(|s| match s < states {
                    true => exact(1 + s, at),
                    false => [Tracked::exact(0.0)],
                }),
                g: exact(written, at),
            };
            let mut sum = (self.batches > 1).then(|| exact(1 + states, at));
            let mut average = self.running.is_some().then(|| exact(written - 1, at));
            self.step(&mut lanes, sum.as_mut(), average.as_mut(), &rates);
            let states = lanes.states.iter().take(states).map(|state| state[0]);
            let results = [lanes.w[0]].into_iter().chain(states);
            let results = results.chain(sum.map(|sum| sum[0]));
            let results = results.chain(average.map(|average| average[0]));
            for (bounds, result) in bounds.iter_mut().zip(results) {
                bounds.push(result.error);
            }
        }
        bounds
    }
}

/// An operand that is cut with the others, if it is there.
struct Part<'a, T>(Option<&'a mut [T]>);

impl<T: Send> Split for Part<'_, T> {
    #[inline(always)]
    fn split(self, at: usize) -> (Self, Self) {
        match self.0 {
            None => (Part(None), Part(None)),
            Some(values) => {
                let (head, tail) = values.split_at_mut(at);
                (Part(Some(head)), Part(Some(tail)))
            }
        }
    }
}

impl<T: Real> Part<'_, T> {
    /// The elements from `at` on, as many as there are up to `LANES`; zeros where there are none.
    #[inline(always)]
    fn lanes(&self, at: usize) -> [T; LANES] {
        let mut lanes = [T::zero(); LANES];
        if let Some(values) = &self.0 {
            let count = LANES.min(values.len() - at);
            lanes[..count].copy_from_slice(&values[at..at + count]);
        }
        lanes
    }

    #[inline(always)]
    fn put(&mut self, at: usize, lanes: &[T; LANES]) {
        if let Some(values) = &mut self.0 {
            let count = LANES.min(values.len() - at);
            values[at..at + count].copy_from_slice(&lanes[..count]);
        }
    }
}

impl Compute for Update {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (written, states) = (self.written(), self.formula.states().len());
        let (g, rates) = (io.input(written), io.input(written + 1));
        let mut parts = io.first_outputs::<5>(written).map(Part).into_iter();
        let mut next = |there: bool| match there {
            true => parts.next().unwrap_or(Part(None)),
            false => Part(None),
        };
        let w = next(true);
        let own = [next(states > 0), next(states > 1), next(states > 2)];
        let sum = next(self.batches > 1);
        let average = next(self.running.is_some());
        let [a, b, c] = own;
        pieces::<T, _>(
            g.len(),
            4 * (2 * written + 1),
            ((w, g), (a, b, c), (sum, average)),
            #[inline(always)]
            |_, ((mut w, g), (mut a, mut b, mut c), (mut sum, mut average))| {
                for at in (0..g.len()).step_by(LANES) {
                    let mut gradient = [T::zero(); LANES];
                    let count = LANES.min(g.len() - at);
                    gradient[..count].copy_from_slice(&g[at..at + count]);
                    let mut lanes = Lanes {
                        w: w.lanes(at),
                        states: [a.lanes(at), b.lanes(at), c.lanes(at)],
                        g: gradient,
                    };
                    let mut sums = sum.0.is_some().then(|| sum.lanes(at));
                    let mut averages = average.0.is_some().then(|| average.lanes(at));
                    self.step(&mut lanes, sums.as_mut(), averages.as_mut(), rates);
                    w.put(at, &lanes.w);
                    a.put(at, &lanes.states[0]);
                    b.put(at, &lanes.states[1]);
                    c.put(at, &lanes.states[2]);
                    if let Some(sums) = &sums {
                        sum.put(at, sums);
                    }
                    if let Some(averages) = &averages {
                        average.put(at, averages);
                    }
                }
            },
        );
    }
}
