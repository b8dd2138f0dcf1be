//! What every optimizer may do beside its own formula: decay, clipping, accumulation, averages, rates of single layers.

use serde::{Deserialize, Serialize};

use crate::op::{Clipped, Formula, Running, Series, SumOfSquares, Update, UpdateCount};
use crate::{Error, Result, Tensor};

use super::optimizer::{Clock, at_least, in_range, state};

/// The state that sums the gradients of several batches.
const ACCUMULATOR: &str = "gradient_accumulator";

/// Whether a variable sums the gradients of several batches.
pub(crate) fn is_accumulator(variable: &str) -> bool {
    let parts = variable.rsplit_once('.');
    parts.is_some_and(|(_, state)| state == ACCUMULATOR)
}

/// Most tensors of one sum of squares.
const MOST_TENSORS: usize = 6;

/// Settings that all optimizers have, by Keras' names; as they are by default none of them does anything.
///
/// Optimizers have methods of the same names: `Adam::new(0.001).weight_decay(0.01).clipnorm(1.0)`. In one update they
/// come in this order: the mean of accumulated gradients, clipping, decay, the optimizer's formula, the average.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Common {
    /// λ of decoupled decay, at least 0: W ← W − λ·η·W before the update, of every parameter that is not excluded.
    /// Default 0; PyTorch's optimizers but AdamW have `l2` under this name.
    pub weight_decay: f32,
    /// λ of coupled decay, at least 0: g ← g + λ·W, as PyTorch's `weight_decay`. Default 0.
    pub l2: f32,
    /// Parameters whose names contain one of these are not decayed, in either way.
    pub exclude_from_weight_decay: Vec<String>,
    /// Cuts each gradient, parameter by parameter, to this norm; above 0.
    pub clipnorm: Option<f32>,
    /// Cuts all gradients together to this norm; above 0.
    pub global_clipnorm: Option<f32>,
    /// Cuts each element of a gradient into ± this; above 0. Only one of the three can be set.
    pub clipvalue: Option<f32>,
    /// n: the mean of n batches' gradients makes one update, with the n-th batch. Default 1.
    pub gradient_accumulation_steps: u32,
    /// Whether a running mean of the weights is kept: a ← m·a + (1 − m)·W after each batch, a = W after the first
    /// update. `fit` ends with it in the weights' place, as Keras' does. Default false.
    pub use_ema: bool,
    /// m, in [0, 1]. Default 0.99.
    pub ema_momentum: f32,
    /// Puts the mean in the weights' place after every so many updates too. Default: at the end of `fit` alone.
    pub ema_overwrite_frequency: Option<u32>,
    /// Slow weights that follow the fast ones (Zhang et al., 2019). Default: none.
    pub lookahead: Option<Lookahead>,
    /// Whether the loss is made large instead of small. Default false.
    pub maximize: bool,
    /// Factors of the learning rate, at least 0: of parameters whose names contain the text, the first that fits.
    pub learning_rate_factors: Vec<(String, f32)>,
}

/// Every `steps` updates the slow weights go `share` of the way to the fast ones, which go on from there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lookahead {
    /// k, at least 1; 5 in the paper.
    pub steps: u32,
    /// α, in (0, 1]; 0.5 in the paper.
    pub share: f32,
}

impl Default for Common {
    fn default() -> Self {
        Common {
            weight_decay: 0.0,
            l2: 0.0,
            exclude_from_weight_decay: Vec::new(),
            clipnorm: None,
            global_clipnorm: None,
            clipvalue: None,
            gradient_accumulation_steps: 1,
            use_ema: false,
            ema_momentum: 0.99,
            ema_overwrite_frequency: None,
            lookahead: None,
            maximize: false,
            learning_rate_factors: Vec::new(),
        }
    }
}

impl Common {
    /// Whether an update is the formula and nothing else.
    pub(super) fn does_nothing(&self) -> bool {
        let idle = Common {
            ema_momentum: self.ema_momentum,
            exclude_from_weight_decay: self.exclude_from_weight_decay.clone(),
            ..Common::default()
        };
        *self == idle
    }

