//! Losses by name, as text, and in model files.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer};
use serde::ser::{self, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Result;
use crate::train::table;
use crate::train::table::{Listed, Listing, Tagged};

use super::errors::Huber;
use super::overlap::Tversky;
use super::{
    BinaryFocalCrossentropy, CategoricalFocalCrossentropy, Loss, LossSettings, Reads, Reduction,
    RowFunction,
};

impl Listed for Loss {
    const WHAT: &'static str = "loss";
    const TABLE: &'static [Listing<Self>] = &[
        Listing::new(|| Loss::HalfSquaredError, &[]),
        Listing::new(|| Loss::MeanSquaredError, &["mse"]),
        Listing::new(|| Loss::MeanAbsoluteError, &["mae", "l1"]),
        Listing::new(|| Loss::MeanAbsolutePercentageError, &["mape"]),
        Listing::new(|| Loss::MeanSquaredLogarithmicError, &["msle"]),
        of::<Huber>(&["huber_loss"]),
        Listing::new(|| Loss::LogCosh, &[]),
        Listing::new(|| Loss::BinaryCrossentropy, &["bce"]),
        of::<BinaryFocalCrossentropy>(&[]),
        Listing::new(|| Loss::CategoricalCrossentropy, &["cce"]),
        of::<CategoricalFocalCrossentropy>(&[]),
        Listing::new(
            || Loss::SparseCategoricalCrossentropy,
            &["scce", "sparse_cce"],
        ),
        Listing::new(|| Loss::NegativeLogLikelihood, &["nll", "nll_loss"]),
        Listing::new(
            || Loss::KlDivergence,
            &["kld", "kullback_leibler_divergence"],
        ),
        Listing::new(|| Loss::Poisson, &[]),
        Listing::new(|| Loss::Hinge, &[]),
        Listing::new(|| Loss::SquaredHinge, &[]),
        Listing::new(|| Loss::CategoricalHinge, &[]),
        Listing::new(|| Loss::CosineSimilarity, &[]),
        Listing::new(|| Loss::Dice, &[]),
        of::<Tversky>(&[]),
    ];

    fn listed_name(&self) -> &str {
        self.name()
    }
}

/// The entry of a function with settings.
const fn of<F>(short: &'static [&'static str]) -> Listing<Loss>
where
    F: RowFunction + Default + DeserializeOwned + 'static,
{
    Listing {
        example: || Loss::from(F::default()),
        read: Some(|config| config.read::<F>().map(Loss::from)),
        short,
        has_default: true,
    }
}

impl Loss {
    /// Every built-in loss, with Keras' defaults.
    pub fn all() -> impl Iterator<Item = Loss> {
        Self::TABLE.iter().map(|entry| (entry.example)())
    }

    /// The loss of that name with Keras' defaults: the name of Keras' function (`mean_squared_error`), of its class
    /// (`MeanSquaredError`) or a short one (`mse`).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) with all names.
    pub fn from_name(name: &str) -> Result<Loss> {
        table::by_default(name)
    }
}

/// A loss in a model file.
#[derive(Serialize, Deserialize)]
struct Description {
    loss: Tagged,
    #[serde(flatten)]
    settings: LossSettings,
}

impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let loss = Tagged::new::<Loss>(self.name(), self.config()).map_err(ser::Error::custom)?;
        let settings = self.settings;
        Description { loss, settings }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Loss {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let Description { loss, settings } = Description::deserialize(deserializer)?;
        let loss: Loss = loss.read().map_err(de::Error::custom)?;
        Ok(Loss { settings, ..loss })
    }
}

