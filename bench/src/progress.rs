//! What somebody who waits is told, and how long they wait at most.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// When everything has to be over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    allowed: Duration,
}

impl Deadline {
    /// This long from now.
    pub(crate) fn after(allowed: Duration) -> Self {
        Self { at: Instant::now() + allowed, allowed }
    }

    /// Whether it has passed.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.at
    }

    /// Whether something that takes this long would still be in time.
    pub(crate) fn allows(&self, takes: Duration) -> bool {
        Instant::now() + takes < self.at
    }

    /// What to do where it was too early.
    pub(crate) fn advice(&self) -> String {
        let minutes = self.allowed.as_secs_f64() / 60.0;
        format!("the {minutes:.0} min it may take are over; measure less, or allow more with --time-max")
    }
}

/// One line on a terminal, rewritten in place. Where standard error is no terminal, nothing; it is wiped when dropped.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    live: bool,
    shown: bool,
}

impl ProgressLine {
    /// A line on standard error, empty as yet.
    pub(crate) fn on_stderr() -> Self {
        Self { live: std::io::stderr().is_terminal(), shown: false }
    }

    /// Shows `text` in place of what was shown.
    pub(crate) fn show(&mut self, text: &str) {
        if self.live {
            eprint!("\r{text}\x1b[K");
            self.shown = true;
        }
    }

    /// Says something that stays, terminal or not.
    pub(crate) fn say(&mut self, text: &str) {
        self.clear();
        eprintln!("{text}");
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

/// Repeats `round` up to `runs` times, and ends early, said aloud, when the next one would not be over in time. Answers
/// how many there were.
pub(crate) fn rounds(
    runs: u32,
    deadline: Deadline,
    progress: &mut ProgressLine,
    mut round: impl FnMut(u32, &mut ProgressLine) -> anyhow::Result<()>,
) -> anyhow::Result<u32> {
    let mut longest = Duration::ZERO;
    for number in 0..runs {
        if number > 0 && !deadline.allows(longest) {
            progress.say(&format!("ended after {number} of {runs} rounds: {}", deadline.advice()));
            return Ok(number);
        }
        let began = Instant::now();
        round(number, progress)?;
        longest = longest.max(began.elapsed());
    }
    Ok(runs)
}

/// `about 4 min`, from seconds.
pub(crate) fn about(seconds: f64) -> String {
    if seconds < 90.0 { format!("about {:.0} s", seconds.max(1.0)) } else { format!("about {:.0} min", seconds / 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_round_is_begun_that_would_not_be_over_in_time_but_the_first_is() {
        let mut progress = ProgressLine { live: false, shown: false };
        let mut done = 0;
        let over = Deadline::after(Duration::ZERO);
        let counted = rounds(5, over, &mut progress, |_, _| {
            done += 1;
            Ok(())
        });
        assert_eq!((counted.expect("no error"), done), (1, 1));
        let counted = rounds(5, Deadline::after(Duration::from_secs(60)), &mut progress, |_, _| Ok(()));
        assert_eq!(counted.expect("no error"), 5);
    }

    #[test]
    fn a_time_is_told_in_the_unit_one_would_choose() {
        assert_eq!(
            (about(0.2), about(80.0), about(240.0)),
            ("about 1 s".into(), "about 80 s".into(), "about 4 min".into())
        );
    }
}
