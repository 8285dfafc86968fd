//! `latency`: how long it takes from when an event was due until its row can be seen in silver, and what memory does
//! meanwhile.
//!
//! Contract: an open loop. Events are due at an even rate and sent then, whatever the program does; the time of one begins when
//! it was due, and ends when the log entry of the commit that covers it has its name, which is when any reader can see it. Which
//! offsets a commit covers is taken from its books. All of them must arrive, or there is no figure. Those of the warm-up are
//! sent and not counted.

use crate::amount::{self, mib};
use crate::bench::{Bench, CommonArgs};
use crate::input::{PARTITIONS, Pipeline, STREAM};
use crate::lake;
use crate::live::{Dues, Feed, Generated, Histogram, Running, Schedule, Seen, Sink, Watch};
use crate::log::{Broker, LogArgs, LogKind, LogPlace};
use crate::program::Program;
use crate::progress::{Deadline, about, rounds};
use crate::statistics::{Spread, quantile, text_of};
use crate::table;
use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};
use watertight_adapters::system::SystemClock;
use watertight_core::port::Clock as _;

/// Rounds where the command line does not say: each takes as long as it was told to.
const RUNS_USUAL: u32 = 1;
/// How long the program may take to start, to catch up at the end, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one look waits for a commit, before anything else is looked at.
const LOOK_MAX: Duration = Duration::from_millis(100);
/// Between two readings of the program's memory.
const MEMORY_EVERY: Duration = Duration::from_secs(1);
/// Readings that the table shows.
const READINGS_SHOWN: usize = 10;

/// Arguments of `latency`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Events per second.
    #[arg(long, value_name = "COUNT", default_value = "20k", value_parser = amount::count)]
    pub(crate) rate: u64,
    /// Times between commits, each measured in turn.
    #[arg(long, value_name = "TIMES", value_delimiter = ',', default_value = "1s", value_parser = amount::duration)]
    pub(crate) interval: Vec<Duration>,
    /// How long events are sent.
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = amount::duration)]
    pub(crate) lasts: Duration,
    /// At the beginning, this long does not count.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = amount::duration)]
    pub(crate) warm_up: Duration,
    /// Without windows and gold, which come behind silver and share its machine.
    #[arg(long)]
    pub(crate) silver_only: bool,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// One run at one interval.
#[derive(Debug, Clone, Serialize)]
struct Run {
    round: u32,
    interval_ms: u64,
    /// Events sent, and those that count.
    events: u64,
    counted: u64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: f64,
    /// Commits of silver.
    commits: u64,
    /// The program's CPU time per event, microseconds.
    cpu_us_per_event: Option<f64>,
    peak_mib: Option<f64>,
    /// The furthest that the producer fell behind its schedule, milliseconds; it is part of the latencies.
    producer_behind_max_ms: f64,
    /// Seconds since the first event was due, and the resident memory then, MiB.
    resident: Vec<(f64, f64)>,
}

/// All runs at one interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Summary {
    interval_ms: u64,
    p50_ms: Option<Spread>,
    p99_ms: Option<Spread>,
    max_ms: Option<Spread>,
    cpu_us_per_event: Option<Spread>,
    peak_mib: Option<Spread>,
    /// Median of the resident memory in the last quarter of a run as a multiple of that in the second.
    memory_grows: Option<Spread>,
    producer_behind_max_ms: Option<Spread>,
}

