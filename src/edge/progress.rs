//! The progress bar: on standard error, where that is a terminal and the feature `progress` is on.

/// A bar of steps with a line above it for whatever is finished.
#[derive(Debug)]
pub(crate) struct ProgressBar {
    #[cfg(feature = "progress")]
    bar: indicatif::ProgressBar,
}

#[cfg(feature = "progress")]
impl ProgressBar {
    /// A bar of `steps` steps; hidden when asked, or where standard error is no terminal.
    pub fn new(steps: u64, hidden: bool) -> Self {
        use indicatif::{ProgressDrawTarget, ProgressStyle};
        let target = if hidden {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = indicatif::ProgressBar::with_draw_target(Some(steps), target);
        let style = ProgressStyle::with_template("{prefix} [{bar:24}] {pos}/{len} {msg}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("━╸ "));
        }
        ProgressBar { bar }
    }

    pub fn is_hidden(&self) -> bool {
        self.bar.is_hidden()
    }

    /// Moves the bar, with words before and after it.
    pub fn show(&self, before: String, position: u64, after: String) {
        self.bar.set_prefix(before);
        self.bar.set_position(position);
        self.bar.set_message(after);
    }

    /// A line that stays.
    pub fn line(&self, line: String) {
        self.bar.println(line);
    }

    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Always hidden.
#[cfg(not(feature = "progress"))]
impl ProgressBar {
    pub fn new(_steps: u64, _hidden: bool) -> Self {
        ProgressBar {}
    }

    pub fn is_hidden(&self) -> bool {
        true
    }

    pub fn show(&self, _before: String, _position: u64, _after: String) {}

    pub fn line(&self, _line: String) {}

    pub fn clear(&self) {}
}
