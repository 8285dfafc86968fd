//! Faults in bronze: records lost, doubled, altered and moved.

use super::{Mutant, Site, Victim, at, mutants, other_digit, positions, told};
use crate::expected::{Must, Place, Planted};
use crate::lake_edit::books::{self, Copies};
use crate::lake_edit::rows::{self, Cell};
use crate::lake_edit::{Live, Table};
use anyhow::{Context as _, Result};
use rand::Rng as _;
use serde_json::{Value, json};

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "bronze-row-dropped", ["offsets.lost"], row_dropped, "a record is taken out of bronze, and the entry corrected";
    "bronze-row-dropped-entry-left", ["log.file_size", "log.file_rows"], row_dropped_entry_left,
        "a record is taken out of bronze's file, and the entry left alone";
    "bronze-row-dropped-books-too", ["rows.unfounded"], row_dropped_books_too,
        "a record is taken out of bronze, and entry, books and their copies all say that there never was one";
    "bronze-rows-dropped", ["offsets.lost"], rows_dropped, "a batch of consecutive records is taken out of bronze";
    "bronze-file-dropped", ["offsets.lost"], file_dropped, "a file of bronze and its add are removed";
    "bronze-row-doubled", ["offsets.doubled"], row_doubled, "a record stands in bronze twice";
    "bronze-file-doubled", ["log.added_twice", "offsets.doubled"], file_doubled,
        "a file of bronze is copied under another name, which its entry adds too";
    "bronze-offsets-swapped", ["offsets.order", "books.checksum"], offsets_swapped,
        "the offsets of two neighbouring records are swapped";
    "bronze-payloads-swapped", ["books.checksum"], payloads_swapped,
        "keys and payloads of two neighbouring records are swapped";
    "bronze-offset-moved", ["offsets.outside", "offsets.lost", "books.range"], offset_moved,
        "the last record of a partition is given an offset that no commit covers";
    "bronze-partition-changed", ["offsets.lost", "offsets.doubled", "offsets.outside"], partition_changed,
        "a record is given to another partition";
    "bronze-payload-byte", ["books.checksum"], payload_byte, "a byte of a payload is changed";
    "bronze-payload-byte-books-too", ["rows.value"], payload_byte_books_too,
        "a digit of a payload is changed, and the checksums in the books of bronze and silver made to fit";
    "bronze-key-byte", ["books.checksum"], key_byte, "a byte of a key is changed";
    "bronze-key-removed", ["books.checksum"], key_removed, "a key is set to null";
    "bronze-time-changed", ["rows.derived"], time_changed, "a record's time in the log is moved by a second";
    "bronze-row-other-date", ["rows.date", "log.file_partition"], row_other_date,
        "a record is moved to another date's folder";
};

fn row_dropped(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.bronze()?;
    let Some(victim) = site.row(&table, 2, |_, _| true)? else { return Ok(None) };
    let position = victim.position()?;
    table.rewrite(&victim.live, &victim.dropped()?, &[])?;
    Ok(site.planted(&table, Must::Offset, at(&table, position), format!("dropped {}", told(position))))
}

fn row_dropped_entry_left(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.bronze()?;
    let Some(victim) = site.row(&table, 2, |_, _| true)? else { return Ok(None) };
    table.rewrite_only(&victim.live, &victim.dropped()?)?;
    let place = Place::table(&table.name).file(&victim.live.path);
    Ok(site.planted(&table, Must::File, place, format!("dropped {}", told(victim.position()?))))
}

fn row_dropped_books_too(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let (mut table, silver) = (site.bronze()?, site.silver()?);
    let kept = positions(&silver)?;
    let in_silver = |rows: &_, row| rows::position(rows, row).is_some_and(|position| kept.contains(&position));
    let Some(victim) = site.row(&table, 2, in_silver)? else { return Ok(None) };
    let position = victim.position()?;
    let Some(version) = books::version_of(&table, position) else { return Ok(None) };
    let gone = checksum_of(&victim)?;
    table.rewrite(&victim.live, &victim.dropped()?, &[])?;
    books::edit(&site.lake, &mut table, version, Copies::Along, |at, books| {
        if at == version {
            books::add(books, "rows", -1);
            if let Some(entry) = books::covering(books, position) {
                books::add(&mut entry["outcome"], "records", -1);
                books::add(&mut entry["outcome"], "no_record", 1);
                books::exchange_checksum(entry, gone, 0);
                let gap = json!({ "from": position.1, "to": position.1 + 1, "cause": "no_record" });
                match entry.get_mut("gaps").and_then(Value::as_array_mut) {
                    Some(gaps) => gaps.push(gap),
                    None => entry["gaps"] = json!([gap]),
                }
            }
        }
        books::add(books, "rows_total", -1);
        books::add(&mut books["totals"], "records", -1);
        books::add(&mut books["totals"], "no_record", 1);
    })?;
    let planted = site.planted(&silver, Must::Offset, at(&silver, position), format!("dropped {}", told(position)));
    Ok(planted.map(|planted| planted.touching(&table.name).touching("ops.commits")))
}

