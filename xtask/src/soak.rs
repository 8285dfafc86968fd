//! `cargo xtask soak --minutes N`: the kill tests of the real binary for as long as asked.
//!
//! Contract: the tests of the module `kills` in the watertight crate read `WATERTIGHT_SOAK_MINUTES`; unset, they run
//! the short form that `verify` runs. A soak in which no test ran is a failure.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::tests_step::Totals;
use crate::workspace::{Workspace, teed};

/// The variable that makes the kill tests run for a time instead of for a number of kills.
const MINUTES: &str = "WATERTIGHT_SOAK_MINUTES";
/// The tests that know how to go on for a time.
const FILTER: &str = "kills::";
/// A week: what is longer is a typing error.
const MINUTES_MAX: u32 = 7 * 24 * 60;

pub(crate) fn minutes(arguments: &[String]) -> Result<u32> {
    let [flag, value] = arguments else { bail!("say for how long: `cargo xtask soak --minutes 30`") };
    if flag != "--minutes" {
        bail!("unknown argument `{flag}`; soak takes `--minutes N`");
    }
    let minutes: u32 = value.parse().with_context(|| format!("`{value}` is not a number of minutes"))?;
    if !(1..=MINUTES_MAX).contains(&minutes) {
        bail!("`--minutes` must be between 1 and {MINUTES_MAX}");
    }
    Ok(minutes)
}

pub(crate) fn run(workspace: &Workspace, minutes: u32) -> Result<ExitCode> {
    println!("soak: kill tests of the real binary for {minutes} min");
    let mut command = workspace.cargo();
    command.args(["test", "--locked", "-p", "watertight", "--test", "it", "--", FILTER, "--nocapture"]);
    let (output, succeeded) = teed(command.env(MINUTES, minutes.to_string()))?;
    let mut totals = Totals::of_cargo(&output);
    if totals.passed + totals.failed == 0 {
        eprintln!("error: no test matched `{FILTER}` or the build failed; a soak in which nothing ran proves nothing");
    }
    if !succeeded || totals.passed == 0 {
        totals.failed = totals.failed.max(1);
    }
    println!("{} passed, {} failed", totals.passed, totals.failed);
    Ok(if totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<u32> {
        minutes(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_soak_needs_a_sensible_length() {
        assert_eq!(parsed(&["--minutes", "30"]).unwrap(), 30);
        for wrong in [&["--minutes"][..], &["--hours", "1"], &["--minutes", "0"], &["--minutes", "x"], &[]] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
        assert!(parsed(&["--minutes", "10081"]).is_err());
    }
}
