//! Little tables for tests: their files are written by the parquet crate into a folder, their log is made in memory.

use super::checksum;
use crate::books::copies::{CopiedBooks, Copies};
use crate::books::{Books, Counts, Declared, Entry};
use crate::finding::{Code, Finding, Findings};
use crate::lake::{Add, Commit, LiveFile, Metadata, Origin, Remove, Table, TableName};
use crate::request::{Request, Scope, Silent};
use crate::rows::{TableFacts, facts};
use arrow::array::{
    ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const PIPELINE: &str = "pipeline-uuid";
pub(crate) const TOPIC: &str = "orders";
pub(crate) const LIFE: &str = "first-life";
/// 2024-10-04, and the day as the partition column has it.
pub(crate) const DAY_US: i64 = 20_000 * 86_400_000_000;
pub(crate) const DAY: &str = "2024-10-04";

/// A table, and the folder that its files are in.
pub(crate) struct LittleTable {
    _folder: tempfile::TempDir,
    pub(crate) table: Table,
}

/// Partition, offset and payload of a row of bronze.
pub(crate) type Row = (i32, i64, &'static str);

pub(crate) fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

pub(crate) fn bronze_columns() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("_kafka_topic", DataType::Utf8, false),
        Field::new("_kafka_partition", DataType::Int32, false),
        Field::new("_kafka_offset", DataType::Int64, false),
        Field::new("_log_incarnation", DataType::Utf8, false),
        Field::new("_kafka_timestamp", utc(), false),
        Field::new("_key", DataType::Binary, true),
        Field::new("_raw_value", DataType::Binary, true),
        Field::new("_ingested_at", utc(), false),
        Field::new("_event_date", DataType::Date32, false),
    ]))
}

/// Rows of bronze without the partition column.
pub(crate) fn bronze_rows(rows: &[Row]) -> RecordBatch {
    let fields: Vec<_> = bronze_columns().fields().iter().take(8).cloned().collect();
    let times = |step: i64| -> ArrayRef {
        let values = rows.iter().map(|(_, offset, _)| DAY_US + offset * step);
        Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
    };
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|_| TOPIC))),
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|(partition, _, _)| *partition))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, offset, _)| *offset))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|_| LIFE))),
        times(1_001),
        Arc::new(BinaryArray::from_iter(rows.iter().map(|_| None::<&[u8]>))),
        Arc::new(BinaryArray::from_iter_values(rows.iter().map(|(_, _, value)| value.as_bytes()))),
        times(0),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("rows of bronze")
}

/// A dense stretch of one partition.
pub(crate) fn rows(partition: i32, offsets: std::ops::Range<i64>) -> Vec<Row> {
    offsets.map(|offset| (partition, offset, "payload")).collect()
}

/// Statistics as the pipeline would write them, of some columns.
pub(crate) fn statistics(rows: &[Row]) -> String {
    let offsets = || rows.iter().map(|(_, offset, _)| *offset);
    serde_json::json!({
        "numRecords": rows.len(),
        "minValues": {"_kafka_offset": offsets().min()},
        "maxValues": {"_kafka_offset": offsets().max()},
        "nullCount": {"_key": rows.len(), "_raw_value": 0},
    })
    .to_string()
}

impl LittleTable {
    /// An empty table.
    pub(crate) fn new(schema: &str, name: &str, columns: SchemaRef, partition: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pipeline = ("watertight.pipeline".to_owned(), PIPELINE.to_owned());
        let metadata = Metadata {
            id: "table-id".to_owned(),
            schema_string: String::new(),
            columns,
            partition_columns: vec![partition.to_owned()],
            configuration: BTreeMap::from([pipeline]),
        };
        let table = Table {
            name: TableName { schema: schema.to_owned(), name: name.to_owned() },
            folder: folder.path().to_owned(),
            commits: Vec::new(),
            checkpoint: None,
            live: BTreeMap::new(),
            txns: BTreeMap::new(),
            metadata,
            version: 0,
        };
        let mut little = Self { _folder: folder, table };
        let create = Books { kind: "create".to_owned(), commit_id: "create".to_owned(), ..little.blank() };
        little.commit(Origin::Ours(Box::new(create)), Vec::new(), &[]);
        little
    }

    /// `bronze.orders`.
    pub(crate) fn bronze() -> Self {
        Self::new("bronze", "orders", bronze_columns(), "_event_date")
    }

