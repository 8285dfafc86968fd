//! Faults in the books, the rows left alone; in their copies; and in the definitions.

use super::{Mutant, Site, mutants, other_digit};
use crate::expected::{Must, Place, Planted};
use crate::lake_edit::books::{self, Copies};
use crate::lake_edit::rows::{self, Cell};
use crate::lake_edit::{Entry, Table};
use anyhow::Result;
use serde_json::{Value, json};

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "books-records", ["books.unbalanced", "books.count", "books.copy"], records, "an entry counts a record more";
    "books-records-copy-too", ["books.unbalanced", "books.count"], records_copy_too,
        "an entry and its copy count a record more";
    "books-checksum", ["books.checksum", "books.copy"], checksum, "a digit of a checksum is changed";
    "books-checksum-copy-too", ["books.checksum"], checksum_copy_too,
        "a digit of a checksum is changed, in the copy too";
    "books-from", ["books.chain", "books.unbalanced", "books.range", "books.copy"], from,
        "a range begins one offset later";
    "books-to", ["books.chain", "books.unbalanced", "books.position", "books.copy"], to,
        "a range ends one offset later";
    "books-offset-bit", ["books.chain", "books.unbalanced", "books.range", "books.position", "books.copy"], offset_bit,
        "a bit of an offset is flipped in the JSON of an entry, and a digit it stays";
    "books-totals", ["books.chain", "books.copy"], totals, "the totals of the newest append count a record more";
    "books-totals-copy-too", ["books.chain", "books.unbalanced"], totals_copy_too,
        "the totals of an append count a record more, in the copy too";
    "books-rows", ["books.count", "books.unbalanced", "books.chain"], rows_added,
        "an append says that it adds a row more, in the copy too";
    "books-bytes", ["books.unbalanced"], bytes_added, "an append says that it adds a byte more, in the copy too";
    "books-late", ["books.count", "books.unbalanced", "books.chain"], late,
        "silver's books count a late row more, in the copy too";
    "books-watermark", ["books.copy", "books.unbalanced", "books.chain"], watermark,
        "silver's books give another watermark";
    "books-definition", ["books.copy", "books.chain", "definitions.missing", "rows.derived"], definition,
        "silver's books name another definition";
    "books-commit-id", ["books.chain", "books.copy"], commit_id, "an append has another id";
    "books-follows", ["books.chain", "books.copy"], follows, "an append follows another one";
    "books-pipeline", ["books.position", "books.chain", "books.copy", "books.unreadable", "log.foreign_change"],
        pipeline, "an append is of another pipeline";
    "books-kind", ["books.copy", "books.chain", "books.unbalanced", "books.position", "log.foreign_change",
        "books.rewrite_changed"], kind, "an append says that it is a compaction";
    "books-removed", ["books.unreadable", "log.foreign_change", "books.chain", "books.copy"], removed,
        "an append has no books";
    "books-not-understood", ["books.unreadable"], not_understood, "the books of an append have text for a number";
    "gold-closed-until", ["books.copy", "books.chain", "gold.extra", "gold.missing"], closed_until,
        "gold's books say that fewer windows are closed";
    "table-of-another-pipeline", ["books.position", "books.chain", "log.schema_change", "books.copy"], configuration,
        "the metadata names another pipeline";
    "copy-altered", ["books.copy"], copy_altered, "ops.commits says something else of a commit";
    "copy-removed", ["books.copy"], copy_removed, "ops.commits loses what it had of a commit";
    "definition-removed", ["definitions.missing"], definition_removed, "ops.definitions loses the stream's definition";
    "definition-altered", ["rows.invalid"], definition_altered, "a check in ops.definitions is another one";
};

fn at_version(table: &Table, version: u64) -> Place {
    Place::table(&table.name).version(version)
}

/// Appends of a table whose books have entries that cover something.
fn covering(table: &Table) -> Vec<u64> {
    let covers = |entry: &&Entry| {
        let entries = entry.books().and_then(|books| books["entries"].as_array());
        entry.is_append() && entries.is_some_and(|all| all.iter().any(|entry| entry["from"] != entry["to"]))
    };
    table.entries.iter().filter(covers).map(|entry| entry.version).collect()
}