#[derive(Serialize)]
struct Measured {
    on: &'static str,
    rate: u64,
    warm_up_s: f64,
    runs: Vec<Run>,
    summary: Vec<Summary>,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    ensure!(args.warm_up < args.lasts, "--warm-up must be shorter than --for, or nothing counts");
    let mut bench = Bench::set_up(&args.common)?;
    let runs = args.common.runs_or(RUNS_USUAL);
    let takes = about(f64::from(runs) * args.interval.len() as f64 * (args.lasts.as_secs_f64() + 5.0));
    bench.progress.say(&format!("{runs} rounds at {} intervals: {takes}", args.interval.len()));
    let broker = match args.log.log {
        LogKind::Kafka => Some(Broker::start(args.log.bootstrap.as_deref())?),
        LogKind::Local => None,
    };
    let mut measured = Vec::new();
    rounds(runs, bench.deadline, &mut bench.progress, |round, progress| {
        let first = round as usize % args.interval.len();
        for interval in args.interval[first..].iter().chain(&args.interval[..first]) {
            let text = amount::short_duration(*interval);
            progress.show(&format!("round {} of {runs}: a commit every {text}", round + 1));
            let place = bench.cache.scratch()?;
            let live = Live::start(&bench.program, args, broker.as_ref(), *interval, place.path());
            let run = live.and_then(|live| live.measure(args, round, bench.deadline));
            measured.push(run.with_context(|| format!("no figure at an interval of {text}"))?);
        }
        Ok(())
    })?;
    let summary = summaries(&measured, &args.interval);
    let text = format!("{}\n{}", table_of(&summary), memory_of(&measured));
    let title =
        format!("from due to visible in silver: {} events/s on {}", amount::grouped(args.rate), args.log.name());
    let (on, warm_up_s) = (args.log.name(), args.warm_up.as_secs_f64());
    bench.report("latency", &title, &text, &Measured { on, rate: args.rate, warm_up_s, runs: measured, summary })
}

/// The program at work, and what watches it.
struct Live<'a> {
    program: Running,
    watch: Watch,
    feed: Feed,
    schedule: Schedule,
    interval: Duration,
    place: &'a Path,
}

impl<'a> Live<'a> {
    fn start(
        program: &Program,
        args: &Args,
        broker: Option<&Broker>,
        interval: Duration,
        place: &'a Path,
    ) -> Result<Self> {
        let (log, topic, sink) = match broker {
            Some(broker) => {
                let topic = broker.fresh_topic(STREAM, PARTITIONS)?;
                let sink = Sink::kafka(broker.bootstrap(), &topic)?;
                (LogPlace::Kafka(broker.bootstrap().to_owned()), topic, sink)
            }
            None => (LogPlace::beside(), STREAM.to_owned(), Sink::local(&place.join("log"), STREAM, PARTITIONS)?),
        };
        let more = format!("commit: {{ interval: {} }}\n", amount::short_duration(interval));
        Pipeline { log: &log, topic: &topic, model: !args.silver_only, more: &more }.write(place)?;
        let stages = if args.silver_only { "silver" } else { "gold" };
        let mut program = program.start(place, &["--stages", stages])?;
        let watch = table_of_silver(&mut program, place)?;
        let schedule = Schedule::new(SystemClock.now_us(), args.rate);
        let events = Box::new(Generated::new(schedule.began_us(), args.rate)?);
        let count = (args.rate as f64 * args.lasts.as_secs_f64()) as u64;
        let feed = Feed::start(sink, events, schedule, Some(count), Dues::new(&[0; PARTITIONS as usize]))?;
        Ok(Self { program, watch, feed, schedule, interval, place })
    }

