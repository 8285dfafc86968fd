//! The step `tests`: every Rust test of the workspace, unit, contract, integration and documentation.
//!
//! Purpose: one `cargo test --workspace`, its results added up from its output. A test that is ignored is a failure:
//! it cannot fail, so it proves nothing. Some tests run against real Kafka: where it is not installed, none is run, and
//! the step says what to do.

use anyhow::Result;
use watertight_lab::kafka::Distribution;

use crate::verify::Tally;
use crate::workspace::{Workspace, teed};

/// Results added up over any number of test programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// The names of failed tests, in the order they ended.
    pub(crate) failures: Vec<String>,
}

impl Totals {
    /// Reads the lines `test result: …` and `test … FAILED` of libtest and rustdoc.
    pub(crate) fn of_cargo(output: &str) -> Self {
        let mut totals = Self::default();
        for line in output.lines() {
            if let Some(result) = line.strip_prefix("test result: ") {
                totals.passed += count_before(result, " passed");
                totals.failed += count_before(result, " failed");
                totals.ignored += count_before(result, " ignored");
            } else if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
                totals.failures.push(name.to_owned());
            }
        }
        totals
    }

    /// Reads the line `N passed, N failed` and the lines `FAILED …` that our Python checks print.
    pub(crate) fn of_script(output: &str) -> Self {
        let mut totals = Self::default();
        for line in output.lines() {
            if let Some((passed, failed)) = line.split_once(" passed, ")
                && let (Ok(passed), Some(Ok(failed))) =
                    (passed.parse::<u64>(), failed.strip_suffix(" failed").map(str::parse::<u64>))
            {
                totals.passed += passed;
                totals.failed += failed;
            } else if let Some(failure) = line.strip_prefix("FAILED ") {
                totals.failures.push(failure.to_owned());
            }
        }
        totals
    }

    /// The verdict over a program that printed these totals and exited with or without success.
    pub(crate) fn into_tally(self, what: &str, succeeded: bool) -> Tally {
        let mut tally = Tally { passed: self.passed, failed: self.failed, problems: self.failures };
        if self.ignored > 0 {
            tally.fail(format!("{} of {what} were ignored; a test that never runs cannot fail", self.ignored));
        }
        if self.passed + self.failed == 0 {
            tally.fail(format!("none of {what} ran"));
        } else if !succeeded && self.failed == 0 {
            tally.fail(format!("{what} ended with an error outside any test; see above"));
        }
        tally
    }
}

/// The number that stands directly before `word`; 0 if there is none.
fn count_before(text: &str, word: &str) -> u64 {
    let before = text.split(word).next().filter(|before| before.len() < text.len());
    before.and_then(|before| before.rsplit(' ').next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

pub(crate) fn run(workspace: &Workspace) -> Result<Tally> {
    // Said at once, and once: otherwise each test that needs it would say so at the end of many minutes.
    Distribution::in_cache()?.check()?;
    let mut command = workspace.cargo();
    let (output, succeeded) = teed(command.args(["test", "--locked", "--workspace", "--no-fail-fast"]))?;
    Ok(Totals::of_cargo(&output).into_tally("the Rust tests", succeeded))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
test a::one ... ok
test a::two ... FAILED
test b ... ignored

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 1.00s
";

    #[test]
    fn results_of_several_programs_are_added_up() {
        let totals = Totals::of_cargo(OUTPUT);
        assert_eq!((totals.passed, totals.failed, totals.ignored), (13, 1, 1));
        assert_eq!(totals.failures, ["a::two"]);
    }

    #[test]
    fn an_ignored_test_fails_the_step() {
        let tally = Totals { passed: 5, ignored: 1, ..Totals::default() }.into_tally("tests", true);
        assert_eq!((tally.passed, tally.failed), (5, 1));
    }

    #[test]
    fn a_program_that_dies_or_runs_nothing_is_a_failure_though_no_test_failed() {
        let died = Totals { passed: 5, ..Totals::default() }.into_tally("tests", false);
        assert_eq!((died.passed, died.failed), (5, 1));
        let nothing = Totals::default().into_tally("tests", true);
        assert_eq!((nothing.passed, nothing.failed), (0, 1));
    }

    #[test]
    fn a_failed_test_is_counted_once_when_the_program_exits_with_failure_as_it_must() {
        let totals = Totals { passed: 1, failed: 2, failures: vec!["a".into(), "b".into()], ..Totals::default() };
        assert_eq!(totals.into_tally("tests", false).failed, 2);
    }

    #[test]
    fn totals_of_scripts_are_read_and_prose_is_not() {
        let totals =
            Totals::of_script("ok deltalake\nFAILED polars: rows\n3 passed, 1 failed\nsome passed, none failed\n");
        assert_eq!((totals.passed, totals.failed), (3, 1));
        assert_eq!(totals.failures, ["polars: rows"]);
    }
}
