//! Silver's rows as the table that a model's SQL reads.
//!
//! The table has silver's columns and then `window_start` and `window_end` (µs, UTC, half-open, aligned to the epoch).
//! Each pass over it shows the rows of one [`Selection`]: they are read while the query runs, only the columns that it
//! needs, a batch at a time, and never held as a whole. Late rows that a pass leaves out are counted by window.

use crate::finding::{Place, Unable};
use crate::lake::{LiveFile, Table};
use crate::rows::{DataFile, FileProblem};
use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray};
use arrow::compute::{CastOptions, cast_with_options, filter_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// The column that holds a window's first microsecond.
pub(super) const WINDOW_START: &str = "window_start";
/// The column that holds the first microsecond after a window.
pub(super) const WINDOW_END: &str = "window_end";
/// Silver's columns that decide whether a row is in a pass.
const DECIDING: [&str; 4] = ["_event_time", "_is_late_arriving", "_kafka_partition", "_kafka_offset"];
/// Batches that are read ahead of the query: one is decoded while another is computed with.
const BATCHES_AHEAD: usize = 2;

/// Timestamps as every table of ours has them.
pub(super) fn utc_timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// Batches of a table, or why they cannot be had.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, Box<Unable>>> + Send>;

/// Rows of silver that can be read any number of times.
pub(super) trait Rows: fmt::Debug + Send + Sync {
    /// Begins to read: batches with these columns at least, found by name.
    fn open(&self, columns: &[String]) -> Batches;
}

/// Rows of live files.
#[derive(Debug)]
pub(super) struct LiveRows {
    /// The table; its commits are not needed.
    pub table: Arc<Table>,
    /// Files of it.
    pub files: Vec<LiveFile>,
}

impl Rows for LiveRows {
    fn open(&self, columns: &[String]) -> Batches {
        let (table, columns) = (Arc::clone(&self.table), columns.to_vec());
        Box::new(self.files.clone().into_iter().flat_map(move |file| in_file(&table, &file, &columns)))
    }
}

/// The rows of one file. That a file is damaged is a finding of the check of files; here its rows are only not there.
pub(super) fn in_file(table: &Table, file: &LiveFile, columns: &[String]) -> Batches {
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let (of, path) = (table.name.to_string(), file.add.path.clone());
    let unable = move |problem: FileProblem| -> Box<Unable> {
        Box::new(match problem {
            FileProblem::Unable(unable) => unable,
            FileProblem::Wrong { what, .. } => Unable {
                place: Place::table(&of).in_file(&path),
                why: format!("{what}; the windows of its rows cannot be recomputed: restore the file first"),
            },
        })
    };
    match DataFile::open(table, file) {
        Ok(data) => Box::new(data.batches(&names).map(move |batch| batch.map_err(&unable))),
        Err(problem) => Box::new(std::iter::once(Err(unable(problem)))),
    }
}

/// Which rows a pass shows.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    /// Length of windows, microseconds.
    pub window_us: i64,
    /// First window's start.
    pub from_us: i64,
    /// Start of the window after the last.
    pub to_us: i64,
    /// Which of their rows.
    pub which: Which,
}

/// Which rows of the windows.
#[derive(Debug, Clone)]
pub(super) enum Which {
    /// What streamed gold is made of: rows that are not late, below these offsets by partition. An empty map bounds
    /// nothing; a partition that another map lacks has no row.
    OnTime(BTreeMap<i32, i64>),
    /// Every row of the windows with these starts: what a computation in batch is made of.
    All(BTreeSet<i64>),
}

impl Which {
    fn shows(&self, start_us: i64, late: bool, partition: i32, offset: i64) -> bool {
        match self {
            Self::OnTime(below) => {
                !late && (below.is_empty() || below.get(&partition).is_some_and(|position| offset < *position))
            }
            Self::All(starts) => starts.contains(&start_us),
        }
    }
}

/// Number of late rows by window start.
pub(super) type Late = BTreeMap<i64, u64>;

/// What the table shows now, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Feed(Mutex<Showing>);

#[derive(Debug, Default)]
struct Showing {
    pass: Option<(Arc<dyn Rows>, Arc<Selection>)>,
    late: Late,
    unable: Option<Box<Unable>>,
}

impl Feed {
    /// Sets what the next query reads.
    pub(super) fn show(&self, rows: Arc<dyn Rows>, selection: Selection) {
        *self.lock() = Showing { pass: Some((rows, Arc::new(selection))), ..Showing::default() };
    }

