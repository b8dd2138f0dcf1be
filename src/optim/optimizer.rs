//! What an optimizer is: update nodes for each parameter, and constants for the clock.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::nn::plain;
use crate::op::{UpdateCount, cursor, rate};
use crate::schedule::Schedule;
use crate::{Graph, Initial, Plan, Result, Role, Session, Snapshot, Tensor, TensorType, Values};

use super::LossScale;

/// The device-resident values that vary per step, and the batch's row numbers: see [`Graph::clock`].
#[derive(Debug, Clone)]
pub struct Clock {
    /// Step, epoch, offset, rows: the words of [`cursor`].
    pub cursor: Tensor,
    /// Learning rate, β₁ᵗ, β₂ᵗ, and more: the numbers of [`rate`].
    pub rates: Tensor,
    /// The rows of the data set that make this step's batch.
    pub indices: Tensor,
}

/// The variable of a clock's cursor.
pub(crate) fn cursor_of(clock: &str) -> String {
    format!("{clock}.cursor")
}

/// The variable of a clock's rates.
pub(crate) fn rates_of(clock: &str) -> String {
    format!("{clock}.rates")
}

/// Makes a snapshot's rates of a clock as many as the plan has. Where batches are computed in parts it counts updates too: what
/// both kinds of clock keep comes first, and the rest is computed in every step.
pub(crate) fn resize_rates(snapshot: &mut Snapshot, clock: &str, plan: &Plan) {
    let name = rates_of(clock);
    let (Some((kind, values)), Ok(wanted)) =
        (snapshot.variables.get_mut(&name), plan.variable(&name))
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

impl Graph {
    /// Records a clock that advances by one batch of up to `batch` rows in every run of a program that uses it.
    ///
    /// Its variables are `<name>.cursor` and `<name>.rates`; the host sets the number of data rows, the shuffle switch
    /// and the seed in the cursor before the first step (see [`cursor`]). The words' order is that of the module.
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
        let op = crate::op::Clock {
            batch,
            schedule: rates.learning_rate,
            beta_1: rates.beta_1,
            beta_2: rates.beta_2,
            update_count: rates.update_count,
        };
        let mut first = vec![0.0; op.rates()];
        first[rate::FACTOR] = 1.0;
        let kind = TensorType::f32([first.len()]);
        let first = Initial::Floats(first.into());
        let state = self.variable_as(of_rates, rates_of(name), kind, first);
        let table = op.schedule.table();
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

impl Session {
    /// What a clock's scheduled learning rate is multiplied by: 1 until it is set.
    ///
    /// # Errors
    ///
    /// No clock of that name, a device that fails.
    pub fn learning_rate_factor(&mut self, clock: &str) -> Result<f32> {
        let rates = self.read(&rates_of(clock))?;
        Ok(rates.get(rate::FACTOR).copied().unwrap_or(1.0))
    }

    /// Sets that factor for the steps to come, without another plan: how a callback lowers the rate between epochs.
    ///
    /// # Errors
    ///
    /// A factor below 0 or not finite, no clock of that name, a device that fails.
    pub fn set_learning_rate_factor(&mut self, clock: &str, factor: f32) -> Result<()> {
        at_least("factor", factor, 0.0)?;
        let name = rates_of(clock);
        let mut rates = self.read(&name)?;
        if let Some(word) = rates.get_mut(rate::FACTOR) {
            *word = factor;
        }
        self.write(&name, &rates)
    }
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
    pub update_count: Option<UpdateCount>,
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

/// A rule that changes parameters by their gradients.
pub trait Optimizer: fmt::Debug + Send + Sync {
    /// Its name in summaries and files.
    fn name(&self) -> &'static str;

    /// Whether every setting is in its range.
    fn validate(&self) -> Result<()>;

    /// Its settings as a model file keeps them; none for an optimizer of the user's own.
    fn config(&self) -> Option<OptimizerConfig> {
        None
    }

    /// What the clock computes for it.
    fn rates(&self) -> Rates;

    /// The settings of its loss scale; none for an optimizer that is not a [`LossScaleOptimizer`](super::LossScaleOptimizer).
    fn loss_scale(&self) -> Option<LossScale> {
        None
    }

    /// Records the updates of named parameters by their gradients: all nodes that [`Program::update`] needs, in order.
    /// States are variables `<name>.<state>`.
    ///
    /// [`Program::update`]: crate::Program::update
    fn updates(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor>;

    /// Records gradients of `loss` and the updates of all named parameters, for `Program::update`; the clock's advance
    /// comes with them.
    #[track_caller]
    fn minimize(
        &self,
        loss: &Tensor,
        parameters: &[(&str, &Tensor)],
        clock: &Clock,
    ) -> Vec<Tensor> {
        let tensors: Vec<&Tensor> = parameters.iter().map(|(_, tensor)| *tensor).collect();
        let gradients = loss.graph().gradients(loss, &tensors);
        let all: Vec<(&str, &Tensor, &Tensor)> = parameters
            .iter()
            .zip(&gradients)
            .map(|((name, parameter), gradient)| (*name, *parameter, gradient))
            .collect();
        // The clock writes the rates that the updates read, but none of them takes its output.
        std::iter::once(clock.indices.clone())
            .chain(self.updates(&all, clock))
            .collect()
    }
}

/// The settings of built-in optimizers as one type.
macro_rules! configs {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The settings of a built-in optimizer, as model files keep them.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum OptimizerConfig {
            $($(#[$doc])* $name(super::$name),)*
        }

        impl OptimizerConfig {
            /// The optimizer with these settings.
            pub fn into_optimizer(self) -> Box<dyn Optimizer> {
                match self {
                    $(OptimizerConfig::$name(optimizer) => Box::new(optimizer),)*
                }
            }

            /// The optimizer with these settings, as it is used.
            fn as_optimizer(&self) -> &dyn Optimizer {
                match self {
                    $(OptimizerConfig::$name(optimizer) => optimizer,)*
                }
            }

            /// The learning rate, to be set.
            pub fn learning_rate_mut(&mut self) -> &mut Schedule {
                match self {
                    $(OptimizerConfig::$name(optimizer) => &mut optimizer.learning_rate,)*
                }
            }

            /// What all optimizers have, to be set.
            pub fn common_mut(&mut self) -> &mut super::Common {
                match self {
                    $(OptimizerConfig::$name(optimizer) => &mut optimizer.common,)*
                }
            }

            /// Every optimizer as it is by default, in the order of this list.
            pub fn defaults() -> Vec<OptimizerConfig> {
                vec![$(OptimizerConfig::$name(super::$name::default()),)*]
            }
        }
    };
}

configs! {
    /// Gradient descent.
    Sgd,
    /// RMSprop.
    RmsProp,
    /// Adagrad.
    Adagrad,
    /// Adadelta.
    Adadelta,
    /// Adam, AdamW, AMSGrad.
    Adam,
    /// Adamax.
    Adamax,
    /// Nadam.
    Nadam,
    /// RAdam.
    Radam,
    /// Adafactor.
    Adafactor,
    /// FTRL-proximal.
    Ftrl,
    /// Lion.
    Lion,
    /// LAMB.
    Lamb,
    /// Muon.
    Muon,
    /// Averaged gradient descent.
    Asgd,
    /// Resilient propagation.
    Rprop,
}

impl OptimizerConfig {
    /// The optimizer of that name with Keras' defaults: `adam`, `RMSprop`, `adamw` …
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) with the names that there are.
    ///
    /// ```
    /// use kiln::optim::{OptimizerConfig, RmsProp};
    ///
    /// assert_eq!(OptimizerConfig::named("rmsprop")?, OptimizerConfig::RmsProp(RmsProp::default()));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn named(name: &str) -> Result<Self> {
        let wanted = plain(name);
        if wanted == ADAM_W {
            return Ok(OptimizerConfig::Adam(super::AdamW::new(0.001)));
        }
        let mut all = Self::defaults();
        let found = all.iter().position(|known| plain(known.name()) == wanted);
        if let Some(found) = found {
            return Ok(all.swap_remove(found));
        }
        let names = all.iter().map(Optimizer::name).chain([ADAM_W]);
        Err(crate::Error::NotFound {
            what: "optimizer",
            name: name.into(),
            known: names.map(Into::into).collect(),
        })
    }
}

/// Adam with decoupled decay, which is no optimizer of its own here.
const ADAM_W: &str = "adamw";

impl Optimizer for OptimizerConfig {
    fn name(&self) -> &'static str {
        self.as_optimizer().name()
    }

    fn validate(&self) -> Result<()> {
        self.as_optimizer().validate()
    }

    fn config(&self) -> Option<OptimizerConfig> {
        Some(self.clone())
    }

    fn rates(&self) -> Rates {
        self.as_optimizer().rates()
    }

    fn updates(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor> {
        self.as_optimizer().updates(parameters, clock)
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        OptimizerConfig::Adam(super::Adam::default())
    }
}

/// A state of the same shape as its parameter, at first this number everywhere.
pub(super) fn state(name: &str, state: &str, parameter: &Tensor, first: f32) -> Tensor {
    shaped_state(name, state, parameter, parameter.kind(), first)
}

/// A state of another shape.
pub(super) fn shaped_state(
    name: &str,
    state: &str,
    parameter: &Tensor,
    kind: TensorType,
    first: f32,
) -> Tensor {
    let initial = filled(&kind, first);
    let graph = parameter.graph();
    graph.variable(format!("{name}.{state}"), kind, initial)
}

/// Initial values all alike.
fn filled(kind: &TensorType, value: f32) -> Initial {
    if value == 0.0 {
        return Initial::Zeros;
    }
    let elements = usize::try_from(kind.elements()).unwrap_or(usize::MAX);
    Initial::Floats(vec![value; elements].into())
}

/// Checks that a setting lies in `[low, high)`.
pub(super) fn in_range(name: &'static str, value: f32, low: f32, high: f32) -> Result<()> {
    if (low..high).contains(&value) {
        return Ok(());
    }
    Err(crate::Error::argument(
        name,
        format!("must be at least {low} and below {high}, got {value}"),
    ))
}

/// Checks that a setting is finite and at least `low`.
pub(super) fn at_least(name: &'static str, value: f32, low: f32) -> Result<()> {
    if (low..f32::INFINITY).contains(&value) {
        return Ok(());
    }
    Err(crate::Error::argument(
        name,
        format!("must be at least {low} and finite, got {value}"),
    ))
}

/// Checks that a setting is finite and above 0.
pub(super) fn above_zero(name: &'static str, value: f32) -> Result<()> {
    if value > 0.0 && value < f32::INFINITY {
        return Ok(());
    }
    Err(crate::Error::argument(
        name,
        format!("must be above 0 and finite, got {value}"),
    ))
}
