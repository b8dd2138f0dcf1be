//! The clock: step, epoch, batch and rates, advanced on the device so that nothing per step comes from the host.
//!
//! η follows the [`Schedule`](crate::schedule::Schedule); β₁ᵗ and β₂ᵗ (Kingma and Ba, 2014) grow by one factor a step, because `pow` of a base near
//! 1 is loose on some drivers.

use crate::TensorType;
use crate::contract::{
    Binding, Compute, Entry, Io, Launch, Launches, Op, Sample, Shader, Signature, arity, shader,
};
use crate::number::{Real, UNIT};
use crate::target::Target;

use super::Permutation;

mod cases;
mod record;
mod schedule;
mod update_count;

pub use record::{Clock, Rates};
pub(crate) use record::{cursor_of, rates_of};
pub(super) use schedule::schedule;
pub use update_count::Series;
pub(crate) use update_count::UpdateCount;

const SHADER: Shader = shader!("clock", "schedule");

pub const ENTRY: Entry = Entry::new("clock", &[SHADER], cases::cases);

/// Numbers in a clock's rates: the learning rate, β₁ᵗ, β₂ᵗ, and the host's factor of the learning rate.
pub const RATES: usize = 4;

/// Numbers in the rates of a clock with a `UpdateCount`.
pub const LONG_RATES: usize = 12;

/// The numbers in a clock's rates, the later ones where there is a `UpdateCount`.
pub mod rate {
    /// η, the schedule's times the factor.
    pub const LEARNING_RATE: usize = 0;
    /// β₁ᵗ, and β₂ᵗ after it.
    pub const POWERS: usize = 1;
    /// What the host multiplies the schedule by, 1 at first: how a callback lowers the rate between epochs.
    pub const FACTOR: usize = 3;
    /// t, the number of the update that this step is or is a part of, from 1; those that were skipped are not counted.
    pub const UPDATE: usize = 4;
    /// 1 if this step updates, not only adds its gradient up; plus 2 if what comes every few updates is due; plus 4
    /// if it is the first of the steps that make an update.
    pub const FLAGS: usize = 5;
    /// Two numbers of a `Series`.
    pub const SERIES: usize = 6;
    /// Three sums of squares, which `SumOfSquares` leaves here for the updates after it.
    pub const SQUARES: usize = 8;
    /// Updates that were skipped so far, which `EndScale` counts.
    pub const SKIPPED: usize = 11;
}

/// The largest batch: one workgroup goes over it within the loop iterations that every driver allows.
const MAX_BATCH: usize = 65_536;

/// The words of a clock's cursor. The host sets the last three; setting `STEP` to 0 starts over.
pub mod cursor {
    /// Steps begun: 0 before the first, 1 during it.
    pub const STEP: usize = 0;
    /// The pass over the data, from 0.
    pub const EPOCH: usize = 1;
    /// The place of this step's batch in the epoch's order.
    pub const OFFSET: usize = 2;
    /// Rows of this step's batch; fewer than the clock's batch at the end of an epoch.
    pub const ROWS: usize = 3;
    /// Rows of the data set.
    pub const DATA_ROWS: usize = 4;
    /// 0: rows in order. 1: each epoch in another order. n above 1: in order, the row at place i of the epoch lying at
    /// i mod n, for data that is brought in parts through room for n rows.
    pub const SHUFFLE: usize = 5;
    /// The seed of the orders.
    pub const SEED: usize = 6;
    /// The bits of the f32 that a training step's gradients are scaled by, where a `ScaleLoss` is in
    /// the program, which sets it.
    pub const SCALE: usize = 7;
    /// Words in all.
    pub const WORDS: usize = 8;
}

use cursor::{DATA_ROWS, EPOCH, OFFSET, ROWS, SEED, SHUFFLE, STEP, WORDS};

/// Begins the next step. Inputs: cursor, u32 \[8\], and rates, \[4\], or \[12\] where it counts updates, both advanced in place, and
/// the numbers of a schedule that is a table; output: the batch's row
/// numbers, u32 \[batch\], 0 beyond the rows of a short batch.
#[derive(Debug, Clone, PartialEq)]
pub struct AdvanceClock {
    /// The most rows of a batch, up to 65 536.
    pub batch: usize,
    /// η, and the bases of β₁ᵗ and β₂ᵗ, which are powers of the number of the update where updates are counted.
    pub rates: Rates,
}

