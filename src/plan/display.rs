//! The plan as a table.

use std::fmt;

use crate::contract::Launch;

use super::{Place, Plan, PlannedCall, PlannedProgram, PlannedVariable};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "plan for {}", self.target)?;
        let by_slot = self.variables_by_slot();
        for program in &self.programs {
            writeln!(f)?;
            write_program(f, program, &by_slot)?;
        }
        writeln!(f, "\n{:<6} {:<6} {:>14}  holds", "slot", "type", "bytes")?;
        for (index, (slot, inside)) in self.slots.iter().zip(&by_slot).enumerate() {
            let names: Vec<&str> = inside.iter().map(|v| v.name.as_str()).collect();
            let names = match &names[..] {
                [] => "temporaries".to_string(),
                names => names.join(", "),
            };
            writeln!(
                f,
                "{index:<6} {:<6} {:>14}  {names}",
                slot.dtype.to_string(),
                slot.bytes()
            )?;
        }
        let (bytes, bound) = (self.slot_bytes(), self.lower_bound_bytes());
        writeln!(
            f,
            "{bytes} bytes in all; the lower bound by lifetimes is {bound}"
        )
    }
}

fn write_program(
    f: &mut fmt::Formatter<'_>,
    program: &PlannedProgram,
    by_slot: &[Vec<&PlannedVariable>],
) -> fmt::Result {
    writeln!(
        f,
        "program {}: {} calls, {} dispatches, {:.3} MFLOP, {:.3} MB touched",
        program.name,
        program.calls.len(),
        program.dispatches(),
        program.flops() as f64 / 1e6,
        program.bytes() as f64 / 1e6
    )?;
    writeln!(
        f,
        "{:<4} {:<30} {:<44} {:<18} kernel",
        "", "op", "inputs", "output"
    )?;
    for (index, call) in program.calls.iter().enumerate() {
        let mut op = call.op.name().to_string();
        if call.merged > 1 {
            op += &format!(" ×{}", call.merged);
        }
        let named = |place| operand(place, by_slot);
        let inputs: Vec<String> = call.inputs.iter().copied().map(named).collect();
        let outputs: Vec<String> = call.written().map(named).collect();
        let (inputs, outputs) = (inputs.join(" "), outputs.join(" "));
        writeln!(
            f,
            "{index:<4} {op:<30} {inputs:<44} {outputs:<18} {}",
            kernels(call)
        )?;
    }
    for note in &program.notes {
        writeln!(f, "     {note}")?;
    }
    Ok(())
}

/// A variable by name, a temporary by slot and offset.
fn operand(place: Place, by_slot: &[Vec<&PlannedVariable>]) -> String {
    let inside = &by_slot[place.slot];
    match (inside.iter().find(|v| v.place == place), inside.first()) {
        (Some(variable), _) => variable.name.clone(),
        (None, Some(first)) => format!("{}…", first.name),
        (None, None) if place.offset == 0 => format!("#{}", place.slot),
        (None, None) => format!("#{}+{}", place.slot, place.offset),
    }
}

fn kernels(call: &PlannedCall) -> String {
    let kernel = |launch: &Launch| {
        let [x, y, z] = launch.grid;
        let steps = match launch.steps {
            0 | 1 => String::new(),
            most => format!(", up to {most} steps"),
        };
        format!("{}.{} {x}×{y}×{z}{steps}", launch.shader.name, launch.entry)
    };
    let kernels: Vec<String> = call.launches.iter().map(kernel).collect();
    kernels.join(", ")
}
