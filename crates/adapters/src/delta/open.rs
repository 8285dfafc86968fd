//! Opening a table: creating it, loading what is known of it, checking that it is ours, following its specification.
//!
//! Cost: one listing, one checkpoint (positions and definition only) and the entries after it, about a hundred. An
//! unreadable checkpoint is passed over for an older one, or for the entries from the beginning.

use super::DeltaLake;
use super::checkpoint::read_summary;
use super::checkpointer::Checkpointer;
use super::entry::{MetaData, NewEntry, PIPELINE_KEY, PROTOCOL};
use super::log::{CheckpointFiles, Listing, LogDir, Put};
use super::schema::{self, Evolution};
use super::seen::{Seen, Verdict, damage_error, judge};
use super::table::{DeltaTable, Writer};
use crate::folders::DurableDirs;
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::sync::Arc;
use watertight_core::books::{Books, CommitKind};
use watertight_core::port::{ErrorKind, PortError, Spent, TableSpec};

/// Rounds of creating or evolving against other openers before giving up for now.
const ROUNDS_MAX: usize = 100;

/// What loading a table gave.
pub(super) struct Loaded {
    pub seen: Seen,
    listing: Listing,
    checkpoint: u64,
    unreadable: Vec<CheckpointFiles>,
}

fn stop(message: String) -> PortError {
    PortError::new(ErrorKind::Stop, message)
}

/// Opens a table for writing.
pub(super) fn open(lake: &DeltaLake, spec: &TableSpec) -> Result<DeltaTable, PortError> {
    let columns = schema::spec_columns(spec)?;
    let root = lake.table_root(&spec.schema_name, &spec.table);
    let name = format!("{}.{}", spec.schema_name, spec.table);
    let log = LogDir::new(&root, &name, lake.steps.clone());
    let mut dirs = DurableDirs::new(lake.root.clone(), lake.steps.clone());
    for _ in 0..ROUNDS_MAX {
        let Some(loaded) = load(&log, Some(&spec.pipeline))? else {
            dirs.ensure(log.dir()).map_err(|error| PortError::io(format!("making the table {name}"), error))?;
            create(lake, &log, spec, &columns)?;
            continue;
        };
        // What is read may have been linked by a writer that was killed before its fsync.
        log.sync()?;
        check_ours(&loaded.seen, spec, &name)?;
        if let Evolution::Becomes(becomes) =
            schema::evolve(&name, &loaded.seen.columns, &columns, &spec.partition_column)?
        {
            extend(lake, &log, &loaded.seen, &becomes, &spec.pipeline)?;
            continue;
        }
        log.clean_temps(&loaded.listing, lake.clock.now_us());
        loaded.unreadable.iter().for_each(|checkpoint| log.set_aside(checkpoint));
        let checkpointer = Checkpointer::new(root.clone(), loaded.checkpoint, lake.steps.clone());
        let writer = Writer {
            pipeline: spec.pipeline.clone(),
            dirs,
            ids: Arc::clone(&lake.ids),
            steps: lake.steps.clone(),
            in_doubt: None,
            unsynced: false,
            recalled: false,
            checkpointer,
            spent: Spent::default(),
        };
        return Ok(DeltaTable::new(root, log, loaded.seen, Some(writer)));
    }
    Err(PortError::new(ErrorKind::Retry, format!("others keep changing the definition of {name}: try again")))
}

/// Opens a table for reading.
pub(super) fn look(lake: &DeltaLake, schema_name: &str, table: &str) -> Result<Option<DeltaTable>, PortError> {
    schema::check_path_name(schema_name)?;
    schema::check_path_name(table)?;
    let root = lake.table_root(schema_name, table);
    let log = LogDir::new(&root, &format!("{schema_name}.{table}"), lake.steps.clone());
    let Some(loaded) = load(&log, None)? else { return Ok(None) };
    // What is read may not be durable yet, and something may be decided by it: what the log may forget, for one.
    log.sync()?;
    check_readable(&loaded.seen, log.table())?;
    Ok(Some(DeltaTable::new(root, log, loaded.seen, None)))
}

