//! Checksums over the rows of a table that lie in given ranges, read from its live files.
//!
//! A file is read once, batch by batch, on as many threads as the request allows; nothing but sums is kept.

use super::checksum::{RowChecksums, TableChecksum};
use crate::finding::{Place, Unable};
use crate::lake::{LiveFile, Table};
use crate::request::{Progress, Request};
use crate::rows::{DataFile, FileProblem};
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Offsets `from..to` of a partition.
#[derive(Debug, Clone)]
pub(super) struct Offsets<'a> {
    /// Incarnation of the topic; not looked at where the table does not hold it.
    pub(super) incarnation: &'a str,
    pub(super) partition: i32,
    pub(super) from: i64,
    pub(super) to: i64,
}

/// Which rows.
#[derive(Debug, Clone)]
pub(super) enum Selection<'a> {
    /// Those in these ranges; a sum for each. The incarnation counts where the table has the column.
    Offsets(Vec<Offsets<'a>>),
    /// Those of windows that end at or before this; one sum.
    Windows(i64),
}

impl Selection<'_> {
    fn sums(&self) -> usize {
        match self {
            Self::Offsets(ranges) => ranges.len(),
            Self::Windows(_) => 1,
        }
    }
}

/// What is to be summed.
pub(super) struct Task<'a> {
    pub(super) table: &'a Table,
    /// The columns whose values count, in this order.
    pub(super) columns: &'a [&'a str],
    pub(super) selection: Selection<'a>,
    /// Only files that were added at or before this version.
    pub(super) version_max: Option<u64>,
}

/// Why there are no sums.
#[derive(Debug)]
pub(super) struct Failure {
    /// The file that was being read.
    pub(super) file: String,
    pub(super) problem: FileProblem,
}

/// The sums over all files, in the order of the selection.
pub(super) fn over(task: &Task<'_>, request: &Request, progress: &dyn Progress) -> Result<Vec<TableChecksum>, Failure> {
    let wanted = |file: &&LiveFile| task.version_max.is_none_or(|max| file.version <= max);
    let files: Vec<&LiveFile> = task.table.live.values().filter(wanted).collect();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let part = format!("certificate {}", task.table.name);
    let work = || -> Result<Vec<TableChecksum>, Failure> {
        let mut sums = vec![TableChecksum::default(); task.selection.sums()];
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            add_file(task, file, &mut sums)
                .map_err(|problem| Failure { file: file.add.path.clone(), problem })
                .inspect_err(|_| next.store(files.len(), Ordering::Relaxed))?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress.at(&part, done as u64, files.len() as u64);
        }
        Ok(sums)
    };
    std::thread::scope(|scope| {
        let helpers = request.threads.min(files.len()).saturating_sub(1);
        // A thread that the system refuses is done without.
        let helpers: Vec<_> =
            (0..helpers).filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok()).collect();
        let mut sums = work();
        for helper in helpers {
            let theirs = helper.join().unwrap_or_else(|_| Err(panicked(task.table)));
            sums = match (sums, theirs) {
                (Ok(ours), Ok(theirs)) => Ok(merged(ours, theirs)),
                (Err(failure), _) | (_, Err(failure)) => Err(failure),
            };
        }
        sums
    })
}

fn merged(mut ours: Vec<TableChecksum>, theirs: Vec<TableChecksum>) -> Vec<TableChecksum> {
    ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| ours.merge(theirs));
    ours
}

fn panicked(table: &Table) -> Failure {
    let why = "a defect of verify: a thread that computed checksums panicked".to_owned();
    let place = Place::table(&table.name.to_string());
    Failure { file: String::new(), problem: FileProblem::Unable(Unable { place, why }) }
}

fn add_file(task: &Task<'_>, file: &LiveFile, sums: &mut [TableChecksum]) -> Result<(), FileProblem> {
    for batch in DataFile::open(task.table, file)?.batches(task.columns) {
        add_batch(task, &batch?, sums)?;
    }
    Ok(())
}

fn add_batch(task: &Task<'_>, batch: &RecordBatch, sums: &mut [TableChecksum]) -> Result<(), Unable> {
    let columns: Result<Vec<ArrayRef>, Unable> =
        task.columns.iter().map(|name| column(task.table, batch, name).cloned()).collect();
    let columns = columns?;
    let mut checksums = RowChecksums::new(&columns)?;
    match &task.selection {
        Selection::Offsets(ranges) => {
            let positions = Positions::of(task.table, batch)?;
            let mut last = 0;
            for row in 0..batch.num_rows() {
                let Some(range) = positions.range(row, ranges, last) else { continue };
                last = range;
                if let Some(sum) = sums.get_mut(range) {
                    sum.add(checksums.row_checksum(row));
                }
            }
        }
        Selection::Windows(closed_until_us) => {
            let ends = instants(task.table, batch, "window_end")?;
            let Some(sum) = sums.first_mut() else { return Ok(()) };
            for row in 0..batch.num_rows() {
                if ends.is_valid(row) && ends.value(row) <= *closed_until_us {
                    sum.add(checksums.row_checksum(row));
                }
            }
        }
    }
    Ok(())
}

/// Where the rows of a batch come from.
struct Positions<'a> {
    incarnations: Option<&'a ArrayRef>,
    partitions: &'a Int32Array,
    offsets: &'a Int64Array,
}

impl<'a> Positions<'a> {
    fn of(table: &Table, batch: &'a RecordBatch) -> Result<Self, Unable> {
        let partitions = column(table, batch, "_kafka_partition")?.as_primitive_opt::<Int32Type>();
        let offsets = column(table, batch, "_kafka_offset")?.as_primitive_opt::<Int64Type>();
        let (Some(partitions), Some(offsets)) = (partitions, offsets) else {
            return Err(unable(table, "the columns of positions have other types than they should"));
        };
        Ok(Self { incarnations: batch.column_by_name("_log_incarnation"), partitions, offsets })
    }

    /// The range that holds the row; `last` is looked at first, since rows of a partition stand together.
    fn range(&self, row: usize, ranges: &[Offsets<'_>], last: usize) -> Option<usize> {
        if self.partitions.is_null(row) || self.offsets.is_null(row) {
            return None;
        }
        let (partition, offset) = (self.partitions.value(row), self.offsets.value(row));
        let holds = |range: &Offsets<'_>| {
            range.partition == partition
                && (range.from..range.to).contains(&offset)
                && self.incarnations.is_none_or(|column| text(column, row) == Some(range.incarnation))
        };
        if ranges.get(last).is_some_and(holds) { Some(last) } else { ranges.iter().position(holds) }
    }
}

fn column<'a>(table: &Table, batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, Unable> {
    batch.column_by_name(name).ok_or_else(|| unable(table, &format!("column {name} is not among those that were read")))
}

fn instants<'a>(table: &Table, batch: &'a RecordBatch, name: &str) -> Result<&'a TimestampMicrosecondArray, Unable> {
    let column = column(table, batch, name)?;
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => Ok(column.as_primitive::<TimestampMicrosecondType>()),
        other => Err(unable(table, &format!("column {name} should hold timestamps and holds {other}"))),
    }
}

fn text(column: &ArrayRef, row: usize) -> Option<&str> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(column.as_string_view().value(row)),
        _ => None,
    }
}

fn unable(table: &Table, why: &str) -> Unable {
    Unable { place: Place::table(&table.name.to_string()), why: why.to_owned() }
}
