//! `silver.<stream>_gaps`: the stretches of offsets that were declared lost, one row each, with their cause.
//!
//! Contract: a gap is here before silver's position passes it, as dead letters are; what a crash in between left behind
//! silver is recognised by this table's own position and not written twice. The books say of which stretch of a partition
//! a commit lists the gaps, and repeat them. The table is made with its first row: a lake that lost nothing has none.

use crate::feed::utc_day;
use crate::runtime::{CommitFailure, Committer, Draft, StreamIdentity};
use arrow::array::{
    ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{Field, SchemaRef};
use arrow::error::ArrowError;
use std::collections::BTreeMap;
use std::sync::Arc;
use watertight_core::books::{Entry, Layer, Outcome};
use watertight_core::port::{ErrorKind, Gap, GapCause, Lake, LakeTable, PortError, TableSpec};
use watertight_core::schema::{GAPS_PARTITION, gaps_schema};

/// The gaps of one stream.
pub struct GapsTable {
    lake: Arc<dyn Lake>,
    spec: TableSpec,
    table: Option<Box<dyn LakeTable>>,
}

impl GapsTable {
    /// Of this stream; nothing is opened or made.
    #[must_use]
    pub fn new(lake: Arc<dyn Lake>, pipeline: &str, stream: &str) -> Self {
        let spec = TableSpec {
            schema_name: "silver".to_owned(),
            table: format!("{stream}_gaps"),
            columns: Arc::new(gaps_schema()),
            partition_column: GAPS_PARTITION.to_owned(),
            pipeline: pipeline.to_owned(),
        };
        Self { lake, spec, table: None }
    }

    /// Lists what the entries of a commit of silver declare lost, as far as it is not listed.
    ///
    /// # Errors
    /// See [`CommitFailure`].
    pub(super) fn commit(
        &mut self,
        identity: &StreamIdentity,
        entries: &BTreeMap<i32, Entry>,
        declared_at_us: i64,
        committer: &Committer<'_>,
    ) -> Result<(), CommitFailure> {
        if entries.values().all(|entry| entry.gaps.is_empty()) {
            return Ok(());
        }
        let (lake, spec, slot) = (&self.lake, &self.spec, &mut self.table);
        let table = match slot {
            Some(table) => table,
            None => slot.insert(committer.retry("open a table", || lake.open(spec))?),
        };
        let stored = identity.positions(table.state());
        let mut books = identity.books(committer.fresh_id());
        let mut rows: Vec<(i32, Gap)> = Vec::new();
        for Entry { partition, from, to, gaps, .. } in entries.values() {
            let from = stored.get(partition).copied().unwrap_or(*from);
            let left = gaps.iter().filter(|gap| gap.to > from);
            let gaps: Vec<Gap> = left.map(|gap| Gap { from: gap.from.max(from), ..*gap }).collect();
            if gaps.is_empty() {
                continue;
            }
            rows.extend(gaps.iter().map(|gap| (*partition, *gap)));
            let lost: u64 = gaps.iter().map(|gap| (gap.to - gap.from).unsigned_abs()).sum();
            let outcome = Outcome { lost, ..Outcome::default() };
            books.entries.push(Entry { partition: *partition, from, to: *to, outcome, gaps, ..Entry::default() });
        }
        if rows.is_empty() {
            return Ok(());
        }
        books.rows = rows.len() as u64;
        let mut watch = committer.stopwatch();
        let batch = gap_rows(&table.columns(), identity, &rows, declared_at_us)
            .map_err(|e| PortError::caused(ErrorKind::Bug, "the rows of gaps could not be built", e))?;
        books.took.build_us = Some(watch.lap_us());
        let file = committer.retry("stage gaps", || table.stage(utc_day(declared_at_us), &batch))?;
        let steps = identity.steps(&stored, &books);
        let draft = Draft { layer: Layer::Gaps, steps, files: vec![file], books };
        committer.append(table.as_mut(), draft).map(drop)
    }
}

/// The rows in the table's columns, which may be more than ours.
fn gap_rows(
    schema: &SchemaRef,
    identity: &StreamIdentity,
    rows: &[(i32, Gap)],
    declared_at_us: i64,
) -> Result<RecordBatch, ArrowError> {
    let count = rows.len();
    let text = |of: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(of, count))) };
    let column = |field: &Arc<Field>| -> ArrayRef {
        match field.name().as_str() {
            "_kafka_topic" => text(&identity.topic),
            "_log_incarnation" => text(&identity.incarnation),
            "_kafka_partition" => Arc::new(Int32Array::from_iter_values(rows.iter().map(|(partition, _)| *partition))),
            "from_offset" => Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, gap)| gap.from))),
            "to_offset" => Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, gap)| gap.to))),
            "cause" => Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, gap)| name(gap.cause)))),
            "declared_at" => {
                Arc::new(TimestampMicrosecondArray::from_value(declared_at_us, count).with_timezone("UTC"))
            }
            GAPS_PARTITION => Arc::new(Date32Array::from_value(utc_day(declared_at_us), count)),
            _ => new_null_array(field.data_type(), count),
        }
    };
    RecordBatch::try_new(schema.clone(), schema.fields().iter().map(column).collect())
}

/// The cause as the books have it.
fn name(cause: GapCause) -> &'static str {
    match cause {
        GapCause::NoRecord => "no_record",
        GapCause::Damaged => "damaged",
        GapCause::Retention => "retention",
    }
}