/// Loads what is known of a table; `None` where it has no version. With `owner`, entries above the newest commit of
/// that pipeline are judged.
fn load(log: &LogDir, owner: Option<&str>) -> Result<Option<Loaded>, PortError> {
    let Some(listing) = log.list()? else { return Ok(None) };
    if listing.versions.is_none() && listing.checkpoints.is_empty() {
        return Ok(None);
    }
    let mut unreadable = Vec::new();
    let mut start = None;
    for checkpoint in &listing.checkpoints {
        match begin_at(checkpoint) {
            Ok(seen) => {
                start = Some((seen, checkpoint.version));
                break;
            }
            Err(error) => {
                tracing::warn!(table = log.table(), version = checkpoint.version, error = %error.chain(), "a checkpoint can't be read, an older one or the entries are taken");
                unreadable.push(checkpoint.clone());
            }
        }
    }
    let (mut seen, checkpoint) = match start {
        Some((seen, version)) => (seen, version),
        None => (begin_at_creation(log)?, 0),
    };
    let newest = listing.versions.map_or(checkpoint, |(_, newest)| newest);
    while let Some(entry) = log.read(seen.state.version + 1)? {
        seen.fold(&entry)?;
    }
    if seen.state.version < newest {
        return Err(PortError::new(
            ErrorKind::Corrupt,
            format!(
                "the Delta log of {} lacks version {} below version {newest}: restore the entry from a copy",
                log.table(),
                seen.state.version + 1
            ),
        ));
    }
    look_back(log, &mut seen, owner)?;
    Ok(Some(Loaded { seen, listing, checkpoint, unreadable }))
}

fn begin_at(checkpoint: &CheckpointFiles) -> Result<Seen, PortError> {
    let summary = read_summary(checkpoint)?;
    let lacks = |what: &str| PortError::new(ErrorKind::Corrupt, format!("the checkpoint holds no {what}"));
    let protocol = summary.protocol.ok_or_else(|| lacks("protocol"))?;
    let mut seen = Seen::begin(protocol, summary.metadata.ok_or_else(|| lacks("metaData"))?)?;
    seen.take_positions(&summary.txns);
    seen.state.version = checkpoint.version;
    Ok(seen)
}

fn begin_at_creation(log: &LogDir) -> Result<Seen, PortError> {
    let first = log.read_kept(0)?;
    let (Some(protocol), Some(metadata)) = (first.protocol, first.metadata.clone()) else {
        let message = format!("version 0 of {} holds no protocol and metaData: restore it from a copy", log.table());
        return Err(PortError::new(ErrorKind::Corrupt, message));
    };
    let mut seen = Seen::begin(protocol, metadata)?;
    seen.fold(&first)?;
    Ok(seen)
}

/// Walks back from the newest version: judges what stands above the newest commit of `owner`, and finds the newest
/// append's books where the entries folded so far held none (checkpoints drop them).
fn look_back(log: &LogDir, seen: &mut Seen, owner: Option<&str>) -> Result<(), PortError> {
    let Some(pipeline) = seen.pipeline().map(str::to_owned) else { return Ok(()) };
    let mut judging = owner.is_some_and(|owner| owner == pipeline);
    for version in (0..=seen.state.version).rev() {
        if !judging && seen.state.last_append.is_some() {
            break;
        }
        let Some(entry) = log.read(version)? else {
            if seen.state.positions.is_empty() || owner.is_none() {
                break;
            }
            return log.read_kept(version).map(drop);
        };
        if judging {
            match judge(&entry, &pipeline) {
                Verdict::Ours => judging = false,
                Verdict::Harmless => {}
                Verdict::Damage(what) => return Err(damage_error(log.table(), version, &what)),
            }
        }
        if let Some(books) = entry.books_of(&pipeline) {
            seen.recent.push_older(version, &books.commit_id);
            if books.kind == CommitKind::Append && seen.state.last_append.is_none() {
                seen.state.last_append = Some(books.clone());
                seen.state.last_append_version = Some(version);
            }
        }
    }
    Ok(())
}