    /// Whether it is as by default, so that files need not say it.
    pub(super) fn is_default(&self) -> bool {
        *self == Common::default()
    }

    pub(super) fn validate(&self) -> Result<()> {
        at_least("weight_decay", self.weight_decay, 0.0)?;
        at_least("l2", self.l2, 0.0)?;
        let limits = [
            ("clipnorm", self.clipnorm),
            ("global_clipnorm", self.global_clipnorm),
            ("clipvalue", self.clipvalue),
        ];
        for (name, limit) in limits {
            if let Some(limit) = limit
                && !(limit > 0.0 && limit.is_finite())
            {
                let message = format!("must be above 0 and finite, got {limit}");
                return Err(Error::argument(name, message));
            }
        }
        let set = limits.iter().filter(|(_, limit)| limit.is_some());
        if let [first, second, ..] = set.collect::<Vec<_>>()[..] {
            let message = format!(
                "cannot be set beside {}: one way of clipping at most",
                second.0
            );
            return Err(Error::argument(first.0, message));
        }
        let counts = [
            (
                "gradient_accumulation_steps",
                Some(self.gradient_accumulation_steps),
            ),
            ("ema_overwrite_frequency", self.ema_overwrite_frequency),
            ("lookahead", self.lookahead.map(|lookahead| lookahead.steps)),
        ];
        for (name, count) in counts {
            if count == Some(0) {
                return Err(Error::argument(name, "must be at least 1, got 0"));
            }
        }
        if !(0.0..=1.0).contains(&self.ema_momentum) {
            let message = format!("must be in [0, 1], got {}", self.ema_momentum);
            return Err(Error::argument("ema_momentum", message));
        }
        if let Some(lookahead) = self.lookahead {
            if !(lookahead.share > 0.0 && lookahead.share <= 1.0) {
                let message = format!("must go a share in (0, 1], got {}", lookahead.share);
                return Err(Error::argument("lookahead", message));
            }
            if self.use_ema {
                let message = "keeps slow weights where use_ema keeps a mean: one of them at most";
                return Err(Error::argument("lookahead", message));
            }
        }
        for (_, factor) in &self.learning_rate_factors {
            at_least("learning_rate_factors", *factor, 0.0)?;
        }
        Ok(())
    }

    /// What the clock is to count.
    pub(super) fn update_count(&self, series: Series) -> UpdateCount {
        let overwritten = self.ema_overwrite_frequency.filter(|_| self.use_ema);
        let slow = self.lookahead.map(|lookahead| lookahead.steps);
        UpdateCount {
            accumulate: self.gradient_accumulation_steps,
            every: overwritten.or(slow).unwrap_or(0),
            series,
        }
    }

    /// Whether a parameter of that name is decayed.
    fn decays(&self, name: &str) -> bool {
        let mut excluded = self.exclude_from_weight_decay.iter();
        !excluded.any(|part| name.contains(part.as_str()))
    }

    /// The factor of that parameter's learning rate.
    fn factor(&self, name: &str) -> f32 {
        let fits = |(part, _): &&(String, f32)| name.contains(part.as_str());
        let found = self.learning_rate_factors.iter().find(fits);
        found.map_or(1.0, |(_, factor)| *factor)
    }

    fn running(&self) -> Option<Running> {
        if self.use_ema {
            let keep = self.ema_momentum;
            return Some(Running::Mean { keep });
        }
        let share = self.lookahead?.share;
        Some(Running::Slow { share })
    }

    /// The update of a parameter by `formula` with what comes before it.
    pub(super) fn update(&self, formula: Formula, name: &str) -> Update {
        let decays = self.decays(name);
        let decay = |rate: f32| if decays { rate } else { 0.0 };
        let norm = self.clipnorm.or(self.global_clipnorm).map(Clipped::Norm);
        Update {
            maximize: self.maximize,
            batches: self.gradient_accumulation_steps,
            clip: norm.or(self.clipvalue.map(Clipped::Value)),
            decay: decay(self.weight_decay),
            l2: decay(self.l2),
            factor: self.factor(name),
            ..Update::from(formula)
        }
    }