/// Alters the books of one append of a table.
fn altered(
    site: &mut Site<'_>,
    mut table: Table,
    versions: &[u64],
    copies: Copies,
    change: impl Fn(&mut Value),
) -> Result<Option<Planted>> {
    let Some(version) = site.pick(versions).copied() else { return Ok(None) };
    let mut done = false;
    books::edit(&site.lake, &mut table, version, copies, |at, books| {
        if at == version {
            let before = books.clone();
            change(books);
            done = before != *books;
        }
    })?;
    if !done {
        return Ok(None);
    }
    let what = format!("altered the books of {} version {version}", table.name);
    let planted = site.planted(&table, Must::Version, at_version(&table, version), what);
    Ok(planted.map(|planted| or_next(planted, &table, version)))
}

/// A chain breaks at the next link: that may be named instead.
fn or_next(planted: Planted, table: &Table, version: u64) -> Planted {
    match table.entries.iter().find(|entry| entry.version > version && entry.is_append()) {
        Some(next) => planted.or(&["books.chain"], Must::Version, at_version(table, next.version)),
        None => planted,
    }
}

/// Alters an entry that covers something, in the books of bronze or silver.
fn entry(site: &mut Site<'_>, copies: Copies, change: impl Fn(&mut Value)) -> Result<Option<Planted>> {
    let table = site.large_table()?;
    let versions = covering(&table);
    altered(site, table, &versions, copies, |books| {
        let entries = books.get_mut("entries").and_then(Value::as_array_mut);
        if let Some(entry) = entries.and_then(|all| all.iter_mut().find(|entry| entry["from"] != entry["to"])) {
            change(entry);
        }
    })
}

fn records(site: &mut Site<'_>) -> Result<Option<Planted>> {
    entry(site, Copies::Left, |entry| books::add(&mut entry["outcome"], "records", 1))
}

fn records_copy_too(site: &mut Site<'_>) -> Result<Option<Planted>> {
    entry(site, Copies::Along, |entry| books::add(&mut entry["outcome"], "records", 1))
}

/// Another first digit in a checksum.
fn other_checksum(entry: &mut Value) {
    let Some(text) = entry["checksum"].as_str() else { return };
    let first = if text.starts_with('0') { '1' } else { '0' };
    entry["checksum"] = json!(format!("{first}{}", text.get(1..).unwrap_or_default()));
}

fn checksum(site: &mut Site<'_>) -> Result<Option<Planted>> {
    entry(site, Copies::Left, other_checksum)
}

fn checksum_copy_too(site: &mut Site<'_>) -> Result<Option<Planted>> {
    entry(site, Copies::Along, other_checksum)
}

fn from(site: &mut Site<'_>) -> Result<Option<Planted>> {
    entry(site, Copies::Left, |entry| books::add(entry, "from", 1))
}

fn to(site: &mut Site<'_>) -> Result<Option<Planted>> {
    entry(site, Copies::Left, |entry| books::add(entry, "to", 1))
}

fn offset_bit(site: &mut Site<'_>) -> Result<Option<Planted>> {
    entry(site, Copies::Left, |entry| {
        let mut digits = entry["to"].to_string().into_bytes();
        if let Some(last) = digits.last_mut() {
            *last = other_digit(*last);
        }
        if let Some(number) = String::from_utf8(digits).ok().and_then(|text| text.parse::<i64>().ok()) {
            entry["to"] = json!(number);
        }
    })
}

fn totals(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.large_table()?;
    let newest: Vec<u64> = covering(&table).last().copied().into_iter().collect();
    altered(site, table, &newest, Copies::Left, |books| books::add(&mut books["totals"], "records", 1))
}

fn totals_copy_too(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.large_table()?;
    let versions = covering(&table);
    altered(site, table, &versions, Copies::Along, |books| books::add(&mut books["totals"], "records", 1))
}

fn rows_added(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.large_table()?;
    let versions = covering(&table);
    altered(site, table, &versions, Copies::Along, |books| books::add(books, "rows", 1))
}

fn bytes_added(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.large_table()?;
    let versions = covering(&table);
    altered(site, table, &versions, Copies::Along, |books| books::add(books, "bytes", 1))
}

