//! What the tables say of a run: read from their books, to hold a run to its input and to see when it committed.

use crate::levels::read_log::LogSum;
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::sync::Arc;
use watertight_adapters::delta::DeltaLake;
use watertight_adapters::system::{SystemClock, SystemIds};
use watertight_core::books::{Books, Checksum, CommitKind};
use watertight_core::port::{Lake as _, LakeTable};

/// A table as it is now.
pub(crate) struct Newest {
    /// Its version.
    pub(crate) version: u64,
    /// The books of its last append; `None` before the first.
    pub(crate) books: Option<Books>,
}

/// The newest version of a table.
pub(crate) fn newest(lake: &Path, schema_name: &str, table: &str) -> Result<Newest> {
    let table = look(lake, schema_name, table)?;
    let state = table.state();
    Ok(Newest { version: state.version, books: state.last_append.clone() })
}

/// The books of the appends above version `after`, oldest first; from the first version on where it is `None`.
pub(crate) fn appends(lake: &Path, schema_name: &str, table: &str, after: Option<u64>) -> Result<Vec<Books>> {
    let commits = look(lake, schema_name, table)?.commits_after(after)?;
    let books = commits.into_iter().filter_map(|commit| commit.books);
    Ok(books.filter(|books| books.kind == CommitKind::Append).collect())
}

/// Fails unless `schema_name`.`table` accounts for exactly the records of `log`, by number and by checksum: a run that did
/// less, or something else, is not measured.
pub(crate) fn holds(lake: &Path, schema_name: &str, table: &str, log: &LogSum) -> Result<()> {
    let (mut records, mut checksum) = (0, Checksum::default());
    for books in appends(lake, schema_name, table, None)? {
        records += books.total().records;
        books.entries.iter().for_each(|entry| checksum.add(entry.checksum.0));
    }
    ensure!(
        records == log.records && checksum == log.checksum,
        "{schema_name}.{table} accounts for {records} records of {} and not for the same bytes at the same positions; \
         the run is not what was to be measured: look at the program before its figures",
        log.records
    );
    Ok(())
}

/// A table, to be read from.
pub(crate) fn look(lake: &Path, schema_name: &str, table: &str) -> Result<Box<dyn LakeTable>> {
    let table_text =
        || format!("there is no table {schema_name}.{table} in {}; did the run do nothing?", lake.display());
    find(lake, schema_name, table)?.with_context(table_text)
}

/// As [`look`]; `None` where there is no such table yet.
pub(crate) fn find(lake: &Path, schema_name: &str, table: &str) -> Result<Option<Box<dyn LakeTable>>> {
    let delta = DeltaLake::open(lake, Arc::new(SystemClock), Arc::new(SystemIds));
    Ok(delta.look(schema_name, table)?)
}
