//! Reading a status: positions and totals from each table's newest commit, ends from the log.
//!
//! Contract: what can be read is shown. A table or a topic that cannot leaves its numbers at nothing, and its name and
//! the reason with the stream or model it belongs to; so does a log that does not answer in a few seconds. Of the log its
//! place is shown, and nothing that opens it.

use super::Verified;
use super::asked::{Answer, Bounds, TopicReading, ask};
use super::headroom::{Headroom, spares_what_is_unread};
use super::health_file::{HealthFile, Reading};
use crate::wiring;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use watertight_config::PipelineConfig;
use watertight_core::books::{Books, Outcome, Watermarks};
use watertight_core::port::{EventLog, Lake, PortError, TopicInfo};
use watertight_core::schema::{ModelDef, StreamDef};

/// A pipeline's status.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    /// Pipeline name.
    pub(crate) pipeline: String,
    /// Where the event log is: a folder, or brokers.
    pub(crate) log: String,
    /// Who runs it now.
    pub(crate) run_by: Option<String>,
    /// Streams.
    pub(crate) streams: Vec<StreamStatus>,
    /// Models.
    pub(crate) models: Vec<ModelStatus>,
    /// What `verify` said last of the whole lake, or of what it follows.
    pub(crate) verified: Option<Verified>,
}

impl Status {
    /// Whether all of it could be read.
    pub(crate) fn is_whole(&self) -> bool {
        self.streams.iter().all(|stream| stream.error.is_none())
            && self.models.iter().all(|model| model.error.is_none())
    }
}

/// A stream's status. Counts are since its tables began.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StreamStatus {
    /// Stream name.
    pub(crate) stream: String,
    /// Topic; of several, what the pipeline file says of them.
    pub(crate) topic: String,
    /// Records in the log: the sum of next − earliest.
    pub(crate) in_log: i64,
    /// Rows in bronze.
    pub(crate) bronze: u64,
    /// Outcomes that silver's books hold.
    pub(crate) outcome: Outcome,
    /// Rows among the dead letters.
    pub(crate) dead_letter_rows: u64,
    /// Records not yet in silver.
    pub(crate) lag: i64,
    /// The stream's watermark, microseconds.
    pub(crate) watermark_us: Option<i64>,
    /// Time of silver's last commit, microseconds.
    pub(crate) last_commit_us: Option<i64>,
    /// Version of silver's last commit.
    pub(crate) silver_version: Option<u64>,
    /// By partition.
    pub(crate) partitions: Vec<PartitionStatus>,
    /// What the process that runs, or last ran, says of it.
    pub(crate) reading: Option<Reading>,
    /// What of it could not be read, so that its numbers say nothing: a table's schema, `dead_letters` or `log`.
    pub(crate) unreadable: Vec<&'static str>,
    /// Why.
    pub(crate) error: Option<String>,
}

#[cfg(test)]
impl StreamStatus {
    /// A stream of which only these partitions are known.
    pub(super) fn for_tests(stream: &str, topic: &str, partitions: Vec<PartitionStatus>) -> Self {
        Self {
            stream: stream.to_owned(),
            topic: topic.to_owned(),
            in_log: 0,
            bronze: 0,
            outcome: Outcome::default(),
            dead_letter_rows: 0,
            lag: 0,
            watermark_us: None,
            last_commit_us: None,
            silver_version: None,
            partitions,
            reading: None,
            unreadable: Vec::new(),
            error: None,
        }
    }
}

/// A partition's status.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PartitionStatus {
    /// Its topic, where the stream reads several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) topic: Option<String>,
    /// Partition number.
    pub(crate) partition: i32,
    /// First offset the log keeps.
    pub(crate) earliest: i64,
    /// The offset behind the last record that can be read.
    pub(crate) next: i64,
    /// Offsets from `next` on that are written and cannot be read, as a transaction before them is open.
    pub(crate) held_back: i64,
    /// Bronze's position.
    pub(crate) bronze: Option<i64>,
    /// Silver's position.
    pub(crate) silver: Option<i64>,
    /// Records not yet in silver.
    pub(crate) lag: i64,
    /// Its watermark, microseconds.
    pub(crate) watermark_us: Option<i64>,
    /// Whether it is idle.
    pub(crate) idle: bool,
    /// Why it stopped by itself, with the exact range and what to do; `None` where it did not.
    pub(crate) stopped: Option<String>,
    /// How far bronze's position is from the first offset that the log keeps; `None` where it has none.
    pub(crate) headroom: Option<Headroom>,
}

impl PartitionStatus {
    /// Its number, behind the topic where the stream reads several.
    pub(crate) fn shown(&self) -> String {
        self.topic.as_ref().map_or_else(|| self.partition.to_string(), |topic| format!("{topic}/{}", self.partition))
    }
}

