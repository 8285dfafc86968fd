//! The event log port: topics of partitions of records at dense or sparse offsets.
//!
//! Durability: an append is answered only when its records survive SIGKILL and power loss. Ordering: records of a
//! partition are read in offset order; a reader never sees a record that could still be lost. Nothing is skipped
//! silently: offsets without a readable record come as [`Gap`]s, or as an error of kind `OutOfRange`.

use super::PortError;
use crate::record::{NewRecord, Records};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a search by time reads at once, bytes.
const SCAN_BYTES: usize = 1 << 20;
/// How long it waits for records that are there.
const SCAN_WAIT: Duration = Duration::from_secs(1);

/// What a log says of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Name.
    pub name: String,
    /// Identity of this life of the topic; a recreated topic has another.
    pub incarnation: String,
    /// Partitions are `0..partitions`.
    pub partitions: i32,
}

/// The offsets a partition holds: `earliest..next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetBounds {
    /// First offset still kept.
    pub earliest: i64,
    /// Offset the next record will get.
    pub next: i64,
}

/// The answer to an append: durable at these offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Append {
    /// Offset of the first record of the batch; the others follow densely.
    pub first_offset: i64,
}

/// Why offsets hold no readable record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// Transaction markers, aborted or compacted records: nothing was there to read.
    NoRecord,
    /// Stored bytes were damaged: records were there and are lost.
    Damaged,
    /// Retention removed them before they were read.
    Retention,
}

/// A stretch of offsets without a readable record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// First offset of the stretch.
    pub from: i64,
    /// Offset after its last.
    pub to: i64,
    /// Why.
    pub cause: GapCause,
}

/// What a fetch brought of one partition: `from..to` is covered exactly by records and gaps.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Partition number.
    pub partition: i32,
    /// First offset covered.
    pub from: i64,
    /// Offset after the last one covered.
    pub to: i64,
    /// The records, in offset order.
    pub records: Records,
    /// The offsets without one.
    pub gaps: Vec<Gap>,
    /// The partition's next offset at the time of the fetch: lag = `log_end - to`.
    pub log_end: i64,
}

/// Where the reading of a partition begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadFrom {
    /// Partition number.
    pub partition: i32,
    /// First offset wanted.
    pub offset: i64,
    /// Epoch of the leader that wrote the last record before `offset` that was read; -1 where that is not known. A log
    /// with leaders uses it to notice that other records have taken the offsets below.
    pub leader_epoch: i32,
}

impl ReadFrom {
    /// From this offset on, knowing nothing of what lies below it.
    #[must_use]
    pub fn offset(partition: i32, offset: i64) -> Self {
        Self { partition, offset, leader_epoch: -1 }
    }
}

/// An event log. Safe for several processes at once.
pub trait EventLog: Send + Sync {
    /// Describes a topic; `None` where there is none.
    ///
    /// # Errors
    /// When the log cannot be asked.
    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, PortError>;

    /// Creates the topic, or adds partitions up to `partitions`; what is there is never reduced. Idempotent.
    ///
    /// # Errors
    /// When it cannot be made.
    fn create_topic(&self, topic: &str, partitions: i32) -> Result<TopicInfo, PortError>;

    /// Appends a batch at the end of a partition, all of it or nothing; returns when it is durable.
    ///
    /// # Errors
    /// `Retry`: nothing was appended. `Unknown`: it may have been; read the tail back.
    fn append(&self, topic: &str, partition: i32, records: &[NewRecord<'_>]) -> Result<Append, PortError>;

    /// The offsets a partition holds.
    ///
    /// # Errors
    /// When the log cannot be asked.
    fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetBounds, PortError>;

    /// The first offset whose record bears a timestamp of `timestamp_ms` or later; where none does, the next offset.
    ///
    /// # Errors
    /// When the log cannot be asked.
    fn offset_at(&self, topic: &str, partition: i32, timestamp_ms: i64) -> Result<i64, PortError> {
        let OffsetBounds { earliest, next } = self.bounds(topic, partition)?;
        let mut reader = self.reader(topic, &[ReadFrom::offset(partition, earliest)])?;
        let mut at = earliest;
        while at < next {
            for part in reader.fetch(SCAN_BYTES, SCAN_WAIT)? {
                if let Some(meta) = part.records.metas().iter().find(|meta| meta.timestamp_ms >= timestamp_ms) {
                    return Ok(meta.offset);
                }
                at = part.to;
            }
        }
        Ok(next)
    }

    /// A reader of the given partitions from the given offsets on.
    ///
    /// # Errors
    /// `Stop` where the topic or a partition does not exist.
    fn reader(&self, topic: &str, from: &[ReadFrom]) -> Result<Box<dyn LogReader>, PortError>;
}

/// Reads forward from assigned positions. Fair between partitions.
pub trait LogReader: Send {
    /// Waits up to `wait` for something new, then returns what is there, at most about `bytes_max` (but at least one
    /// record). Empty: nothing came. An `OutOfRange` error names the lost range
    /// (`PortError::range`) and moves nothing; so does a `Stop` of one partition only.
    ///
    /// # Errors
    /// As the kind says; the positions are as before.
    fn fetch(&mut self, bytes_max: usize, wait: Duration) -> Result<Vec<Fetched>, PortError>;

    /// Sets the position of one partition (to replay, or to go on behind a declared loss).
    ///
    /// # Errors
    /// `Stop` where the partition is not assigned.
    fn seek(&mut self, partition: i32, offset: i64) -> Result<(), PortError>;
}
