//! What a rule of an update is: its states, its numbers, and the formula of one element, written once in Rust and once in
//! WGSL.

use std::fmt;
use std::sync::Arc;

use crate::Result;
use crate::contract::{Op, Param};
use crate::number::{Known, Number};
use crate::op::{Series, rate};

/// Most states of a rule: with the weights, the gradient, the rates and an average they fill eight buffers.
pub const MAX_STATES: usize = 3;

/// An element of a parameter with its states. A rule passes on states that it does not have.
pub type Element<N> = (N, [N; MAX_STATES]);

/// A tensor of a parameter's shape that a rule keeps from step to step: the variable `<parameter>.<name>`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RuleState {
    /// The name of the variable after the parameter's.
    pub name: &'static str,
    /// Whether it is never below 0, as a mean of squares is: cases then fill it so.
    pub positive: bool,
    /// Whether a NaN in it must show in the results.
    pub shows_nan: bool,
}

impl RuleState {
    /// A state of either sign, such as a mean of gradients.
    pub const fn signed(name: &'static str) -> Self {
        RuleState {
            name,
            positive: false,
            shows_nan: true,
        }
    }

    /// A state that is never below 0, such as a mean of squares.
    pub const fn positive(name: &'static str) -> Self {
        RuleState {
            positive: true,
            ..RuleState::signed(name)
        }
    }

    /// The same, but no NaN need show: a state that is only written, or of which only the sign is read.
    pub const fn hides_nan(self) -> Self {
        RuleState {
            shows_nan: false,
            ..self
        }
    }
}

/// How an update changes an element of a parameter by the same element of its gradient.
///
/// A rule is written twice. [`step`](UpdateRule::step) runs on f32 and f64 on the CPU session, and on numbers that carry
/// their rounding errors, which gives the bound. [`wgsl`](UpdateRule::wgsl) is the text that runs on devices: a struct
/// `Rule` of the rule's numbers and a function `take_step`, which `shaders/update.wgsl` calls. [`Update::cases`](super::Update::cases)
/// compares the two.
///
/// Decay, clipping, accumulation and averages are no part of it: see [`Treatment`](super::Treatment). An optimizer that
/// implements this trait is recorded by [`Common::updates`](crate::optim::Common::updates); all parameters' updates are
/// then one dispatch.
pub trait UpdateRule: fmt::Debug + Clone + Send + Sync + 'static {
    /// The name of the op in plans: `update.adam`.
    fn label(&self) -> &'static str;

    /// What it keeps for each parameter; at most [`MAX_STATES`].
    fn states(&self) -> &'static [RuleState] {
        &[]
    }

    /// What a state holds before the first update, everywhere.
    fn initial(&self, _state: &str) -> f32 {
        0.0
    }

    /// The bases β₁ and β₂ of the powers that the clock keeps, in [0, 1).
    fn betas(&self) -> [f32; 2] {
        [0.0; 2]
    }

    /// What else the clock computes from the number of the update.
    fn series(&self) -> Series {
        Series::None
    }

    /// Whether every number is in its range.
    ///
    /// # Errors
    ///
    /// The first number that is not, by name.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Whether it changes in every step, not only in those that update.
    fn always(&self) -> bool {
        false
    }

    /// Whether a NaN in the weight shows in the results of every step.
    fn shows_nan(&self) -> bool {
        true
    }

    /// An op that does the update alone, without any treatment, if there is one: into it plans fuse gradients and whole
    /// steps. It takes w, the states, g and the rates of a clock that counts no updates.
    fn own_op(&self) -> Option<Arc<dyn Op>> {
        None
    }

    /// The text of the struct `Rule` and the function `take_step`.
    fn wgsl(&self) -> &'static str;

    /// The fields of the text's struct `Rule`. A rule without numbers declares `struct Rule { none: u32 }`.
    fn numbers(&self) -> Vec<(&'static str, Param)> {
        vec![("none", 0u32.into())]
    }

    /// The formula: from what is alike for all elements, the function that takes an element, already decayed, and its
    /// gradient, already treated, to the element after the update.
    fn step<N: Known>(&self, at: &Moment<'_, N>) -> impl Fn(Element<N>, N) -> Element<N>;
}

/// What an update's formula reads that is alike for all elements.
#[derive(Debug)]
pub struct Moment<'a, N> {
    /// η, times the parameter's factor.
    pub eta: N,
    /// The factor of this parameter's learning rate.
    pub factor: N,
    /// The numbers of a clock that counts updates: see [`rate`].
    pub(super) rates: &'a [N],
}

impl<N: Known> Moment<'_, N> {
    /// β₁ᵗ and β₂ᵗ.
    #[inline(always)]
    pub fn powers(&self) -> [N; 2] {
        [self.rates[rate::POWER_1], self.rates[rate::POWER_2]]
    }

    /// t, the number of this update from 1.
    #[inline(always)]
    pub fn update(&self) -> N {
        self.rates[rate::UPDATE]
    }

    /// Whether this is the first update.
    #[inline(always)]
    pub fn is_first(&self) -> bool {
        self.update().decides() == 1.0
    }

    /// Whether this is the first of the steps that make an update.
    #[inline(always)]
    pub fn begins(&self) -> bool {
        (self.rates[rate::FLAGS].decides() as u32) & 4 != 0
    }

    /// The two numbers of the rule's [`Series`].
    #[inline(always)]
    pub fn series(&self) -> [N; 2] {
        [self.rates[rate::SERIES], self.rates[rate::SERIES + 1]]
    }

    /// The first two sums of squares that the op `SumOfSquares` left.
    #[inline(always)]
    pub fn squares(&self) -> [N; 2] {
        [self.rates[rate::SQUARES], self.rates[rate::SQUARES + 1]]
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
    let exact = f64::from(beta);
    let decimal = (exact * 1e7).round() / 1e7;
    1.0 - if decimal as f32 == beta {
        decimal
    } else {
        exact
    }
}
