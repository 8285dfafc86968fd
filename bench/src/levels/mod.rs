//! `levels`: what an event costs, stage by stage, as a multiple of only reading it.
//!
//! Contract: every level reads the same log from its beginning and is held to it: L0 by number and checksum, the others
//! by number and checksum in the books of their tables, and from silver on row by row against what the generator says must
//! come out. Each run has a fresh lake and its own process; the broker is another one and not counted. A round measures every
//! level once, in rotating order, so that a machine that is slower for a while is slower for all of them; a ratio is one of
//! two runs of the same round.

mod exact;
mod picture;
pub(crate) mod read_kafka;
pub(crate) mod read_log;
mod reference;
mod report;

use crate::amount;
use crate::bench::{Bench, CommonArgs, check_target};
use crate::cache::folder_bytes;
use crate::child::{self, Usage};
use crate::input::{self, Input, MODEL, PARTITIONS, Pipeline, STREAM};
use crate::lake;
use crate::log::{self, Broker, LogArgs, LogKind, LogPlace};
use crate::program::Program;
use crate::progress::{Deadline, about, rounds};
use anyhow::{Context as _, Result, ensure};
use read_log::LogSum;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `levels`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Levels: L0 reads the log and adds up its checksum; L1 adds the bronze table; L2 decoding, duplicates, dead letters and
the silver table; L3 windows of one minute and the gold table. On Kafka, L0 is a bare consumer of librdkafka.")]
pub(crate) struct Args {
    /// Events in the log.
    #[arg(long, value_name = "COUNT", default_value = "2M", value_parser = amount::count)]
    pub(crate) events: u64,
    /// The same seed gives the same events.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// What is measured; ratios need L0.
    #[arg(long, value_enum, value_name = "LEVELS", value_delimiter = ',', ignore_case = true)]
    #[arg(default_values = ["L0", "L1", "L2", "L3"])]
    pub(crate) levels: Vec<Level>,
    /// Compare the rows of silver and gold with what must come out in the first round only, instead of after every run:
    /// it takes about as long as the run itself. Numbers and checksums are held against the log in every round.
    #[arg(long)]
    pub(crate) compare_once: bool,
    /// Draw the figures, with the references of other machines' runs beside them, into this file.
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) svg: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) log: LogArgs,
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

    /// Whether silver is written.
    pub(crate) fn has_silver(self) -> bool {
        matches!(self, Self::L2 | Self::L3)
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

/// Seconds that making a million events takes, likewise; with copying them into Kafka.
const MAKING_S: f64 = 10.0;
const COPYING_S: f64 = 5.0;
/// Seconds that a run takes whatever it reads: start, end, and the folder's removal.
const RUN_S: f64 = 1.0;
/// Seconds that comparing a million events' rows takes.
const COMPARING_S: f64 = 8.0;

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
    /// Which log.
    pub(crate) on: &'static str,
    /// The log's records, bytes and checksum, which every run was held to.
    pub(crate) log: LogSum,
    /// Events in the log.
    pub(crate) events: u64,
    /// All runs.
    pub(crate) runs: Vec<Run>,
    /// By level.
    pub(crate) summary: Vec<report::Summary>,
}

/// What every run reads, and is held to.
struct Source {
    place: LogPlace,
    topic: String,
    input: Input,
    sum: LogSum,
    /// Held for as long as it is read.
    _broker: Option<Broker>,
}

/// What a run does not choose.
struct Runner<'a> {
    program: &'a Program,
    this: &'a Program,
    source: &'a Source,
    deadline: Deadline,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    if let Some(path) = &args.svg {
        check_target("--svg", path)?;
    }
    let mut bench = Bench::set_up(&args.common)?;
    let mut levels = Vec::new();
    for level in &args.levels {
        if !levels.contains(level) {
            levels.push(*level);
        }
    }
    let runs = args.common.runs();
    let takes = about(expected_s(args, &levels, &bench));
    bench.progress.say(&format!("{runs} rounds of {} levels: {takes}", levels.len()));
    let source = source(args, &mut bench)?;
    let this = Program::this()?;
    let runner = Runner { program: &bench.program, this: &this, source: &source, deadline: bench.deadline };
    let (on, log) = (args.log.name(), source.sum.clone());
    let mut measured = Measured { on, log, events: args.events, runs: Vec::new(), summary: Vec::new() };
    rounds(runs, bench.deadline, &mut bench.progress, |round, progress| {
        let first = round as usize % levels.len();
        for level in levels[first..].iter().chain(&levels[..first]) {
            progress.show(&format!("round {} of {runs}: {}", round + 1, level.name()));
            let place = bench.cache.scratch()?;
            let compares = round == 0 || !args.compare_once;
            let once = || match level {
                Level::L0 => runner.read(place.path()),
                _ => runner.run(*level, place.path(), compares),
            };
            let (usage, lake_bytes) = once().with_context(|| format!("{} could not be measured", level.name()))?;
            measured.runs.push(Run { round, level: *level, usage, lake_bytes });
        }
        Ok(())
    })?;
    measured.summary = report::summaries(&measured, &levels);
    let title = format!("what an event costs: {} events, read from {on}", amount::grouped(args.events));
    if let Some(path) = &args.svg {
        let picture = picture::svg(&title, &bench.machine.line(), &measured.summary);
        std::fs::write(path, picture).with_context(|| format!("could not write {}", path.display()))?;
    }
    let text = format!("{}\n{}", report::table(&measured.summary), reference::table(&measured.summary));
    bench.report("levels", &title, &text, &measured)
}