    /// The update with what runs along, which belongs to the last of an optimizer's updates of a parameter.
    pub(super) fn last(&self, update: Update) -> Update {
        Update {
            running: self.running(),
            ..update
        }
    }

    /// Gradients as formulas take them one by one: collected where a norm of their mean is wanted, or where an average
    /// takes the place of their sum; and the updates that this takes. The update of each parameter is not to collect
    /// them again.
    pub(super) fn collected(
        &self,
        parameters: &[(&str, &Tensor, &Tensor)],
        clock: &Clock,
        wanted: bool,
    ) -> (Vec<Tensor>, Vec<Tensor>) {
        let gradients = parameters.iter().map(|(_, _, gradient)| *gradient);
        if self.gradient_accumulation_steps == 1 || !wanted {
            return (gradients.cloned().collect(), Vec::new());
        }
        let share = (1.0 / f64::from(self.gradient_accumulation_steps)) as f32;
        let collect = Update::from(Formula::Collect { share });
        let mut updates = Vec::new();
        let sums = parameters.iter().map(|(name, parameter, gradient)| {
            let sum = state(name, ACCUMULATOR, parameter, 0.0);
            updates.extend(record(&collect, name, &sum, gradient, clock, &|_| 0.0));
            sum
        });
        (sums.collect(), updates)
    }

    /// Gradients as they enter an optimizer that is made of several updates: collected, clipped, of the wanted sign; and
    /// the updates that this takes.
    pub(super) fn prepared(
        &self,
        parameters: &[(&str, &Tensor, &Tensor)],
        clock: &Clock,
    ) -> (Vec<Tensor>, Vec<Tensor>) {
        let (mut gradients, mut updates) = self.collected(parameters, clock, true);
        let norm = self.clipnorm.or(self.global_clipnorm);
        if norm.is_none() && self.clipvalue.is_none() && !self.maximize {
            return (gradients, updates);
        }
        updates.extend(self.global_norm(&gradients, clock));
        for ((name, parameter, _), gradient) in parameters.iter().zip(&mut gradients) {
            updates.extend(self.own_norm(gradient, clock));
            let treated = Update {
                batches: 1,
                decay: 0.0,
                l2: 0.0,
                // A weight of 0 is the gradient alone.
                ..self.update(
                    Formula::Buffer {
                        momentum: 0.0,
                        share: 1.0,
                    },
                    name,
                )
            };
            let clipped = state(name, "gradient", parameter, 0.0);
            updates.extend(record(&treated, name, &clipped, gradient, clock, &|_| 0.0));
            *gradient = clipped;
        }
        (gradients, updates)
    }

    /// Whether gradients must be collected before anything else is done with them.
    pub(super) fn collects(&self) -> bool {
        let norm = self.clipnorm.or(self.global_clipnorm).is_some();
        self.gradient_accumulation_steps > 1 && (norm || self.running().is_some())
    }

    /// The sum of squares of all gradients together, if that is what they are clipped by.
    pub(super) fn global_norm(&self, gradients: &[Tensor], clock: &Clock) -> Vec<Tensor> {
        if self.global_clipnorm.is_none() {
            return Vec::new();
        }
        let chunks = gradients.chunks(MOST_TENSORS).enumerate();
        let sum = |(number, chunk): (usize, &[Tensor])| {
            let op = SumOfSquares {
                separate: false,
                add: number > 0,
            };
            sum_of_squares(op, &chunk.iter().collect::<Vec<_>>(), clock)
        };
        chunks.map(sum).collect()
    }

    /// The sum of squares of one gradient, if that is what each is clipped by.
    pub(super) fn own_norm(&self, gradient: &Tensor, clock: &Clock) -> Option<Tensor> {
        self.clipnorm?;
        let op = SumOfSquares {
            separate: false,
            add: false,
        };
        Some(sum_of_squares(op, &[gradient], clock))
    }
}

