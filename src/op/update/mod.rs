//! Updates of parameters by any rule; plain gradient descent and plain Adam have kernels of their own besides.
//!
//! One dispatch does what there is to do element by element: the sum of an update's gradients, clipping, coupled and
//! decoupled decay, the rule, and the average of weights. What varies per step is in the clock's rates. The rules
//! themselves are in [`optim`](crate::optim), each beside its settings.

mod cases;
mod rule;
mod treatment;

use crate::contract::{
    Binding, Compute, Io, Launch, Launches, Op, Param, Sample, Signature, Slab, expect_dtype, fold,
};
use crate::number::parallel::{Split, pieces};
use crate::number::{Known, Real, Tracked};
use crate::target::Target;
use crate::{DType, TensorType};

use super::LONG_RATES;

pub(crate) use cases::cases_within_the_limit;
use rule::MAX_STATES;
pub use rule::{Element, Moment, RuleForm, RuleState, UpdateRule};
pub(crate) use rule::{complement, moved, over_root, rest, rest_of, rule_form};
pub(crate) use treatment::{Clipped, Running, Treatment};

/// One update of a parameter.
///
/// Inputs: w, the rule's states, the sum of gradients where the treatment has several batches or the average where it has
/// one, all updated in place; g of the same shape; the rates of a clock with an [`UpdateCount`](super::UpdateCount). No
/// output.
#[derive(Debug, Clone)]
pub(crate) struct Update<R> {
    /// How w changes.
    rule: R,
    /// The rule's own.
    pub form: RuleForm,
    /// What is done before and after.
    pub treatment: Treatment,
}

impl<R: UpdateRule> From<R> for Update<R> {
    /// The rule and nothing else.
    fn from(rule: R) -> Self {
        Update::new(rule, Treatment::default())
    }
}

/// Weights that are worked on at once on the processor.
const LANES: usize = 64;

/// A few weights with their states and gradients.
struct UpdateLanes<N, const B: usize> {
    w: [N; B],
    states: [[N; B]; MAX_STATES],
    /// The sum of gradients, or the average: see [`Treatment::written`].
    along: [N; B],
    g: [N; B],
}

impl<R: UpdateRule> Update<R> {
    /// The rule, and what is done before and after it.
    pub fn new(rule: R, treatment: Treatment) -> Self {
        Update {
            form: rule.form(),
            rule,
            treatment,
        }
    }

    /// How many tensors it updates in place.
    fn written(&self) -> usize {
        1 + self.form.states.len() + self.treatment.written()
    }

    /// The update of a few weights, all numbers in place.
    #[inline(always)]
    fn step<N: Known, const B: usize>(&self, lanes: &mut UpdateLanes<N, B>, rates: &[N]) {
        let (before, states) = (lanes.w, lanes.states);
        let (w, g) = (&mut lanes.w, &mut lanes.g);
        let at = self.treatment.before(w, g, &mut lanes.along, rates);
        let step = self.rule.step(&at);
        let [a, b, c] = &mut lanes.states;
        for i in 0..B {
            let (after, [x, y, z]) = step((w[i], [a[i], b[i], c[i]]), g[i]);
            (w[i], a[i], b[i], c[i]) = (after, x, y, z);
        }
        if !at.is_live() && !self.form.always {
            (lanes.w, lanes.states) = (before, states);
        }
        let (w, along) = (&mut lanes.w, &mut lanes.along);
        self.treatment.after(&before, w, along, &at);
    }
}

