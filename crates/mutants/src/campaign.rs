//! The campaign: every kind planted in copies of random lakes, `verify` run as a user runs it, and its findings held
//! against what was planted; and `verify` run on untouched lakes, in which it must find nothing.

mod figures;
mod verify;

pub use figures::{Figures, KindFigures, UntouchedFigures};
pub use verify::{Finding, Of, Report, Verified, verify};

use crate::expected::Planted;
use crate::kinds::{self, Mutant};
use crate::story::{Shape, Story};
use anyhow::{Result, bail};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What became of a planted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A finding has a right code and the right place, and the exit code is 1.
    Caught,
    /// Findings have a right code, but not the place.
    WrongPlace,
    /// There are findings, but none with a right code.
    WrongCode,
    /// The exit code is not 1: `verify` says that all is well, or that it could not check.
    Missed,
    /// No lake has a place for the kind.
    NotApplicable,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The program: `watertight`, or the one of the crash tests, which is the whole program too.
    pub program: PathBuf,
    /// First seed.
    pub seed: u64,
    /// Untouched lakes to be verified.
    pub lakes: usize,
    /// Lakes of these that faults are planted in copies of.
    pub bases: usize,
    /// Times that each kind is planted.
    pub each: usize,
    /// Kinds; empty means all.
    pub kinds: Vec<String>,
    /// Stories and runs of `verify` at once.
    pub threads: usize,
    /// A folder for lakes; what is made in it is removed, but for lakes in which something was missed.
    pub scratch: PathBuf,
    /// Whether lakes in which a fault was missed are kept, to be looked at.
    pub keep_missed: bool,
}

impl Campaign {
    /// Makes lakes, verifies them, plants and verifies again.
    ///
    /// # Errors
    /// When a lake cannot be made or altered, or the program cannot be started.
    pub fn run(&self) -> Result<Figures> {
        let chosen = self.chosen()?;
        let (untouched, bases) = self.untouched()?;
        let mut figures = Figures { untouched, kinds: Vec::new() };
        if self.each > 0 {
            if bases.is_empty() {
                bail!("in no untouched lake does `verify` find nothing: there is none to plant in\n{figures}");
            }
            figures.kinds = self.planted(&chosen, &bases)?;
        }
        for base in &bases {
            std::fs::remove_dir_all(&base.dir)?;
        }
        Ok(figures)
    }

    fn chosen(&self) -> Result<Vec<&'static Mutant>> {
        if self.kinds.is_empty() {
            return Ok(kinds::all().collect());
        }
        self.kinds.iter().map(|name| kinds::named(name)).collect()
    }

    /// Verifies lakes that nobody touched; gives the figures, and the lakes to plant in.
    fn untouched(&self) -> Result<(UntouchedFigures, Vec<Story>)> {
        let seeds: Vec<u64> = (0..self.lakes.max(self.bases)).map(|number| self.seed + number as u64).collect();
        let mut figures = UntouchedFigures::default();
        let mut bases = Vec::new();
        // Chosen by their seeds, not by which is done first. A tiny lake has no place for most kinds.
        let full = seeds.iter().copied().filter(|seed| Shape::of(*seed) != Shape::Tiny);
        let wanted: Vec<u64> = full.take(self.bases).collect();
        let verified = each_of(&seeds, self.threads, |seed| -> Result<(Story, Verified, bool)> {
            let dir = self.scratch.join(format!("lake-{seed}"));
            let story = Story::make(&self.program, *seed, &dir)?;
            let verified = verify(&self.program, Of::Lake(&story.lake), &story.ledgers)?;
            let balanced = verified.false_findings().is_empty();
            let keep = balanced && wanted.contains(seed);
            if !keep && (balanced || !self.keep_missed) {
                std::fs::remove_dir_all(&dir)?;
            }
            Ok((story, verified, keep))
        });
        for one in verified {
            let (story, verified, keep) = one?;
            figures.enter(story.seed, &verified);
            if keep {
                bases.push(story);
            }
        }
        Ok((figures, bases))
    }

    /// Plants each kind as often as asked.
    fn planted(&self, chosen: &[&'static Mutant], bases: &[Story]) -> Result<Vec<KindFigures>> {
        let jobs: Vec<(usize, usize)> =
            (0..chosen.len()).flat_map(|kind| (0..self.each).map(move |time| (kind, time))).collect();
        let runs = each_of(&jobs, self.threads, |(kind, time)| self.one(chosen[*kind], *kind, *time, bases));
        let mut figures: Vec<KindFigures> = chosen.iter().map(|mutant| KindFigures::new(mutant.name)).collect();
        for ((kind, _), run) in jobs.iter().zip(runs) {
            figures[*kind].enter(run?);
        }
        Ok(figures)
    }

    /// Plants a kind once: in the first lake, from a random one on, that has a place for it.
    fn one(&self, mutant: &Mutant, kind: usize, time: usize, bases: &[Story]) -> Result<Run> {
        let number = (kind * self.each + time) as u64;
        for attempt in 0..bases.len() {
            let mut rng = StdRng::seed_from_u64(self.seed ^ (number << 20) ^ attempt as u64);
            // Each time another lake; 7919 and 31 spread kinds over lakes.
            let base = &bases[(kind * 7_919 + time * 31 + attempt) % bases.len()];
            let dir = self.scratch.join(format!("{}-{time}", mutant.name));
            std::fs::create_dir_all(&dir)?;
            let copy = base.copy(&dir)?;
            let planted = kinds::plant(mutant, &copy.lake, &copy.ledgers, &mut rng)?;
            let run = match planted {
                Some(planted) => {
                    let verified = verify(&self.program, Of::Lake(&copy.lake), &copy.ledgers)?;
                    Some(Run::judge(base.seed, planted, &verified))
                }
                None => None,
            };
            let keep = self.keep_missed && run.as_ref().is_some_and(|run| run.outcome != Outcome::Caught);
            if !keep {
                std::fs::remove_dir_all(&dir)?;
            }
            if let Some(run) = run {
                return Ok(run);
            }
        }
        Ok(Run::not_applicable())
    }
}

