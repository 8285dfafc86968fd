//! Faults in the Delta log: versions, lines, checkpoints, positions, paths, metadata, and commits of others.

use super::{Mutant, Site, at, mutants, told};
use crate::expected::{Must, Place, Planted};
use crate::lake_edit::rows;
use crate::lake_edit::{Entry, Table};
use anyhow::{Context as _, Result};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StructArray};
use arrow::compute::concat;
use arrow::datatypes::Int64Type;
use rand::Rng as _;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "version-removed", ["log.version_missing"], version_removed, "a version in the middle is removed";
    "newest-version-removed", ["books.copy", "log.version_missing", "rows.unfounded"], newest_removed,
        "bronze's newest version is removed";
    "entry-line-removed", ["log.entry_incomplete"], line_removed, "an entry loses a line";
    "entry-add-removed", ["log.entry_incomplete"], add_removed, "an entry loses an add, its file stays";
    "entry-torn", ["log.entry_unreadable", "log.entry_incomplete"], torn, "an entry is cut in the middle";
    "entry-not-json", ["log.entry_unreadable"], not_json, "a bracket of an entry is changed";
    "checkpoint-file-less", ["log.checkpoint_differs"], checkpoint_file, "a checkpoint leaves a live file out";
    "checkpoint-position", ["log.checkpoint_differs"], checkpoint_position, "a checkpoint gives another position";
    "checkpoint-torn", ["log.checkpoint_unreadable"], checkpoint_torn, "a checkpoint is cut in the middle";
    "position-back", ["books.position"], position_back, "the newest position goes back";
    "position-ahead", ["books.position"], position_ahead, "the newest position goes ahead";
    "gold-position-back", ["books.position", "gold.different", "gold.missing"], gold_back,
        "gold's newest position goes back";
    "gold-position-ahead", ["books.position"], gold_ahead, "gold's newest position goes ahead of silver";
    "path-upwards", ["log.path_escapes"], path_upwards, "an add names a file above the table's folder";
    "path-absolute", ["log.path_escapes"], path_absolute, "an add names a file by an absolute path";
    "path-encoded", ["log.path_escapes"], path_encoded, "an add names a file above, in percent signs";
    "file-added-again", ["log.added_twice"], added_again, "a later entry adds a file that is there";
    "foreign-delete", ["log.foreign_change"], foreign_delete, "another program removes a file";
    "foreign-rewrite-loses-a-row", ["books.rewrite_changed"], rewrite_loses,
        "another program compacts a file, and a row is gone";
    "column-type-changed", ["log.file_schema", "log.schema_change"], column_type,
        "the metadata gives a column another type";
    "column-dropped", ["log.file_schema", "log.schema_change", "rows.value"], column_dropped,
        "the metadata loses a column";
};

fn at_version(table: &Table, version: u64) -> Place {
    Place::table(&table.name).version(version)
}

fn version_removed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.any_table()?;
    if table.entries.len() < 3 {
        return Ok(None);
    }
    let version = table.entries[site.rng.random_range(1..table.entries.len() - 1)].version;
    std::fs::remove_file(table.entry_path(version))?;
    Ok(site.planted(&table, Must::Version, at_version(&table, version), format!("removed version {version}")))
}

fn newest_removed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let (table, silver) = (site.bronze()?, site.silver()?);
    let Some(newest) = table.entries.last().filter(|entry| entry.is_append() && entry.version > 1) else {
        return Ok(None);
    };
    let entries = newest.books().and_then(|books| books["entries"].as_array()).cloned().unwrap_or_default();
    let covers = |entry: &&Value| entry["from"].as_i64() < entry["to"].as_i64();
    let Some(entry) = entries.iter().find(covers) else { return Ok(None) };
    let number = |key: &str| entry[key].as_i64().unwrap_or(0);
    std::fs::remove_file(&newest.path)?;
    let what = format!("removed version {}, the newest", newest.version);
    let planted = site.planted(&table, Must::Version, at_version(&table, newest.version), what);
    let place = Place::table(&silver.name).offsets(i32::try_from(number("partition"))?, number("from"), number("to"));
    Ok(planted.map(|planted| planted.or(&["rows.unfounded"], Must::Offset, place)))
}

