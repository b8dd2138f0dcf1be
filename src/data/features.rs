//! Rows of a model's inputs in the forms that callers have them in.

use super::{Dataset, Samples, TypedValues};

/// Rows of a model's inputs, row-major: from a data set, [`Samples`], a slice or vector of f32, u32 or u8, or an array of
/// rows; for a model of several inputs a data set that names them, or pairs of a name and values:
/// `&[("a", &a[..]), ("b", &b)]`, where values of several types are [`Samples`].
#[derive(Debug, Clone)]
pub struct Features<'a>(pub(crate) Given<'a>);

/// Which inputs the rows are those of.
#[derive(Debug, Clone)]
pub(crate) enum Given<'a> {
    /// Rows of all inputs, side by side in the model's order where it has several.
    Rows {
        values: TypedValues<'a>,
        /// Elements of a row, where they are known.
        columns: Option<usize>,
    },
    /// Rows of each input by name, with the elements of a row where they are known.
    Named(Vec<(&'a str, TypedValues<'a>, Option<usize>)>),
}

impl<'a> Features<'a> {
    fn rows(values: impl Into<TypedValues<'a>>, columns: Option<usize>) -> Self {
        let values = values.into();
        Features(Given::Rows { values, columns })
    }

    /// The same rows, borrowed from these.
    pub(crate) fn borrowed(&self) -> Features<'_> {
        Features(match &self.0 {
            Given::Rows { values, columns } => Given::Rows {
                values: values.borrowed(),
                columns: *columns,
            },
            Given::Named(named) => {
                let named = named.iter();
                let named = named.map(|(name, values, width)| (*name, values.borrowed(), *width));
                Given::Named(named.collect())
            }
        })
    }

    /// Rows of `columns` numbers.
    #[cfg(feature = "ndarray")]
    pub(super) fn table(values: std::borrow::Cow<'a, [f32]>, columns: usize) -> Self {
        Self::rows(TypedValues::F32(values), Some(columns))
    }
}

impl<'a, V> From<&'a [(&'a str, V)]> for Features<'a>
where
    &'a V: Into<TypedValues<'a>>,
{
    fn from(inputs: &'a [(&'a str, V)]) -> Self {
        let named = inputs
            .iter()
            .map(|(name, values)| (*name, values.into(), None));
        Features(Given::Named(named.collect()))
    }
}

impl<'a, V, const N: usize> From<&'a [(&'a str, V); N]> for Features<'a>
where
    &'a V: Into<TypedValues<'a>>,
{
    fn from(inputs: &'a [(&'a str, V); N]) -> Self {
        Features::from(&inputs[..])
    }
}

impl<'a> From<&'a Dataset> for Features<'a> {
    fn from(data: &'a Dataset) -> Self {
        match data.inputs() {
            [(name, only)] if name.is_empty() => only.into(),
            inputs => {
                let named = inputs.iter();
                let named = named
                    .map(|(name, own)| (name.as_str(), own.values().borrowed(), Some(own.width())));
                Features(Given::Named(named.collect()))
            }
        }
    }
}

impl<'a> From<&'a Samples<'_>> for Features<'a> {
    fn from(samples: &'a Samples<'_>) -> Self {
        Features::rows(samples.values().borrowed(), Some(samples.width()))
    }
}

macro_rules! slices {
    ($($element:ty),*) => {$(
        impl<'a> From<&'a [$element]> for Features<'a> {
            fn from(values: &'a [$element]) -> Self {
                Features::rows(values, None)
            }
        }

        impl<'a> From<&'a Vec<$element>> for Features<'a> {
            fn from(values: &'a Vec<$element>) -> Self {
                Features::rows(values, None)
            }
        }

        impl<'a, const N: usize> From<&'a [$element; N]> for Features<'a> {
            fn from(row: &'a [$element; N]) -> Self {
                Features::rows(&row[..], None)
            }
        }

        impl<'a, const N: usize> From<&'a [[$element; N]]> for Features<'a> {
            fn from(rows: &'a [[$element; N]]) -> Self {
                Features::rows(rows.as_flattened(), None)
            }
        }

        impl<'a, const N: usize, const M: usize> From<&'a [[$element; N]; M]> for Features<'a> {
            fn from(rows: &'a [[$element; N]; M]) -> Self {
                Features::rows(rows.as_flattened(), None)
            }
        }
    )*};
}

slices!(f32, u32, u8);
