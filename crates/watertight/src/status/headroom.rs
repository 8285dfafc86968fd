//! How far each partition's position is from what the log's retention takes next: in records, and in time.
//!
//! Records: bronze's position less the first offset that the log keeps. Time: between the timestamp of the first record
//! that is kept and that of the record right before the position, both read from the log, once a minute at most ([`Ages`]).
//!
//! Retention is **near** where the log has removed something before, not all of it is read, and the position lies in the
//! oldest fifth of what is kept: of what a log keeps for a week, that is a day and a half before the first record is lost.
//! It says so while nothing is lost, whoever is at fault for the lag, and whether the pipeline runs or not. The built-in
//! log is never near: `run` itself applies its retention, and spares what bronze has not read.

use super::gather::{PartitionStatus, Status, gather};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_config::{LogConfig, PipelineConfig};
use watertight_core::port::{EventLog, Lake, OffsetBounds, PortError, ReadFrom};

/// How often times are read from the log, and how often the running process looks.
const EVERY: Duration = Duration::from_secs(60);
/// How often it says so again while it lasts.
const SAID_EVERY: Duration = Duration::from_secs(3_600);
/// Near is below this part of what is kept.
const NEAR_BELOW: f64 = 0.2;
/// Longest wait for the timestamps of a topic; those that do not come by then are not known this time.
const PATIENCE: Duration = Duration::from_secs(2);
/// One wait within it.
const WAIT: Duration = Duration::from_millis(200);
/// Bytes asked for, by partition: one record is enough.
const FETCH_BYTES: usize = 4 << 10;

/// The distance of a position from the first offset that the log keeps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Headroom {
    /// Records between the two; 0 where retention has passed the position.
    pub(crate) records: i64,
    /// Of what the log keeps, the part that lies before the position; 1 where everything is read.
    pub(crate) part: f64,
    /// Time between the record right before the position and the first that is kept, milliseconds; `None` where it was not
    /// read.
    pub(crate) time_ms: Option<i64>,
    /// Whether retention is near.
    pub(crate) near: bool,
    /// Offsets `from..to` that are gone and were not read.
    pub(crate) gone: Option<(i64, i64)>,
}

impl Headroom {
    /// Of a position in a partition that holds these offsets.
    pub(crate) fn of(position: i64, OffsetBounds { earliest, next }: OffsetBounds) -> Self {
        let (records, kept) = ((position - earliest).max(0), (next - earliest).max(0));
        let part = if position >= next { 1.0 } else { records as f64 / kept.max(1) as f64 };
        let gone = (position < earliest).then_some((position, earliest));
        Self { records, part, time_ms: None, near: earliest > 0 && part < NEAR_BELOW, gone }
    }

    /// In a column.
    pub(super) fn short(&self) -> String {
        match self.time_ms {
            Some(ms) => format!("{}, {}", self.records, span(ms)),
            None => self.records.to_string(),
        }
    }

    /// What there is to say of it, of a partition whose first kept offset is `earliest`; `None` where all is well.
    pub(super) fn told(&self, earliest: i64) -> Option<String> {
        const RUNBOOK: &str = "see docs/runbooks/stopped-partition.md";
        if let Some((from, to)) = self.gone {
            return Some(format!("LOST TO RETENTION: offsets {from}..{to} were not read and are gone; {RUNBOOK}"));
        }
        let time = self.time_ms.map_or_else(String::new, |ms| format!(" ({} of the log's time)", span(ms)));
        self.near.then(|| {
            format!(
                "RETENTION IS NEAR: {} records{time} lie between the first offset that the log keeps, {earliest}, and what \
                 is read next, {:.0} % of what is kept: keep the log longer, or catch up; {RUNBOOK}",
                self.records,
                self.part * 100.0
            )
        })
    }
}

/// Whether the log's own retention spares what bronze has not read.
pub(super) fn spares_what_is_unread(config: &PipelineConfig) -> bool {
    matches!(config.log, LogConfig::Local { .. })
}

/// A length of time in its two largest units.
fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Times of partitions of topics, as last read from the log.
#[derive(Debug, Default)]
pub(crate) struct Ages {
    read: Option<Instant>,
    /// By topic and partition.
    times_ms: BTreeMap<(String, i32), i64>,
}

