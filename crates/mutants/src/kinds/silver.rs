//! Faults in silver: rows lost, doubled, invented and altered.

use super::bronze::{double_file, drop_file, move_row};
use super::{Mutant, Site, Victim, at, mutants, positions, told};
use crate::expected::{Must, Place, Planted};
use crate::lake_edit::books::{self, Copies};
use crate::lake_edit::rows::{self, Cell};
use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use rand::Rng as _;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "silver-row-dropped", ["rows.lost"], row_dropped, "a row is taken out of silver, and the entry corrected";
    "silver-row-dropped-entry-left", ["log.file_size", "log.file_rows"], row_dropped_entry_left,
        "a row is taken out of silver's file, and the entry left alone";
    "silver-row-dropped-books-too", ["rows.lost"], row_dropped_books_too,
        "a row is taken out of silver, and entry, books and their copies call it a duplicate";
    "silver-rows-dropped", ["rows.lost"], rows_dropped, "a batch of consecutive rows is taken out of silver";
    "silver-file-dropped", ["rows.lost"], file_dropped, "a file of silver and its add are removed";
    "silver-row-doubled", ["ids.doubled", "offsets.doubled"], row_doubled, "a row stands in silver twice";
    "silver-file-doubled", ["log.added_twice", "ids.doubled", "offsets.doubled"], file_doubled,
        "a file of silver is copied under another name, which its entry adds too";
    "silver-text-byte", ["rows.value"], text_byte, "a byte of a text is changed";
    "silver-decimal-digit", ["rows.value"], decimal_digit, "the last digit of a decimal is changed";
    "silver-integer", ["rows.value"], integer, "an integer is changed by one";
    "silver-double", ["rows.value"], double, "a floating-point number is changed by its last bit";
    "silver-timestamp", ["rows.value"], timestamp, "a timestamp is changed by a microsecond";
    "silver-null", ["rows.value"], null, "a value is set to null";
    "silver-value-invented", ["rows.value"], null_filled, "a null is replaced by a value";
    "silver-event-id", ["rows.value", "rows.lost", "rows.unfounded"], event_id, "the event's id is changed";
    "silver-event-time", ["rows.value", "rows.derived"], event_time, "the event time is changed by a microsecond";
    "silver-late-set", ["rows.late"], late_set, "a row that was on time is flagged late";
    "silver-late-cleared", ["rows.late"], late_cleared, "a late row's flag is cleared";
    "silver-row-other-date", ["rows.date", "log.file_partition"], row_other_date,
        "a row is moved to another date's folder";
    "silver-row-from-nowhere", ["rows.unfounded", "offsets.outside", "books.range"], from_nowhere,
        "a row is added whose position no record has";
    "silver-row-of-duplicate", ["ids.doubled", "rows.unfounded"], of_duplicate,
        "a duplicate is given a row of its own beside the first";
    "silver-duplicate-kept", ["ids.not_first"], duplicate_kept, "the duplicate is kept instead of the first";
    "silver-delay", ["rows.derived"], delay, "the arrival delay is changed";
    "silver-schema-version", ["rows.derived", "definitions.missing"], schema_version,
        "a row names another version of the definition";
    "silver-extra", ["rows.derived", "rows.value"], extra, "unknown fields are invented for a row";
    "silver-quality-flag", ["rows.derived"], quality_flag, "a row is flagged as one from the future";
};

fn row_dropped(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.silver()?;
    let Some(victim) = site.row(&table, 2, |_, _| true)? else { return Ok(None) };
    let position = victim.position()?;
    table.rewrite(&victim.live, &victim.dropped()?, &[])?;
    Ok(site.planted(&table, Must::Offset, at(&table, position), format!("dropped {}", told(position))))
}

fn row_dropped_entry_left(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.silver()?;
    let Some(victim) = site.row(&table, 2, |_, _| true)? else { return Ok(None) };
    table.rewrite_only(&victim.live, &victim.dropped()?)?;
    let place = Place::table(&table.name).file(&victim.live.path);
    Ok(site.planted(&table, Must::File, place, format!("dropped {}", told(victim.position()?))))
}

