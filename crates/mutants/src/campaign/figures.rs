//! The figures of a campaign, as a table for people and as JSON.

use super::verify::Verified;
use super::{Outcome, Run};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// Stories of failures that are kept of each kind.
const STORIES_MAX: usize = 3;

/// Untouched lakes.
#[derive(Debug, Clone, Default, Serialize)]
pub struct UntouchedFigures {
    /// Lakes.
    pub lakes: usize,
    /// Lakes in which something was found, or which could not be verified.
    pub wrong: usize,
    /// Seconds that `verify` took, all together.
    pub seconds: f64,
    /// What was found, by seed.
    pub stories: Vec<String>,
}

impl UntouchedFigures {
    /// Enters a lake.
    pub(super) fn enter(&mut self, seed: u64, verified: &Verified) {
        self.lakes += 1;
        self.seconds += verified.took.as_secs_f64();
        let wrong = verified.false_findings();
        if !wrong.is_empty() {
            self.wrong += 1;
            self.stories.push(format!("lake {seed}: {}", wrong.join("; ")));
        }
    }
}

/// One kind.
#[derive(Debug, Clone, Default, Serialize)]
pub struct KindFigures {
    /// Its name.
    pub kind: &'static str,
    /// Times that it was planted.
    pub runs: usize,
    /// Times that it was found, with a right code at the right place.
    pub caught: usize,
    /// Times that something else was found.
    pub wrong_code: usize,
    /// Times that it was found elsewhere.
    pub wrong_place: usize,
    /// Times that nothing was found.
    pub missed: usize,
    /// Times that no lake had a place for it.
    pub not_applicable: usize,
    /// Findings in tables that were not touched.
    pub collateral: usize,
    /// Seconds that `verify` took, all together.
    pub seconds: f64,
    /// What happened where it was not caught.
    pub stories: Vec<String>,
}

impl KindFigures {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Enters a run.
    pub(super) fn enter(&mut self, run: Run) {
        let count = match run.outcome {
            Outcome::Caught => &mut self.caught,
            Outcome::WrongCode => &mut self.wrong_code,
            Outcome::WrongPlace => &mut self.wrong_place,
            Outcome::Missed => &mut self.missed,
            Outcome::NotApplicable => {
                self.not_applicable += 1;
                return;
            }
        };
        *count += 1;
        self.runs += 1;
        self.collateral += run.collateral;
        self.seconds += run.took.as_secs_f64();
        if self.stories.len() < STORIES_MAX {
            self.stories.extend(run.story);
        }
    }
}

/// What a campaign gave.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Lakes that nobody touched.
    pub untouched: UntouchedFigures,
    /// Each kind.
    pub kinds: Vec<KindFigures>,
}

impl Figures {
    /// Whether every planted fault was caught and no lake was called wrong without reason. A kind that no lake had a
    /// place for proves nothing, and counts as a failure.
    #[must_use]
    pub fn good(&self) -> bool {
        self.untouched.wrong == 0 && self.kinds.iter().all(|kind| kind.runs > 0 && kind.caught == kind.runs)
    }

    fn sum(&self, of: impl Fn(&KindFigures) -> usize) -> usize {
        self.kinds.iter().map(of).sum()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.kinds.is_empty() {
            writeln!(
                f,
                "{:<32} {:>5} {:>7} {:>10} {:>11} {:>6} {:>5} {:>10} {:>8}",
                "kind", "runs", "caught", "wrong code", "wrong place", "missed", "n/a", "collateral", "s each"
            )?;
        }
        for kind in &self.kinds {
            let each = Duration::from_secs_f64(kind.seconds / kind.runs.max(1) as f64);
            writeln!(
                f,
                "{:<32} {:>5} {:>7} {:>10} {:>11} {:>6} {:>5} {:>10} {:>8.2}",
                kind.kind,
                kind.runs,
                kind.caught,
                kind.wrong_code,
                kind.wrong_place,
                kind.missed,
                kind.not_applicable,
                kind.collateral,
                each.as_secs_f64()
            )?;
        }
        for kind in self.kinds.iter().filter(|kind| !kind.stories.is_empty()) {
            writeln!(f, "\n{}", kind.kind)?;
            for story in &kind.stories {
                writeln!(f, "  {story}")?;
            }
        }
        for story in &self.untouched.stories {
            writeln!(f, "\nuntouched {story}")?;
        }
        writeln!(
            f,
            "\n{} kinds, {} faults planted, {} caught, {} with a wrong code, {} at a wrong place, {} missed",
            self.kinds.len(),
            self.sum(|kind| kind.runs),
            self.sum(|kind| kind.caught),
            self.sum(|kind| kind.wrong_code),
            self.sum(|kind| kind.wrong_place),
            self.sum(|kind| kind.missed),
        )?;
        let unplanted = self.kinds.iter().filter(|kind| kind.runs == 0).count();
        if unplanted > 0 {
            writeln!(f, "{unplanted} kinds had no place in any lake: more lakes are needed")?;
        }
        write!(
            f,
            "{} untouched lakes, {} of them with a false finding; verify took {:.2} s each",
            self.untouched.lakes,
            self.untouched.wrong,
            self.untouched.seconds / self.untouched.lakes.max(1) as f64
        )
    }
}
