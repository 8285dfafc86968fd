//! `recover`: how long it takes from SIGKILL until the program lags no more than it did, with many ids in its duplicate
//! index and events coming all the while.
//!
//! Contract: an open loop, as in `latency`; the program is started again at once. The lag is counted where a version of silver
//! can be seen: events that were due by then, less those that it covers. What it was is the largest such lag in the second half of
//! the quiet time before the kill. In the end every id must be one row, or there is no figure.

use crate::amount::{self, mib};
use crate::bench::{Bench, CommonArgs};
use crate::cache::copy_folder;
use crate::ids::{self, PARTITIONS, STREAM};
use crate::lake;
use crate::live::{Dues, Event, Events, Feed, Running, Schedule, Seen, Sink, Watch};
use crate::log::{self, Broker, LogArgs, LogKind, LogPlace};
use crate::program::Program;
use crate::progress::{Deadline, about};
use crate::statistics::{Spread, text_of};
use crate::table;
use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use watertight_adapters::system::SystemClock;
use watertight_core::port::Clock as _;

/// Kills where the command line does not say.
const KILLS_USUAL: u32 = 3;
/// How long one look waits for a commit.
const LOOK_MAX: Duration = Duration::from_millis(50);
/// How long the program may take to start, to recover, to catch up at the end, and to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Seconds that making, copying and reading a million ids take, generously: to say how long it will take.
const FILL_S: f64 = 10.0;
/// Seconds of a recovery, generously.
const RECOVERY_S: f64 = 10.0;

/// Arguments of `recover`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ids in the index before the first kill.
    #[arg(long, value_name = "COUNT", default_value = "10M", value_parser = amount::count)]
    pub(crate) ids: u64,
    /// Events per second.
    #[arg(long, value_name = "COUNT", default_value = "20k", value_parser = amount::count)]
    pub(crate) rate: u64,
    /// Time between commits.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = amount::duration)]
    pub(crate) interval: Duration,
    /// Quiet time before each kill.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = amount::duration)]
    pub(crate) settle: Duration,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// One kill.
#[derive(Debug, Clone, Serialize)]
struct Kill {
    /// The largest lag before it, events.
    usual_lag: u64,
    /// From SIGKILL to the first version of silver that could be seen, seconds.
    first_commit_s: f64,
    /// From SIGKILL to the first one behind which the lag was no larger than before, seconds.
    restored_s: f64,
    /// The largest lag behind a commit on the way, events.
    largest_lag: u64,
    /// Peak memory of the program from its start to the end of the quiet time behind it, MiB.
    peak_mib: Option<f64>,
}

#[derive(Serialize)]
struct Measured {
    on: &'static str,
    ids: u64,
    rate: u64,
    interval_ms: u64,
    kills: Vec<Kill>,
    first_commit_s: Option<Spread>,
    restored_s: Option<Spread>,
    peak_mib: Option<Spread>,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    let mut bench = Bench::set_up(&args.common)?;
    let kills = args.common.runs_or(KILLS_USUAL);
    let takes_s = args.ids as f64 / 1e6 * FILL_S + f64::from(kills) * (args.settle.as_secs_f64() + RECOVERY_S);
    bench.progress.say(&format!("{kills} kills with {} ids: {}", amount::grouped(args.ids), about(takes_s)));
    let place = Place::fill(&mut bench, args)?;
    let mut live = Live::start(&bench.program, &place, args, bench.deadline)?;
    let mut measured = Vec::new();
    for number in 1..=kills {
        bench.progress.show(&format!("kill {number} of {kills}"));
        measured.push(live.kill_once(args).with_context(|| format!("no figure for kill {number}"))?);
    }
    bench.progress.show("catching up");
    live.end(args.ids)?;
    let of = |value: &dyn Fn(&Kill) -> Option<f64>| Spread::of(&measured.iter().filter_map(value).collect::<Vec<_>>());
    let measured = Measured {
        on: args.log.name(),
        ids: args.ids,
        rate: args.rate,
        interval_ms: args.interval.as_millis() as u64,
        first_commit_s: of(&|kill| Some(kill.first_commit_s)),
        restored_s: of(&|kill| Some(kill.restored_s)),
        peak_mib: of(&|kill| kill.peak_mib),
        kills: measured.clone(),
    };
    let title = format!(
        "from SIGKILL to the lag there was before: {} ids, {} events/s, on {}",
        amount::grouped(args.ids),
        amount::grouped(args.rate),
        measured.on
    );
    bench.report("recover", &title, &table_of(&measured), &measured)
}

/// Tables with many ids, the log that they were read from, and where it ends.
struct Place {
    folder: TempDir,
    log: LogPlace,
    topic: String,
    next_offsets: Vec<i64>,
    _broker: Option<Broker>,
}

