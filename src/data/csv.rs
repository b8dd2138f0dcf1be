//! Tables in text files (CSV), plain or gzipped.

mod cells;
mod columns;
mod header;
mod labels;

use std::io::Read;
use std::path::Path;

use columns::Columns;
use csv::{ByteRecord, ReaderBuilder};

use crate::error::{Error, Result};

use super::Dataset;
use super::source::{open, unpacked, unreadable};

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
/// blanks around a cell are dropped, and so are empty lines. [`delimiter`](Self::delimiter), [`quote`](Self::quote),
/// [`comment`](Self::comment) and [`missing`](Self::missing) read other dialects.
///
/// A feature's cell that is empty or one of `?`, `NA`, `N/A`, `NaN`, `null` (in any case) is a missing one and becomes
/// NaN. [`Dataset::check_finite`], which training calls, refuses those that are still there unless the model's
/// [`Preprocessing`](super::Preprocessing) fills them. A target must not be missing.
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
    delimiter: u8,
    quote: Option<u8>,
    comment: Option<u8>,
    missing: Vec<String>,
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
            delimiter: b',',
            quote: Some(b'"'),
            comment: None,
            missing: ["?", "na", "n/a", "nan", "null"].map(String::from).to_vec(),
            targets: None,
            skipped: Vec::new(),
            categorical: Vec::new(),
            labels: false,
            class_names: Vec::new(),
        }
    }

    /// Says whether the first record is a header that names the columns.
    ///
    /// By default a first record without a number in it is one. A first record that has both numbers and texts, one of the texts
    /// above a number, may be a header with numbers for names or data with a bad cell, and is an error that asks for this.
    pub fn header(mut self, header: bool) -> Self {
        self.header = Some(header);
        self
    }

    /// The byte between cells, such as `b';'` or `b'\t'`; default a comma.
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// The byte around cells that hold delimiters or line ends; doubled inside of such a cell it stands for itself.
    /// `None` takes quotes as any other byte. Default `b'"'`.
    pub fn quote(mut self, quote: impl Into<Option<u8>>) -> Self {
        self.quote = quote.into();
        self
    }

    /// Leaves out lines that begin with this byte, such as `b'#'`; default none.
    pub fn comment(mut self, comment: u8) -> Self {
        self.comment = Some(comment);
        self
    }

    /// The texts that stand for a missing cell beside an empty one, in any case, in place of those above.
    pub fn missing<S: Into<String>>(mut self, markers: impl IntoIterator<Item = S>) -> Self {
        self.missing = markers.into_iter().map(Into::into).collect();
        self
    }

    /// Reads a feature as categories: their texts are sorted and numbered in that order, and kept in [`Dataset::categories`].
    pub fn categorical(mut self, column: impl Into<Column>) -> Self {
        self.categorical.push((column.into(), Vec::new()));
        self
    }

    /// Reads a feature as these categories, in the order of their numbers; another text is an error.
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
    /// Whole numbers are the labels themselves, with one class more than the largest. Texts are names of classes, which
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
    /// - [`Error::Format`] with the line where a cell is not a number, a record is longer or shorter than the first, a
    ///   target is missing, or a label is not a whole number; without a line where there are no rows or no features.
    /// - [`Error::NotFound`] where no column has a name that was given.
    /// - [`Error::Argument`] where the settings do not fit the file or each other.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Dataset> {
        let path = path.as_ref();
        self.parse(open(path)?, path)
    }

    /// Reads from `reader`, gzipped or not; `name` stands for the path in errors.
    ///
    /// # Errors
    ///
    /// The same errors as [`read`](Self::read).
    pub fn read_from(&self, reader: impl Read, name: &str) -> Result<Dataset> {
        let path = Path::new(name);
        self.parse(unpacked(reader, path)?, path)
    }

    fn parse(&self, mut reader: impl Read, path: &Path) -> Result<Dataset> {
        let mut text = Vec::new();
        reader
            .read_to_end(&mut text)
            .map_err(|refusal| unreadable(path, refusal))?;
        // Some editors begin a file with a byte order mark; it is no part of the first cell.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        let empty = || Error::format(path, None, "it has no rows of data");
        let unfit = |record: &ByteRecord, message: String| {
            Error::format(path, Some(line(text, record, self.comment)), message)
        };

        // Records of any length are let in here, so that our own check can say which line is ragged.
        let mut records = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .quote(self.quote.unwrap_or(b'"'))
            .quoting(self.quote.is_some())
            .comment(self.comment)
            .from_reader(text)
            .into_byte_records()
            .map(|record| record.map_err(|refusal| Error::format(path, None, refusal.to_string())));
        let first = records.next().transpose()?.ok_or_else(empty)?;
        let second = records.next().transpose()?;
        let named = header::is_header(self, &first, second.as_ref())
            .map_err(|message| unfit(&first, message))?;
        let names = named.then(|| first.iter().map(cells::text).collect());

        let mut columns = Columns::new(self, path, first.len(), names)?;
        let data = (!named).then_some(first);
        for record in data.into_iter().chain(second).map(Ok).chain(records) {
            let record = record?;
            columns
                .push(&record)
                .map_err(|message| unfit(&record, message))?;
        }
        if columns.is_empty() {
            return Err(empty());
        }
        columns.finish()
    }
}

/// The line, counted from 1, on which a record begins. A record's position is where the one before it ended, so the
/// empty lines and comments between them are stepped over here.
fn line(text: &[u8], record: &ByteRecord, comment: Option<u8>) -> u64 {
    let mut start = record
        .position()
        .and_then(|position| usize::try_from(position.byte()).ok())
        .unwrap_or(0);
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    loop {
        let rest = text.get(start..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| is_end(byte)).count();
        let is_comment = comment.is_some() && rest.get(blank) == comment.as_ref();
        let words = rest.iter().skip(blank).take_while(|byte| !is_end(byte));
        start += blank + if is_comment { words.count() } else { 0 };
        if !is_comment {
            break;
        }
    }
    let before = text.get(..start).unwrap_or(text);
    let ends = |(at, byte): (usize, &u8)| {
        *byte == b'\n' || (*byte == b'\r' && text.get(at + 1) != Some(&b'\n'))
    };
    before.iter().enumerate().filter(|end| ends(*end)).count() as u64 + 1
}
