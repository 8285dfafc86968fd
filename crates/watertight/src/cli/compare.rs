//! `watertight compare`: the tables against what the producer says must be in them.

use super::Exit;
use super::{output, pipeline_file};
use crate::status::ProgressLine;
use crate::wiring;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde_json::json;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use watertight_core::port::{
    CommitOutcome, CommitRequest, DataFile, Lake, LakeCommit, LakeTable, PortError, TableSpec, TableState,
};
use watertight_pipeline::runtime::Stop;
use watertight_produce::truth::{CompareOptions, Comparison, GoldScope, compare};

/// Arguments of `compare`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ends with 0 when everything is equal and with 1 when anything differs; differences are named by event id, \
window or offset."
)]
pub(crate) struct Args {
    /// The pipeline file.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The folder that `produce --truth` wrote.
    #[arg(long, value_name = "DIR")]
    pub(crate) truth: PathBuf,
    /// The stream that was produced; needed only when the pipeline has more than one.
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Option<String>,
    /// The ledger that `produce --ledger` wrote: every acknowledged event must be in bronze, and nothing else.
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,
    /// Expect every window in gold, not only those that the watermark has closed: after `run --close-windows`.
    #[arg(long)]
    pub(crate) all_windows: bool,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// How a comparison is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// A comparison that takes no longer shows no progress.
const QUIET_FOR: Duration = Duration::from_secs(2);
/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(200);

pub(super) fn execute(args: &Args) -> anyhow::Result<Exit> {
    let config = pipeline_file::load(&args.file)?;
    let stream = match (&args.stream, config.streams.as_slice()) {
        (Some(name), streams) => streams.iter().find(|stream| stream.name == *name),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let Some(stream) = stream else {
        let names: Vec<&str> = config.streams.iter().map(|stream| stream.name.as_str()).collect();
        anyhow::bail!("name the stream with --stream; the pipeline has {}", names.join(", "));
    };
    let gold = if args.all_windows { GoldScope::All } else { GoldScope::Closed };
    let options = CompareOptions { ledger: args.ledger.clone(), gold };
    let lake = Counted { lake: wiring::open_lake(&config), read: Arc::default() };
    let comparison = with_progress(&lake.read, || compare(&args.truth, &lake, stream, &config.models, &options))?;
    match args.format {
        Format::Text => output::print(&comparison.to_string())?,
        Format::Json => output::print(&format!("{}\n", object(&comparison)))?,
    }
    if comparison.is_exact() {
        return Ok(Exit::Fine);
    }
    eprintln!("the tables differ from what was produced");
    Ok(Exit::Failed)
}

fn object(comparison: &Comparison) -> serde_json::Value {
    let checks = comparison.checks.iter().map(|check| {
        let faults = check.faults.iter().map(|fault| {
            json!({ "what": fault.what, "count": fault.count, "examples": fault.examples })
        });
        json!({ "table": check.name, "expected": check.expected, "found": check.found, "faults": faults.collect::<Vec<_>>() })
    });
    json!({ "exact": comparison.is_exact(), "checks": checks.collect::<Vec<_>>() })
}

/// Does `work`; on a terminal, a line says meanwhile how far it has read.
fn with_progress<T>(read: &Mutex<Read>, work: impl FnOnce() -> T) -> T {
    let mut line = ProgressLine::on_stderr();
    if !line.is_live() {
        return work();
    }
    let ended = Stop::default();
    let show = || {
        let mut pause = QUIET_FOR;
        while !ended.wait(pause) {
            line.show(&read.lock().unwrap_or_else(PoisonError::into_inner).to_string());
            pause = SHOWN_EVERY;
        }
        line.clear();
    };
    std::thread::scope(|scope| {
        let _ends_it = EndsWhenDropped(&ended);
        if let Err(error) = std::thread::Builder::new().name("progress".to_owned()).spawn_scoped(scope, show) {
            tracing::debug!(%error, "no progress is shown: no thread for it");
        }
        work()
    })
}

/// Ends the showing, also where the work panics.
struct EndsWhenDropped<'a>(&'a Stop);

impl Drop for EndsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}

/// How far the table under way has been read.
#[derive(Debug, Default)]
struct Read {
    /// The table; empty before the first.
    table: String,
    rows: u64,
    of: u64,
}

impl std::fmt::Display for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.table.is_empty() {
            return f.write_str("comparing: reading the truth");
        }
        write!(f, "comparing: {} {} of {} rows", self.table, self.rows, self.of)
    }
}

/// A lake that counts what is read from it.
struct Counted {
    lake: Arc<dyn Lake>,
    read: Arc<Mutex<Read>>,
}

impl Lake for Counted {
    fn open(&self, spec: &TableSpec) -> Result<Box<dyn LakeTable>, PortError> {
        self.lake.open(spec)
    }

    fn look(&self, schema_name: &str, table: &str) -> Result<Option<Box<dyn LakeTable>>, PortError> {
        let Some(found) = self.lake.look(schema_name, table)? else { return Ok(None) };
        let name = format!("{schema_name}.{table}");
        Ok(Some(Box::new(CountedTable { table: found, name, read: Arc::clone(&self.read) })))
    }
}

struct CountedTable {
    table: Box<dyn LakeTable>,
    name: String,
    read: Arc<Mutex<Read>>,
}

impl LakeTable for CountedTable {
    fn state(&self) -> &TableState {
        self.table.state()
    }

    fn columns(&self) -> SchemaRef {
        self.table.columns()
    }

    fn refresh(&mut self) -> Result<&TableState, PortError> {
        self.table.refresh()
    }

    fn stage(&mut self, partition_days: i32, rows: &RecordBatch) -> Result<DataFile, PortError> {
        self.table.stage(partition_days, rows)
    }

    fn commit(&mut self, request: &CommitRequest) -> Result<CommitOutcome, PortError> {
        self.table.commit(request)
    }

    fn commits_after(&self, after: Option<u64>) -> Result<Vec<LakeCommit>, PortError> {
        self.table.commits_after(after)
    }

    fn live_files(&self) -> Result<Vec<DataFile>, PortError> {
        let files = self.table.live_files()?;
        let of = files.iter().map(|file| file.rows).sum();
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Read { table: self.name.clone(), rows: 0, of };
        Ok(files)
    }

    fn read(
        &self,
        file: &DataFile,
        columns: &[&str],
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, PortError>> + Send>, PortError> {
        let (batches, read) = (self.table.read(file, columns)?, Arc::clone(&self.read));
        Ok(Box::new(batches.inspect(move |batch| {
            let rows = batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
            read.lock().unwrap_or_else(PoisonError::into_inner).rows += rows;
        })))
    }
}
