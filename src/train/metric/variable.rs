//! The variables that tallies are kept in: their names, and what files of before hold of them.

use std::borrow::Cow;

use crate::op::MOMENTS;
use crate::plan::PlannedVariable;
use crate::session::resize;
use crate::{Plan, Snapshot, Values};

/// The name of a tally's variable.
pub(super) fn tally_name(program: &str, index: usize) -> String {
    format!("{program}{TALLY}{index}")
}

/// What stands in the name of a tally's variable between its program's and its number.
const TALLY: &str = ".tally.";

/// The cell of a column's moments that holds the number from which errors are counted, and Σ w·d·e in files of before cells were
/// pairs, which counted errors from 0.
const ORIGIN_OF_ERRORS: usize = 6;

/// A snapshot whose tallies are as long as the plan's: in files of before cells were pairs their second numbers are missing, and 0.
pub(crate) fn with_whole_tallies<'a>(snapshot: &'a Snapshot, plan: &Plan) -> Cow<'a, Snapshot> {
    let mut whole = Cow::Borrowed(snapshot);
    for (name, (kind, _)) in &snapshot.variables {
        let halved = |wanted: &PlannedVariable| {
            let (own, wanted) = (kind.shape.dims(), wanted.kind.shape.dims());
            matches!((own, wanted), (&[slots, cells], &[rows, all]) if rows == 2 * slots && all == cells)
        };
        if name.contains(TALLY) && plan.variable(name).is_ok_and(halved) {
            let whole = whole.to_mut();
            resize(whole, name, plan);
            if let Some((_, Values::F32(values))) = whole.variables.get_mut(name)
                && holds_moments(plan, name)
            {
                let columns = values.chunks_exact_mut(MOMENTS);
                columns.for_each(|cells| cells[ORIGIN_OF_ERRORS] = 0.0);
            }
        }
    }
    whole
}

/// Whether moments are added to the variable.
fn holds_moments(plan: &Plan, name: &str) -> bool {
    let calls = plan.programs.iter().flat_map(|program| &program.calls);
    let mut moments = calls.filter(|call| call.op.name() == "moments");
    plan.variable(name)
        .is_ok_and(|variable| moments.any(|call| call.inputs.first() == Some(&variable.place)))
}
