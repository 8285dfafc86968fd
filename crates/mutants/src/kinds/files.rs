//! Faults in data files and in what their entries say of them: bytes cut and flipped, statistics that lie.

use super::{Mutant, Site, mutants};
use crate::expected::{Must, Place, Planted};
use crate::lake_edit::{Live, Table, rows, stats_of};
use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::Rng as _;
use serde_json::{Value, json};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "file-deleted", ["log.file_missing"], deleted, "a data file is deleted, its add stays";
    "parquet-truncated", ["log.file_size", "log.file_unreadable"], truncated, "a data file is cut";
    "parquet-truncated-size-too", ["log.file_unreadable"], truncated_size_too,
        "a data file is cut, and its entry gives the new size";
    "parquet-longer", ["log.file_size", "log.file_unreadable"], longer, "bytes are added to a data file";
    "parquet-page-bit", ["log.file_unreadable", "log.file_rows", "books.checksum", "offsets.lost"], page_bit,
        "a bit of bronze's payloads is flipped in the Parquet file";
    "parquet-footer-bit", ["log.file_unreadable", "log.file_schema", "log.file_rows"], footer_bit,
        "a bit of a Parquet file's footer is flipped";
    "parquet-magic", ["log.file_unreadable"], magic, "the last byte of a Parquet file is flipped";
    "parquet-of-zeros", ["log.file_unreadable"], zeros, "a data file has its length, and only zeros";
    "file-replaced", ["log.file_size", "log.file_rows", "log.file_schema", "books.count", "offsets.lost", "rows.lost"],
        replaced, "a data file has the content of another one of its table";
    "size-lies", ["log.file_size"], size, "an add gives another size";
    "rows-lie", ["log.file_rows", "log.statistics"], records, "statistics give another number of rows";
    "minimum-lies", ["log.statistics"], minimum, "a lower bound is above a row";
    "maximum-lies", ["log.statistics"], maximum, "an upper bound is below a row";
    "nulls-lie", ["log.statistics"], nulls, "statistics give another number of nulls";
    "statistics-not-json", ["log.statistics", "log.entry_unreadable"], not_json, "statistics are cut";
    "date-lies", ["log.file_partition", "rows.date"], date, "an add gives another date than its path";
    "file-other-date", ["log.file_partition", "rows.date"], other_date,
        "a whole file is moved to another date, and its add along";
};

fn named(site: &Site<'_>, table: &Table, live: &Live, what: &str) -> Option<Planted> {
    let place = Place::table(&table.name).file(&live.path);
    site.planted(table, Must::File, place, format!("{what}: {}", live.path))
}

fn any_file(site: &mut Site<'_>) -> Result<Option<(Table, Live)>> {
    let table = site.any_table()?;
    let found = site.file(&table, 1)?;
    Ok(found.map(|(live, _)| (table, live)))
}

fn deleted(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((table, live)) = any_file(site)? else { return Ok(None) };
    std::fs::remove_file(table.file(&live))?;
    Ok(named(site, &table, &live, "deleted"))
}

/// Alters the bytes of a file.
fn bytes(
    site: &mut Site<'_>,
    what: &str,
    alter: impl Fn(&mut Site<'_>, &mut Vec<u8>),
) -> Result<Option<(Table, Live, Planted)>> {
    let Some((table, live)) = any_file(site)? else { return Ok(None) };
    let path = table.file(&live);
    let mut bytes = std::fs::read(&path)?;
    alter(site, &mut bytes);
    std::fs::write(&path, bytes)?;
    let planted = named(site, &table, &live, what);
    Ok(planted.map(|planted| (table, live, planted)))
}

fn cut(site: &mut Site<'_>, bytes: &mut Vec<u8>) {
    let length = site.rng.random_range(0..bytes.len());
    bytes.truncate(length);
}

fn truncated(site: &mut Site<'_>) -> Result<Option<Planted>> {
    Ok(bytes(site, "cut", cut)?.map(|(_, _, planted)| planted))
}

fn truncated_size_too(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, live, planted)) = bytes(site, "cut", cut)? else { return Ok(None) };
    let size = std::fs::metadata(table.file(&live))?.len();
    entry_says(&mut table, &live, |add| add["size"] = json!(size))?;
    Ok(Some(planted))
}

