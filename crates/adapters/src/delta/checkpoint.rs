//! Reading checkpoints of the Delta log: positions, definition and live files at one version.
//!
//! Contract: classic checkpoints of protocol 1 (one file or several parts), whoever wrote them; only the columns that
//! are asked for are read. A checkpoint is a cache: an error here sends the caller to an older one or to the entries.

use super::entry::{Add, Format, MetaData, Protocol, Txn};
use super::log::CheckpointFiles;
use arrow::array::{Array, AsArray, MapArray, RecordBatch, StructArray};
use arrow::datatypes::{Int32Type, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use watertight_core::port::{ErrorKind, PortError};

/// What a writer needs from a checkpoint.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub protocol: Option<Protocol>,
    pub metadata: Option<MetaData>,
    pub txns: Vec<Txn>,
}

/// Reads positions and definition.
pub(super) fn read_summary(checkpoint: &CheckpointFiles) -> Result<Summary, PortError> {
    let mut summary = Summary::default();
    let wanted = |path: &[String]| matches!(path[0].as_str(), "txn" | "metaData" | "protocol");
    for path in &checkpoint.paths {
        for_each_batch(path, wanted, |batch| {
            if let Some(column) = struct_column(batch, "protocol") {
                summary.protocol = protocols(column).next().or(summary.protocol);
            }
            if let Some(column) = struct_column(batch, "metaData") {
                summary.metadata = metadata(column).or(summary.metadata.take());
            }
            if let Some(column) = struct_column(batch, "txn") {
                summary.txns.extend(txns(column));
            }
        })?;
    }
    Ok(summary)
}

/// Reads the live files.
pub(super) fn read_adds(checkpoint: &CheckpointFiles) -> Result<Vec<Add>, PortError> {
    let mut found = Vec::new();
    let wanted = |path: &[String]| {
        path[0] == "add"
            && path.get(1).is_some_and(|part| {
                matches!(part.as_str(), "path" | "partitionValues" | "size" | "modificationTime" | "stats")
            })
    };
    for path in &checkpoint.paths {
        for_each_batch(path, wanted, |batch| {
            if let Some(column) = struct_column(batch, "add") {
                found.extend(adds(column));
            }
        })?;
    }
    Ok(found)
}

fn for_each_batch(
    path: &Path,
    wanted: impl Fn(&[String]) -> bool,
    mut take: impl FnMut(&RecordBatch),
) -> Result<(), PortError> {
    let damaged = |error: ParquetError| {
        PortError::caused(ErrorKind::Corrupt, format!("checkpoint {} can't be read", path.display()), error)
    };
    let file = File::open(path).map_err(|error| PortError::io(format!("opening {}", path.display()), error))?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(damaged)?;
    let columns = builder.parquet_schema().columns();
    let leaves: Vec<usize> = (0..columns.len()).filter(|leaf| wanted(columns[*leaf].path().parts())).collect();
    let mask = ProjectionMask::leaves(builder.parquet_schema(), leaves);
    for batch in builder.with_projection(mask).with_batch_size(8192).build().map_err(damaged)? {
        take(&batch.map_err(|error| damaged(error.into()))?);
    }
    Ok(())
}

fn struct_column<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StructArray> {
    batch.column_by_name(name)?.as_struct_opt()
}

fn text(column: &StructArray, name: &str, row: usize) -> Option<String> {
    let values = column.column_by_name(name)?.as_string_opt::<i32>()?;
    values.is_valid(row).then(|| values.value(row).to_owned())
}

fn long(column: &StructArray, name: &str, row: usize) -> Option<i64> {
    let values = column.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
    values.is_valid(row).then(|| values.value(row))
}

fn int(column: &StructArray, name: &str, row: usize) -> Option<i32> {
    let values = column.column_by_name(name)?.as_primitive_opt::<Int32Type>()?;
    values.is_valid(row).then(|| values.value(row))
}

fn map(column: &StructArray, name: &str, row: usize) -> BTreeMap<String, Option<String>> {
    let Some(values) = column.column_by_name(name).and_then(|values| values.as_map_opt()) else {
        return BTreeMap::new();
    };
    map_row(values, row)
}

fn map_row(values: &MapArray, row: usize) -> BTreeMap<String, Option<String>> {
    if values.is_null(row) {
        return BTreeMap::new();
    }
    let entries = values.value(row);
    let (Some(keys), Some(texts)) =
        (entries.column(0).as_string_opt::<i32>(), entries.column(1).as_string_opt::<i32>())
    else {
        return BTreeMap::new();
    };
    let value = |at: usize| texts.is_valid(at).then(|| texts.value(at).to_owned());
    (0..entries.len()).map(|at| (keys.value(at).to_owned(), value(at))).collect()
}

fn texts(column: &StructArray, name: &str, row: usize) -> Vec<String> {
    let Some(list) = column.column_by_name(name).and_then(|list| list.as_list_opt::<i32>()) else {
        return Vec::new();
    };
    if list.is_null(row) {
        return Vec::new();
    }
    let items = list.value(row);
    items.as_string_opt::<i32>().map(|items| items.iter().flatten().map(str::to_owned).collect()).unwrap_or_default()
}

fn rows(column: &StructArray) -> impl Iterator<Item = usize> {
    (0..column.len()).filter(|row| column.is_valid(*row))
}

fn protocols(column: &StructArray) -> impl Iterator<Item = Protocol> {
    rows(column).filter_map(|row| {
        Some(Protocol {
            min_reader_version: int(column, "minReaderVersion", row)?,
            min_writer_version: int(column, "minWriterVersion", row)?,
        })
    })
}

fn metadata(column: &StructArray) -> Option<MetaData> {
    rows(column).find_map(|row| {
        let configuration = map(column, "configuration", row);
        Some(MetaData {
            id: text(column, "id", row)?,
            name: text(column, "name", row),
            description: text(column, "description", row),
            format: Format::default(),
            schema_string: text(column, "schemaString", row)?,
            partition_columns: texts(column, "partitionColumns", row),
            configuration: configuration.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
            created_time: long(column, "createdTime", row),
        })
    })
}

fn txns(column: &StructArray) -> impl Iterator<Item = Txn> {
    rows(column).filter_map(|row| {
        Some(Txn { app_id: text(column, "appId", row)?, version: long(column, "version", row)?, last_updated: None })
    })
}

fn adds(column: &StructArray) -> impl Iterator<Item = Add> {
    rows(column).filter_map(|row| {
        Some(Add {
            path: text(column, "path", row)?,
            partition_values: map(column, "partitionValues", row),
            size: u64::try_from(long(column, "size", row)?).ok()?,
            modification_time: long(column, "modificationTime", row).unwrap_or(0),
            data_change: false,
            stats: text(column, "stats", row),
        })
    })
}
