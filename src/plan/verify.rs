//! Checks a plan against its target's limits, in u64, before any GPU call.

use crate::target::Target;
use crate::{Error, Result};

use super::{Place, Plan, PlannedCall, PlannedProgram};

/// Refuses targets that no plan can be made for.
pub(super) fn check_target(target: &Target) -> Result<()> {
    let (alignment, iterations) = (target.alignment, target.max_iterations);
    if !alignment.is_power_of_two() || alignment < 16 {
        let message = format!("of a target must be a power of two from 16, got {alignment}");
        return Err(Error::argument("alignment", message));
    }
    if iterations < 1024 {
        let message = format!("of a target must be at least 1024, got {iterations}");
        return Err(Error::argument("max_iterations", message));
    }
    Ok(())
}

pub(super) fn verify(plan: &Plan) -> Result<()> {
    check_slots(plan)?;
    for program in &plan.programs {
        for call in &program.calls {
            check_launches(plan, call)?;
            check_bindings(plan, program, call)?;
        }
    }
    Ok(())
}

/// Buffers no larger than the target's largest.
fn check_slots(plan: &Plan) -> Result<()> {
    let target = &plan.target;
    let by_slot = plan.variables_by_slot();
    for (index, (slot, inside)) in plan.slots.iter().zip(by_slot).enumerate() {
        let names = inside.iter().take(3).map(|variable| variable.name.as_str());
        let what = match &names.collect::<Vec<_>>()[..] {
            [] => format!("temporary slot {index}"),
            names => names.join(", "),
        };
        // Beyond this no processor can address it either.
        let addressable =
            usize::try_from(slot.bytes().saturating_mul(2)).is_ok() && slot.elements < 1 << 48;
        let most = if addressable {
            target.max_buffer_bytes
        } else {
            (1 << 50).min(target.max_buffer_bytes)
        };
        limit("maxBufferSize", &what, slot.bytes(), most)?;
    }
    Ok(())
}

/// Dispatches within the target's limits.
fn check_launches(plan: &Plan, call: &PlannedCall) -> Result<()> {
    let target = &plan.target;
    for launch in &call.launches {
        let label = call.label(launch);
        for groups in launch.grid {
            let (needed, allowed) = (u64::from(groups), u64::from(target.max_workgroups));
            limit("maxComputeWorkgroupsPerDimension", &label, needed, allowed)?;
        }
        let buffers = launch.bindings.len() + usize::from(launch.guard.is_some());
        let (needed, allowed) = (buffers as u64, u64::from(target.max_storage_buffers));
        limit("maxStorageBuffersPerShaderStage", &label, needed, allowed)?;
        let iterations = launch.iterations.saturating_mul(u64::from(launch.steps));
        let (limited, allowed) = ("loop iterations per invocation", target.max_iterations);
        limit(limited, &label, iterations, allowed)?;
    }
    Ok(())
}

/// Operands no longer than a binding, where there are dispatches that bind them.
fn check_bindings(plan: &Plan, program: &PlannedProgram, call: &PlannedCall) -> Result<()> {
    if call.launches.is_empty() {
        return Ok(());
    }
    let target = &plan.target;
    let places = call.inputs.iter().chain(&call.outputs).chain(&call.scratch);
    for (i, place) in places.enumerate() {
        // A binding reaches to the next tensor: see gpu::Session.
        let bytes = place
            .len
            .saturating_mul(plan.slots[place.slot].dtype.bytes());
        let bound = bytes.div_ceil(target.alignment);
        let needed = bound.saturating_mul(target.alignment);
        let allowed = target.max_binding_bytes;
        if needed > allowed {
            let (tensor, name) = (tensor(plan, program, place), call.op.name());
            let what = format!("{tensor} (operand {i} of {name})");
            limit("maxStorageBufferBindingSize", &what, needed, allowed)?;
        }
    }
    Ok(())
}

/// The tensor at a place of a program, as a user knows it.
fn tensor(plan: &Plan, program: &PlannedProgram, place: &Place) -> String {
    let within = |other: &Place| {
        other.slot == place.slot
            && other.offset <= place.offset
            && place.offset + place.len <= other.offset + other.len
    };
    let mut variables = plan.variables.iter();
    if let Some(variable) = variables.find(|variable| within(&variable.place)) {
        return format!("`{}`", variable.name);
    }
    let mut calls = program.calls.iter();
    match calls.find(|call| call.outputs.iter().any(within)) {
        Some(call) => format!("what {} computes", call.op.name()),
        None => "several tensors in one".into(),
    }
}

fn limit(limit: &'static str, what: &str, needed: u64, allowed: u64) -> Result<()> {
    if needed <= allowed {
        return Ok(());
    }
    Err(Error::Limit {
        limit,
        what: what.into(),
        needed,
        allowed,
    })
}