impl Ages {
    /// Enters the times in a status, and reads them where a minute has gone by since.
    pub(crate) fn fill(&mut self, status: &mut Status, log: &dyn EventLog) {
        let due = self.read.is_none_or(|read| read.elapsed() >= EVERY);
        if due {
            self.times_ms.clear();
        }
        for stream in &mut status.streams {
            let topic_of = |one: &PartitionStatus| one.topic.clone().unwrap_or_else(|| stream.topic.clone());
            if due {
                let mut by_topic: BTreeMap<String, Vec<&PartitionStatus>> = BTreeMap::new();
                for one in &stream.partitions {
                    by_topic.entry(topic_of(one)).or_default().push(one);
                }
                for (topic, partitions) in by_topic {
                    // Without them the records are shown all the same.
                    if let Ok(times_ms) = times_ms(log, &topic, &partitions) {
                        self.times_ms.extend(times_ms.into_iter().map(|(one, ms)| ((topic.clone(), one), ms)));
                    }
                }
            }
            for partition in &mut stream.partitions {
                let known = self.times_ms.get(&(topic_of(partition), partition.partition));
                if let Some(headroom) = &mut partition.headroom {
                    headroom.time_ms = known.copied();
                }
            }
        }
        if due {
            self.read = Some(Instant::now());
        }
    }
}

/// By partition, the time between the first record that is kept and the one right before the position.
fn times_ms(log: &dyn EventLog, topic: &str, partitions: &[&PartitionStatus]) -> Result<BTreeMap<i32, i64>, PortError> {
    let has_some = |one: &&&PartitionStatus| one.headroom.as_ref().is_some_and(|headroom| headroom.records > 0);
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for one in partitions.iter().filter(has_some) {
        first.push(ReadFrom::offset(one.partition, one.earliest));
        last.push(ReadFrom::offset(one.partition, one.earliest.max(one.bronze.unwrap_or(0) - 1)));
    }
    let (first, last) = (timestamps_ms(log, topic, &first)?, timestamps_ms(log, topic, &last)?);
    let both = first.iter().filter_map(|(partition, from)| Some((*partition, last.get(partition)? - from)));
    Ok(both.collect())
}

/// The timestamp of the first record at or behind each of these offsets.
fn timestamps_ms(log: &dyn EventLog, topic: &str, from: &[ReadFrom]) -> Result<BTreeMap<i32, i64>, PortError> {
    let mut found = BTreeMap::new();
    if from.is_empty() {
        return Ok(found);
    }
    let (mut reader, began) = (log.reader(topic, from)?, Instant::now());
    while found.len() < from.len() && began.elapsed() < PATIENCE {
        // What cannot be read is not known; the rest is shown.
        let Ok(parts) = reader.fetch(FETCH_BYTES * from.len(), WAIT) else { break };
        for part in parts {
            if let Some(meta) = part.records.metas().first() {
                found.entry(part.partition).or_insert(meta.timestamp_ms);
            }
        }
    }
    Ok(found)
}

/// The running process's look at how near retention is: a warning in its log, and again while it lasts.
#[derive(Debug, Default)]
pub(crate) struct RetentionWatch {
    looked: Option<Instant>,
    ages: Ages,
    /// When it was said of a partition, by stream, topic where there are several, and number.
    said: BTreeMap<(String, Option<String>, i32), Instant>,
}

impl RetentionWatch {
    /// Looks once a minute, whenever it is called; gives what it said.
    pub(crate) fn look(&mut self, config: &PipelineConfig, log: &Arc<dyn EventLog>, lake: &dyn Lake) -> Vec<String> {
        if spares_what_is_unread(config) || self.looked.is_some_and(|looked| looked.elapsed() < EVERY) {
            return Vec::new();
        }
        self.looked = Some(Instant::now());
        let mut status = gather(config, &Ok(Arc::clone(log)), lake, None);
        self.ages.fill(&mut status, log.as_ref());
        self.tell(&status)
    }