/// Alters the books of an append of silver that covers something.
fn silver(site: &mut Site<'_>, copies: Copies, change: impl Fn(&mut Value)) -> Result<Option<Planted>> {
    let table = site.silver()?;
    let versions = covering(&table);
    altered(site, table, &versions, copies, change)
}

fn late(site: &mut Site<'_>) -> Result<Option<Planted>> {
    silver(site, Copies::Along, |books| {
        let entries = books.get_mut("entries").and_then(Value::as_array_mut);
        if let Some(entry) = entries.and_then(|all| all.iter_mut().find(|entry| entry["from"] != entry["to"])) {
            books::add(&mut entry["outcome"], "late", 1);
        }
    })
}

fn watermark(site: &mut Site<'_>) -> Result<Option<Planted>> {
    silver(site, Copies::Left, |books| {
        if let Some(us) = books["watermarks"]["stream_us"].as_i64() {
            books["watermarks"]["stream_us"] = json!(us + 1);
        }
    })
}

fn definition(site: &mut Site<'_>) -> Result<Option<Planted>> {
    silver(site, Copies::Left, |books| books::add(books, "definition", 90))
}

/// Alters the books of an append of any of the stream's tables.
fn any(site: &mut Site<'_>, change: impl Fn(&mut Value)) -> Result<Option<Planted>> {
    let table = site.any_table()?;
    let versions: Vec<u64> = table.entries.iter().filter(|entry| entry.is_append()).map(|e| e.version).collect();
    altered(site, table, &versions, Copies::Left, change)
}

fn commit_id(site: &mut Site<'_>) -> Result<Option<Planted>> {
    any(site, |books| books["commit_id"] = json!("00000000-0000-4000-8000-000000000000"))
}

fn follows(site: &mut Site<'_>) -> Result<Option<Planted>> {
    any(site, |books| books["follows"] = json!("00000000-0000-4000-8000-000000000000"))
}

fn pipeline(site: &mut Site<'_>) -> Result<Option<Planted>> {
    any(site, |books| books["pipeline"] = json!("00000000-0000-4000-8000-000000000000"))
}

fn kind(site: &mut Site<'_>) -> Result<Option<Planted>> {
    // The one kind that stops being an append: what `edit` looks at is decided before.
    any(site, |books| books["kind"] = json!("compact"))
}

fn not_understood(site: &mut Site<'_>) -> Result<Option<Planted>> {
    any(site, |books| books["rows"] = json!("many"))
}

fn removed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.any_table()?;
    let appends: Vec<u64> = table.entries.iter().filter(|entry| entry.is_append()).map(|e| e.version).collect();
    let Some(version) = site.pick(&appends).copied() else { return Ok(None) };
    let entry = table.entry(version)?;
    if let Some(info) = entry.info().and_then(Value::as_object_mut) {
        info.shift_remove("watertight");
    }
    entry.save()?;
    let what = format!("removed the books of {} version {version}", table.name);
    let planted = site.planted(&table, Must::Version, at_version(&table, version), what);
    Ok(planted.map(|planted| or_next(planted, &table, version)))
}

fn closed_until(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some(table) = site.gold()? else { return Ok(None) };
    let closed = |entry: &&Entry| entry.books().is_some_and(|books| books["closed_until_us"].is_i64());
    let newest: Vec<u64> = table.entries.iter().rfind(closed).map(|entry| entry.version).into_iter().collect();
    altered(site, table, &newest, Copies::Left, |books| books::add(books, "closed_until_us", -3_600_000_000))
}

fn configuration(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.any_table()?;
    for entry in &mut table.entries {
        let metadata = entry.lines.iter_mut().find_map(|line| line.get_mut("metaData"));
        let Some(metadata) = metadata else { continue };
        metadata["configuration"]["watertight.pipeline"] = json!("00000000-0000-4000-8000-000000000000");
        entry.save()?;
    }
    Ok(site.planted(&table, Must::Table, Place::table(&table.name), "the metadata names another pipeline"))
}

