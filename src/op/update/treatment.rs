//! What an update does before and after its rule: the sign and the mean of gradients, clipping, decay, the average.

use crate::contract::{Launch, Shader, wgsl};
use crate::number::{Known, limited};
use crate::op::{norm_of, rate};

use super::rule::{Moment, moved};

/// How a gradient is cut down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Clipped {
    /// Each element into ± this.
    Value(f32),
    /// To this norm, if the root of the sum of squares in the rates is larger.
    Norm(f32),
}

/// What runs along with the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Running {
    /// a ← k·a + (1 − k)·w, and w where the first update is; when due, w ← a.
    Mean {
        /// k, in [0, 1].
        keep: f32,
    },
    /// Slow weights (Zhang et al., 2019): when due, a ← a + s·(w − a), w ← a. They begin as w.
    Slow {
        /// s, in (0, 1].
        share: f32,
    },
}

/// What comes before and after a rule, in this order: g ← −g if the loss is to be maximised; the mean of the batches'
/// gradients; clipping; w ← w − decay·η·w; g ← g + l2·w; the rule; the average. By default nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Treatment {
    /// Whether the loss is made large instead of small.
    pub maximize: bool,
    /// Batches whose gradients make one update; the clock counts them.
    pub batches: u32,
    /// How gradients are cut down.
    pub clip: Option<Clipped>,
    /// Decoupled weight decay, as a share of η.
    pub decay: f32,
    /// Coupled decay: what is added to the gradient for each unit of the weight.
    pub l2: f32,
    /// What runs along; the clock says when it is due.
    pub running: Option<Running>,
    /// The factor of the learning rate.
    pub factor: f32,
}

impl Default for Treatment {
    fn default() -> Self {
        Treatment {
            maximize: false,
            batches: 1,
            clip: None,
            decay: 0.0,
            l2: 0.0,
            running: None,
            factor: 1.0,
        }
    }
}

impl Treatment {
    /// Tensors that it updates in place beside the weights and the states.
    pub fn written(&self) -> usize {
        usize::from(self.batches > 1) + usize::from(self.running.is_some())
    }

    /// Treats a few weights and their gradients before the rule.
    #[inline(always)]
    pub(super) fn before<N: Known, const B: usize>(
        &self,
        w: &mut [N; B],
        g: &mut [N; B],
        sum: &mut [N; B],
        rates: &[N],
    ) -> Moment<N> {
        let factor = N::given(self.factor);
        let at = |place: usize| [rates[place], rates[place + 1]];
        let at = Moment {
            eta: rates[rate::LEARNING_RATE] * factor,
            factor,
            powers: at(rate::POWERS),
            update: rates[rate::UPDATE],
            series: at(rate::SERIES),
            squares: at(rate::SQUARES),
            flags: rates[rate::FLAGS].decides() as u32,
        };
        if self.maximize {
            for g in &mut *g {
                *g = -*g;
            }
        }
        if self.batches > 1 {
            let share = N::given(self.mean());
            // What an update that was never made has left counts for none.
            let begins = at.begins();
            for (sum, g) in sum.iter_mut().zip(&mut *g) {
                let before = if begins { N::constant(0.0) } else { *sum };
                *sum = before + *g;
                *g = *sum * share;
            }
            if at.is_live() {
                *sum = [N::constant(0.0); B];
            }
        }
        match self.clip {
            None => {}
            Some(Clipped::Value(limit)) => {
                for g in &mut *g {
                    *g = limited(*g, N::given(limit));
                }
            }
            Some(Clipped::Norm(limit)) => {
                let (norm, unit) = norm_of(at.squares[0]);
                let limit = N::given(limit);
                if unit.decides() == 1.0 {
                    // The scale is continuous where the norm is the limit, so either side will do there.
                    let scale = limit / norm.larger(limit);
                    for g in &mut *g {
                        *g = *g * scale;
                    }
                } else if norm.decides() > limit.decides() / unit.decides() {
                    let scale = limit / norm;
                    for g in &mut *g {
                        *g = *g / unit * scale;
                    }
                }
            }
        }
        let decay = at.eta * N::given(self.decay);
        for (w, g) in w.iter_mut().zip(g) {
            *w = *w - *w * decay;
            *g = *g + N::given(self.l2) * *w;
        }
        at
    }

    /// Lets the average follow the weights, which were `before` and are `w`.
    #[inline(always)]
    pub(super) fn after<N: Known, const B: usize>(
        &self,
        before: &[N; B],
        w: &mut [N; B],
        average: &mut [N; B],
        at: &Moment<N>,
    ) {
        let (one, zero) = (N::constant(1.0), N::constant(0.0));
        match self.running {
            None => {}
            Some(Running::Mean { keep }) => {
                let keep = if at.is_first() { zero } else { N::given(keep) };
                for (average, w) in average.iter_mut().zip(&*w) {
                    *average = keep * *average + (one - keep) * *w;
                }
                if at.is_due() {
                    *w = *average;
                }
            }
            Some(Running::Slow { share }) => {
                if at.is_first() {
                    *average = *before;
                }
                if at.is_due() && at.is_live() {
                    for (slow, w) in average.iter_mut().zip(w) {
                        *slow = moved(*slow, *w, N::given(share));
                        *w = *slow;
                    }
                }
            }
        }
    }

    /// 1/(batches of an update).
    fn mean(&self) -> f32 {
        (1.0 / f64::from(self.batches)) as f32
    }

    /// The params of `update.wgsl` but the length and the rule's numbers.
    pub(super) fn params(&self, launch: Launch) -> Launch {
        let (clip, limit) = match self.clip {
            None => (0u32, 0.0),
            Some(Clipped::Value(limit)) => (1, limit),
            Some(Clipped::Norm(limit)) => (2, limit),
        };
        let (keep, lookahead) = match self.running {
            None => (0.0, 0u32),
            Some(Running::Mean { keep }) => (keep, 0),
            Some(Running::Slow { share }) => (share, 1),
        };
        launch
            .param("sign", if self.maximize { -1.0f32 } else { 1.0 })
            .param("mean", self.mean())
            .param("clip", clip)
            .param("clip_limit", limit)
            .param("coupled_decay", self.l2)
            .param("decay", self.decay)
            .param("eta_factor", self.factor)
            .param("keep", keep)
            .param("lookahead", lookahead)
    }

    /// The kernel of a rule with this text and this number of states.
    pub(super) fn shader(&self, rule: &'static str, states: usize) -> Shader {
        let along = if self.running.is_some() {
            wgsl!("update/average")
        } else if self.batches > 1 {
            wgsl!("update/sum")
        } else {
            wgsl!("update/plain")
        };
        let states = match states {
            0 => wgsl!("update/states_0"),
            1 => wgsl!("update/states_1"),
            2 => wgsl!("update/states_2"),
            _ => wgsl!("update/states_3"),
        };
        Shader::with_prelude("update", &[wgsl!("update"), rule, along, states].join("\n"))
    }
}
