//! Checkpoints of the Delta log: their rows, one by one.
//!
//! Contract: classic checkpoints, whole or in parts, whoever wrote them; only the columns that count are read, in small
//! batches that are not kept. Hostile bytes give [`Damage`], never a panic: a panic of the reader is caught, the footer
//! is walked before it is parsed, and sizes are bounded by what they claim.

use super::entry::{RawAdd, RawMetadata, Unread, open};
use super::footer;
use super::listing::Checkpoint;
use super::text::clean;
use crate::guard::guarded;
use arrow::array::{Array, AsArray, Int64Array, ListArray, MapArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{Int32Type, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The largest checkpoint that is read: some ten million files.
const FILE_BYTES_MAX: u64 = 4 << 30;
/// The largest footer: a checkpoint has few columns and few row groups.
const FOOTER_BYTES_MAX: u64 = 4 << 20;
/// Uncompressed bytes that a column of a row group may claim.
const COLUMN_BYTES_MAX: i64 = 2 << 30;
/// Rows of a checkpoint, over all its parts.
const ROWS_MAX: usize = 50_000_000;
/// Rows that are decoded at once.
const BATCH_ROWS: usize = 1024;

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Row {
    Add(RawAdd),
    Remove(String),
    Txn(String, i64),
    Metadata(RawMetadata),
    Protocol(i64, i64),
}

/// Why a checkpoint was not read.
#[derive(Debug)]
pub(super) enum Damage {
    /// It is damaged.
    Damaged(String),
    /// The system refused.
    Refused(io::Error),
}

impl From<io::Error> for Damage {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::Damaged("ends too early".to_owned())
            }
            _ => Self::Refused(error),
        }
    }
}

fn damaged(what: impl Into<String>) -> Damage {
    Damage::Damaged(what.into())
}

/// Hands over the rows of a checkpoint. Where it fails, rows may have been handed over already.
pub(super) fn read(checkpoint: &Checkpoint, log: &Path, take: &mut dyn FnMut(Row)) -> Result<(), Damage> {
    let mut rows_left = ROWS_MAX;
    for path in checkpoint.paths(log) {
        let rows = &mut rows_left;
        match guarded(|| read_file(&path, rows, take)) {
            Some(done) => done?,
            None => return Err(damaged("makes the reader of Parquet fail")),
        }
    }
    Ok(())
}

fn read_file(path: &Path, rows_left: &mut usize, take: &mut dyn FnMut(Row)) -> Result<(), Damage> {
    let (mut file, length) = open(path, FILE_BYTES_MAX).map_err(|unread| match unread {
        Unread::Missing => damaged("is gone"),
        Unread::Damaged(what) => damaged(what),
        Unread::Refused(error) => Damage::Refused(error),
    })?;
    check_footer(&mut file, length)?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let wrong = |error: &dyn std::fmt::Display| damaged(format!("does not decode: {}", clean(&error.to_string())));
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(|error| wrong(&error))?;
    let columns = builder.metadata().row_groups().iter().flat_map(|group| group.columns());
    for column in columns {
        let (packed, whole) = (column.compressed_size(), column.uncompressed_size());
        if !(0..=COLUMN_BYTES_MAX).contains(&packed) || !(0..=COLUMN_BYTES_MAX).contains(&whole) {
            return Err(damaged(format!("claims a column of {packed} bytes, {whole} uncompressed")));
        }
    }
    let leaves = builder.parquet_schema().columns();
    let wanted: Vec<usize> = (0..leaves.len())
        .filter(|leaf| leaves.get(*leaf).is_some_and(|column| counts(column.path().parts())))
        .collect();
    let mask = ProjectionMask::leaves(builder.parquet_schema(), wanted);
    let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|error| wrong(&error))?;
    for batch in reader {
        let batch = batch.map_err(|error| wrong(&error))?;
        *rows_left =
            rows_left.checked_sub(batch.num_rows()).ok_or_else(|| damaged(format!("has more than {ROWS_MAX} rows")))?;
        hand_over(&batch, take).map_err(damaged)?;
    }
    Ok(())
}