/// A model's status.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ModelStatus {
    /// Model name.
    pub(crate) model: String,
    /// Rows in its table.
    pub(crate) rows: u64,
    /// Windows up to here are written, microseconds.
    pub(crate) closed_until_us: Option<i64>,
    /// Time of its last commit, microseconds.
    pub(crate) last_commit_us: Option<i64>,
    /// What the process that runs, or last ran, says of it.
    pub(crate) reading: Option<Reading>,
    /// What of it could not be read, so that its numbers say nothing: a table's schema, `dead_letters` or `log`.
    pub(crate) unreadable: Vec<&'static str>,
    /// Why.
    pub(crate) error: Option<String>,
}

struct Table {
    version: u64,
    positions: BTreeMap<(String, i32), i64>,
    /// The topics that it has positions of.
    topics: BTreeSet<String>,
    last: Option<Books>,
}

/// What could not be read of a part, and why.
#[derive(Default)]
struct Unread {
    names: Vec<&'static str>,
    reasons: Vec<String>,
}

impl Unread {
    /// What was read; an error is noted under `name`.
    fn note<T>(&mut self, name: &'static str, read: Result<T, String>) -> Option<T> {
        let error = match read {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        if !self.names.contains(&name) {
            self.names.push(name);
            self.reasons.push(format!("{name}: {error}"));
        }
        None
    }

    fn finish(self) -> (Vec<&'static str>, Option<String>) {
        let error = (!self.reasons.is_empty()).then(|| self.reasons.join("; "));
        (self.names, error)
    }
}

/// Reads the status while `run_by` runs the pipeline. Changes nothing anywhere.
pub(crate) fn gather(
    config: &PipelineConfig,
    log: &Result<Arc<dyn EventLog>, PortError>,
    lake: &dyn Lake,
    run_by: Option<String>,
) -> Status {
    let health = HealthFile::read(&config.state, run_by.as_deref());
    // Tables first: what the log says after that is no older than they are, and no lag is too small.
    let tables: Vec<Tables> = config.streams.iter().map(|def| Tables::look(lake, &def.name)).collect();
    let place = wiring::place_of_log(config);
    let topics: Vec<Named> = config.streams.iter().zip(&tables).map(|(def, tables)| names(def, tables, log)).collect();
    let answers = ask(log, &place, topics.iter().flat_map(|named| &named.names).cloned().collect());
    let streams = config.streams.iter().zip(tables).zip(topics).map(|((def, tables), topics)| {
        let reading = health.streams.get(&def.name).cloned();
        let mut status = stream_status(def, tables, (topics, &answers), reading);
        for partition in &mut status.partitions {
            partition.stopped = health.stopped(&def.name, partition.topic.as_deref(), partition.partition).cloned();
            if spares_what_is_unread(config)
                && let Some(headroom) = &mut partition.headroom
            {
                headroom.near = false;
            }
        }
        status
    });
    let models = config.models.iter().map(|def| {
        let reading = health.models.get(&def.name).cloned();
        model_status(def, lake, reading)
    });
    let (streams, models) = (streams.collect(), models.collect());
    let verified = Verified::read(&config.state);
    Status { pipeline: config.name.clone(), log: place, run_by, streams, models, verified }
}

/// The tables of a stream, as far as they are there and can be read.
struct Tables {
    bronze: Option<Table>,
    dead: Option<Table>,
    silver: Option<Table>,
    unread: Unread,
}

impl Tables {
    fn look(lake: &dyn Lake, stream: &str) -> Self {
        let mut unread = Unread::default();
        let bronze = unread.note("bronze", look(lake, "bronze", stream)).flatten();
        let dead = unread.note("dead_letters", look(lake, "bronze", &format!("{stream}_dlq"))).flatten();
        let silver = unread.note("silver", look(lake, "silver", stream)).flatten();
        Self { bronze, dead, silver, unread }
    }
}

/// The topics of a stream, and why the log could not be asked which they are.
struct Named {
    names: Vec<String>,
    error: Option<String>,
}

/// The topics that a stream reads. Where the log cannot say which match, those that its tables know.
fn names(def: &StreamDef, tables: &Tables, log: &Result<Arc<dyn EventLog>, PortError>) -> Named {
    let asked = match log {
        Ok(log) => def.topics_now(log.as_ref()).map_err(|error| error.chain()),
        Err(error) => Err(error.chain()),
    };
    let error = match asked {
        Ok(names) => return Named { names, error: None },
        Err(error) => error,
    };
    let named = def.topics_named();
    if !named.is_empty() {
        // Whoever asks for each of them will be told so.
        return Named { names: named, error: None };
    }
    let known = tables.bronze.iter().flat_map(|table| &table.topics).filter(|topic| def.reads(topic));
    Named { names: known.cloned().collect(), error: Some(error) }
}

fn stream_status(
    def: &StreamDef,
    tables: Tables,
    (topics, answers): (Named, &BTreeMap<String, Answer>),
    reading: Option<Reading>,
) -> StreamStatus {
    let Tables { bronze, dead, silver, mut unread } = tables;
    if let Some(error) = topics.error {
        unread.note::<()>("log", Err(error));
    }
    let last = silver.as_ref().and_then(|table| table.last.as_ref());
    let times = last.and_then(|books| books.watermarks.clone()).unwrap_or_default();
    let mut partitions: Vec<PartitionStatus> = Vec::new();
    for topic in &topics.names {
        let answer = answers.get(topic).and_then(|answer| unread.note("log", answer.as_ref().map_err(String::clone)));
        let Some(TopicReading { info, bounds }) = answer.and_then(Option::as_ref) else { continue };
        for (number, bounds) in (0_i32..).zip(bounds) {
            let bounds = unread.note("log", bounds.clone());
            let tables = (bronze.as_ref(), silver.as_ref());
            let status = bounds.map(|bounds| partition_status(info, (number, bounds), tables, &times));
            let topic = def.topics.is_some().then(|| topic.clone());
            partitions.extend(status.map(|status| PartitionStatus { topic, ..status }));
        }
    }
    let (unreadable, error) = unread.finish();
    StreamStatus {
        stream: def.name.clone(),
        topic: def.topics_shown(),
        in_log: partitions.iter().map(|partition| partition.next - partition.earliest).sum(),
        bronze: rows(bronze.as_ref()),
        outcome: last.map(|books| books.totals).unwrap_or_default(),
        dead_letter_rows: rows(dead.as_ref()),
        lag: partitions.iter().map(|partition| partition.lag).sum(),
        watermark_us: times.stream_us,
        last_commit_us: last.map(|books| books.committed_at_us),
        silver_version: silver.as_ref().map(|table| table.version),
        partitions,
        reading,
        unreadable,
        error,
    }
}

fn partition_status(
    topic: &TopicInfo,
    (number, Bounds { readable: bounds, end }): (i32, Bounds),
    (bronze, silver): (Option<&Table>, Option<&Table>),
    times: &Watermarks,
) -> PartitionStatus {
    let key = (topic.incarnation.clone(), number);
    let at = |table: Option<&Table>| table.and_then(|table| table.positions.get(&key).copied());
    let (bronze, silver) = (at(bronze), at(silver));
    let of_topic = if times.topics.is_empty() { Some(&times.partitions) } else { times.topics.get(&topic.name) };
    let time = of_topic.and_then(|partitions| partitions.get(&number)).copied().unwrap_or_default();
    PartitionStatus {
        topic: None,
        partition: number,
        earliest: bounds.earliest,
        next: bounds.next,
        held_back: (end - bounds.next).max(0),
        bronze,
        silver,
        lag: (bounds.next - silver.unwrap_or(bounds.earliest)).max(0),
        watermark_us: time.watermark_us,
        idle: time.idle,
        stopped: None,
        headroom: bronze.map(|position| Headroom::of(position, bounds)),
    }
}

fn model_status(def: &ModelDef, lake: &dyn Lake, reading: Option<Reading>) -> ModelStatus {
    let mut unread = Unread::default();
    let gold = unread.note("gold", look(lake, "gold", &def.name)).flatten();
    let last = gold.as_ref().and_then(|table| table.last.as_ref());
    let (unreadable, error) = unread.finish();
    ModelStatus {
        model: def.name.clone(),
        rows: rows(gold.as_ref()),
        closed_until_us: last.and_then(|books| books.closed_until_us),
        last_commit_us: last.map(|books| books.committed_at_us),
        reading,
        unreadable,
        error,
    }
}

fn rows(table: Option<&Table>) -> u64 {
    table.and_then(|table| table.last.as_ref()).map_or(0, |books| books.rows_total)
}

fn look(lake: &dyn Lake, schema_name: &str, table: &str) -> Result<Option<Table>, String> {
    let Some(table) = lake.look(schema_name, table).map_err(|error| error.chain())? else { return Ok(None) };
    let state = table.state();
    let positions = state.positions.iter().map(|(key, next)| ((key.incarnation.clone(), key.partition), *next));
    let topics = state.positions.keys().map(|key| key.topic.clone()).collect();
    Ok(Some(Table { version: state.version, positions: positions.collect(), topics, last: state.last_append.clone() }))
}
