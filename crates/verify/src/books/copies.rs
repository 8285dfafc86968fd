//! The copies of the books in `ops.commits`, which outlive the Delta logs they were copied from.
//!
//! A commit has a row for each entry of its books, or one row if it has none; each row holds the books whole, as JSON,
//! and what is asked for most in columns beside it; some of these came later, and are null in older rows. A table that was
//! removed and made anew has copies of both lives ([`lives`]). That the columns say what the JSON says, that no row is
//! missing or doubled, and that the copies reach without a hole up to the version that the copier's own position names, is
//! checked here; that they say what the tables' own entries say is checked in [`crate::compare`].

mod kept;
mod lives;
#[cfg(test)]
mod tests;

pub(crate) use kept::Kept;
pub use lives::{Copied, Former};

use super::{Books, Counts, Entry};
use crate::finding::{Code, Findings, Place};
use crate::lake::{LiveFile, Table};
use crate::request::Request;
use crate::rows::DataFile;
use crate::rows::facts::{enter, place_of};
use arrow::array::{Array, AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use lives::ByLife;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// A commit as `ops.commits` has it.
#[derive(Debug, Clone, PartialEq)]
pub struct CopiedBooks {
    /// The kind; `foreign` for a commit of another program.
    pub kind: String,
    /// The books, if it was ours and they can be understood.
    pub books: Option<Books>,
    /// Checksum of the JSON text: all rows of a commit have the same.
    text: u128,
    /// Rows met, by partition of their entry; `None` for the row of a commit without entries.
    rows: BTreeMap<Option<i32>, u64>,
}

#[cfg(test)]
impl CopiedBooks {
    /// Of these books.
    pub(crate) fn of(books: Books) -> Self {
        Self { kind: books.kind.clone(), books: Some(books), text: 0, rows: BTreeMap::new() }
    }
}

/// The copies of the tables that are there, by table (`schema.name`) and version.
pub type Copies = BTreeMap<(String, u64), Arc<CopiedBooks>>;

/// Name of the table.
const NAME: &str = "ops.commits";

/// Reads the copies of the tables in scope from the live rows of `ops.commits`. `tables` are those that could be read, by
/// name.
pub fn read(ops_commits: &Table, tables: &BTreeMap<String, &Table>, request: &Request, findings: &Findings) -> Copied {
    read_again(ops_commits, tables, request, &mut Kept::default(), findings)
}

/// As [`read`], reading only the files that are new, or another than before, since the last time with the same `kept`.
pub(crate) fn read_again(
    ops_commits: &Table,
    tables: &BTreeMap<String, &Table>,
    request: &Request,
    kept: &mut Kept,
    findings: &Findings,
) -> Copied {
    let (copies, whole) = kept.with_new(ops_commits, request, findings);
    for (table, by_life) in &copies {
        for (version, copied) in by_life.values().flatten() {
            check_rows(table, *version, copied, findings);
        }
    }
    let reached = lives::reached(ops_commits, request);
    lives::told_apart(copies, &reached, whole, tables, findings)
}

fn read_file(
    ops_commits: &Table,
    file: &LiveFile,
    request: &Request,
    copies: &mut ByLife,
    findings: &Findings,
) -> bool {
    let batches = match DataFile::open(ops_commits, file) {
        Ok(data) => data.batches(&[]),
        Err(problem) => {
            enter(problem, ops_commits, file, findings);
            return false;
        }
    };
    for batch in batches {
        let batch = match batch {
            Ok(batch) => batch,
            Err(problem) => {
                enter(problem, ops_commits, file, findings);
                return false;
            }
        };
        let Some(rows) = Rows::of(&batch) else {
            let what = "the columns are not those of the copies of the books";
            findings.add(Code::FileSchema, place_of(ops_commits, file), what);
            return false;
        };
        for row in 0..batch.num_rows() {
            if request.scope.has_table(rows.table.value(row)) {
                let place = place_of(ops_commits, file);
                take(&rows, row, copies, &place, findings);
            }
        }
    }
    true
}

/// The columns of a batch.
struct Rows<'a> {
    table: &'a StringArray,
    /// A table that no newer version has opened lacks it.
    table_id: Option<&'a StringArray>,
    version: &'a Int64Array,
    kind: &'a StringArray,
    commit_id: &'a StringArray,
    topic: &'a StringArray,
    incarnation: &'a StringArray,
    definition: &'a Int32Array,
    partition: &'a Int32Array,
    from: &'a Int64Array,
    to: &'a Int64Array,
    counts: Vec<&'a Int64Array>,
    checksum: &'a StringArray,
    rows_added: &'a Int64Array,
    books: &'a StringArray,
    /// As [`LATER`]; a table that no newer version has opened lacks them.
    later: Vec<Option<&'a Int64Array>>,
}