/// Records a sum of squares into the clock's rates.
pub(super) fn sum_of_squares(op: SumOfSquares, tensors: &[&Tensor], clock: &Clock) -> Tensor {
    let operands: Vec<&Tensor> = std::iter::once(&clock.rates)
        .chain(tensors.iter().copied())
        .collect();
    clock.rates.graph().apply_one(op, &operands)
}

/// Records an update of `parameter` with its states, variables `<name>.<state>` that begin as `initial` says.
pub(super) fn record(
    update: &Update,
    name: &str,
    parameter: &Tensor,
    gradient: &Tensor,
    clock: &Clock,
    initial: &dyn Fn(&str) -> f32,
) -> Option<Tensor> {
    let mut names: Vec<&str> = update.formula.states().to_vec();
    if update.batches > 1 {
        names.push(ACCUMULATOR);
    }
    if update.running.is_some() {
        names.push("average");
    }
    let states: Vec<Tensor> = names
        .into_iter()
        .map(|kind| state(name, kind, parameter, initial(kind)))
        .collect();
    let operands: Vec<&Tensor> = std::iter::once(parameter)
        .chain(&states)
        .chain([gradient, &clock.rates])
        .collect();
    let graph = parameter.graph();
    graph.apply(update.clone(), &operands).into_iter().next()
}

/// Checks a share below 1.
pub(super) fn share(name: &'static str, value: f32) -> Result<()> {
    in_range(name, value, 0.0, 1.0)
}

/// Methods of an optimizer for the settings that all have.
macro_rules! common_settings {
    ($optimizer:ty) => {
        impl $optimizer {
            /// The same with decoupled weight decay: W ← W − λ·η·W before each update.
            pub fn weight_decay(mut self, rate: f32) -> Self {
                self.common.weight_decay = rate;
                self
            }

            /// The same with coupled weight decay, PyTorch's `weight_decay`: g ← g + λ·W.
            pub fn l2(mut self, rate: f32) -> Self {
                self.common.l2 = rate;
                self
            }

            /// The same without decay of parameters whose names contain one of these.
            pub fn exclude_from_weight_decay<S: Into<String>>(
                mut self,
                names: impl IntoIterator<Item = S>,
            ) -> Self {
                let names = names.into_iter().map(Into::into);
                self.common.exclude_from_weight_decay.extend(names);
                self
            }

            /// The same with each parameter's gradient cut to this norm.
            pub fn clipnorm(mut self, limit: f32) -> Self {
                self.common.clipnorm = Some(limit);
                self
            }

            /// The same with all gradients together cut to this norm.
            pub fn global_clipnorm(mut self, limit: f32) -> Self {
                self.common.global_clipnorm = Some(limit);
                self
            }

            /// The same with each element of a gradient cut into ± this.
            pub fn clipvalue(mut self, limit: f32) -> Self {
                self.common.clipvalue = Some(limit);
                self
            }

            /// The same with one update for the mean gradient of so many batches.
            pub fn gradient_accumulation_steps(mut self, batches: u32) -> Self {
                self.common.gradient_accumulation_steps = batches;
                self
            }

            /// The same with a running mean of the weights, of which `momentum` is kept.
            pub fn use_ema(mut self, momentum: f32) -> Self {
                self.common.use_ema = true;
                self.common.ema_momentum = momentum;
                self
            }

            /// The same with the mean in the weights' place after every so many updates.
            pub fn ema_overwrite_frequency(mut self, updates: u32) -> Self {
                self.common.ema_overwrite_frequency = Some(updates);
                self
            }

            /// The same with slow weights, which go `share` of the way to the fast ones after every `steps` updates.
            pub fn lookahead(mut self, steps: u32, share: f32) -> Self {
                self.common.lookahead = Some($crate::optim::Lookahead { steps, share });
                self
            }

            /// The same making the loss large.
            pub fn maximize(mut self) -> Self {
                self.common.maximize = true;
                self
            }

            /// The same with the learning rate of parameters whose names contain `part` times `factor`.
            pub fn learning_rate_factor(mut self, part: impl Into<String>, factor: f32) -> Self {
                let factors = &mut self.common.learning_rate_factors;
                factors.push((part.into(), factor));
                self
            }
        }
    };
}
pub(super) use common_settings;
