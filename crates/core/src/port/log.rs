//! The event log port: topics of partitions of records at dense or sparse offsets.
//!
//! Durability: an append is answered only when its records survive SIGKILL and power loss; on Kafka, as far as its
//! replication makes them (docs/adr/0016). Ordering: records of a partition are read in offset order; a reader never
//! sees a record that could still be lost. Nothing is skipped silently: offsets without a readable record come as
//! [`Gap`]s, or as an error of kind `OutOfRange`.

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
    /// Offset behind the last one that can be read now: what the next record will get, but where a transaction is open
    /// ([`EventLog::end`]).
    pub next: i64,
}

/// Where the records of a batch lie behind its first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offsets {
    /// One behind the other.
    Dense,
    /// Others wrote between them: the offset of each, the first one's too, in the order of the batch.
    Each(Vec<i64>),
}

/// The answer to an append: durable at these offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Offset of the first record of the batch; for an empty batch, where the next record would lie.
    pub first_offset: i64,
    /// Where the others lie.
    pub offsets: Offsets,
}

impl Append {
    /// Records one behind the other.
    #[must_use]
    pub fn dense(first_offset: i64) -> Self {
        Self { first_offset, offsets: Offsets::Dense }
    }

    /// Records at these offsets, in the order of the batch; `None` where there are none.
    #[must_use]
    pub fn at(offsets: Vec<i64>) -> Option<Self> {
        let first_offset = *offsets.first()?;
        let dense = offsets.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let offsets = if dense { Offsets::Dense } else { Offsets::Each(offsets) };
        Some(Self { first_offset, offsets })
    }

    /// The offset of the record `row` of the batch.
    #[must_use]
    pub fn offset(&self, row: usize) -> i64 {
        match &self.offsets {
            Offsets::Dense => self.first_offset + row as i64,
            Offsets::Each(offsets) => offsets[row],
        }
    }
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

    /// Names of the topics, in order; the log's own, which begin with `__`, are left out.
    ///
    /// # Errors
    /// When the log cannot be asked.
    fn topics(&self) -> Result<Vec<String>, PortError>;

    /// Creates the topic, or adds partitions up to `partitions`; what is there is never reduced. Idempotent.
    ///
    /// # Errors
    /// When it cannot be made.
    fn create_topic(&self, topic: &str, partitions: i32) -> Result<TopicInfo, PortError>;

    /// Appends a batch at the end of a partition, in its order; returns when all of it is durable. Records of others
    /// may come to lie between.
    ///
    /// # Errors
    /// `Unknown`: none of it, a beginning of it or all of it was appended; read the tail back as far as
    /// [`end`](Self::end), which answers only when that can change no more. Every other kind: nothing was appended.
    fn append(&self, topic: &str, partition: i32, records: &[NewRecord<'_>]) -> Result<Append, PortError>;

    /// The offsets a partition holds.
    ///
    /// # Errors
    /// When the log cannot be asked.
    fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetBounds, PortError>;

    /// The offset behind the last record that was appended, whether it can be read yet or not: that of the bounds, but
    /// where a transaction is open before it.
    ///
    /// # Errors
    /// When the log cannot be asked; `Retry` while an append of this handle is not decided: one that was not answered,
    /// or one that another thread waits for.
    fn end(&self, topic: &str, partition: i32) -> Result<i64, PortError> {
        self.bounds(topic, partition).map(|bounds| bounds.next)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_of_a_batch_has_its_offset_with_and_without_others_between() {
        let dense = Append::at(vec![5, 6, 7]).unwrap();
        assert_eq!(dense, Append::dense(5));
        assert_eq!([0, 2].map(|row| dense.offset(row)), [5, 7]);
        let torn = Append::at(vec![5, 6, 9]).unwrap();
        assert_eq!((torn.first_offset, [0, 1, 2].map(|row| torn.offset(row))), (5, [5, 6, 9]));
        assert_eq!(Append::at(Vec::new()), None);
    }
}
