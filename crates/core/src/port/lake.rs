//! The lake port: append-only tables with positions, committed by compare and set.
//!
//! Durability: a staged file and a commit that was answered survive SIGKILL and power loss. Atomicity: a commit's
//! files and positions become visible together or not at all. Idempotence: the same commit id is applied once.

use super::PortError;
use crate::books::Books;
use crate::position::{PositionStep, Positions};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;

/// What a table is, given when it is opened; it is created where it does not exist.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSpec {
    /// `bronze`, `silver`, `gold` or `ops`.
    pub schema_name: String,
    /// Table name within it.
    pub table: String,
    /// Columns; the partition column is one of them, of type Date32.
    pub columns: SchemaRef,
    /// The partition column.
    pub partition_column: String,
    /// The pipeline's uuid, kept in the table's configuration; a table of another pipeline is refused.
    pub pipeline: String,
}

/// A data file: staged (not yet named by a commit) or live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Path relative to the table's root, as a commit names it.
    pub path: String,
    /// Value of the partition column, days since the epoch.
    pub partition_days: i32,
    /// Size in bytes.
    pub size: u64,
    /// Number of rows.
    pub rows: u64,
    /// Delta statistics as JSON text; empty where there are none.
    pub stats: String,
}

/// What is known of a table at a version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableState {
    /// The table's identity: it stays as long as the table is there, and one that is made anew has another.
    pub id: String,
    /// The newest version read; 0 is the table's creation.
    pub version: u64,
    /// Positions of all partitions ever committed.
    pub positions: Positions,
    /// The books of the newest commit of kind `append` by this pipeline.
    pub last_append: Option<Books>,
    /// Version of that commit.
    pub last_append_version: Option<u64>,
    /// Configuration entries of the table.
    pub configuration: BTreeMap<String, String>,
}

/// How long a table took over what it was asked to write, microseconds. `None`: it was asked for none, or does not
/// measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Encoding and writing staged files, all that staging took but the next.
    pub write_us: Option<u64>,
    /// Making staged files and their folders durable.
    pub sync_us: Option<u64>,
    /// Writing the log entry of the last commit, from its text to its durable name.
    pub entry_us: Option<u64>,
}

/// A commit to be made: all of it or nothing.
#[derive(Debug, Clone)]
pub struct CommitRequest {
    /// Positions that move; each must fit exactly.
    pub steps: Vec<PositionStep>,
    /// Files to add.
    pub files: Vec<DataFile>,
    /// What the commit says of itself; its `commit_id` identifies it.
    pub books: Books,
    /// Commit time, microseconds.
    pub timestamp_us: i64,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Written as this version.
    Committed(u64),
    /// It was there already, as this version.
    AlreadyCommitted(u64),
}

/// One commit as read back.
#[derive(Debug, Clone, PartialEq)]
pub struct LakeCommit {
    /// Version.
    pub version: u64,
    /// The books; `None` for a foreign commit.
    pub books: Option<Books>,
    /// Files it adds with `dataChange=true`.
    pub files: Vec<DataFile>,
}

/// A lake: opens tables.
pub trait Lake: Send + Sync {
    /// Opens a table, creating it where it does not exist. New nullable columns of `spec` are added to the table's
    /// schema (a commit of kind `maintain`).
    ///
    /// # Errors
    /// `Stop`: it belongs to another pipeline, or its schema does not fit; says what to do.
    fn open(&self, spec: &TableSpec) -> Result<Box<dyn LakeTable>, PortError>;

    /// Opens a table for reading; `None` where it does not exist.
    ///
    /// # Errors
    /// When it cannot be read.
    fn look(&self, schema_name: &str, table: &str) -> Result<Option<Box<dyn LakeTable>>, PortError>;
}

/// One table.
pub trait LakeTable: Send {
    /// What was last read; `refresh` brings it up to date.
    fn state(&self) -> &TableState;

    /// The table's columns, partition column last.
    fn columns(&self) -> SchemaRef;

    /// Reads the log entries that came since.
    ///
    /// # Errors
    /// `Corrupt` on a torn entry; `Stop` on a foreign commit that removes data or changes schema or protocol.
    fn refresh(&mut self) -> Result<&TableState, PortError>;

    /// Writes the rows of one partition day as a durable data file outside any commit. `rows` has all columns of
    /// the table (the partition column too, all of one value).
    ///
    /// # Errors
    /// `Retry`: nothing is left that matters (an orphan file at most).
    fn stage(&mut self, partition_days: i32, rows: &RecordBatch) -> Result<DataFile, PortError>;

    /// What was spent on writing since this was last asked. For the books; an adapter that does not measure says nothing.
    fn spent(&mut self) -> Spent {
        Spent::default()
    }

    /// Commits by compare and set on the positions, rebasing over commits that moved none of them.
    ///
    /// # Errors
    /// `Fenced`: a position moved, discard the work. `Unknown`: call again with the same request.
    fn commit(&mut self, request: &CommitRequest) -> Result<CommitOutcome, PortError>;

    /// The commits with versions above `after`, oldest first.
    ///
    /// # Errors
    /// `Corrupt`, or `Stop` where entries were cleaned up.
    fn commits_after(&self, after: Option<u64>) -> Result<Vec<LakeCommit>, PortError>;

    /// As [`LakeTable::commits_after`], but the oldest `count_max` of them at most: for going through a long log a part at
    /// a time. An adapter that can leaves the others unread.
    ///
    /// # Errors
    /// As [`LakeTable::commits_after`].
    fn first_commits_after(&self, after: Option<u64>, count_max: usize) -> Result<Vec<LakeCommit>, PortError> {
        let mut commits = self.commits_after(after)?;
        commits.truncate(count_max);
        Ok(commits)
    }

    /// All live files at the newest version read.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn live_files(&self) -> Result<Vec<DataFile>, PortError>;

    /// Reads a data file in batches, in file order; `columns` empty = all. Includes the partition column when asked.
    ///
    /// # Errors
    /// `Corrupt` where the file is not what was written.
    fn read(
        &self,
        file: &DataFile,
        columns: &[&str],
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, PortError>> + Send>, PortError>;
}
