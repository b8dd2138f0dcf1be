//! A plan executed on the processor; nothing is allocated per step.

use std::ops::Range;

use crate::contract::{Io, MAX_OPERANDS, Op, View, ViewMut};
use crate::edge::WallTime;
use crate::graph::Initial;
use crate::number::aligned::Aligned;
use crate::number::{Real, half, parallel};
use crate::op::Network;
use crate::plan::{Place, Plan, PlannedCall, PlannedProgram};
use crate::{DType, Result};

/// The float types with the op form that computes in them.
pub trait SessionFloat: Real {
    /// Runs an op's CPU form.
    fn compute(op: &dyn Op, io: &mut Io<'_, Self>);
}

impl SessionFloat for f32 {
    fn compute(op: &dyn Op, io: &mut Io<'_, f32>) {
        op.compute_f32(io);
    }
}

impl SessionFloat for f64 {
    fn compute(op: &dyn Op, io: &mut Io<'_, f64>) {
        op.compute_f64(io);
    }
}

/// The memory of one slot.
#[derive(Debug)]
enum SlotMemory<T> {
    Floats(Aligned<T>),
    Words(Aligned<u32>),
    /// Lent to the running call.
    Lent,
}

impl<T: Real> SlotMemory<T> {
    fn view(&self, place: Place) -> Option<View<'_, T>> {
        match self {
            SlotMemory::Floats(values) => Some(View::Floats(&values.get()[range(place)])),
            SlotMemory::Words(values) => Some(View::Words(&values.get()[range(place)])),
            SlotMemory::Lent => None,
        }
    }

    fn view_mut(&mut self, place: Place) -> Option<ViewMut<'_, T>> {
        match self {
            SlotMemory::Floats(values) => {
                Some(ViewMut::Floats(&mut values.get_mut()[range(place)]))
            }
            SlotMemory::Words(values) => Some(ViewMut::Words(&mut values.get_mut()[range(place)])),
            SlotMemory::Lent => None,
        }
    }
}

/// Slots are no larger than memory, so their lengths fit `usize`.
fn range(place: Place) -> Range<usize> {
    place.offset as usize..(place.offset + place.len) as usize
}

/// An open plan on the processor, computing in `T`.
#[derive(Debug)]
pub struct Session<T> {
    plan: Plan,
    buffers: Vec<SlotMemory<T>>,
    /// For each program, how many threads beside the first its largest call is worth.
    helpers: Vec<usize>,
}

impl<T: SessionFloat> Session<T> {
    /// Allocates the plan's slots and fills the variables with their initial values.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) where the machine has no room for a slot.
    pub fn open(plan: &Plan) -> Result<Self> {
        let mut buffers = Vec::new();
        for (index, slot) in plan.slots.iter().enumerate() {
            let refused = || crate::Error::OutOfMemory {
                what: format!("slot {index} of the plan"),
                needed: slot.elements.saturating_mul(size_of::<T>() as u64),
                available: None,
                advice: None,
            };
            let len = usize::try_from(slot.elements).map_err(|_source| refused())?;
            buffers.push(if slot.dtype == DType::U32 {
                SlotMemory::Words(Aligned::new(len).map_err(|_source| refused())?)
            } else {
                SlotMemory::Floats(Aligned::new(len).map_err(|_source| refused())?)
            });
        }
        let helpers =
            |program: &PlannedProgram| program.calls.iter().map(helpers::<T>).max().unwrap_or(0);
        let mut session = Session {
            plan: plan.clone(),
            buffers,
            helpers: plan.programs.iter().map(helpers).collect(),
        };
        for variable in &plan.variables {
            match &variable.initial {
                Initial::Zeros => {}
                Initial::Floats(values) => session.write(variable.place, values),
                Initial::Words(values) => session.write_words(variable.place, values),
            }
        }
        Ok(session)
    }

    /// The plan it runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs `steps` steps of the program with that index.
    pub fn run(&mut self, program: usize, steps: u64) {
        let calls = steps.saturating_mul(self.calls_of_step(program));
        self.run_calls(program, 0..calls, None);
    }

    /// The calls of a step, one where it has none.
    pub fn calls_of_step(&self, program: usize) -> u64 {
        self.plan.programs[program].calls.len().max(1) as u64
    }

    /// Runs calls of successive steps, counted from the first of the first step, until all are done or `end` has come: the
    /// number of the call that comes next. At least one is run.
    ///
    /// Where a call is large enough to be shared out, the whole run moves to the pool and keeps its threads awake.
    pub fn run_calls(&mut self, program: usize, range: Range<u64>, end: Option<WallTime>) -> u64 {
        let of_step = self.calls_of_step(program);
        let Session {
            plan,
            buffers,
            helpers,
        } = self;
        let calls = &plan.programs[program].calls;
        parallel::awake(helpers[program], move || {
            for number in range.clone() {
                if let Some(call) = calls.get((number % of_step) as usize) {
                    run_call(buffers, call);
                }
                if end.is_some_and(|end| WallTime::now() >= end) {
                    return number + 1;
                }
            }
            range.end
        })
    }

