//! `ops.commits`: the books of every commit, copied out of the Delta logs so that they outlive their clean-up.
//!
//! The copier keeps nothing in memory: each turn it reads the commits above the version it copied last (its own
//! position, stored with the copy) and appends their rows. A turn that fails is simply made again. Position and rows say by
//! its id which table they are of: one that was removed and made anew is copied from its beginning (docs/adr/0018).
//!
//! A commit has a row for each entry of its books, or one row where it has none. What is the commit's and not an entry's
//! (rows added, bytes, times) stands in each of them. Columns that came later are null in older rows.

use crate::feed::utc_day;
use crate::runtime::{CommitFailure, Committer, Draft};
use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use std::sync::Arc;
use watertight_core::books::{Books, Entry, Layer, Outcome, Took};
use watertight_core::port::{ErrorKind, Lake, LakeCommit, LakeTable, PortError, TableSpec};
use watertight_core::position::{PositionKey, PositionStep};
use watertight_core::schema::utc_timestamp;

/// Most commits copied in one turn, of all tables together: bounds the memory of a first copy of a long log. Where that
/// many were copied, there may be more.
pub const COMMITS_PER_TURN_MAX: usize = 5_000;

/// In the place of the table's id, in positions from before rows and positions had it.
const BEFORE_IDS: &str = "versions";

/// A table whose books are copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// `bronze`, `silver` or `gold`.
    pub schema_name: String,
    /// Table name.
    pub table: String,
}

type CountOf = fn(&Outcome) -> u64;
const COUNTS: [(&str, CountOf); 11] = [
    ("records", |o| o.records),
    ("no_record", |o| o.no_record),
    ("lost", |o| o.lost),
    ("silver", |o| o.silver),
    ("duplicates", |o| o.duplicates),
    ("dead_letters", |o| o.dead_letters),
    ("withheld", |o| o.withheld),
    ("erased", |o| o.erased),
    ("late", |o| o.late),
    ("future", |o| o.future),
    ("unknown_fields", |o| o.unknown_fields),
];

type StepOf = fn(&Took) -> Option<u64>;
const STEPS: [(&str, StepOf); 7] = [
    ("fetch_us", |t| t.fetch_us),
    ("judge_us", |t| t.judge_us),
    ("fold_us", |t| t.fold_us),
    ("build_us", |t| t.build_us),
    ("write_us", |t| t.write_us),
    ("sync_us", |t| t.sync_us),
    ("entry_us_before", |t| t.entry_us_before),
];