fn row_dropped_books_too(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.silver()?;
    let on_time = |rows: &_, row| rows::get(rows, "_is_late_arriving", row) == Cell::Flag(false);
    let Some(victim) = site.row(&table, 2, on_time)? else { return Ok(None) };
    let position = victim.position()?;
    let Some(version) = books::version_of(&table, position) else { return Ok(None) };
    table.rewrite(&victim.live, &victim.dropped()?, &[])?;
    books::edit(&site.lake, &mut table, version, Copies::Along, |at, books| {
        if at == version {
            books::add(books, "rows", -1);
            if let Some(entry) = books::covering(books, position) {
                books::add(&mut entry["outcome"], "silver", -1);
                books::add(&mut entry["outcome"], "duplicates", 1);
            }
        }
        books::add(books, "rows_total", -1);
        books::add(&mut books["totals"], "silver", -1);
        books::add(&mut books["totals"], "duplicates", 1);
    })?;
    let planted = site.planted(&table, Must::Offset, at(&table, position), format!("dropped {}", told(position)));
    Ok(planted.map(|planted| planted.touching("ops.commits")))
}

fn rows_dropped(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.silver()?;
    let Some((live, rows)) = site.file(&table, 4)? else { return Ok(None) };
    let count = site.rng.random_range(2..rows.num_rows().min(20));
    let from = site.rng.random_range(0..rows.num_rows() - count);
    let position = rows::position(&rows, from).context("silver has positions")?;
    table.rewrite(&live, &rows::without(&rows, from, from + count)?, &[])?;
    Ok(site.planted(
        &table,
        Must::Offset,
        at(&table, position),
        format!("dropped {count} rows from {} on", told(position)),
    ))
}

fn file_dropped(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.silver()?;
    let Some((live, rows)) = site.file(&table, 1)? else { return Ok(None) };
    let position = rows::position(&rows, 0).context("silver has positions")?;
    drop_file(&mut table, &live)?;
    Ok(site.planted(&table, Must::Offset, at(&table, position), format!("removed {} and its add", live.path)))
}

fn row_doubled(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.silver()?;
    let Some(victim) = site.row(&table, 1, |_, _| true)? else { return Ok(None) };
    table.rewrite(&victim.live, &victim.doubled()?, &[])?;
    let position = victim.position()?;
    let planted = site.planted(&table, Must::Offset, at(&table, position), format!("doubled {}", told(position)));
    let id = Place::table(&table.name).event(&id_of(&victim));
    Ok(planted.map(|planted| planted.or(&["ids.doubled"], Must::Event, id)))
}

/// The event's id.
pub(super) fn id_of(victim: &Victim) -> String {
    rows::text(&victim.rows, "event_id", victim.row).unwrap_or_default()
}

fn file_doubled(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.silver()?;
    double_file(site, table)
}

/// Which columns of a type can be altered: the declared ones, but for the id.
fn declared(rows: &RecordBatch, is: impl Fn(&DataType) -> bool) -> Vec<String> {
    let fields = rows.schema_ref().fields();
    let fitting = fields
        .iter()
        .filter(|field| !field.name().starts_with('_') && field.name() != "event_id" && is(field.data_type()));
    fitting.map(|field| field.name().clone()).collect()
}

/// Alters the value of a declared column.
fn value(
    site: &mut Site<'_>,
    is: impl Fn(&DataType) -> bool,
    alter: impl Fn(&Cell) -> Option<Cell>,
) -> Result<Option<Planted>> {
    let mut table = site.silver()?;
    let alterable = |rows: &RecordBatch, row: usize| {
        declared(rows, &is).iter().any(|column| alter(&rows::get(rows, column, row)).is_some())
    };
    let Some(victim) = site.row(&table, 1, alterable)? else { return Ok(None) };
    let mut columns = declared(&victim.rows, &is);
    columns.retain(|column| alter(&victim.cell(column)).is_some());
    let Some(column) = site.pick(&columns).cloned() else { return Ok(None) };
    let Some(cell) = alter(&victim.cell(&column)) else { return Ok(None) };
    table.rewrite(&victim.live, &victim.with(&column, &cell)?, &[&column])?;
    let position = victim.position()?;
    let place = at(&table, position).column(&column);
    Ok(site.planted(&table, Must::Offset, place, format!("altered {column} at {}", told(position))))
}

fn text_byte(site: &mut Site<'_>) -> Result<Option<Planted>> {
    value(
        site,
        |kind| *kind == DataType::Utf8,
        |cell| match cell {
            Cell::Text(text) if !text.is_empty() && text.is_ascii() => {
                let mut bytes = text.clone().into_bytes();
                let last = bytes.len() - 1;
                bytes[last] = if bytes[last] == b'x' { b'y' } else { b'x' };
                String::from_utf8(bytes).ok().map(Cell::Text)
            }
            _ => None,
        },
    )
}