    pub(crate) fn blank(&self) -> Books {
        Books { format: 1, pipeline: PIPELINE.to_owned(), ..Books::default() }
    }

    /// Where a file is.
    pub(crate) fn path(&self, add: &Add) -> PathBuf {
        self.table.folder.join(&add.path)
    }

    /// Writes a file; it is not live before a commit adds it.
    pub(crate) fn write(&self, rows: &RecordBatch, stats: &str) -> Add {
        let names = std::fs::read_dir(&self.table.folder).expect("the folder").count();
        let path = format!("part-{names}.parquet");
        let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
        let file = File::create(self.table.folder.join(&path)).expect("a file");
        let mut writer = ArrowWriter::try_new_with_options(file, rows.schema(), options).expect("a writer");
        writer.write(rows).expect("written");
        writer.close().expect("closed");
        let mut add = Add {
            path,
            partition_values: BTreeMap::new(),
            size: 0,
            modification_time_ms: 0,
            data_change: true,
            stats: Some(stats.to_owned()),
        };
        let column = self.table.metadata.partition_columns.first().cloned().unwrap_or_default();
        add.partition_values.insert(column, Some(DAY.to_owned()));
        add.size = std::fs::metadata(self.path(&add)).expect("it is there").len();
        add
    }

    /// Writes rows of bronze.
    pub(crate) fn write_rows(&self, rows: &[Row]) -> Add {
        self.write(&bronze_rows(rows), &statistics(rows))
    }

    /// Books over these rows that carry on the newest append. Ranges go from where each partition ended.
    pub(crate) fn books(&self, rows: &[Row], gaps: &[(i32, Declared)]) -> Books {
        let previous = self.table.commits.iter().rev().filter(|commit| commit.is_append()).find_map(Commit::books);
        let end = |partition: i32| {
            let appends = self.table.commits.iter().rev().filter(|commit| commit.is_append());
            let mut entries = appends.filter_map(Commit::books).flat_map(|books| &books.entries);
            entries.find(|entry| entry.partition == partition).map_or(0, |entry| entry.to)
        };
        let mut by_partition: BTreeMap<i32, Entry> = BTreeMap::new();
        let blank = |partition: i32| {
            let from = end(partition);
            let checksum = String::new();
            Entry { partition, from, to: from, outcome: Counts::default(), checksum, gaps: Vec::new() }
        };
        let mut sums: BTreeMap<i32, u128> = BTreeMap::new();
        for (partition, offset, value) in rows {
            let entry = by_partition.entry(*partition).or_insert_with(|| blank(*partition));
            entry.to = entry.to.max(offset + 1);
            entry.outcome.records += 1;
            let one = checksum::record(*partition, *offset, None, Some(value.as_bytes()));
            let sum = sums.entry(*partition).or_default();
            *sum = sum.wrapping_add(one);
        }
        for (partition, gap) in gaps {
            let entry = by_partition.entry(*partition).or_insert_with(|| blank(*partition));
            entry.to = entry.to.max(gap.to);
            entry.outcome.no_record += gap.from.abs_diff(gap.to);
            entry.gaps.push(*gap);
        }
        for entry in by_partition.values_mut() {
            entry.checksum = format!("{:032x}", sums.get(&entry.partition).copied().unwrap_or(0));
        }
        let mut books = self.blank();
        books.kind = "append".to_owned();
        books.commit_id = format!("commit-{}", self.table.commits.len());
        (books.topic, books.incarnation) = (TOPIC.to_owned(), LIFE.to_owned());
        books.entries = by_partition.into_values().collect();
        books.rows = rows.len() as u64;
        books.rows_total = books.rows;
        if let Some(previous) = previous {
            books.follows = Some(previous.commit_id.clone());
            books.rows_total += previous.rows_total;
            books.totals = previous.totals;
        }
        for entry in &books.entries {
            books.totals.records += entry.outcome.records;
            books.totals.no_record += entry.outcome.no_record;
        }
        books
    }

