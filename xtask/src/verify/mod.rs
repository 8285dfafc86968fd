//! `cargo xtask verify`: all that CI runs, step by step, with one table and one line of totals at the end.
//!
//! Contract: every selected step runs even if an earlier one failed (`--fail-fast` stops at the first); the last line
//! printed is `N passed, N failed`; the exit is zero only if nothing failed and something passed. A check without
//! tests of its own counts as one.
//! Never: repairs anything. A step reads the work tree and writes only to the cache and the target directory.

mod selection;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

pub(crate) use selection::Selection;

use crate::workspace::{Workspace, shown};
use crate::{documents, features, instructions, layers, licences, readers, registries, sizes, tests_step};

/// One step of verify, which is also a command of its own.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) purpose: &'static str,
    run: fn(&Workspace) -> Result<Tally>,
}

/// In the order of running: what answers within a second first, what needs the binary last.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "fmt", purpose: "the code is formatted as rustfmt.toml says", run: fmt },
    Step { name: "layers", purpose: "dependencies between our crates go one way", run: layers::check },
    Step { name: "features", purpose: "demo and tests share every built dependency", run: features::check },
    Step { name: "sizes", purpose: "files and functions stay within their limits", run: sizes::check },
    Step { name: "licences", purpose: "every dependency's licence is allowed", run: licences::check },
    Step { name: "registries", purpose: "no file names the host of a package registry", run: registries::check },
    Step { name: "documents", purpose: "documents name only what exists", run: documents::check },
    Step { name: "clippy", purpose: "no warning from the compiler or clippy", run: clippy },
    Step { name: "tests", purpose: "every Rust test, documentation included", run: tests_step::run },
    Step {
        name: "instructions",
        purpose: "decoding, index and encoding take no more than was accepted",
        run: instructions::check,
    },
    Step { name: "checkers", purpose: "the checks in Python catch planted faults", run: readers::checkers },
    Step { name: "readers", purpose: "deltalake, DuckDB and Polars read our tables alike", run: readers::run },
];

/// What a step found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// One line each; printed again at the very end.
    pub(crate) problems: Vec<String>,
}

impl Tally {
    /// A check that counts as one, passed if there are no problems.
    pub(crate) fn check(problems: Vec<String>) -> Self {
        let failed = u64::from(!problems.is_empty());
        Self { passed: 1 - failed, failed, problems }
    }

    /// Counts one more failure.
    pub(crate) fn fail(&mut self, problem: String) {
        self.failed += 1;
        self.problems.push(problem);
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.problems.extend(other.problems);
    }
}

/// A step that has run.
struct Finished {
    name: &'static str,
    elapsed: Duration,
    tally: Tally,
}

pub(crate) fn run(workspace: &Workspace, selection: &Selection) -> Result<ExitCode> {
    let mut finished = Vec::new();
    for step in STEPS.iter().filter(|step| selection.includes(step.name)) {
        println!("\n── {} ── {}", step.name, step.purpose);
        let started = Instant::now();
        let tally = (step.run)(workspace).unwrap_or_else(|error| Tally::check(vec![format!("{error:#}")]));
        let elapsed = started.elapsed();
        tally.problems.iter().for_each(|problem| println!("  ✗ {problem}"));
        println!("   {} {} after {}", step.name, verdict(&tally), seconds(elapsed));
        let stop = selection.stops_after_failure() && tally.failed > 0;
        finished.push(Finished { name: step.name, elapsed, tally });
        if stop {
            break;
        }
    }
    print!("{}", report(&finished));
    let failed = finished.iter().any(|step| step.tally.failed > 0);
    let passed = finished.iter().any(|step| step.tally.passed > 0);
    Ok(if passed && !failed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The table, the problems once more, and the line of totals, which is always the last.
fn report(finished: &[Finished]) -> String {
    let mut text = format!("\n{:<12} {:<6} {:>9} {:>8} {:>8}\n", "step", "result", "elapsed", "passed", "failed");
    let mut total = Tally::default();
    let mut problems = String::new();
    for Finished { name, elapsed, tally } in finished {
        let (verdict, elapsed) = (verdict(tally), seconds(*elapsed));
        text += &format!("{name:<12} {verdict:<6} {elapsed:>9} {:>8} {:>8}\n", tally.passed, tally.failed);
        for problem in &tally.problems {
            problems += &format!("✗ {name}: {problem}\n");
        }
        total.add(tally.clone());
    }
    let elapsed: Duration = finished.iter().map(|step| step.elapsed).sum();
    text += &format!("{:<12} {:<6} {:>9}\n\n{problems}", "all", verdict(&total), seconds(elapsed));
    text + &format!("{} passed, {} failed\n", total.passed, total.failed)
}

fn verdict(tally: &Tally) -> &'static str {
    match tally.failed {
        0 => "ok",
        _ => "FAILED",
    }
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

fn fmt(workspace: &Workspace) -> Result<Tally> {
    shown(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Tally::check(Vec::new()))
}

fn clippy(workspace: &Workspace) -> Result<Tally> {
    let mut command = workspace.cargo();
    command.args(["clippy", "--locked", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]);
    shown(&mut command)?;
    Ok(Tally::check(Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(name: &'static str, tally: Tally) -> Finished {
        Finished { name, elapsed: Duration::from_millis(1234), tally }
    }

    #[test]
    fn the_last_line_is_the_sum_and_the_problems_stand_above_it() {
        let steps = [
            finished("tests", Tally { passed: 40, failed: 1, problems: vec!["a::b".to_owned()] }),
            finished("fmt", Tally::check(Vec::new())),
        ];
        let text = report(&steps);
        assert!(text.ends_with("✗ tests: a::b\n41 passed, 1 failed\n"), "{text}");
        assert!(text.contains("tests        FAILED     1.2 s       40        1"), "{text}");
    }

    #[test]
    fn a_check_with_problems_counts_as_one_failure() {
        let tally = Tally::check(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!((tally.passed, tally.failed), (0, 1));
    }

    #[test]
    fn step_names_are_unique_because_they_are_commands() {
        for (index, step) in STEPS.iter().enumerate() {
            assert!(STEPS[index + 1..].iter().all(|other| other.name != step.name), "{}", step.name);
        }
    }
}
