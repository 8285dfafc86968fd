//! `cargo xtask bench`: builds what users run, as they run it, and measures it.
//!
//! `cargo xtask bench [MEASUREMENT] [ARGUMENTS]` builds the release programs and hands the rest to `watertight-bench`:
//! `levels` unless another measurement is named. `cargo xtask bench --callgrind` counts instructions instead (the step
//! `instructions` of verify), and with `--accept` keeps what it counted; `cargo xtask bench --profile LEVEL` says where
//! the time of a level goes.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::instructions;
use crate::profile;
use crate::workspace::{Workspace, shown};

/// What is measured where nothing is named.
const USUAL: &str = "levels";

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    /// A measurement and its arguments.
    Measure(Vec<String>),
    /// Counts against those that are kept.
    Count,
    /// Counts, kept.
    Accept,
    /// Where the time of a level goes; the level, and arguments of `levels`.
    Profile(Vec<String>),
}

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    match asked(arguments)? {
        Asked::Count => instructions::show(workspace),
        Asked::Accept => instructions::accept(workspace),
        Asked::Profile(words) => profile::run(workspace, &words),
        Asked::Measure(words) => measure(workspace, &words),
    }
}

fn asked(arguments: &[String]) -> Result<Asked> {
    if let Some(("--profile", words)) = arguments.split_first().map(|(first, words)| (first.as_str(), words)) {
        return Ok(Asked::Profile(words.to_vec()));
    }
    if !arguments.iter().any(|word| word == "--callgrind" || word == "--accept") {
        let named = arguments.first().is_some_and(|word| !word.starts_with('-'));
        let usual = (!named).then(|| USUAL.to_owned());
        return Ok(Asked::Measure(usual.into_iter().chain(arguments.iter().cloned()).collect()));
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--callgrind"] => Ok(Asked::Count),
        ["--callgrind", "--accept"] => Ok(Asked::Accept),
        _ => bail!(
            "instructions are counted by `--callgrind`, and kept by `--callgrind --accept`; nothing else goes with it"
        ),
    }
}

/// Builds the release programs; the folder that they are in.
pub(crate) fn release(workspace: &Workspace) -> Result<PathBuf> {
    println!("bench: building the release programs; from nothing that takes half an hour on two cores");
    let mut build = workspace.cargo();
    shown(build.args(["build", "--locked", "--release", "-p", "watertight", "-p", "watertight-bench"]))?;
    Ok(workspace.target.join("release"))
}

fn measure(workspace: &Workspace, words: &[String]) -> Result<ExitCode> {
    let mut command = workspace.command(release(workspace)?.join("watertight-bench"));
    // Files are named as seen from where the user is.
    command.args(words).current_dir(std::env::current_dir().context("the current folder is gone")?);
    // In the place of this process: what ends it ends the measurement, and so all that the measurement started.
    Err(command.exec()).context("watertight-bench could not be started")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Asked> {
        asked(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn measure(line: &str) -> Asked {
        Asked::Measure(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn levels_are_measured_unless_something_else_is_named() {
        assert_eq!(parsed("").unwrap(), measure("levels"));
        assert_eq!(parsed("--events 2M --json x").unwrap(), measure("levels --events 2M --json x"));
        assert_eq!(parsed("latency --rate 20k").unwrap(), measure("latency --rate 20k"));
    }

    #[test]
    fn a_profile_takes_what_levels_takes() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(parsed("--profile L1 --events 2M").unwrap(), Asked::Profile(words("L1 --events 2M")));
        assert_eq!(parsed("levels --profile").unwrap(), measure("levels --profile"));
    }

    #[test]
    fn counting_takes_no_other_arguments() {
        assert_eq!(parsed("--callgrind").unwrap(), Asked::Count);
        assert_eq!(parsed("--callgrind --accept").unwrap(), Asked::Accept);
        for wrong in ["--accept", "--callgrind --events 2M", "levels --callgrind", "--accept --callgrind"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
