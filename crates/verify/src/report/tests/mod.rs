//! Reports and little tables for the tests of this folder, and the tests of what a report says as a whole.

mod certificate;
mod forms;
mod schema;

use super::certificate::{CertifiedColumn, CertifiedRange, CertifiedTable, CertifiedWindows, FORMAT, Statement, WHAT};
use super::certify::columns;
use super::{Balance, CertificateReport, Counted, Part, Range, Report, Reported, ScopeReport, TableReport, Verdict};
use super::{LedgerRange, LedgerReport};
use crate::finding::{Code, Finding, Findings, Kept, Place, Unable};
use crate::lake::{Add, LiveFile, Metadata, Table, TableName};
use crate::request::{Request, Scope};
use arrow::array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What stands in file names and event ids where somebody means ill.
pub(super) const HOSTILE: &str = "<script>alert('1')</script>\"\u{1b}[2J";

fn finding(code: Code, place: Place) -> Reported {
    Finding { code, place, what: "the books say 7, the files hold 6".to_owned() }.into()
}

/// A report in which everything that may be left out is there.
pub(super) fn full() -> Report {
    let lost = Place::table("bronze.ticks").at_version(3).in_file(HOSTILE).of_partition(2).offsets(10, 12);
    let value = Place::table("silver.ticks").event(HOSTILE).in_column("price").in_window("2026-11-25T02:55:00Z, AAPL");
    let whole = Place { table: Some("gold.candles".to_owned()), ..lost.clone() };
    let whole = whole.event("e-7").in_column("price").in_window("2026-11-25T02:55:00Z, AAPL");
    let part = |check: &str, of: &str, unit: &str| Part {
        check: check.to_owned(),
        of: of.to_owned(),
        looked_at: 12_345,
        unit: unit.to_owned(),
    };
    Report {
        format: super::FORMAT,
        tool: "watertight 0.1.0".to_owned(),
        pipeline_name: Some("stocks".to_owned()),
        pipeline: Some("d7b5aee9-0d8c-421f-80ed-71693032932c".to_owned()),
        pipeline_file_sha256: Some("0".repeat(64)),
        lake: "data/lake".to_owned(),
        at: "2026-11-25T03:00:00.000000Z".to_owned(),
        at_us: 1_795_575_600_000_000,
        seconds: 1.25,
        memory_bytes_peak: Some(64 << 20),
        scope: ScopeReport {
            tables: vec!["bronze.ticks".to_owned()],
            since: Some("version 1".to_owned()),
            until: Some("version 9".to_owned()),
            partitions: vec![2],
            quick: false,
            ledgers: vec!["led1.jsonl".to_owned()],
        },
        certificate: Some(CertificateReport {
            file: "c.json".to_owned(),
            at: "2026-11-24T03:00:00.000000Z".to_owned(),
            signature: "not signed".to_owned(),
        }),
        verdict: Verdict::Findings,
        findings: vec![finding(Code::OffsetsLost, lost), finding(Code::RowValue, value)],
        counts: BTreeMap::from([(Code::OffsetsLost, 1), (Code::RowValue, 1)]),
        unable: vec![
            Unable { place: Place::table("gold.candles"), why: "the disk refused".to_owned() },
            Unable { place: whole, why: "it refused again".to_owned() },
        ],
        parts: vec![
            part("Delta log", "bronze.ticks", "versions"),
            part("offsets", "bronze.ticks", "offsets"),
            part("conservation", "silver.ticks", "rows"),
            part("gold", "gold.candles", "windows"),
        ],
        ledgers: vec![LedgerReport {
            file: "led1.jsonl".to_owned(),
            topic: "ticks".to_owned(),
            incarnation: "0ef349a5".to_owned(),
            partitions: vec![LedgerRange { partition: 2, to: Some(97), above: 3, before: 2, ahead: 1 }],
        }],
        streams: vec![balance()],
        tables: vec![TableReport {
            table: "bronze.ticks".to_owned(),
            first_version: 0,
            last_version: 9,
            files: 3,
            rows: Some(98),
            counted: Counted::Rows,
            ranges: vec![Range {
                topic: "ticks".to_owned(),
                incarnation: "0ef349a5".to_owned(),
                partition: 2,
                from: 0,
                to: 100,
                rows: Some(98),
                checksum: Some("0".repeat(32)),
                missing: vec![(10, 12)],
                declared: vec![(40, 41)],
            }],
            closed_until_us: Some(1_795_575_360_000_000),
        }],
    }
}