fn longer(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let done = bytes(site, "made longer", |_, bytes| bytes.extend_from_slice(b"PAR1"))?;
    Ok(done.map(|(_, _, planted)| planted))
}

fn magic(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let done = bytes(site, "flipped the last byte", |_, bytes| {
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
    })?;
    Ok(done.map(|(_, _, planted)| planted))
}

fn zeros(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let done = bytes(site, "wrote zeros over", |_, bytes| bytes.fill(0))?;
    Ok(done.map(|(_, _, planted)| planted))
}

/// Reads a file that may be hostile: `None` where that fails, however.
fn readable(path: &Path) -> Option<RecordBatch> {
    catch_unwind(AssertUnwindSafe(|| rows::read(path))).ok()?.ok()
}

/// Flips a bit in `range` until `harmful` says that it does harm: many bits of a Parquet file mean nothing.
fn flip(
    site: &mut Site<'_>,
    path: &Path,
    range: std::ops::Range<usize>,
    harmful: impl Fn() -> bool,
) -> Result<Option<usize>> {
    let whole = std::fs::read(path)?;
    let range = range.start.min(whole.len())..range.end.min(whole.len());
    for _ in 0..200 {
        if range.is_empty() {
            break;
        }
        let at = site.rng.random_range(range.clone());
        let mut bytes = whole.clone();
        bytes[at] ^= 1_u8 << site.rng.random_range(0..8_u32);
        std::fs::write(path, bytes)?;
        if harmful() {
            return Ok(Some(at));
        }
    }
    std::fs::write(path, whole)?;
    Ok(None)
}

fn page_bit(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.bronze()?;
    let Some((live, before)) = site.file(&table, 1)? else { return Ok(None) };
    let path = table.file(&live);
    let metadata = ParquetRecordBatchReaderBuilder::try_new(File::open(&path)?)?.metadata().clone();
    let columns = metadata.row_groups().first().map(|group| group.columns()).unwrap_or_default();
    let payloads = columns.iter().find(|column| column.column_path().string() == "_raw_value");
    let (start, length) = payloads.context("bronze has payloads")?.byte_range();
    let range = usize::try_from(start)?..usize::try_from(start + length)?;
    let harmful = || {
        let payloads = |rows: &RecordBatch| rows.column_by_name("_raw_value").cloned();
        readable(&path).is_none_or(|rows| payloads(&rows) != payloads(&before))
    };
    let Some(at) = flip(site, &path, range, harmful)? else { return Ok(None) };
    let what = format!("flipped a bit of byte {at} of {}", live.path);
    let planted = site.planted(&table, Must::File, Place::table(&table.name).file(&live.path), what);
    // Where it can be read still, its bytes are other ones: that is seen per commit.
    let commit = Place::table(&table.name).version(live.version);
    Ok(planted.map(|planted| planted.or(&["books.checksum"], Must::Version, commit)))
}

fn footer_bit(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((table, live)) = any_file(site)? else { return Ok(None) };
    let path = table.file(&live);
    let whole = std::fs::read(&path)?;
    let end = whole.len().saturating_sub(8);
    let length = whole.get(end..end + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
    let range = end.saturating_sub(usize::try_from(length)?)..end;
    let Some(at) = flip(site, &path, range, || readable(&path).is_none())? else { return Ok(None) };
    Ok(named(site, &table, &live, &format!("flipped a bit of the footer, byte {at}")))
}

fn replaced(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.large_table()?;
    let files = site.shuffled(&table);
    let [live, other, ..] = files.as_slice() else { return Ok(None) };
    let first = rows::position(&table.rows(live)?, 0).context("the table has positions")?;
    std::fs::copy(table.file(other), table.file(live))?;
    let planted = named(site, &table, live, "replaced by another file's content");
    let commit = Place::table(&table.name).version(live.version);
    Ok(planted.map(|planted| {
        let lost = Place::table(&table.name).offset(first);
        planted.or(&["books.count"], Must::Version, commit).or(&["offsets.lost", "rows.lost"], Must::Offset, lost)
    }))
}

fn entry_says(table: &mut Table, live: &Live, change: impl FnOnce(&mut Value)) -> Result<()> {
    let entry = table.entry(live.version)?;
    change(entry.add(&live.path).context("the file has an add")?);
    entry.save()
}

fn size(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, live)) = any_file(site)? else { return Ok(None) };
    entry_says(&mut table, &live, |add| add["size"] = json!(add["size"].as_u64().unwrap_or(0) + 1))?;
    Ok(named(site, &table, &live, "its size is one more"))
}

