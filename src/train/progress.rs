//! The progress bar of `fit`.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::history::Epoch;

/// A bar on standard error, one line an epoch; hidden when asked, or where standard error is no terminal.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    epochs: u64,
}

impl Progress {
    pub fn new(epochs: u64, steps_per_epoch: u64, silent: bool) -> Self {
        let target = if silent {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(steps_per_epoch), target);
        let style = ProgressStyle::with_template("{prefix} [{bar:24}] {pos}/{len} {msg}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("━╸ "));
        }
        Progress { bar, epochs }
    }

    /// Steps done of epoch `number` (from 0) and the loss so far.
    pub fn steps(&self, number: u64, done: u64, loss: f64) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar
            .set_prefix(format!("Epoch {}/{}", number + 1, self.epochs));
        self.bar.set_position(done);
        self.bar.set_message(format!("loss {loss:.4}"));
    }

    /// A finished epoch: its line stays.
    pub fn epoch(&self, number: u64, epoch: &Epoch) {
        if self.bar.is_hidden() {
            return;
        }
        let mut line = format!("loss {:.4}", epoch.loss);
        let mut push = |name: &str, value: f64| {
            // Writing to a string cannot fail.
            write!(line, "  {name} {value:.4}").unwrap_or_default();
        };
        epoch
            .metrics
            .iter()
            .for_each(|(name, value)| push(name, *value));
        if let Some(loss) = epoch.val_loss {
            push("val_loss", loss);
        }
        epoch
            .val_metrics
            .iter()
            .for_each(|(name, value)| push(&format!("val_{name}"), *value));
        let rate = epoch.samples as f64 / epoch.time.max(Duration::from_nanos(1)).as_secs_f64();
        self.bar.println(format!(
            "Epoch {}/{}  {line}  ({rate:.0} samples/s)",
            number + 1,
            self.epochs
        ));
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
