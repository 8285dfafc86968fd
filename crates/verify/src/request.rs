//! What is to be verified, and what is asked of the world outside the tables.

use crate::finding::Unable;
use crate::lake::TableName;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One end of a range of a table's versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// A version.
    Version(u64),
    /// A time, microseconds: the versions committed from it on, or up to it.
    TimeUs(i64),
}

/// What the ids of new rows of silver are held against.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ids {
    /// All rows of silver: the ids of the whole table are read.
    #[default]
    All,
    /// Each other only. Whether a record without a row is a duplicate of an older row, or lost, is then not told.
    New,
}

/// What is looked at. Empty lists mean everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// `schema.table` names.
    pub tables: Vec<String>,
    /// Commits before this are not checked anew.
    pub since: Option<Bound>,
    /// By table (`schema.name`), the first version that is checked anew, where the ones before were verified already. That
    /// the files of those are still there is looked at all the same.
    pub from_versions: BTreeMap<String, u64>,
    /// Commits after this are not looked at.
    pub until: Option<Bound>,
    /// Partitions of the topics.
    pub partitions: Vec<i32>,
    /// Metadata, books and statistics only: no row is read.
    pub quick: bool,
    /// What the ids of rows that are checked anew are held against.
    pub ids: Ids,
}

impl Scope {
    /// Whether a table is looked at.
    #[must_use]
    pub fn has_table(&self, name: &str) -> bool {
        self.tables.is_empty() || self.tables.iter().any(|table| table == name)
    }

    /// Whether a partition is looked at.
    #[must_use]
    pub fn has_partition(&self, partition: i32) -> bool {
        self.partitions.is_empty() || self.partitions.contains(&partition)
    }

    /// Whether a version of a table, committed at this time (microseconds), is checked.
    #[must_use]
    pub fn has_version(&self, table: &TableName, version: u64, committed_at_us: i64) -> bool {
        let verified = || self.from_versions.get(&table.to_string()).is_some_and(|first| version < *first);
        self.bounds(version, committed_at_us) && (self.from_versions.is_empty() || !verified())
    }

    /// Whether a version lies between `since` and `until`, whatever was verified before.
    #[must_use]
    pub fn bounds(&self, version: u64, committed_at_us: i64) -> bool {
        let from = match self.since {
            None => true,
            Some(Bound::Version(first)) => version >= first,
            Some(Bound::TimeUs(first)) => committed_at_us >= first,
        };
        let to = match self.until {
            None => true,
            Some(Bound::Version(last)) => version <= last,
            Some(Bound::TimeUs(last)) => committed_at_us <= last,
        };
        from && to
    }
}

/// A run of `verify`.
#[derive(Debug, Clone)]
pub struct Request {
    /// Folder of the lake.
    pub lake: PathBuf,
    /// What of it.
    pub scope: Scope,
    /// Producers' ledgers.
    pub ledgers: Vec<PathBuf>,
    /// Folder for what does not fit in memory; removed at the end.
    pub scratch: PathBuf,
    /// Memory for sets of ids and positions, bytes; beyond it they go to `scratch`.
    pub memory_bytes_max: usize,
    /// Threads that read files.
    pub threads: usize,
    /// Now, microseconds: for the age of orphans and the report.
    pub now_us: i64,
}

/// What the event log says of a range of offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InLog {
    /// A record is there.
    Record,
    /// There was never a record (a marker, compacted).
    NoRecord,
    /// Its bytes are damaged.
    Damaged,
    /// Below the earliest offset that the log holds.
    Gone,
    /// At or above the next offset: the log never had it.
    Never,
    /// The topic has another incarnation, or is not there.
    Unknown,
}

/// The event log, as far as `verify` asks it: what became of offsets that the tables lack.
pub trait LogView: Send + Sync {
    /// What the log holds in `from..to` of a partition: stretches in order that cover the range exactly.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn stretches(
        &self,
        topic: &str,
        incarnation: &str,
        partition: i32,
        from: i64,
        to: i64,
    ) -> Result<Vec<(i64, i64, InLog)>, Unable>;
}

/// No log at hand.
#[derive(Debug, Clone, Copy)]
pub struct NoLog;

impl LogView for NoLog {
    fn stretches(&self, _: &str, _: &str, _: i32, from: i64, to: i64) -> Result<Vec<(i64, i64, InLog)>, Unable> {
        Ok(vec![(from, to, InLog::Unknown)])
    }
}

/// How far a run is; shown as a bar on a terminal.
pub trait Progress: Send + Sync {
    /// `done` of `total` units of this part (files, rows) are done.
    fn at(&self, part: &str, done: u64, total: u64);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn at(&self, _: &str, _: u64, _: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_has_its_own_first_version_and_since_holds_for_all() {
        let table = |name: &str| TableName { schema: "silver".to_owned(), name: name.to_owned() };
        let from_versions = BTreeMap::from([("silver.a".to_owned(), 5)]);
        let scope = Scope { from_versions, ..Scope::default() };
        assert!(!scope.has_version(&table("a"), 4, 0) && scope.has_version(&table("a"), 5, 0));
        assert!(scope.has_version(&table("b"), 0, 0), "nothing of it was verified before");
        assert!(scope.bounds(4, 0));
        let scope = Scope { since: Some(Bound::Version(7)), ..scope };
        assert!(!scope.has_version(&table("a"), 6, 0) && scope.has_version(&table("a"), 7, 0));
        assert!(!scope.has_version(&table("b"), 6, 0));
    }
}
