//! What the tables say of a run: read from their books, to hold a run to its input and to see when it committed.

use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::sync::Arc;
use watertight_adapters::delta::DeltaLake;
use watertight_adapters::system::{SystemClock, SystemIds};
use watertight_core::books::{Books, CommitKind};
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

/// The books of the appends above version `after`, oldest first.
pub(crate) fn appends(lake: &Path, schema_name: &str, table: &str, after: u64) -> Result<Vec<Books>> {
    let commits = look(lake, schema_name, table)?.commits_after(Some(after))?;
    let books = commits.into_iter().filter_map(|commit| commit.books);
    Ok(books.filter(|books| books.kind == CommitKind::Append).collect())
}

/// Fails unless `schema_name`.`table` accounts for exactly `events` records: a run that did less is not measured.
pub(crate) fn holds(lake: &Path, schema_name: &str, table: &str, events: u64) -> Result<()> {
    let records = newest(lake, schema_name, table)?.books.map_or(0, |books| books.totals.records);
    ensure!(
        records == events,
        "{schema_name}.{table} accounts for {records} records of {events}; the run is not what was to be measured: \
         look at the program before its figures"
    );
    Ok(())
}

fn look(lake: &Path, schema_name: &str, table: &str) -> Result<Box<dyn LakeTable>> {
    let delta = DeltaLake::open(lake, Arc::new(SystemClock), Arc::new(SystemIds));
    let table_text =
        || format!("there is no table {schema_name}.{table} in {}; did the run do nothing?", lake.display());
    delta.look(schema_name, table)?.with_context(table_text)
}
