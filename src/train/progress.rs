//! The progress bar of `fit`.

use std::time::Duration;

use crate::edge::progress::ProgressBar;

use super::history::Epoch;

/// A bar on standard error, one line an epoch; hidden when asked, or where standard error is no terminal.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    epochs: u64,
}

impl Progress {
    pub fn new(epochs: u64, steps_per_epoch: u64, silent: bool) -> Self {
        Progress {
            bar: ProgressBar::new(steps_per_epoch, silent),
            epochs,
        }
    }

    /// Steps done of epoch `number` (from 0) and the loss so far.
    pub fn steps(&self, number: u64, done: u64, loss: f64) {
        if self.bar.is_hidden() {
            return;
        }
        let epoch = format!("Epoch {}/{}", number + 1, self.epochs);
        self.bar.show(epoch, done, format!("loss {loss:.4}"));
    }

    /// A finished epoch: its line stays.
    pub fn epoch(&self, number: u64, epoch: &Epoch) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.line(line(number, self.epochs, epoch));
    }

    pub fn finish(&self) {
        self.bar.clear();
    }
}

/// The line of a finished epoch, its number counted from 0.
fn line(number: u64, epochs: u64, epoch: &Epoch) -> String {
    let figures = epoch.figures();
    let figures: String = figures
        .map(|(name, value)| format!("  {name} {value:.4}"))
        .collect();
    let rate = epoch.samples as f64 / epoch.time.max(Duration::from_nanos(1)).as_secs_f64();
    format!(
        "Epoch {}/{epochs}{figures}  ({rate:.0} samples/s)",
        number + 1
    )
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
            "Epoch 2/20  loss 0.1235  accuracy 0.7500  auc 1.0000  val_loss 2.5000  val_accuracy 0.5000  val_auc NaN  \
             (2000 samples/s)"
        );
        epoch.metrics.clear();
        epoch.val_metrics.clear();
        (epoch.val_loss, epoch.time) = (None, Duration::ZERO);
        assert_eq!(
            line(0, 1, &epoch),
            "Epoch 1/1  loss 0.1235  (3000000000000 samples/s)"
        );
    }
}
