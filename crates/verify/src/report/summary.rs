//! Tables and streams in numbers, from what was read of them.
//!
//! Rows are counted in the data files where those were read, and else taken from statistics and books: a report says
//! which ([`Counted`]). Nothing is judged here.

use crate::books::{Books, Counts, Entry};
use crate::finding::{Code, Kept};
use crate::lake::{Table, TableName};
use crate::rows::{Layer, TableFacts};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Stretches of offsets that a range lists at most; a picture shows no more, and the findings count all.
pub const STRETCHES_SHOWN: usize = 200;

/// A table as a report shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableReport {
    /// `schema.table`.
    pub table: String,
    /// The first version that was read.
    pub first_version: u64,
    /// The newest.
    pub last_version: u64,
    /// Data files at the newest version.
    pub files: u64,
    /// Rows; none where neither files nor statistics say.
    pub rows: Option<u64>,
    /// Where the rows are counted.
    pub counted: Counted,
    /// By partition of the topic; empty for gold and `ops`.
    pub ranges: Vec<Range>,
    /// Gold: windows that end at or before this are written, microseconds.
    pub closed_until_us: Option<i64>,
}

/// Where numbers are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// The rows of the data files.
    Rows,
    /// Statistics and books.
    Books,
}

/// What a table holds of a partition of the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Topic.
    pub topic: String,
    /// Its incarnation.
    pub incarnation: String,
    /// Partition.
    pub partition: i32,
    /// First offset covered.
    pub from: i64,
    /// Offset after the last one covered.
    pub to: i64,
    /// Rows; none where silver cannot tell incarnations of the topic apart.
    pub rows: Option<u64>,
    /// Bronze: sum modulo 2^128 of the records' checksums, 32 hex digits.
    pub checksum: Option<String>,
    /// Offsets that are missing, `[from, to]`, `to` exclusive; the first [`STRETCHES_SHOWN`].
    pub missing: Vec<(i64, i64)>,
    /// Offsets that the books declare to hold no record; the first [`STRETCHES_SHOWN`].
    pub declared: Vec<(i64, i64)>,
}

/// What became of a stream's records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Stream.
    pub stream: String,
    /// Where the numbers are from.
    pub counted: Counted,
    /// Offsets that bronze covers.
    pub offsets: u64,
    /// Of those, offsets that never held a record.
    pub no_record: u64,
    /// Of those, offsets declared lost.
    pub lost: u64,
    /// Rows of bronze.
    pub bronze: u64,
    /// Rows of silver.
    pub silver: u64,
    /// Of those, rows flagged late.
    pub late: u64,
    /// Records whose id was there.
    pub duplicates: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Withheld by a session's gap.
    pub withheld: u64,
    /// Erased on request.
    pub erased: u64,
    /// Rows of bronze that silver has not come to yet.
    pub ahead: u64,
}

impl Balance {
    /// Bronze less what became of it; 0 where it balances.
    #[must_use]
    pub fn difference(&self) -> i128 {
        let became =
            [self.silver, self.duplicates, self.dead_letters, self.withheld, self.erased, self.ahead].map(i128::from);
        i128::from(self.bronze) - became.iter().sum::<i128>()
    }
}

/// Whether a table of `bronze` holds dead letters.
pub(super) fn is_dead_letters(name: &TableName) -> bool {
    name.schema == "bronze" && name.name.ends_with("_dlq")
}

pub(super) fn table(table: &Table, facts: Option<&TableFacts>, kept: &Kept) -> TableReport {
    TableReport {
        table: table.name.to_string(),
        first_version: table.commits.first().map_or(table.version, |commit| commit.version),
        last_version: table.version,
        files: table.live.len() as u64,
        rows: rows(table, facts),
        counted: if facts.is_some() { Counted::Rows } else { Counted::Books },
        ranges: ranges(table, facts, kept),
        closed_until_us: closed_until(table),
    }
}

/// How far gold's windows are closed, by the newest commit that says.
pub(super) fn closed_until(table: &Table) -> Option<i64> {
    table.commits.iter().rev().filter_map(|commit| commit.books()).find_map(|books| books.closed_until_us)
}

fn rows(table: &Table, facts: Option<&TableFacts>) -> Option<u64> {
    let Some(facts) = facts else {
        let mut told = table.live.values().map(|file| records(file.add.stats.as_deref()?));
        return told.try_fold(0_u64, |sum, rows| Some(sum.saturating_add(rows?)));
    };
    Some(facts.values().fold(0, |sum, file| sum.saturating_add(file.rows)))
}

/// `numRecords` of a file's statistics.
fn records(stats: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Stats {
        #[serde(rename = "numRecords")]
        num_records: u64,
    }
    serde_json::from_str(stats).ok().map(|Stats { num_records }| num_records)
}

/// Topic, incarnation, partition.
type Key = (String, String, i32);

/// What the books of a partition come to.
struct Covered {
    from: i64,
    to: i64,
    rows: u64,
    declared: Vec<(i64, i64)>,
}

