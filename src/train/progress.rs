//! What `fit` says of its epochs on standard error: a bar, or a line an epoch.

use std::time::Duration;

use crate::edge::progress::{Bar, is_seen, print_line};

use super::figures;
use super::history::Epoch;

/// What [`Fit`](super::Fit) says on standard error while it trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Verbose {
    /// Nothing.
    Silent,
    /// A bar of the epoch's steps, where standard error is a terminal and the feature `progress` is on, and a line for each epoch
    /// that is done; nothing elsewhere.
    Bar,
    /// A line for each epoch that is done, Keras' `verbose=2`.
    Lines,
    /// The bar where it is seen, the lines elsewhere.
    #[default]
    Auto,
}

/// What is said of a run.
#[derive(Debug)]
pub(super) struct Progress {
    epochs: u64,
    steps_per_epoch: u64,
    bar: Option<Bar>,
    lines: bool,
}

impl Progress {
    pub fn new(epochs: u64, steps_per_epoch: u64, verbose: Verbose) -> Self {
        let bar = match verbose {
            Verbose::Silent | Verbose::Lines => false,
            Verbose::Bar | Verbose::Auto => is_seen(),
        };
        Progress {
            epochs,
            steps_per_epoch,
            bar: bar.then(Bar::new),
            lines: verbose == Verbose::Lines || verbose == Verbose::Auto && !bar,
        }
    }

    /// Whether the loss of single steps is shown.
    pub fn shows_steps(&self) -> bool {
        self.bar.is_some()
    }

    /// The run has done this number of steps, of which the last had this loss, where one was read.
    pub fn steps(&self, done: u64, loss: Option<f64>) {
        if let Some(bar) = &self.bar
            && let Some(text) = bar_text(done, (self.epochs, self.steps_per_epoch), loss)
        {
            bar.show(text);
        }
    }

    /// A finished epoch, its number counted from 0: its line stays.
    pub fn epoch(&self, number: u64, epoch: &Epoch) {
        if self.bar.is_none() && !self.lines {
            return;
        }
        let line = line(number, self.epochs, epoch);
        match &self.bar {
            Some(bar) => bar.print(line),
            None => print_line(&line),
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.clear();
        }
    }
}

/// The marks of a whole bar.
const WIDTH: u64 = 24;

/// Epoch, bar and position after a number of steps, all told by one text so that they belong together, and the loss if it is known; none
/// after the last epoch.
fn bar_text(done: u64, (epochs, per_epoch): (u64, u64), loss: Option<f64>) -> Option<String> {
    let per_epoch = per_epoch.max(1);
    let (number, position) = (done / per_epoch + 1, done % per_epoch);
    if number > epochs {
        return None;
    }
    let marks = (u128::from(position) * u128::from(WIDTH) / u128::from(per_epoch)) as usize;
    let (full, end) = ("━".repeat(marks), if position > 0 { "╸" } else { "" });
    let loss = loss.map_or_else(String::new, |loss| {
        format!("  {}", figures::written("loss", loss))
    });
    let width = WIDTH as usize;
    Some(format!(
        "Epoch {number}/{epochs} [{:<width$}] {position}/{per_epoch}{loss}",
        full + end
    ))
}

/// The line of a finished epoch, its number counted from 0; several where its figures need them.
fn line(number: u64, epochs: u64, epoch: &Epoch) -> String {
    let rate = epoch.samples as f64 / epoch.time.max(Duration::from_nanos(1)).as_secs_f64();
    let head = format!("Epoch {}/{epochs}", number + 1);
    let tail = format!("({} samples/s)", rounded(rate));
    figures::lines(head, epoch.figures(), Some(tail))
}

/// A rate in few characters, for lines to stay short: whole below 100 000, then three digits or more of thousands or millions.
fn rounded(rate: f64) -> String {
    match rate {
        ..1e5 => format!("{rate:.0}"),
        ..1e6 => format!("{:.0}k", rate / 1e3),
        ..1e7 => format!("{:.2}M", rate / 1e6),
        ..1e8 => format!("{:.1}M", rate / 1e6),
        _ => format!("{:.0}M", rate / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_epoch_all_its_figures_and_the_rate() {
        let mut epoch = Epoch {
            loss: 0.123_456,
            metrics: vec![("accuracy".into(), 0.75), ("auc".into(), 1.0)],
            val_loss: Some(2.5),
            val_metrics: vec![("accuracy".into(), 0.5), ("auc".into(), f64::NAN)],
            samples: 3000,
            time: Duration::from_millis(1500),
        };
        assert_eq!(
            line(1, 20, &epoch),
            "Epoch 2/20  loss 0.1235  accuracy 0.7500  auc 1.0000\n            \
             val_loss 2.5000  val_accuracy 0.5000  val_auc NaN  (2000 samples/s)"
        );
        epoch.metrics.clear();
        epoch.val_metrics.clear();
        (epoch.val_loss, epoch.time) = (None, Duration::ZERO);
        assert_eq!(
            line(0, 1, &epoch),
            "Epoch 1/1  loss 0.1235  (3000000M samples/s)"
        );
        let rates = [0.4, 99_999.0, 123_456.0, 1_234_567.0, 10_150_977.0, 987e6];
        let texts = ["0", "99999", "123k", "1.23M", "10.2M", "987M"];
        assert_eq!(rates.map(rounded), texts);
    }

    #[test]
    fn the_bar_tells_epoch_and_position_of_one_moment_and_no_loss_before_the_first() {
        let text = |done, loss| bar_text(done, (3, 4), loss);
        let empty = " ".repeat(24);
        assert_eq!(text(0, None), Some(format!("Epoch 1/3 [{empty}] 0/4")));
        let half = format!("{}╸{}", "━".repeat(12), " ".repeat(11));
        let expected = format!("Epoch 1/3 [{half}] 2/4  loss 0.5000");
        assert_eq!(text(2, Some(0.5)), Some(expected));
        // The turn: the last step of an epoch is the beginning of the next, and there is none after the last.
        let turn = format!("Epoch 2/3 [{empty}] 0/4  loss 0.5000");
        assert_eq!(text(4, Some(0.5)), Some(turn));
        assert_eq!(text(12, Some(0.5)), None);
        // Epochs of a run without an end.
        assert!(bar_text(u64::MAX - 1, (1, u64::MAX), None).is_some());
        for done in 0..=11 {
            let text = text(done, None).unwrap();
            assert_eq!(text.chars().filter(|c| *c == '[').count(), 1);
            assert_eq!(
                text.chars().count(),
                "Epoch 1/3 [] 0/4".len() + 24,
                "{text}"
            );
        }
    }
}
