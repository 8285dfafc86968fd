//! How far `verify` is: a bar on a terminal, nothing elsewhere.

use crate::status::ProgressLine;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use watertight_pipeline::runtime::Stop;
use watertight_verify::request::{Progress, Silent};

/// A check that takes no longer shows no progress.
const QUIET_FOR: Duration = Duration::from_secs(1);
/// How often it is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(200);
/// Characters of the bar.
const BAR: u64 = 24;

/// Does `work`, which says how far it is; on a terminal, a line shows it meanwhile.
pub(super) fn shown<T>(work: impl FnOnce(&dyn Progress) -> T) -> T {
    let mut line = ProgressLine::on_stderr();
    if !line.is_live() {
        return work(&Silent);
    }
    let (at, ended) = (At::default(), Stop::default());
    let show = || {
        let mut pause = QUIET_FOR;
        while !ended.wait(pause) {
            line.show(&at.words());
            pause = SHOWN_EVERY;
        }
        line.clear();
    };
    std::thread::scope(|scope| {
        let _ends_it = EndsWhenDropped(&ended);
        if let Err(error) = std::thread::Builder::new().name("progress".to_owned()).spawn_scoped(scope, show) {
            tracing::debug!(%error, "no progress is shown: no thread for it");
        }
        work(&at)
    })
}

/// Ends the showing, also where the work panics.
struct EndsWhenDropped<'a>(&'a Stop);

impl Drop for EndsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}

/// The part under way, done and total.
#[derive(Debug, Default)]
struct At(Mutex<(String, u64, u64)>);

impl Progress for At {
    fn at(&self, part: &str, done: u64, total: u64) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 != part {
            part.clone_into(&mut now.0);
        }
        (now.1, now.2) = (done, total);
    }
}

impl At {
    fn words(&self) -> String {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (part, done, total) = (&now.0, now.1, now.2);
        if part.is_empty() {
            return "verifying".to_owned();
        }
        // Names of tables are folders' names: one with control characters must not reach the terminal.
        let part: String = part.chars().filter(|c| !c.is_control()).take(44).collect();
        let full = u128::from(done.min(total)) * u128::from(BAR) / u128::from(total.max(1));
        let full = usize::try_from(full).unwrap_or(0);
        let bar = "#".repeat(full) + &".".repeat((BAR as usize).saturating_sub(full));
        format!("[{bar}] {part} {done} of {total}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_the_part_is_done() {
        let at = At::default();
        assert_eq!(at.words(), "verifying");
        at.at("files bronze.ticks", 1, 2);
        assert_eq!(at.words(), "[############............] files bronze.ticks 1 of 2");
        at.at("files bronze.ticks\u{1b}", u64::MAX, 0);
        assert!(at.words().starts_with("[........................] files bronze.ticks 1844"));
    }
}
