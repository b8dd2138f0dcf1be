//! How an optimizer is defined: its settings with defaults and ranges once, from which follow the struct, its checks, its
//! form in files, and the [`Optimizer`](super::Optimizer).

/// Defines an optimizer: its kind, its name as a type and in files, the default of η, and its own settings, each with its
/// default and, where it has one, its range (a function of [`range`](crate::range) or one like them).
///
/// An `elementwise` optimizer has a formula for each element: it implements [`UpdateRule`](crate::op::UpdateRule) itself. A
/// `composed` one is made of several updates, with methods `clock_rates` and `record` that say which.
///
/// After the settings may stand `common`, the settings that all optimizers have where its own default is another; `also`, a
/// check of several settings together; and `tried on`, the rules with numbers that make its cases, without which it has a
/// function `samples`.
macro_rules! optimizer {
    (@or $common:expr) => { $common };
    (@or) => { Default::default() };
    (@parts composed $name:ident) => {};
    (@parts elementwise $name:ident) => {
        impl $name {
            fn clock_rates(&self) -> $crate::optim::Rates {
                self.common.rates(&self.learning_rate, self)
            }

            fn record(
                &self,
                parameters: &[(&str, &$crate::Tensor, &$crate::Tensor)],
                clock: &$crate::optim::Clock,
            ) -> Vec<$crate::Tensor> {
                self.common.updates(&self.rule(), parameters, clock)
            }
        }
    };
    (
        $(#[$doc:meta])*
        $kind:ident $name:ident $label:literal, $rate:literal {
            $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr $(, $check:path)?;)*
        }
        $(common $common:expr;)?
        $(also |$own:ident| $together:expr;)?
        $(tried on [$($rule:expr),* $(,)?];)?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            #[doc = concat!("η. Default ", $rate, ".")]
            pub learning_rate: $crate::optim::Schedule,
            $($(#[$field_doc])* pub $field: $type,)*
            /// What all optimizers have.
            #[serde(skip_serializing_if = "Self::goes_without_saying")]
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
                    common: $crate::optim::define::optimizer!(@or $($common)?),
                }
            }

            /// Whether files need not say the settings that all optimizers have.
            fn goes_without_saying(common: &$crate::optim::Common) -> bool {
                let plain = Default::default();
                *common == plain && Self::default().common == plain
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
                $(
                    let $own = self;
                    $together?;
                )?
                Ok(())
            }

            $(
                /// What its rules are tried on.
                pub(super) fn samples(
                    samples: &mut $crate::optim::samples::RuleSamples,
                ) -> &mut $crate::optim::samples::RuleSamples {
                    samples$(.add($rule))*
                }
            )?
        }

        $crate::optim::define::optimizer!(@parts $kind $name);

        impl $crate::optim::CommonSettings for $name {
            fn common_mut(&mut self) -> &mut $crate::optim::Common {
                &mut self.common
            }
        }

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
                self.clock_rates()
            }

            fn updates(
                &self,
                parameters: &[(&str, &$crate::Tensor, &$crate::Tensor)],
                clock: &$crate::optim::Clock,
            ) -> Vec<$crate::Tensor> {
                match self.validate() {
                    Ok(()) => self.record(parameters, clock),
                    Err(refusal) => $crate::optim::wrap::refused($label, &refusal, clock),
                }
            }
        }
    };
}
pub(super) use optimizer;