/// The checksum of a record of bronze.
fn checksum_of(victim: &Victim) -> Result<u128> {
    let (key, value) = (bytes(victim, "_key"), bytes(victim, "_raw_value"));
    Ok(books::checksum(victim.position()?, key.as_deref(), value.as_deref()))
}

fn bytes(victim: &Victim, column: &str) -> Option<Vec<u8>> {
    rows::bytes(&victim.rows, column, victim.row)
}

fn rows_dropped(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.bronze()?;
    let neighbours = |rows: &_, row| next_to(rows, row);
    let Some(victim) = site.row(&table, 4, neighbours)? else { return Ok(None) };
    let mut to = victim.row + 2;
    let most = (victim.rows.num_rows() - 1).min(victim.row + site.rng.random_range(2..=20));
    while to < most && next_to(&victim.rows, to - 1) {
        to += 1;
    }
    let (partition, from) = victim.position()?;
    let count = i64::try_from(to - victim.row)?;
    table.rewrite(&victim.live, &rows::without(&victim.rows, victim.row, to)?, &[])?;
    let place = Place::table(&table.name).offsets(partition, from, from + count);
    Ok(site.planted(&table, Must::Offset, place, format!("dropped {count} rows from {} on", told((partition, from)))))
}

/// Whether the next row holds the next offset of the same partition.
fn next_to(rows: &arrow::array::RecordBatch, row: usize) -> bool {
    let next = (row + 1 < rows.num_rows()).then(|| rows::position(rows, row + 1)).flatten();
    rows::position(rows, row).map(|(partition, offset)| (partition, offset + 1)) == next && next.is_some()
}

fn file_dropped(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.bronze()?;
    let Some((live, rows)) = site.file(&table, 1)? else { return Ok(None) };
    let (partition, offset) = rows::position(&rows, 0).context("bronze has positions")?;
    drop_file(&mut table, &live)?;
    let place = at(&table, (partition, offset));
    Ok(site.planted(&table, Must::Offset, place, format!("removed {} and its add", live.path)))
}

/// Removes a file and its `add`; the entry counts its actions anew.
pub(super) fn drop_file(table: &mut Table, live: &Live) -> Result<()> {
    let entry = table.entry(live.version)?;
    let line = entry.lines.iter().position(|line| line["add"]["path"] == live.path.as_str());
    table.remove_line(live.version, line.context("the file has an add")?, true)?;
    std::fs::remove_file(table.file(live)).context("the file cannot be removed")
}

fn row_doubled(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.bronze()?;
    let Some(victim) = site.row(&table, 1, |_, _| true)? else { return Ok(None) };
    table.rewrite(&victim.live, &victim.doubled()?, &[])?;
    let position = victim.position()?;
    Ok(site.planted(&table, Must::Offset, at(&table, position), format!("doubled {}", told(position))))
}

fn file_doubled(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.bronze()?;
    double_file(site, table)
}

/// Copies a file under another name, and adds it in the same entry.
pub(super) fn double_file(site: &mut Site<'_>, mut table: Table) -> Result<Option<Planted>> {
    let Some((live, rows)) = site.file(&table, 1)? else { return Ok(None) };
    let (path, add) = table.another(&live, None)?;
    std::fs::copy(table.file(&live), table.dir.join(&path))?;
    let entry = table.entry(live.version)?;
    entry.lines.push(json!({ "add": add }));
    entry.count_actions();
    entry.save()?;
    let position = rows::position(&rows, 0).context("the table has positions")?;
    let place = |path: &str| Place::table(&table.name).file(path);
    let planted = site.planted(&table, Must::File, place(&path), format!("copied {} to {path}", live.path));
    let codes = site.mutant.codes;
    let doubled: Vec<&'static str> = codes.iter().copied().filter(|code| *code != "log.added_twice").collect();
    Ok(planted.map(|planted| {
        planted.or(&["log.added_twice"], Must::File, place(&live.path)).or(&doubled, Must::Offset, at(&table, position))
    }))
}

