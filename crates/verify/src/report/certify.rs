//! Making a certificate's statement: the tables of a balanced report are read once more, and summed.
//!
//! Contract: only a balanced report of the whole lake gives one.
//! Never: vouches for what was not verified: when the tables no longer hold what the report counted, there is none.

use super::certificate::{CertifiedColumn, CertifiedRange, CertifiedTable, CertifiedWindows, FORMAT, Statement, WHAT};
use super::checksum::{TableChecksum, type_name};
use super::sums::{self, Failure, Offsets, Selection, Task};
use super::{Range, Report, TableReport, Verdict};
use crate::finding::{Findings, Unable};
use crate::lake::{self, Table};
use crate::request::{Progress, Request};
use crate::rows::{FileProblem, Layer};
use std::collections::BTreeMap;

/// Why there is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The report says something else than balanced.
    #[error("only a balanced report gives a certificate; see the findings")]
    NotBalanced,
    /// Not everything was looked at.
    #[error("a certificate is for the whole lake: leave out --quick, --table, --partition, --since and --until")]
    Partial,
    /// The tables no longer hold what the report counted.
    #[error("the tables changed while they were checked: {0}; verify again")]
    Changed(String),
    /// They cannot be read any more.
    #[error(transparent)]
    Unable(#[from] Unable),
}

/// Reads the tables that a balanced report covers once more, and states what they hold.
///
/// # Errors
/// [`Refused`]; then nothing is vouched for.
pub fn certify(report: &Report, request: &Request, progress: &dyn Progress) -> Result<Statement, Refused> {
    if report.verdict != Verdict::Balanced {
        return Err(Refused::NotBalanced);
    }
    let scope = &request.scope;
    let whole = !scope.quick
        && scope.tables.is_empty()
        && scope.partitions.is_empty()
        && scope.since.is_none()
        && scope.from_versions.is_empty()
        && scope.until.is_none();
    if !whole {
        return Err(Refused::Partial);
    }
    let tables = observe(request)?;
    let certified = report.tables.iter().map(|told| match tables.get(&told.table) {
        Some(table) if table.version >= told.last_version => of_table(told, table, request, progress),
        Some(table) => Err(Refused::Changed(format!(
            "{} was at version {} and is at {}",
            told.table, told.last_version, table.version
        ))),
        None => Err(Refused::Changed(format!("{} is gone", told.table))),
    });
    let certified: Vec<CertifiedTable> = certified.collect::<Result<_, _>>()?;
    Ok(Statement {
        what: WHAT.to_owned(),
        format: FORMAT,
        tool: report.tool.clone(),
        at: report.at.clone(),
        at_us: report.at_us,
        pipeline_name: report.pipeline_name.clone(),
        pipeline: report.pipeline.clone(),
        pipeline_file_sha256: report.pipeline_file_sha256.clone(),
        lake: report.lake.clone(),
        streams: report.streams.clone(),
        tables: certified,
    })
}

/// All tables of the lake by name. What is wrong with them is another check's to find.
pub(super) fn observe(request: &Request) -> Result<BTreeMap<String, Table>, Unable> {
    let elsewhere = Findings::default();
    let names = lake::find_tables(&request.lake)?;
    let mut tables = BTreeMap::new();
    for name in names {
        tables.insert(name.to_string(), Table::observe(&request.lake, &name, &elsewhere)?);
    }
    Ok(tables)
}

/// Names and types of all columns.
pub(super) fn columns(table: &Table) -> Vec<CertifiedColumn> {
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| CertifiedColumn {
        name: field.name().clone(),
        type_name: type_name(field.data_type()),
    };
    table.metadata.columns.fields().iter().map(column).collect()
}

fn of_table(
    told: &TableReport,
    table: &Table,
    request: &Request,
    progress: &dyn Progress,
) -> Result<CertifiedTable, Refused> {
    let columns = columns(table);
    let mut certified = CertifiedTable {
        table: told.table.clone(),
        version: told.last_version,
        columns: Vec::new(),
        ranges: Vec::new(),
        windows: None,
        not_certified: Vec::new(),
    };
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let sum = |selection: Selection<'_>| {
        let task = Task { table, columns: &names, selection, version_max: None };
        sums::over(&task, request, progress).map_err(|failure| refused(&told.table, failure))
    };
    match table.name.schema.as_str() {
        "bronze" | "silver" if Layer::of(table) != Layer::Gaps => {
            let by_incarnation = names.contains(&"_log_incarnation");
            let (ranges, left_out) = tellable(&told.ranges, by_incarnation);
            let sums = sum(Selection::Offsets(ranges.iter().map(|range| offsets(range)).collect()))?;
            for (range, sum) in ranges.iter().zip(sums) {
                certified.ranges.push(of_range(&told.table, range, sum)?);
            }
            certified.not_certified = left_out;
        }
        "gold" if names.contains(&"window_end") => {
            if let Some(closed_until_us) = told.closed_until_us {
                let sum = sum(Selection::Windows(closed_until_us))?.first().copied().unwrap_or_default();
                same_rows(&told.table, told.rows, sum.rows)?;
                let (rows, rows_checksum) = (sum.rows, sum.hex());
                certified.windows = Some(CertifiedWindows { closed_until_us, rows, rows_checksum });
            } else {
                certified.not_certified.push("no window was closed".to_owned());
            }
        }
        _ => certified.not_certified.push("only its version is stated, not its rows".to_owned()),
    }
    certified.columns = columns;
    Ok(certified)
}

/// The ranges whose rows are told apart by partition and offset, and a word on each of the others: silver has no column
/// for the incarnation of the topic.
fn tellable(ranges: &[Range], by_incarnation: bool) -> (Vec<&Range>, Vec<String>) {
    let lives = |partition: i32| ranges.iter().filter(|range| range.partition == partition).count();
    let (told, others): (Vec<&Range>, Vec<&Range>) =
        ranges.iter().partition(|range| by_incarnation || lives(range.partition) == 1);
    let word = |range: &&Range| {
        format!(
            "partition {} of incarnation {} of topic {}: the table has rows of that number of another topic, or of another \
             life of this one, and they are not told apart",
            range.partition, range.incarnation, range.topic
        )
    };
    let others = others.iter().map(word).collect();
    (told, others)
}

fn offsets(range: &Range) -> Offsets<'_> {
    Offsets { incarnation: &range.incarnation, partition: range.partition, from: range.from, to: range.to }
}

fn of_range(table: &str, range: &Range, sum: TableChecksum) -> Result<CertifiedRange, Refused> {
    same_rows(&format!("{table}, partition {}", range.partition), range.rows, sum.rows)?;
    Ok(CertifiedRange {
        topic: range.topic.clone(),
        incarnation: range.incarnation.clone(),
        partition: range.partition,
        from: range.from,
        to: range.to,
        rows: sum.rows,
        rows_checksum: sum.hex(),
        records_checksum: range.checksum.clone(),
    })
}

fn same_rows(of: &str, told: Option<u64>, found: u64) -> Result<(), Refused> {
    match told {
        Some(told) if told != found => {
            Err(Refused::Changed(format!("{of} had {told} rows when it was verified and has {found}")))
        }
        _ => Ok(()),
    }
}

fn refused(table: &str, failure: Failure) -> Refused {
    match failure.problem {
        FileProblem::Wrong { what, .. } => Refused::Changed(format!("{table}, file {}: {what}", failure.file)),
        FileProblem::Unable(unable) => Refused::Unable(unable),
    }
}