fn more_by_one(cell: &Cell) -> Option<Cell> {
    match cell {
        Cell::Whole(value) => Some(Cell::Whole(if value % 2 == 0 { value + 1 } else { value - 1 })),
        _ => None,
    }
}

fn decimal_digit(site: &mut Site<'_>) -> Result<Option<Planted>> {
    value(site, |kind| matches!(kind, DataType::Decimal128(..)), more_by_one)
}

fn integer(site: &mut Site<'_>) -> Result<Option<Planted>> {
    value(site, |kind| matches!(kind, DataType::Int32 | DataType::Int64), more_by_one)
}

fn double(site: &mut Site<'_>) -> Result<Option<Planted>> {
    value(
        site,
        |kind| *kind == DataType::Float64,
        |cell| match cell {
            Cell::Real(value) if value.is_finite() => Some(Cell::Real(f64::from_bits(value.to_bits() ^ 1))),
            _ => None,
        },
    )
}

fn timestamp(site: &mut Site<'_>) -> Result<Option<Planted>> {
    value(site, |kind| matches!(kind, DataType::Timestamp(..)), more_by_one)
}

fn null(site: &mut Site<'_>) -> Result<Option<Planted>> {
    value(site, |_| true, |cell| (!matches!(cell, Cell::Null | Cell::Other)).then_some(Cell::Null))
}

fn null_filled(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let invented = Cell::Text("invented".to_owned());
    value(site, |kind| *kind == DataType::Utf8, |cell| (*cell == Cell::Null).then(|| invented.clone()))
}

/// Alters a column of ours.
fn derived(site: &mut Site<'_>, column: &str, alter: impl Fn(&Cell) -> Option<Cell>) -> Result<Option<Planted>> {
    let mut table = site.silver()?;
    let alterable = |rows: &RecordBatch, row: usize| alter(&rows::get(rows, column, row)).is_some();
    let Some(victim) = site.row(&table, 1, alterable)? else { return Ok(None) };
    let Some(cell) = alter(&victim.cell(column)) else { return Ok(None) };
    table.rewrite(&victim.live, &victim.with(column, &cell)?, &[column])?;
    let position = victim.position()?;
    // The codes say which column it is, or the finding is about the row: the column need not be named.
    Ok(site.planted(&table, Must::Offset, at(&table, position), format!("altered {column} at {}", told(position))))
}

fn event_id(site: &mut Site<'_>) -> Result<Option<Planted>> {
    derived(site, "event_id", |cell| match cell {
        Cell::Text(id) => Some(Cell::Text(format!("{id}x"))),
        _ => None,
    })
}

fn event_time(site: &mut Site<'_>) -> Result<Option<Planted>> {
    derived(site, "_event_time", more_by_one)
}

fn late_set(site: &mut Site<'_>) -> Result<Option<Planted>> {
    derived(site, "_is_late_arriving", |cell| (*cell == Cell::Flag(false)).then_some(Cell::Flag(true)))
}

fn late_cleared(site: &mut Site<'_>) -> Result<Option<Planted>> {
    derived(site, "_is_late_arriving", |cell| (*cell == Cell::Flag(true)).then_some(Cell::Flag(false)))
}

fn delay(site: &mut Site<'_>) -> Result<Option<Planted>> {
    derived(site, "_arrival_delay_seconds", |cell| match cell {
        Cell::Real(seconds) => Some(Cell::Real(seconds + 0.001)),
        _ => None,
    })
}

fn schema_version(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let other = if site.rng.random_bool(0.5) { 1 } else { 2 };
    derived(site, "_schema_version", |cell| match cell {
        Cell::Whole(version) if *version == other => Some(Cell::Whole(99)),
        Cell::Whole(_) => Some(Cell::Whole(other)),
        _ => None,
    })
}

fn extra(site: &mut Site<'_>) -> Result<Option<Planted>> {
    derived(site, "_extra", |cell| (*cell == Cell::Null).then(|| Cell::Text("{\"x\":1}".to_owned())))
}

fn quality_flag(site: &mut Site<'_>) -> Result<Option<Planted>> {
    derived(site, "_quality_flags", |cell| match cell {
        Cell::Texts(flags) if flags.is_empty() => Some(Cell::Texts(vec!["future_event_time".to_owned()])),
        _ => None,
    })
}

fn row_other_date(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.silver()?;
    move_row(site, table)
}

