//! The records of a CSV file: lines parted into cells, with quotes taken off.

use std::ops::Range;

use super::dialect::Dialect;

/// What is wrong with a text, and the line, counted from 1, on which that begins.
pub(super) type Unread = (u64, String);

/// A record: its cells as bytes, and the line, counted from 1, on which it begins.
#[derive(Debug, Default)]
pub(super) struct TableRecord {
    pub line: u64,
    bytes: Vec<u8>,
    /// Where each cell ends in `bytes`.
    ends: Vec<usize>,
}

impl TableRecord {
    /// The number of cells.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The cell of this index, without blanks around it unless they stand within quotes.
    pub fn cell(&self, column: usize) -> &[u8] {
        let end = self.ends.get(column).copied().unwrap_or(self.bytes.len());
        let begin = column.checked_sub(1).and_then(|last| self.ends.get(last));
        &self.bytes[begin.copied().unwrap_or(0)..end]
    }

    /// All cells in order.
    pub fn cells(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|column| self.cell(column))
    }
}

/// A text that is being parted into records.
pub(super) struct Records<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
    delimiter: u8,
    quote: Option<u8>,
    comment: Option<u8>,
}

impl<'a> Records<'a> {
    /// All records of `text`, in this dialect.
    pub fn new(text: &'a [u8], dialect: &Dialect) -> Self {
        Records {
            text,
            at: 0,
            line: 1,
            delimiter: dialect.delimiter,
            quote: dialect.quote,
            comment: dialect.comment,
        }
    }

    /// Reads the next record into `record`; false where the text has ended.
    pub fn read(&mut self, record: &mut TableRecord) -> Result<bool, Unread> {
        record.bytes.clear();
        record.ends.clear();
        self.skip_empty_lines();
        record.line = self.line;
        if self.at == self.text.len() {
            return Ok(false);
        }
        loop {
            self.read_cell(&mut record.bytes)?;
            record.ends.push(record.bytes.len());
            if self.text.get(self.at) != Some(&self.delimiter) {
                self.step_over_line_end();
                return Ok(true);
            }
            self.at += 1;
        }
    }

    /// Goes to the next line that is neither empty, nor blank, nor a comment.
    fn skip_empty_lines(&mut self) {
        while let Some(first) = self.text.get(self.at) {
            let end = if self.comment == Some(*first) {
                self.at + self.plain(self.at, None)
            } else {
                self.at + self.blanks()
            };
            if self.text.get(end).is_some_and(|byte| !is_line_end(*byte)) {
                break;
            }
            self.at = end;
            self.step_over_line_end();
        }
    }

    /// Goes over one line end, if there is one here.
    fn step_over_line_end(&mut self) {
        let len = match self.text.get(self.at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => return,
        };
        self.at += len;
        self.line += 1;
    }

    /// Appends the cell that begins here, up to the delimiter or line end after it.
    fn read_cell(&mut self, cell: &mut Vec<u8>) -> Result<(), Unread> {
        // Blanks around a cell are dropped, and so a quote after them opens one.
        let start = self.at + self.blanks();
        let opened = match (self.quote, self.text.get(start)) {
            (Some(quote), Some(first)) if *first == quote => {
                let opened = self.line;
                self.at = start + 1;
                self.read_quoted(quote, cell)?;
                Some(opened)
            }
            _ => None,
        };
        let end = self.at + self.plain(self.at, Some(self.delimiter));
        let rest = without_blanks(&self.text[self.at..end]);
        match opened {
            None => cell.extend_from_slice(rest),
            Some(_) if rest.is_empty() => {}
            Some(opened) => return Err((opened, self.after_quote(opened, rest))),
        }
        self.at = end;
        Ok(())
    }

    /// What is wrong where a text follows the quote that closes a cell.
    fn after_quote(&self, opened: u64, follows: &[u8]) -> String {
        let (line, follows) = (self.line, shown(follows));
        if opened < line {
            return format!(
                "the quote that opens a cell here is closed on line {line} before `{follows}`, where a delimiter or a line end is \
                 due: a quote is missing in between"
            );
        }
        format!(
            "a cell in quotes goes on with `{follows}` after them, where a delimiter or a line end is due: a quote within a cell \
             in quotes is doubled, and `.quote(None)` takes quotes as any other byte"
        )
    }

    /// Appends what stands between the quote before this place and the one that closes it.
    fn read_quoted(&mut self, quote: u8, cell: &mut Vec<u8>) -> Result<(), Unread> {
        let opened = self.line;
        loop {
            let rest = &self.text[self.at..];
            let Some(len) = rest.iter().position(|byte| *byte == quote) else {
                return Err((
                    opened,
                    format!(
                        "the quote `{}` opens a cell here and is closed nowhere: the file is cut off, or the quote is part \
                         of a text; `.quote(None)` takes quotes as any other byte",
                        char::from(quote)
                    ),
                ));
            };
            self.line += line_ends(self.text, self.at..self.at + len);
            cell.extend_from_slice(&rest[..len]);
            self.at += len + 1;
            if self.text.get(self.at) != Some(&quote) {
                return Ok(());
            }
            // Doubled, it stands for itself.
            cell.push(quote);
            self.at += 1;
        }
    }

    /// How many blanks stand here that are no delimiters.
    fn blanks(&self) -> usize {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t') && **byte != self.delimiter;
        rest.iter().take_while(is_blank).count()
    }

    /// How many bytes from `at` there are before a line end and before `delimiter`.
    fn plain(&self, at: usize, delimiter: Option<u8>) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        let ends = |byte: &u8| is_line_end(*byte) || delimiter == Some(*byte);
        rest.iter().position(ends).unwrap_or(rest.len())
    }
}

/// The bytes without blanks and tabs around them. Other spaces, such as those that no line breaks at, are part of a text.
fn without_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// How many lines end in this range of a text: at `\n`, at `\r`, and once at both.
pub(super) fn line_ends(text: &[u8], range: Range<usize>) -> u64 {
    let ends = |at: &usize| match text.get(*at) {
        Some(b'\n') => true,
        Some(b'\r') => text.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    range.filter(ends).count() as u64
}

/// The beginning of a text, to show it.
fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 40;
    let text = bytes.get(..MOST).unwrap_or(bytes).escape_ascii();
    let more = if bytes.len() > MOST { "…" } else { "" };
    format!("{text}{more}")
}