    /// What came of the query: late rows by window, and why rows could not be read, if so.
    pub(super) fn end(&self) -> (Late, Option<Box<Unable>>) {
        let ended = std::mem::take(&mut *self.lock());
        (ended.late, ended.unable)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Showing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct WindowTable {
    schema: SchemaRef,
    feed: Arc<Feed>,
}

impl WindowTable {
    /// Over silver's columns.
    ///
    /// # Errors
    /// Silver has a column of a window's name, or no event time.
    pub(super) fn new(silver: &Schema, feed: Arc<Feed>) -> Result<Self, String> {
        for name in [WINDOW_START, WINDOW_END] {
            if silver.field_with_name(name).is_ok() {
                return Err(format!("silver has a column {name} of its own"));
            }
        }
        if let Some(lacking) = DECIDING.iter().find(|name| silver.field_with_name(name).is_err()) {
            return Err(format!("silver has no column {lacking}"));
        }
        let mut fields = silver.fields().to_vec();
        fields.extend([WINDOW_START, WINDOW_END].map(|name| Arc::new(Field::new(name, utc_timestamp(), false))));
        Ok(Self { schema: Arc::new(Schema::new(fields)), feed })
    }
}

impl TableProvider for WindowTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    // The trait's `async fn`, written out: nothing waits here.
    fn scan<'table, 'session, 'projection, 'filters, 'scan>(
        &'table self,
        _: &'session dyn Session,
        projection: Option<&'projection Vec<usize>>,
        _: &'filters [Expr],
        _: Option<usize>,
    ) -> Pin<Box<dyn Future<Output = DataFusionResult<Arc<dyn ExecutionPlan>>> + Send + 'scan>>
    where
        'table: 'scan,
        'session: 'scan,
        'projection: 'scan,
        'filters: 'scan,
        Self: 'scan,
    {
        Box::pin(std::future::ready(self.leaf(projection)))
    }
}

impl WindowTable {
    fn leaf(&self, projection: Option<&Vec<usize>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let rows: Arc<dyn PartitionStream> =
            Arc::new(WindowRows { schema: Arc::clone(&schema), feed: Arc::clone(&self.feed) });
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![rows], None, std::iter::empty(), false, None)?))
    }
}

#[derive(Debug)]
struct WindowRows {
    schema: SchemaRef,
    feed: Arc<Feed>,
}

impl PartitionStream for WindowRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), BATCHES_AHEAD);
        let (sender, schema, feed) = (builder.tx(), Arc::clone(&self.schema), Arc::clone(&self.feed));
        builder.spawn_blocking(move || {
            let Some((rows, selection)) = feed.lock().pass.clone() else { return Ok(()) };
            for batch in rows.open(&needed(&schema)) {
                let batch = batch.map_err(|unable| {
                    feed.lock().unable = Some(unable);
                    DataFusionError::External("rows of silver could not be read".into())
                })?;
                let mut late = Late::new();
                let shown = select(&batch, &schema, &selection, &mut late)?;
                if !late.is_empty() {
                    let mut showing = feed.lock();
                    for (start, count) in late {
                        *showing.late.entry(start).or_default() += count;
                    }
                }
                // The query ended before its input did: nobody wants the rest.
                if shown.num_rows() > 0 && sender.blocking_send(Ok(shown)).is_err() {
                    return Ok(());
                }
            }
            Ok(())
        });
        builder.build()
    }
}

/// The columns to read for a table of this schema.
fn needed(schema: &Schema) -> Vec<String> {
    let mut names: Vec<String> = DECIDING.iter().map(|name| (*name).to_owned()).collect();
    for field in schema.fields() {
        let name = field.name();
        if name != WINDOW_START && name != WINDOW_END && !DECIDING.contains(&name.as_str()) {
            names.push(name.clone());
        }
    }
    names
}

/// The first microsecond of the window that a time is in; `None` where 64 bits do not hold the window's bounds.
pub(super) fn window_start(time_us: i64, window_us: i64) -> Option<i64> {
    let start = time_us.checked_div_euclid(window_us)?.checked_mul(window_us)?;
    start.checked_add(window_us).map(|_| start)
}

/// The rows of a batch that the selection shows, in the columns of `schema`.
fn select(
    batch: &RecordBatch,
    schema: &SchemaRef,
    selection: &Selection,
    late_rows: &mut Late,
) -> Result<RecordBatch, ArrowError> {
    let times = column(batch, "_event_time", &utc_timestamp())?;
    let late = column(batch, "_is_late_arriving", &DataType::Boolean)?;
    let partitions = column(batch, "_kafka_partition", &DataType::Int32)?;
    let offsets = column(batch, "_kafka_offset", &DataType::Int64)?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let late = late.as_boolean();
    let (partitions, offsets) = (partitions.as_primitive::<Int32Type>(), offsets.as_primitive::<Int64Type>());
    let mut starts = Vec::with_capacity(batch.num_rows());
    let mut shown = Vec::with_capacity(batch.num_rows());
    for (row, time) in times.iter().enumerate() {
        let start = time
            .and_then(|time| window_start(time, selection.window_us))
            .filter(|start| (selection.from_us..selection.to_us).contains(start));
        let is_late = late.value(row);
        shown.push(
            start.is_some_and(|start| selection.which.shows(start, is_late, partitions.value(row), offsets.value(row))),
        );
        if let (Some(start), true, Which::OnTime(_)) = (start, is_late, &selection.which) {
            *late_rows.entry(start).or_default() += 1;
        }
        starts.push(start.unwrap_or(0));
    }
    let window = |shift: i64| -> ArrayRef {
        let values = starts.iter().map(|start| start.saturating_add(shift)).collect::<Vec<_>>();
        Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
    };
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(match field.name().as_str() {
            WINDOW_START => window(0),
            WINDOW_END => window(selection.window_us),
            name => column(batch, name, field.data_type())?,
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let all = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
    filter_record_batch(&all, &BooleanArray::from(shown))
}

/// A column by its name, in this type.
pub(super) fn column(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    let found = batch
        .column_by_name(name)
        .ok_or_else(|| ArrowError::SchemaError(format!("the rows come without the column {name}")))?;
    if found.data_type() == kind {
        return Ok(Arc::clone(found));
    }
    cast_with_options(found, kind, &CastOptions { safe: false, ..CastOptions::default() })
}
