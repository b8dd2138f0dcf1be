//! Standard error: lines, and the progress bar where that is a terminal and the feature `progress` is on.

use std::io::Write;

/// Writes a line to standard error, whole, so that those of other threads stand before or after it.
pub(crate) fn print_line(line: &str) {
    let line = format!("{line}\n");
    // Where nobody can be told, a run goes on.
    std::io::stderr()
        .write_all(line.as_bytes())
        .unwrap_or_default();
}

/// Whether a bar would be seen.
pub(crate) fn is_seen() -> bool {
    cfg!(feature = "progress") && std::io::IsTerminal::is_terminal(&std::io::stderr())
}

/// A line of text that changes, and lines above it that stay.
#[derive(Debug)]
pub(crate) struct Bar {
    #[cfg(feature = "progress")]
    bar: indicatif::ProgressBar,
}

#[cfg(feature = "progress")]
impl Bar {
    pub fn new() -> Self {
        use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // All of the line is one message: parts that are set one after the other are drawn one after the other.
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Bar { bar }
    }

    pub fn show(&self, text: String) {
        self.bar.set_message(text);
    }

    /// A line that stays.
    pub fn print(&self, line: String) {
        self.bar.println(line);
    }

    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Never made.
#[cfg(not(feature = "progress"))]
impl Bar {
    pub fn new() -> Self {
        Bar {}
    }

    pub fn show(&self, _text: String) {}

    pub fn print(&self, line: String) {
        print_line(&line);
    }

    pub fn clear(&self) {}
}
