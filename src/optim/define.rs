//! How an optimizer is defined: its settings with defaults and ranges once, from which follow the struct, its builder
//! methods, its checks, its form in files, and the [`Optimizer`](super::Optimizer).

/// Defines an optimizer: its kind, its name as a type and in files, the default of η, and its own settings, each with its
/// default and, where it has one, its range (a function of [`range`](crate::range) or one like them).
///
/// An `elementwise` optimizer has a formula for each element: it implements [`UpdateRule`](crate::op::UpdateRule) itself. A
/// `composed` one is made of several updates, with methods `clock_rates` and `record` that say which.
macro_rules! optimizer {
    (
        $(#[$doc:meta])*
        $kind:ident $name:ident $label:literal, $rate:literal {
            $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr $(, $check:path)?;)*
        }
        $(also $together:path;)?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            #[doc = concat!("η. Default ", $rate, ".")]
            pub learning_rate: $crate::optim::Schedule,
            $($(#[$field_doc])* pub $field: $type,)*
            /// What all optimizers have.
            #[serde(skip_serializing_if = "crate::optim::Common::is_default")]
            pub common: $crate::optim::Common,
        }

        impl Default for $name {
            fn default() -> Self {
                $name::new($rate)
            }
        }

        impl $name {
            /// The optimizer with this learning rate, a number or a [`Schedule`](crate::optim::Schedule).
            pub fn new(learning_rate: impl Into<$crate::optim::Schedule>) -> Self {
                $name {
                    learning_rate: learning_rate.into(),
                    $($field: $default,)*
                    common: Default::default(),
                }
            }

            /// The settings of the formula alone, as the op of an update holds them.
            #[allow(dead_code)] // Some composed optimizers have other rules.
            fn rule(&self) -> Self {
                $name {
                    learning_rate: 0.0.into(),
                    common: Default::default(),
                    ..self.clone()
                }
            }

            /// Checks the settings that no other optimizer shares.
            fn check_settings(&self) -> $crate::Result<()> {
                $($($check(stringify!($field), self.$field)?;)?)*
                $($together(self)?;)?
                Ok(())
            }
        }

        $crate::optim::define::common_settings!($name);
        $crate::optim::define::recorded!($kind $name $label);
    };
}
pub(super) use optimizer;

/// The [`Optimizer`](super::Optimizer) of settings with a `learning_rate`, the `common` ones, and `check_settings`.
macro_rules! recorded {
    (elementwise $name:ident $label:literal) => {
        $crate::optim::define::recorded!(
            $name,
            $label,
            |own| own.common.rates(&own.learning_rate, own),
            |own, parameters, clock| own.common.updates(&own.rule(), parameters, clock)
        );
    };
    (composed $name:ident $label:literal) => {
        $crate::optim::define::recorded!(
            $name,
            $label,
            |own| own.clock_rates(),
            |own, parameters, clock| own.record(parameters, clock)
        );
    };
    (
        $name:ident, $label:literal,
        |$own:ident| $rates:expr,
        |$too:ident, $parameters:ident, $clock:ident| $updates:expr
    ) => {
        impl $crate::optim::Optimizer for $name {
            fn name(&self) -> &'static str {
                $label
            }

            fn validate(&self) -> $crate::Result<()> {
                self.learning_rate.validate()?;
                self.check_settings()?;
                self.common.validate()
            }

            fn config(&self) -> Option<$crate::optim::OptimizerConfig> {
                Some($crate::optim::OptimizerConfig::$name(self.clone()))
            }

            fn rates(&self) -> $crate::optim::Rates {
                let $own = self;
                $rates
            }

            fn updates(
                &self,
                $parameters: &[(&str, &$crate::Tensor, &$crate::Tensor)],
                $clock: &$crate::optim::Clock,
            ) -> Vec<$crate::Tensor> {
                let $too = self;
                $updates
            }
        }
    };
}
pub(super) use recorded;

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

            /// The same with one update for the mean gradient of this many batches.
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

            /// The same with the mean in the weights' place after every `updates` updates.
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
