//! What is asked of a run, and what it answers.

use crate::generate::{GeneratorKind, Shares};
use crate::truth::Counts;
use std::path::PathBuf;
use std::time::Duration;
use watertight_core::schema::{ModelDef, StreamDef};
use watertight_core::steps::Steps;

/// One run of the producer.
#[derive(Debug, Clone)]
pub struct ProduceRequest {
    /// The stream to produce into; its topic is created where it does not exist.
    pub stream: StreamDef,
    /// The models whose gold rows the truth holds; those that read other streams are passed over.
    pub models: Vec<ModelDef>,
    /// Where events come from.
    pub source: Source,
    /// Events per second; `None` = as fast as the log takes them (or as `speed` says).
    pub rate: Option<f64>,
    /// Name of this producer: letters, digits, `.`, `_`, `-`. Ids are made of it, so it must be unique among
    /// the producers of a topic, and another one for each run that has no ledger.
    pub producer: String,
    /// The ledger's file; makes the run resumable.
    pub ledger: Option<PathBuf>,
    /// Folder for the truth; generated events only.
    pub truth: Option<PathBuf>,
    /// How appends are grouped.
    pub batching: Batching,
    /// The way to take durable steps with the ledger.
    pub steps: Steps,
}

/// Where events come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Events that exist already.
    Input(InputOptions),
    /// Events that are made up.
    Generate(GenerateOptions),
}

/// Options of an input.
#[derive(Debug, Clone)]
pub struct InputOptions {
    /// Where it is read.
    pub from: InputFrom,
    /// What it holds.
    pub format: InputFormat,
    /// Wait for more at the end of the file, and follow the name when the file is rotated or truncated.
    pub follow: bool,
    /// Paced by event time, this many times faster than it happened.
    pub speed: Option<f64>,
    /// The declared column whose text becomes the key; `None` = the columns of the event id.
    pub key: Option<String>,
    /// JSON arrays: the member of the top-level object that holds the array, e.g. `features`; `None` = the array at the top,
    /// or the first member that is an array of objects.
    pub array: Option<String>,
}

/// Where an input is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputFrom {
    /// A file.
    Path(PathBuf),
    /// Standard input, to its end.
    Stdin,
}

/// What an input holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputFormat {
    /// One JSON value per line; lines are sent as they are, valid or not. Empty lines are passed over.
    JsonLines,
    /// Comma-separated values with a header row; each record becomes a JSON object.
    Csv,
    /// A document with an array; each element is sent as its bytes are.
    JsonArray,
}

/// Options of generated events.
#[derive(Debug, Clone)]
pub struct GenerateOptions {
    /// What is generated.
    pub kind: GeneratorKind,
    /// What is planted; `None` = the kind's own defaults.
    pub shares: Option<Shares>,
    /// Items in all, over all runs with the same ledger; `None` = until stopped.
    pub count: Option<u64>,
    /// Seed.
    pub seed: u64,
    /// Event time of the first item, microseconds; `None` = now (without a rate: so that the last is now).
    pub start_time_us: Option<i64>,
    /// UUIDs instead of `<producer>-<sequence>` as ids.
    pub uuid_ids: bool,
}

/// How appends are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Records per partition and append, on average, when events come faster than the log takes them.
    pub records_max: usize,
    /// Payload bytes of one group over all partitions.
    pub bytes_max: usize,
    /// How long the first event of a group waits for others.
    pub linger: Duration,
    /// How the partitions of a group are appended to.
    pub appends: Appends,
}

impl Default for Batching {
    /// 2,000 records and 16 MiB: enough to make fsync cheap. 20 ms: events appear within 50 ms.
    fn default() -> Self {
        Self { records_max: 2_000, bytes_max: 16 << 20, linger: Duration::from_millis(20), appends: Appends::Parallel }
    }
}

/// How the partitions of a group are appended to. Within a partition there is one append at a time, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appends {
    /// All at once, a thread each.
    Parallel,
    /// In turn, in the order of their numbers; deterministic.
    InTurn,
}

/// How far a run is; told after every group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Records acknowledged by this run.
    pub sent: u64,
    /// The next sequence number to be acknowledged; all before it are.
    pub next_sequence: u64,
    /// Since the run began to send.
    pub elapsed: Duration,
    /// What it waits for, where it does.
    pub waiting: Option<Waiting>,
    /// What of the input was passed over just now, and why.
    pub passed_over: Option<String>,
}

/// What a run waits for, and what that said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// The event log takes no events.
    Log(String),
    /// The ledger cannot be written; events are in the log.
    Ledger(String),
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log(what) | Self::Ledger(what) => out.write_str(what),
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProduceSummary {
    /// Records acknowledged by this run.
    pub sent: u64,
    /// Records of earlier runs that the ledger had already.
    pub in_ledger: u64,
    /// Records of earlier runs that were in the log, but not in the ledger, and are now.
    pub recovered: u64,
    /// The sequence number that the next run begins with.
    pub next_sequence: u64,
    /// Lines, CSV records of the input that were passed over: too long, or without an end.
    pub passed_over: u64,
    /// Appends that were tried again.
    pub retries: u64,
    /// Appends whose answer was lost and that were resolved by reading back.
    pub resolved: u64,
    /// Records acknowledged by this run, per partition.
    pub per_partition: Vec<u64>,
    /// The truth, where it was asked for.
    pub truth: Option<Counts>,
}
