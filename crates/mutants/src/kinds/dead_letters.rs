//! Faults in dead letters, and records given the wrong fate: letters made rows, rows made letters.

use super::silver::id_of;
use super::{Mutant, Site, Victim, at, find, mutants, positions, told};
use crate::expected::{Must, Planted};
use crate::lake_edit::Table;
use crate::lake_edit::rows::{self, Cell};
use anyhow::Result;
use arrow::array::RecordBatch;
use rand::Rng as _;

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "dead-letter-dropped", ["dead_letters.lost"], dropped, "a dead letter is removed";
    "dead-letter-doubled", ["offsets.doubled", "dead_letters.unfounded"], doubled, "a dead letter stands twice";
    "dead-letter-bytes", ["dead_letters.bytes"], bytes, "a byte of a dead letter's payload is changed";
    "dead-letter-key", ["dead_letters.bytes"], key, "a dead letter's key is changed";
    "dead-letter-reason", ["dead_letters.reasons"], reason, "a dead letter is given another reason";
    "dead-letter-reason-more", ["dead_letters.reasons"], reason_more, "a dead letter is given one reason more";
    "dead-letter-schema-version", ["dead_letters.reasons", "rows.derived", "definitions.missing"], schema_version,
        "a dead letter names another version of the definition";
    "dead-letter-invented", ["dead_letters.unfounded"], invented, "a dead letter is added for a record that has a row";
    "dead-letter-from-nowhere", ["dead_letters.unfounded", "offsets.outside", "books.range"], from_nowhere,
        "a dead letter is added whose position no record has";
    "row-made-dead-letter", ["dead_letters.unfounded", "rows.lost"], row_made_letter,
        "a valid record's row is replaced by a dead letter";
    "dead-letter-made-row", ["rows.invalid", "dead_letters.lost"], letter_made_row,
        "a dead letter is replaced by a row of silver";
};

fn dropped(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.dead_letters()?;
    let Some(victim) = site.row(&table, 2, |_, _| true)? else { return Ok(None) };
    table.rewrite(&victim.live, &victim.dropped()?, &[])?;
    let position = victim.position()?;
    Ok(site.planted(&table, Must::Offset, at(&table, position), format!("dropped {}", told(position))))
}

fn doubled(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.dead_letters()?;
    let Some(victim) = site.row(&table, 1, |_, _| true)? else { return Ok(None) };
    table.rewrite(&victim.live, &victim.doubled()?, &[])?;
    let position = victim.position()?;
    Ok(site.planted(&table, Must::Offset, at(&table, position), format!("doubled {}", told(position))))
}

fn altered(site: &mut Site<'_>, column: &str, alter: impl Fn(&Cell) -> Option<Cell>) -> Result<Option<Planted>> {
    let mut table = site.dead_letters()?;
    let alterable = |rows: &RecordBatch, row: usize| alter(&rows::get(rows, column, row)).is_some();
    let Some(victim) = site.row(&table, 1, alterable)? else { return Ok(None) };
    let Some(cell) = alter(&victim.cell(column)) else { return Ok(None) };
    table.rewrite(&victim.live, &victim.with(column, &cell)?, &[column])?;
    let position = victim.position()?;
    Ok(site.planted(&table, Must::Offset, at(&table, position), format!("altered {column} at {}", told(position))))
}

fn last_byte(cell: &Cell) -> Option<Cell> {
    let Cell::Bytes(bytes) = cell else { return None };
    let mut bytes = bytes.clone();
    *bytes.last_mut()? ^= 1;
    Some(Cell::Bytes(bytes))
}

fn bytes(site: &mut Site<'_>) -> Result<Option<Planted>> {
    altered(site, "_raw_value", last_byte)
}

fn key(site: &mut Site<'_>) -> Result<Option<Planted>> {
    altered(site, "_key", last_byte)
}

fn reason(site: &mut Site<'_>) -> Result<Option<Planted>> {
    altered(site, "_quality_flags", |cell| match cell {
        Cell::Texts(reasons) => {
            let other = if *reasons == ["tombstone"] { "empty" } else { "tombstone" };
            Some(Cell::Texts(vec![other.to_owned()]))
        }
        _ => None,
    })
}

fn reason_more(site: &mut Site<'_>) -> Result<Option<Planted>> {
    altered(site, "_quality_flags", |cell| match cell {
        Cell::Texts(reasons) => {
            let more = "check:invented".to_owned();
            Some(Cell::Texts(reasons.iter().cloned().chain([more]).collect()))
        }
        _ => None,
    })
}