/// A row of `ops.commits` about one of the stream's tables, and what it is about.
fn copied(site: &mut Site<'_>) -> Result<Option<(Table, super::Victim, String, u64)>> {
    let commits = site.lake.table("ops.commits")?;
    let stream = site.stream.clone();
    let ours = |rows: &_, row| {
        let name = rows::text(rows, "table_name", row).unwrap_or_default();
        let covers = rows::whole(rows, "records", row).is_some_and(|records| records > 0);
        covers && (name == format!("bronze.{stream}") || name == format!("silver.{stream}"))
    };
    let Some(victim) = site.row(&commits, 2, ours)? else { return Ok(None) };
    let name = rows::text(&victim.rows, "table_name", victim.row).unwrap_or_default();
    let version = rows::whole(&victim.rows, "version", victim.row).and_then(|version| u64::try_from(version).ok());
    Ok(version.map(|version| (commits, victim, name, version)))
}

/// Either table may be named: the one whose commit it is, or that of the copies.
fn copy_planted(site: &Site<'_>, commits: &Table, name: &str, version: u64, what: &str) -> Option<Planted> {
    let place = Place::table(name).version(version);
    let planted = site.planted(commits, Must::Version, place, format!("{what} {name} version {version}"))?;
    Some(planted.touching(name).or(site.mutant.codes, Must::Table, Place::table(&commits.name)))
}

fn copy_altered(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut commits, victim, name, version)) = copied(site)? else { return Ok(None) };
    let Some(records) = rows::whole(&victim.rows, "records", victim.row) else { return Ok(None) };
    commits.rewrite(&victim.live, &victim.with("records", &Cell::Whole((records + 1).into()))?, &["records"])?;
    Ok(copy_planted(site, &commits, &name, version, "ops.commits counts a record more of"))
}

fn copy_removed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut commits, victim, name, version)) = copied(site)? else { return Ok(None) };
    let of_commit = |row: &usize| {
        rows::text(&victim.rows, "table_name", *row).as_deref() == Some(name.as_str())
            && rows::whole(&victim.rows, "version", *row) == i64::try_from(version).ok()
    };
    let others: Vec<usize> = (0..victim.rows.num_rows()).filter(|row| !of_commit(row)).collect();
    if others.is_empty() {
        return Ok(None);
    }
    commits.rewrite(&victim.live, &rows::select(&victim.rows, &others)?, &[])?;
    Ok(copy_planted(site, &commits, &name, version, "ops.commits has nothing of"))
}

/// The row with the stream's first definition.
fn defined(site: &mut Site<'_>) -> Result<Option<(Table, super::Victim)>> {
    let table = site.lake.table("ops.definitions")?;
    let first = |rows: &_, row| {
        rows::text(rows, "kind", row).as_deref() == Some("stream") && rows::whole(rows, "version", row) == Some(1)
    };
    let victim = site.row(&table, 1, first)?;
    Ok(victim.map(|victim| (table, victim)))
}

fn definition_removed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, victim)) = defined(site)? else { return Ok(None) };
    table.rewrite(&victim.live, &victim.dropped()?, &[])?;
    let planted = site.planted(&table, Must::Table, Place::table(&table.name), "the stream's definition 1 is gone");
    let (stream, silver) = (site.bronze()?, site.silver()?);
    let codes = site.mutant.codes;
    Ok(planted.map(|planted| {
        let planted = planted.or(codes, Must::Table, Place::table(&silver.name));
        planted.or(codes, Must::Table, Place::table(&stream.name))
    }))
}

fn definition_altered(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, victim)) = defined(site)? else { return Ok(None) };
    let text = rows::text(&victim.rows, "definition", victim.row).unwrap_or_default();
    // Of either story's first definition: most records do not pass the check that stands there now.
    let stricter = text.replace("price > 0", "price > 100").replace("status >= 100", "status >= 300");
    if stricter == text {
        return Ok(None);
    }
    table.rewrite(&victim.live, &victim.with("definition", &Cell::Text(stricter))?, &["definition"])?;
    let silver = site.silver()?;
    let what = "a check of definition 1 is stricter";
    let planted = site.planted(&silver, Must::Offset, Place::table(&silver.name), what);
    Ok(planted.map(|planted| planted.touching(&table.name)))
}
