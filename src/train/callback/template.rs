//! Paths with figures in braces, as Python's `str.format` writes them: `models/{epoch:02d}-{val_loss:.2f}.safetensors`.

use std::path::{Path, PathBuf};

use crate::edge::files;
use crate::{Error, Result};

/// The digits of a figure whose field says nothing of them.
const DIGITS: usize = 4;

/// The digits of Python's `e`, `f`, `g` and `%` without a precision.
const PYTHON_DIGITS: usize = 6;

/// No file name is as long.
const MAX_WIDTH: usize = 255;

/// A path with fields; `{{` and `}}` stand for braces.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Field { name: String, form: FieldForm },
}

/// How a number is written: `[0][width][.precision][type]`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct FieldForm {
    zeros: bool,
    width: usize,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Template {
    /// The template in a path.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for a brace without its partner, a field without a name and a form that is not known.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |message: String| Error::argument("path", format!("`{text}` {message}"));
        let mut pieces = Vec::new();
        let (mut plain, mut rest) = (String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            plain += &rest[..at];
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                plain += brace;
                rest = after;
                continue;
            }
            let field = (brace == "{").then(|| after.split_once('}')).flatten();
            let Some((field, after)) = field else {
                let message = if brace == "{" {
                    "has a brace that is not closed"
                } else {
                    "closes a brace that is not open; `}}` stands for one"
                };
                return Err(refused(message.into()));
            };
            let (name, form) = field.split_once(':').unwrap_or((field, ""));
            if name.is_empty() || name.contains('{') {
                let message = format!("has the field `{{{field}}}`, which names no figure");
                return Err(refused(message));
            }
            let form = FieldForm::parse(form).ok_or_else(|| {
                refused(format!(
                    "writes `{name}` in the form `{form}`, which is not known: such as `02d`, `.4f`, `.2e`, `.3g` and `.1%` are, \
                     with at most {MAX_WIDTH} places"
                ))
            })?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Field {
                name: name.into(),
                form,
            });
            rest = after;
        }
        plain += rest;
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        let text = text.into();
        Ok(Template { text, pieces })
    }

    /// Refuses a field that is no figure of an epoch, one whose form no figure can have, and a path that ends in no file.
    pub fn check(&self, figures: &[String]) -> Result<()> {
        for piece in &self.pieces {
            let Piece::Field { name, form } = piece else {
                continue;
            };
            if name == "epoch" {
                continue;
            }
            if !figures.contains(name) {
                let known = figures.iter().cloned();
                return Err(Error::NotFound {
                    what: "field of a path",
                    name: name.clone(),
                    known: std::iter::once("epoch".into()).chain(known).collect(),
                });
            }
            if form.kind == Some('d') {
                let message = format!(
                    "`{}` writes `{name}` as a whole number, by `d`, which a figure need not be: write it by `f`",
                    self.text
                );
                return Err(Error::argument("path", message));
            }
        }
        let names_file = match self.pieces.last() {
            Some(Piece::Text(text)) => !text.ends_with(['/', '\\']),
            last => last.is_some(),
        };
        let fixed = self.fixed();
        if !names_file
            || fixed.is_some_and(|path| files::metadata(path).is_ok_and(|there| there.is_dir()))
        {
            let message = format!(
                "must name a file, but `{}` is a folder: add a name such as `{{epoch:02d}}.safetensors`",
                self.text
            );
            return Err(Error::argument("path", message));
        }
        Ok(())
    }

    /// The path, where it has no fields.
    pub fn fixed(&self) -> Option<&Path> {
        match &self.pieces[..] {
            [Piece::Text(path)] => Some(Path::new(path)),
            _ => None,
        }
    }

    /// The folder that all files lie in or beneath: the path before the first field, up to its last separator.
    pub fn folder(&self) -> Option<&Path> {
        let Some(Piece::Text(first)) = self.pieces.first() else {
            return None;
        };
        let end = first.rfind(std::path::is_separator)?;
        let folder = Path::new(&first[..end]);
        (folder != Path::new("")).then_some(folder)
    }

    /// The path with the epoch's number, counted from 1, and figures in its fields.
    pub fn path(&self, epoch: u64, figure: impl Fn(&str) -> Result<f64>) -> Result<PathBuf> {
        let mut path = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => path += text,
                Piece::Field { name, form } if name == "epoch" => path += &form.whole(epoch),
                Piece::Field { name, form } => path += &form.figure(figure(name)?),
            }
        }
        Ok(path.into())
    }

    /// Whether a path may be one of this template's.
    pub fn could_write(&self, path: &Path) -> bool {
        path.to_str().is_some_and(|path| fits(&self.pieces, path))
    }
}

/// Whether a text is these pieces, each field a number as a [`FieldForm`] writes it.
fn fits(pieces: &[Piece], text: &str) -> bool {
    match pieces.split_first() {
        None => text.is_empty(),
        Some((Piece::Text(own), others)) => text
            .strip_prefix(own)
            .is_some_and(|rest| fits(others, rest)),
        Some((Piece::Field { .. }, others)) => {
            let of_number = |c: char| c.is_ascii_alphanumeric() || " +-.%".contains(c);
            let len = text.find(|c| !of_number(c)).unwrap_or(text.len());
            let is_number = |end: &usize| text[..*end].contains(|c: char| c.is_alphanumeric());
            // All of it is ASCII.
            (1..=len)
                .filter(is_number)
                .any(|end| fits(others, &text[end..]))
        }
    }
}