fn ranges(table: &Table, facts: Option<&TableFacts>, kept: &Kept) -> Vec<Range> {
    if !matches!(table.name.schema.as_str(), "bronze" | "silver") || Layer::of(table) == Layer::Gaps {
        return Vec::new();
    }
    let covered = covered(table);
    let held = facts.map(held);
    let records = table.name.schema == "bronze" && !is_dead_letters(&table.name);
    let name = table.name.to_string();
    let mut lives: BTreeMap<i32, usize> = BTreeMap::new();
    for (_, _, partition) in covered.keys() {
        *lives.entry(*partition).or_default() += 1;
    }
    let range = |((topic, incarnation, partition), covered): (Key, Covered)| {
        let alone = lives.get(&partition) == Some(&1);
        let found = held.as_ref().and_then(|held| {
            let by_life = held.get(&(incarnation.clone(), partition));
            by_life.or_else(|| if alone { held.get(&(String::new(), partition)) } else { None })
        });
        let rows = match (&held, found) {
            (None, _) => Some(covered.rows),
            (Some(_), Some((rows, _))) => Some(*rows),
            (Some(_), None) => alone.then_some(0),
        };
        Range {
            checksum: found.filter(|_| records).map(|(_, checksum)| format!("{checksum:032x}")),
            missing: missing(kept, &name, partition, covered.from, covered.to),
            topic,
            incarnation,
            partition,
            from: covered.from,
            to: covered.to,
            rows,
            declared: covered.declared,
        }
    };
    covered.into_iter().map(range).collect()
}

fn covered(table: &Table) -> BTreeMap<Key, Covered> {
    let mut covered: BTreeMap<Key, Covered> = BTreeMap::new();
    let appends = table.commits.iter().filter(|commit| commit.is_append()).filter_map(|commit| commit.books());
    for books in appends {
        for entry in &books.entries {
            let key = (books.topic.clone(), books.incarnation.clone(), entry.partition);
            let new = || Covered { from: entry.from, to: entry.to, rows: 0, declared: Vec::new() };
            let sum = covered.entry(key).or_insert_with(new);
            sum.from = sum.from.min(entry.from);
            sum.to = sum.to.max(entry.to);
            sum.rows = sum.rows.saturating_add(rows_of(&table.name, &entry.outcome));
            declare(&mut sum.declared, entry);
        }
    }
    covered
}

/// The rows that an entry stands for in its table.
fn rows_of(name: &TableName, outcome: &Counts) -> u64 {
    match name.schema.as_str() {
        "silver" => outcome.silver,
        _ if is_dead_letters(name) => outcome.dead_letters,
        _ => outcome.records,
    }
}

fn declare(declared: &mut Vec<(i64, i64)>, entry: &Entry) {
    for gap in entry.gaps.iter().filter(|gap| gap.from < gap.to) {
        let room = declared.len() < STRETCHES_SHOWN;
        match declared.last_mut() {
            Some((_, to)) if *to == gap.from => *to = gap.to,
            _ if room => declared.push((gap.from, gap.to)),
            _ => {}
        }
    }
}

/// Rows and checksum by incarnation and partition, over all files.
fn held(facts: &TableFacts) -> BTreeMap<(String, i32), (u64, u128)> {
    let mut sums: BTreeMap<(String, i32), (u64, u128)> = BTreeMap::new();
    for (key, held) in facts.values().flat_map(|file| &file.held) {
        let (rows, checksum) = sums.entry(key.clone()).or_default();
        *rows = rows.saturating_add(held.rows);
        *checksum = checksum.wrapping_add(held.checksum);
    }
    sums
}

fn missing(kept: &Kept, table: &str, partition: i32, from: i64, to: i64) -> Vec<(i64, i64)> {
    let lost = kept.findings.iter().filter(|finding| {
        let place = &finding.place;
        matches!(finding.code, Code::OffsetsLost | Code::OffsetsRetention)
            && place.table.as_deref() == Some(table)
            && place.partition == Some(partition)
    });
    let inside = lost.filter_map(|finding| finding.place.offsets).filter(|(first, end)| *first < to && *end > from);
    let mut missing: Vec<(i64, i64)> = inside.collect();
    missing.sort_unstable();
    missing.truncate(STRETCHES_SHOWN);
    missing
}

/// The balance of every stream of which both sides were read, as its books have it. Of one side alone nothing balances, and
/// what the other was not asked for is not "not yet there".
pub(super) fn balances(tables: &[(&Table, Option<&TableFacts>)]) -> Vec<Balance> {
    let named = |schema: &str, name: &str| {
        tables.iter().map(|(table, _)| *table).find(|table| table.name.schema == schema && table.name.name == name)
    };
    let streams = tables.iter().filter(|(table, _)| Layer::of(table) != Layer::Gaps);
    let streams = streams.map(|(table, _)| &table.name).filter(|name| !is_dead_letters(name));
    let streams: BTreeSet<&str> = streams
        .filter(|name| matches!(name.schema.as_str(), "bronze" | "silver"))
        .map(|name| name.name.as_str())
        .collect();
    let sides = |name: &&str| Some(by_books(name, named("bronze", name)?, named("silver", name)?));
    streams.iter().filter_map(sides).collect()
}

fn by_books(stream: &str, bronze: &Table, silver: &Table) -> Balance {
    let totals = |table: &Table| last_append(table).map(|books| books.totals).unwrap_or_default();
    let (bronze, silver) = (totals(bronze), totals(silver));
    Balance {
        stream: stream.to_owned(),
        counted: Counted::Books,
        offsets: bronze.records.saturating_add(bronze.no_record).saturating_add(bronze.lost),
        no_record: bronze.no_record,
        lost: bronze.lost,
        bronze: bronze.records,
        silver: silver.silver,
        late: silver.late,
        duplicates: silver.duplicates,
        dead_letters: silver.dead_letters,
        withheld: silver.withheld,
        erased: silver.erased,
        ahead: bronze.records.saturating_sub(silver.records),
    }
}

fn last_append(table: &Table) -> Option<&Books> {
    table.commits.iter().rev().filter(|commit| commit.is_append()).find_map(|commit| commit.books())
}
