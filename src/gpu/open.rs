//! A plan becomes a session: buffers, pipelines and bind groups are made, and variables get their initial values.

use std::sync::Arc;

use crate::contract::{Binding, Launch, Param};
use crate::graph::Initial;
use crate::identity::Identity;
use crate::plan::{Plan, PlannedCall, PlannedProgram};
use crate::{Error, Result};

use super::admit::advised;
use super::device::{Bindings, Buffer, Device, Kernel, Purpose};
use super::request::{kernels, params, request};
use super::session::{Dispatch, Session};

/// What one dispatch of a program may do until a step of it was timed: about 50 ms on the slowest adapter measured,
/// SwiftShader on two cores, in floating-point operations of one workgroup.
const UNTIMED_FLOPS: u64 = 25_000_000;

/// A pipeline, and the bytes of the params of each of its variants: where they begin and how many they are.
type ReadyLaunch = (Arc<Kernel>, Vec<(u64, u64)>);

impl Session {
    /// Makes every buffer, pipeline and bind group of the plan, and uploads the variables' initial values.
    pub fn open(device: &Device, plan: &Plan) -> Result<Self> {
        if !plan.target.has_shaders() {
            return Err(Error::Device {
                message: "the plan was compiled for the CPU, not for this adapter".into(),
            });
        }
        device.admit(plan, 0)?;
        let mut slots = Vec::new();
        let by_slot = plan.variables_by_slot();
        for (index, (slot, inside)) in plan.slots.iter().zip(by_slot).enumerate() {
            let temporary = || format!("temporary slot {index}");
            let label = inside
                .first()
                .map_or_else(temporary, |first| first.name.clone());
            let made = device.buffer(&label, slot.bytes(), Purpose::Tensors);
            slots.push(made.map_err(|error| advised(plan, error))?);
        }
        let (prepared, params) = prepared(device, plan)?;
        let mut session = Session {
            device: device.clone(),
            plan: plan.clone(),
            slots,
            programs: Vec::new(),
            at_once: plan.programs.iter().map(untimed).collect(),
            staging: device.pool(),
            params,
            identity: Identity::new(),
        };
        let mut prepared = prepared.into_iter();
        for program in &plan.programs {
            let dispatches = session.dispatches(program, &mut prepared)?;
            session.programs.push(dispatches);
        }
        for variable in &plan.variables {
            match &variable.initial {
                // wgpu gives buffers out zeroed.
                Initial::Zeros => {}
                Initial::Floats(values) => session.write(variable.place, values)?,
                Initial::Words(values) => session.write_words(variable.place, values)?,
            }
        }
        Ok(session)
    }

    /// The dispatches of a program, of the pipelines that come next.
    fn dispatches(
        &self,
        program: &PlannedProgram,
        prepared: &mut impl Iterator<Item = ReadyLaunch>,
    ) -> Result<Vec<Dispatch>> {
        let bound = |((call, launch), (kernel, params)): ((&PlannedCall, &Launch), ReadyLaunch)| {
            let bindings = params
                .into_iter()
                .map(|params| self.bindings(call, launch, &kernel, params));
            Ok(Dispatch {
                bindings: bindings.collect::<Result<_>>()?,
                grid: launch.grid,
                kernel,
            })
        };
        launches(program).zip(prepared).map(bound).collect()
    }

    fn bindings(
        &self,
        call: &PlannedCall,
        launch: &Launch,
        kernel: &Kernel,
        params: (u64, u64),
    ) -> Result<Bindings> {
        let mut parts = vec![(&self.params, params.0, params.1)];
        let guard = launch.guard.iter().map(|(binding, _)| binding);
        for binding in launch.bindings.iter().chain(guard) {
            let place = match *binding {
                Binding::Input(i) => call.inputs[i],
                Binding::Output(i) => call.outputs[i],
                Binding::Scratch(i) => call.scratch[i],
            };
            let bytes = self.bytes(place);
            // Up to the next tensor, so that a kernel may load the last elements four at a time.
            let len = (bytes.end - bytes.start).next_multiple_of(self.plan.target.alignment);
            parts.push((&self.slots[place.slot], bytes.start, len));
        }
        self.device.bind(&call.label(launch), kernel, &parts)
    }
}

/// The launches of a program in order, each with its call.
fn launches(program: &PlannedProgram) -> impl Iterator<Item = (&PlannedCall, &Launch)> {
    let calls = program.calls.iter();
    calls.flat_map(|call| call.launches.iter().map(move |launch| (call, launch)))
}

/// The pipelines of all launches of a plan, in order, and the buffer that holds the params of all of them.
fn prepared(device: &Device, plan: &Plan) -> Result<(Vec<ReadyLaunch>, Buffer)> {
    let mut requests = Vec::new();
    // The variants of each launch among the requests.
    let mut variants = Vec::new();
    for (call, launch) in plan.programs.iter().flat_map(launches) {
        let first = requests.len();
        for power in 0..powers(launch) {
            let mut launch = launch.clone();
            let mut params = launch.params.iter_mut();
            if let Some((_, steps)) = params.find(|(name, _)| *name == "steps") {
                *steps = Param::U32(1 << power);
            }
            let written = |binding| is_written(call, binding);
            requests.push(request(device, &launch, written)?);
        }
        variants.push(first..requests.len());
    }
    let made = kernels(device, &requests)?;
    let (buffer, places) = params(device, "params", plan.target.alignment, &requests)?;
    let prepared = variants.into_iter();
    let prepared = prepared.map(|variants| {
        let kernel = Arc::clone(&made[variants.start]);
        (kernel, places[variants].to_vec())
    });
    Ok((prepared.collect(), buffer))
}

/// How many variants a launch has: for 1, 2, 4, … steps.
fn powers(launch: &Launch) -> usize {
    launch.steps.max(1).ilog2() as usize + 1
}

/// The most steps of a program in a dispatch by their operations alone.
fn untimed(program: &PlannedProgram) -> u64 {
    let of_one_group =
        launches(program).map(|(_, launch)| launch.flops / u64::from(launch.grid[0].max(1)));
    (UNTIMED_FLOPS / of_one_group.sum::<u64>().max(1)).max(1)
}

fn is_written(call: &PlannedCall, binding: Binding) -> bool {
    match binding {
        Binding::Input(i) => call.updates(i),
        Binding::Output(_) | Binding::Scratch(_) => true,
    }
}
