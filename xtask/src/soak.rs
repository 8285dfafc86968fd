//! `cargo xtask soak --minutes N`: kills and power cuts of the real binary, and faults planted in its lakes, for as long
//! as asked.
//!
//! Contract: the tests named in [`SOAKS`] read `WATERTIGHT_SOAK_MINUTES`; unset, they run the short form that `verify`
//! runs. They go on one after another, each for its share of the time. A soak in which no test ran is a failure.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::tests_step::Totals;
use crate::workspace::{Workspace, teed};

/// The variable that makes these tests run for a time instead of for a number of kills or faults.
const MINUTES: &str = "WATERTIGHT_SOAK_MINUTES";
/// The tests that know how to go on for a time: package and name.
const SOAKS: [(&str, &str); 5] = [
    ("watertight", "kills::every_event_is_there_once_however_often_the_pipeline_and_the_producer_are_killed"),
    ("watertight-chaos", "crash_points::random_kills_of_pipeline_and_producer_leave_the_tables_exact"),
    ("watertight-chaos", "kafka_kills::random_kills_of_pipeline_producer_and_broker_leave_the_tables_exact"),
    ("watertight-chaos", "power_cuts::random_power_cuts_leave_the_tables_exact"),
    ("watertight-chaos", "mutants::each_planted_fault_is_found_with_its_code_and_place"),
];
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
    let share = minutes.div_ceil(SOAKS.len() as u32);
    println!("soak: kills, power cuts and planted faults, {} tests of {share} min each", SOAKS.len());
    let mut totals = Totals::default();
    for (package, test) in SOAKS {
        // The whole workspace is built, as the tests build it: another choice of packages would build DataFusion anew.
        let mut command = workspace.cargo();
        command.args(["test", "--locked", "--workspace", "--test", "it", "--", "--exact", test, "--nocapture"]);
        let (output, succeeded) = teed(command.env(MINUTES, share.to_string()))?;
        let ran = Totals::of_cargo(&output);
        if ran.passed + ran.failed == 0 {
            eprintln!(
                "error: {package} has no test {test}, or the build failed; a soak in which nothing ran proves nothing"
            );
        }
        totals.passed += ran.passed;
        totals.failed += if succeeded && ran.passed > 0 { ran.failed } else { ran.failed.max(1) };
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
