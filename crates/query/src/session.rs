//! Statements: planned on a fresh snapshot, checked to be reading only, run with bounded memory.

use crate::QueryError;
use crate::catalog::{LakeCatalog, Snapshot};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider as _;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::{LogicalPlan, Statement};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt as _;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use watertight_core::port::Lake;

/// Memory of a query; sorts and groups beyond it go to temporary files, what cannot is refused with DataFusion's
/// message. Half of what the smallest machine the pipeline is meant for has.
const MEMORY_BYTES_MAX: usize = 1 << 30;

/// DataFusion's planner recurses; unoptimised builds of it need more than the usual two MiB.
const STACK_BYTES: usize = 16 << 20;

/// A shell's connection to a lake.
pub struct Session {
    lake: Arc<dyn Lake>,
    root: PathBuf,
    config: SessionConfig,
    environment: Arc<RuntimeEnv>,
    runtime: Arc<Runtime>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Session {
    /// A session over the lake whose tables lie below `lake_root`. Opens no table yet.
    ///
    /// # Errors
    /// `Io`: the root cannot be resolved, or threads cannot be started.
    pub fn new(lake: Arc<dyn Lake>, lake_root: &Path) -> Result<Self, QueryError> {
        let root =
            std::path::absolute(lake_root).map_err(|error| QueryError::io("the lake's path is no path", error))?;
        // Links are resolved where the folder exists already; an empty lake is one too.
        let root = root.canonicalize().unwrap_or(root);
        let environment = RuntimeEnvBuilder::new().with_memory_limit(MEMORY_BYTES_MAX, 1.0).build_arc();
        let environment = environment.map_err(QueryError::running)?;
        let runtime = Builder::new_multi_thread()
            .thread_name("query")
            .thread_stack_size(STACK_BYTES)
            .build()
            .map_err(|error| QueryError::io("could not start the query threads", error))?;
        let config = SessionConfig::new()
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema("lake", "silver");
        Ok(Self { lake, root, config, environment, runtime: Arc::new(runtime) })
    }

    /// Runs one statement and gives all its rows. For results of any size, see [`Session::stream`].
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn run(&self, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        self.stream(sql)?.collect()
    }

    /// Plans one statement and gives its rows as they come, in batches. A name without schema is one of silver.
    ///
    /// # Errors
    /// [`QueryError`], also for each batch.
    pub fn stream(&self, sql: &str) -> Result<RowStream, QueryError> {
        let snapshot = Snapshot::new(Arc::clone(&self.lake), &self.root);
        let context = SessionContext::new_with_config_rt(self.config.clone(), Arc::clone(&self.environment));
        context.register_catalog("lake", Arc::new(LakeCatalog(Arc::clone(&snapshot))));
        let sql = sql.trim().trim_end_matches(';').to_owned();
        // On a thread of the runtime, for its stack.
        let planning = self.runtime.spawn(async move {
            let plan = context.state().create_logical_plan(&sql).await.map_err(Refusal::Planning)?;
            check_reads_only(&plan)?;
            let rows = context.execute_logical_plan(plan).await.map_err(Refusal::Planning)?;
            rows.execute_stream().await.map_err(Refusal::Running)
        });
        match self.runtime.block_on(planning) {
            Ok(Ok(stream)) => Ok(RowStream { stream, runtime: Arc::clone(&self.runtime) }),
            Ok(Err(Refusal::ReadOnly(what))) => Err(QueryError::ReadOnly(what)),
            Ok(Err(Refusal::Running(error))) => Err(QueryError::running(error)),
            Ok(Err(Refusal::Planning(error))) => Err(match snapshot.missing() {
                Some(name) => QueryError::NoSuchTable { name, known: snapshot.names() },
                None => QueryError::planning(error),
            }),
            Err(_) => {
                Err(QueryError::Run("planning it panicked, which is a defect; please report the statement".into()))
            }
        }
    }

    /// The tables there are, as `silver.x`, sorted.
    #[must_use]
    pub fn tables(&self) -> Vec<String> {
        Snapshot::new(Arc::clone(&self.lake), &self.root).names()
    }

    /// A table's columns; `name` as in SQL (`silver.x`, or `x` for one of silver).
    ///
    /// # Errors
    /// `NoSuchTable`, `Table`.
    pub fn columns(&self, name: &str) -> Result<SchemaRef, QueryError> {
        let (schema, table) = name.split_once('.').unwrap_or(("silver", name));
        let snapshot = Snapshot::new(Arc::clone(&self.lake), &self.root);
        match self.runtime.block_on(snapshot.table(schema, table)) {
            Ok(Some(found)) => Ok(found.schema()),
            Ok(None) => Err(QueryError::NoSuchTable { name: name.to_owned(), known: snapshot.names() }),
            Err(error) => Err(QueryError::Table { name: error.name, source: error.source }),
        }
    }
}

enum Refusal {
    ReadOnly(String),
    Planning(DataFusionError),
    Running(DataFusionError),
}

/// Refuses whatever is not a query, at any depth (`explain analyze insert …` would run its statement).
fn check_reads_only(plan: &LogicalPlan) -> Result<(), Refusal> {
    let mut refused = None;
    let walked = plan.apply_with_subqueries(|node| {
        let what = match node {
            LogicalPlan::Ddl(ddl) => Some(spaced(ddl.name())),
            LogicalPlan::Dml(dml) => Some(dml.op.name().to_uppercase()),
            LogicalPlan::Copy(_) => Some("COPY".to_owned()),
            LogicalPlan::Statement(Statement::SetVariable(_) | Statement::ResetVariable(_)) => Some("SET".to_owned()),
            LogicalPlan::Statement(other) => Some(spaced(other.name())),
            _ => None,
        };
        Ok(match what {
            Some(what) => {
                refused = Some(what);
                TreeNodeRecursion::Stop
            }
            None => TreeNodeRecursion::Continue,
        })
    });
    walked.map_err(Refusal::Planning)?;
    refused.map_or(Ok(()), |what| Err(Refusal::ReadOnly(what)))
}

/// `CreateMemoryTable` → `CREATE MEMORY TABLE`.
fn spaced(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for (at, letter) in name.chars().enumerate() {
        if at > 0 && letter.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

/// Rows as they come. Dropping it stops the query.
pub struct RowStream {
    stream: SendableRecordBatchStream,
    runtime: Arc<Runtime>,
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowStream").field("schema", &self.stream.schema()).finish_non_exhaustive()
    }
}

impl RowStream {
    /// Columns of every batch.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }
}

impl Iterator for RowStream {
    type Item = Result<RecordBatch, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.runtime.block_on(self.stream.next());
        next.map(|batch| batch.map_err(QueryError::running))
    }
}
