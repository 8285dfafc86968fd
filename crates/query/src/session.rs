//! Statements: planned on a fresh snapshot, checked to be reading only, run with bounded memory.

use crate::catalog::{LakeCatalog, Snapshot};
use crate::octet_length::octet_length;
use crate::{Interrupt, QueryError};
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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinError, JoinHandle};
use watertight_core::port::Lake;

/// Memory of a query; sorts and groups beyond it go to temporary files, what cannot is refused with DataFusion's
/// message. Half of what the smallest machine the pipeline is meant for has.
const MEMORY_BYTES_MAX: usize = 1 << 30;

/// DataFusion's planner recurses; unoptimised builds of it need more than the usual two MiB.
const STACK_BYTES: usize = 16 << 20;

/// What was interrupted ends at its next pause and then removes its temporary files; one that does not pause within
/// this time is left to the end of the process.
const DROP_WAIT_MAX: Duration = Duration::from_secs(2);

/// A shell's connection to a lake.
pub struct Session {
    lake: Arc<dyn Lake>,
    root: PathBuf,
    config: SessionConfig,
    environment: Arc<RuntimeEnv>,
    threads: Mutex<Arc<Threads>>,
    interrupt: Interrupt,
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
        let config = SessionConfig::new()
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema("lake", "silver");
        let threads = Mutex::new(Arc::new(Threads::start()?));
        Ok(Self { lake, root, config, environment, threads, interrupt: Interrupt::default() })
    }

    /// The handle by which another thread ends the statement under way.
    #[must_use]
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// The threads to run on: others than those that an interrupted statement may keep busy for a while.
    fn threads(&self) -> Result<Arc<Threads>, QueryError> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.given_up.load(Ordering::SeqCst) {
            *threads = Arc::new(Threads::start()?);
        }
        Ok(Arc::clone(&threads))
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
        let threads = self.threads()?;
        let snapshot = Snapshot::new(Arc::clone(&self.lake), &self.root);
        let context = SessionContext::new_with_config_rt(self.config.clone(), Arc::clone(&self.environment));
        context.register_catalog("lake", Arc::new(LakeCatalog(Arc::clone(&snapshot))));
        context.register_udf(octet_length());
        let sql = sql.trim().trim_end_matches(';').to_owned();
        // On a thread of the runtime, for its stack.
        let planning = threads.spawn(async move {
            let plan = context.state().create_logical_plan(&sql).await.map_err(Refusal::Planning)?;
            check_reads_only(&plan)?;
            let rows = context.execute_logical_plan(plan).await.map_err(Refusal::Planning)?;
            rows.execute_stream().await.map_err(Refusal::Running)
        });
        match threads.wait(&self.interrupt, planning)? {
            Ok(Ok(stream)) => {
                let (schema, interrupt) = (stream.schema(), self.interrupt.clone());
                Ok(RowStream { schema, stream: Some(stream), threads, interrupt })
            }
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
        match self.threads()?.runtime().block_on(snapshot.table(schema, table)) {
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
    schema: SchemaRef,
    /// `None` once a batch was given up: interrupted, or panicked.
    stream: Option<SendableRecordBatchStream>,
    threads: Arc<Threads>,
    interrupt: Interrupt,
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl RowStream {
    /// Columns of every batch.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Iterator for RowStream {
    type Item = Result<RecordBatch, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut stream = self.stream.take()?;
        // On a thread of the runtime: some plans are busy for long between two batches, and are then left alone.
        let next = self.threads.spawn(async move {
            let batch = stream.next().await;
            (batch, stream)
        });
        match self.threads.wait(&self.interrupt, next) {
            Ok(Ok((batch, stream))) => {
                self.stream = Some(stream);
                batch.map(|batch| batch.map_err(QueryError::running))
            }
            Ok(Err(_)) => {
                Some(Err(QueryError::Run("it panicked, which is a defect; please report the statement".to_owned())))
            }
            Err(interrupted) => Some(Err(interrupted)),
        }
    }
}

/// The query threads. Dropping them waits for what is busy for a statement that was given up, for [`DROP_WAIT_MAX`].
struct Threads {
    /// `Some` until dropped.
    runtime: Option<Runtime>,
    /// A statement on them was interrupted.
    given_up: AtomicBool,
}

impl Threads {
    fn start() -> Result<Self, QueryError> {
        let runtime = Builder::new_multi_thread()
            .thread_name("query")
            .thread_stack_size(STACK_BYTES)
            .build()
            .map_err(|error| QueryError::io("could not start the query threads", error))?;
        Ok(Self { runtime: Some(runtime), given_up: AtomicBool::new(false) })
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("taken only when dropped")
    }

    fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.runtime().spawn(work)
    }

    /// Waits for `work`, unless it is interrupted, which drops it at its next pause.
    fn wait<T>(&self, interrupt: &Interrupt, work: JoinHandle<T>) -> Result<Result<T, JoinError>, QueryError> {
        let abort = work.abort_handle();
        let waited = self.runtime().block_on(interrupt.or(work));
        waited.inspect_err(|_| {
            abort.abort();
            self.given_up.store(true, Ordering::SeqCst);
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(DROP_WAIT_MAX);
        }
    }
}