    fn measure(mut self, args: &Args, round: u32, deadline: Deadline) -> Result<Run> {
        let counts_from_us = self.schedule.began_us() + args.warm_up.as_micros() as i64;
        let (mut taken, mut resident, mut commits) = (Histogram::default(), Vec::new(), 0);
        let (mut read_at, mut over_at) = (Instant::now(), None);
        let cpu_before_s = self.program.cpu_s();
        while !(self.feed.is_over() && self.feed.dues().left() == 0) {
            self.program.check()?;
            if let Some(seen) = self.watch.next(LOOK_MAX)? {
                commits += u64::from(seen.books.is_some());
                cover(&seen, &self.feed, counts_from_us, &mut taken);
            }
            if read_at.elapsed() >= MEMORY_EVERY {
                read_at = Instant::now();
                let at_s = (SystemClock.now_us() - self.schedule.began_us()) as f64 / 1e6;
                resident.extend(self.program.resident_bytes().map(|bytes| (at_s, mib(bytes))));
            }
            ensure!(!deadline.is_over(), "{}", deadline.advice());
            if self.feed.is_over() {
                let since = over_at.get_or_insert_with(Instant::now).elapsed();
                ensure!(since < PATIENCE, "silver lacks {} events", self.feed.dues().left());
            }
        }
        let (cpu_s, peak) = (self.program.cpu_s(), self.program.peak_resident_bytes());
        let fed = self.feed.finish()?;
        self.program.end(PATIENCE)?;
        let records =
            lake::newest(&self.place.join("lake"), "silver", STREAM)?.books.map_or(0, |books| books.totals.records);
        ensure!(records == fed.sent, "silver accounts for {records} records of {}; there is no figure", fed.sent);
        Ok(Run {
            round,
            interval_ms: self.interval.as_millis() as u64,
            events: fed.sent,
            counted: taken.total(),
            p50_ms: taken.quantile_ms(0.5),
            p99_ms: taken.quantile_ms(0.99),
            max_ms: taken.max_ms(),
            commits,
            cpu_us_per_event: cpu_s.zip(cpu_before_s).map(|(after, before)| (after - before) * 1e6 / fed.sent as f64),
            peak_mib: peak.map(mib),
            producer_behind_max_ms: fed.behind_max_us as f64 / 1e3,
            resident,
        })
    }
}

