//! The variables that tallies are kept in: their names, and what files of before hold of them.

use std::borrow::Cow;

use crate::plan::PlannedVariable;
use crate::session::resize;
use crate::{Plan, Snapshot};

/// The name of a tally's variable.
pub(super) fn tally_name(program: &str, index: usize) -> String {
    format!("{program}{TALLY}{index}")
}

/// What stands in the name of a tally's variable between its program's and its number.
const TALLY: &str = ".tally.";

/// A snapshot whose tallies are as long as the plan's: in files of before cells were pairs their second numbers are missing, and 0.
pub(crate) fn with_whole_tallies<'a>(snapshot: &'a Snapshot, plan: &Plan) -> Cow<'a, Snapshot> {
    let mut whole = Cow::Borrowed(snapshot);
    for (name, (kind, _)) in &snapshot.variables {
        let halved = |wanted: &PlannedVariable| {
            let (own, wanted) = (kind.shape.dims(), wanted.kind.shape.dims());
            matches!((own, wanted), (&[slots, cells], &[rows, all]) if rows == 2 * slots && all == cells)
        };
        if name.contains(TALLY) && plan.variable(name).is_ok_and(halved) {
            resize(whole.to_mut(), name, plan);
        }
    }
    whole
}
