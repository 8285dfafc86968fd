//! The books: what a commit says of itself, and the arithmetic that must hold between tables.
//!
//! Each commit of ours carries a [`Books`] in `commitInfo` under the key `watertight`: per partition the offset
//! range it covers, the number of records by outcome, and an order-independent 128-bit checksum of the covered
//! records; and for the commit, the bytes it adds and how long its making took. What must add up is checked before a
//! commit is made ([`Entry::check_offsets`], [`Entry::check_outcomes`], [`Books::check_files`], [`Books::check_steps`]).

mod check;
mod checksum;
mod took;

pub use check::{Imbalance, Layer};
pub use checksum::{Checksum, record_checksum};
pub use took::Took;

use crate::port::Gap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key of the books inside `commitInfo`.
pub const COMMIT_INFO_KEY: &str = "watertight";

/// What a commit does to its table; readers treat each kind explicitly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitKind {
    /// Creates the table.
    Create,
    /// Adds rows and moves positions; the only kind that readers fold.
    Append,
    /// Rewrites files without changing a row.
    Compact,
    /// Replaces rows on purpose.
    Replace,
    /// Takes positions back on purpose.
    Rewind,
    /// Touches metadata only.
    Maintain,
}

/// Counts of the records that a range covers, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// Records read from the log (for bronze: rows written).
    pub records: u64,
    /// Offsets that hold no record (markers, compacted).
    pub no_record: u64,
    /// Offsets declared lost (damage, retention), each named in an incident.
    pub lost: u64,
    /// Rows that became silver.
    pub silver: u64,
    /// Valid records whose id was there already.
    pub duplicates: u64,
    /// Records that became dead letters.
    pub dead_letters: u64,
    /// Records withheld by a session gap.
    pub withheld: u64,
    /// Records erased on request.
    pub erased: u64,
    /// Silver rows flagged late (among `silver`).
    pub late: u64,
    /// Silver rows whose time is beyond the future tolerance (among `silver`).
    pub future: u64,
    /// Silver rows whose record had fields that the definition does not name, kept in `_extra` (among `silver`).
    pub unknown_fields: u64,
}

impl Outcome {
    /// Adds another range's counts.
    pub fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.no_record += other.no_record;
        self.lost += other.lost;
        self.silver += other.silver;
        self.duplicates += other.duplicates;
        self.dead_letters += other.dead_letters;
        self.withheld += other.withheld;
        self.erased += other.erased;
        self.late += other.late;
        self.future += other.future;
        self.unknown_fields += other.unknown_fields;
    }
}

/// One partition's entry: the range covered, what became of it, and its checksum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Partition number.
    pub partition: i32,
    /// First offset covered.
    pub from: i64,
    /// Offset after the last one covered.
    pub to: i64,
    /// Counts by outcome.
    pub outcome: Outcome,
    /// Sum over the covered records.
    pub checksum: Checksum,
    /// The covered offsets without a record, and why: in bronze all of them, in silver and `silver.<stream>_gaps` those
    /// that are lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// A decision that depended on a clock, recorded so that a replay takes it as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum TimeDecision {
    /// The partition had no records for the declared time, or the topic was made anew without it: from `at` on it no
    /// longer holds the stream back.
    Idle {
        /// Its topic, in a stream that keeps time by topic; else empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        topic: String,
        /// Partition number.
        partition: i32,
        /// Next offset at the moment of the decision; 0 where the topic has no such partition.
        at: i64,
    },
    /// The partition's first record after being idle: its watermark starts at the stream's.
    Lifted {
        /// Its topic, in a stream that keeps time by topic; else empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        topic: String,
        /// Partition number.
        partition: i32,
        /// Offset of that record.
        at: i64,
        /// The watermark it starts with, microseconds; `None` while the stream has none.
        watermark_us: Option<i64>,
    },
    /// The input was declared ended: the stream's watermark, and that of every partition, was raised so that every
    /// open window closed, but for those that only times beyond the tolerated future had opened.
    EndOfInput {
        /// The watermark from then on, microseconds.
        watermark_us: i64,
    },
}

/// Watermarks after a commit, microseconds since the epoch; `None` before the first event time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermarks {
    /// The stream's: never goes back.
    pub stream_us: Option<i64>,
    /// Each partition's, in a stream that never read several topics; else empty.
    pub partitions: BTreeMap<i32, PartitionTime>,
    /// Each partition's by topic, in a stream that reads several topics, or once did (docs/adr/0019).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub topics: BTreeMap<String, BTreeMap<i32, PartitionTime>>,
}

