//! Adafactor: the mean of squares of a matrix by its rows and columns alone.

use crate::number::Known;
use crate::op::{Element, Moment, RuleForm, Series, Update, UpdateRule, moved, norm_of, rule_form};
use crate::range::{above_zero, within};
use crate::{Result, Tensor, TensorType};

use super::define::optimizer;
use super::gradients::{MomentumBuffer, SEPARATE_NORMS, sum_of_squares};
use super::wrap::{record, shaped_state, state};
use super::{Clock, Rates};

optimizer! {
    /// Adafactor (Shazeer and Stern, 2018) with Keras' names and defaults.
    ///
    /// With s = t^`beta_2_decay`: v ← v + s·(g² + ε₁ − v); of a matrix its row means r and column means c instead, and
    /// v = r·c/mean(r). u = g/√v, and W ← W − max(ε₂, rms W)·min(η, 1/√t)·u/max(1, rms u/d). `l2`, a setting of all
    /// optimizers, must be 0 here.
    ///
    /// [`Adafactor::pytorch`] is PyTorch's form, in which ε₁ (default 1.19e-7, of which the square counts) is a lower bound
    /// of v instead, and weight decay comes after rms W is taken; its η is 0.01.
    composed Adafactor "adafactor", 0.001 {
        /// The exponent of t, below 0. Default −0.8.
        beta_2_decay: f32 = -0.8, below_zero;
        /// ε₁, above 0. Default 1e-30.
        epsilon_1: f32 = 1e-30, above_zero;
        /// ε₂, above 0. Default 0.001.
        epsilon_2: f32 = 0.001, above_zero;
        /// d, above 0. Default 1.
        clip_threshold: f32 = 1.0, above_zero;
        /// Whether as in PyTorch. Default false.
        pytorch: bool = false;
    }
    also |adafactor| no_coupled_decay(adafactor.common.l2);
    tried on [Blend, Relative { epsilon: 1e-3, threshold: 1.0, elements: 33 }];
}

fn below_zero(name: &'static str, value: f32) -> Result<()> {
    let fits = value < 0.0 && value.is_finite();
    within(fits, name, "below 0 and finite", value)
}

/// Refuses coupled decay in an optimizer whose direction is not the gradient's.
pub(super) fn no_coupled_decay(l2: f32) -> Result<()> {
    within(
        l2 == 0.0,
        "l2",
        "0 here, where weight_decay is decoupled",
        l2,
    )
}

impl Adafactor {
    /// PyTorch's form, with its ε₁.
    pub fn pytorch(mut self) -> Self {
        self.pytorch = true;
        self.epsilon_1 = f32::EPSILON;
        self
    }

    /// The mean of squares of a parameter after this step, and the updates of what is kept for it.
    fn squares(
        &self,
        name: &str,
        gradient: &Tensor,
        clock: &Clock,
        updates: &mut Vec<Tensor>,
    ) -> Tensor {
        let square = gradient.square();
        let square = if self.pytorch {
            square
        } else {
            square.offset(self.epsilon_1)
        };
        let dims = gradient.shape().dims().to_vec();
        let [outer @ .., rows, columns] = &dims[..] else {
            let v = state(name, "velocity", gradient, 0.0);
            updates.extend(record(Blend.into(), name, &v, &square, clock));
            return self.bounded(&v, self.epsilon_1 * self.epsilon_1);
        };
        let share = |count: usize| (1.0 / count as f64) as f32;
        let last = dims.len() - 1;
        let mut kept = |kind: &str, over: usize| {
            let mean = square.sum_over(over as isize).scale(share(dims[over]));
            let held = TensorType::f32(mean.shape());
            let held = shaped_state(name, kind, gradient, held, 0.0);
            updates.extend(record(Blend.into(), name, &held, &mean, clock));
            held
        };
        let (r, c) = (kept("r", last), kept("c", last - 1));
        let shaped = |tensor: &Tensor, end: [usize; 2]| tensor.reshape([outer, &end[..]].concat());
        let mean = shaped(&r.sum_over(-1).scale(share(*rows)), [1, 1]);
        let mean = self.bounded(&mean, self.epsilon_1);
        let (r, c) = (shaped(&r, [*rows, 1]), shaped(&c, [1, *columns]));
        let v = if self.pytorch {
            r.mul(&c).div(&mean)
        } else {
            r.div(&mean).mul(&c)
        };
        self.bounded(&v, self.epsilon_1 * self.epsilon_1)
    }