type CountOf = fn(&Counts) -> u64;

const COUNTS: [(&str, CountOf); 10] = [
    ("records", |counts| counts.records),
    ("no_record", |counts| counts.no_record),
    ("lost", |counts| counts.lost),
    ("silver", |counts| counts.silver),
    ("duplicates", |counts| counts.duplicates),
    ("dead_letters", |counts| counts.dead_letters),
    ("withheld", |counts| counts.withheld),
    ("erased", |counts| counts.erased),
    ("late", |counts| counts.late),
    ("future", |counts| counts.future),
];

type LaterOf = fn(&Books, Option<&Entry>) -> Option<u64>;

/// Columns that came with `bytes` in the books, of which older rows have none.
const LATER: [(&str, LaterOf); 9] = [
    ("unknown_fields", |_, entry| entry.map(|entry| entry.outcome.unknown_fields)),
    ("bytes", |books, _| books.bytes),
    ("fetch_us", |books, _| books.took.fetch_us),
    ("judge_us", |books, _| books.took.judge_us),
    ("fold_us", |books, _| books.took.fold_us),
    ("build_us", |books, _| books.took.build_us),
    ("write_us", |books, _| books.took.write_us),
    ("sync_us", |books, _| books.took.sync_us),
    ("entry_us_before", |books, _| books.took.entry_us_before),
];

impl<'a> Rows<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let long = |name: &str| batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let int = |name: &str| batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int32Type>());
        Some(Self {
            table: text("table_name")?,
            table_id: text("table_id"),
            version: long("version")?,
            kind: text("kind")?,
            commit_id: text("commit_id")?,
            topic: text("topic")?,
            incarnation: text("incarnation")?,
            definition: int("definition")?,
            partition: int("kafka_partition")?,
            from: long("from_offset")?,
            to: long("to_offset")?,
            counts: COUNTS.iter().map(|(name, _)| long(name)).collect::<Option<_>>()?,
            checksum: text("checksum")?,
            rows_added: long("rows_added")?,
            books: text("books")?,
            later: LATER.iter().map(|(name, _)| long(name)).collect(),
        })
    }

    /// The first column of a row that says something else than the books beside it.
    fn differs(&self, row: usize, books: &Books, entry: Option<&Entry>) -> Option<&'static str> {
        let text = |column: &StringArray, said: Option<&str>| text_at(column, row) == said;
        let long = |column: &Int64Array, said: Option<i64>| column.is_valid(row).then(|| column.value(row)) == said;
        let int = |column: &Int32Array, said: Option<i32>| column.is_valid(row).then(|| column.value(row)) == said;
        let number = |said: u64| i64::try_from(said).unwrap_or(i64::MAX);
        let same = [
            ("kind", text(self.kind, Some(&books.kind))),
            ("commit_id", text(self.commit_id, Some(&books.commit_id))),
            ("topic", text(self.topic, Some(&books.topic))),
            ("incarnation", text(self.incarnation, Some(&books.incarnation))),
            ("definition", int(self.definition, Some(books.definition))),
            ("kafka_partition", int(self.partition, entry.map(|entry| entry.partition))),
            ("from_offset", long(self.from, entry.map(|entry| entry.from))),
            ("to_offset", long(self.to, entry.map(|entry| entry.to))),
            ("checksum", text(self.checksum, entry.map(|entry| entry.checksum.as_str()))),
            ("rows_added", long(self.rows_added, Some(number(books.rows)))),
        ];
        let counted = COUNTS
            .iter()
            .zip(&self.counts)
            .map(|((name, count), column)| (*name, long(column, entry.map(|entry| number(count(&entry.outcome))))));
        let later = LATER.iter().zip(&self.later).map(|((name, of), column)| {
            let said = of(books, entry).map(number);
            let same = match column {
                None => true,
                Some(column) if column.is_null(row) => said.is_none() || books.bytes.is_none(),
                Some(column) => Some(column.value(row)) == said,
            };
            (*name, same)
        });
        same.into_iter().chain(counted).chain(later).find(|(_, same)| !same).map(|(name, _)| name)
    }
}

