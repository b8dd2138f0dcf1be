//! The plan as a table.

use std::fmt;

use crate::contract::Launch;

use super::{Call, Place, Plan, PlannedProgram};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "plan for {}", self.target)?;
        for program in &self.programs {
            writeln!(f)?;
            self.write_program(f, program)?;
        }
        writeln!(f, "\n{:<6} {:<6} {:>14}  holds", "slot", "type", "bytes")?;
        for (index, slot) in self.slots.iter().enumerate() {
            let names = self
                .variables
                .iter()
                .filter(|v| v.place.slot == index)
                .map(|v| v.name.as_str());
            let mut names = names.collect::<Vec<_>>().join(", ");
            if names.is_empty() {
                names = "temporaries".into();
            }
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

impl Plan {
    fn write_program(&self, f: &mut fmt::Formatter<'_>, program: &PlannedProgram) -> fmt::Result {
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
            let merged = if call.merged > 1 {
                format!(" ×{}", call.merged)
            } else {
                String::new()
            };
            let inputs: Vec<String> = call
                .inputs
                .iter()
                .map(|&place| self.operand(place))
                .collect();
            let outputs: Vec<String> = call.written().map(|place| self.operand(place)).collect();
            let op = format!("{}{merged}", call.op.name());
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
    fn operand(&self, place: Place) -> String {
        let mut inside = self.variables.iter().filter(|v| v.place.slot == place.slot);
        match (inside.clone().find(|v| v.place == place), inside.next()) {
            (Some(variable), _) => variable.name.clone(),
            (None, Some(first)) => format!("{}…", first.name),
            (None, None) if place.offset == 0 => format!("#{}", place.slot),
            (None, None) => format!("#{}+{}", place.slot, place.offset),
        }
    }
}

fn kernels(call: &Call) -> String {
    let kernel = |launch: &Launch| {
        let [x, y, z] = launch.grid;
        let steps = match launch.steps {
            0 | 1 => String::new(),
            most => format!(", up to {most} steps"),
        };
        format!("{}.{} {x}×{y}×{z}{steps}", launch.shader.name, launch.entry)
    };
    call.launches
        .iter()
        .map(kernel)
        .collect::<Vec<_>>()
        .join(", ")
}