    /// Not below this, in PyTorch's form.
    fn bounded(&self, x: &Tensor, least: f32) -> Tensor {
        if self.pytorch {
            x.maximum(&x.graph().constant([1], &[least]))
        } else {
            x.clone()
        }
    }

    fn clock_rates(&self) -> Rates {
        let exponent = self.beta_2_decay;
        let series = Series::Power { exponent };
        self.common.counted(&self.learning_rate, [0.0; 2], series)
    }

    #[track_caller]
    fn record(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor> {
        let (gradients, mut updates) = self.common.prepared(parameters, clock);
        for ((name, parameter, _), gradient) in parameters.iter().zip(&gradients) {
            let mut pace = self.common.pace(name);
            if pace.decay != 0.0 && !self.pytorch {
                let keep = MomentumBuffer {
                    momentum: 1.0,
                    share: 0.0,
                };
                let keep = Update::new(keep, pace.clone());
                pace.decay = 0.0;
                updates.extend(record(keep, name, parameter, gradient, clock));
            }
            let squares = self.squares(name, gradient, clock, &mut updates);
            let direction = gradient.div(&squares.sqrt());
            updates.push(sum_of_squares(
                SEPARATE_NORMS,
                &[parameter, &direction],
                clock,
            ));
            let step = Relative {
                epsilon: self.epsilon_2,
                threshold: self.clip_threshold,
                elements: u32::try_from(parameter.kind().elements()).unwrap_or(u32::MAX),
            };
            pace.running = self.common.running();
            updates.extend(record(
                Update::new(step, pace),
                name,
                parameter,
                &direction,
                clock,
            ));
        }
        updates
    }
}

/// w ← w + (g − w)·p with the p of the clock's [`Series::Power`].
#[derive(Debug, Clone)]
struct Blend;

impl UpdateRule for Blend {
    fn form(&self) -> RuleForm {
        rule_form!("blend")
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let [share, _] = at.series;
        move |(w, states), g| (moved(w, g, share), states)
    }
}

/// The last part, g being u: w ← w − max(ε, rms w)·min(η, 1/√t)·g/max(1, rms u/d) by the sums of squares in the rates.
#[derive(Debug, Clone)]
struct Relative {
    epsilon: f32,
    /// d.
    threshold: f32,
    /// The number of elements, of which a mean square is the mean.
    elements: u32,
}

impl Relative {
    /// 1 over the number of elements.
    fn part(&self) -> f64 {
        1.0 / f64::from(self.elements)
    }
}

impl UpdateRule for Relative {
    fn form(&self) -> RuleForm {
        RuleForm {
            numbers: vec![
                ("epsilon", self.epsilon.into()),
                ("threshold", self.threshold.into()),
                ("part", (self.part() as f32).into()),
            ],
            ..rule_form!("relative")
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let (one, part) = (N::constant(1.0), N::constant(self.part()));
        let rms = |squares: N| {
            let (_, unit) = norm_of(squares);
            (squares.magnitude() * part).root() * unit
        };
        let [weights, direction] = at.squares.map(rms);
        let size = N::given(self.epsilon).larger(weights);
        let excess = one.larger(direction / N::given(self.threshold));
        let slowest = one / at.update.root();
        let rate = size * at.eta.smaller(slowest) / excess;
        move |(w, states), g| (w - g * rate, states)
    }
}