pub(super) fn balance() -> Balance {
    Balance {
        stream: "ticks".to_owned(),
        counted: Counted::Rows,
        offsets: 60_001,
        no_record: 1,
        lost: 0,
        bronze: 60_000,
        silver: 19_997,
        late: 428,
        duplicates: 39_695,
        dead_letters: 308,
        withheld: 0,
        erased: 0,
        ahead: 0,
    }
}

/// A statement in which everything that may be left out is there.
pub(super) fn statement() -> Statement {
    Statement {
        what: WHAT.to_owned(),
        format: FORMAT,
        tool: "watertight 0.1.0".to_owned(),
        at: "2026-11-25T03:00:00.000000Z".to_owned(),
        at_us: 1_795_575_600_000_000,
        pipeline_name: Some("stocks".to_owned()),
        pipeline: Some("d7b5aee9".to_owned()),
        pipeline_file_sha256: Some("0".repeat(64)),
        lake: "data/lake".to_owned(),
        streams: vec![balance()],
        tables: vec![CertifiedTable {
            table: "bronze.ticks".to_owned(),
            version: 9,
            columns: vec![CertifiedColumn { name: "_kafka_offset".to_owned(), type_name: "long".to_owned() }],
            ranges: vec![CertifiedRange {
                topic: "ticks".to_owned(),
                incarnation: "0ef349a5".to_owned(),
                partition: 0,
                from: 0,
                to: 100,
                rows: 100,
                rows_checksum: "0".repeat(32),
                records_checksum: Some("1".repeat(32)),
            }],
            windows: Some(CertifiedWindows { closed_until_us: 5, rows: 7, rows_checksum: "2".repeat(32) }),
            not_certified: vec!["nothing".to_owned()],
        }],
    }
}

/// A request for everything in a folder.
pub(super) fn request(lake: &Path) -> Request {
    Request {
        lake: lake.to_owned(),
        scope: Scope::default(),
        ledgers: Vec::new(),
        scratch: lake.join("scratch"),
        memory_bytes_max: 1 << 20,
        threads: 2,
        now_us: 0,
    }
}

/// A row of a little table: partition, offset, payload.
pub(super) type Row<'a> = (i32, i64, &'a str);

