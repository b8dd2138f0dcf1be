//! Optimizers that treat every element alike: a formula, and what all optimizers may do beside it.

use std::fmt;

use crate::op::{Formula, Series};
use crate::schedule::Schedule;
use crate::{Result, Tensor, op};

use super::common::{Common, record};
use super::optimizer::{Clock, Optimizer, OptimizerConfig, Rates, state};

/// Formulas that have a kernel of their own, into which plans fuse gradients and whole steps.
#[derive(Debug, Clone, Copy)]
pub enum Plain {
    /// w ← w − η·g.
    Descent,
    /// With a velocity.
    Momentum(op::Momentum),
    /// Adam.
    Adam(op::Adam),
}

/// An optimizer whose update is one formula for every element.
pub trait Elementwise: fmt::Debug + Send + Sync {
    /// Its name.
    fn label(&self) -> &'static str;

    /// η.
    fn schedule(&self) -> &Schedule;

    /// What it does beside its formula.
    fn common(&self) -> &Common;

    /// Its formula.
    fn formula(&self) -> Formula;

    /// Checks its own settings.
    fn check(&self) -> Result<()>;

    /// Its settings for a model file.
    fn settings(&self) -> OptimizerConfig;

    /// The bases of the powers that the clock keeps.
    fn betas(&self) -> [f32; 2] {
        [0.0; 2]
    }

    /// What else varies with the number of the update.
    fn series(&self) -> Series {
        Series::None
    }

    /// What a state holds at first, everywhere.
    fn initial(&self, _state: &str) -> f32 {
        0.0
    }

    /// Its kernel of its own, if it has one as it is set.
    fn plain(&self) -> Option<Plain> {
        None
    }
}

impl<O: Elementwise> Optimizer for O {
    fn name(&self) -> &'static str {
        self.label()
    }

    fn validate(&self) -> Result<()> {
        self.schedule().validate()?;
        self.check()?;
        self.common().validate()
    }

    fn config(&self) -> Option<OptimizerConfig> {
        Some(self.settings())
    }

    fn rates(&self) -> Rates {
        let [beta_1, beta_2] = self.betas();
        let plain = self.common().does_nothing() && self.plain().is_some();
        Rates {
            learning_rate: self.schedule().clone(),
            beta_1,
            beta_2,
            update_count: (!plain).then(|| self.common().update_count(self.series())),
        }
    }

    fn updates(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor> {
        let common = self.common();
        if let Some(plain) = self.plain().filter(|_| common.does_nothing()) {
            let update = |(name, w, g): &(&str, &Tensor, &Tensor)| plain.record(name, w, g, clock);
            return parameters.iter().map(update).collect();
        }
        let (gradients, mut updates) = common.collected(parameters, clock, common.collects());
        updates.extend(common.global_norm(&gradients, clock));
        for ((name, parameter, _), gradient) in parameters.iter().zip(&gradients) {
            let mut update = common.last(common.update(self.formula(), name));
            if common.collects() {
                update.batches = 1;
            }
            updates.extend(common.own_norm(gradient, clock));
            let initial = |state: &str| self.initial(state);
            updates.extend(record(&update, name, parameter, gradient, clock, &initial));
        }
        updates
    }
}

impl Plain {
    fn record(self, name: &str, w: &Tensor, g: &Tensor, clock: &Clock) -> Tensor {
        let (graph, rates) = (w.graph(), &clock.rates);
        let state = |kind: &str| state(name, kind, w, 0.0);
        match self {
            Plain::Descent => graph.apply_one(op::Sgd, &[w, g, rates]),
            Plain::Momentum(rule) => graph.apply_one(rule, &[w, &state("momentum"), g, rates]),
            Plain::Adam(rule) => graph.apply_one(rule, &[w, &state("m"), &state("v"), g, rates]),
        }
    }
}
