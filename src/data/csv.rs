//! Tables in text files (CSV), plain or gzipped.

mod cells;
mod columns;
mod dialect;
mod encoding;
mod header;
mod hint;
mod labels;
mod records;

use std::io::Read;
use std::path::Path;

use columns::Columns;
use dialect::Dialect;
use encoding::Encoding;
use records::{Records, TableRecord, Unread};

use crate::error::{Error, Result};

use super::Dataset;
use super::foreign::{Wanted, told, told_unread};
use super::source::{UnpackedLimit, open, unpacked, unreadable};
use super::table::check_listed;

/// A column of a file, by its name in the header or by its index, which counts targets and skipped columns too.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// The only column of this name.
    Name(String),
    /// The column of this index, counted from 0.
    Index(usize),
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Column::Name(name.into())
    }
}

impl From<String> for Column {
    fn from(name: String) -> Self {
        Column::Name(name)
    }
}

impl From<usize> for Column {
    fn from(index: usize) -> Self {
        Column::Index(index)
    }
}

/// A reader of CSV files: what the columns mean, then [`read`](Self::read).
///
/// By default the last column is the target, the other columns are features, all are numbers, cells are parted by
/// commas, and whether there is a header is found out from the cells. Columns go by name or index ([`Column`]). Cells may be quoted with `"`;
/// blanks and tabs around a cell are dropped, those before and after quotes too, and so are empty lines; what stands within
/// quotes is kept as it is. The text is UTF-8.
/// [`delimiter`](Self::delimiter), [`quote`](Self::quote), [`comment`](Self::comment), [`missing`](Self::missing),
/// [`decimal`](Self::decimal), [`thousands`](Self::thousands) and [`encoding`](Self::encoding) read other dialects.
///
/// A feature's cell that is empty or one of `?`, `NA`, `N/A`, `NaN`, `null` (in any case) is a missing one and becomes
/// NaN. [`Dataset::check_finite`], which training calls, refuses those that are still there unless the model's
/// [`Preprocessing`](super::Preprocessing) fills them. A target must not be missing, and must be finite.
///
/// A column of texts is read as one of categories where [`categorical`](Self::categorical) says so.
///
/// ```
/// use kiln::Csv;
///
/// let flowers = "length,width,kind\n5.1,3.5,setosa\n6.3,2.9,virginica\n4.9,3.0,setosa\n";
/// let data = Csv::new().target("kind").labels().read_from(flowers.as_bytes(), "flowers.csv")?;
/// assert_eq!((data.rows(), data.columns(), data.classes()), (3, 2, Some(2)));
/// assert_eq!(data.class_names(), ["setosa", "virginica"]);
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Csv {
    header: Option<bool>,
    dialect: Dialect,
    encoding: String,
    max_unpacked: Option<u64>,
    /// The last column where none are given; no column where the list is empty.
    targets: Option<Vec<Column>>,
    skipped: Vec<Column>,
    categorical: Vec<(Column, Vec<String>)>,
    labels: bool,
    class_names: Vec<String>,
}

impl Default for Csv {
    fn default() -> Self {
        Self::new()
    }
}

impl Csv {
    /// A reader with the defaults above.
    pub fn new() -> Self {
        Csv {
            header: None,
            dialect: Dialect::default(),
            encoding: "utf-8".into(),
            max_unpacked: None,
            targets: None,
            skipped: Vec::new(),
            categorical: Vec::new(),
            labels: false,
            class_names: Vec::new(),
        }
    }

    /// Says whether the first record is a header that names the columns.
    ///
    /// By default a first record without a number in it is one, unless nothing in it can be a name but a word for a missing
    /// cell. Two kinds of a first record may be either and are an error that asks for this, unless a column is pointed to by a
    /// name in it: one of numbers and texts, one of the texts above a number, and one of texts and cells that are empty, missing
    /// or not finite, none of the texts above a number but such as begin with a digit.
    pub fn header(mut self, header: bool) -> Self {
        self.header = Some(header);
        self
    }

