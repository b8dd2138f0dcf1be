//! The clock in a graph: its variables, and the batch's row numbers.

use crate::graph::Role;
use crate::schedule::Schedule;
use crate::{Graph, Initial, Tensor, TensorType};

use super::{AdvanceClock, UpdateCount, cursor, rate};

/// The device-resident values that vary per step, and the batch's row numbers: see [`Graph::clock`].
#[derive(Debug, Clone)]
pub struct Clock {
    /// The variable `<name>.cursor`, u32 \[8\]: steps begun; the pass over the data, from 0; the place of this step's batch in
    /// that pass; the batch's rows; the rows of the data; the switch and the seed of the shuffle; the bits of the f32 that the
    /// step's gradients are scaled by.
    pub cursor: Tensor,
    /// The variable `<name>.rates`, f32 \[4\]: the learning rate, β₁ᵗ, β₂ᵗ, and the factor that the host multiplies the schedule
    /// by. \[12\] where updates are counted besides steps: then the number of the update from 1, flags, two numbers of a
    /// [`Series`](super::Series), three sums of squares, and how many updates were skipped.
    pub rates: Tensor,
    /// The rows of the data set that make this step's batch.
    pub indices: Tensor,
}

/// What the clock needs to know of an optimizer.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// The learning rate as a function of the step.
    pub learning_rate: Schedule,
    /// The base of β₁ᵗ; 0 where there is none.
    pub beta_1: f32,
    /// The base of β₂ᵗ; 0 where there is none.
    pub beta_2: f32,
    /// What is counted beside steps; none for plain gradient descent and plain Adam.
    pub(crate) update_count: Option<UpdateCount>,
}

impl<S: Into<Schedule>> From<S> for Rates {
    /// A learning rate and nothing else.
    fn from(learning_rate: S) -> Self {
        Rates {
            learning_rate: learning_rate.into(),
            beta_1: 0.0,
            beta_2: 0.0,
            update_count: None,
        }
    }
}

/// The variable of a clock's cursor.
pub(crate) fn cursor_of(clock: &str) -> String {
    format!("{clock}.cursor")
}

/// The variable of a clock's rates.
pub(crate) fn rates_of(clock: &str) -> String {
    format!("{clock}.rates")
}

impl Graph {
    /// Records a clock that advances by one batch of up to `batch` rows in every run of a program that uses it.
    ///
    /// It goes through as many rows as a batch has, in order, unless [`Session::start_clock`](crate::Session::start_clock) says
    /// otherwise before the first step.
    #[track_caller]
    pub fn clock(&self, name: &str, batch: usize, rates: Rates) -> Clock {
        self.clock_as([Role::Progress, Role::State], name, batch, rates)
    }

    /// A clock whose cursor and rates are in these roles.
    #[track_caller]
    pub(crate) fn clock_as(
        &self,
        [of_cursor, of_rates]: [Role; 2],
        name: &str,
        batch: usize,
        rates: Rates,
    ) -> Clock {
        let words = TensorType::u32([cursor::WORDS]);
        let mut first = vec![0; cursor::WORDS];
        first[cursor::DATA_ROWS] = u32::try_from(batch).unwrap_or(u32::MAX);
        let cursor = self.variable_as(
            of_cursor,
            cursor_of(name),
            words,
            Initial::Words(first.into()),
        );
        let op = AdvanceClock { batch, rates };
        let mut first = vec![0.0; op.len_of_rates()];
        first[rate::FACTOR] = 1.0;
        let kind = TensorType::f32([first.len()]);
        let first = Initial::Floats(first.into());
        let state = self.variable_as(of_rates, rates_of(name), kind, first);
        let table = op.rates.learning_rate.table();
        let table = table.map(|table| self.constant([table.len()], &table));
        let operands: Vec<&Tensor> = [&cursor, &state].into_iter().chain(&table).collect();
        let indices = self.apply_one(op, &operands);
        Clock {
            cursor,
            rates: state,
            indices,
        }
    }
}