/// A random append of the table.
fn append_of(site: &mut Site<'_>, table: &Table) -> Option<u64> {
    let appends: Vec<u64> = table.entries.iter().filter(|entry| entry.is_append()).map(|entry| entry.version).collect();
    site.pick(&appends).copied()
}

fn without_line(site: &mut Site<'_>, of: impl Fn(&Value) -> bool) -> Result<Option<Planted>> {
    let mut table = site.any_table()?;
    let Some(version) = append_of(site, &table) else { return Ok(None) };
    let lines = &table.entry(version)?.lines;
    let fitting: Vec<usize> = (0..lines.len()).filter(|line| of(&lines[*line])).collect();
    let Some(line) = site.pick(&fitting).copied() else { return Ok(None) };
    table.remove_line(version, line, false)?;
    let what = format!("removed line {} of version {version}", line + 1);
    Ok(site.planted(&table, Must::Version, at_version(&table, version), what))
}

fn line_removed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    without_line(site, |line| line.get("txn").is_some())
}

fn add_removed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    without_line(site, |line| line.get("add").is_some())
}

fn torn(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.any_table()?;
    let Some(version) = append_of(site, &table) else { return Ok(None) };
    let path = table.entry_path(version);
    let bytes = std::fs::read(&path)?;
    let length = site.rng.random_range(1..bytes.len() - 1);
    std::fs::write(&path, &bytes[..length])?;
    let what = format!("cut version {version} from {} to {length} bytes", bytes.len());
    Ok(site.planted(&table, Must::Version, at_version(&table, version), what))
}

fn not_json(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.any_table()?;
    let Some(version) = append_of(site, &table) else { return Ok(None) };
    let path = table.entry_path(version);
    let mut bytes = std::fs::read(&path)?;
    let opens = |at: &usize| bytes[*at] == b'{' && bytes.get(at + 1) == Some(&b'"');
    let brackets: Vec<usize> = (0..bytes.len()).filter(opens).collect();
    let Some(at) = site.pick(&brackets).copied() else { return Ok(None) };
    // One bit: `{` becomes `;`.
    bytes[at] ^= 0x40;
    std::fs::write(&path, bytes)?;
    let what = format!("byte {at} of version {version} is no bracket any more");
    Ok(site.planted(&table, Must::Version, at_version(&table, version), what))
}

/// A table that has a checkpoint, its version, and its file.
fn checkpoint(site: &mut Site<'_>) -> Result<Option<(Table, u64, PathBuf)>> {
    let mut found = Vec::new();
    for name in site.lake.tables()? {
        let table = site.lake.table(&name)?;
        for entry in std::fs::read_dir(table.dir.join("_delta_log"))? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let version = name.strip_suffix(".checkpoint.parquet").and_then(|digits| digits.parse().ok());
            if let Some(version) = version {
                found.push((table.clone(), version, path));
            }
        }
    }
    found.sort_by(|a, b| a.2.cmp(&b.2));
    Ok(if found.is_empty() { None } else { Some(found.swap_remove(site.rng.random_range(0..found.len()))) })
}

/// Rows of a checkpoint that hold an action of this kind.
fn actions(rows: &RecordBatch, kind: &str) -> Vec<usize> {
    let Some(column) = rows.column_by_name(kind) else { return Vec::new() };
    (0..rows.num_rows()).filter(|row| column.is_valid(*row)).collect()
}

fn checkpoint_file(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((table, version, path)) = checkpoint(site)? else { return Ok(None) };
    let rows = rows::read(&path)?;
    let Some(row) = site.pick(&actions(&rows, "add")).copied() else { return Ok(None) };
    rows::write(&path, &path, &rows::without(&rows, row, row + 1)?)?;
    let what = format!("left a file out of checkpoint {version}");
    Ok(site.planted(&table, Must::Version, at_version(&table, version), what))
}