impl fmt::Display for Loss {
    /// The name, with all settings that are not by default: `binary_crossentropy(from_logits, label_smoothing=0.1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.config();
        let own = config.and_then(|config| config.read::<BTreeMap<String, Value>>().ok());
        let text = |(name, value): (String, Value)| match value {
            Value::Null => None,
            // Settings are f32, whose digits are fewer.
            Value::Number(number) => number
                .as_f64()
                .map(|value| format!("{name}={}", value as f32)),
            other => Some(format!("{name}={other}")),
        };
        let mut settings: Vec<String> = own.into_iter().flatten().filter_map(text).collect();
        let LossSettings {
            reads,
            label_smoothing,
            ignore_class,
            reduction,
        } = self.settings;
        match reads {
            Reads::Auto => {}
            Reads::Logits => settings.push("from_logits".into()),
            Reads::Probabilities => settings.push("from_probabilities".into()),
        }
        if label_smoothing != 0.0 {
            settings.push(format!("label_smoothing={label_smoothing}"));
        }
        if let Some(class) = ignore_class {
            settings.push(format!("ignore_class={class}"));
        }
        if reduction != Reduction::default() {
            settings.push(format!("reduction={}", reduction.name()));
        }
        f.write_str(self.name())?;
        if settings.is_empty() {
            return Ok(());
        }
        write!(f, "({})", settings.join(", "))
    }
}

impl fmt::Debug for Loss {
    /// The same as it is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_found_by_keras_names_for_function_class_and_short() {
        for (name, loss) in [
            ("mean_squared_error", Loss::MeanSquaredError),
            ("MeanSquaredError", Loss::MeanSquaredError),
            ("mse", Loss::MeanSquaredError),
            ("MAPE", Loss::MeanAbsolutePercentageError),
            ("KLDivergence", Loss::KlDivergence),
            ("logcosh", Loss::LogCosh),
            ("Huber", Loss::huber(1.0)),
            (
                "BinaryFocalCrossentropy",
                BinaryFocalCrossentropy::default().into(),
            ),
            (
                "CategoricalFocalCrossentropy",
                CategoricalFocalCrossentropy::default().into(),
            ),
            ("Tversky", Loss::tversky(0.5, 0.5)),
        ] {
            assert_eq!(Loss::from_name(name).ok(), Some(loss), "{name}");
        }
        let unknown = Loss::from_name("mean_error").unwrap_err().to_string();
        assert!(unknown.contains("mean_squared_error"), "{unknown}");
    }

    #[test]
    fn every_name_means_one_loss() {
        assert_eq!(Loss::all().count(), 21);
        for loss in Loss::all() {
            assert_eq!(Loss::from_name(loss.name()).ok(), Some(loss));
        }
    }

    #[test]
    fn losses_are_equal_by_function_and_settings_and_closures_by_identity() {
        assert_ne!(Loss::huber(1.0), Loss::huber(0.5));
        assert_ne!(Loss::huber(1.0), Loss::LogCosh);
        assert_ne!(Loss::Dice, Loss::Dice.from_logits());
        let own = || Loss::from_fn("own", |y, target| y.sub(target));
        let (one, other) = (own(), own());
        assert_eq!(one, one.clone());
        assert_ne!(one, other);
    }

    #[test]
    fn a_loss_is_shown_with_what_is_not_by_default() {
        assert_eq!(Loss::MeanSquaredError.to_string(), "mean_squared_error");
        assert_eq!(Loss::huber(0.1).to_string(), "huber(delta=0.1)");
        assert_eq!(
            Loss::from(BinaryFocalCrossentropy::default()).to_string(),
            "binary_focal_crossentropy(gamma=2)"
        );
        assert_eq!(
            Loss::SparseCategoricalCrossentropy
                .from_logits()
                .label_smoothing(0.1)
                .ignore_class(3)
                .to_string(),
            "sparse_categorical_crossentropy(from_logits, label_smoothing=0.1, ignore_class=3)"
        );
    }

    #[test]
    fn a_loss_comes_back_from_its_description() {
        for loss in Loss::all() {
            let spec = loss.label_smoothing(0.25).ignore_class(1);
            let text = serde_json::to_string(&spec).unwrap();
            let read: Loss = serde_json::from_str(&text).unwrap();
            assert_eq!(read, spec, "{text}");
        }
        // The form that was written before there were settings.
        let old = r#"{"loss":"mean_squared_error","reads":"auto"}"#;
        let read: Loss = serde_json::from_str(old).unwrap();
        assert_eq!(read, Loss::MeanSquaredError);
        let own = Loss::from_fn("own", |y, target| y.sub(target));
        assert!(serde_json::to_string(&own).is_err());
    }
}
