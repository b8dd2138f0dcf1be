//! The clock: step, epoch, batch and rates, advanced on the device so that nothing per step comes from the host.
//!
//! η follows the [`Schedule`]; β₁ᵗ and β₂ᵗ (Kingma and Ba, 2014) grow by one factor a step, because `pow` of a base near
//! 1 is loose on some drivers.

use crate::TensorType;
use crate::cpu::Real;
use crate::optim::Schedule;
use crate::plan::Target;

use super::launch::shader;
use super::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Param, Permutation, Sample,
    Shader, Signature, UNIT, arity,
};

const SHADER: Shader = shader!("clock", "schedule");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "clock",
    shaders: &[SHADER],
    cases,
};

/// Numbers in a clock's rates: the learning rate, β₁ᵗ, β₂ᵗ, and one that is reserved.
pub const RATES: usize = 4;

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
    /// 0: rows in order; else each epoch in another order.
    pub const SHUFFLE: usize = 5;
    /// The seed of the orders.
    pub const SEED: usize = 6;
    /// Words in all; the last one is reserved.
    pub const WORDS: usize = 8;
}

use cursor::{DATA_ROWS, EPOCH, OFFSET, ROWS, SEED, SHUFFLE, STEP, WORDS};

/// Begins the next step. Inputs: cursor, u32 \[8\], and rates, \[4\], both advanced in place; output: the batch's row
/// numbers, u32 \[batch\], 0 beyond the rows of a short batch.
#[derive(Debug, Clone)]
pub struct Clock {
    /// The most rows of a batch, up to 65 536.
    pub batch: usize,
    /// η.
    pub schedule: Schedule,
    /// The base of β₁ᵗ, in [0, 1).
    pub beta_1: f32,
    /// The base of β₂ᵗ, in [0, 1).
    pub beta_2: f32,
}

impl Clock {
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
        rates[0] = self.schedule.value(before);
        rates[1] = rates[1] * T::of(f64::from(self.beta_1));
        rates[2] = rates[2] * T::of(f64::from(self.beta_2));
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
        if state[SHUFFLE] != 0 {
            let counted = state[ROWS].saturating_sub(first) as usize;
            let begin = rows[0];
            order.rows(begin, &mut rows[..counted.min(N)]);
        }
        std::array::from_fn(|lane| clear(places[lane], rows[lane]))
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

impl Op for Clock {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [cursor, rates] = arity::<2>(inputs)?;
        for (name, given, wanted) in [
            ("cursor", cursor, TensorType::u32([WORDS])),
            ("rates", rates, TensorType::f32([RATES])),
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
        for (name, beta) in [("beta_1", self.beta_1), ("beta_2", self.beta_2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(format!("{name} must be at least 0 and below 1, got {beta}"));
            }
        }
        self.schedule
            .validate()
            .map_err(|refusal| refusal.to_string())?;
        Ok(vec![TensorType::u32([self.batch])])
    }

    fn writes(&self) -> &[usize] {
        &[0, 1]
    }

