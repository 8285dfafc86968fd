//! The steps `checkers` and `readers`: our tables, read by others.
//!
//! Purpose: build lakes with the real binary, as a user would, and let deltalake for Python, DuckDB and Polars read
//! every table of them; let DuckDB compute from the original earthquakes file what gold must hold, and run the statements
//! of a runbook as they stand. The Python programs are in tests/readers/; `checkers` runs their own tests, which plant
//! faults that must be caught.
//! Never: installs anything; `setup/install.sh test` does, into the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tests_step::Totals;
use crate::verify::Tally;
use crate::workspace::{Workspace, captured, shown, teed};

/// What the stock market example is given: enough for several commits and every kind of table.
const STOCKS: &[&str] = &[
    "--generate",
    "stocks",
    "--count",
    "20000",
    "--seed",
    "7",
    "--duplicates",
    "0.05",
    "--late",
    "0.03",
    "--malformed",
    "0.005",
];
const STOCKS_STREAM: &str = "stock_ticks";
/// What the API usage example is given: events of the day that tests/readers/runbook.sql names.
const USAGE: &[&str] = &[
    "--generate",
    "api-usage",
    "--count",
    "4000",
    "--seed",
    "7",
    "--duplicates",
    "0.05",
    "--late",
    "0.03",
    "--malformed",
    "0.01",
    "--start-time",
    "2026-01-28T10:00:00Z",
    "--ledger",
    USAGE_LEDGER,
    "--truth",
    USAGE_TRUTH,
];
const USAGE_STREAM: &str = "api_usage_events";
const USAGE_LEDGER: &str = "acked.ids";
const USAGE_TRUTH: &str = "truth";
const EARTHQUAKES_STREAM: &str = "earthquakes";
/// The model of the earthquakes example, as a CSV that tests/readers/earthquakes.py understands.
const EARTHQUAKES_SQL: &str = "select * from gold.quakes_daily";
/// The pipeline of the share prices: no id of their own, and a date for a time.
const SHARES: &str = "
pipeline: shares
log: { local: { path: data/log } }
lake: data/lake
streams:
  shares:
    partitions: 1
    event_id: { hash: [date] }
    event_time: { column: date, watermark: 30 days }
    columns:
      date:     { type: date, required: true }
      open:     { type: \"decimal(18,6)\", required: true }
      high:     { type: \"decimal(18,6)\", required: true }
      low:      { type: \"decimal(18,6)\", required: true }
      close:    { type: \"decimal(18,6)\", required: true }
      adjclose: { type: \"decimal(18,6)\", required: true }
      volume:   { type: long, required: true }
    checks: { high_is_highest: high >= low }
commit: { max_rows: 2000 }
";
/// Days of trading in a year.
const SHARES_DAYS: usize = 252;
/// What tests/readers/shares.py holds against the original.
const SHARES_SQL: &str = "select date, close, volume, _event_time from silver.shares order by date";
/// The pipeline file `init` writes.
const PIPELINE: &str = "pipeline.yaml";
/// Everything is read, and every window closed.
const RUN_TO_THE_END: &[&str] = &["run", "-f", PIPELINE, "--until-caught-up", "--close-windows"];
/// Where the example's pipeline file puts the tables.
const LAKE: &str = "data/lake";

/// Runs the tests of the Python checks.
pub(crate) fn checkers(workspace: &Workspace) -> Result<Tally> {
    let script = script(workspace, "planted_faults.py")?;
    let (output, succeeded) = teed(&mut python(workspace, &script)?)?;
    Ok(Totals::of_script(&output).into_tally("the tests of the Python checks", succeeded))
}

/// Builds the lakes and has them read.
pub(crate) fn run(workspace: &Workspace) -> Result<Tally> {
    shown(workspace.cargo().args(["build", "--locked", "-p", "watertight"]))?;
    let scratch = workspace.target.join(format!("readers-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).with_context(|| format!("{} cannot be made", scratch.display()))?;
    let mut tally = Tally::default();
    for part in [stocks, runbook, earthquakes, shares] {
        tally.add(part(workspace, &scratch).unwrap_or_else(|error| Tally::check(vec![format!("{error:#}")])));
    }
    if tally.failed == 0 {
        std::fs::remove_dir_all(&scratch).with_context(|| format!("{} cannot be removed", scratch.display()))?;
    } else {
        println!("  the lakes are kept in {}", scratch.display());
    }
    Ok(tally)
}

fn stocks(workspace: &Workspace, scratch: &Path) -> Result<Tally> {
    let example = Example::init(workspace, scratch, "stocks")?;
    // Twice, so that there are several files of a day, which another program can compact.
    for run in [&["run", "-f", PIPELINE, "--until-caught-up"][..], RUN_TO_THE_END] {
        example.watertight(&["produce", "-f", PIPELINE, "--stream", STOCKS_STREAM], STOCKS)?;
        example.watertight(run, &[])?;
    }
    let mut tally = example.read_tables()?;
    let mut command = python(workspace, &script(workspace, "edited.py")?)?;
    let (output, succeeded) = teed(command.arg(&example.binary).arg(example.folder.join(LAKE)))?;
    tally.add(Totals::of_script(&output).into_tally("tables edited by hand, and verified", succeeded));
    Ok(tally)
}

/// The statements of users' runbooks, through DuckDB, against what the producer wrote down.
fn runbook(workspace: &Workspace, scratch: &Path) -> Result<Tally> {
    let example = Example::init(workspace, scratch, "api-usage")?;
    example.watertight(&["produce", "-f", PIPELINE, "--stream", USAGE_STREAM], USAGE)?;
    example.run_to_the_end()?;
    let mut tally = example.read_tables()?;
    let mut command = python(workspace, &script(workspace, "runbook.py")?)?;
    for path in [LAKE, USAGE_LEDGER, USAGE_TRUTH] {
        command.arg(example.folder.join(path));
    }
    let (output, succeeded) = teed(&mut command)?;
    tally.add(Totals::of_script(&output).into_tally("the runbook's statements", succeeded));
    Ok(tally)
}

fn earthquakes(workspace: &Workspace, scratch: &Path) -> Result<Tally> {
    let original = dataset(workspace, "earthquakes.json")?;
    let lines = dataset(workspace, "earthquakes.jsonl")?;
    let lines = lines.to_str().context("the cache's path is not UTF-8")?;
    let example = Example::init(workspace, scratch, "earthquakes")?;
    example.watertight(&["produce", "-f", PIPELINE, "--stream", EARTHQUAKES_STREAM], &["--input", lines])?;
    example.run_to_the_end()?;
    let mut tally = example.read_tables()?;
    let answer = example.folder.join("quakes_daily.csv");
    let csv = captured(example.command().args(["sql", "-f", PIPELINE, "--format", "csv", EARTHQUAKES_SQL]))?;
    std::fs::write(&answer, csv).with_context(|| format!("{} cannot be written", answer.display()))?;
    let mut command = python(workspace, &script(workspace, "earthquakes.py")?)?;
    let (output, succeeded) = teed(command.arg(&original).arg(&answer))?;
    tally.add(Totals::of_script(&output).into_tally("the earthquakes comparison", succeeded));
    Ok(tally)
}

/// Share prices from a CSV, a year of it as it was published: an event per day, whose time is a date.
fn shares(workspace: &Workspace, scratch: &Path) -> Result<Tally> {
    let published = dataset(workspace, "sp500-2000.csv")?;
    let folder = scratch.join("shares");
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    // Each day is a file: more of them only makes the readers slow.
    let text =
        std::fs::read_to_string(&published).with_context(|| format!("{} cannot be read", published.display()))?;
    let year: Vec<&str> = text.lines().take(1 + SHARES_DAYS).collect();
    let original = folder.join("original.csv");
    std::fs::write(&original, year.join("\n")).with_context(|| format!("{} cannot be written", original.display()))?;
    let example = Example { workspace, binary: workspace.target.join("debug/watertight"), folder };
    let file = example.folder.join(PIPELINE);
    std::fs::write(&file, SHARES).with_context(|| format!("{} cannot be written", file.display()))?;
    let input = original.to_str().context("the cache's path is not UTF-8")?;
    example.watertight(&["produce", "-f", PIPELINE, "--stream", "shares"], &["--input", input])?;
    example.run_to_the_end()?;
    let mut tally = example.read_tables()?;
    let answer = example.folder.join("shares.csv");
    let csv = captured(example.command().args(["sql", "-f", PIPELINE, "--format", "csv", SHARES_SQL]))?;
    std::fs::write(&answer, csv).with_context(|| format!("{} cannot be written", answer.display()))?;
    let mut command = python(workspace, &script(workspace, "shares.py")?)?;
    let (output, succeeded) = teed(command.arg(&original).arg(&answer))?;
    tally.add(Totals::of_script(&output).into_tally("the share prices' comparison", succeeded));
    Ok(tally)
}

/// An example made by `watertight init` in a scratch folder.
struct Example<'a> {
    workspace: &'a Workspace,
    binary: PathBuf,
    folder: PathBuf,
}

impl<'a> Example<'a> {
    fn init(workspace: &'a Workspace, scratch: &Path, name: &str) -> Result<Self> {
        let binary = workspace.target.join("debug/watertight");
        let folder = scratch.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let example = Self { workspace, binary, folder };
        example.watertight(&["init", name, "."], &[])?;
        Ok(example)
    }

    fn command(&self) -> Command {
        let mut command = self.workspace.command(&self.binary);
        command.current_dir(&self.folder);
        command
    }

    fn watertight(&self, arguments: &[&str], more: &[&str]) -> Result<()> {
        shown(self.command().args(arguments).args(more))
    }

    fn run_to_the_end(&self) -> Result<()> {
        self.watertight(RUN_TO_THE_END, &[])
    }

    fn read_tables(&self) -> Result<Tally> {
        let mut command = python(self.workspace, &script(self.workspace, "read_tables.py")?)?;
        let (output, succeeded) = teed(command.arg(self.folder.join(LAKE)))?;
        Ok(Totals::of_script(&output).into_tally("the readers' comparisons", succeeded))
    }
}

/// A fetched data set; `setup/install.sh test` puts them into the cache.
fn dataset(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let path = workspace.cache.join("datasets").join(name);
    if !path.is_file() {
        bail!("{} is missing; run `setup/install.sh test`", path.display());
    }
    Ok(path)
}

fn script(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let path = workspace.root.join("tests/readers").join(name);
    if !path.is_file() {
        bail!("{} is missing", path.display());
    }
    Ok(path)
}

fn python(workspace: &Workspace, script: &Path) -> Result<Command> {
    let interpreter = workspace.cache.join("readers-venv/bin/python");
    if !interpreter.is_file() {
        bail!("{} is missing; run `setup/install.sh test`", interpreter.display());
    }
    let mut command = workspace.command(interpreter);
    command.arg("-B").arg(script);
    Ok(command)
}
