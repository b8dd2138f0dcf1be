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

impl<'a> From<&'a Dataset> for Features<'a> {
    fn from(data: &'a Dataset) -> Self {
        match data.inputs() {
            [(name, only)] if name.is_empty() => only.into(),
            inputs => Features(Given::Named(
                inputs
                    .iter()
                    .map(|(name, own)| (name.as_str(), own.into(), Some(own.width())))
                    .collect(),
            )),
        }
    }
}

impl<'a> From<&'a Samples<'_>> for Features<'a> {
    fn from(samples: &'a Samples<'_>) -> Self {
        Features::rows(samples, Some(samples.width()))
    }
}

/// Forms that hold rows, made of a reference to them.
macro_rules! forms {
    ($($form:ty [$($generics:tt)*] where $element:ty; $rows:ident => $features:expr),*) => {$(
        impl<'a, $($generics)*> From<&'a $form> for Features<'a>
        where
            &'a $element: Into<TypedValues<'a>>,
        {
            fn from($rows: &'a $form) -> Self {
                $features
            }
        }
    )*};
}

forms!(
    [(&'a str, V)] [V] where V; named => Features(Given::Named(
        named.iter().map(|(name, values)| (*name, values.into(), None)).collect(),
    )),
    [(&'a str, V); N] [V, const N: usize] where V; named => Features::from(&named[..]),
    [T] [T] where [T]; values => Features::rows(values, None),
    Vec<T> [T] where [T]; values => Features::rows(&values[..], None),
    [T; N] [T, const N: usize] where [T]; row => Features::rows(&row[..], None),
    [[T; N]] [T, const N: usize] where [T]; rows => Features::rows(rows.as_flattened(), None),
    [[T; N]; M] [T, const N: usize, const M: usize] where [T];
        rows => Features::rows(rows.as_flattened(), None)
);