    fn launch(&self, _signature: &Signature, _target: &Target) -> Result<Launches, String> {
        // A row is one walk of eight rounds, and hardly ever a second: the network's range exceeds the rows by less than
        // twice their square root. Four walks for each row leave room.
        const PER_ROW: u64 = 1 + 4 * (8 + 1);
        let (number, numbers) = schedule(&self.schedule);
        let workgroup = self.workgroup();
        let mut launch = Launch::new(SHADER, "advance")
            .set("SCHEDULE", number)
            .set("WORKGROUP", workgroup)
            .param("batch", self.batch)
            .param("beta_1", self.beta_1)
            .param("beta_2", self.beta_2)
            .bind(Binding::Input(0))
            .bind(Binding::Input(1))
            .bind(Binding::Output(0))
            .iterations((self.batch as u64).div_ceil(u64::from(workgroup)) * PER_ROW);
        for (name, value) in numbers {
            launch = launch.param(name, value);
        }
        Ok(launch.into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let step = sample.inputs[0][STEP] as u32;
        // A power is one product, exact in the first step, where the factor is 1.
        let power = |i: usize| UNIT * sample.results[1][i].abs() + 1e-37;
        vec![
            vec![0.0; WORDS],
            vec![
                error(&self.schedule, step) * UNIT + 1e-37,
                power(1),
                power(2),
                0.0,
            ],
            vec![0.0; self.batch],
        ]
    }
}

/// The number of the schedule in the shader, and its params.
pub(super) fn schedule(schedule: &Schedule) -> (u32, [(&'static str, Param); 8]) {
    let mut numbers = [
        ("initial", Param::F32(0.0)),
        ("rate", Param::F32(0.0)),
        ("end", Param::F32(0.0)),
        ("power", Param::F32(1.0)),
        ("top", Param::F32(0.0)),
        ("decay_steps", Param::U32(1)),
        ("warmup_steps", Param::U32(0)),
        ("staircase", Param::U32(0)),
    ];
    let mut set = |name, value: Param| {
        if let Some(number) = numbers.iter_mut().find(|(known, _)| *known == name) {
            number.1 = value;
        }
    };
    let number = match *schedule {
        Schedule::Constant(rate) => {
            set("initial", rate.into());
            0
        }
        Schedule::ExponentialDecay {
            initial,
            decay_steps,
            decay_rate,
            staircase,
        } => {
            set("initial", initial.into());
            // Here, in f64: the device's logarithm of a rate near 1 would be off by per cents.
            set("rate", Param::F32(f64::from(decay_rate).log2() as f32));
            set("decay_steps", decay_steps.into());
            set("staircase", u32::from(staircase).into());
            1
        }
        Schedule::InverseTimeDecay {
            initial,
            decay_steps,
            decay_rate,
            staircase,
        } => {
            set("initial", initial.into());
            set("rate", decay_rate.into());
            set("decay_steps", decay_steps.into());
            set("staircase", u32::from(staircase).into());
            2
        }
        Schedule::PolynomialDecay {
            initial,
            decay_steps,
            end,
            power,
        } => {
            set("initial", initial.into());
            set("decay_steps", decay_steps.into());
            set("end", end.into());
            set("power", power.into());
            3
        }
        Schedule::CosineDecay {
            initial,
            decay_steps,
            alpha,
            warmup_target,
            warmup_steps,
        } => {
            set("initial", initial.into());
            set("top", warmup_target.unwrap_or(initial).into());
            set("decay_steps", decay_steps.into());
            set("end", alpha.into());
            if warmup_target.is_some() {
                set("warmup_steps", warmup_steps.into());
            }
            4
        }
    };
    (number, numbers)
}

/// The rounding error of the device's learning rate, in units of 2⁻²⁴.
///
/// A quotient of two counts is off by 2 units for the conversions (beyond 2²⁴) and 5 for the division: 7.
pub(super) fn error(schedule: &Schedule, step: u32) -> f64 {
    let value: f64 = schedule.value(step);
    match *schedule {
        Schedule::Constant(_) => 0.0,
        Schedule::ExponentialDecay {
            decay_steps,
            decay_rate,
            ..
        } => {
            // 2^x, where x has the errors of a quotient, a rounded logarithm and a product, and exp2 3 + 2|x| ulp.
            let x = f64::from(decay_rate).log2() * f64::from(step) / f64::from(decay_steps);
            value * (7.0 + 4.0 * x.abs() + 9.0 * x.abs() * std::f64::consts::LN_2)
        }
        // A quotient, a product, a sum of positive terms, a division.
        Schedule::InverseTimeDecay { .. } => 14.0 * value,
        Schedule::PolynomialDecay {
            initial,
            decay_steps,
            end,
            power,
        } => {
            // e^y with y = −power·ln(1 + s/left): the quotient, 6 units of the series or 11 of the builtin, a product;
            // exp has 3 + 2|y| ulp.
            let left = f64::from(decay_steps.saturating_sub(step)) / f64::from(decay_steps);
            let y = if power == 1.0 || left == 0.0 {
                0.0
            } else {
                f64::from(power) * left.ln().abs()
            };
            let (initial, end) = (f64::from(initial), f64::from(end));
            let fall = (initial - end).abs() * left.powf(f64::from(power));
            fall * (9.0 + 4.0 * y + 20.0 * y) + value
        }
        Schedule::CosineDecay {
            initial,
            warmup_target: Some(top),
            warmup_steps,
            ..
        } if step < warmup_steps => {
            let climbed = f64::from(step) / f64::from(warmup_steps);
            (f64::from(top) - f64::from(initial)).abs() * climbed * 9.0 + value
        }
        // An angle of 9 units, a sine that adds 6, squared: 31; then four roundings of positive numbers.
        Schedule::CosineDecay { .. } => 35.0 * value,
    }
}

impl Compute for Clock {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let mut state = [0; WORDS];
        state.copy_from_slice(io.output_words(0));
        let (state, order) = self.begin(&mut state, io.output(1));
        io.output_words(0).copy_from_slice(&state);
        let indices = io.output_words(2);
        let counted = indices.len().min(state[ROWS] as usize);
        let (own, rest) = indices.split_at_mut(counted);
        if state[SHUFFLE] == 0 {
            for (index, row) in own.iter_mut().zip(state[OFFSET]..) {
                *index = row;
            }
        } else {
            order.rows(state[OFFSET], own);
        }
        rest.fill(0);
    }
}

fn cases() -> Vec<Case> {
    let case = |clock: Clock, cursor: [u32; WORDS], rates: [f32; RATES]| {
        Case::new(clock)
            .words(&[WORDS], Fill::Words(cursor.into()))
            .constant(&[RATES], Fill::Values(rates.into()))
    };
    let clock = |batch, schedule: Schedule| Clock {
        batch,
        schedule,
        beta_1: 0.9,
        beta_2: 0.999,
    };
    let mut cases = Vec::new();
    // The place in the data: the first step, the middle and the end of an epoch, short batches, no data at all.
    let places: [(usize, [u32; WORDS]); 18] = [
        (1, [0, 9, 9, 9, 1, 0, 0, 9]),
        (1, [1, 0, 0, 1, 1, 1, 3, 0]),
        (2, [0, 0, 0, 0, 3, 1, 1, 0]),
        (2, [1, 0, 0, 2, 3, 1, 1, 0]),
        (2, [2, 0, 2, 1, 3, 1, 1, 0]),
        (3, [7, 2, 3, 3, 17, 0, 5, 0]),
        (17, [3, 1, 0, 17, 33, 1, 5, 0]),
        (32, [24, 0, 736, 32, 768, 1, 11, 0]),
        (32, [23, 0, 704, 32, 768, 0, 11, 0]),
        (33, [100, 8, 231, 24, 255, 1, 0xffff_ffff, 0]),
        (64, [5, 0, 192, 64, 256, 1, 77, 0]),
        (65, [5, 0, 130, 65, 257, 1, 78, 0]),
        (255, [40, 9, 765, 235, 1000, 1, 79, 0]),
        (257, [900, 2, 59_000, 257, 60_000, 1, 80, 0]),
        (1000, [800, 4, 68_000, 1000, 70_000, 1, 81, 0]),
        (65_536, [0, 0, 0, 0, 70_000, 1, 82, 0]),
        (65_536, [1, 0, 0, 65_536, 70_000, 1, 82, 0]),
        (300, [4_000_000_000, 70, 0, 300, 2_147_483_648, 1, 83, 0]),
    ];
    for (batch, place) in places {
        cases.push(case(
            clock(batch, 0.01.into()),
            place,
            [0.01, 0.6, 0.95, 7.0],
        ));
    }
    cases.push(case(
        clock(3, 0.01.into()),
        [4, 0, 0, 0, 0, 1, 0, 0],
        [0.0; 4],
    ));
    // The rates.
    let staircase = Schedule::ExponentialDecay {
        initial: 0.1,
        decay_steps: 1000,
        decay_rate: 0.96,
        staircase: true,
    };
    let inverse = Schedule::InverseTimeDecay {
        initial: 0.1,
        decay_steps: 5,
        decay_rate: 0.5,
        staircase: true,
    };
    let polynomial = |power| Schedule::PolynomialDecay {
        initial: 0.1,
        decay_steps: 300,
        end: 0.01,
        power,
    };
    let cosine = |alpha| Schedule::CosineDecay {
        initial: 0.001,
        decay_steps: 300,
        alpha,
        warmup_target: Some(0.1),
        warmup_steps: 17,
    };
    let schedules = [
        Schedule::exponential_decay(0.1, 7, 0.9),
        Schedule::exponential_decay(0.1, 100_000, 0.999),
        staircase,
        Schedule::inverse_time_decay(0.1, 5, 0.5),
        inverse,
        polynomial(1.0),
        polynomial(0.5),
        polynomial(2.0),
        Schedule::cosine_decay(0.1, 257),
        cosine(0.0),
        cosine(0.1),
    ];
    for schedule in schedules {
        for step in [0, 1, 16, 17, 33, 255, 256, 299, 1000, 70_000] {
            cases.push(case(
                clock(5, schedule.clone()),
                [step, 0, 10, 5, 33, 0, 0, 0],
                [0.0, 0.3, 0.9, 0.0],
            ));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_every_row_once_and_its_last_batch_is_short() {
        let clock = Clock {
            batch: 32,
            schedule: 0.01.into(),
            beta_1: 0.9,
            beta_2: 0.999,
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