/// Seconds that it will take, about.
fn expected_s(args: &Args, levels: &[Level], bench: &Bench) -> f64 {
    let (millions, runs) = (args.events as f64 / 1e6, f64::from(args.common.runs()));
    let round_s: f64 = levels.iter().map(|level| level.expected_s() * millions + RUN_S).sum();
    let compared = levels.iter().filter(|level| level.has_silver()).count() as f64;
    let comparing_s = compared * COMPARING_S * millions * if args.compare_once { 1.0 } else { runs };
    let making_s = if input::is_missing(bench, args.events, args.seed) { MAKING_S * millions } else { 0.0 };
    making_s + COPYING_S * millions + round_s * runs + comparing_s
}

/// The input, in the log that is asked for.
fn source(args: &Args, bench: &mut Bench) -> Result<Source> {
    let input = input::made(bench, args.events, args.seed)?;
    let (place, topic, sum, broker) = match args.log.log {
        LogKind::Local => {
            let sum = read_log::sum_of(&input.log, STREAM)?;
            (LogPlace::Local(input.log.clone()), STREAM.to_owned(), sum, None)
        }
        LogKind::Kafka => {
            bench.progress.show("copying the input into Kafka");
            let broker = Broker::start(args.log.bootstrap.as_deref())?;
            let topic = broker.fresh_topic(STREAM, PARTITIONS)?;
            let sum = log::into_kafka(&input.log, STREAM, broker.bootstrap(), &topic)?;
            (LogPlace::Kafka(broker.bootstrap().to_owned()), topic, sum, Some(broker))
        }
    };
    ensure!(
        sum.records == args.events,
        "the log has {} records instead of {}; delete {} to make it anew",
        sum.records,
        args.events,
        input.log.display()
    );
    Ok(Source { place, topic, input, sum, _broker: broker })
}

impl Runner<'_> {
    /// L0, which must read what was put into the log.
    fn read(&self, place: &Path) -> Result<(Usage, u64)> {
        let topic = self.source.topic.as_str();
        let command = match &self.source.place {
            LogPlace::Local(folder) => {
                let mut command = self.this.command(place, &["read-log", "--topic", topic, "--log"]);
                command.arg(folder);
                command
            }
            LogPlace::Kafka(bootstrap) => {
                self.this.command(place, &["read-kafka", "--topic", topic, "--bootstrap", bootstrap.as_str()])
            }
        };
        let finished = child::run(command, place, self.deadline, None)?;
        let sum: LogSum = serde_json::from_str(&finished.output).context("its answer could not be read")?;
        ensure!(
            sum == self.source.sum,
            "it read {} records of {} and not the same bytes at the same positions; report it if it happens again",
            sum.records,
            self.source.sum.records
        );
        Ok((finished.usage, 0))
    }

    /// The program up to a stage, with a fresh lake in `place`.
    fn run(&self, level: Level, place: &Path, compares: bool) -> Result<(Usage, u64)> {
        let Source { place: log, topic, input, sum, .. } = self.source;
        Pipeline { log, topic, model: level == Level::L3, more: "" }.write(place)?;
        let args: &[&str] = match level {
            Level::L0 | Level::L1 => &["--stages", "bronze"],
            Level::L2 => &["--stages", "silver"],
            Level::L3 => &["--stages", "gold", "--close-windows"],
        };
        let finished = self.program.run(place, args, self.deadline)?;
        let lake_folder = place.join("lake");
        lake::holds(&lake_folder, "bronze", STREAM, sum)?;
        if level.has_silver() {
            lake::holds(&lake_folder, "silver", STREAM, sum)?;
        }
        if level == Level::L3 {
            let rows = lake::newest(&lake_folder, "gold", MODEL)?.books.map_or(0, |books| books.rows_total);
            ensure!(rows > 0, "gold has no rows; look at the program before its figures");
        }
        let lake_bytes = folder_bytes(&lake_folder)?;
        if compares && level.has_silver() {
            exact::check(self.program, place, &input.truth, level == Level::L3, self.deadline)?;
        }
        Ok((finished.usage, lake_bytes))
    }
}
