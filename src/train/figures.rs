//! How figures are written: losses and metrics with four digits, counts as whole numbers, in lines of at most 100 columns.

/// The columns of a line.
const COLUMNS: usize = 100;

/// What stands between figures.
const GAP: &str = "  ";

/// The metrics that count rows.
const COUNTS: [&str; 4] = [
    "true_positives",
    "false_positives",
    "true_negatives",
    "false_negatives",
];

/// A figure by its name. Whole numbers are written as such from 2 on, and all that counts have; those next to 0, and such as need
/// more than nine digits, by a power of ten.
pub(super) fn written(name: &str, value: f64) -> String {
    let counts = || COUNTS.iter().any(|count| name.contains(count));
    let size = value.abs();
    let whole = value.fract() == 0.0 && size < 2f64.powi(53);
    if whole && (size >= 2.0 || counts()) {
        // Without the sign of −0.
        format!("{name} {:.0}", value + 0.0)
    } else if (size > 0.0 && size < 1e-3) || size >= 1e9 {
        format!("{name} {value:.4e}")
    } else {
        format!("{name} {value:.4}")
    }
}

/// A line of figures after a head, with something after them. Where it would have more than 100 columns there are several, the later ones
/// indented to where the first one's figures begin, and figures on validation data begin one.
pub(super) fn lines(
    head: String,
    figures: impl Iterator<Item = (String, f64)>,
    tail: Option<String>,
) -> String {
    let mut words: Vec<String> = figures.map(|(name, value)| written(&name, value)).collect();
    words.extend(tail);
    let indent = if head.is_empty() {
        0
    } else {
        head.chars().count() + GAP.len()
    };
    let width = |word: &String| word.chars().count() + GAP.len();
    let whole = indent + words.iter().map(width).sum::<usize>();
    let fits = whole <= COLUMNS + GAP.len();
    let (mut text, mut column) = (head, indent);
    for (index, word) in words.iter().enumerate() {
        let full = column + width(word) > COLUMNS + GAP.len() && column > indent;
        let validation = !fits && word.starts_with("val_loss ");
        if full || validation {
            text = text.trim_end().to_string() + "\n" + &" ".repeat(indent);
            column = indent;
        } else if index > 0 || indent > 0 {
            text += GAP;
        }
        text += word;
        column += width(word);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_whole_and_other_figures_have_four_digits() {
        let cases = [
            ("loss", 0.123_456, "loss 0.1235"),
            ("accuracy", 1.0, "accuracy 1.0000"),
            ("auc", 0.0, "auc 0.0000"),
            ("true_positives", 144.0, "true_positives 144"),
            ("val_false_negatives_1", 0.0, "val_false_negatives_1 0"),
            ("kind_true_negatives", 1.0, "kind_true_negatives 1"),
            ("true_positives", 12.5, "true_positives 12.5000"),
            ("hits", 1_099_511_627_776.0, "hits 1099511627776"),
            ("loss", 0.000_012_345_6, "loss 1.2346e-5"),
            ("loss", 1.5e12 + 0.5, "loss 1.5000e12"),
            ("loss", f64::NAN, "loss NaN"),
            ("loss", f64::INFINITY, "loss inf"),
            ("r2_score", -3.25, "r2_score -3.2500"),
        ];
        for (name, value, expected) in cases {
            assert_eq!(written(name, value), expected);
        }
    }

    #[test]
    fn lines_of_seven_metrics_fit_100_columns() {
        let names = [
            "loss",
            "sparse_categorical_accuracy",
            "precision",
            "recall",
            "auc",
            "true_positives",
            "balanced_accuracy",
            "cohen_kappa",
        ];
        let figures = names.map(|name| (name.to_string(), 0.5));
        let validation = names.map(|name| (format!("val_{name}"), 0.25));
        let figures = figures.into_iter().chain(validation);
        let tail = Some("(1234 samples/s)".to_string());
        let text = lines("Epoch 2/20".into(), figures.clone(), tail);
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words.len(), 2 + 2 * 16 + 2);
        assert_eq!(
            text.lines().nth(2).unwrap().trim_start().find("val_loss"),
            Some(0),
            "{text}"
        );
        // One that is longer than a line stands by itself.
        let long = [("x".repeat(120), 0.5), ("y".into(), 0.5)];
        let text = lines("epoch    1".into(), long.into_iter(), None);
        assert_eq!(text.lines().count(), 2, "{text}");
        // What just fits is one line.
        let exact = [("a".repeat(43 - 7), 0.5), ("b".repeat(43 - 7), 0.5)];
        let text = lines("epoch    1".into(), exact.clone().into_iter(), None);
        assert_eq!((text.lines().count(), text.chars().count()), (1, 100));
        let text = lines("epoch   10.".into(), exact.into_iter(), None);
        assert_eq!(text.lines().count(), 2);
    }
}
