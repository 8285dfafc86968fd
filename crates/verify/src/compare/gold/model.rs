//! A version of a model: its SQL planned by a DataFusion session of our own, and run over stretches of windows.
//!
//! # What can be recomputed
//! One SELECT over the stream with GROUP BY `window_start`: nothing whose answer for a window depends on rows of
//! another one (joins, ORDER BY, LIMIT, OVER), since windows are computed a stretch at a time. Anything else is refused
//! with a reason, and the model is reported as not checked, never as fine.
//!
//! # What is settled so that there is one answer
//! Aggregates that depend on the order of rows get `_kafka_topic` (where silver has it), `_kafka_partition` and
//! `_kafka_offset` behind their ORDER BY, as the documentation of models says: two events of one microsecond are no tie.
//! One without any ORDER BY is refused.
//!
//! # What it cannot tell
//! Approximate aggregates depend on how rows fell into batches: their columns are named, and not compared. A sum,
//! product or difference wraps around here where the pipeline stops the model (docs/adr/0011), so a wrapped number in
//! gold would not be seen; a model that stopped has no such window.
//!
//! The SQL comes from a table, so it is not trusted: its length is bounded, it cannot name a file, change anything or
//! read another table, and it runs within a bound of memory, beyond which it spills or fails. Messages hold no row's
//! values.

use super::plan::{Kind, fits, kinds, with_total_order};
use super::provider::{Feed, Late, Rows, Selection, WINDOW_START, WindowTable, column};
use crate::finding::Unable;
use crate::request::Request;
use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// The longest SQL that is planned: longer ones could nest deeper than a stack is.
const SQL_BYTES_MAX: usize = 64 << 10;
/// Least memory that a query gets, whatever the request says: with less, small queries fail too.
const QUERY_BYTES_MIN: usize = 64 << 20;
/// Longest message of the planner that is passed on.
const MESSAGE_CHARS_MAX: usize = 400;

/// What is to be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// The stream: the name under which the SQL knows silver's rows.
    pub from: String,
    /// Length of windows, microseconds.
    pub window_us: i64,
    /// The SELECT.
    pub sql: String,
}

/// Why a pass gave nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// Rows could not be read.
    Rows(Box<Unable>),
    /// The query failed: why, without values.
    Query(String),
}

/// A planned version of a model.
pub(super) struct Model {
    window_us: i64,
    runtime: Runtime,
    context: SessionContext,
    plan: LogicalPlan,
    feed: Arc<Feed>,
    /// The model's columns in the order and types of gold's table, all nullable.
    columns: SchemaRef,
    /// Names of the columns that tell rows apart, `window_start` first.
    keys: Vec<String>,
    /// Names of columns that are approximate.
    approximate: Vec<String>,
}

impl Model {
    /// Plans a query over silver's columns whose results stand in a table of `gold` columns (ours not among them).
    ///
    /// # Errors
    /// Why it cannot be planned, or not be recomputed.
    pub(super) fn plan(query: &Query, silver: &Schema, gold: &Schema, request: &Request) -> Result<Self, String> {
        if query.window_us <= 0 {
            return Err("its window has no length".to_owned());
        }
        if query.sql.len() > SQL_BYTES_MAX {
            return Err(format!("its SQL has {} bytes; verify plans up to {SQL_BYTES_MAX}", query.sql.len()));
        }
        let feed = Arc::new(Feed::default());
        let table = WindowTable::new(silver, Arc::clone(&feed))?;
        let runtime = Builder::new_current_thread().build().map_err(|error| format!("no runtime: {error}"))?;
        let context = session(request).map_err(|error| worded(&error))?;
        context.register_table(TableReference::bare(query.from.as_str()), Arc::new(table)).map_err(|e| worded(&e))?;
        let state = context.state();
        let plan = runtime.block_on(Box::pin(state.create_logical_plan(&query.sql))).map_err(|error| worded(&error))?;
        fits(&plan, &query.from)?;
        let plan = with_total_order(plan).map_err(|error| worded(&error))?;
        let kinds = kinds(&plan).ok_or("it is more than a SELECT with GROUP BY")?;
        let names: Vec<&String> = plan.schema().fields().iter().map(|field| field.name()).collect();
        let of_kind = |kind: Kind| -> Vec<String> {
            names.iter().zip(&kinds).filter(|(_, found)| **found == kind).map(|(name, _)| (*name).clone()).collect()
        };
        let mut keys = of_kind(Kind::Group);
        let Some(window) = keys.iter().position(|name| name == WINDOW_START) else {
            return Err("it does not select the window_start that it groups by".to_owned());
        };
        keys[..=window].rotate_right(1);
        if let Some(lacking) = names.iter().find(|name| gold.field_with_name(name).is_err()) {
            return Err(format!("its column {lacking} is not in the table"));
        }
        let approximate = of_kind(Kind::Approximate);
        let columns = gold.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
        let columns = Arc::new(Schema::new(columns));
        Ok(Self { window_us: query.window_us, runtime, context, plan, feed, columns, keys, approximate })
    }

