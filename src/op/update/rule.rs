//! What a rule of an update is: its states, its numbers, and the formula of one element, written once in Rust and once in
//! WGSL.

use std::fmt;
use std::sync::Arc;

use crate::contract::{Case, Op, Param};
use crate::number::{Known, Number};
use crate::op::Series;
use crate::schedule::decimal;

/// Most states of a rule: with the weights, the gradient, the rates and an average they fill eight buffers.
pub(crate) const MAX_STATES: usize = 3;

/// An element of a parameter with its states. A rule passes on states that it does not have.
pub type Element<N> = (N, [N; MAX_STATES]);

/// A tensor of a parameter's shape that a rule keeps from step to step: the variable `<parameter>.<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RuleState {
    /// The name of the variable after the parameter's.
    pub name: &'static str,
    /// What it holds before the first update, everywhere.
    pub first: f32,
    /// Whether it is never below 0, as a mean of squares is: cases then fill it so.
    pub positive: bool,
    /// Whether a NaN in it need not show in the results: a state that is only written, or of which only the sign is read.
    pub hides_nan: bool,
}

impl RuleState {
    /// A state of either sign, zeros at first, such as a mean of gradients.
    pub(crate) fn signed(name: &'static str) -> Self {
        RuleState {
            name,
            ..RuleState::default()
        }
    }

    /// A state that is never below 0, zeros at first, such as a mean of squares.
    pub(crate) fn positive(name: &'static str) -> Self {
        RuleState {
            positive: true,
            ..RuleState::signed(name)
        }
    }
}

/// What a rule needs beside its formula: its name, its text for devices with numbers and states, and what the clock counts.
#[derive(Debug, Clone, Default)]
pub struct RuleForm {
    /// The name of the op in plans: `update.adam`.
    pub label: &'static str,
    /// The text of the struct `Rule` and the function `take_step`, which `shaders/update.wgsl` calls.
    pub wgsl: &'static str,
    /// The fields of the text's struct `Rule`. A rule without numbers declares `struct Rule { none: u32 }`.
    pub numbers: Vec<(&'static str, Param)>,
    /// What it keeps for each parameter; at most 3.
    pub states: Vec<RuleState>,
    /// The bases β₁ and β₂ of the powers that the clock keeps, in [0, 1).
    pub betas: [f32; 2],
    /// What else the clock computes from the number of the update.
    pub series: Series,
    /// Whether a NaN in the weight need not show in the results of every step.
    pub hides_nan: bool,
    /// Whether it changes in every step, not only in those that update.
    pub always: bool,
    /// An op that does the update alone, without any treatment, if there is one: into it plans fuse gradients and whole
    /// steps. It takes w, the states, g and the rates of a clock that counts no updates.
    pub own_op: Option<Arc<dyn Op>>,
}

/// The form of the built-in rule of that name: its label and its text, `shaders/update/<name>.wgsl`.
macro_rules! rule_form {
    ($name:literal) => {
        $crate::op::RuleForm {
            label: concat!("update.", $name),
            wgsl: $crate::contract::wgsl!("update/", $name),
            ..Default::default()
        }
    };
}
pub(crate) use rule_form;

/// How an update changes an element of a parameter by the same element of its gradient.
///
/// A rule is written twice. [`step`](UpdateRule::step) runs on f32 and f64 on the CPU session, and on numbers that carry
/// their rounding errors, which gives the bound. The text of its [`form`](UpdateRule::form) runs on devices.
/// [`cases`](UpdateRule::cases) are for comparing the two.
///
/// Decay, clipping, accumulation and averages are no part of it: they are [`Common`](crate::optim::Common), whose
/// [`updates`](crate::optim::Common::updates) record an optimizer that implements this trait; all parameters' updates are
/// then one dispatch.
pub trait UpdateRule: fmt::Debug + Clone + Send + Sync + 'static {
    /// What it needs beside the formula.
    fn form(&self) -> RuleForm;

    /// The formula: from what is alike for all elements, the function that takes an element, already decayed, and its
    /// gradient, already treated, to the element after the update.
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N>;

    /// What the rule is tried on, for [`check::survey`](crate::check::survey) and the harnesses: a few shapes of its own, and
    /// treatments that differ by `number`, so that rules which are counted cover all treatments.
    fn cases(&self, number: usize) -> Vec<Case> {
        super::cases::cases(self, number)
    }
}

/// What an update's formula reads that is alike for all elements.
#[derive(Debug)]
pub struct Moment<N> {
    /// η, times the parameter's factor.
    pub eta: N,
    /// The factor of this parameter's learning rate.
    pub factor: N,
    /// β₁ᵗ and β₂ᵗ.
    pub powers: [N; 2],
    /// t, the number of this update, 1 in the first.
    pub update: N,
    /// The two numbers of the rule's [`Series`].
    pub series: [N; 2],
    /// The first two sums of squares that the op `SumOfSquares` left.
    pub(crate) squares: [N; 2],
    /// The clock's flags.
    pub(super) flags: u32,
}

impl<N: Known> Moment<N> {
    /// Whether this is the first update.
    #[inline(always)]
    pub(crate) fn is_first(&self) -> bool {
        self.update.decides() == 1.0
    }

    /// Whether this step updates, not only adds its gradient up.
    #[inline(always)]
    pub(super) fn is_live(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Whether what comes every few updates is due.
    #[inline(always)]
    pub(super) fn is_due(&self) -> bool {
        self.flags & 2 != 0
    }

    /// Whether this is the first of the steps that make an update.
    #[inline(always)]
    pub(crate) fn begins(&self) -> bool {
        self.flags & 4 != 0
    }
}

/// 1 − β as a number of a formula: see [`complement`].
#[inline(always)]
pub(crate) fn rest<N: Number>(beta: f32) -> N {
    N::constant(complement(beta))
}

/// `before`, a share of the way nearer to `to`.
#[inline(always)]
pub(crate) fn moved<N: Number>(before: N, to: N, share: N) -> N {
    before + (to - before) * share
}

/// x over the root of v, with ε inside or outside of the root.
#[inline(always)]
pub(crate) fn over_root<N: Number>(x: N, v: N, epsilon: N, outside: bool) -> N {
    if outside {
        x / (v.root() + epsilon)
    } else {
        x / (v + epsilon).root()
    }
}

/// 1 − β of the decimal number that β stands for. The f32 next to 0.999 is 1.3e-8 above it, which in 1 − β₂ would be an
/// error of 1.3e-5; Keras subtracts in f64.
pub(crate) fn complement(beta: f32) -> f64 {
    1.0 - decimal(beta)
}

/// 1 − β as a kernel's number.
pub(crate) fn rest_of(beta: f32) -> Param {
    (complement(beta) as f32).into()
}