    /// The byte between cells, such as `b';'` or `b'\t'`; default a comma.
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.dialect.delimiter = delimiter;
        self
    }

    /// The byte around cells that hold delimiters or line ends; doubled inside of such a cell it stands for itself.
    /// `None` takes quotes as any other byte. Default `b'"'`.
    pub fn quote(mut self, quote: impl Into<Option<u8>>) -> Self {
        self.dialect.quote = quote.into();
        self
    }

    /// Leaves out lines that begin with this byte, such as `b'#'`; default none.
    pub fn comment(mut self, comment: u8) -> Self {
        self.dialect.comment = Some(comment);
        self
    }

    /// The texts that stand for a missing cell beside an empty one, in any case, in place of those above.
    pub fn missing<S: Into<String>>(mut self, markers: impl IntoIterator<Item = S>) -> Self {
        self.dialect.notation.missing = markers.into_iter().map(Into::into).collect();
        self
    }

    /// The byte between the whole part of a number and its fraction, such as `b','` in `2,25`; default a point. Cells that have
    /// the delimiter in them are quoted.
    pub fn decimal(mut self, decimal: u8) -> Self {
        self.dialect.notation.decimal = decimal.into();
        self
    }

    /// The byte between the thousands of a number, such as `b'.'` in `1.234,5` or `b','` in `"1,234.5"`; default none. Groups
    /// are of three digits, between the first and the last also of two: `1,23` is no number.
    pub fn thousands(mut self, thousands: u8) -> Self {
        self.dialect.notation.thousands = Some(thousands.into());
        self
    }

    /// How characters are written as bytes: `utf-8`, the default, `latin-1`, `windows-1252`, `utf-16`, `utf-16le` or
    /// `utf-16be`. Cells that are used and are not in this encoding are refused with their line.
    pub fn encoding(mut self, encoding: impl Into<String>) -> Self {
        self.encoding = encoding.into();
        self
    }

    /// The most bytes that a gzipped file may unpack to, as files can be made that fill the memory of whoever reads them.
    /// Default 8 MiB, and 200 for each byte of the file.
    pub fn max_unpacked(mut self, bytes: u64) -> Self {
        self.max_unpacked = Some(bytes);
        self
    }

    /// Reads a feature as categories: their texts are sorted and numbered in that order, and kept in [`Dataset::categories`].
    pub fn categorical(mut self, column: impl Into<Column>) -> Self {
        self.categorical.push((column.into(), Vec::new()));
        self
    }

    /// Reads a feature as these categories, in the order of their numbers; another text is an error. A category that is called as a
    /// missing cell, such as `NA`, is one all the same.
    ///
    /// A test set wants those of its training set, as it may lack some of them:
    /// `Csv::new().categories("island", train.categories(0))`.
    pub fn categories<S: Into<String>>(
        mut self,
        column: impl Into<Column>,
        categories: impl IntoIterator<Item = S>,
    ) -> Self {
        let categories = categories.into_iter().map(Into::into).collect();
        self.categorical.push((column.into(), categories));
        self
    }

    /// Makes a column a target; call it again for more targets, in the order wanted.
    pub fn target(mut self, column: impl Into<Column>) -> Self {
        self.targets.get_or_insert_default().push(column.into());
        self
    }

    /// Makes every column a feature.
    pub fn no_target(mut self) -> Self {
        self.targets = Some(Vec::new());
        self
    }

    /// Leaves out a column, which need not hold numbers.
    pub fn skip(mut self, column: impl Into<Column>) -> Self {
        self.skipped.push(column.into());
        self
    }

    /// Reads the target column as class labels rather than values.
    ///
    /// Whole numbers are the labels themselves, with one class more than the largest; rows with a negative one, such as −100, are
    /// for losses that [ignore](crate::train::Loss::ignore_class) it. Texts are names of classes, which
    /// are sorted and numbered in that order, and kept in [`Dataset::class_names`].
    pub fn labels(mut self) -> Self {
        self.labels = true;
        self
    }

    /// Reads the target column as names of these classes, in the order of their labels.
    ///
    /// A test set wants the names of its training set, as it may lack some of them:
    /// `Csv::new().class_names(train.class_names())`. An empty list is as [`labels`](Self::labels).
    pub fn class_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.labels = true;
        self.class_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Reads the file, decompressing it first where it is gzipped. The text is held in memory while it is read.
    ///
    /// # Errors
    ///
    /// - [`Error::Io`] where the file cannot be read.
    /// - [`Error::Format`] with the line where a cell is not a number or not in the encoding, a quote is left open, a record is
    ///   longer or shorter than the first, a target is missing or not finite, or a label is not a whole number; without a line
    ///   where there are no rows or no features, and where a gzipped file is damaged or unpacks to too much.
    /// - [`Error::NotFound`] where no column has a name that was given.
    /// - [`Error::Argument`] where the settings do not fit the file or each other.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Dataset> {
        let path = path.as_ref();
        self.parse(open(path, self.limit())?, path)
    }

    /// Reads from `reader`, gzipped or not; `name` stands for the path in errors.
    ///
    /// # Errors
    ///
    /// The same errors as [`read`](Self::read).
    pub fn read_from(&self, reader: impl Read, name: &str) -> Result<Dataset> {
        let path = Path::new(name);
        self.parse(unpacked(reader, path, self.limit())?, path)
    }

    fn limit(&self) -> UnpackedLimit {
        UnpackedLimit {
            bytes: self.max_unpacked,
            mend: "`Csv::max_unpacked` raises the limit",
        }
    }

    fn parse(&self, mut reader: impl Read, path: &Path) -> Result<Dataset> {
        self.check()?;
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .map_err(|refusal| unreadable(path, refusal))?;
        if let Some(other) = told(&bytes, Wanted::Table) {
            return Err(Error::format(path, None, other));
        }
        let encoding = Encoding::from_name(&self.encoding)?;
        let told = |error| match told_unread(&bytes) {
            Some(other) => Error::format(path, None, other),
            None => error,
        };
        self.table(&bytes, encoding, path).map_err(told)
    }

    /// The table in the bytes of a text.
    fn table(&self, bytes: &[u8], encoding: Encoding, path: &Path) -> Result<Dataset> {
        let unfit = |(line, message): Unread| Error::format(path, Some(line), message);
        let empty = || Error::format(path, None, "it has no rows of data");
        let text = encoding.decode(bytes).map_err(unfit)?;

        let mut records = Records::new(&text, &self.dialect);
        let (mut first, mut record) = (TableRecord::default(), TableRecord::default());
        if !records.read(&mut first).map_err(unfit)? {
            return Err(empty());
        }
        let mut more = records.read(&mut record).map_err(unfit)?;
        let at_first = |message: String| unfit((first.line, message));
        let named = header::is_header(self, &first, more.then_some(&record)).map_err(at_first)?;
        let names = match named {
            true => Some(header::names(&first).map_err(at_first)?),
            false => None,
        };
        let mut columns = Columns::new(self, path, first.len(), names)?;
        if !named {
            columns.push(&first).map_err(at_first)?;
        }
        while more {
            let refused = |message: String| unfit((record.line, message));
            columns.push(&record).map_err(refused)?;
            more = records.read(&mut record).map_err(unfit)?;
        }
        if columns.is_empty() {
            return Err(empty());
        }
        columns.finish()
    }

    /// Refuses settings that contradict each other.
    fn check(&self) -> Result<()> {
        self.dialect.check()?;
        check_listed("class_names", &self.class_names)?;
        let mut categorical = self.categorical.iter();
        categorical.try_for_each(|(_, listed)| check_listed("categories", listed))
    }
}
