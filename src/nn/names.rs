//! Initializers, penalties and constraints by Keras' names, with Keras' defaults.

use crate::{Error, Result};

use super::{Constraint, Distribution, Fan, Initializer, Regularizer};

/// Something with Keras' settings, and the names that Keras knows it by.
type Named<T> = (T, &'static [&'static str]);

const INITIALIZERS: &[Named<Initializer>] = &[
    (Initializer::GlorotUniform, &["glorot_uniform"]),
    (Initializer::GlorotNormal, &["glorot_normal"]),
    (Initializer::HeUniform, &["he_uniform"]),
    (Initializer::HeNormal, &["he_normal"]),
    (Initializer::LecunUniform, &["lecun_uniform"]),
    (Initializer::LecunNormal, &["lecun_normal"]),
    (
        Initializer::Uniform(-0.05, 0.05),
        &["random_uniform", "uniform"],
    ),
    (Initializer::Normal(0.0, 0.05), &["random_normal", "normal"]),
    (
        Initializer::TruncatedNormal(0.0, 0.05),
        &["truncated_normal"],
    ),
    (
        Initializer::VarianceScaling {
            scale: 1.0,
            fan: Fan::In,
            distribution: Distribution::TruncatedNormal,
        },
        &["variance_scaling"],
    ),
    (
        Initializer::Orthogonal(1.0),
        &["orthogonal", "orthogonal_initializer"],
    ),
    (
        Initializer::Identity(1.0),
        &["identity", "identity_initializer"],
    ),
    (Initializer::Zeros, &["zeros", "zero"]),
    (Initializer::Constant(1.0), &["ones", "one"]),
    (Initializer::Constant(0.0), &["constant"]),
];

const REGULARIZERS: &[Named<Regularizer>] = &[
    (Regularizer::L1(0.01), &["l1"]),
    (Regularizer::L2(0.01), &["l2"]),
    (Regularizer::L1L2 { l1: 0.0, l2: 0.0 }, &["l1_l2"]),
    (
        Regularizer::Orthogonal {
            factor: 0.01,
            columns: false,
        },
        &["orthogonal_regularizer", "orthogonal"],
    ),
];

const CONSTRAINTS: &[Named<Constraint>] = &[
    (
        Constraint::MaxNorm {
            max_value: 2.0,
            axis: 0,
        },
        &["max_norm"],
    ),
    (Constraint::NonNeg, &["non_neg", "non_negative"]),
    (Constraint::UnitNorm { axis: 0 }, &["unit_norm"]),
    (
        Constraint::MinMaxNorm {
            min_value: 0.0,
            max_value: 1.0,
            rate: 1.0,
            axis: 0,
        },
        &["min_max_norm"],
    ),
];

/// A name without what tells a function's (`he_normal`) from a class's (`HeNormal`).
pub(crate) fn plain(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}

fn all<T: Copy>(table: &'static [Named<T>]) -> impl Iterator<Item = (&'static str, T)> {
    table.iter().map(|(known, names)| (names[0], *known))
}

fn find<T: Copy>(what: &'static str, name: &str, table: &'static [Named<T>]) -> Result<T> {
    let wanted = plain(name);
    let is = |(_, names): &&Named<T>| names.iter().any(|known| plain(known) == wanted);
    let found = table.iter().find(is);
    found
        .map(|(known, _)| *known)
        .ok_or_else(|| Error::NotFound {
            what,
            name: name.into(),
            known: all(table).map(|(name, _)| name.into()).collect(),
        })
}

impl Initializer {
    /// Every initializer by Keras' name, with Keras' defaults.
    pub fn all() -> impl Iterator<Item = (&'static str, Initializer)> {
        all(INITIALIZERS)
    }

    /// The initializer of that name with Keras' defaults: the name of Keras' function (`he_normal`) or class (`HeNormal`).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the names that there are.
    ///
    /// ```
    /// use kiln::nn::Initializer;
    ///
    /// assert_eq!(Initializer::named("he_normal")?, Initializer::HeNormal);
    /// assert_eq!(Initializer::named("RandomNormal")?, Initializer::Normal(0.0, 0.05));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn named(name: &str) -> Result<Self> {
        find("initializer", name, INITIALIZERS)
    }
}

impl Regularizer {
    /// Every penalty by Keras' name, with Keras' defaults.
    pub fn all() -> impl Iterator<Item = (&'static str, Regularizer)> {
        all(REGULARIZERS)
    }

    /// The penalty of that name with Keras' defaults: `l1`, `l2`, `l1_l2`, `orthogonal_regularizer`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the names that there are.
    pub fn named(name: &str) -> Result<Self> {
        find("regularizer", name, REGULARIZERS)
    }
}

impl Constraint {
    /// Every constraint by Keras' name, with Keras' defaults.
    pub fn all() -> impl Iterator<Item = (&'static str, Constraint)> {
        all(CONSTRAINTS)
    }

    /// The constraint of that name with Keras' defaults: `max_norm`, `non_neg`, `unit_norm`, `min_max_norm`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the names that there are.
    pub fn named(name: &str) -> Result<Self> {
        find("constraint", name, CONSTRAINTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keras_names_of_functions_and_classes_are_found_and_each_means_one() {
        for (name, known) in Initializer::all() {
            assert_eq!(Initializer::named(name).ok(), Some(known), "{name}");
        }
        for (name, known) in Regularizer::all() {
            assert_eq!(Regularizer::named(name).ok(), Some(known), "{name}");
        }
        for (name, known) in Constraint::all() {
            assert_eq!(Constraint::named(name).ok(), Some(known), "{name}");
        }
        let of_class = Initializer::named("GlorotUniform").ok();
        assert_eq!(of_class, Some(Initializer::default()));
        assert_eq!(
            Regularizer::named("L1L2").ok(),
            Regularizer::named("l1_l2").ok()
        );
        let unknown = Constraint::named("max").unwrap_err().to_string();
        for word in ["constraint", "`max`", "max_norm", "unit_norm"] {
            assert!(unknown.contains(word), "{unknown}");
        }
    }
}
