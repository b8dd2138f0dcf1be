//! What follows from the table of built-in optimizers: their settings as one type, look-up by name, and what their rules are
//! tried on.

use crate::contract::Entry;
use crate::lookup::plain;
use crate::{Error, Result, Tensor};

use super::settings::ADAM_W_DECAY;
use super::{Clock, CommonSettings, Optimizer, OptimizerConfig, Rates};

/// The settings of built-in optimizers as one type, and the cases of all rules.
macro_rules! configs {
    ($($name:ident,)*) => {
        /// The settings of a built-in optimizer, as model files keep them.
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum OptimizerConfig {
            $(#[doc = concat!("The settings of [`", stringify!($name), "`].")] $name($name),)*
        }

        impl OptimizerConfig {
            /// The optimizer with these settings, as it is used.
            fn as_optimizer(&self) -> &dyn Optimizer {
                match self {
                    $(OptimizerConfig::$name(optimizer) => optimizer,)*
                }
            }

            /// The learning rate, to be set.
            pub fn learning_rate_mut(&mut self) -> &mut Schedule {
                match self {
                    $(OptimizerConfig::$name(optimizer) => &mut optimizer.learning_rate,)*
                }
            }

            /// Every optimizer as it is by default, in the order of this list.
            pub fn defaults() -> Vec<OptimizerConfig> {
                vec![$(OptimizerConfig::$name($name::default()),)*]
            }
        }

        impl CommonSettings for OptimizerConfig {
            fn common_mut(&mut self) -> &mut Common {
                match self {
                    $(OptimizerConfig::$name(optimizer) => &mut optimizer.common,)*
                }
            }
        }

        /// What the rules of all optimizers are tried on.
        fn cases() -> Vec<$crate::contract::Case> {
            let mut samples = samples::RuleSamples::default();
            gradients::samples(&mut samples);
            $($name::samples(&mut samples);)*
            samples.cases
        }
    };
}

pub(super) use configs;

/// The rules of all optimizers, as the harnesses try them.
pub(crate) const ENTRY: Entry = Entry::new("update", &[], super::cases);

impl OptimizerConfig {
    /// Refuses parts of names in the settings that are in the name of no weight: a slip of the pen would change nothing, silently.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] with the setting, the part of a name and the names that there are.
    pub(crate) fn check_names(&self, weights: &[String]) -> Result<()> {
        let mut own = self.clone();
        let common = std::mem::take(own.common_mut());
        let excluded = common.exclude_from_weight_decay.into_iter();
        let mut parts: Vec<(&'static str, String)> = excluded
            .map(|part| ("exclude_from_weight_decay", part))
            .collect();
        let factors = common.learning_rate_factors.into_iter();
        parts.extend(factors.map(|(part, _)| ("learning_rate_factors", part)));
        if let OptimizerConfig::Muon(muon) = own {
            let excluded = muon.exclude_layers.into_iter();
            parts.extend(excluded.map(|part| ("exclude_layers", part)));
        }
        let unknown = |(_, part): &(_, String)| !weights.iter().any(|name| name.contains(part));
        match parts.into_iter().find(unknown) {
            None => Ok(()),
            Some((setting, part)) => Err(Error::argument(
                setting,
                format!(
                    "names `{part}`, which is in the name of no weight of the model; there is: {}",
                    weights.join(", ")
                ),
            )),
        }
    }

    /// The optimizer of that name with Keras' defaults: `adam`, `RMSprop`, `adamw` …
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the names that there are.
    ///
    /// ```
    /// use kiln::optim::{OptimizerConfig, RmsProp};
    ///
    /// assert_eq!(OptimizerConfig::from_name("rmsprop")?, OptimizerConfig::RmsProp(RmsProp::default()));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn from_name(name: &str) -> Result<Self> {
        let wanted = plain(name);
        if wanted == ADAM_W {
            return Ok(Self::default().weight_decay(ADAM_W_DECAY));
        }
        let mut all = Self::defaults();
        let found = all.iter().position(|known| plain(known.name()) == wanted);
        if let Some(found) = found {
            return Ok(all.swap_remove(found));
        }
        let names = all.iter().map(Optimizer::name).chain([ADAM_W]);
        Err(Error::not_found("optimizer", name, names))
    }
}

/// Adam with decoupled decay, which is no optimizer of its own here.
const ADAM_W: &str = "adamw";

impl Optimizer for OptimizerConfig {
    fn name(&self) -> &'static str {
        self.as_optimizer().name()
    }

    fn validate(&self) -> Result<()> {
        self.as_optimizer().validate()
    }

    fn config(&self) -> Option<OptimizerConfig> {
        Some(self.clone())
    }

    fn rates(&self) -> Rates {
        self.as_optimizer().rates()
    }

    fn updates(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor> {
        self.as_optimizer().updates(parameters, clock)
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        OptimizerConfig::Adam(Default::default())
    }
}
