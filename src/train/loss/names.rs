//! Losses by name, and as text.

use std::fmt;

use crate::nn::plain;
use crate::{Error, Result};

use super::{Loss, LossSpec, Reads, Reduction};

/// Every loss with Keras' defaults, and the short names that Keras knows it by.
const TABLE: &[(Loss, &[&str])] = &[
    (Loss::HalfSquaredError, &[]),
    (Loss::MeanSquaredError, &["mse"]),
    (Loss::MeanAbsoluteError, &["mae", "l1"]),
    (Loss::MeanAbsolutePercentageError, &["mape"]),
    (Loss::MeanSquaredLogarithmicError, &["msle"]),
    (Loss::Huber { delta: 1.0 }, &["huber_loss"]),
    (Loss::LogCosh, &[]),
    (Loss::BinaryCrossentropy, &["bce"]),
    (
        Loss::BinaryFocalCrossentropy {
            alpha: None,
            gamma: 2.0,
        },
        &[],
    ),
    (Loss::CategoricalCrossentropy, &["cce"]),
    (
        Loss::CategoricalFocalCrossentropy {
            alpha: 0.25,
            gamma: 2.0,
        },
        &[],
    ),
    (Loss::SparseCategoricalCrossentropy, &["scce", "sparse_cce"]),
    (Loss::NegativeLogLikelihood, &["nll", "nll_loss"]),
    (Loss::KlDivergence, &["kld", "kullback_leibler_divergence"]),
    (Loss::Poisson, &[]),
    (Loss::Hinge, &[]),
    (Loss::SquaredHinge, &[]),
    (Loss::CategoricalHinge, &[]),
    (Loss::CosineSimilarity, &[]),
    (Loss::Dice, &[]),
    (
        Loss::Tversky {
            alpha: 0.5,
            beta: 0.5,
        },
        &[],
    ),
];

impl Loss {
    /// Every loss, with Keras' defaults.
    pub fn all() -> impl Iterator<Item = Loss> {
        TABLE.iter().map(|(loss, _)| *loss)
    }

    /// The loss of that name with Keras' defaults: the name of Keras' function (`mean_squared_error`), of its class
    /// (`MeanSquaredError`) or a short one (`mse`).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with all names.
    pub fn named(name: &str) -> Result<Loss> {
        let wanted = plain(name);
        let is = |(loss, short): &&(Loss, &[&str])| {
            plain(loss.name()) == wanted || short.iter().any(|short| plain(short) == wanted)
        };
        let found = TABLE.iter().find(is);
        found.map(|(loss, _)| *loss).ok_or_else(|| Error::NotFound {
            what: "loss",
            name: name.into(),
            known: Loss::all().map(|loss| loss.name().into()).collect(),
        })
    }

    /// Keras' name of it; `half_squared_error` and `negative_log_likelihood` for those that Keras does not have.
    pub fn name(self) -> &'static str {
        match self {
            Loss::HalfSquaredError => "half_squared_error",
            Loss::MeanSquaredError => "mean_squared_error",
            Loss::MeanAbsoluteError => "mean_absolute_error",
            Loss::MeanAbsolutePercentageError => "mean_absolute_percentage_error",
            Loss::MeanSquaredLogarithmicError => "mean_squared_logarithmic_error",
            Loss::Huber { .. } => "huber",
            Loss::LogCosh => "log_cosh",
            Loss::BinaryCrossentropy => "binary_crossentropy",
            Loss::BinaryFocalCrossentropy { .. } => "binary_focal_crossentropy",
            Loss::CategoricalCrossentropy => "categorical_crossentropy",
            Loss::CategoricalFocalCrossentropy { .. } => "categorical_focal_crossentropy",
            Loss::SparseCategoricalCrossentropy => "sparse_categorical_crossentropy",
            Loss::NegativeLogLikelihood => "negative_log_likelihood",
            Loss::KlDivergence => "kl_divergence",
            Loss::Poisson => "poisson",
            Loss::Hinge => "hinge",
            Loss::SquaredHinge => "squared_hinge",
            Loss::CategoricalHinge => "categorical_hinge",
            Loss::CosineSimilarity => "cosine_similarity",
            Loss::Dice => "dice",
            Loss::Tversky { .. } => "tversky",
        }
    }

    /// Its own settings as text.
    fn settings(self) -> Vec<String> {
        match self {
            Loss::Huber { delta } => vec![format!("delta={delta}")],
            Loss::BinaryFocalCrossentropy { alpha, gamma } => {
                let alpha = alpha.map(|alpha| format!("alpha={alpha}"));
                alpha
                    .into_iter()
                    .chain([format!("gamma={gamma}")])
                    .collect()
            }
            Loss::CategoricalFocalCrossentropy { alpha, gamma } => {
                vec![format!("alpha={alpha}"), format!("gamma={gamma}")]
            }
            Loss::Tversky { alpha, beta } => {
                vec![format!("alpha={alpha}"), format!("beta={beta}")]
            }
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Loss {
    /// Its name, with its settings: `huber(delta=1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&LossSpec::from(*self), f)
    }
}

impl fmt::Display for LossSpec {
    /// The loss's name, with all that is not by default: `binary_crossentropy(from_logits, label_smoothing=0.1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut settings = self.loss.settings();
        match self.reads {
            Reads::Auto => {}
            Reads::Logits => settings.push("from_logits".into()),
            Reads::Probabilities => settings.push("from_probabilities".into()),
        }
        if self.label_smoothing != 0.0 {
            settings.push(format!("label_smoothing={}", self.label_smoothing));
        }
        if let Some(class) = self.ignore_class {
            settings.push(format!("ignore_class={class}"));
        }
        if self.reduction != Reduction::default() {
            settings.push(format!("reduction={}", self.reduction.name()));
        }
        f.write_str(self.loss.name())?;
        if settings.is_empty() {
            return Ok(());
        }
        write!(f, "({})", settings.join(", "))
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
            ("BinaryFocalCrossentropy", Loss::binary_focal()),
            ("CategoricalFocalCrossentropy", Loss::categorical_focal()),
            ("Tversky", Loss::tversky(0.5, 0.5)),
        ] {
            assert_eq!(Loss::named(name).ok(), Some(loss), "{name}");
        }
        let unknown = Loss::named("mean_error").unwrap_err().to_string();
        assert!(unknown.contains("mean_squared_error"), "{unknown}");
    }

    #[test]
    fn every_name_means_one_loss() {
        for loss in Loss::all() {
            assert_eq!(Loss::named(loss.name()).ok(), Some(loss));
        }
    }

    #[test]
    fn a_loss_is_shown_with_what_is_not_by_default() {
        assert_eq!(Loss::MeanSquaredError.to_string(), "mean_squared_error");
        assert_eq!(Loss::huber(0.5).to_string(), "huber(delta=0.5)");
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
            let read: LossSpec = serde_json::from_str(&text).unwrap();
            assert_eq!(read, spec, "{text}");
        }
        // As it was written before there were settings.
        let old = r#"{"loss":"mean_squared_error","reads":"auto"}"#;
        let read: LossSpec = serde_json::from_str(old).unwrap();
        assert_eq!(read, Loss::MeanSquaredError.into());
    }
}