/// One fault, planted once.
#[derive(Debug, Clone)]
pub struct Run {
    /// What became of it.
    pub outcome: Outcome,
    /// Findings in tables that were not touched: consequences, mostly.
    pub collateral: usize,
    /// How long `verify` took.
    pub took: Duration,
    /// Where it was not caught: the lake's seed, what was planted, and what was said.
    pub story: Option<String>,
}

impl Run {
    fn not_applicable() -> Self {
        Self { outcome: Outcome::NotApplicable, collateral: 0, took: Duration::ZERO, story: None }
    }

    /// Holds what `verify` said against what was planted.
    #[must_use]
    pub fn judge(seed: u64, planted: Planted, verified: &Verified) -> Self {
        let faults: Vec<&Finding> = verified.faults().collect();
        let fits = |finding: &&Finding| planted.expected.iter().any(|one| one.fits(&finding.code, &finding.place));
        let codes = planted.codes();
        let outcome = if verified.exit != Some(1) {
            Outcome::Missed
        } else if faults.iter().any(fits) {
            Outcome::Caught
        } else if faults.iter().any(|finding| codes.contains(&finding.code.as_str())) {
            Outcome::WrongPlace
        } else if faults.is_empty() {
            Outcome::Missed
        } else {
            Outcome::WrongCode
        };
        let elsewhere =
            |finding: &&&Finding| finding.place.table.as_ref().is_some_and(|table| !planted.touched.contains(table));
        let collateral = faults.iter().filter(elsewhere).count();
        let story = (outcome != Outcome::Caught).then(|| {
            let (wanted, told) = (wanted(&planted), verified.told());
            format!("{outcome:?} in lake {seed}: {}\n    expected {wanted}\n    {told}", planted.what)
        });
        Self { outcome, collateral, took: verified.took, story }
    }
}

fn wanted(planted: &Planted) -> String {
    serde_json::to_string(&planted.expected).unwrap_or_default()
}

/// Does `work` for each item, some at once; results are in the items' order.
fn each_of<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some(item) = items.get(at) else { return };
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A folder of this process's own for lakes.
///
/// # Errors
/// When it cannot be made.
pub fn scratch(in_folder: &Path) -> Result<PathBuf> {
    let dir = in_folder.join(format!("watertight-mutants-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// How long something took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expected::{Expected, Must, Place};

    fn planted() -> Planted {
        Planted {
            kind: "bronze-row-dropped",
            what: String::new(),
            expected: vec![Expected::new(&["offsets.lost"], Must::Offset, Place::table("bronze.x").offset((0, 7)))],
            touched: vec!["bronze.x".to_owned()],
        }
    }

    fn said(exit: i32, findings: &[(&str, Place)]) -> Verified {
        let findings = findings.iter().map(|(code, place)| Finding {
            code: (*code).to_owned(),
            place: place.clone(),
            what: String::new(),
        });
        let report = Report { findings: findings.collect(), ..Report::default() };
        Verified { exit: Some(exit), report: Some(report), err: String::new(), took: Duration::ZERO }
    }

    fn outcome(exit: i32, findings: &[(&str, Place)]) -> Outcome {
        Run::judge(1, planted(), &said(exit, findings)).outcome
    }

    #[test]
    fn only_the_right_code_at_the_right_place_with_exit_1_is_caught() {
        let there = Place::table("bronze.x").offset((0, 7));
        let beside = Place::table("bronze.x").offset((0, 8));
        assert_eq!(outcome(1, &[("offsets.lost", there.clone())]), Outcome::Caught);
        assert_eq!(outcome(1, &[("offsets.lost", beside)]), Outcome::WrongPlace);
        assert_eq!(outcome(1, &[("offsets.doubled", there.clone())]), Outcome::WrongCode);
        assert_eq!(outcome(1, &[]), Outcome::Missed);
        assert_eq!(outcome(0, &[("offsets.lost", there.clone())]), Outcome::Missed);
        assert_eq!(outcome(2, &[("offsets.lost", there)]), Outcome::Missed);
    }

    #[test]
    fn notes_do_not_count_and_other_tables_are_collateral() {
        let there = Place::table("bronze.x").offset((0, 7));
        assert_eq!(outcome(1, &[("log.orphan", there.clone())]), Outcome::Missed);
        let both = [("offsets.lost", there), ("rows.unfounded", Place::table("silver.x").offset((0, 7)))];
        assert_eq!(Run::judge(1, planted(), &said(1, &both)).collateral, 1);
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..50).collect();
        assert_eq!(each_of(&items, 3, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
    }
}