impl Place {
    fn fill(bench: &mut Bench, args: &Args) -> Result<Self> {
        let made = ids::log_of(bench, args.ids)?;
        let folder = bench.cache.scratch()?;
        bench.progress.show("putting the ids into the log");
        let (log, topic, broker) = log_with(&made, folder.path(), args)?;
        let more = format!("commit: {{ interval: {} }}\n", amount::short_duration(args.interval));
        ids::write_pipeline(folder.path(), &log, &topic, &more)?;
        bench.progress.show(&format!("filling the index with {} ids", amount::grouped(args.ids)));
        ids::fill(&bench.program, folder.path(), args.ids, bench.deadline)?;
        let silver = lake::look(&folder.path().join("lake"), "silver", STREAM)?;
        let mut next_offsets = vec![0; PARTITIONS as usize];
        for (key, next) in &silver.state().positions {
            next_offsets[key.partition as usize] = *next;
        }
        Ok(Self { folder, log, topic, next_offsets, _broker: broker })
    }

    fn sink(&self) -> Result<Sink> {
        match &self.log {
            LogPlace::Kafka(bootstrap) => Sink::kafka(bootstrap, &self.topic),
            LogPlace::Local(_) => Sink::local(&self.folder.path().join("log"), &self.topic, PARTITIONS),
        }
    }
}

/// The kept ids in a log that more can be sent to.
fn log_with(made: &Path, folder: &Path, args: &Args) -> Result<(LogPlace, String, Option<Broker>)> {
    match args.log.log {
        LogKind::Local => {
            copy_folder(made, &folder.join("log"))?;
            Ok((LogPlace::beside(), STREAM.to_owned(), None))
        }
        LogKind::Kafka => {
            let broker = Broker::start(args.log.bootstrap.as_deref())?;
            let topic = broker.fresh_topic(STREAM, PARTITIONS)?;
            log::into_kafka(made, STREAM, broker.bootstrap(), &topic)?;
            Ok((LogPlace::Kafka(broker.bootstrap().to_owned()), topic, Some(broker)))
        }
    }
}

/// More of the same events: every id is a new one.
struct MoreIds {
    next: u64,
    value: String,
}

impl Events for MoreIds {
    fn make(&mut self) -> Event<'_> {
        self.value = ids::event(self.next);
        let partition = (self.next % PARTITIONS as u64) as i32;
        self.next += 1;
        Event { partition, key: None, value: Some(self.value.as_bytes()) }
    }
}

/// The program at work.
struct Live<'a> {
    program: Running,
    source: &'a Program,
    folder: &'a Path,
    watch: Watch,
    feed: Feed,
    schedule: Schedule,
    covered: u64,
    deadline: Deadline,
}

impl<'a> Live<'a> {
    fn start(source: &'a Program, place: &'a Place, args: &Args, deadline: Deadline) -> Result<Self> {
        let folder = place.folder.path();
        let watch = Watch::find(&folder.join("lake"), "silver", STREAM)?.context("silver is gone")?;
        let program = source.start(folder, &[])?;
        let schedule = Schedule::new(SystemClock.now_us(), args.rate);
        let events = Box::new(MoreIds { next: args.ids, value: String::new() });
        let feed = Feed::start(place.sink()?, events, schedule, None, Dues::new(&place.next_offsets))?;
        Ok(Self { program, source, folder, watch, feed, schedule, covered: 0, deadline })
    }

    /// Waits for quiet, kills, and waits until it is quiet again.
    fn kill_once(&mut self, args: &Args) -> Result<Kill> {
        let usual_lag = self.settle(args.settle)?;
        let killed_us = self.kill_and_restart()?;
        let seconds = |us: i64| (us - killed_us) as f64 / 1e6;
        let (mut first_us, mut largest_lag) = (None, 0);
        let began = Instant::now();
        let restored_us = loop {
            ensure!(began.elapsed() < PATIENCE, "the lag of before is not reached after {} s", PATIENCE.as_secs());
            let Some((at_us, lag)) = self.look()? else { continue };
            first_us.get_or_insert(at_us);
            largest_lag = largest_lag.max(lag);
            if lag <= usual_lag {
                break at_us;
            }
        };
        let first_commit_s = seconds(first_us.unwrap_or(restored_us));
        // Memory is that of the program that was started again, through the next quiet time.
        self.settle(args.settle)?;
        let peak_mib = self.program.peak_resident_bytes().map(mib);
        Ok(Kill { usual_lag, first_commit_s, restored_s: seconds(restored_us), largest_lag, peak_mib })
    }

