//! Observe: what the data files hold.
//!
//! Files are read with the parquet crate, within bounds: a footer of at most [`FOOTER_BYTES_MAX`], columns and nesting
//! limited, batches of at most [`BATCH_ROWS`]; hostile files give a finding, never a panic, an abort or unbounded
//! memory. Paths were checked by [`crate::lake`]; symbolic links out of the lake are not followed.
//!
//! A batch has the file's columns (or those asked for) in the order of the table's schema, and the partition column
//! last,
//! computed from the entry (not from the path).

mod bound;
pub mod checksum;
mod dates;
pub mod facts;
mod fit;
mod held;
mod hostile;
mod layer;
#[cfg(test)]
pub(crate) mod little_table;
mod open;
mod positions;
mod read;
mod statistics;
#[cfg(test)]
mod tests;
mod thrift;

pub use layer::Layer;
pub(crate) use positions::Positions;

use crate::finding::Unable;
use crate::lake::{LiveFile, Table};
use arrow::array::RecordBatch;
use std::collections::BTreeMap;

/// The largest footer that is read.
pub const FOOTER_BYTES_MAX: u64 = 64 << 20;
/// Rows of a batch.
pub const BATCH_ROWS: usize = 16_384;

/// Why a file could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FileProblem {
    /// It is not what its entry says: which code, and what was found.
    #[error("{what}")]
    Wrong {
        /// [`crate::finding::Code::FileMissing`], `FileSize`, `FileUnreadable`, `FileRows`, `FileSchema`,
        /// `FilePartition`, `PathEscapes`.
        code: crate::finding::Code,
        /// Both sides.
        what: String,
    },
    /// The system refused.
    #[error(transparent)]
    Unable(#[from] Unable),
}

/// What a file holds of one partition of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Smallest offset.
    pub first: i64,
    /// Largest offset.
    pub last: i64,
    /// Rows.
    pub rows: u64,
    /// Bronze and dead letters: sum modulo 2^128 of the records' checksums; 0 for other tables.
    pub checksum: u128,
}

/// What a file was seen to hold, for files with `_kafka_partition` and `_kafka_offset`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// By partition of the topic; of bronze and dead letters by incarnation too.
    pub held: BTreeMap<(String, i32), Held>,
    /// Rows.
    pub rows: u64,
    /// Silver: rows flagged late, with a time beyond the future, with unknown fields (`_extra` not null), by partition.
    pub flags: BTreeMap<i32, [u64; 3]>,
}

/// The facts of all live files of a table by path; a file that could not be read has none.
pub type TableFacts = BTreeMap<String, FileFacts>;

/// An open data file.
pub struct DataFile(open::Opened);

impl DataFile {
    /// Opens a live file and holds it against its entry: there, as long as it says, a readable footer, as many rows,
    /// fitting columns.
    ///
    /// # Errors
    /// [`FileProblem`].
    pub fn open(table: &Table, file: &LiveFile) -> Result<Self, FileProblem> {
        open::open(table, file).map(Self)
    }

    /// Rows, by its footer.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.0.rows
    }

    /// Its batches in file order; `columns` empty = all, and the partition column always. A column that may not be null
    /// holds no null. A panic of the reader on hostile bytes is caught and is `FileUnreadable`.
    pub fn batches(self, columns: &[&str]) -> Box<dyn Iterator<Item = Result<RecordBatch, FileProblem>> + Send> {
        Box::new(read::Batches::begin(self.0, columns))
    }
}
