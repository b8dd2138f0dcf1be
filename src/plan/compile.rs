//! The way from a graph to a plan: one pass after the other.

use crate::graph::Graph;
use crate::target::Target;
use crate::{Error, Result};

use super::{Plan, Program, fuse, memory, schedule, verify};

impl Plan {
    /// Schedules the programs of a graph for `target`, joins what may be joined, places all of it in memory and checks the
    /// result.
    ///
    /// # Errors
    ///
    /// The first error recorded in the graph; [`Error::Argument`] where there is no program, two have one name, or a tensor
    /// belongs to another graph; and what exceeds the target's limits.
    pub fn compile(
        graph: &Graph,
        target: &Target,
        programs: impl IntoIterator<Item = Program>,
    ) -> Result<Self> {
        graph.check()?;
        let programs: Vec<Program> = programs.into_iter().collect();
        for (name, tensor) in programs.iter().flat_map(Program::tensors) {
            if !graph.owns(tensor) {
                let message = format!("{name} is a tensor of another graph");
                return Err(Error::argument("programs", message));
            }
        }
        verify::check_target(target)?;
        if programs.is_empty() {
            let message = "a plan needs at least one program";
            return Err(Error::argument("programs", message));
        }
        let nodes = graph.lock();
        let records = &nodes.records;
        let scheduled = schedule::schedule(records, &programs)?;
        let (scheduled, slabs) = fuse::rewrite(scheduled, records, target);
        let plan = memory::place(records, scheduled, slabs, target)?;
        verify::verify(&plan)?;
        Ok(plan)
    }
}
