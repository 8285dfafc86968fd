//! `watertight produce`: events into the log, your own or generated ones.

use super::{Exit, quantity};
use std::path::PathBuf;

/// Arguments of `produce`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["input", "generate"]))]
#[command(after_help = "\
Examples:
  tail -F app.jsonl | watertight produce -f pipeline.yaml --stream app --input -
  watertight produce -f pipeline.yaml --stream stock_ticks --input ticks.csv --speed 60x
  watertight produce -f pipeline.yaml --stream stock_ticks --generate stocks --rate 500/s \\
    --duplicates 5% --late 3% --malformed 0.5% --ledger acked.ids --truth truth/")]
pub(crate) struct Args {
    /// The pipeline file.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The stream of the pipeline file to whose topic events are written.
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: String,

    /// Events from a file, or from standard input with '-': one JSON object per line, or CSV with a header.
    #[arg(long, value_name = "PATH", help_heading = "Your own events")]
    pub(crate) input: Option<PathBuf>,
    /// What the input holds; by its name (.csv) unless given.
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "generate", help_heading = "Your own events")]
    pub(crate) input_format: Option<InputFormat>,
    /// Go on reading the file as it grows, until stopped.
    #[arg(long, conflicts_with = "generate", help_heading = "Your own events")]
    pub(crate) follow: bool,
    /// Pace events by their own time, this much faster than it passed: 60x is an hour in a minute.
    #[arg(long, value_name = "FACTOR", value_parser = quantity::speed, conflicts_with = "rate", help_heading = "Pace")]
    pub(crate) speed: Option<f64>,
    /// Pace events evenly, such as 500/s; as fast as the log takes them unless given.
    #[arg(long, value_name = "RATE", value_parser = quantity::rate, help_heading = "Pace")]
    pub(crate) rate: Option<f64>,

    /// Generate events of this kind.
    #[arg(long, value_enum, value_name = "KIND", help_heading = "Generated events")]
    pub(crate) generate: Option<Generator>,
    /// Stop after this many events; without it, generating goes on until stopped.
    #[arg(long, value_name = "N", value_parser = quantity::count, conflicts_with = "input", help_heading = "Generated events")]
    pub(crate) count: Option<u64>,
    /// Share of events that are sent again, some of them to another partition: 5% or 0.05.
    #[arg(long, value_name = "SHARE", value_parser = quantity::share, default_value = "0", conflicts_with = "input", help_heading = "Generated events")]
    pub(crate) duplicates: f64,
    /// Share of events that come later than the stream's watermark allows.
    #[arg(long, value_name = "SHARE", value_parser = quantity::share, default_value = "0", conflicts_with = "input", help_heading = "Generated events")]
    pub(crate) late: f64,
    /// Share of events that are not what the stream declares.
    #[arg(long, value_name = "SHARE", value_parser = quantity::share, default_value = "0", conflicts_with = "input", help_heading = "Generated events")]
    pub(crate) malformed: f64,
    /// The same seed gives the same events.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "input", help_heading = "Generated events")]
    pub(crate) seed: u64,
    /// Time of the first event, RFC 3339 or a date, in UTC; now unless given.
    #[arg(long, value_name = "TIME", value_parser = quantity::instant_us, conflicts_with = "input", help_heading = "Generated events")]
    pub(crate) start_time: Option<i64>,
    /// How events are named: by producer and sequence number, or by UUID.
    #[arg(long, value_enum, default_value_t, conflicts_with = "input", help_heading = "Generated events")]
    pub(crate) ids: Ids,
    /// Name of this producer, the first part of its events' ids. Two that run at once need two names.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "producer",
        conflicts_with = "input",
        help_heading = "Generated events"
    )]
    pub(crate) producer: String,

    /// Write the id of every event to this file once the log has acknowledged it, durably; a later run goes on from it.
    #[arg(long, value_name = "FILE", help_heading = "Proof")]
    pub(crate) ledger: Option<PathBuf>,
    /// Write what silver, dead letters and gold must hold into this folder, for `watertight compare`.
    #[arg(long, value_name = "DIR", conflicts_with = "input", help_heading = "Proof")]
    pub(crate) truth: Option<PathBuf>,
}

/// What an input holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum InputFormat {
    /// One JSON object per line.
    Json,
    /// Comma-separated values, the first line being the header.
    Csv,
}

/// What is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Generator {
    /// A random walk of some tens of symbols.
    Stocks,
    /// Requests of customers to the endpoints of a metered API.
    ApiUsage,
    /// The events of the benchmark.
    Bench,
}

/// How generated events are named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ids {
    /// `<producer>-<sequence>`.
    #[default]
    Sequence,
    /// UUIDs.
    Uuid,
}

pub(super) fn execute(args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("produce is not wired in this build ({})", args.file.display())
}