/// Alters the statistics of a file; `None` where they have nothing that fits.
fn statistics(site: &mut Site<'_>, what: &str, change: impl Fn(&mut Value) -> bool) -> Result<Option<Planted>> {
    let Some((mut table, live)) = any_file(site)? else { return Ok(None) };
    let stats = table.entry(live.version)?.add(&live.path).and_then(|add| stats_of(add));
    let Some(mut stats) = stats else { return Ok(None) };
    if !change(&mut stats) {
        return Ok(None);
    }
    entry_says(&mut table, &live, |add| add["stats"] = json!(stats.to_string()))?;
    Ok(named(site, &table, &live, what))
}

fn records(site: &mut Site<'_>) -> Result<Option<Planted>> {
    statistics(site, "numRecords is one more", |stats| {
        let records = stats["numRecords"].as_i64();
        stats["numRecords"] = json!(records.unwrap_or(0) + 1);
        records.is_some()
    })
}

/// Sets a bound beyond every row: of the offset, or in gold of the window's start.
fn bound(stats: &mut Value, which: &str, offset: i64, instant: &str) -> bool {
    let Some(bounds) = stats.get_mut(which).and_then(Value::as_object_mut) else { return false };
    for (column, value) in [("_kafka_offset", json!(offset)), ("window_start", json!(instant))] {
        if let Some(bound) = bounds.get_mut(column) {
            *bound = value;
            return true;
        }
    }
    false
}

fn minimum(site: &mut Site<'_>) -> Result<Option<Planted>> {
    statistics(site, "a minimum is too high", |stats| {
        bound(stats, "minValues", 1_000_000_000, "2999-01-01T00:00:00.000Z")
    })
}

fn maximum(site: &mut Site<'_>) -> Result<Option<Planted>> {
    statistics(site, "a maximum is too low", |stats| bound(stats, "maxValues", -1, "1971-01-01T00:00:00.000Z"))
}

fn nulls(site: &mut Site<'_>) -> Result<Option<Planted>> {
    statistics(site, "a count of nulls is one more", |stats| {
        let Some(counts) = stats.get_mut("nullCount").and_then(Value::as_object_mut) else { return false };
        let column = if counts.contains_key("_kafka_offset") { "_kafka_offset" } else { "window_start" };
        counts.get_mut(column).map(|count| *count = json!(1)).is_some()
    })
}

fn not_json(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, live)) = any_file(site)? else { return Ok(None) };
    entry_says(&mut table, &live, |add| {
        let cut = add["stats"].as_str().map(|text| text.chars().take(text.len() / 2).collect::<String>());
        add["stats"] = json!(cut);
    })?;
    let place = Place::table(&table.name).version(live.version);
    let planted = named(site, &table, &live, "its statistics are cut");
    Ok(planted.map(|planted| planted.or(&["log.entry_unreadable"], Must::Version, place)))
}

fn date(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, live)) = any_file(site)? else { return Ok(None) };
    entry_says(&mut table, &live, |add| {
        if let Some((_, value)) = add["partitionValues"].as_object_mut().and_then(|values| values.iter_mut().next()) {
            *value = json!("2020-02-02");
        }
    })?;
    Ok(named(site, &table, &live, "its add gives another date"))
}

fn other_date(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, live)) = any_file(site)? else { return Ok(None) };
    let (path, add) = table.another(&live, Some("2020-02-02"))?;
    let to = table.dir.join(&path);
    std::fs::create_dir_all(to.parent().context("a file has a folder")?)?;
    std::fs::rename(table.file(&live), &to)?;
    entry_says(&mut table, &live, |old| *old = add)?;
    let moved = Live { version: live.version, path };
    let first = rows::position(&table.rows(&moved)?, 0);
    let (codes, planted) = (site.mutant.codes, named(site, &table, &moved, "moved to another date"));
    let place = first.map(|position| Place::table(&table.name).offset(position));
    Ok(planted.map(|planted| match place {
        Some(place) => planted.or(codes, Must::Offset, place),
        None => planted.or(codes, Must::Window, Place::table(&table.name)),
    }))
}
