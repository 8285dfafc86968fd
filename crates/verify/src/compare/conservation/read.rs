//! The rows of a table at given positions, in order of position.
//!
//! Contract: every live row at the wanted positions is found, once for each time that it stands there. A batch is kept
//! whole where all its rows are wanted, filtered otherwise; nothing is copied per row. A file that fails here (it was
//! readable when the facts were gathered) is named, and what it may hold is not judged.

use super::columns::{Columns, positions, typed};
use super::files::{Range, Source};
use crate::lake::Table;
use crate::rows::{DataFile, FileProblem};
use arrow::array::{Array, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where the row of a position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) partition: i32,
    pub(super) offset: i64,
    batch: u32,
    row: u32,
}

/// Rows by position.
#[derive(Debug)]
pub(super) struct Rows<C> {
    batches: Vec<C>,
    spots: Vec<Spot>,
    /// Files that could not be read, and why.
    pub(super) failed: Vec<(String, String)>,
}

impl<C> Rows<C> {
    /// No rows, because of a failure that no file is to blame for.
    pub(super) fn none(why: String) -> Self {
        Self { batches: Vec::new(), spots: Vec::new(), failed: vec![(String::new(), why)] }
    }

    /// The rows of `from..to` of a partition, in order of offset.
    pub(super) fn between(&self, partition: i32, from: i64, to: i64) -> &[Spot] {
        let below =
            |offset: i64| self.spots.partition_point(|spot| (spot.partition, spot.offset) < (partition, offset));
        self.spots.get(below(from)..below(to)).unwrap_or(&[])
    }

    /// The columns of a row, and its number within them.
    pub(super) fn at(&self, spot: &Spot) -> Option<(&C, usize)> {
        Some((self.batches.get(spot.batch as usize)?, spot.row as usize))
    }
}

/// What is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) incarnation: String,
    /// By partition: sorted, apart from one another.
    pub(super) ranges: BTreeMap<i32, Vec<Range>>,
}

impl Wanted {
    fn has(&self, partition: i32, offset: i64) -> bool {
        let Some(ranges) = self.ranges.get(&partition) else { return false };
        let behind = ranges.partition_point(|(from, _)| *from <= offset);
        behind.checked_sub(1).and_then(|index| ranges.get(index)).is_some_and(|(_, to)| offset < *to)
    }
}

/// Reads the wanted rows.
pub(super) fn gather<C: Columns>(table: &Table, sources: &[Source<'_>], wanted: &Wanted) -> Rows<C> {
    let mut rows = Rows { batches: Vec::new(), spots: Vec::new(), failed: Vec::new() };
    for source in sources {
        if !source.may_hold(&wanted.incarnation, &wanted.ranges) {
            continue;
        }
        let settled = C::HAS_INCARNATION || source.incarnation.is_some();
        if let Err(why) = read_file(table, source, settled, wanted, &mut rows) {
            rows.failed.push((source.path.to_owned(), why));
        }
    }
    if !rows.spots.is_sorted() {
        rows.spots.sort_unstable();
    }
    rows
}

fn read_file<C: Columns>(
    table: &Table,
    source: &Source<'_>,
    settled: bool,
    wanted: &Wanted,
    rows: &mut Rows<C>,
) -> Result<(), String> {
    let path: Arc<str> = Arc::from(source.path);
    for batch in open(table, source, C::NAMES)? {
        let batch = batch.map_err(|problem| problem.to_string())?;
        let Some(batch) = select::<C>(&batch, wanted)? else { continue };
        let (partitions, offsets) = positions(&batch)?;
        let number = u32::try_from(rows.batches.len()).map_err(|_| "too many batches at once".to_owned())?;
        let pairs = (0_u32..).zip(partitions.values().iter().zip(offsets.values()));
        rows.spots.extend(pairs.map(|(row, (partition, offset))| Spot {
            partition: *partition,
            offset: *offset,
            batch: number,
            row,
        }));
        rows.batches.push(C::of(&batch, &path, settled)?);
    }
    Ok(())
}

/// A file's batches.
pub(super) fn open(
    table: &Table,
    source: &Source<'_>,
    columns: &[&str],
) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, FileProblem>> + Send>, String> {
    let file = DataFile::open(table, source.file).map_err(|problem| problem.to_string())?;
    Ok(file.batches(columns))
}

/// The wanted rows of a batch; `None` where there are none.
fn select<C: Columns>(batch: &RecordBatch, wanted: &Wanted) -> Result<Option<RecordBatch>, String> {
    let (partitions, offsets) = positions(batch)?;
    let incarnations: Option<StringArray> = match C::HAS_INCARNATION {
        true => Some(typed(batch, "_log_incarnation", &DataType::Utf8)?),
        false => None,
    };
    let is_wanted = |row: usize| {
        !partitions.is_null(row)
            && !offsets.is_null(row)
            && incarnations.as_ref().is_none_or(|of| !of.is_null(row) && of.value(row) == wanted.incarnation)
            && wanted.has(partitions.value(row), offsets.value(row))
    };
    let mask: Vec<bool> = (0..batch.num_rows()).map(is_wanted).collect();
    match mask.iter().filter(|wanted| **wanted).count() {
        0 => Ok(None),
        all if all == mask.len() => Ok(Some(batch.clone())),
        _ => filter_record_batch(batch, &BooleanArray::from(mask)).map(Some).map_err(|error| error.to_string()),
    }
}
