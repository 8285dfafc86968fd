//! What `verify` said last, left in the state folder for `status`.
//!
//! A cache of telemetry (`telemetry` has its format): its age is shown, and nobody acts upon it. Of checks that look at a
//! part of the lake only those are left that go on (`verify --follow`): one look at a table must not hide what a check of
//! all found.

use super::telemetry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use watertight_verify::report::Verdict;

/// A verdict, and of what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Verified {
    /// When it was reached, microseconds.
    pub(crate) at_us: i64,
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// Number of faults.
    pub(crate) findings: u64,
    /// Number of things that could not be checked.
    pub(crate) not_checked: u64,
    /// By table: the newest version that was verified.
    pub(crate) tables: BTreeMap<String, u64>,
    /// What alone was looked at, in words; none where all was.
    pub(crate) only: Option<String>,
    /// Whether new commits are checked as they come.
    pub(crate) following: bool,
}

impl Verified {
    /// Reads what was left; what cannot be read counts as nothing.
    pub(crate) fn read(state_dir: &Path) -> Option<Self> {
        telemetry::read(&path(state_dir))
    }

    /// Leaves it. The folder is the pipeline's to make.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn leave(&self, state_dir: &Path) -> io::Result<()> {
        telemetry::overwrite(&path(state_dir), self)
    }

    /// One line for people.
    pub(super) fn line(&self, now_us: i64) -> String {
        let only = self.only.as_deref().map_or(String::new(), |only| format!(" (only {only})"));
        let when = format!("{}{only}", ago(now_us.saturating_sub(self.at_us)));
        match self.verdict {
            Verdict::Balanced => {
                let versions: Vec<String> = self.tables.iter().map(|(name, at)| format!("{name} v{at}")).collect();
                format!("verified: balanced, {when}, up to {}", versions.join(", "))
            }
            Verdict::Findings => {
                let s = if self.findings == 1 { "" } else { "s" };
                format!("verify: {} finding{s}, {when}: run `watertight verify` for them", self.findings)
            }
            Verdict::Unable => {
                format!("verify: NOT ABLE TO CHECK everything, {when}: run `watertight verify` for the reasons")
            }
        }
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("verify.json")
}

/// How long ago, in one unit that fits.
fn ago(us: i64) -> String {
    let seconds = us.max(0) / 1_000_000;
    match seconds {
        ..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(verdict: Verdict) -> Verified {
        Verified {
            at_us: 0,
            verdict,
            findings: 3,
            not_checked: 0,
            tables: BTreeMap::from([("bronze.t".to_owned(), 12), ("silver.t".to_owned(), 9)]),
            only: None,
            following: true,
        }
    }

    #[test]
    fn what_is_left_is_read_and_half_of_it_is_nothing() {
        let dir = tempfile::tempdir().expect("scratch");
        assert_eq!(Verified::read(dir.path()), None);
        let left = verified(Verdict::Balanced);
        left.leave(dir.path()).expect("left");
        assert_eq!(Verified::read(dir.path()), Some(left.clone()));
        let whole = std::fs::read(path(dir.path())).expect("read");
        std::fs::write(path(dir.path()), &whole[..40]).expect("written");
        assert_eq!(Verified::read(dir.path()), None);
        assert!(left.leave(&dir.path().join("nowhere")).is_err(), "no folder is made");
    }

    #[test]
    fn a_verdict_is_told_with_its_age_and_what_it_is_of() {
        let line = |verdict, seconds: i64| verified(verdict).line(seconds * 1_000_000);
        assert_eq!(line(Verdict::Balanced, 12), "verified: balanced, 12 s ago, up to bronze.t v12, silver.t v9");
        assert_eq!(line(Verdict::Findings, 130), "verify: 3 findings, 2 min ago: run `watertight verify` for them");
        assert!(line(Verdict::Unable, 3 * 3_600).starts_with("verify: NOT ABLE TO CHECK everything, 3 h ago: run"));
        let part = Verified { only: Some("silver.t".to_owned()), findings: 1, ..verified(Verdict::Findings) };
        let wanted = "verify: 1 finding, 4 d ago (only silver.t): run `watertight verify` for them";
        assert_eq!(part.line(4 * 86_400_000_000), wanted);
        assert!(verified(Verdict::Balanced).line(-5).contains(" 0 s ago"), "clocks may differ");
    }
}