/// Where a partition stands in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionTime {
    /// Its watermark: largest event time seen − delay, or what it was lifted to.
    pub watermark_us: Option<i64>,
    /// Whether it is idle.
    pub idle: bool,
}

/// What a commit says of itself. Written as JSON under [`COMMIT_INFO_KEY`]; unknown keys are ignored when read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// Version of this structure.
    pub format: u32,
    /// What the commit does.
    pub kind: CommitKind,
    /// Identity of this attempt's content: the same payload, retried, bears the same id.
    pub commit_id: String,
    /// Id of the append that this one follows, whose totals and times it carries on: it is made only while that one is
    /// still the newest. `None` where there was none, and in the oldest books.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// The pipeline's uuid.
    pub pipeline: String,
    /// Topic the ranges belong to; empty where there are none.
    #[serde(default)]
    pub topic: String,
    /// Incarnation of the topic.
    #[serde(default)]
    pub incarnation: String,
    /// Definition in force (`_schema_version` or `_model_version`).
    #[serde(default)]
    pub definition: i32,
    /// Largest `_ingested_at` covered, microseconds; the next commit's is not smaller.
    #[serde(default)]
    pub ingested_at_us: i64,
    /// Per partition.
    #[serde(default)]
    pub entries: Vec<Entry>,
    /// Bronze: of each partition of this life of the topic, the epoch of the leader that wrote the record right before the
    /// position after this commit. Not there: the log has none, none was read, or something without a record lies between.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leader_epochs: BTreeMap<i32, i32>,
    /// Bronze: the same of the other topics that the stream reads, by their incarnation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leader_epochs_of_others: BTreeMap<String, BTreeMap<i32, i32>>,
    /// Watermarks after this commit (silver, gold).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermarks: Option<Watermarks>,
    /// Silver: the largest event time that was believed so far, microseconds; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_event_time_us: Option<i64>,
    /// Recorded decisions taken for this commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<TimeDecision>,
    /// Gold: windows that end at or before this instant are written, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_until_us: Option<i64>,
    /// Rows this commit adds.
    #[serde(default)]
    pub rows: u64,
    /// Bytes this commit adds: the sum of its files' sizes. `None` where it adds none by its kind, and in old books.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Rows added since the table began, this commit included.
    #[serde(default)]
    pub rows_total: u64,
    /// Outcomes since the table began, this commit included.
    #[serde(default)]
    pub totals: Outcome,
    /// Commit time, microseconds.
    #[serde(default)]
    pub committed_at_us: i64,
    /// Where the time went. Nothing is decided by it.
    #[serde(default, skip_serializing_if = "Took::is_unknown")]
    pub took: Took,
}

impl Books {
    /// Version of the structure that this build writes.
    pub const FORMAT: u32 = 1;

    /// Books of an append with nothing entered yet.
    #[must_use]
    pub fn append(pipeline: &str, commit_id: String) -> Self {
        Self {
            format: Self::FORMAT,
            kind: CommitKind::Append,
            commit_id,
            follows: None,
            pipeline: pipeline.to_owned(),
            topic: String::new(),
            incarnation: String::new(),
            definition: 0,
            ingested_at_us: 0,
            entries: Vec::new(),
            leader_epochs: BTreeMap::new(),
            leader_epochs_of_others: BTreeMap::new(),
            watermarks: None,
            largest_event_time_us: None,
            decisions: Vec::new(),
            closed_until_us: None,
            rows: 0,
            bytes: None,
            rows_total: 0,
            totals: Outcome::default(),
            committed_at_us: 0,
            took: Took::default(),
        }
    }

    /// Closes the entry of this commit: its time, and the totals carried over from the table's `previous` append.
    pub fn carry(&mut self, previous: Option<&Self>, committed_at_us: i64) {
        self.follows = previous.map(|books| books.commit_id.clone());
        self.totals = previous.map_or_else(Outcome::default, |books| books.totals);
        self.totals.add(&self.total());
        self.rows_total = previous.map_or(0, |books| books.rows_total) + self.rows;
        self.committed_at_us = committed_at_us;
    }