/// `silver.ticks` in a folder, with a data file for each of `files`, all added by version 1.
pub(super) fn little_table(folder: &Path, files: &[&[Row<'_>]]) -> Table {
    let position = [
        Field::new("_kafka_partition", DataType::Int32, false),
        Field::new("_kafka_offset", DataType::Int64, false),
        Field::new("payload", DataType::Binary, true),
    ];
    let in_file = Arc::new(Schema::new(position.to_vec()));
    let date = Field::new("_event_date", DataType::Date32, false);
    let columns = Arc::new(Schema::new(position.into_iter().chain([date]).collect::<Vec<_>>()));
    let mut live = BTreeMap::new();
    for (index, rows) in files.iter().enumerate() {
        let path = format!("_event_date=2026-11-25/part-{index}.parquet");
        let file = folder.join(&path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("scratch");
        write(&file, &in_file, rows);
        let add = Add {
            path: path.clone(),
            partition_values: BTreeMap::from([("_event_date".to_owned(), Some("2026-11-25".to_owned()))]),
            size: std::fs::metadata(&file).expect("written").len(),
            modification_time_ms: 0,
            data_change: true,
            stats: Some(format!("{{\"numRecords\":{}}}", rows.len())),
        };
        live.insert(path, LiveFile { add, version: 1 });
    }
    Table {
        name: TableName { schema: "silver".to_owned(), name: "ticks".to_owned() },
        folder: folder.to_owned(),
        commits: Vec::new(),
        checkpoint: None,
        live,
        txns: BTreeMap::new(),
        metadata: Metadata {
            id: "1".to_owned(),
            schema_string: String::new(),
            columns,
            partition_columns: vec!["_event_date".to_owned()],
            configuration: BTreeMap::from([("watertight.pipeline".to_owned(), "d7b5aee9".to_owned())]),
        },
        version: 1,
    }
}

fn write(path: &Path, schema: &Arc<Schema>, rows: &[Row<'_>]) {
    let partitions = rows.iter().map(|(partition, _, _)| *partition);
    let offsets = rows.iter().map(|(_, offset, _)| *offset);
    let payloads = rows.iter().map(|(_, _, payload)| payload.as_bytes());
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_iter_values(partitions)),
        Arc::new(Int64Array::from_iter_values(offsets)),
        Arc::new(BinaryArray::from_iter_values(payloads)),
    ];
    let batch = RecordBatch::try_new(Arc::clone(schema), arrays).expect("columns of one length");
    let file = std::fs::File::create(path).expect("scratch");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(file, Arc::clone(schema), None).expect("a schema that it takes");
    writer.write(&batch).expect("written");
    writer.close().expect("written");
}

/// Name and type of every column of the little table.
pub(super) fn little_columns(table: &Table) -> Vec<CertifiedColumn> {
    columns(table)
}

fn kept(codes: &[Code], unable: usize) -> Kept {
    let findings = Findings::default();
    codes.iter().for_each(|code| findings.add(*code, Place::default(), "what"));
    for _ in 0..unable {
        findings.unable(Unable { place: Place::default(), why: "why".to_owned() });
    }
    findings.into_kept()
}

/// A report of nothing, over everything, to which `kept` was added.
fn judged(codes: &[Code], unable: usize) -> Report {
    let mut report = full();
    report.findings.clear();
    report.counts.clear();
    report.unable.clear();
    report.scope = ScopeReport::default();
    report.also(Vec::new(), kept(codes, unable));
    report
}

#[test]
fn a_fault_is_1_what_could_not_be_checked_is_2_and_notes_are_0() {
    let codes = |codes: &[Code], unable: usize| judged(codes, unable).exit_code();
    assert_eq!(codes(&[], 0), 0);
    assert_eq!(codes(&[Code::Orphan, Code::WindowLate], 0), 0);
    assert_eq!(codes(&[], 1), 2);
    assert_eq!(codes(&[Code::Orphan], 1), 2);
    assert_eq!(codes(&[Code::RowLost], 0), 1);
    assert_eq!(codes(&[Code::RowLost], 1), 1, "a known fault is not hidden by what could not be checked");
}

#[test]
fn findings_of_a_later_check_are_sorted_among_the_others() {
    let mut report = judged(&[Code::Orphan, Code::RowLost], 0);
    report.also(Vec::new(), kept(&[Code::VersionMissing, Code::RowLost], 0));
    let order: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(order, [Code::VersionMissing, Code::RowLost, Code::RowLost, Code::Orphan]);
    assert_eq!(report.counts.get(&Code::RowLost), Some(&2));
    assert_eq!(report.faults(), 3);
}

#[test]
fn what_was_counted_takes_the_place_of_the_books() {
    let mut report = full();
    let other = Balance { stream: "a".to_owned(), ..balance() };
    report.counted(vec![other, Balance { silver: 1, ..balance() }]);
    let streams: Vec<(&str, u64)> =
        report.streams.iter().map(|balance| (balance.stream.as_str(), balance.silver)).collect();
    assert_eq!(streams, [("a", 19_997), ("ticks", 1)]);
}

#[test]
fn a_balance_says_what_is_unaccounted_for() {
    assert_eq!(balance().difference(), 0);
    assert_eq!(Balance { silver: 19_996, ..balance() }.difference(), 1);
    assert_eq!(Balance { silver: u64::MAX, duplicates: u64::MAX, ..balance() }.difference().signum(), -1);
}