fn check_readable(seen: &Seen, table: &str) -> Result<(), PortError> {
    if seen.protocol.min_reader_version <= PROTOCOL.min_reader_version {
        return Ok(());
    }
    Err(stop(format!(
        "table {table} asks for Delta reader version {}; this version reads {}: undo the upgrade of the table",
        seen.protocol.min_reader_version, PROTOCOL.min_reader_version
    )))
}

fn check_ours(seen: &Seen, spec: &TableSpec, table: &str) -> Result<(), PortError> {
    check_readable(seen, table)?;
    match seen.pipeline() {
        Some(pipeline) if pipeline == spec.pipeline => {}
        Some(other) => {
            return Err(stop(format!(
                "table {table} belongs to pipeline {other}, not to {}: use another lake folder, or run the pipeline \
                 that owns it",
                spec.pipeline
            )));
        }
        None => {
            return Err(stop(format!(
                "table {table} was not made by watertight (no {PIPELINE_KEY} in its properties): move it away or use \
                 another lake folder"
            )));
        }
    }
    if seen.protocol.min_writer_version > PROTOCOL.min_writer_version {
        return Err(stop(format!(
            "table {table} asks for Delta writer version {}; this version writes {}: undo the upgrade of the table",
            seen.protocol.min_writer_version, PROTOCOL.min_writer_version
        )));
    }
    if seen.partition != spec.partition_column {
        return Err(stop(format!(
            "table {table} is partitioned by {:?}, not by '{}': begin a new table",
            seen.metadata.partition_columns, spec.partition_column
        )));
    }
    Ok(())
}

fn books(kind: CommitKind, pipeline: &str, commit_id: String) -> Books {
    Books { kind, ..Books::append(pipeline, commit_id) }
}

fn create(lake: &DeltaLake, log: &LogDir, spec: &TableSpec, columns: &SchemaRef) -> Result<Put, PortError> {
    let now_us = lake.clock.now_us();
    let configuration = BTreeMap::from(
        [
            (PIPELINE_KEY, spec.pipeline.as_str()),
            ("delta.enableExpiredLogCleanup", "false"),
            ("delta.logRetentionDuration", "interval 3650 days"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    let metadata = MetaData {
        id: lake.ids.fresh(),
        name: Some(log.table().to_owned()),
        schema_string: schema::to_delta(columns)?,
        partition_columns: vec![spec.partition_column.clone()],
        configuration,
        created_time: Some(now_us.div_euclid(1000)),
        ..MetaData::default()
    };
    let entry = NewEntry {
        books: &books(CommitKind::Create, &spec.pipeline, lake.ids.fresh()),
        timestamp_us: now_us,
        protocol: Some(PROTOCOL),
        metadata: Some(&metadata),
        txns: Vec::new(),
        adds: Vec::new(),
        partition_column: &spec.partition_column,
    };
    log.put(0, &entry.render()?, &lake.ids.fresh())
}

/// Commits a new schema; where another took the version, the caller looks again.
fn extend(lake: &DeltaLake, log: &LogDir, seen: &Seen, becomes: &SchemaRef, pipeline: &str) -> Result<Put, PortError> {
    let metadata = MetaData { schema_string: schema::to_delta(becomes)?, ..seen.metadata.clone() };
    let entry = NewEntry {
        books: &books(CommitKind::Maintain, pipeline, lake.ids.fresh()),
        timestamp_us: lake.clock.now_us(),
        protocol: None,
        metadata: Some(&metadata),
        txns: Vec::new(),
        adds: Vec::new(),
        partition_column: &seen.partition,
    };
    log.put(seen.state.version + 1, &entry.render()?, &lake.ids.fresh())
}