impl<R: UpdateRule> Op for Update<R> {
    fn name(&self) -> &'static str {
        self.form.label
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let written = self.written();
        if self.form.states.len() > MAX_STATES {
            return Err(format!("keeps more than {MAX_STATES} states"));
        }
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
        if self.treatment.batches == 0 {
            return Err("batches must be at least 1, got 0".into());
        }
        if self.treatment.written() > 1 {
            // All operands together would be more than some devices bind.
            return Err("an average takes gradients that are collected before".into());
        }
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0, 1, 2, 3, 4][..self.written().min(5)]
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        const WORKGROUP: u32 = 256;
        let len = signature.inputs[0].elements();
        let (written, states) = (self.written(), self.form.states.len());
        let launch = Launch::new(self.treatment.shader(self.form.wgsl, states), "update")
            .set("WORKGROUP", WORKGROUP)
            .set("ALWAYS", self.form.always)
            .param("len", len as usize)
            .grid(fold(len.div_ceil(4), WORKGROUP))
            .flops(16 * len)
            .bind(Binding::Input(written))
            .bind(Binding::Input(written + 1))
            .bind(Binding::Input(0));
        // What runs along before the states, so that its number is the same for all rules.
        let order = (states + 1..written).chain(1..=states);
        let launch = order.fold(launch, |launch, i| launch.bind(Binding::Input(i)));
        let numbers = match &self.form.numbers[..] {
            [] => &[("none", Param::U32(0))],
            numbers => numbers,
        };
        let launch = numbers
            .iter()
            .fold(self.treatment.params(launch), |launch, &(name, value)| {
                launch.param(name, value)
            });
        Ok(launch.into())
    }

    fn slab(&self) -> Option<Slab> {
        Some(Slab {
            key: format!("{:?}, {:?}", self.rule, self.treatment),
            operands: self.written() + 1,
        })
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // The update itself, run on numbers that carry what a device may be off by.
        let (written, states) = (self.written(), self.form.states.len());
        let rates: Vec<Tracked> = sample.inputs[written + 1]
            .iter()
            .map(|&value| Tracked::exact(value))
            .collect();
        let mut bounds = vec![Vec::new(); written];
        for at in 0..sample.inputs[0].len() {
            let number = |i: usize, there: bool| {
                [Tracked::exact(if there {
                    sample.inputs[i][at]
                } else {
                    0.0
                })]
            };
            let mut lanes = UpdateLanes {
                w: number(0, true),
                states: std::array::from_fn(|s| number(1 + s, s < states)),
                along: number(1 + states, 1 + states < written),
                g: number(written, true),
            };
            self.step(&mut lanes, &rates);
            let states = lanes.states.into_iter().take(states);
            let results = [lanes.w].into_iter().chain(states).chain([lanes.along]);
            for (bounds, [result]) in bounds.iter_mut().zip(results) {
                bounds.push(result.error);
            }
        }
        bounds
    }
}

/// An operand that is cut with the others; empty where there is none.
struct Part<'a, T>(&'a mut [T]);

impl<T: Send> Split for Part<'_, T> {
    #[inline(always)]
    fn split(self, at: usize) -> (Self, Self) {
        let at = at.min(self.0.len());
        let (head, tail) = self.0.split_at_mut(at);
        (Part(head), Part(tail))
    }
}

impl<T: Real> Part<'_, T> {
    #[inline(always)]
    fn put(&mut self, at: usize, lanes: &[T; LANES]) {
        let own = self.0.get_mut(at..).unwrap_or_default();
        let count = LANES.min(own.len());
        own[..count].copy_from_slice(&lanes[..count]);
    }
}

/// The elements from `at` on, as many as there are up to `LANES`; zeros where there are none.
#[inline(always)]
fn lanes_of<T: Real>(values: &[T], at: usize) -> [T; LANES] {
    let mut lanes = [T::zero(); LANES];
    let values = values.get(at..).unwrap_or_default();
    let count = LANES.min(values.len());
    lanes[..count].copy_from_slice(&values[..count]);
    lanes
}

impl<R: UpdateRule> Compute for Update<R> {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (written, states) = (self.written(), self.form.states.len());
        let (g, rates) = (io.input(written), io.input(written + 1));
        let mut parts = io.first_outputs::<5>(written).into_iter().flatten();
        let mut next =
            |there: bool| Part(there.then(|| parts.next()).flatten().unwrap_or_default());
        let w = next(true);
        let own = (next(states > 0), next(states > 1), next(states > 2));
        pieces::<T, _>(
            g.len(),
            4 * (2 * written + 1),
            ((w, g), own, next(true)),
            #[inline(always)]
            |_, ((mut w, g), (mut a, mut b, mut c), mut along)| {
                for at in (0..g.len()).step_by(LANES) {
                    let mut lanes = UpdateLanes {
                        w: lanes_of(w.0, at),
                        states: [&a, &b, &c].map(|state| lanes_of(state.0, at)),
                        along: lanes_of(along.0, at),
                        g: lanes_of(g, at),
                    };
                    self.step(&mut lanes, rates);
                    w.put(at, &lanes.w);
                    a.put(at, &lanes.states[0]);
                    b.put(at, &lanes.states[1]);
                    c.put(at, &lanes.states[2]);
                    along.put(at, &lanes.along);
                }
            },
        );
    }
}