    /// Seconds of each call of a program: the least of `repeat` runs of the program.
    pub fn profile(&mut self, program: usize, repeat: u64) -> Vec<(String, f64)> {
        let Session {
            plan,
            buffers,
            helpers,
        } = self;
        let calls = &plan.programs[program].calls;
        let mut times = vec![f64::INFINITY; calls.len()];
        parallel::awake(helpers[program], || {
            for _ in 0..repeat {
                for (call, time) in calls.iter().zip(&mut times) {
                    let begun = WallTime::now();
                    run_call(buffers, call);
                    *time = time.min(begun.elapsed().as_secs_f64());
                }
            }
        });
        let labels = calls.iter().map(|call| {
            let kinds = call.signature.inputs.iter().chain(&call.signature.outputs);
            let shapes: Vec<String> = kinds.map(|kind| kind.shape.to_string()).collect();
            format!("{} {}", call.op.name(), shapes.join(" "))
        });
        labels.zip(times).collect()
    }

    /// Runs a step of a program up to the call that first writes a number that is not finite: which, where the number's
    /// tensor lies, and the number.
    pub fn first_not_finite(&mut self, program: usize) -> Option<(usize, Place, T)> {
        let Session { plan, buffers, .. } = self;
        for (number, call) in plan.programs[program].calls.iter().enumerate() {
            run_call(buffers, call);
            for place in call.written() {
                if let Some(View::Floats(values)) = buffers[place.slot].view(place)
                    && let Some(&value) = values.iter().find(|value| !value.is_finite())
                {
                    return Some((number, place, value));
                }
            }
        }
        None
    }

    /// Copies numbers in.
    pub fn write(&mut self, place: Place, values: &[f32]) {
        let halves = self.plan.slots[place.slot].dtype == DType::F16;
        if let Some(ViewMut::Floats(slot)) = self.buffers[place.slot].view_mut(place) {
            for (slot, &value) in slot.iter_mut().zip(values) {
                let value = T::constant(f64::from(value));
                *slot = if halves { half::stored(value) } else { value };
            }
        }
    }

    /// Copies integers in.
    pub fn write_words(&mut self, place: Place, values: &[u32]) {
        if let Some(ViewMut::Words(slot)) = self.buffers[place.slot].view_mut(place) {
            slot[..values.len()].copy_from_slice(values);
        }
    }

    /// The numbers at a place, in the session's own precision.
    pub fn read(&self, place: Place) -> &[T] {
        match self.buffers[place.slot].view(place) {
            Some(View::Floats(values)) => values,
            _ => &[],
        }
    }

    /// The integers at a place.
    pub fn read_words(&self, place: Place) -> &[u32] {
        match self.buffers[place.slot].view(place) {
            Some(View::Words(values)) => values,
            _ => &[],
        }
    }

    /// Sets numbers in the session's own precision.
    pub fn write_exact(&mut self, place: Place, values: &[T]) {
        if let Some(ViewMut::Floats(slot)) = self.buffers[place.slot].view_mut(place) {
            slot.copy_from_slice(values);
        }
    }
}

/// How many threads beside the first a call is worth: none below the sizes at which a product or a long loop is shared
/// out, and none for the reference.
fn helpers<T: Real>(call: &PlannedCall) -> usize {
    const ELEMENTS: u64 = 10_000;
    if T::REFERENCE {
        return 0;
    }
    if let Some(network) = call.op.downcast::<Network>() {
        return network.pieces() - 1;
    }
    let touched = |i: usize| call.op.touched(&call.signature, i);
    // What is updated in place has a gradient of its size among the inputs, or is a ring, of which a step takes little.
    let read = (0..call.inputs.len()).filter(|&i| !call.updates(i));
    let written = call.outputs.iter().map(|place| place.len);
    let most = read.map(touched).chain(written).max().unwrap_or(0);
    (most / ELEMENTS) as usize
}

/// Rounds outputs that devices store as f16.
fn round_halves<T: SessionFloat>(call: &PlannedCall, lent: &mut [SlotMemory<T>]) {
    let updated = call.op.writes().len();
    let outputs = lent[updated..].iter_mut().zip(&call.outputs);
    for ((buffer, place), kind) in outputs.zip(&call.signature.outputs) {
        if kind.dtype == DType::F16
            && let Some(ViewMut::Floats(values)) = buffer.view_mut(*place)
        {
            for value in values {
                *value = half::stored(*value);
            }
        }
    }
}

/// Lends the written slots out of the list, so that the call may read the others meanwhile.
///
/// The plan keeps every written operand in a slot that no other operand of the call uses.
fn run_call<T: SessionFloat>(buffers: &mut [SlotMemory<T>], call: &PlannedCall) {
    let mut lent = [const { SlotMemory::Lent }; MAX_OPERANDS];
    for (lent, place) in lent.iter_mut().zip(call.written()) {
        std::mem::swap(&mut buffers[place.slot], lent);
    }
    // Filled in place: moving the arrays would cost as much as a small call.
    let mut io = Io::empty(&call.signature);
    for (i, place) in call.inputs.iter().enumerate() {
        io.set_input(i, buffers[place.slot].view(*place));
    }
    for (i, (buffer, place)) in lent.iter_mut().zip(call.written()).enumerate() {
        io.set_written(i, buffer.view_mut(place));
    }
    T::compute(call.op.as_ref(), &mut io);
    round_halves(call, &mut lent);
    for (lent, place) in lent.iter_mut().zip(call.written()) {
        std::mem::swap(&mut buffers[place.slot], lent);
    }
}