    /// Commits where partitions begin, as the pipeline does before it has read anything of them.
    pub(crate) fn begin(&mut self, starts: &[(i32, i64)]) -> u64 {
        let mut books = self.books(&[], &[]);
        let (outcome, checksum) = (Counts::default(), format!("{:032x}", 0));
        let entry = |(partition, at): &(i32, i64)| Entry {
            partition: *partition,
            from: *at,
            to: *at,
            outcome,
            checksum: checksum.clone(),
            gaps: Vec::new(),
        };
        books.entries = starts.iter().map(entry).collect();
        self.commit(Origin::Ours(Box::new(books)), Vec::new(), &[])
    }

    /// Appends rows as the pipeline does; gives the version.
    pub(crate) fn append(&mut self, rows: &[Row]) -> u64 {
        let books = self.books(rows, &[]);
        let add = self.write_rows(rows);
        self.commit(Origin::Ours(Box::new(books)), vec![add], &[])
    }

    /// Commits files; positions follow the books.
    pub(crate) fn commit(&mut self, origin: Origin, adds: Vec<Add>, removed: &[String]) -> u64 {
        let version = self.table.commits.len() as u64;
        let entries = match &origin {
            Origin::Ours(books) => books.entries.clone(),
            Origin::Unreadable(_) | Origin::Foreign(_) => Vec::new(),
        };
        let key = |partition: i32| format!("watertight/{PIPELINE}/{TOPIC}/{LIFE}/{partition}");
        let txns: Vec<(String, i64)> = entries.iter().map(|entry| (key(entry.partition), entry.to)).collect();
        let data_change = !matches!(origin, Origin::Foreign(_));
        for path in removed {
            self.table.live.remove(path);
        }
        for add in &adds {
            self.table.live.insert(add.path.clone(), LiveFile { add: add.clone(), version });
        }
        self.table.txns.extend(txns.iter().cloned());
        let removes = removed.iter().map(|path| Remove { path: path.clone(), data_change }).collect();
        let (metadata, protocol) = (None, None);
        self.table.commits.push(Commit {
            version,
            timestamp_us: DAY_US,
            origin,
            adds,
            removes,
            txns,
            metadata,
            protocol,
        });
        self.table.version = version;
        version
    }

    /// Takes the entries up to a version out of the log, as a clean-up behind a checkpoint does; gives the copies of their
    /// books.
    pub(crate) fn clean_up(&mut self, at: u64) -> Copies {
        let name = self.table.name.to_string();
        let all = std::mem::take(&mut self.table.commits);
        let (gone, left): (Vec<Commit>, Vec<Commit>) = all.into_iter().partition(|commit| commit.version <= at);
        (self.table.commits, self.table.checkpoint) = (left, Some(at));
        for live in self.table.live.values_mut() {
            live.version = live.version.max(at);
        }
        let copy = |commit: &Commit| {
            let copied = CopiedBooks::of(commit.books()?.clone());
            Some(((name.clone(), commit.version), Arc::new(copied)))
        };
        gone.iter().filter_map(copy).collect()
    }

    /// Another program rewrites files: it says that no row changed.
    pub(crate) fn rewrite(&mut self, rows: &[Row], removed: &[String]) -> u64 {
        let mut add = self.write_rows(rows);
        add.data_change = false;
        self.commit(Origin::Foreign("OPTIMIZE by another program".to_owned()), vec![add], removed)
    }

    /// Alters the books of a version.
    pub(crate) fn alter(&mut self, version: usize, change: impl FnOnce(&mut Books)) {
        match &mut self.table.commits[version].origin {
            Origin::Ours(books) => change(books),
            _ => panic!("version {version} has no books"),
        }
    }

    /// The facts of its files, entering what is wrong.
    pub(crate) fn facts(&self, findings: &Findings) -> TableFacts {
        facts::gather(&self.table, &request(), &Silent, findings)
    }
}

/// Everything is looked at.
pub(crate) fn request() -> Request {
    Request {
        lake: PathBuf::new(),
        scope: Scope::default(),
        ledgers: Vec::new(),
        scratch: std::env::temp_dir(),
        memory_bytes_max: 1 << 24,
        threads: 2,
        now_us: DAY_US,
    }
}

/// What was found, and nothing that could not be checked.
pub(crate) fn found(findings: Findings) -> Vec<Finding> {
    let kept = findings.into_kept();
    assert!(kept.unable.is_empty(), "{:?}", kept.unable);
    kept.findings
}

/// The codes of what was found.
pub(crate) fn codes(findings: &[Finding]) -> Vec<Code> {
    findings.iter().map(|finding| finding.code).collect()
}