fn columns() -> Schema {
    let mut fields = vec![
        Field::new("table_name", DataType::Utf8, false),
        Field::new("version", DataType::Int64, false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("commit_id", DataType::Utf8, true),
        Field::new("topic", DataType::Utf8, true),
        Field::new("incarnation", DataType::Utf8, true),
        Field::new("definition", DataType::Int32, true),
        Field::new("kafka_partition", DataType::Int32, true),
        Field::new("from_offset", DataType::Int64, true),
        Field::new("to_offset", DataType::Int64, true),
    ];
    fields.extend(COUNTS.map(|(name, _)| Field::new(name, DataType::Int64, true)));
    fields.extend([
        Field::new("checksum", DataType::Utf8, true),
        Field::new("rows_added", DataType::Int64, true),
        Field::new("bytes", DataType::Int64, true),
    ]);
    fields.extend(STEPS.map(|(name, _)| Field::new(name, DataType::Int64, true)));
    fields.extend([
        Field::new("table_id", DataType::Utf8, true),
        Field::new("books", DataType::Utf8, true),
        Field::new("copied_at", utc_timestamp(), false),
        Field::new("_copied_date", DataType::Date32, false),
    ]);
    Schema::new(fields)
}

/// One row of the copy: a commit's books, and one of its entries (none for a commit that covers no offsets).
struct Row {
    table: String,
    table_id: Arc<str>,
    version: i64,
    books: Option<Arc<Books>>,
    entry: Option<Entry>,
}

/// Copies the books of a set of tables.
pub struct CommitCopier {
    lake: Arc<dyn Lake>,
    copy: Box<dyn LakeTable>,
    pipeline: String,
    sources: Vec<CopiedTable>,
}

impl CommitCopier {
    /// Opens `ops.commits`.
    ///
    /// # Errors
    /// As the lake's.
    pub fn open(lake: Arc<dyn Lake>, pipeline: &str, sources: Vec<CopiedTable>) -> Result<Self, PortError> {
        let copy = lake.open(&TableSpec {
            schema_name: "ops".to_owned(),
            table: "commits".to_owned(),
            columns: Arc::new(columns()),
            partition_column: "_copied_date".to_owned(),
            pipeline: pipeline.to_owned(),
        })?;
        Ok(Self { lake, copy, pipeline: pipeline.to_owned(), sources })
    }

    /// Copies what is new; returns the number of commits copied.
    ///
    /// # Errors
    /// See [`CommitFailure`].
    pub fn turn(&mut self, committer: &Committer<'_>) -> Result<usize, CommitFailure> {
        let (mut rows, mut steps, mut copied) = (Vec::new(), Vec::new(), 0);
        for source in &self.sources {
            let name = format!("{}.{}", source.schema_name, source.table);
            let left = COMMITS_PER_TURN_MAX - copied;
            if left == 0 {
                break;
            }
            let Some(table) = self.lake.look(&source.schema_name, &source.table)? else { continue };
            let Some((step, commits)) = self.news_of(&name, table.as_ref(), left)? else { continue };
            steps.push(step);
            copied += commits.len();
            let table_id: Arc<str> = table.state().id.as_str().into();
            rows.extend(commits.into_iter().flat_map(|commit| rows_of(&name, &table_id, commit)));
        }
        if steps.is_empty() {
            return Ok(0);
        }
        let now_us = committer.now_us();
        let mut files = Vec::new();
        if !rows.is_empty() {
            let batch = batch(&rows, now_us)
                .map_err(|e| PortError::caused(ErrorKind::Bug, "the books' rows could not be built", e))?;
            files.push(committer.retry("stage the books", || self.copy.stage(utc_day(now_us), &batch))?);
        }
        let mut books = Books::append(&self.pipeline, committer.fresh_id());
        books.rows = rows.len() as u64;
        committer.append(self.copy.as_mut(), Draft { layer: Layer::Ops, steps, files, books })?;
        Ok(copied)
    }

    /// The copy's position of a table of that name and id.
    fn key(&self, name: &str, id: &str) -> PositionKey {
        PositionKey {
            pipeline: self.pipeline.clone(),
            topic: format!("ops.commits:{name}"),
            incarnation: id.to_owned(),
            partition: 0,
        }
    }

    /// The oldest commits of a table that are not copied, and the step that their copy is; `None` where nothing is new.
    fn news_of(
        &self,
        name: &str,
        table: &dyn LakeTable,
        count_max: usize,
    ) -> Result<Option<(PositionStep, Vec<LakeCommit>)>, PortError> {
        let key = self.key(name, &table.state().id);
        let from = self.copy.state().positions.get(&key).copied();
        let next = match from {
            Some(next) => Some(next),
            None => self.copied_before_ids(name, table)?,
        };
        let after = next.and_then(|next| u64::try_from(next - 1).ok());
        let commits = match after == Some(table.state().version) {
            true => Vec::new(),
            false => table.first_commits_after(after, count_max)?,
        };
        let last = commits.last().map(|last| i64::try_from(last.version).unwrap_or(i64::MAX - 1) + 1);
        // Taken over from before ids, the position is moved even where no commit is new: it is looked up but once.
        let to = last.or(next).filter(|to| from != Some(*to));
        Ok(to.map(|to| (PositionStep { key, from, to }, commits)))
    }

    /// Up to where this very table was copied before there were ids. Whether it was this one, and not one of its name that
    /// was there before, is told by the newest commit copied then.
    fn copied_before_ids(&self, name: &str, table: &dyn LakeTable) -> Result<Option<i64>, PortError> {
        let Some(next) = self.copy.state().positions.get(&self.key(name, BEFORE_IDS)).copied() else { return Ok(None) };
        let mut newest: Option<(i64, String)> = None;
        for file in self.copy.live_files()? {
            for batch in self.copy.read(&file, &["table_name", "version", "commit_id", "table_id"])? {
                newest = newest.max(newest_before_ids(&batch?, name));
            }
        }
        let Some((version, commit_id)) = newest else { return Ok(None) };
        let found = table.first_commits_after(u64::try_from(version - 1).ok(), 1)?;
        let books = found.first().and_then(|commit| commit.books.as_ref());
        Ok(books.is_some_and(|books| books.commit_id == commit_id).then_some(next))
    }
}

/// The newest commit of ours, with its id, of those that a batch has of a table without its id.
fn newest_before_ids(batch: &RecordBatch, name: &str) -> Option<(i64, String)> {
    let text = |column: usize| batch.column(column).as_string::<i32>();
    let (tables, commit_ids, table_ids) = (text(0), text(2), text(3));
    let versions = batch.column(1).as_primitive::<Int64Type>();
    let is_it = |row: &usize| tables.value(*row) == name && table_ids.is_null(*row) && commit_ids.is_valid(*row);
    let rows = (0..batch.num_rows()).filter(is_it);
    rows.map(|row| (versions.value(row), commit_ids.value(row).to_owned())).max()
}

/// The rows of a commit: one for each entry of its books, or one alone.
fn rows_of(name: &str, table_id: &Arc<str>, commit: LakeCommit) -> Vec<Row> {
    let version = i64::try_from(commit.version).unwrap_or(i64::MAX);
    let books = commit.books.map(Arc::new);
    let entries = books.as_ref().map(|books| books.entries.clone()).unwrap_or_default();
    let row =
        |entry| Row { table: name.to_owned(), table_id: Arc::clone(table_id), version, books: books.clone(), entry };
    if entries.is_empty() { vec![row(None)] } else { entries.into_iter().map(|entry| row(Some(entry))).collect() }
}

/// The rows in our own columns: the table, which has them all, may have them in another order, and more.
fn batch(rows: &[Row], now_us: i64) -> Result<RecordBatch, arrow::error::ArrowError> {
    fn books(row: &Row) -> Option<&Books> {
        row.books.as_deref()
    }
    fn entry(row: &Row) -> Option<&Entry> {
        row.entry.as_ref()
    }
    let text =
        |of: &dyn Fn(&Row) -> Option<String>| -> ArrayRef { Arc::new(StringArray::from_iter(rows.iter().map(of))) };
    let long = |of: &dyn Fn(&Row) -> Option<i64>| -> ArrayRef { Arc::new(Int64Array::from_iter(rows.iter().map(of))) };
    let int = |of: &dyn Fn(&Row) -> Option<i32>| -> ArrayRef { Arc::new(Int32Array::from_iter(rows.iter().map(of))) };
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let kind = |row: &Row| {
        let kind = books(row).and_then(|b| serde_json::to_value(b.kind).ok());
        Some(kind.and_then(|k| k.as_str().map(str::to_owned)).unwrap_or_else(|| "foreign".to_owned()))
    };
    let mut arrays = vec![
        text(&|row| Some(row.table.clone())),
        long(&|row| Some(row.version)),
        text(&kind),
        text(&|row| books(row).map(|b| b.commit_id.clone())),
        text(&|row| books(row).map(|b| b.topic.clone())),
        text(&|row| books(row).map(|b| b.incarnation.clone())),
        int(&|row| books(row).map(|b| b.definition)),
        int(&|row| entry(row).map(|e| e.partition)),
        long(&|row| entry(row).map(|e| e.from)),
        long(&|row| entry(row).map(|e| e.to)),
    ];
    arrays.extend(COUNTS.map(|(_, count)| long(&|row| entry(row).map(|e| number(count(&e.outcome))))));
    arrays.extend([
        text(&|row| entry(row).map(|e| format!("{:032x}", e.checksum.0))),
        long(&|row| books(row).map(|b| number(b.rows))),
        long(&|row| books(row).and_then(|b| b.bytes).map(number)),
    ]);
    arrays.extend(STEPS.map(|(_, step)| long(&|row| books(row).and_then(|b| step(&b.took)).map(number))));
    arrays.extend([
        text(&|row| Some(row.table_id.to_string())),
        text(&|row| books(row).and_then(|b| serde_json::to_string(b).ok())),
        Arc::new(TimestampMicrosecondArray::from_value(now_us, rows.len()).with_timezone("UTC")) as ArrayRef,
        Arc::new(Date32Array::from_value(utc_day(now_us), rows.len())) as ArrayRef,
    ]);
    RecordBatch::try_new(Arc::new(columns()), arrays)
}
