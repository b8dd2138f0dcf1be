//! Checks a plan against its target's limits, in u64, before any GPU call.

use crate::{Error, Result};

use super::{Place, Plan, Target};

/// Refuses targets that no plan can be made for.
pub(super) fn check_target(target: &Target) -> Result<()> {
    if !target.alignment.is_power_of_two() || target.alignment < 16 {
        let message = format!(
            "of a target must be a power of two from 16, got {}",
            target.alignment
        );
        return Err(Error::argument("alignment", message));
    }
    if target.max_iterations < 1024 {
        let message = format!(
            "of a target must be at least 1024, got {}",
            target.max_iterations
        );
        return Err(Error::argument("max_iterations", message));
    }
    Ok(())
}

pub(super) fn verify(plan: &Plan) -> Result<()> {
    let target = &plan.target;
    for (index, slot) in plan.slots.iter().enumerate() {
        let holds = plan
            .variables
            .iter()
            .filter(|v| v.place.slot == index)
            .map(|v| v.name.as_str());
        let holds: Vec<&str> = holds.take(3).collect();
        let what = if holds.is_empty() {
            format!("temporary slot {index}")
        } else {
            holds.join(", ")
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
    for program in &plan.programs {
        for call in &program.calls {
            let name = call.op.name();
            for launch in &call.launches {
                let label = format!("{name} ({}.{})", launch.shader.name, launch.entry);
                for groups in launch.grid {
                    let (needed, allowed) = (u64::from(groups), u64::from(target.max_workgroups));
                    limit("maxComputeWorkgroupsPerDimension", &label, needed, allowed)?;
                }
                let (needed, allowed) = (
                    (launch.bindings.len() + usize::from(launch.guard.is_some())) as u64,
                    u64::from(target.max_storage_buffers),
                );
                limit("maxStorageBuffersPerShaderStage", &label, needed, allowed)?;
                limit(
                    "loop iterations per invocation",
                    &label,
                    launch.iterations.saturating_mul(u64::from(launch.steps)),
                    target.max_iterations,
                )?;
            }
            if !call.launches.is_empty() {
                let places = call.inputs.iter().chain(&call.outputs).chain(&call.scratch);
                for (i, Place { slot, len, .. }) in places.enumerate() {
                    let what = format!("operand {i} of {name}");
                    // A binding reaches to the next tensor: see gpu::Session.
                    let bytes = len.saturating_mul(plan.slots[*slot].dtype.bytes());
                    let bound = bytes.div_ceil(target.alignment);
                    limit(
                        "maxStorageBufferBindingSize",
                        &what,
                        bound.saturating_mul(target.alignment),
                        target.max_binding_bytes,
                    )?;
                }
            }
        }
    }
    Ok(())
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
