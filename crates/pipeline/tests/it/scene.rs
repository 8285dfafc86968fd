//! One small pipeline, the events it reads, and its outside in memory with a clock that stands where it is set.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use watertight_adapters::memory::lake::MemoryLake;
use watertight_adapters::memory::log::MemoryLog;
use watertight_core::port::{Clock, EventLog, Ids};
use watertight_core::record::NewRecord;
use watertight_core::schema::{
    Check, Column, ColumnType, DuplicateKeys, EventIdRule, EventTimeRule, ModelDef, PayloadLimits, StartAt, StreamDef,
    TimestampForm,
};
use watertight_core::steps::Steps;
use watertight_pipeline::runtime::{
    CommitBounds, Committer, Health, Part, Parts, RunOutcome, RunUntil, Setup, Stop, Upto, run,
};
use watertight_state::StateFolder;

pub(crate) const PIPELINE: &str = "0b0c2a58-6d5e-4c8e-9f3e-3f3f0c1d2e4f";
pub(crate) const TOPIC: &str = "notes";
pub(crate) const SECOND_US: i64 = 1_000_000;
pub(crate) const HOUR_US: i64 = 3_600 * SECOND_US;
pub(crate) const DAY_US: i64 = 24 * HOUR_US;
/// 2026-03-01T10:00:00Z: second 0 of all events.
pub(crate) const START_US: i64 = 1_772_359_200 * SECOND_US;
/// What the clock says unless a test sets it: later than every event.
pub(crate) const NOW_US: i64 = START_US + 2 * DAY_US;
/// A run that takes this long did not end by itself; the slowest one needs some tenths of a second.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A clock that says what it was last set to.
#[derive(Debug)]
pub(crate) struct SetClock(AtomicI64);

