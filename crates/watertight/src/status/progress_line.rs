//! One line on a terminal, rewritten in place while something takes long. Where standard error is no terminal, nothing.

use std::io::IsTerminal as _;

/// The line; it is wiped when dropped.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    live: bool,
    shown: bool,
}

impl ProgressLine {
    /// A line on standard error, empty as yet.
    #[must_use]
    pub(crate) fn on_stderr() -> Self {
        Self { live: std::io::stderr().is_terminal(), shown: false }
    }

    /// Whether somebody can see it.
    #[must_use]
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// Shows `text` in place of what was shown.
    pub(crate) fn show(&mut self, text: &str) {
        if self.live {
            eprint!("\r{text}\x1b[K");
            self.shown = true;
        }
    }

    /// Wipes what was shown.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            eprint!("\r\x1b[K");
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}
