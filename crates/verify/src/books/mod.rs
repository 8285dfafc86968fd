//! The books as they stand in a commit, read anew (no type of the pipeline): `commitInfo.watertight`.
//!
//! Numbers are as docs/adr/0006, 0014, 0015, 0017 and 0019 describe them. Unknown keys are ignored; a missing one has its neutral
//! value, since books of older versions lack some.

pub mod copies;

use serde::Deserialize;
use std::collections::BTreeMap;

/// Counts by what became of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Records of the range.
    pub records: u64,
    /// Offsets that never held one.
    pub no_record: u64,
    /// Offsets declared lost.
    pub lost: u64,
    /// Rows of silver.
    pub silver: u64,
    /// Records whose id was there.
    pub duplicates: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Withheld by a session's gap.
    pub withheld: u64,
    /// Erased on request.
    pub erased: u64,
    /// Rows flagged late.
    pub late: u64,
    /// Rows with a time beyond the tolerated future.
    pub future: u64,
    /// Rows with fields that the definition does not name.
    pub unknown_fields: u64,
}

/// Why offsets hold no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// There was none.
    NoRecord,
    /// Damaged in the log.
    Damaged,
    /// Removed before it was read.
    Retention,
}

/// Offsets `from..to` that the books declare to hold no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Declared {
    /// First offset.
    pub from: i64,
    /// Offset after the last.
    pub to: i64,
    /// Why.
    pub cause: Cause,
}

/// A partition's entry: `from..to` and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// Partition.
    pub partition: i32,
    /// First offset covered.
    pub from: i64,
    /// Offset after the last one.
    pub to: i64,
    /// Counts.
    #[serde(default)]
    pub outcome: Counts,
    /// 32 hex digits: sum modulo 2^128 of the records' xxh3-128.
    #[serde(default)]
    pub checksum: String,
    /// Offsets without a record; in silver, and in its table of gaps, only those that are lost.
    #[serde(default)]
    pub gaps: Vec<Declared>,
}

/// A decision about time that the commit recorded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Decision {
    /// The partition no longer holds the stream back, from offset `at` on.
    Idle {
        /// Its topic, where watermarks are by topic.
        #[serde(default)]
        topic: String,
        /// Partition.
        partition: i32,
        /// Next offset then.
        at: i64,
    },
    /// The partition's record at `at` is its first after being idle, or ever: it starts at the stream's watermark.
    Lifted {
        /// Its topic, where watermarks are by topic.
        #[serde(default)]
        topic: String,
        /// Partition.
        partition: i32,
        /// Offset of that record.
        at: i64,
        /// The watermark it starts with.
        watermark_us: Option<i64>,
    },
    /// The input ended: everything was raised to this.
    EndOfInput {
        /// The watermark from then on.
        watermark_us: i64,
    },
}

/// Where a partition stands in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PartitionTime {
    /// Its watermark.
    pub watermark_us: Option<i64>,
    /// Whether it is idle.
    pub idle: bool,
}

/// Watermarks after a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Watermarks {
    /// The stream's.
    pub stream_us: Option<i64>,
    /// Each partition's, while the stream never read several topics.
    pub partitions: BTreeMap<i32, PartitionTime>,
    /// From then on: each partition's by topic.
    pub topics: BTreeMap<String, BTreeMap<i32, PartitionTime>>,
}

impl Watermarks {
    /// Whether they are by topic.
    #[must_use]
    pub fn are_by_topic(&self) -> bool {
        !self.topics.is_empty()
    }

    /// Where a partition stands; the topic is empty where they are not by topic.
    #[must_use]
    pub fn of(&self, topic: &str, partition: i32) -> Option<PartitionTime> {
        let partitions = if topic.is_empty() { Some(&self.partitions) } else { self.topics.get(topic) };
        partitions?.get(&partition).copied()
    }

    /// All partitions, each with its topic; that is empty where they are not by topic.
    pub fn keys(&self) -> impl Iterator<Item = (&str, i32)> {
        let alone = self.partitions.keys().map(|partition| ("", *partition));
        let by_topic = self.topics.iter();
        alone.chain(by_topic.flat_map(|(topic, of)| of.keys().map(move |partition| (topic.as_str(), *partition))))
    }
}

/// How long steps of the commit took, microseconds. What it says cannot be checked, only that all copies say the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Took {
    /// Bronze: waiting for records and fetching them.
    pub fetch_us: Option<u64>,
    /// Silver: decoding and checks.
    pub judge_us: Option<u64>,
    /// Silver: time and duplicates; gold: windows.
    pub fold_us: Option<u64>,
    /// Building rows.
    pub build_us: Option<u64>,
    /// Encoding and writing files.
    pub write_us: Option<u64>,
    /// Fsync of files and folders.
    pub sync_us: Option<u64>,
    /// The log entry of the append that it follows.
    pub entry_us_before: Option<u64>,
}

/// The books of one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Books {
    /// Version of the structure: 1.
    pub format: u32,
    /// `create`, `append`, `compact`, `replace`, `rewind`, `maintain`.
    pub kind: String,
    /// Identity of the commit's content.
    pub commit_id: String,
    /// The append it follows.
    pub follows: Option<String>,
    /// The pipeline's uuid.
    pub pipeline: String,
    /// Topic.
    pub topic: String,
    /// Its incarnation.
    pub incarnation: String,
    /// Definition in force.
    pub definition: i32,
    /// Largest time of ingestion covered.
    pub ingested_at_us: i64,
    /// Per partition.
    pub entries: Vec<Entry>,
    /// Bronze: by partition, the epoch of the leader that wrote the record right before its position, where it is known.
    /// What it says cannot be checked, only that all copies say the same.
    pub leader_epochs: BTreeMap<i32, i32>,
    /// The same of the other topics that the stream reads, by incarnation.
    pub leader_epochs_of_others: BTreeMap<String, BTreeMap<i32, i32>>,
    /// Watermarks after it (silver).
    pub watermarks: Option<Watermarks>,
    /// Silver: the largest believed event time so far.
    pub largest_event_time_us: Option<i64>,
    /// Decisions taken for it.
    pub decisions: Vec<Decision>,
    /// Gold: windows that end at or before this are written.
    pub closed_until_us: Option<i64>,
    /// Rows it adds.
    pub rows: u64,
    /// Bytes it adds; absent in old books, and where the kind adds none.
    pub bytes: Option<u64>,
    /// Rows since the table began.
    pub rows_total: u64,
    /// Counts since the table began.
    pub totals: Counts,
    /// Commit time.
    pub committed_at_us: i64,
    /// How long its steps took.
    pub took: Took,
    /// Number of actions in the log entry besides `commitInfo`. Only in the log entry, not in `ops.commits`.
    pub log_actions: Option<u64>,
}