impl SetClock {
    pub(crate) fn set(&self, now_us: i64) {
        self.0.store(now_us, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now_us(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Ids in order, so that two scenes give the same ones.
#[derive(Debug)]
pub(crate) struct CountedIds(&'static str, AtomicU64);

impl Ids for CountedIds {
    fn fresh(&self) -> String {
        format!("{}-{:06}", self.0, self.1.fetch_add(1, Ordering::SeqCst))
    }
}

/// A record to be appended.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    partition: i32,
    value: Option<String>,
    logged_s: i64,
}

/// A note whose time is `second`, logged a second later.
pub(crate) fn note(partition: i32, id: &str, second: i64, n: i64) -> Event {
    let at_ms = START_US / 1_000 + second * 1_000;
    Event { partition, value: Some(format!(r#"{{"id":"{id}","at":{at_ms},"n":{n}}}"#)), logged_s: second + 1 }
}

/// The same record, logged at another second.
pub(crate) fn logged_at(second: i64, event: Event) -> Event {
    Event { logged_s: second, ..event }
}

/// A note that claims to be an hour ahead of the log.
fn future(partition: i32, id: &str, second: i64) -> Event {
    Event { logged_s: second, ..note(partition, id, second + 3_600, 1) }
}

pub(crate) fn raw(partition: i32, value: Option<&str>, logged_s: i64) -> Event {
    Event { partition, value: value.map(str::to_owned), logged_s }
}

/// Partition 0: valid, duplicate, not JSON, failing its check, late, tombstone, beyond the tolerated future.
pub(crate) fn part_one() -> Vec<Event> {
    vec![
        note(0, "a", 0, 1),
        note(0, "b", 30, 2),
        note(0, "a", 0, 1),
        raw(0, Some("not json"), 40),
        note(0, "c", 65, 3),
        note(0, "d", 200, 500),
        note(0, "e", 205, 4),
        note(0, "f", 100, 5),
        raw(0, None, 210),
        note(0, "g", 400, 6),
        future(0, "h", 401),
        note(0, "i", 410, 7),
    ]
}

/// Both partitions, into the next day; duplicates of what part one brought, in the same and in another partition.
pub(crate) fn part_two() -> Vec<Event> {
    vec![
        note(0, "j", 600, 8),
        note(1, "l", 30, 1),
        note(0, "a", 0, 1),
        note(1, "b", 30, 2),
        note(0, "k", 605, 9),
        note(1, "p", 90, 2),
        raw(0, Some("{}"), 606),
        raw(1, Some("[]"), 91),
        note(0, "m", 86_000, 1),
        note(1, "q", 700, 3),
        note(0, "n", 86_010, 2),
        note(1, "r", 60, 4),
        note(0, "o", 86_005, 3),
        note(1, "t", 86_000, 4),
        note(0, "s", 86_020, 4),
        note(1, "u", 86_030, 5),
    ]
}

/// A stream of notes of two partitions.
pub(crate) fn stream(name: &str) -> StreamDef {
    let column = |name: &str, kind, required| Column { name: name.into(), kind, required, path: vec![name.into()] };
    StreamDef {
        name: name.into(),
        topic: name.into(),
        topics: None,
        partitions: 2,
        event_id: EventIdRule::Column("id".into()),
        event_time: EventTimeRule {
            column: "at".into(),
            watermark_delay_us: 60 * SECOND_US,
            future_tolerance_us: 300 * SECOND_US,
            idle_after_us: HOUR_US,
            not_before_us: 0,
            not_after_us: START_US + 3_650 * DAY_US,
        },
        columns: vec![
            column("id", ColumnType::String, true),
            column("at", ColumnType::Timestamp(TimestampForm::EpochMillis), true),
            column("n", ColumnType::Long, false),
        ],
        checks: vec![Check { name: "small".into(), sql: "n < 100".into() }],
        payload: PayloadLimits { bytes_max: 1 << 20, depth_max: 16, duplicate_keys: DuplicateKeys::Reject },
        start: StartAt::Earliest,
        fail_on_data_loss: true,
    }
}

fn per_minute() -> ModelDef {
    ModelDef {
        name: "per_minute".into(),
        from: TOPIC.into(),
        window_us: 60 * SECOND_US,
        sql: "SELECT window_start, count(*) AS notes, sum(n) AS total FROM notes GROUP BY window_start".into(),
    }
}

/// Appends the events to any log.
pub(crate) fn append_to(log: &dyn EventLog, topic: &str, events: &[Event]) {
    for event in events {
        let record = NewRecord {
            key: Some(b"k"),
            value: event.value.as_deref().map(str::as_bytes),
            headers: &[("source", Some(b"test"))],
            timestamp_ms: START_US / 1_000 + event.logged_s * 1_000,
        };
        log.append(topic, event.partition, &[record]).expect("appended");
    }
}

/// The outside of one pipeline. The topic `notes` is there, with one partition.
pub(crate) struct Scene {
    pub(crate) log: MemoryLog,
    pub(crate) lake: MemoryLake,
    pub(crate) clock: Arc<SetClock>,
    ids: Arc<CountedIds>,
    states: [TempDir; 2],
}

impl Scene {
    pub(crate) fn new() -> Self {
        let log = MemoryLog::new(Arc::new(CountedIds("log", AtomicU64::new(0))));
        log.create_topic(TOPIC, 1).expect("a topic");
        let state = || tempfile::tempdir().expect("a state folder");
        Self {
            log,
            lake: MemoryLake::default(),
            clock: Arc::new(SetClock(AtomicI64::new(NOW_US))),
            ids: Arc::new(CountedIds("id", AtomicU64::new(0))),
            states: [state(), state()],
        }
    }

    /// A scene whose topic has both partitions and all events.
    pub(crate) fn with_all_events() -> Self {
        let scene = Self::new();
        scene.log.create_topic(TOPIC, 2).expect("a second partition");
        scene.append(TOPIC, &part_one());
        scene.append(TOPIC, &part_two());
        scene
    }

    /// Deletes the topic and makes it anew, with both partitions.
    pub(crate) fn make_anew(&self) {
        assert!(self.log.remove_topic(TOPIC));
        self.log.create_topic(TOPIC, 2).expect("a topic");
    }

    pub(crate) fn append(&self, topic: &str, events: &[Event]) {
        append_to(&self.log, topic, events);
    }

    /// Where states are kept.
    pub(crate) fn state_folder(&self) -> StateFolder {
        StateFolder { path: self.state().to_owned(), steps: Steps::default() }
    }

    pub(crate) fn parts(&self) -> Parts {
        Parts {
            log: Arc::new(self.log.clone()),
            lake: Arc::new(self.lake.clone()),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            steps: Steps::default(),
        }
    }

    /// Reads what is there, in epochs of a few records, and closes every window.
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            pipeline: PIPELINE.into(),
            streams: vec![stream(TOPIC)],
            models: vec![per_minute()],
            bounds: CommitBounds { interval: Duration::from_millis(20), rows_max: 4, bytes_max: 1 << 20 },
            until: RunUntil { caught_up: true, close_windows: true, elapsed: Some(PATIENCE) },
            state_dir: self.state().to_owned(),
            upto: Upto::Gold,
        }
    }

    /// As [`Scene::setup`], but windows stay open.
    pub(crate) fn setup_left_open(&self) -> Setup {
        let setup = self.setup();
        Setup { until: RunUntil { close_windows: false, ..setup.until }, ..setup }
    }

    pub(crate) fn state(&self) -> &Path {
        self.states[0].path()
    }

    /// The state folder of another worker, or one that was lost and made anew.
    pub(crate) fn other_state(&self) -> &Path {
        self.states[1].path()
    }

    pub(crate) fn committer<'a>(&'a self, health: &'a Health, stop: &'a Stop) -> Committer<'a> {
        Committer { part: Part::Ops, health, stop, clock: &*self.clock, ids: &*self.ids }
    }
}

pub(crate) fn unheard() -> Health {
    Health::new(Box::new(|_| {}))
}

/// One life of the process. Says so where it did not begin, or did not end by itself.
pub(crate) fn live(setup: &Setup, parts: &Parts) -> Result<RunOutcome, String> {
    live_watched(setup, parts, &unheard())
}

/// As [`live`], with a health to look at.
pub(crate) fn live_watched(setup: &Setup, parts: &Parts, health: &Health) -> Result<RunOutcome, String> {
    let (began, stop) = (Instant::now(), Stop::default());
    let outcome = run(setup, parts, health, &stop);
    stop.request(); // The run's timer ends with it.
    if began.elapsed() >= PATIENCE {
        return Err(format!("it did not end by itself: {outcome:?}"));
    }
    outcome.map_err(|error| format!("it could not begin: {}", error.chain()))
}

/// What failed in a life, in the words that an operator reads.
pub(crate) fn words(lived: &Result<RunOutcome, String>) -> Vec<String> {
    match lived {
        Err(said) => vec![said.clone()],
        Ok(outcome) => {
            let streams = outcome.failures.iter().map(ToString::to_string);
            let models = outcome.failed_models.iter().map(|(name, error)| format!("model {name}: {error}"));
            streams.chain(models).collect()
        }
    }
}
