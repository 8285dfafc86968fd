//! Random lakes, made by the real program: several runs, kills, definitions that change, partitions that fall idle.
//!
//! The seed decides what happens; when a kill strikes is the clock's, so that a lake of a seed is like its sibling and
//! not the same to the byte. What is made must balance: `verify` has nothing to find in it.

use crate::lake_edit::rows::instant;
use anyhow::{Context as _, Result, bail};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest that one start of the program may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// Starts after which a command that does not end well is a defect.
const STARTS_MAX: usize = 6;
/// 2026-03-01T23:59:58Z: a story goes over midnight.
const BEGINS_US: i64 = 1_772_409_598_000_000;
/// Between the times of two rounds' first events.
const ROUND_US: i64 = 3_000_000;

/// What kind of lake a seed gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A few thousand events in some tens of commits.
    Usual,
    /// The same in commits of a few rows: over a hundred versions, so that there is a checkpoint.
    Many,
    /// A handful of events: files of one row, partitions that stay empty.
    Tiny,
}

impl Shape {
    /// The shape of a seed: every fifth has many commits, every tenth is tiny.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        match seed % 10 {
            0 | 5 => Self::Many,
            9 => Self::Tiny,
            _ => Self::Usual,
        }
    }
}

/// A lake and its ledgers.
#[derive(Debug, Clone)]
pub struct Story {
    /// Everything of it.
    pub dir: PathBuf,
    /// The lake.
    pub lake: PathBuf,
    /// What its producers were told.
    pub ledgers: Vec<PathBuf>,
    /// The seed.
    pub seed: u64,
}

impl Story {
    /// Makes a lake in `dir` with `program`.
    ///
    /// # Errors
    /// When the program does not end well in spite of several starts.
    pub fn make(program: &Path, seed: u64, dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir.join("models"))?;
        std::fs::create_dir_all(dir.join("ledgers"))?;
        let mut telling = Telling::new(program, seed, dir);
        let rounds = telling.rng.random_range(2..=3);
        for round in 0..rounds {
            telling.round(round, round + 1 == rounds).with_context(|| format!("seed {seed}, round {round}"))?;
        }
        let mut ledgers = Vec::new();
        for round in 0..rounds {
            ledgers.push(telling.ledger(round));
        }
        Ok(Self { dir: dir.to_owned(), lake: dir.join("data/lake"), ledgers, seed })
    }

    /// Its lake and ledgers again, in another folder.
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub fn copy(&self, dir: &Path) -> Result<Self> {
        let lake = dir.join("lake");
        copy_folder(&self.lake, &lake)?;
        let mut ledgers = Vec::new();
        for (number, ledger) in self.ledgers.iter().enumerate() {
            let copy = dir.join(format!("{number}.ledger"));
            std::fs::copy(ledger, &copy).with_context(|| format!("{} cannot be copied", ledger.display()))?;
            ledgers.push(copy);
        }
        Ok(Self { dir: dir.to_owned(), lake, ledgers, seed: self.seed })
    }
}

/// Copies a folder, file by file: a hard link would be altered with its copy.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("{} cannot be listed", from.display()))? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            std::fs::copy(&path, &target).with_context(|| format!("{} cannot be copied", path.display()))?;
        }
    }
    Ok(())
}

/// What is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stocks,
    ApiUsage,
}

/// A story while it is told.
struct Telling<'a> {
    program: &'a Path,
    dir: &'a Path,
    rng: StdRng,
    seed: u64,
    shape: Shape,
    kind: Kind,
    partitions: u32,
    rows_max: u32,
    interval_ms: u32,
    idle: bool,
    uuids: bool,
    /// How often the definition, and how often the model, was changed.
    changes: (u32, u32),
}

