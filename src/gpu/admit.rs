//! Whether there is memory for a plan, asked before the driver is.

use crate::edge::files;
use crate::graph::Role;
use crate::plan::{Place, Plan};
use crate::target::Class;
use crate::{Error, Result};

use super::device::Device;

/// Largest tensors that a refusal names.
const NAMED: usize = 3;

impl Device {
    /// Refuses a plan that finds no room in what is left of the budget, or of the machine where the adapter is the processor,
    /// once `freed` bytes are given back.
    pub(crate) fn admit(&self, plan: &Plan, freed: u64) -> Result<()> {
        let needed = plan.device_bytes();
        let short = |left: &u64| needed > left.saturating_add(freed);
        let mut left = self.left_of_budget();
        if left.as_ref().is_some_and(short) {
            self.give_back();
            left = self.left_of_budget();
        }
        let machine = match plan.target.class {
            Class::CpuAdapter => free_memory(),
            _ => None,
        };
        let Some(available) = left.into_iter().chain(machine).min() else {
            return Ok(());
        };
        let available = available.saturating_add(freed);
        if needed <= available {
            return Ok(());
        }
        let advice = advice(plan);
        tracing::warn!(needed, available, advice, "memory refused");
        Err(Error::OutOfMemory {
            what: "the plan".into(),
            needed,
            available: Some(available),
            advice: Some(advice),
        })
    }
}

/// The driver's refusal of memory with what the plan's own would say.
pub(super) fn advised(plan: &Plan, mut error: Error) -> Error {
    if let Error::OutOfMemory { advice: own, .. } = &mut error {
        own.get_or_insert_with(|| advice(plan));
    }
    error
}

/// The largest tensors, and what makes them smaller.
fn advice(plan: &Plan) -> String {
    let sized = |place: &Place, name: String, is_data: bool| {
        let bytes = plan.slots[place.slot].dtype.bytes();
        (place.len.saturating_mul(bytes), name, is_data)
    };
    let variables = plan.variables.iter();
    let variables =
        variables.map(|v| sized(&v.place, format!("`{}`", v.name), v.role == Role::Data));
    let calls = plan.programs.iter().flat_map(|program| &program.calls);
    let results = calls.flat_map(|call| {
        let places = call.outputs.iter().chain(&call.scratch);
        places.map(|place| sized(place, format!("what {} computes", call.op.name()), false))
    });
    let mut largest: Vec<(u64, String, bool)> = variables.chain(results).collect();
    largest.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    largest.dedup_by(|a, b| a.1 == b.1);
    let data = largest.first().is_some_and(|(.., data)| *data);
    largest.truncate(NAMED);
    let named: Vec<String> = largest
        .iter()
        .map(|(bytes, name, _)| format!("{name} ({bytes} bytes)"))
        .collect();
    let change = if data {
        "fewer rows at a time, or a larger budget"
    } else {
        "a smaller batch, micro-batches, or a larger budget"
    };
    format!(
        "the largest are {}; what helps is {change}",
        named.join(", ")
    )
}

/// Bytes that the machine can still give, where the system says so.
fn free_memory() -> Option<u64> {
    let text = files::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes.saturating_mul(1024))
}
