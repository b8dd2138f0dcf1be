//! The numbers that a formula's entry point in `update.wgsl` takes.

use crate::contract::Launch;
use crate::op::adam::complement;

use super::Formula;
use super::step::nadam_share;

impl Formula {
    /// Sets the params of the formula; those that it has no use for are zeros.
    pub(super) fn params(&self, launch: Launch) -> Launch {
        let share = |beta: f32| complement(beta) as f32;
        let mut numbers = [
            ("beta_1", 0.0),
            ("rate_1", 0.0),
            ("beta_2", 0.0),
            ("rate_2", 0.0),
            ("epsilon", 0.0),
            ("momentum", 0.0),
            ("power", 0.0),
            ("l1", 0.0),
            ("least", 0.0),
            ("most", 0.0),
        ];
        let mut set = |name: &str, value: f32| {
            if let Some(number) = numbers.iter_mut().find(|(known, _)| *known == name) {
                number.1 = value;
            }
        };
        let mut variant = false;
        match *self {
            Formula::Descent | Formula::Trust | Formula::Blend => {}
            Formula::Momentum { momentum, nesterov } => {
                set("momentum", momentum);
                variant = nesterov;
            }
            Formula::HeavyBall {
                momentum,
                dampening,
                nesterov,
            } => {
                set("momentum", momentum);
                set("rate_1", share(dampening));
                variant = nesterov;
            }
            Formula::RmsProp {
                rho,
                momentum,
                epsilon,
                outside,
                ..
            } => {
                set("rate_2", share(rho));
                set("momentum", momentum);
                set("epsilon", epsilon);
                variant = !outside;
            }
            Formula::Adagrad { epsilon, outside } => {
                set("epsilon", epsilon);
                variant = !outside;
            }
            Formula::Adadelta { rho, epsilon } => {
                set("rate_2", share(rho));
                set("epsilon", epsilon);
            }
            Formula::Adam {
                beta_1,
                beta_2,
                epsilon,
                corrected,
                ..
            } => {
                set("rate_1", share(beta_1));
                set("rate_2", share(beta_2));
                set("epsilon", epsilon);
                variant = corrected;
            }
            Formula::Adamax {
                beta_1,
                beta_2,
                epsilon,
                inside,
            } => {
                set("rate_1", share(beta_1));
                set("beta_2", beta_2);
                set("epsilon", epsilon);
                variant = inside;
            }
            Formula::Nadam {
                beta_1,
                beta_2,
                epsilon,
                base,
                rounded,
            } => {
                set("beta_1", beta_1);
                set("rate_1", nadam_share(beta_1, rounded) as f32);
                set("rate_2", nadam_share(beta_2, rounded) as f32);
                set("epsilon", epsilon);
                set("power", base);
            }
            Formula::Radam {
                beta_1,
                beta_2,
                epsilon,
            }
            | Formula::Lamb {
                beta_1,
                beta_2,
                epsilon,
            } => {
                set("rate_1", share(beta_1));
                set("rate_2", share(beta_2));
                set("epsilon", epsilon);
            }
            Formula::Lion { beta_1, beta_2 } => {
                set("beta_1", beta_1);
                set("rate_1", share(beta_1));
                set("beta_2", beta_2);
                set("rate_2", share(beta_2));
            }
            Formula::Ftrl {
                power,
                l1,
                l2,
                shrinkage,
                beta,
            } => {
                set("power", power);
                set("l1", l1);
                set("most", 2.0 * l2);
                set("least", 2.0 * shrinkage);
                set("beta_1", beta);
            }
            Formula::Asgd { lambda } => set("beta_1", lambda),
            Formula::Rprop {
                shrink,
                grow,
                least,
                most,
            } => {
                set("beta_1", shrink);
                set("beta_2", grow);
                set("least", least);
                set("most", most);
            }
            Formula::Relative {
                epsilon,
                threshold,
                elements,
            } => {
                set("epsilon", epsilon);
                set("most", threshold);
                set("power", (1.0 / f64::from(elements)) as f32);
            }
            Formula::Buffer { momentum, share } => {
                set("momentum", momentum);
                set("rate_1", share);
            }
            Formula::Collect { share } => set("rate_1", share),
        }
        let launch = launch.param("variant", u32::from(variant));
        numbers
            .into_iter()
            .fold(launch, |launch, (name, value)| launch.param(name, value))
    }
}