impl<'a> Telling<'a> {
    fn new(program: &'a Path, seed: u64, dir: &'a Path) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let shape = Shape::of(seed);
        let rows_max = match shape {
            Shape::Many => 14,
            Shape::Usual | Shape::Tiny => [120, 300, 900][rng.random_range(0..3)],
        };
        Self {
            program,
            dir,
            seed,
            shape,
            kind: if seed.is_multiple_of(3) { Kind::ApiUsage } else { Kind::Stocks },
            partitions: rng.random_range(1..=4),
            rows_max,
            interval_ms: rng.random_range(20..=80),
            idle: rng.random_bool(0.4),
            uuids: rng.random_bool(0.2),
            changes: (0, 0),
            rng,
        }
    }

    fn ledger(&self, round: u32) -> PathBuf {
        self.dir.join("ledgers").join(format!("{round}.ledger"))
    }

    fn stream(&self) -> &'static str {
        match self.kind {
            Kind::Stocks => "stock_ticks",
            Kind::ApiUsage => "api_usage_events",
        }
    }

    /// Writes the pipeline file and the model as they stand now.
    fn write_pipeline(&self) -> Result<()> {
        let stream = self.stream();
        let idle = if self.idle { ", idle_after: 100 ms" } else { "" };
        let (changes, models) = self.changes;
        let (columns, checks, sql) = match self.kind {
            Kind::Stocks => (
                "event_id: { type: string, required: true }\n      symbol: { type: string, required: true }\n      \
                 price: { type: \"decimal(18,4)\", required: true }\n      \
                 volume: { type: long, required: true }\n      \
                 exchange: string\n      ts: { type: timestamp, required: true }",
                format!("positive_price: \"price > {changes}\""),
                include_str!("../../../examples/stocks/models/candles_1m.sql"),
            ),
            Kind::ApiUsage => (
                "event_id: { type: string, required: true }\n      \
                 customer_id: { type: string, required: true }\n      \
                 endpoint: { type: string, required: true }\n      method: string\n      \
                 status: { type: int, required: true }\n      bytes: { type: long, required: true }\n      \
                 latency_ms: double\n      ts: { type: timestamp, required: true }",
                format!("known_status: \"status >= {}\"", 100 + changes),
                include_str!("../../../examples/api-usage/models/usage_hourly.sql"),
            ),
        };
        let note = if changes > 0 { "\n      note: string" } else { "" };
        let text = format!(
            "pipeline: story\nlog: {{ local: {{ path: data/log, segment_bytes: 64 KiB }} }}\nlake: data/lake\n\
             streams:\n  \
             {stream}:\n    topic: events\n    partitions: {}\n    event_id: event_id\n    \
             event_time: {{ column: ts, watermark: 1 s{idle} }}\n    columns:\n      {columns}{note}\n    \
             checks:\n      {checks}\nmodels:\n  windows: {{ from: {stream}, window: 1 s, sql: models/model.sql }}\n\
             commit: {{ interval: {} ms, max_rows: {} }}\n",
            self.partitions, self.interval_ms, self.rows_max
        );
        std::fs::write(self.dir.join("pipeline.yaml"), text)?;
        let sql = format!("{sql}\n-- changed {models} times\n");
        std::fs::write(self.dir.join("models/model.sql"), sql).context("the model cannot be written")
    }

    /// Events are produced, and the pipeline reads them, killed a few times on the way.
    fn round(&mut self, round: u32, last: bool) -> Result<()> {
        if round > 0 {
            self.changes.0 += u32::from(self.rng.random_bool(0.5));
            self.changes.1 += u32::from(self.rng.random_bool(0.3));
        }
        self.write_pipeline()?;
        let produce = self.produce(round);
        if self.rng.random_bool(0.4) {
            self.killed(&produce, 5..120)?;
        }
        let mut producer = self.start(&produce, "")?;
        for _ in 0..self.rng.random_range(0..=3) {
            self.killed(&["run", "-f", "pipeline.yaml"].map(str::to_owned), 20..500)?;
        }
        let produced = self.ended(&mut producer)?;
        if !produced {
            self.complete(&produce)?;
        }
        if self.idle && self.rng.random_bool(0.5) {
            // Long enough to catch up and to see the partitions fall idle.
            self.killed(&["run", "-f", "pipeline.yaml"].map(str::to_owned), 900..1_300)?;
        }
        let mut run = ["run", "-f", "pipeline.yaml", "--until-caught-up"].map(str::to_owned).to_vec();
        if self.rng.random_bool(if last { 0.75 } else { 0.2 }) {
            run.push("--close-windows".to_owned());
        }
        self.complete(&run)
    }

    fn produce(&mut self, round: u32) -> Vec<String> {
        let count = match self.shape {
            Shape::Tiny => self.rng.random_range(1..=6),
            Shape::Usual => self.rng.random_range(600..=1_600),
            Shape::Many => self.rng.random_range(1_100..=1_500),
        };
        let kind = match self.kind {
            Kind::Stocks => "stocks",
            Kind::ApiUsage => "api-usage",
        };
        let start = instant(BEGINS_US + i64::from(round) * ROUND_US);
        let (seed, stream) = (self.seed.wrapping_add(u64::from(round)), self.stream());
        let mut words = format!(
            "produce -f pipeline.yaml --stream {stream} --generate {kind} --count {count} --seed {seed} \
             --producer p{round} --duplicates 6% --late 4% --malformed 3% --start-time {start} \
             --ledger ledgers/{round}.ledger"
        );
        if self.uuids {
            words.push_str(" --ids uuid");
        }
        words.split_whitespace().map(str::to_owned).collect()
    }

    fn start(&self, arguments: &[String], planted: &str) -> Result<Child> {
        let said = std::fs::File::options().create(true).append(true).open(self.dir.join("said.log"))?;
        let mut command = Command::new(self.program);
        command.args(arguments).current_dir(self.dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        // Only the program of the crash tests listens to this.
        command.env("WATERTIGHT_STEPS", planted).env_remove("WATERTIGHT_LOG");
        command.spawn().with_context(|| format!("{} cannot be started", self.program.display()))
    }

    /// Starts it and kills it at a durable step, or after some milliseconds, whatever comes first.
    fn killed(&mut self, arguments: &[String], after_ms: std::ops::Range<u64>) -> Result<()> {
        let step = if self.rng.random_bool(0.5) { self.rng.random_range(1..300) } else { 0 };
        let planted = if step > 0 { format!("kill:any:{step}") } else { String::new() };
        let patience = Duration::from_millis(self.rng.random_range(after_ms));
        let mut child = self.start(arguments, &planted)?;
        let began = Instant::now();
        while began.elapsed() < patience && child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Waits for its end; whether it ended well.
    fn ended(&self, child: &mut Child) -> Result<bool> {
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
            }
            if began.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                bail!("the program did not end within {PATIENCE:?}: {}", self.said());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Starts it until it ends well.
    fn complete(&self, arguments: &[String]) -> Result<()> {
        for _ in 0..STARTS_MAX {
            if self.ended(&mut self.start(arguments, "")?)? {
                return Ok(());
            }
        }
        bail!("{} does not end well: {}", arguments.join(" "), self.said())
    }

    /// The last of what the program said.
    fn said(&self) -> String {
        let text = std::fs::read_to_string(self.dir.join("said.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}