fn offsets_swapped(site: &mut Site<'_>) -> Result<Option<Planted>> {
    swapped(site, &["_kafka_offset"], Must::Offset)
}

fn payloads_swapped(site: &mut Site<'_>) -> Result<Option<Planted>> {
    swapped(site, &["_key", "_raw_value", "_headers"], Must::Version)
}

/// Swaps columns of two neighbours whose payloads differ.
fn swapped(site: &mut Site<'_>, columns: &[&str], must: Must) -> Result<Option<Planted>> {
    let mut table = site.bronze()?;
    let differing = |rows: &arrow::array::RecordBatch, row: usize| {
        next_to(rows, row) && rows::bytes(rows, "_raw_value", row) != rows::bytes(rows, "_raw_value", row + 1)
    };
    let Some(victim) = site.row(&table, 2, differing)? else { return Ok(None) };
    let mut order: Vec<usize> = (0..victim.rows.num_rows()).collect();
    order.swap(victim.row, victim.row + 1);
    let exchanged = rows::select(&victim.rows, &order)?;
    let mut all = victim.rows.columns().to_vec();
    for column in columns {
        let index = victim.rows.schema_ref().index_of(column)?;
        all[index] = std::sync::Arc::clone(exchanged.column(index));
    }
    let altered = arrow::array::RecordBatch::try_new(victim.rows.schema(), all)?;
    table.rewrite(&victim.live, &altered, &[])?;
    let (partition, offset) = victim.position()?;
    let place = Place::table(&table.name).offsets(partition, offset, offset + 2).version(victim.live.version);
    Ok(site.planted(
        &table,
        must,
        place,
        format!("swapped {} of {} and of the next", columns.join(", "), told((partition, offset))),
    ))
}

fn offset_moved(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.bronze()?;
    let last = positions(&table)?;
    let is_last = |rows: &arrow::array::RecordBatch, row: usize| {
        rows::position(rows, row)
            .is_some_and(|(partition, offset)| last.range((partition, offset)..=(partition, i64::MAX)).nth(1).is_none())
    };
    let Some(victim) = site.row(&table, 1, is_last)? else { return Ok(None) };
    let (partition, offset) = victim.position()?;
    let moved = offset + site.rng.random_range(1_000..1_000_000);
    table.rewrite(&victim.live, &victim.with("_kafka_offset", &Cell::Whole(moved.into()))?, &["_kafka_offset"])?;
    let planted = site.planted(
        &table,
        Must::Offset,
        at(&table, (partition, moved)),
        format!("gave {} the offset {moved}", told((partition, offset))),
    );
    Ok(planted.map(|planted| planted.or(&["offsets.lost"], Must::Offset, at(&table, (partition, offset)))))
}

fn partition_changed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.bronze()?;
    let Some(victim) = site.row(&table, 1, |_, _| true)? else { return Ok(None) };
    let (partition, offset) = victim.position()?;
    let other = partition + 1;
    table.rewrite(
        &victim.live,
        &victim.with("_kafka_partition", &Cell::Whole(other.into()))?,
        &["_kafka_partition"],
    )?;
    let what = format!("gave {} to partition {other}", told((partition, offset)));
    let planted = site.planted(&table, Must::Offset, at(&table, (partition, offset)), what);
    let new = at(&table, (other, offset));
    Ok(planted.map(|planted| planted.or(&["offsets.doubled", "offsets.outside"], Must::Offset, new)))
}

fn payload_byte(site: &mut Site<'_>) -> Result<Option<Planted>> {
    byte(site, "_raw_value")
}

fn key_byte(site: &mut Site<'_>) -> Result<Option<Planted>> {
    byte(site, "_key")
}

fn byte(site: &mut Site<'_>, column: &str) -> Result<Option<Planted>> {
    let mut table = site.bronze()?;
    let filled = |rows: &_, row| rows::bytes(rows, column, row).is_some_and(|bytes| !bytes.is_empty());
    let Some(victim) = site.row(&table, 1, filled)? else { return Ok(None) };
    let mut value = bytes(&victim, column).unwrap_or_default();
    let which = site.rng.random_range(0..value.len());
    value[which] ^= 1_u8 << site.rng.random_range(0..8_u32);
    table.rewrite(&victim.live, &victim.with(column, &Cell::Bytes(value))?, &[])?;
    checksum_planted(site, &table, &victim, &format!("changed byte {which} of {column}"))
}