impl FieldForm {
    fn parse(text: &str) -> Option<Self> {
        let kind = text.chars().last().filter(|c| "defg%".contains(*c));
        let text = kind.map_or(text, |kind| text.strip_suffix(kind).unwrap_or(text));
        let (width, precision) = match text.split_once('.') {
            Some((width, precision)) => (width, Some(number(precision)?)),
            None => (text, None),
        };
        let zeros = width.starts_with('0');
        let width = if width.is_empty() { 0 } else { number(width)? };
        // Python takes no precision for whole numbers.
        let fits = precision.is_none() || kind != Some('d');
        fits.then_some(FieldForm {
            zeros,
            width,
            precision,
            kind,
        })
    }

    fn whole(&self, value: u64) -> String {
        match (self.kind, self.precision) {
            (None | Some('d'), None) => self.padded(value.to_string()),
            _ => self.figure(value as f64),
        }
    }

    fn figure(&self, value: f64) -> String {
        if !value.is_finite() {
            return self.padded(value.to_string());
        }
        let digits = self.precision.unwrap_or(PYTHON_DIGITS);
        self.padded(match (self.kind, self.precision) {
            (None | Some('d'), None) => format!("{value:.DIGITS$}"),
            (Some('f'), _) => format!("{value:.digits$}"),
            (Some('e'), _) => scientific(value, digits),
            (Some('%'), _) => format!("{:.digits$}%", 100.0 * value),
            _ => general(value, digits),
        })
    }

    /// Fills up to the width: by zeros after the sign, or by blanks before it.
    fn padded(&self, text: String) -> String {
        let missing = self.width.saturating_sub(text.len());
        if !self.zeros {
            return " ".repeat(missing) + &text;
        }
        let (sign, digits) = text.split_at(usize::from(text.starts_with('-')));
        format!("{sign}{}{digits}", "0".repeat(missing))
    }
}

fn number(digits: &str) -> Option<usize> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number = plain.then(|| digits.parse().ok()).flatten();
    number.filter(|&number| number <= MAX_WIDTH)
}

/// C's `e`: the exponent has a sign and at least two digits.
fn scientific(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            format!("{mantissa}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

/// C's `g`: at most this many significant digits, by a power of ten where the number is small or large, without zeros at the end.
fn general(value: f64, digits: usize) -> String {
    let digits = digits.max(1);
    let power = scientific(value, digits - 1);
    let Some((mantissa, exponent)) = power.split_once('e') else {
        return power;
    };
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    };
    match exponent.parse::<i64>() {
        Ok(exponent) if exponent >= -4 && exponent < digits as i64 => {
            let after = usize::try_from(digits as i64 - 1 - exponent).unwrap_or(0);
            trimmed(&format!("{value:.after$}"))
        }
        _ => format!("{}e{exponent}", trimmed(mantissa)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(template: &str, epoch: u64, value: f64) -> String {
        let template = Template::parse(template).unwrap();
        let path = template.path(epoch, |_| Ok(value)).unwrap();
        assert!(template.could_write(&path), "{path:?}");
        path.to_str().unwrap().into()
    }

    /// What Python 3 writes by `str.format`.
    #[test]
    fn fields_are_written_as_python_writes_them() {
        let cases = [
            ("{epoch}", "7"),
            ("{epoch:02d}", "07"),
            ("{epoch:03}", "007"),
            ("{epoch:4d}", "   7"),
            ("{epoch:.1f}", "7.0"),
            ("{x:.2f}", "-0.05"),
            ("{x:08.3f}", "-000.046"),
            ("{x:.3e}", "-4.565e-02"),
            ("{x:g}", "-0.0456549"),
            ("{x:.2g}", "-0.046"),
            ("{x:.1%}", "-4.6%"),
            ("{x}", "-0.0457"),
            ("m{{{epoch}}}/{x:.0f}.w", "m{7}/-0.w"),
        ];
        for (template, expected) in cases {
            assert_eq!(written(template, 7, -0.045_654_9), expected, "{template}");
        }
        assert_eq!(written("{x:.3g}", 1, 123_456.0), "1.23e+05");
        assert_eq!(written("{x:g}", 1, 0.00001), "1e-05");
        assert_eq!(written("{x:g}", 1, 100.0), "100");
        assert_eq!(written("{epoch}-{x}", 1, f64::NAN), "1-NaN");
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_text() {
        for text in [
            "{epoch",
            "epoch}",
            "{}",
            "{:02d}",
            "{epoch:02x}",
            "{loss:.f}",
            "{loss:.2ff}",
            "{epoch:dd}",
            "{loss:.1%%}",
            "{epoch:-2d}",
            "{epoch:.2d}",
            "{loss:999f}",
            "{a{b}",
        ] {
            let refusal = Template::parse(text).unwrap_err().to_string();
            assert!(refusal.contains(text), "{refusal}");
        }
    }

    #[test]
    fn a_file_that_it_could_not_have_written_is_none_to_take_away() {
        let own = Template::parse("models/{epoch}-{loss}.safetensors").unwrap();
        assert!(own.could_write(Path::new("models/12-0.5000.safetensors")));
        for other in [
            "models/../secrets.safetensors",
            "/etc/passwd",
            "models/12.txt",
            "12-0.5000.safetensors",
        ] {
            assert!(!own.could_write(Path::new(other)), "{other}");
        }
        let fixed = Template::parse("best.safetensors").unwrap();
        assert!(fixed.could_write(Path::new("best.safetensors")));
        assert!(!fixed.could_write(Path::new("best.safetensors.bak")));
        // A folder of each epoch, and none above them.
        let folders = Template::parse("models/{epoch:02d}/{loss:.2f}.w").unwrap();
        assert!(folders.could_write(Path::new("models/03/0.25.w")));
        assert!(!folders.could_write(Path::new("models/../0.25.w")));
        assert_eq!(folders.folder(), Some(Path::new("models")));
        assert_eq!(fixed.folder(), None);
    }
}