    /// The sum over all partitions.
    #[must_use]
    pub fn total(&self) -> Outcome {
        let mut total = Outcome::default();
        for entry in &self.entries {
            total.add(&entry.outcome);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let outcome =
            Outcome { records: 9, no_record: 1, silver: 6, duplicates: 2, dead_letters: 1, ..Outcome::default() };
        Entry { partition: 2, from: 10, to: 20, outcome, checksum: Checksum::default(), gaps: Vec::new() }
    }

    #[test]
    fn totals_are_carried_from_commit_to_commit() {
        let mut first = Books::append("p", "1".into());
        (first.entries, first.rows) = (vec![entry()], 6);
        first.carry(None, 100);
        let mut second = first.clone();
        second.carry(Some(&first), 200);
        assert_eq!((second.totals.records, second.rows_total, second.committed_at_us), (18, 12, 200));
        assert_eq!((first.follows, second.follows.as_deref()), (None, Some("1")));
    }

    #[test]
    fn books_read_back_as_written_and_old_ones_without_new_keys_still_read() {
        let mut books = Books::append("p", "c".into());
        books.entries.push(entry());
        books.decisions.push(TimeDecision::Idle { topic: String::new(), partition: 1, at: 5 });
        books.watermarks = Some(Watermarks::default());
        let text = serde_json::to_string(&books).expect("serialises");
        assert_eq!(serde_json::from_str::<Books>(&text).expect("reads"), books);
        assert!(text.contains(r#"{"what":"idle","partition":1,"at":5}"#), "{text}");
        let unknown = ["bytes", "took", "leader_epochs", "topics"];
        assert!(unknown.iter().all(|key| !text.contains(key)), "what is not known is not written: {text}");
        books.bytes = Some(7);
        books.leader_epochs.insert(3, 12);
        books.took = Took { judge_us: Some(0), entry_us_before: Some(9), ..Took::default() };
        let text = serde_json::to_string(&books).expect("serialises");
        assert!(
            text.contains(r#""bytes":7"#) && text.contains(r#""took":{"judge_us":0,"entry_us_before":9}"#),
            "{text}"
        );
        assert!(text.contains(r#""leader_epochs":{"3":12}"#), "{text}");
        assert_eq!(serde_json::from_str::<Books>(&text).expect("reads"), books);
        let old = r#"{"format":1,"kind":"append","commit_id":"c","pipeline":"p"}"#;
        assert_eq!(serde_json::from_str::<Books>(old).expect("reads"), Books::append("p", "c".into()));
        let old = r#"{"what":"lifted","partition":1,"at":5,"watermark_us":9}"#;
        let lifted = TimeDecision::Lifted { topic: String::new(), partition: 1, at: 5, watermark_us: Some(9) };
        assert_eq!(serde_json::from_str::<TimeDecision>(old).expect("reads"), lifted);
        let old = r#"{"records":3,"silver":2,"dead_letters":1}"#;
        let expected = Outcome { records: 3, silver: 2, dead_letters: 1, ..Outcome::default() };
        assert_eq!(serde_json::from_str::<Outcome>(old).expect("reads"), expected);
    }

    #[test]
    fn what_books_say_of_several_topics_reads_back_under_the_names_of_the_topics() {
        let mut books = Books::append("p", "c".into());
        let time = PartitionTime { watermark_us: Some(7), idle: true };
        let topics = BTreeMap::from([("a".to_owned(), BTreeMap::from([(0, time)]))]);
        books.watermarks = Some(Watermarks { stream_us: Some(9), partitions: BTreeMap::new(), topics });
        books.decisions.push(TimeDecision::Idle { topic: "a".into(), partition: 0, at: 5 });
        books.leader_epochs_of_others.insert("life".into(), BTreeMap::from([(0, 3)]));
        let text = serde_json::to_string(&books).expect("serialises");
        for said in [
            r#""topics":{"a":{"0":{"watermark_us":7,"idle":true}}}"#,
            r#"{"what":"idle","topic":"a","partition":0,"at":5}"#,
            r#""leader_epochs_of_others":{"life":{"0":3}}"#,
        ] {
            assert!(text.contains(said), "{said} in {text}");
        }
        assert_eq!(serde_json::from_str::<Books>(&text).expect("reads"), books);
    }

    #[test]
    fn unknown_fields_are_added_up_and_are_no_part_of_the_balance() {
        let mut planted = entry();
        planted.outcome.unknown_fields = 5;
        assert_eq!((planted.check_offsets(), planted.check_outcomes()), (Ok(()), Ok(())));
        let mut books = Books::append("p", "1".into());
        books.entries = vec![planted.clone(), planted];
        books.carry(None, 100);
        assert_eq!(books.totals.unknown_fields, 10);
    }
}