fn from_nowhere(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.silver()?;
    let Some(victim) = site.row(&table, 1, |_, _| true)? else { return Ok(None) };
    let (partition, _) = victim.position()?;
    let taken = positions(&site.bronze()?)?;
    let last = taken.range((partition, 0)..=(partition, i64::MAX)).next_back().map_or(0, |(_, offset)| *offset);
    let position = (partition, last + site.rng.random_range(1..1_000));
    let mut row = rows::set(&victim.alone(), "_kafka_offset", 0, &Cell::Whole(position.1.into()))?;
    row = rows::set(&row, "event_id", 0, &Cell::Text(format!("nowhere-{}", site.rng.random_range(0..1_000_000))))?;
    table.rewrite(&victim.live, &rows::joined(&victim.rows, &row)?, &["_kafka_offset", "event_id"])?;
    Ok(site.planted(&table, Must::Offset, at(&table, position), format!("invented a row at {}", told(position))))
}

/// A record of bronze: its position, time and payload.
struct Record {
    position: (i32, i64),
    time_us: i64,
}

/// Records with the same payload, in one partition, by the position of the first.
fn repeated(site: &Site<'_>) -> Result<Vec<(Record, Record)>> {
    let table = site.bronze()?;
    let mut first: BTreeMap<(i32, Vec<u8>), Vec<Record>> = BTreeMap::new();
    for live in table.live() {
        let rows = table.rows(&live)?;
        for row in 0..rows.num_rows() {
            let (Some(position), Some(payload)) = (rows::position(&rows, row), rows::bytes(&rows, "_raw_value", row))
            else {
                continue;
            };
            let named = serde_json::from_slice::<Value>(&payload).is_ok_and(|value| value["event_id"].is_string());
            if named {
                let time_us = rows::whole(&rows, "_kafka_timestamp", row).unwrap_or(0);
                first.entry((position.0, payload)).or_default().push(Record { position, time_us });
            }
        }
    }
    let mut pairs = Vec::new();
    for mut records in first.into_values().filter(|records| records.len() > 1) {
        records.sort_by_key(|record| record.position);
        let again = records.swap_remove(1);
        pairs.push((records.swap_remove(0), again));
    }
    Ok(pairs)
}

/// A duplicate whose first has a row: that row, and the duplicate.
fn duplicate(site: &mut Site<'_>) -> Result<Option<(Victim, Record, Record)>> {
    let table = site.silver()?;
    let kept = positions(&table)?;
    let mut pairs = repeated(site)?;
    pairs.retain(|(first, again)| kept.contains(&first.position) && !kept.contains(&again.position));
    if pairs.is_empty() {
        return Ok(None);
    }
    let (first, again) = pairs.swap_remove(site.rng.random_range(0..pairs.len()));
    Ok(super::find(&table, first.position)?.map(|victim| (victim, first, again)))
}

/// The row, as if it had been made from the duplicate.
fn made_from(row: &RecordBatch, at: usize, first: &Record, again: &Record) -> Result<RecordBatch> {
    let moved = rows::set(row, "_kafka_offset", at, &Cell::Whole(again.position.1.into()))?;
    let Cell::Real(delay) = rows::get(row, "_arrival_delay_seconds", at) else { return Ok(moved) };
    let later = (again.time_us - first.time_us) as f64 / 1e6;
    rows::set(&moved, "_arrival_delay_seconds", at, &Cell::Real(delay + later))
}

fn duplicate_kept(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.silver()?;
    let Some((victim, first, again)) = duplicate(site)? else { return Ok(None) };
    let altered = made_from(&victim.rows, victim.row, &first, &again)?;
    table.rewrite(&victim.live, &altered, &["_kafka_offset", "_arrival_delay_seconds"])?;
    let what = format!("kept {} instead of {}", told(again.position), told(first.position));
    let planted = site.planted(&table, Must::Offset, at(&table, again.position), what);
    let codes = site.mutant.codes;
    Ok(planted.map(|planted| planted.or(codes, Must::Offset, at(&table, first.position))))
}

fn of_duplicate(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.silver()?;
    let Some((victim, first, again)) = duplicate(site)? else { return Ok(None) };
    let row = made_from(&victim.alone(), 0, &first, &again)?;
    let joined = rows::joined(&victim.rows, &row)?;
    table.rewrite(&victim.live, &joined, &["_kafka_offset", "_arrival_delay_seconds"])?;
    let planted = site.planted(
        &table,
        Must::Offset,
        at(&table, again.position),
        format!("invented a row for {}", told(again.position)),
    );
    let (codes, id) = (site.mutant.codes, Place::table(&table.name).event(&id_of(&victim)));
    Ok(planted.map(|planted| {
        planted.or(codes, Must::Offset, at(&table, first.position)).or(&["ids.doubled"], Must::Event, id)
    }))
}