/// Waits until the program has made silver.
fn table_of_silver(program: &mut Running, place: &Path) -> Result<Watch> {
    let began = Instant::now();
    loop {
        program.check()?;
        if let Some(watch) = Watch::find(&place.join("lake"), "silver", STREAM)? {
            return Ok(watch);
        }
        ensure!(began.elapsed() < PATIENCE, "the program has made no table within {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Takes the records that a version covers for the first time out of the dues, and adds up how long they took.
fn cover(seen: &Seen, feed: &Feed, counts_from_us: i64, taken: &mut Histogram) {
    let Some(books) = &seen.books else { return };
    let mut dues = feed.dues();
    for entry in &books.entries {
        for due_us in dues.cover(entry.partition, entry.to).filter(|due_us| *due_us >= counts_from_us) {
            taken.add(seen.at_us - due_us);
        }
    }
}

/// The median resident memory of the last quarter of the readings as a multiple of that of the second: the first holds
/// the start. `None` where there are too few.
fn growth(resident: &[(f64, f64)]) -> Option<f64> {
    let quarter = resident.len() / 4;
    let median = |part: &[(f64, f64)]| quantile(&part.iter().map(|(_, mib)| *mib).collect::<Vec<_>>(), 0.5);
    let before = median(&resident[quarter..2 * quarter]).filter(|mib| *mib > 0.0)?;
    Some(median(&resident[resident.len() - quarter..])? / before)
}

fn summaries(runs: &[Run], intervals: &[Duration]) -> Vec<Summary> {
    let summary = |interval: &Duration| {
        let interval_ms = interval.as_millis() as u64;
        let of = |value: &dyn Fn(&Run) -> Option<f64>| {
            let same = runs.iter().filter(|run| run.interval_ms == interval_ms);
            Spread::of(&same.filter_map(value).collect::<Vec<_>>())
        };
        Summary {
            interval_ms,
            p50_ms: of(&|run| run.p50_ms),
            p99_ms: of(&|run| run.p99_ms),
            max_ms: of(&|run| Some(run.max_ms)),
            cpu_us_per_event: of(&|run| run.cpu_us_per_event),
            peak_mib: of(&|run| run.peak_mib),
            memory_grows: of(&|run| growth(&run.resident)),
            producer_behind_max_ms: of(&|run| Some(run.producer_behind_max_ms)),
        }
    };
    intervals.iter().map(summary).collect()
}

fn table_of(summaries: &[Summary]) -> String {
    let header = [
        "commit every",
        "p50 ms",
        "p99 ms",
        "max ms",
        "CPU µs/event",
        "peak MiB",
        "memory, end ÷ early",
        "producer behind ms",
    ];
    let row = |summary: &Summary| {
        vec![
            amount::short_duration(Duration::from_millis(summary.interval_ms)),
            text_of(summary.p50_ms, 0),
            text_of(summary.p99_ms, 0),
            text_of(summary.max_ms, 0),
            text_of(summary.cpu_us_per_event, 2),
            text_of(summary.peak_mib, 0),
            text_of(summary.memory_grows, 2),
            text_of(summary.producer_behind_max_ms, 0),
        ]
    };
    table::render(&header, &summaries.iter().map(row).collect::<Vec<_>>())
}

/// Memory over time in the first round, some readings of each run.
fn memory_of(runs: &[Run]) -> String {
    let mut rows = Vec::new();
    for run in runs.iter().filter(|run| run.round == 0) {
        let every = run.resident.len().div_ceil(READINGS_SHOWN).max(1);
        for (at_s, resident_mib) in run.resident.iter().skip(every - 1).step_by(every) {
            let interval = amount::short_duration(Duration::from_millis(run.interval_ms));
            rows.push(vec![interval, format!("{at_s:.0}"), format!("{resident_mib:.0}")]);
        }
    }
    format!("resident memory in the first round\n{}", table::render(&["commit every", "after s", "MiB"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(round: u32, interval_ms: u64, p99_ms: f64, resident: Vec<(f64, f64)>) -> Run {
        Run {
            round,
            interval_ms,
            events: 100,
            counted: 90,
            p50_ms: Some(p99_ms / 2.0),
            p99_ms: Some(p99_ms),
            max_ms: p99_ms,
            commits: 3,
            cpu_us_per_event: None,
            peak_mib: Some(100.0),
            producer_behind_max_ms: 1.0,
            resident,
        }
    }

    #[test]
    fn memory_that_grows_is_seen_and_the_start_is_not_taken_for_growth() {
        let at = |mib: f64| (0.0, mib);
        assert_eq!(growth(&[at(1.0), at(100.0), at(100.0), at(100.0)]), Some(1.0));
        assert_eq!(growth(&[at(1.0), at(100.0), at(150.0), at(200.0)]), Some(2.0));
        assert_eq!(growth(&[at(1.0), at(2.0), at(3.0)]), None);
        assert_eq!(growth(&[]), None);
    }

    #[test]
    fn runs_are_summed_up_by_interval() {
        let runs =
            [run(0, 1_000, 900.0, Vec::new()), run(0, 200, 300.0, Vec::new()), run(1, 1_000, 1_100.0, Vec::new())];
        let summaries = summaries(&runs, &[Duration::from_secs(1), Duration::from_millis(200)]);
        assert_eq!(summaries[0].p99_ms, Spread::of(&[900.0, 1_100.0]));
        assert_eq!(summaries[1].p50_ms, Spread::of(&[150.0]));
        let text = table_of(&summaries);
        assert!(text.contains("1000 (900–1100)") && text.contains("200 ms") && text.contains('–'), "{text}");
    }

    #[test]
    fn some_readings_of_the_first_round_are_shown_to_its_end() {
        let readings = |count: u32| (1..=count).map(|at| (f64::from(at), 50.0 + f64::from(at))).collect::<Vec<_>>();
        let text = memory_of(&[run(0, 200, 1.0, readings(60)), run(1, 200, 1.0, readings(7))]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2 + READINGS_SHOWN);
        assert!(lines[11].ends_with("60  110"), "{text}");
        assert_eq!(memory_of(&[run(0, 200, 1.0, readings(3))]).lines().count(), 5);
    }
}