fn key_removed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.bronze()?;
    let Some(victim) = site.row(&table, 1, |rows, row| rows::bytes(rows, "_key", row).is_some())? else {
        return Ok(None);
    };
    table.rewrite(&victim.live, &victim.with("_key", &Cell::Null)?, &[])?;
    checksum_planted(site, &table, &victim, "set the key to null")
}

/// What is to be seen by the checksum of a commit and partition only.
fn checksum_planted(site: &Site<'_>, table: &Table, victim: &Victim, what: &str) -> Result<Option<Planted>> {
    let position = victim.position()?;
    let version = books::version_of(table, position).unwrap_or(victim.live.version);
    let place = at(table, position).version(version);
    Ok(site.planted(table, Must::Version, place, format!("{what} at {}", told(position))))
}

fn payload_byte_books_too(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let (mut table, mut silver) = (site.bronze()?, site.silver()?);
    let kept = positions(&silver)?;
    let fits = |rows: &arrow::array::RecordBatch, row: usize| {
        rows::position(rows, row).is_some_and(|position| kept.contains(&position))
            && rows::bytes(rows, "_raw_value", row).is_some_and(|value| number_in(&value).is_some())
    };
    let Some(victim) = site.row(&table, 1, fits)? else { return Ok(None) };
    let position = victim.position()?;
    let before = checksum_of(&victim)?;
    let mut value = bytes(&victim, "_raw_value").unwrap_or_default();
    let Some(which) = number_in(&value) else { return Ok(None) };
    value[which] = other_digit(value[which]);
    let altered = victim.with("_raw_value", &Cell::Bytes(value.clone()))?;
    table.rewrite(&victim.live, &altered, &[])?;
    let after = books::checksum(position, bytes(&victim, "_key").as_deref(), Some(&value));
    for table in [&mut table, &mut silver] {
        let Some(version) = books::version_of(table, position) else { continue };
        books::edit(&site.lake, table, version, Copies::Along, |at, books| {
            if let (true, Some(entry)) = (at == version, books::covering(books, position)) {
                books::exchange_checksum(entry, before, after);
            }
        })?;
    }
    let what = format!("changed byte {which} of the payload at {}, and the checksums", told(position));
    let planted = site.planted(&silver, Must::Offset, at(&silver, position), what);
    Ok(planted.map(|planted| planted.touching(&table.name).touching("ops.commits")))
}

/// A digit of a number that stays that number's length: the second digit or a later one of `"volume":123` or
/// `"bytes":123`.
fn number_in(payload: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(payload).ok()?;
    ["\"volume\":", "\"bytes\":"].iter().find_map(|key| {
        let begin = text.find(key)? + key.len();
        let digits = text[begin..].bytes().take_while(u8::is_ascii_digit).count();
        (digits >= 2).then_some(begin + digits - 1)
    })
}

fn time_changed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let (mut table, silver) = (site.bronze()?, site.silver()?);
    let kept = positions(&silver)?;
    let in_silver = |rows: &_, row| rows::position(rows, row).is_some_and(|position| kept.contains(&position));
    let Some(victim) = site.row(&table, 1, in_silver)? else { return Ok(None) };
    let Cell::Whole(us) = victim.cell("_kafka_timestamp") else { return Ok(None) };
    let altered = victim.with("_kafka_timestamp", &Cell::Whole(us - 1_000_000))?;
    table.rewrite(&victim.live, &altered, &["_kafka_timestamp"])?;
    let position = victim.position()?;
    let what = format!("moved the time of {} back by a second", told(position));
    let planted = site.planted(&silver, Must::Offset, at(&silver, position), what);
    Ok(planted.map(|planted| planted.touching(&table.name)))
}

fn row_other_date(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.bronze()?;
    move_row(site, table)
}

/// Moves a row into a new file on another date.
pub(super) fn move_row(site: &mut Site<'_>, mut table: Table) -> Result<Option<Planted>> {
    let Some(victim) = site.row(&table, 2, |_, _| true)? else { return Ok(None) };
    table.rewrite(&victim.live, &victim.dropped()?, &[])?;
    let path = table.add_like(&victim.live, &victim.alone(), Some("2020-02-02"))?;
    let position = victim.position()?;
    let planted =
        site.planted(&table, Must::Offset, at(&table, position), format!("moved {} to {path}", told(position)));
    let codes = site.mutant.codes;
    Ok(planted.map(|planted| planted.or(codes, Must::File, Place::table(&table.name).file(&path))))
}
