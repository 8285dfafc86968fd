//! `levels`: what an event costs, stage by stage, as a multiple of only reading it.
//!
//! Contract: every level reads the same log from its beginning and is held to it: L0 by number and checksum, the others
//! by the books of their tables. Each run has a fresh lake. A round measures every level once, in rotating order, so that
//! a machine that is slower for a while is slower for all of them; a ratio is one of two runs of the same round.

pub(crate) mod read_log;
mod report;

use crate::amount;
use crate::bench::{Bench, CommonArgs};
use crate::cache::folder_bytes;
use crate::child::{self, Usage};
use crate::input::{self, Pipeline, STREAM};
use crate::lake;
use crate::program::Program;
use crate::progress::{Deadline, about, rounds};
use anyhow::{Context as _, Result, ensure};
use read_log::LogSum;
use serde::Serialize;
use std::path::Path;

/// Arguments of `levels`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Levels: L0 reads the log and adds up its checksum; L1 adds the bronze table; L2 decoding, duplicates, dead letters and
the silver table; L3 windows of one minute and the gold table.")]
pub(crate) struct Args {
    /// Events in the log.
    #[arg(long, value_name = "COUNT", default_value = "2M", value_parser = amount::count)]
    pub(crate) events: u64,
    /// What is measured; ratios need L0.
    #[arg(long, value_enum, value_name = "LEVELS", value_delimiter = ',', ignore_case = true)]
    #[arg(default_values = ["L0", "L1", "L2", "L3"])]
    pub(crate) levels: Vec<Level>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// How much is done with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
pub(crate) enum Level {
    /// The log is read, its checksum added up.
    #[value(name = "L0")]
    L0,
    /// And bronze.
    #[value(name = "L1")]
    L1,
    /// And silver.
    #[value(name = "L2")]
    L2,
    /// And gold.
    #[value(name = "L3")]
    L3,
}

impl Level {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::L0 => "L0",
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
        }
    }

    /// Seconds a million events take, on two slow cores and generously: to say how long it will take.
    fn expected_s(self) -> f64 {
        match self {
            Self::L0 => 2.0,
            Self::L1 => 5.0,
            Self::L2 => 8.0,
            Self::L3 => 9.0,
        }
    }
}

/// Seconds that making a million events takes, likewise.
const MAKING_S: f64 = 8.0;
/// Seconds that a run takes whatever it reads: start, end, and the folder's removal.
const RUN_S: f64 = 1.0;

/// One run of one level.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Run {
    /// Round, from 0.
    pub(crate) round: u32,
    /// Level.
    pub(crate) level: Level,
    /// What it used.
    #[serde(flatten)]
    pub(crate) usage: Usage,
    /// Bytes of everything in the lake's folder afterwards; nothing for L0.
    pub(crate) lake_bytes: u64,
}

/// Everything that was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measured {
    /// The log's records, bytes and checksum as L0 read them.
    pub(crate) log: Option<LogSum>,
    /// Events in the log.
    pub(crate) events: u64,
    /// All runs.
    pub(crate) runs: Vec<Run>,
    /// By level.
    pub(crate) summary: Vec<report::Summary>,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    let mut bench = Bench::set_up(&args.common)?;
    let mut levels = Vec::new();
    for level in &args.levels {
        if !levels.contains(level) {
            levels.push(*level);
        }
    }
    let millions = args.events as f64 / 1e6;
    let round_s: f64 = levels.iter().map(|level| level.expected_s() * millions + RUN_S).sum();
    let making_s = if input::is_missing(&bench, args.events) { MAKING_S * millions } else { 0.0 };
    let takes = about(making_s + round_s * f64::from(args.common.runs));
    bench.progress.say(&format!("{} rounds of {} levels: {takes}", args.common.runs, levels.len()));
    let log = input::log_of(&mut bench, args.events)?;
    let this = Program::this()?;
    let mut measured = Measured { log: None, events: args.events, runs: Vec::new(), summary: Vec::new() };
    rounds(args.common.runs, bench.deadline, &mut bench.progress, |round, progress| {
        let first = round as usize % levels.len();
        for level in levels[first..].iter().chain(&levels[..first]) {
            progress.show(&format!("round {} of {}: {}", round + 1, args.common.runs, level.name()));
            let place = bench.cache.scratch()?;
            let once = || match level {
                Level::L0 => read(&this, &log, place.path(), bench.deadline, &mut measured),
                _ => run(&bench.program, *level, &log, place.path(), bench.deadline, args.events),
            };
            let (usage, lake_bytes) = named(*level, once)?;
            measured.runs.push(Run { round, level: *level, usage, lake_bytes });
        }
        Ok(())
    })?;
    measured.summary = report::summaries(&measured, &levels);
    let title = format!("what an event costs: {} events", amount::grouped(args.events));
    bench.report(&title, &report::table(&measured.summary), &measured)
}

fn named<T>(level: Level, run: impl FnOnce() -> Result<T>) -> Result<T> {
    run().with_context(|| format!("{} could not be measured", level.name()))
}

/// L0, which must read the same in every round.
fn read(this: &Program, log: &Path, place: &Path, deadline: Deadline, measured: &mut Measured) -> Result<(Usage, u64)> {
    let mut command = this.command(place, &["read-log", "--topic", STREAM, "--log"]);
    command.arg(log);
    let finished = child::run(command, place, deadline, None)?;
    let sum: LogSum = serde_json::from_str(&finished.output).context("its answer could not be read")?;
    ensure!(
        sum.records == measured.events,
        "the log has {} records instead of {}; delete {} to make it anew",
        sum.records,
        measured.events,
        log.display()
    );
    ensure!(
        measured.log.as_ref().is_none_or(|known| *known == sum),
        "the log reads otherwise than before; delete {} to make it anew, and report it if it happens again",
        log.display()
    );
    measured.log = Some(sum);
    Ok((finished.usage, 0))
}

/// The program up to a stage, with a fresh lake in `place`.
fn run(
    program: &Program,
    level: Level,
    log: &Path,
    place: &Path,
    deadline: Deadline,
    events: u64,
) -> Result<(Usage, u64)> {
    Pipeline { log, model: level == Level::L3, more: "" }.write(place)?;
    let args: &[&str] = match level {
        Level::L0 | Level::L1 => &["--stages", "bronze"],
        Level::L2 => &["--stages", "silver"],
        Level::L3 => &["--stages", "gold", "--close-windows"],
    };
    let finished = program.run(place, args, deadline)?;
    let lake_folder = place.join("lake");
    lake::holds(&lake_folder, "bronze", STREAM, events)?;
    if level != Level::L1 {
        lake::holds(&lake_folder, "silver", STREAM, events)?;
    }
    if level == Level::L3 {
        let rows = lake::newest(&lake_folder, "gold", "activity_1m")?.books.map_or(0, |books| books.rows_total);
        ensure!(rows > 0, "gold has no rows; look at the program before its figures");
    }
    Ok((finished.usage, folder_bytes(&lake_folder)?))
}
