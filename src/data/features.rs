//! Rows of a model's inputs in the forms that callers have them in.

use std::borrow::Cow;

use super::cell_value::NamedRows;
use super::table::ColumnNames;
use super::{CellValue, Dataset, Samples, TypedValues};

/// Rows of a model's inputs, row-major: from a data set, [`Samples`], a slice or vector of f32, u32 or u8, or an array of
/// rows; for a model of several inputs a data set that names them, or pairs of a name and values:
/// `&[("a", &a[..]), ("b", &b)]`, where values of several types are [`Samples`].
///
/// For a model that learned from a table with names: a data set with names, whose columns are put in order by them, or a row as
/// pairs of a column's name and a cell, in any order: `&[("island", "Biscoe"), ("mass", "3700")]`; several as an array or vector of
/// such rows. Cells are all numbers (f32), all texts as a file has them, or [`CellValue`]s.
#[derive(Debug, Clone)]
pub struct Features<'a> {
    pub(crate) given: Given<'a>,
    /// What is known of the columns of the only input.
    pub(crate) table: Option<&'a ColumnNames>,
}

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
    /// Rows of the only input by the names of its columns.
    Cells(NamedRows<'a>),
}

impl<'a> From<Given<'a>> for Features<'a> {
    fn from(given: Given<'a>) -> Self {
        Features { given, table: None }
    }
}

impl<'a> Features<'a> {
    fn rows(values: impl Into<TypedValues<'a>>, columns: Option<usize>) -> Self {
        let values = values.into();
        Given::Rows { values, columns }.into()
    }

    fn cells<V: Into<CellValue<'a>> + Clone + 'a>(
        rows: impl Iterator<Item = &'a [(&'a str, V)]>,
    ) -> Self {
        let cell = |(name, cell): &'a (&'a str, V)| (*name, cell.clone().into());
        let rows = rows.map(|row| row.iter().map(cell).collect());
        Given::Cells(rows.collect()).into()
    }

    /// The same rows, borrowed from these.
    pub(crate) fn borrowed(&self) -> Features<'_> {
        let given = match &self.given {
            Given::Rows { values, columns } => Given::Rows {
                values: values.borrowed(),
                columns: *columns,
            },
            Given::Named(named) => {
                let named = named.iter();
                let named = named.map(|(name, values, width)| (*name, values.borrowed(), *width));
                Given::Named(named.collect())
            }
            Given::Cells(rows) => Given::Cells(rows.clone()),
        };
        let table = self.table;
        Features { given, table }
    }

    /// The same rows, where they are those of the only input and borrowed numbers copied to this room.
    pub(crate) fn in_room(self, mut room: Vec<f32>) -> Self {
        match self.given {
            Given::Rows {
                values: TypedValues::F32(Cow::Borrowed(values)),
                columns,
            } => {
                room.clear();
                room.extend_from_slice(values);
                let values = TypedValues::F32(Cow::Owned(room));
                let given = Given::Rows { values, columns };
                Features { given, ..self }
            }
            given => Features { given, ..self },
        }
    }

    /// Rows of `columns` numbers.
    #[cfg(feature = "ndarray")]
    pub(super) fn table(values: Cow<'a, [f32]>, columns: usize) -> Self {
        Self::rows(TypedValues::F32(values), Some(columns))
    }
}

impl<'a> From<&'a Dataset> for Features<'a> {
    fn from(data: &'a Dataset) -> Self {
        let rows: Self = match data.inputs() {
            [(name, only)] if name.is_empty() => only.into(),
            inputs => {
                let named = inputs.iter();
                let named = named.map(|(name, own)| (name.as_str(), own.into(), Some(own.width())));
                Given::Named(named.collect()).into()
            }
        };
        let table = (data.inputs().len() == 1).then_some(&data.table);
        Features { table, ..rows }
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
    [(&'a str, V)] [V] where V; named => Given::Named(
        named.iter().map(|(name, values)| (*name, values.into(), None)).collect(),
    ).into(),
    [(&'a str, V); N] [V, const N: usize] where V; named => Features::from(&named[..]),
    [T] [T] where [T]; values => Features::rows(values, None),
    Vec<T> [T] where [T]; values => Features::rows(&values[..], None),
    [T; N] [T, const N: usize] where [T]; row => Features::rows(&row[..], None),
    [[T; N]] [T, const N: usize] where [T]; rows => Features::rows(rows.as_flattened(), None),
    [[T; N]; M] [T, const N: usize, const M: usize] where [T];
        rows => Features::rows(rows.as_flattened(), None)
);

/// One row of named cells, and several, of these types.
macro_rules! named_cells {
    ($($cell:ty),*) => {$(
        impl<'a> From<&'a [(&'a str, $cell)]> for Features<'a> {
            fn from(row: &'a [(&'a str, $cell)]) -> Self {
                Features::cells(std::iter::once(row))
            }
        }

        impl<'a, const N: usize> From<&'a [(&'a str, $cell); N]> for Features<'a> {
            fn from(row: &'a [(&'a str, $cell); N]) -> Self {
                Features::from(&row[..])
            }
        }

        impl<'a> From<&'a Vec<(&'a str, $cell)>> for Features<'a> {
            fn from(row: &'a Vec<(&'a str, $cell)>) -> Self {
                Features::from(&row[..])
            }
        }

        impl<'a, const N: usize> From<&'a [[(&'a str, $cell); N]]> for Features<'a> {
            fn from(rows: &'a [[(&'a str, $cell); N]]) -> Self {
                Features::cells(rows.iter().map(|row| &row[..]))
            }
        }

        impl<'a, const N: usize, const M: usize> From<&'a [[(&'a str, $cell); N]; M]> for Features<'a> {
            fn from(rows: &'a [[(&'a str, $cell); N]; M]) -> Self {
                Features::from(&rows[..])
            }
        }

        impl<'a> From<&'a [Vec<(&'a str, $cell)>]> for Features<'a> {
            fn from(rows: &'a [Vec<(&'a str, $cell)>]) -> Self {
                Features::cells(rows.iter().map(|row| &row[..]))
            }
        }

        impl<'a> From<&'a Vec<Vec<(&'a str, $cell)>>> for Features<'a> {
            fn from(rows: &'a Vec<Vec<(&'a str, $cell)>>) -> Self {
                Features::from(&rows[..])
            }
        }
    )*};
}

named_cells!(f32, &'a str, String, CellValue<'a>);
