//! One op in a graph of its own, open on a device.

use crate::contract::Case;
use crate::plan::{Place, Plan, Program};
use crate::{DType, Device, Graph, Initial, Result, Session, TensorType, Values};

use super::failed;

/// The bits of the NaN in temporaries before a run.
const TEMPORARY: u32 = 0x7fc0_dead;
/// The bits of the NaN after variables: other bits than before them, because arithmetic hands an operand's bits on.
const PADDING: u32 = 0x7fc0_beef;

/// The one program of the graph.
const PROGRAM: &str = "case";

pub(super) struct Trial<'a> {
    case: &'a Case,
    session: Session,
    /// Where the results lie: inputs updated in place, then outputs.
    results: Vec<Place>,
    /// Where the inputs lie.
    inputs: Vec<Place>,
    outputs: Vec<TensorType>,
    /// What no operand of the op covers, before and after the run.
    outside: Vec<Place>,
}

impl<'a> Trial<'a> {
    pub fn open(case: &'a Case, device: &Device) -> Result<Self> {
        let graph = Graph::new();
        let inputs: Vec<_> = case
            .inputs
            .iter()
            .enumerate()
            .map(|(i, (kind, _))| graph.variable(input_name(i), kind.clone(), Initial::Zeros))
            .collect();
        let operands: Vec<_> = inputs.iter().collect();
        let location = std::panic::Location::caller();
        let outputs = graph.apply_at(case.op.clone(), &operands, location);
        graph.check()?;
        let mut program = Program::new(PROGRAM).update(&outputs);
        // An update has a handle without a value.
        let kinds = graph.output_types(&outputs[0]);
        for (port, output) in outputs.iter().enumerate().take(kinds.len()) {
            program = program.fetch(output_name(port), output);
        }
        let plan = Plan::compile(&graph, device.target(), [program])?;
        let place = |name: &str| plan.readable(name).map(|(_, place)| place);
        let inputs = (0..case.inputs.len())
            .map(|i| place(&input_name(i)))
            .collect::<Result<Vec<_>>>()?;
        let mut results: Vec<Place> = case.op.writes().iter().map(|&i| inputs[i]).collect();
        for port in 0..kinds.len() {
            results.push(place(&output_name(port))?);
        }
        let calls = plan.programs.iter().flat_map(|program| &program.calls);
        let owned =
            calls.flat_map(|call| call.inputs.iter().chain(&call.outputs).chain(&call.scratch));
        let outside = plan.outside(owned.copied());
        Ok(Trial {
            session: device.open(&plan)?,
            case,
            results,
            inputs,
            outputs: kinds,
            outside,
        })
    }

    pub fn outputs(&self) -> &[TensorType] {
        &self.outputs
    }

    /// Poisons, writes the inputs, runs, checks what must not have changed, and returns the results.
    pub fn run(&mut self, inputs: &[Values]) -> Result<Vec<Values>> {
        self.session.poison(TEMPORARY, PADDING)?;
        for (i, values) in inputs.iter().enumerate() {
            match values {
                Values::F32(values) => self.session.write(&input_name(i), values)?,
                Values::U32(values) => self.session.write_labels(&input_name(i), values)?,
                Values::F64(_) => unreachable!("inputs are drawn as f32"),
            }
        }
        self.session.run(PROGRAM, 1)?;
        let slots = (0..self.session.plan().slots.len())
            .map(|slot| self.session.read_slot(slot))
            .collect::<Result<Vec<_>>>()?;
        for place in &self.outside {
            let slot = &self.session.plan().slots[place.slot];
            let bits = if slot.persistent { PADDING } else { TEMPORARY };
            let kind = slot.dtype;
            if let Some(at) = first_change(&part(&slots[place.slot], *place), kind, bits) {
                return Err(failed(self.case, self.spill(*place, at, kind)));
            }
        }
        for (i, (place, before)) in self.inputs.iter().zip(inputs).enumerate() {
            if !self.case.op.writes().contains(&i)
                && !same(&part(&slots[place.slot], *place), before)
            {
                return Err(failed(
                    self.case,
                    format!("input {i} was changed, but the op does not say that it updates it"),
                ));
            }
        }
        Ok(self
            .results
            .iter()
            .map(|place| part(&slots[place.slot], *place))
            .collect())
    }

    fn spill(&self, place: Place, at: usize, kind: DType) -> String {
        let position = place.offset + at as u64;
        let before =
            |&&(_, end): &&(String, (usize, u64))| end.0 == place.slot && end.1 <= position;
        let results = self.results.iter().enumerate();
        let inputs = self.inputs.iter().enumerate();
        let owners: Vec<(String, (usize, u64))> = results
            .map(|(i, p)| (format!("result {i}"), (p.slot, p.offset + p.len)))
            .chain(inputs.map(|(i, p)| (format!("input {i}"), (p.slot, p.offset + p.len))))
            .collect();
        match owners.iter().filter(before).max_by_key(|(_, end)| end.1) {
            Some((owner, (_, end))) => {
                format!(
                    "a {kind} was written {} elements after the end of {owner}",
                    position - end + 1
                )
            }
            None => format!(
                "a {kind} was written to element {position} of slot {}, which is no operand's",
                place.slot
            ),
        }
    }
}

fn input_name(i: usize) -> String {
    format!("x{i}")
}

fn output_name(port: usize) -> String {
    format!("y{port}")
}

fn part(slot: &Values, place: Place) -> Values {
    // The session has read this slot, so its length fits.
    let range = place.offset as usize..(place.offset + place.len) as usize;
    match slot {
        Values::F32(values) => Values::F32(values[range].to_vec()),
        Values::F64(values) => Values::F64(values[range].to_vec()),
        Values::U32(values) => Values::U32(values[range].to_vec()),
    }
}

/// The first element that no longer holds the poison.
fn first_change(values: &Values, kind: DType, bits: u32) -> Option<usize> {
    match values {
        // A NaN's bits do not all fit.
        Values::F32(values) if kind == DType::F16 => {
            values.iter().position(|value| !value.is_nan())
        }
        Values::F32(values) => values.iter().position(|value| value.to_bits() != bits),
        Values::F64(values) => values.iter().position(|value| !value.is_nan()),
        Values::U32(values) => values.iter().position(|&value| value != bits),
    }
}

/// Whether a session still holds what was written, bit by bit, NaNs included.
fn same(now: &Values, written: &Values) -> bool {
    match (now, written) {
        (Values::F32(now), Values::F32(written)) => now
            .iter()
            .zip(written)
            .all(|(a, b)| a.to_bits() == b.to_bits()),
        (Values::F64(now), Values::F32(written)) => now
            .iter()
            .zip(written)
            .all(|(a, b)| *a == f64::from(*b) || (a.is_nan() && b.is_nan())),
        (Values::U32(now), Values::U32(written)) => now == written,
        _ => false,
    }
}