fn check_footer(file: &mut File, length: u64) -> Result<(), Damage> {
    let bare = length.checked_sub(12).ok_or_else(|| damaged(format!("has {length} bytes only")))?;
    let mut tail = [0_u8; 8];
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    if magic != *b"PAR1" {
        return Err(damaged("does not end as Parquet does"));
    }
    let claimed = u64::from(u32::from_le_bytes([a, b, c, d]));
    if claimed > FOOTER_BYTES_MAX || claimed > bare {
        return Err(damaged(format!("claims a footer of {claimed} bytes in a file of {length}")));
    }
    let mut bytes = vec![0_u8; usize::try_from(claimed).unwrap_or(0)];
    file.seek(SeekFrom::Start(length.saturating_sub(8).saturating_sub(claimed)))?;
    file.read_exact(&mut bytes)?;
    footer::check(&bytes).map_err(|why| damaged(format!("has a footer that {why}")))
}

/// Whether a leaf of the file's schema is looked at.
fn counts(path: &[String]) -> bool {
    let (Some(action), Some(part)) = (path.first(), path.get(1)) else { return false };
    let parts: &[&str] = match action.as_str() {
        "add" => &["path", "partitionValues", "size", "modificationTime", "dataChange", "stats", "deletionVector"],
        "remove" => &["path"],
        "txn" => &["appId", "version"],
        "metaData" => &["id", "schemaString", "partitionColumns", "configuration"],
        "protocol" => &["minReaderVersion", "minWriterVersion"],
        _ => return false,
    };
    parts.contains(&part.as_str())
}

fn hand_over(batch: &RecordBatch, take: &mut dyn FnMut(Row)) -> Result<(), String> {
    // Every writer puts these columns into every checkpoint, used or not; without them nothing can be said.
    adds(action(batch, "add").ok_or("has no column add")?, take)?;
    protocols(action(batch, "protocol").ok_or("has no column protocol")?, take)?;
    metadata(action(batch, "metaData").ok_or("has no column metaData")?, take)?;
    if let Some(column) = action(batch, "remove") {
        let paths = texts(column, "path")?;
        rows(column).filter(|row| paths.is_valid(*row)).for_each(|row| take(Row::Remove(paths.value(row).to_owned())));
    }
    let Some(column) = action(batch, "txn") else { return Ok(()) };
    let (ids, versions) = (texts(column, "appId")?, longs(column, "version")?);
    for row in rows(column) {
        if ids.is_null(row) || versions.is_null(row) {
            return Err("has a txn without its parts".to_owned());
        }
        take(Row::Txn(ids.value(row).to_owned(), versions.value(row)));
    }
    Ok(())
}

fn action<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StructArray> {
    batch.column_by_name(name)?.as_struct_opt()
}

fn adds(column: &StructArray, take: &mut dyn FnMut(Row)) -> Result<(), String> {
    let (paths, sizes) = (texts(column, "path")?, longs(column, "size")?);
    let stats = texts(column, "stats").ok();
    let times = longs(column, "modificationTime").ok();
    let changes = column.column_by_name("dataChange").and_then(|values| values.as_boolean_opt());
    let vectors = column.column_by_name("deletionVector");
    let partitions = map(column, "partitionValues")?;
    for row in rows(column) {
        if paths.is_null(row) || sizes.is_null(row) {
            return Err("has an add without its parts".to_owned());
        }
        let size = sizes.value(row);
        take(Row::Add(RawAdd {
            path: paths.value(row).to_owned(),
            partition_values: pairs(partitions, row)?,
            size: u64::try_from(size).map_err(|_| format!("has a file of {size} bytes"))?,
            modification_time: times.filter(|times| times.is_valid(row)).map_or(0, |times| times.value(row)),
            data_change: changes.is_some_and(|changes| changes.is_valid(row) && changes.value(row)),
            stats: stats.filter(|stats| stats.is_valid(row)).map(|stats| stats.value(row).to_owned()),
            deletion_vector: vectors.is_some_and(|vectors| vectors.is_valid(row)).then_some(IgnoredAny),
        }));
    }
    Ok(())
}