impl AdvanceClock {
    /// How many numbers its rates are.
    pub fn len_of_rates(&self) -> usize {
        self.rates.update_count.map_or(RATES, |_| LONG_RATES)
    }

    /// Invocations of the one workgroup.
    fn workgroup(&self) -> u32 {
        if self.batch <= 64 { 64 } else { 256 }
    }

    /// Advances cursor and rates by a step; the cursor's words and the order of the epoch at hand.
    #[inline(always)]
    pub(super) fn begin<T: Real>(
        &self,
        cursor: &mut [u32],
        rates: &mut [T],
    ) -> ([u32; WORDS], Permutation) {
        let mut state = [0; WORDS];
        state.copy_from_slice(cursor);
        let before = state[STEP];
        let state = self.advance(state);
        cursor.copy_from_slice(&state);
        if before == 0 {
            (rates[1], rates[2]) = (T::one(), T::one());
        }
        let own = &self.rates;
        rates[0] = own.learning_rate.value::<T>(before) * rates[rate::FACTOR];
        if own.update_count.is_none_or(|count| count.begins(before)) {
            rates[1] = rates[1] * T::constant(f64::from(own.beta_1));
            rates[2] = rates[2] * T::constant(f64::from(own.beta_2));
        }
        if let Some(count) = own.update_count {
            count.advance(before, own.beta_1, own.beta_2, rates);
        }
        let order = Permutation::new(state[DATA_ROWS], state[SEED], state[EPOCH]);
        (state, order)
    }

    /// The data's rows that stand at places `first`, `first + 1`, … of the batch; 0 beyond its rows.
    #[inline(always)]
    pub(super) fn rows<const N: usize>(
        state: &[u32; WORDS],
        order: Permutation,
        first: u32,
    ) -> [u32; N] {
        let places: [u32; N] = std::array::from_fn(|lane| first + lane as u32);
        let clear = |place: u32, row: u32| if place >= state[ROWS] { 0 } else { row };
        let mut rows = places.map(|place| state[OFFSET].wrapping_add(place));
        match state[SHUFFLE] {
            0 => {}
            1 => {
                let counted = state[ROWS].saturating_sub(first) as usize;
                let begin = rows[0];
                order.rows(begin, &mut rows[..counted.min(N)]);
            }
            room => rows = rows.map(|row| row % room),
        }
        std::array::from_fn(|lane| clear(places[lane], rows[lane]))
    }

    /// How far the learning rate after `step` others may be off on a device, given the host's factor.
    pub(super) fn rate_error(&self, step: u32, factor: f64) -> f64 {
        let schedule = &self.rates.learning_rate;
        let value: f64 = schedule.value(step);
        let product = if factor == 1.0 {
            0.0
        } else {
            UNIT * value.abs()
        };
        (schedule.error(step) + product) * factor.abs() + 1e-37
    }

    /// The next state of the cursor.
    fn advance(&self, mut state: [u32; WORDS]) -> [u32; WORDS] {
        if state[STEP] == 0 {
            (state[EPOCH], state[OFFSET]) = (0, 0);
        } else {
            state[OFFSET] = state[OFFSET].wrapping_add(state[ROWS]);
            if state[OFFSET] >= state[DATA_ROWS] {
                state[EPOCH] = state[EPOCH].wrapping_add(1);
                state[OFFSET] = 0;
            }
        }
        state[ROWS] = (state[DATA_ROWS] - state[OFFSET]).min(self.batch as u32);
        state[STEP] = state[STEP].wrapping_add(1);
        state
    }
}

