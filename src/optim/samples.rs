//! The cases of the rules of all optimizers, counted, so that every treatment is tried with some of them.

use crate::contract::Case;
use crate::op::UpdateRule;

/// Cases of rules, one after the other.
#[derive(Default)]
pub(super) struct RuleSamples {
    pub cases: Vec<Case>,
    rules: usize,
}

impl RuleSamples {
    /// Adds a rule with these numbers.
    pub fn add(&mut self, rule: impl UpdateRule) -> &mut Self {
        self.cases.extend(rule.cases(self.rules));
        self.rules += 1;
        self
    }
}
