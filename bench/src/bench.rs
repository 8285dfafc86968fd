//! What every measurement has: its arguments, the program, the folder, the time it may take, and how it is reported.

use crate::amount;
use crate::cache::Cache;
use crate::document;
use crate::machine::Machine;
use crate::program::Program;
use crate::progress::{Deadline, ProgressLine};
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of every measurement.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CommonArgs {
    /// Rounds; each measures everything once. 5 unless given; of measurements that take minutes each, fewer.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: Option<u32>,
    /// The program to measure; the `watertight` beside this one unless given.
    #[arg(long, value_name = "PATH")]
    pub(crate) program: Option<PathBuf>,
    /// Write every round and the facts of the machine to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Put the table into the part of this document that is kept for it, between `<!-- bench NAME -->` and
    /// `<!-- bench end -->`.
    #[arg(long, value_name = "FILE")]
    pub(crate) write_docs: Option<PathBuf>,
    /// It ends after this time at most; rounds that are complete by then are reported.
    #[arg(long, value_name = "TIME", default_value = "60min", value_parser = amount::duration)]
    pub(crate) time_max: Duration,
}

/// Rounds where the command line does not say.
const RUNS_USUAL: u32 = 5;

impl CommonArgs {
    /// How many rounds.
    pub(crate) fn runs(&self) -> u32 {
        self.runs_or(RUNS_USUAL)
    }

    /// As [`CommonArgs::runs`], for a measurement that has fewer unless told otherwise.
    pub(crate) fn runs_or(&self, usual: u32) -> u32 {
        self.runs.unwrap_or(usual)
    }
}

/// A measurement that was set up.
pub(crate) struct Bench {
    /// What is measured.
    pub(crate) program: Program,
    /// Where.
    pub(crate) cache: Cache,
    /// Until when.
    pub(crate) deadline: Deadline,
    /// The facts.
    pub(crate) machine: Machine,
    /// What somebody who waits sees.
    pub(crate) progress: ProgressLine,
    json: Option<PathBuf>,
    document: Option<PathBuf>,
}

impl Bench {
    /// Sets up; what would make the work vain is found here.
    pub(crate) fn set_up(args: &CommonArgs) -> Result<Self> {
        if let Some(path) = &args.json {
            check_target("--json", path)?;
        }
        if let Some(path) = &args.write_docs {
            check_target("--write-docs", path)?;
        }
        let program = Program::find(args.program.as_deref())?;
        let machine = Machine::look(&program)?;
        let mut progress = ProgressLine::on_stderr();
        for warning in machine.warnings() {
            progress.say(&format!("warning: {warning}"));
        }
        let (cache, deadline) = (Cache::open()?, Deadline::after(args.time_max));
        let (json, document) = (args.json.clone(), args.write_docs.clone());
        Ok(Self { program, cache, deadline, machine, progress, json, document })
    }

    /// Prints the table, and writes the files that are asked for; `name` is the measurement's, as on the command line.
    pub(crate) fn report(&mut self, name: &str, title: &str, table: &str, measured: &impl Serialize) -> Result<()> {
        self.progress.clear();
        let text = format!("{title}\n{}\n\n{table}", self.machine.line());
        print!("{text}");
        if let Some(path) = &self.document {
            document::put(path, name, &text)?;
        }
        let Some(path) = &self.json else { return Ok(()) };
        let document = Document { title, machine: &self.machine, measured };
        let mut text = serde_json::to_string_pretty(&document).context("the figures could not be written as JSON")?;
        text.push('\n');
        std::fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
    }
}

#[derive(Serialize)]
struct Document<'a, T> {
    title: &'a str,
    machine: &'a Machine,
    measured: &'a T,
}

/// An hour's work is not lost to a mistyped path.
pub(crate) fn check_target(argument: &str, path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() || !folder.is_dir() {
        bail!("{argument} {} cannot be written; name a file in a folder that exists", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_could_not_be_written_is_refused_before_anything_is_measured() {
        let dir = tempfile::tempdir().expect("scratch");
        assert!(check_target("--json", &dir.path().join("figures.json")).is_ok());
        assert!(check_target("--json", Path::new("figures.json")).is_ok());
        assert!(check_target("--json", dir.path()).is_err());
        assert!(check_target("--json", &dir.path().join("missing/figures.json")).is_err());
    }
}