fn schema_version(site: &mut Site<'_>) -> Result<Option<Planted>> {
    altered(site, "_schema_version", |cell| match cell {
        Cell::Whole(version) => Some(Cell::Whole(version + 90)),
        _ => None,
    })
}

/// A dead letter of this record of bronze, after the pattern of another letter.
fn letter_of(record: &Victim, pattern: &RecordBatch) -> Result<RecordBatch> {
    let mut letter = pattern.clone();
    for column in ["_kafka_partition", "_kafka_offset", "_kafka_timestamp", "_key", "_raw_value", "_ingested_at"] {
        letter = rows::set(&letter, column, 0, &record.cell(column))?;
    }
    rows::set(&letter, "_quality_flags", 0, &Cell::Texts(vec!["invalid_json".to_owned()]))
}

/// Adds a dead letter for a record of bronze; false where there is no letter to take for a pattern.
fn add_letter(site: &mut Site<'_>, letters: &mut Table, record: &Victim) -> Result<bool> {
    let Some(other) = site.row(letters, 1, |_, _| true)? else { return Ok(false) };
    let letter = letter_of(record, &other.alone())?;
    letters.rewrite(&other.live, &rows::joined(&other.rows, &letter)?, &["*"])?;
    Ok(true)
}

/// A row of silver and its record.
fn row_and_record(site: &mut Site<'_>) -> Result<Option<(Table, Victim, Victim)>> {
    let (silver, bronze) = (site.silver()?, site.bronze()?);
    let Some(row) = site.row(&silver, 2, |_, _| true)? else { return Ok(None) };
    let record = find(&bronze, row.position()?)?;
    Ok(record.map(|record| (silver, row, record)))
}

fn invented(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((_, row, record)) = row_and_record(site)? else { return Ok(None) };
    let mut letters = site.dead_letters()?;
    if !add_letter(site, &mut letters, &record)? {
        return Ok(None);
    }
    let position = row.position()?;
    Ok(site.planted(
        &letters,
        Must::Offset,
        at(&letters, position),
        format!("invented a dead letter of {}", told(position)),
    ))
}

fn from_nowhere(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut letters = site.dead_letters()?;
    let Some(victim) = site.row(&letters, 1, |_, _| true)? else { return Ok(None) };
    let (partition, _) = victim.position()?;
    let taken = positions(&site.bronze()?)?;
    let last = taken.range((partition, 0)..=(partition, i64::MAX)).next_back().map_or(0, |(_, offset)| *offset);
    let position = (partition, last + site.rng.random_range(1..1_000));
    let letter = rows::set(&victim.alone(), "_kafka_offset", 0, &Cell::Whole(position.1.into()))?;
    letters.rewrite(&victim.live, &rows::joined(&victim.rows, &letter)?, &["*"])?;
    Ok(site.planted(&letters, Must::Offset, at(&letters, position), format!("invented a letter at {}", told(position))))
}

fn row_made_letter(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut silver, row, record)) = row_and_record(site)? else { return Ok(None) };
    let mut letters = site.dead_letters()?;
    if !add_letter(site, &mut letters, &record)? {
        return Ok(None);
    }
    silver.rewrite(&row.live, &row.dropped()?, &[])?;
    let position = row.position()?;
    let planted =
        site.planted(&letters, Must::Offset, at(&letters, position), format!("made {} a dead letter", told(position)));
    Ok(planted.map(|planted| planted.or(&["rows.lost"], Must::Offset, at(&silver, position)).touching(&silver.name)))
}

fn letter_made_row(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let (mut letters, mut silver) = (site.dead_letters()?, site.silver()?);
    let Some(letter) = site.row(&letters, 2, |_, _| true)? else { return Ok(None) };
    let Some(pattern) = site.row(&silver, 1, |_, _| true)? else { return Ok(None) };
    let position = letter.position()?;
    let mut row = pattern.alone();
    for column in ["_kafka_partition", "_kafka_offset"] {
        row = rows::set(&row, column, 0, &letter.cell(column))?;
    }
    row = rows::set(&row, "event_id", 0, &Cell::Text(format!("{}-made", id_of(&pattern))))?;
    silver.rewrite(&pattern.live, &rows::joined(&pattern.rows, &row)?, &["*"])?;
    letters.rewrite(&letter.live, &letter.dropped()?, &[])?;
    let planted = site.planted(&silver, Must::Offset, at(&silver, position), format!("made {} a row", told(position)));
    Ok(planted.map(|planted| {
        planted.or(&["dead_letters.lost"], Must::Offset, at(&letters, position)).touching(&letters.name)
    }))
}