    /// Length of windows, microseconds.
    pub(super) fn window_us(&self) -> i64 {
        self.window_us
    }

    /// Names of the columns that tell rows apart, `window_start` first.
    pub(super) fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Columns whose values are approximate, and are not compared.
    pub(super) fn approximate(&self) -> &[String] {
        &self.approximate
    }

    /// The model's columns as gold's table has them, all nullable.
    pub(super) fn columns(&self) -> &SchemaRef {
        &self.columns
    }

    /// Computes the windows of a selection; a column of the table that the SQL does not give is null. With it: how many
    /// late rows were left out, by window.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn run(&self, rows: Arc<dyn Rows>, selection: Selection) -> Result<(RecordBatch, Late), Failure> {
        self.feed.show(rows, selection);
        let frame = DataFrame::new(self.context.state(), self.plan.clone());
        let ran = self.runtime.block_on(Box::pin(frame.collect()));
        let (late, unable) = self.feed.end();
        if let Some(unable) = unable {
            return Err(Failure::Rows(unable));
        }
        let batches = ran.map_err(|error| Failure::Query(ran_into(&error).to_owned()))?;
        let fitted = batches.iter().map(|batch| fitted(batch, &self.columns)).collect::<Result<Vec<_>, _>>();
        let whole = fitted.and_then(|batches| concat_batches(&self.columns, &batches));
        let whole = whole.map_err(|_| Failure::Query("a result does not fit the type of its column".to_owned()))?;
        Ok((whole, late))
    }
}

/// A batch in these columns, found by name; those that it lacks are null.
fn fitted(batch: &RecordBatch, columns: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
    let fit = |field: &Arc<arrow::datatypes::Field>| -> Result<ArrayRef, arrow::error::ArrowError> {
        match batch.column_by_name(field.name()) {
            Some(_) => column(batch, field.name(), field.data_type()),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    };
    RecordBatch::try_new(Arc::clone(columns), columns.fields().iter().map(fit).collect::<Result<_, _>>()?)
}

fn session(request: &Request) -> DataFusionResult<SessionContext> {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let spill = DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![request.scratch.clone()]));
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(request.memory_bytes_max.max(QUERY_BYTES_MIN))))
        .with_disk_manager_builder(spill)
        .build_arc()?;
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

/// An error of planning: it quotes the SQL and the names of columns, never a row. One line.
fn worded(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MESSAGE_CHARS_MAX { line } else { line.chars().take(MESSAGE_CHARS_MAX).collect() }
}

/// An error of running, by its kind: its text may quote values of rows.
fn ran_into(error: &DataFusionError) -> &'static str {
    use arrow::error::ArrowError;
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => "it needs more memory than it may have: give verify more",
        DataFusionError::IoError(_) => "a temporary file could not be written or read",
        DataFusionError::ArrowError(error, _) => match &**error {
            ArrowError::DivideByZero => "it divides by zero",
            ArrowError::ArithmeticOverflow(_) => "a number is larger than its type holds",
            ArrowError::CastError(_) | ArrowError::ParseError(_) => "a value cannot be cast",
            ArrowError::IoError(..) => "a temporary file could not be written or read",
            _ => "an expression failed for a row",
        },
        DataFusionError::NotImplemented(_) => "it uses what DataFusion cannot run",
        _ => "it failed while it ran",
    }
}