fn text_at(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

fn take(rows: &Rows<'_>, row: usize, copies: &mut ByLife, place: &Place, findings: &Findings) {
    let (table, version) = (rows.table.value(row), rows.version.value(row));
    let add = |what: String| findings.add(Code::BooksCopy, place.clone(), what);
    let Ok(number) = u64::try_from(version) else {
        add(format!("a row names version {version} of {table}"));
        return;
    };
    let json = text_at(rows.books, row);
    let text = json.map_or(0, |json| xxh3_128(json.as_bytes()));
    let partition = rows.partition.is_valid(row).then(|| rows.partition.value(row));
    let life = rows.table_id.and_then(|ids| text_at(ids, row)).map(str::to_owned);
    let versions = copies.entry(table.to_owned()).or_default().entry(life).or_default();
    let copied = versions.entry(number).or_insert_with(|| {
        let books = json.and_then(|json| serde_json::from_str::<Books>(json).ok());
        if json.is_some() && books.is_none() {
            add(format!("the copied books of {table} {version} cannot be understood"));
        }
        Arc::new(CopiedBooks { kind: rows.kind.value(row).to_owned(), books, text, rows: BTreeMap::new() })
    });
    let copied = Arc::make_mut(copied);
    *copied.rows.entry(partition).or_default() += 1;
    if copied.text != text {
        add(format!("two rows of {table} {version} hold different books"));
        return;
    }
    let Some(books) = &copied.books else { return };
    let entry = partition.and_then(|partition| books.entries.iter().find(|entry| entry.partition == partition));
    match (partition, entry) {
        (Some(partition), None) => {
            add(format!("a row of {table} {version} is of partition {partition}, of which its books have no entry"));
        }
        _ => {
            if let Some(column) = rows.differs(row, books, entry) {
                let what =
                    format!("of {table} {version}, the column says something else than the books in the same row");
                findings.add(Code::BooksCopy, place.clone().in_column(column), what);
            }
        }
    }
}

/// Each entry has one row; a commit without entries has one.
fn check_rows(table: &str, version: u64, copied: &CopiedBooks, findings: &Findings) {
    let Some(books) = &copied.books else { return };
    let mut expected: BTreeSet<Option<i32>> = books.entries.iter().map(|entry| Some(entry.partition)).collect();
    if expected.is_empty() {
        expected.insert(None);
    }
    for partition in expected {
        let rows = copied.rows.get(&partition).copied().unwrap_or(0);
        if rows == 1 {
            continue;
        }
        let mut place = Place::table(NAME);
        place.partition = partition;
        let of = partition.map_or_else(String::new, |partition| format!(", partition {partition}"));
        findings.add(Code::BooksCopy, place, format!("{rows} rows of {table} {version}{of}, there must be one"));
    }
}