impl Op for AdvanceClock {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let table = self.rates.learning_rate.table();
        if let Some(table) = &table {
            let wanted = TensorType::f32([table.len()]);
            if inputs.get(2) != Some(&wanted) {
                return Err(format!(
                    "takes the schedule's table {wanted} after the rates"
                ));
            }
        }
        let inputs = &inputs[..inputs.len() - usize::from(table.is_some())];
        let [cursor, rates] = arity::<2>(inputs)?;
        for (name, given, wanted) in [
            ("cursor", cursor, TensorType::u32([WORDS])),
            ("rates", rates, TensorType::f32([self.len_of_rates()])),
        ] {
            if *given != wanted {
                return Err(format!("{name} must be {wanted}, got {given}"));
            }
        }
        if !(1..=MAX_BATCH).contains(&self.batch) {
            return Err(format!(
                "batch must be between 1 and {MAX_BATCH}, got {}",
                self.batch
            ));
        }
        for (name, beta) in [("beta_1", self.rates.beta_1), ("beta_2", self.rates.beta_2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(format!("{name} must be at least 0 and below 1, got {beta}"));
            }
        }
        let validated = self.rates.learning_rate.validate();
        validated.map_err(|refusal| refusal.to_string())?;
        let count = self.rates.update_count;
        count.map_or(Ok(()), |count| count.check())?;
        Ok(vec![TensorType::u32([self.batch])])
    }

    fn writes(&self) -> &[usize] {
        &[0, 1]
    }

    fn launch(&self, _signature: &Signature, _target: &Target) -> Result<Launches, String> {
        // A row is one walk of eight rounds, and hardly ever a second: the network's range exceeds the rows by less than
        // twice their square root. Four walks for each row leave room.
        const PER_ROW: u64 = 1 + 4 * (8 + 1);
        let (number, numbers) = schedule(&self.rates.learning_rate);
        let workgroup = self.workgroup();
        let table = self.rates.learning_rate.table();
        let entry = match table {
            None => "advance",
            Some(_) => "advance_by_table",
        };
        // The loop over boundaries, or over restarts, each at least 1.01 times as long as the one before.
        let search = table.as_ref().map_or(2200, Vec::len) as u64;
        let mut launch = Launch::new(SHADER, entry)
            .set("SCHEDULE", number)
            .set("WORKGROUP", workgroup)
            .param("batch", self.batch)
            .param("beta_1", self.rates.beta_1)
            .param("beta_2", self.rates.beta_2)
            .bind(Binding::Input(0))
            .bind(Binding::Input(1))
            .bind(Binding::Output(0))
            .iterations(search + (self.batch as u64).div_ceil(u64::from(workgroup)) * PER_ROW);
        if table.is_some() {
            launch = launch.bind(Binding::Input(2));
        }
        for (name, value) in numbers {
            launch = launch.param(name, value);
        }
        Ok(UpdateCount::params(&self.rates, launch).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let step = sample.inputs[0][STEP] as u32;
        // A power is one product, exact in the first step, where the factor is 1.
        let rates = &sample.results[1];
        let power = |i: usize| UNIT * rates[i].abs() + 1e-37;
        let rate = self.rate_error(step, rates[rate::FACTOR]);
        let mut bounds = vec![0.0; rates.len()];
        bounds[..RATES].copy_from_slice(&[rate, power(1), power(2), 0.0]);
        if let Some(count) = self.rates.update_count {
            let series = count.errors(self.rates.beta_2, rates, rate);
            bounds[rate::SERIES..][..2].copy_from_slice(&series);
        }
        vec![vec![0.0; WORDS], bounds, vec![0.0; self.batch]]
    }
}

impl Compute for AdvanceClock {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let mut state = [0; WORDS];
        state.copy_from_slice(io.output_words(0));
        let (state, order) = self.begin(&mut state, io.output(1));
        io.output_words(0).copy_from_slice(&state);
        let indices = io.output_words(2);
        let counted = indices.len().min(state[ROWS] as usize);
        let (own, rest) = indices.split_at_mut(counted);
        let places = own.iter_mut().zip(state[OFFSET]..);
        match state[SHUFFLE] {
            0 => places.for_each(|(index, place)| *index = place),
            1 => order.rows(state[OFFSET], own),
            room => places.for_each(|(index, place)| *index = place % room),
        }
        rest.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_every_row_once_and_its_last_batch_is_short() {
        let clock = AdvanceClock {
            batch: 32,
            rates: Rates::from(0.01),
        };
        let mut state = [0; WORDS];
        (state[DATA_ROWS], state[SHUFFLE], state[SEED]) = (100, 1, 3);
        let mut orders = Vec::new();
        for epoch in 0..3 {
            let mut rows = Vec::new();
            for step in 0..4 {
                state = clock.advance(state);
                let expected = [
                    4 * epoch + step + 1,
                    epoch,
                    32 * step,
                    32.min(100 - 32 * step),
                ];
                assert_eq!(state[..DATA_ROWS], expected);
                let order = Permutation::new(100, 3, epoch);
                rows.extend((0..state[ROWS]).map(|r| order.row(state[OFFSET] + r)));
            }
            orders.push(rows.clone());
            rows.sort_unstable();
            assert!(rows.into_iter().eq(0..100));
        }
        assert!(orders[0] != orders[1] && orders[1] != orders[2]);
    }
}
