//! Observe: what the Delta logs of a lake say.
//!
//! A [`Table`] is its log read from the first entry there is (or the newest readable checkpoint, where older entries
//! were cleaned up) to the newest: every [`Commit`], the live files, the positions (`txn`) and the metadata. Reading is
//! lenient where others may have written (unknown actions and keys are passed over) and strict about what we rely on.
//! Problems are entered as findings while it is read; what cannot be read at all is [`crate::finding::Unable`].

mod checkpoint;
mod difference;
mod entry;
pub(crate) mod footer;
mod listing;
#[cfg(test)]
pub(crate) mod little_log;
mod logs;
pub(crate) mod path;
mod replay;
mod schema;
pub(crate) mod state;
pub(crate) mod tables;
#[cfg(test)]
mod tests;
pub(crate) mod text;

pub use logs::Logs;
pub(crate) use logs::Stamp;
pub use tables::{Survey, find_tables, has_grown, survey};

use crate::books::Books;
use crate::finding::{Findings, Unable};
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `schema.name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// `bronze`, `silver`, `gold`, `ops`.
    pub schema: String,
    /// Name within it.
    pub name: String,
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// An `add` action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// Path relative to the table's folder, percent-decoded; checked not to leave it.
    pub path: String,
    /// Partition values as text; `None` is null.
    pub partition_values: BTreeMap<String, Option<String>>,
    /// Bytes.
    pub size: u64,
    /// Milliseconds.
    pub modification_time_ms: i64,
    /// Whether it changes data.
    pub data_change: bool,
    /// Statistics, JSON text.
    pub stats: Option<String>,
}

/// A `remove` action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remove {
    /// As in [`Add`].
    pub path: String,
    /// Whether it changes data.
    pub data_change: bool,
}

/// A `metaData` action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The table's id.
    pub id: String,
    /// Columns, JSON text as in the log.
    pub schema_string: String,
    /// The columns in Arrow's types, all of them, partition columns too.
    pub columns: SchemaRef,
    /// Partition columns.
    pub partition_columns: Vec<String>,
    /// Configuration.
    pub configuration: BTreeMap<String, String>,
}

/// Whose a commit is.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// Ours, with its books.
    Ours(Box<Books>),
    /// Bears our key, but its books cannot be understood: the reason.
    Unreadable(String),
    /// Another program's: `operation` and `engineInfo`, as far as given.
    Foreign(String),
}

/// One version.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// Version.
    pub version: u64,
    /// `commitInfo.timestamp` in microseconds, or 0.
    pub timestamp_us: i64,
    /// Whose.
    pub origin: Origin,
    /// Files added.
    pub adds: Vec<Add>,
    /// Files removed.
    pub removes: Vec<Remove>,
    /// Positions: application id and version.
    pub txns: Vec<(String, i64)>,
    /// New metadata.
    pub metadata: Option<Metadata>,
    /// New protocol: least reader and writer version.
    pub protocol: Option<(i64, i64)>,
}

impl Commit {
    /// Its books, if it is ours and readable.
    #[must_use]
    pub fn books(&self) -> Option<&Books> {
        match &self.origin {
            Origin::Ours(books) => Some(books),
            Origin::Unreadable(_) | Origin::Foreign(_) => None,
        }
    }

    /// Whether it is an append of ours: the kind that brings rows.
    #[must_use]
    pub fn is_append(&self) -> bool {
        self.books().is_some_and(|books| books.kind == "append")
    }
}

/// A file that the table holds at its newest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFile {
    /// How it was added.
    pub add: Add,
    /// The version that added it (of a checkpoint whose entries are gone: the checkpoint's).
    pub version: u64,
}

/// A table as its log tells it.
#[derive(Debug, Clone)]
pub struct Table {
    /// Name.
    pub name: TableName,
    /// Its folder.
    pub folder: PathBuf,
    /// The commits that were read, ascending; without gaps unless a finding says so.
    pub commits: Vec<Commit>,
    /// Where the first commit read is not version 0: what was taken from the checkpoint before it.
    pub checkpoint: Option<u64>,
    /// Live files by path.
    pub live: BTreeMap<String, LiveFile>,
    /// Positions by application id.
    pub txns: BTreeMap<String, i64>,
    /// The newest metadata.
    pub metadata: Metadata,
    /// The newest version.
    pub version: u64,
}

impl Table {
    /// Reads a table's log, and enters what is wrong with it: missing versions, damaged or incomplete entries, books
    /// that cannot be understood, checkpoints that are damaged or differ, paths out of the folder, files added twice.
    /// No data file is opened.
    ///
    /// Where entries before the first are gone, the oldest readable checkpoint that the entries join on to is the
    /// beginning, and `commits` starts behind it. After a version that is missing or damaged, the next checkpoint is
    /// believed.
    ///
    /// # Errors
    /// Where the system refuses, or nothing readable tells the table's columns.
    pub fn observe(lake: &Path, name: &TableName, findings: &Findings) -> Result<Self, Unable> {
        Logs::default().observe(lake, name, findings)
    }

    /// When a version was committed (microseconds, 0 where that is not known).
    #[must_use]
    pub fn committed_at_us(&self, version: u64) -> i64 {
        let at = self.commits.binary_search_by_key(&version, |commit| commit.version).ok();
        at.and_then(|at| self.commits.get(at)).map_or(0, |commit| commit.timestamp_us)
    }
}

/// The key of a position: `watertight/<pipeline>/<topic>/<incarnation>/<partition>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PositionKey {
    /// The pipeline's uuid.
    pub pipeline: String,
    /// Topic.
    pub topic: String,
    /// Incarnation.
    pub incarnation: String,
    /// Partition.
    pub partition: i32,
}

impl PositionKey {
    /// Reads a `txn`'s application id; `None` where it is not one of ours.
    #[must_use]
    pub fn parse(app_id: &str) -> Option<Self> {
        let mut parts = app_id.split('/');
        let mut next = || parts.next().map(str::to_owned);
        if next()? != "watertight" {
            return None;
        }
        let (pipeline, topic, incarnation) = (next()?, next()?, next()?);
        let partition = next()?.parse().ok()?;
        next().is_none().then_some(Self { pipeline, topic, incarnation, partition })
    }
}
