//! A clock's rates in an open session: the factor of the learning rate, and what goes on where plans change.

use crate::op::{POWERS, cursor, cursor_of, power_at, rate, rates_of};
use crate::optim::POWERS_KEPT;
use crate::plan::Plan;
use crate::range::at_least_zero;
use crate::{Result, Session, Snapshot, Values};

impl Session {
    /// Begins a clock's first pass over `rows` rows of data: in order, or each pass in another order of the seed `shuffle`.
    ///
    /// # Errors
    ///
    /// No clock of that name, a device that fails.
    pub fn start_clock(&mut self, clock: &str, rows: u32, shuffle: Option<u32>) -> Result<()> {
        let mut words = [0; cursor::WORDS];
        words[cursor::DATA_ROWS] = rows;
        words[cursor::SHUFFLE] = u32::from(shuffle.is_some());
        words[cursor::SEED] = shuffle.unwrap_or(0);
        self.write_labels(&cursor_of(clock), &words)
    }

    /// Sets what a clock's scheduled learning rate is multiplied by in the steps to come, without another plan: how a callback
    /// lowers the rate between epochs. Returns the factor until now, which is 1 until it is set.
    ///
    /// # Errors
    ///
    /// A factor below 0 or not finite, no clock of that name, a device that fails.
    pub fn set_learning_rate_factor(&mut self, clock: &str, factor: f32) -> Result<f32> {
        at_least_zero("factor", factor)?;
        let name = rates_of(clock);
        let mut rates = self.read(&name)?;
        let word = rates.get_mut(rate::FACTOR);
        let before = word.map_or(1.0, |word| std::mem::replace(word, factor));
        self.write(&name, &rates)?;
        Ok(before)
    }
}

/// Makes a snapshot's rates of a clock as many as the plan has. Where batches are computed in parts it counts updates too: what
/// both kinds of clock keep comes first, and the rest is computed in every step.
pub(crate) fn resize_rates(snapshot: &mut Snapshot, clock: &str, plan: &Plan) {
    resize(snapshot, &rates_of(clock), plan);
}

/// Makes a variable of a snapshot as long as the plan has it: what it has too few of is 0.
pub(crate) fn resize(snapshot: &mut Snapshot, name: &str, plan: &Plan) {
    let (Some((kind, values)), Ok(wanted)) =
        (snapshot.variables.get_mut(name), plan.variable(name))
    else {
        return;
    };
    if *kind == wanted.kind {
        return;
    }
    let len = usize::try_from(wanted.kind.elements()).unwrap_or(0);
    match values {
        Values::F32(values) => values.resize(len, 0.0),
        Values::F64(values) => values.resize(len, 0.0),
        Values::U32(_) => return,
    }
    *kind = wanted.kind.clone();
}

/// Where a session skips steps, tells it what the rates of this clock are now: steps of another program, which skips none, may
/// have advanced them since it was noted what a skipped step goes back to.
pub(crate) async fn note_powers(session: &mut Session, clock: &str) -> Result<()> {
    let Ok(variable) = session.plan().variable(POWERS_KEPT) else {
        return Ok(());
    };
    let kind = variable.kind.clone();
    fn of<T: Copy + Default>(rates: &[T]) -> Vec<T> {
        let at = (0..POWERS).map(power_at);
        at.map(|at| rates.get(at).copied().unwrap_or_default())
            .collect()
    }
    let powers = match session.read_values_async(&rates_of(clock)).await? {
        Values::F32(rates) => Values::F32(of(&rates)),
        Values::F64(rates) => Values::F64(of(&rates)),
        Values::U32(_) => return Ok(()),
    };
    let variables = std::iter::once((POWERS_KEPT.into(), (kind, powers)));
    session.restore(&Snapshot {
        variables: variables.collect(),
    })
}