fn checkpoint_position(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((table, version, path)) = checkpoint(site)? else { return Ok(None) };
    let rows = rows::read(&path)?;
    let Some(row) = site.pick(&actions(&rows, "txn")).copied() else { return Ok(None) };
    let (index, _) = rows.schema_ref().column_with_name("txn").context("there is txn")?;
    let (fields, mut children, nulls) = rows.column(index).as_struct().clone().into_parts();
    let child = fields.iter().position(|field| field.name() == "version").context("txn has a version")?;
    let old = Arc::clone(&children[child]);
    let value = old.as_primitive::<Int64Type>().value(row);
    let new: ArrayRef = Arc::new(Int64Array::from(vec![value - 1]));
    let behind = old.slice(row + 1, old.len() - row - 1);
    children[child] = concat(&[old.slice(0, row).as_ref(), new.as_ref(), behind.as_ref()])?;
    let mut columns = rows.columns().to_vec();
    columns[index] = Arc::new(StructArray::try_new(fields, children, nulls)?);
    rows::write(&path, &path, &RecordBatch::try_new(rows.schema(), columns)?)?;
    let what = format!("a position of checkpoint {version} is {} and was {value}", value - 1);
    Ok(site.planted(&table, Must::Version, at_version(&table, version), what))
}

fn checkpoint_torn(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((table, version, path)) = checkpoint(site)? else { return Ok(None) };
    let bytes = std::fs::read(&path)?;
    std::fs::write(&path, &bytes[..bytes.len() / 2])?;
    Ok(site.planted(&table, Must::Version, at_version(&table, version), format!("cut checkpoint {version}")))
}

fn position_back(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = stream_table(site)?;
    let by = site.rng.random_range(1..10);
    position_moved(site, table, -by)
}

fn position_ahead(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = stream_table(site)?;
    let by = site.rng.random_range(1..10);
    position_moved(site, table, by)
}

fn gold_back(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some(table) = site.gold()? else { return Ok(None) };
    let by = site.rng.random_range(1..10);
    position_moved(site, table, -by)
}

fn gold_ahead(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some(table) = site.gold()? else { return Ok(None) };
    let by = site.rng.random_range(1..10);
    position_moved(site, table, by)
}

/// A table whose positions are those of its own books.
fn stream_table(site: &mut Site<'_>) -> Result<Table> {
    match site.rng.random_range(0..3) {
        0 => site.bronze(),
        1 => site.silver(),
        _ => site.dead_letters(),
    }
}

fn position_moved(site: &mut Site<'_>, mut table: Table, by: i64) -> Result<Option<Planted>> {
    let newest = table.entries.last().map_or(0, |entry| entry.version);
    let has_position =
        |entry: &&mut Entry| entry.is_append() && entry.lines.iter().any(|line| line.get("txn").is_some());
    let Some(entry) = table.entries.iter_mut().rev().find(has_position) else { return Ok(None) };
    let Some(txn) = entry.lines.iter_mut().find_map(|line| line.get_mut("txn")) else { return Ok(None) };
    let old = txn["version"].as_i64().unwrap_or(0);
    txn["version"] = json!(old + by);
    entry.save()?;
    let version = entry.version;
    let what = format!("a position of version {version} is {} and was {old}", old + by);
    let planted = site.planted(&table, Must::Version, at_version(&table, version), what);
    let (codes, name) = (site.mutant.codes, &table.name);
    // The position holds to the end: the newest version may be named, or in gold a window that it changes.
    let planted = planted.map(|planted| planted.or(codes, Must::Version, at_version(&table, newest)));
    Ok(planted.map(|planted| planted.or(codes, Must::Window, Place::table(name))))
}

fn path_upwards(site: &mut Site<'_>) -> Result<Option<Planted>> {
    path_to(site, "../../../")
}

fn path_encoded(site: &mut Site<'_>) -> Result<Option<Planted>> {
    path_to(site, "%2E%2E/%2e%2e%2F../")
}

fn path_absolute(site: &mut Site<'_>) -> Result<Option<Planted>> {
    path_to(site, "/tmp/")
}

fn path_to(site: &mut Site<'_>, before: &str) -> Result<Option<Planted>> {
    let mut table = site.large_table()?;
    let Some((live, _)) = site.file(&table, 1)? else { return Ok(None) };
    let path = format!("{before}{}", live.path);
    let entry = table.entry(live.version)?;
    if let Some(add) = entry.add(&live.path) {
        add["path"] = json!(path);
    }
    entry.save()?;
    let what = format!("version {} adds {path}", live.version);
    Ok(site.planted(&table, Must::Version, at_version(&table, live.version), what))
}