    /// The largest lag in the second half of this time.
    fn settle(&mut self, lasts: Duration) -> Result<u64> {
        let began = Instant::now();
        let mut largest = None;
        while began.elapsed() < lasts {
            let seen = self.look()?;
            if began.elapsed() >= lasts / 2 {
                largest = largest.max(seen.map(|(_, lag)| lag));
            }
        }
        largest.context("silver had no commit in the quiet time; allow more with --settle")
    }

    /// The next version of silver, if one comes: when it could be seen, and the lag behind it.
    fn look(&mut self) -> Result<Option<(i64, u64)>> {
        self.program.check()?;
        ensure!(!self.deadline.is_over(), "{}", self.deadline.advice());
        if self.feed.is_over() {
            self.feed.finish()?;
            bail!("the events have ended before they were told to; this is a defect in watertight-bench");
        }
        let Some(seen) = self.watch.next(LOOK_MAX)? else { return Ok(None) };
        self.cover(&seen);
        let lag = self.schedule.due_by(seen.at_us).saturating_sub(self.covered);
        Ok(seen.books.is_some().then_some((seen.at_us, lag)))
    }

    /// Counts what a version covers for the first time.
    fn cover(&mut self, seen: &Seen) {
        let mut dues = self.feed.dues();
        for entry in seen.books.iter().flat_map(|books| &books.entries) {
            self.covered += dues.cover(entry.partition, entry.to).count() as u64;
        }
    }

    /// Answers the moment of the SIGKILL. What the killed program had committed by then is no commit of the next one.
    fn kill_and_restart(&mut self) -> Result<i64> {
        let killed_us = SystemClock.now_us();
        self.program.kill()?;
        while let Some(seen) = self.watch.next(Duration::ZERO)? {
            self.cover(&seen);
        }
        self.program = self.source.start(self.folder, &[])?;
        Ok(killed_us)
    }

    /// Ends the events, waits until all of them are rows, and ends the program.
    fn end(mut self, ids: u64) -> Result<()> {
        let fed = self.feed.finish()?;
        let began = Instant::now();
        while self.feed.dues().left() > 0 {
            self.program.check()?;
            ensure!(began.elapsed() < PATIENCE, "silver lacks {} events", self.feed.dues().left());
            if let Some(seen) = self.watch.next(LOOK_MAX)? {
                self.cover(&seen);
            }
        }
        self.program.end(PATIENCE)?;
        ids::all_rows(self.folder, ids + fed.sent)
    }
}

fn table_of(measured: &Measured) -> String {
    let header = ["kill", "lag before", "largest lag", "first commit s", "lag restored s", "peak MiB"];
    let row = |(number, kill): (usize, &Kill)| {
        vec![
            (number + 1).to_string(),
            amount::grouped(kill.usual_lag),
            amount::grouped(kill.largest_lag),
            format!("{:.2}", kill.first_commit_s),
            format!("{:.2}", kill.restored_s),
            kill.peak_mib.map_or_else(|| "–".to_owned(), |mib| format!("{mib:.0}")),
        ]
    };
    let mut rows: Vec<Vec<String>> = measured.kills.iter().enumerate().map(row).collect();
    let nothing = String::new;
    rows.push(vec![
        "median".to_owned(),
        nothing(),
        nothing(),
        text_of(measured.first_commit_s, 2),
        text_of(measured.restored_s, 2),
        text_of(measured.peak_mib, 0),
    ]);
    table::render(&header, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_go_on_where_the_kept_ones_end_and_reach_every_partition() {
        let mut events = MoreIds { next: 100, value: String::new() };
        let mut reached = vec![0; PARTITIONS as usize];
        for number in 100..180 {
            let event = events.make();
            assert_eq!(event.value, Some(ids::event(number).as_bytes()));
            reached[event.partition as usize] += 1;
        }
        assert!(reached.iter().all(|count| *count == 10), "{reached:?}");
    }

    #[test]
    fn kills_stand_one_by_one_above_their_median() {
        let kill = |restored_s| Kill {
            usual_lag: 21_000,
            first_commit_s: 1.0,
            restored_s,
            largest_lag: 60_000,
            peak_mib: None,
        };
        let measured = Measured {
            on: "a log",
            ids: 10,
            rate: 20_000,
            interval_ms: 1_000,
            kills: vec![kill(2.0), kill(4.0)],
            first_commit_s: Spread::of(&[1.0, 1.0]),
            restored_s: Spread::of(&[2.0, 4.0]),
            peak_mib: None,
        };
        let text = table_of(&measured);
        assert_eq!(text.lines().count(), 4);
        assert!(text.contains("21_000") && text.contains("3.00 (2.00–4.00)"), "{text}");
    }
}