fn protocols(column: &StructArray, take: &mut dyn FnMut(Row)) -> Result<(), String> {
    let ints = |name: &str| {
        let values = column.column_by_name(name).and_then(|values| values.as_primitive_opt::<Int32Type>());
        values.ok_or_else(|| format!("has no whole numbers in {name}"))
    };
    let (readers, writers) = (ints("minReaderVersion")?, ints("minWriterVersion")?);
    for row in rows(column) {
        if readers.is_null(row) || writers.is_null(row) {
            return Err("has a protocol without its parts".to_owned());
        }
        take(Row::Protocol(i64::from(readers.value(row)), i64::from(writers.value(row))));
    }
    Ok(())
}

fn metadata(column: &StructArray, take: &mut dyn FnMut(Row)) -> Result<(), String> {
    let (ids, schemas) = (texts(column, "id")?, texts(column, "schemaString")?);
    let partitions = column.column_by_name("partitionColumns").and_then(|values| values.as_list_opt::<i32>());
    let partitions = partitions.ok_or("has no list in partitionColumns")?;
    let configuration = map(column, "configuration")?;
    for row in rows(column) {
        if ids.is_null(row) || schemas.is_null(row) {
            return Err("has a metaData without its parts".to_owned());
        }
        take(Row::Metadata(RawMetadata {
            id: ids.value(row).to_owned(),
            schema_string: schemas.value(row).to_owned(),
            partition_columns: list(partitions, row)?,
            configuration: pairs(configuration, row)?,
        }));
    }
    Ok(())
}

fn rows(column: &StructArray) -> impl Iterator<Item = usize> {
    (0..column.len()).filter(|row| column.is_valid(*row))
}

fn texts<'a>(column: &'a StructArray, name: &str) -> Result<&'a StringArray, String> {
    let values = column.column_by_name(name).and_then(|values| values.as_string_opt::<i32>());
    values.ok_or_else(|| format!("has no text in {name}"))
}

fn longs<'a>(column: &'a StructArray, name: &str) -> Result<&'a Int64Array, String> {
    let values = column.column_by_name(name).and_then(|values| values.as_primitive_opt::<Int64Type>());
    values.ok_or_else(|| format!("has no whole numbers in {name}"))
}

fn map<'a>(column: &'a StructArray, name: &str) -> Result<&'a MapArray, String> {
    let values = column.column_by_name(name).and_then(|values| values.as_map_opt());
    values.ok_or_else(|| format!("has no map in {name}"))
}

fn list(lists: &ListArray, row: usize) -> Result<Vec<String>, String> {
    if lists.is_null(row) {
        return Ok(Vec::new());
    }
    let items = lists.value(row);
    let items = items.as_string_opt::<i32>().ok_or("has a list of something else than text")?;
    Ok(items.iter().flatten().map(str::to_owned).collect())
}

fn pairs(maps: &MapArray, row: usize) -> Result<BTreeMap<String, Option<String>>, String> {
    if maps.is_null(row) {
        return Ok(BTreeMap::new());
    }
    let entries = maps.value(row);
    let of = |at: usize| entries.columns().get(at).and_then(|column| column.as_string_opt::<i32>());
    let (Some(keys), Some(values)) = (of(0), of(1)) else {
        return Err("has a map of something else than text".to_owned());
    };
    let value = |at: usize| values.is_valid(at).then(|| values.value(at).to_owned());
    Ok((0..entries.len()).filter(|at| keys.is_valid(*at)).map(|at| (keys.value(at).to_owned(), value(at))).collect())
}