fn added_again(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.large_table()?;
    let Some((live, _)) = site.file(&table, 1)? else { return Ok(None) };
    let later = |entry: &&Entry| entry.is_append() && entry.version > live.version;
    let later: Vec<u64> = table.entries.iter().filter(later).map(|entry| entry.version).collect();
    let Some(version) = site.pick(&later).copied() else { return Ok(None) };
    let add = table.entry(live.version)?.add(&live.path).context("the file has an add")?.clone();
    let entry = table.entry(version)?;
    entry.lines.push(json!({ "add": add }));
    entry.count_actions();
    entry.save()?;
    let place = Place::table(&table.name).file(&live.path);
    Ok(site.planted(&table, Must::File, place, format!("version {version} adds {} again", live.path)))
}

/// `commitInfo` as another program writes it.
fn foreign(table: &Table, operation: &str) -> Value {
    let last = table.entries.last().and_then(|entry| entry.lines.first());
    let timestamp = last.and_then(|line| line["commitInfo"]["timestamp"].as_i64()).unwrap_or(0) + 1_000;
    json!({ "commitInfo": {
        "timestamp": timestamp, "operation": operation, "operationParameters": {}, "engineInfo": "delta-rs:py-1.2.0"
    } })
}

fn removal(path: &str, data_change: bool) -> Value {
    json!({ "remove": { "path": path, "deletionTimestamp": 1_795_575_400_000_i64, "dataChange": data_change } })
}

fn foreign_delete(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.large_table()?;
    let Some((live, _)) = site.file(&table, 1)? else { return Ok(None) };
    let version = table.append(vec![foreign(&table, "DELETE"), removal(&live.path, true)])?;
    let what = format!("version {version} removes {}", live.path);
    Ok(site.planted(&table, Must::Version, at_version(&table, version), what))
}

fn rewrite_loses(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.large_table()?;
    let Some(victim) = site.row(&table, 2, |_, _| true)? else { return Ok(None) };
    let (path, mut add) = table.another(&victim.live, None)?;
    let size = rows::write(&table.dir.join(&path), &table.file(&victim.live), &victim.dropped()?)?;
    add["size"] = json!(size);
    add["dataChange"] = json!(false);
    add["stats"] = json!(json!({ "numRecords": victim.rows.num_rows() - 1 }).to_string());
    let lines = vec![foreign(&table, "OPTIMIZE"), removal(&victim.live.path, false), json!({ "add": add })];
    let version = table.append(lines)?;
    let position = victim.position()?;
    let what = format!("version {version} writes {} anew without {}", victim.live.path, told(position));
    let planted = site.planted(&table, Must::Version, at_version(&table, version), what);
    Ok(planted.map(|planted| planted.or(&["offsets.lost", "rows.lost"], Must::Offset, at(&table, position))))
}

/// Alters the schema in silver's newest metadata.
fn schema(site: &mut Site<'_>, change: impl Fn(&mut Vec<Value>) -> bool) -> Result<Option<Planted>> {
    let mut table = site.silver()?;
    let has_metadata = |entry: &&mut Entry| entry.lines.iter().any(|line| line.get("metaData").is_some());
    let Some(entry) = table.entries.iter_mut().rev().find(has_metadata) else { return Ok(None) };
    let Some(metadata) = entry.lines.iter_mut().find_map(|line| line.get_mut("metaData")) else { return Ok(None) };
    let mut schema: Value = serde_json::from_str(metadata["schemaString"].as_str().context("a schema")?)?;
    if !schema["fields"].as_array_mut().is_some_and(change) {
        return Ok(None);
    }
    metadata["schemaString"] = json!(schema.to_string());
    entry.save()?;
    let version = entry.version;
    let what = format!("the schema of version {version} is another one");
    Ok(site.planted(&table, Must::Table, Place::table(&table.name), what))
}

fn column_type(site: &mut Site<'_>) -> Result<Option<Planted>> {
    schema(site, |fields| {
        let number = fields.iter_mut().find(|field| field["name"] == "volume" || field["name"] == "bytes");
        number.map(|field| field["type"] = json!("string")).is_some()
    })
}

fn column_dropped(site: &mut Site<'_>) -> Result<Option<Planted>> {
    schema(site, |fields| {
        let before = fields.len();
        fields.retain(|field| field["name"] != "volume" && field["name"] != "bytes");
        fields.len() < before
    })
}