    fn tell(&mut self, status: &Status) -> Vec<String> {
        let mut said = Vec::new();
        for stream in &status.streams {
            for one in &stream.partitions {
                let key = (stream.stream.clone(), one.topic.clone(), one.partition);
                let Some(told) = one.headroom.as_ref().and_then(|headroom| headroom.told(one.earliest)) else {
                    self.said.remove(&key);
                    continue;
                };
                if self.said.get(&key).is_some_and(|at| at.elapsed() < SAID_EVERY) {
                    continue;
                }
                tracing::warn!(stream = stream.stream, partition = one.shown(), "{told}");
                self.said.insert(key, Instant::now());
                said.push(told);
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::super::gather::StreamStatus;
    use super::*;
    use watertight_adapters::memory::log::MemoryLog;
    use watertight_adapters::system::SystemIds;
    use watertight_core::record::NewRecord;

    const TOPIC: &str = "ticks";

    /// A partition of 100 records, a second apart, of which those below `earliest` were removed, read up to `position`.
    fn with(earliest: i64, position: i64) -> (MemoryLog, Status) {
        let log = MemoryLog::new(Arc::new(SystemIds));
        log.create_topic(TOPIC, 1).expect("a topic");
        for second in 0..100 {
            let record = NewRecord { timestamp_ms: second * 1_000, ..NewRecord::default() };
            log.append(TOPIC, 0, &[record]).expect("appended");
        }
        log.retain_from(TOPIC, 0, earliest).expect("the topic is there");
        let bounds = log.bounds(TOPIC, 0).expect("asked");
        let partition = PartitionStatus {
            topic: None,
            partition: 0,
            earliest: bounds.earliest,
            next: bounds.next,
            held_back: 0,
            bronze: Some(position),
            silver: Some(position),
            lag: bounds.next - position,
            watermark_us: None,
            idle: false,
            stopped: None,
            headroom: Some(Headroom::of(position, bounds)),
        };
        let stream = StreamStatus::for_tests("notes", TOPIC, vec![partition]);
        let (streams, models) = (vec![stream], Vec::new());
        (
            log,
            Status {
                pipeline: "p".to_owned(),
                log: "memory".to_owned(),
                run_by: None,
                streams,
                models,
                verified: None,
            },
        )
    }

    fn headroom(status: &Status) -> &Headroom {
        status.streams[0].partitions[0].headroom.as_ref().expect("it has a position")
    }

    #[test]
    fn retention_is_near_in_the_oldest_fifth_of_what_is_kept_and_only_where_something_was_removed() {
        for (earliest, position, near) in [
            (50, 59, true),
            (50, 60, false),
            (50, 50, true),
            (50, 100, false),
            (0, 1, false), // Nothing was ever removed.
            (99, 100, false),
            (100, 100, false),
        ] {
            let (_, status) = with(earliest, position);
            assert_eq!(headroom(&status).near, near, "{earliest}, {position}");
            assert_eq!(headroom(&status).records, position - earliest);
        }
        let (_, status) = with(50, 40);
        assert_eq!((headroom(&status).gone, headroom(&status).records), (Some((40, 50)), 0));
        assert!(
            headroom(&status).told(50).is_some_and(|told| told.contains("offsets 40..50 were not read and are gone"))
        );
    }

    #[test]
    fn the_time_is_that_between_two_records_of_the_log_and_is_read_once_a_minute() {
        let (log, mut status) = with(50, 61);
        let mut ages = Ages::default();
        ages.fill(&mut status, &log);
        assert_eq!(headroom(&status).time_ms, Some(10_000), "from record 50 to record 60");
        log.retain_from(TOPIC, 0, 55).expect("the topic is there");
        status.streams[0].partitions[0].earliest = 55;
        ages.fill(&mut status, &log);
        assert_eq!(headroom(&status).time_ms, Some(10_000), "not read again");
        Ages::default().fill(&mut status, &log);
        assert_eq!(headroom(&status).time_ms, Some(5_000));
        assert_eq!(headroom(&status).short(), "11, 5 s");
    }

    #[test]
    fn it_is_said_once_an_hour_while_it_lasts_and_at_once_when_it_comes_back() {
        let ((_, near), (_, far)) = (with(50, 55), with(50, 90));
        let mut watch = RetentionWatch::default();
        let said = watch.tell(&near);
        assert!(said.len() == 1 && said[0].contains("RETENTION IS NEAR: 5 records lie between"), "{said:?}");
        assert!(said[0].contains("10 % of what is kept"), "{said:?}");
        assert_eq!(watch.tell(&near), Vec::<String>::new());
        assert_eq!(watch.tell(&far), Vec::<String>::new());
        assert_eq!(watch.tell(&near).len(), 1);
    }

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        let told = [0, 59_999, 61_000, 3_661_000, 90_000_000, -5].map(span);
        assert_eq!(told, ["0 s", "59 s", "1 min", "1 h 1 min", "1 d 1 h", "0 s"]);
    }
}
