//! How an optimizer is defined: its settings with defaults and ranges once, from which follow the struct, its checks, its
//! form in files, and the [`Optimizer`](super::Optimizer).

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

        $crate::optim::define::recorded!($kind $name $label);
    };
}
pub(super) use optimizer;

/// The [`Optimizer`](super::Optimizer) of settings with a `learning_rate`, the `common` ones, and `check_settings`.
macro_rules! recorded {
    (elementwise $name:ident $label:literal) => {
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
        $crate::optim::define::recorded!(composed $name $label);
    };
    (composed $name:ident $label:literal) => {
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
pub(super) use recorded;
