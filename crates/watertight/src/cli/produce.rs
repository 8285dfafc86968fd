//! `watertight produce`: events into the log, your own or generated ones.

use super::pipeline_file;
use super::{Exit, quantity};
use crate::{Outside, wiring};
use anyhow::Context as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use watertight_adapters::system::SystemIds;
use watertight_core::port::Ids as _;
use watertight_core::schema::StreamDef;
use watertight_produce::{
    self as produce, Batching, GenerateOptions, GeneratorKind, InputFrom, InputOptions, ProduceError, ProduceRequest,
    Progress, Shares, Source, Waiting,
};

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
    /// The topic, where the stream reads several.
    #[arg(long, value_name = "NAME")]
    pub(crate) topic: Option<String>,

    /// Events from a file, or from standard input with '-': one JSON object per line, or CSV with a header.
    #[arg(long, value_name = "PATH", help_heading = "Your own events")]
    pub(crate) input: Option<PathBuf>,
    /// What the input holds; by its name (.csv, .json) and beginning unless given.
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "generate", help_heading = "Your own events")]
    pub(crate) input_format: Option<InputFormat>,
    /// The column whose text becomes the key, by which partitions are chosen; the event id's unless given.
    #[arg(long, value_name = "COLUMN", conflicts_with = "generate", help_heading = "Your own events")]
    pub(crate) key: Option<String>,
    /// Go on reading the file as it grows, until stopped.
    #[arg(long, conflicts_with = "generate", help_heading = "Your own events")]
    pub(crate) follow: bool,
    /// Pace events by their own time, this much faster than it passed: 60x is an hour in a minute.
    #[arg(long, value_name = "FACTOR", value_parser = quantity::speed, conflicts_with_all = ["rate", "generate"], help_heading = "Pace")]
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
    pub(crate) ids: IdForm,
    /// Name of this producer, the first part of its events' ids. Without it: 'producer' where a ledger continues the
    /// sequence, and a fresh name for each run where none does.
    #[arg(long, value_name = "NAME", conflicts_with = "input", help_heading = "Generated events")]
    pub(crate) producer: Option<String>,

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
    /// A document with an array of objects, at its top or in one of its members; files named .json that begin so.
    JsonArray,
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
pub(crate) enum IdForm {
    /// `<producer>-<sequence>`.
    #[default]
    Sequence,
    /// UUIDs.
    Uuid,
}

pub(super) fn execute(args: &Args, outside: &Outside) -> anyhow::Result<Exit> {
    let config = pipeline_file::load(&args.file)?;
    let Some(stream) = config.streams.iter().find(|stream| stream.name == args.stream) else {
        let names: Vec<&str> = config.streams.iter().map(|stream| stream.name.as_str()).collect();
        eprintln!("error: {} has no stream '{}'; it has {}", args.file.display(), args.stream, names.join(", "));
        return Ok(Exit::Usage);
    };
    let topic = match topic_of(stream, args.topic.as_deref()) {
        Ok(topic) => topic,
        Err(what) => {
            eprintln!("error: {what}");
            return Ok(Exit::Usage);
        }
    };
    let log = wiring::open_log(&config, outside)?.port();
    let request = ProduceRequest {
        stream: StreamDef { topic, ..stream.clone() },
        models: config.models.clone(),
        source: source(args),
        rate: args.rate,
        producer: producer_name(args),
        ledger: args.ledger.clone(),
        truth: args.truth.clone(),
        batching: Batching::default(),
        steps: outside.steps.clone(),
    };
    let stop = Arc::new(AtomicBool::new(false));
    wiring::on_signals(&stop).context("signals could not be caught")?;
    let live = std::io::stderr().is_terminal();
    let mut told = Instant::now();
    let mut progress = |progress: Progress| {
        tell(&progress);
        if live && told.elapsed() >= Duration::from_millis(200) {
            told = Instant::now();
            let rate = progress.sent as f64 / progress.elapsed.as_secs_f64().max(0.001);
            eprint!("\r{} events acknowledged, {rate:.0}/s ", progress.sent);
        }
    };
    let summary = match produce::run(request, log.as_ref(), outside.clock.as_ref(), &stop, &mut progress) {
        Ok(summary) => summary,
        Err(error @ (ProduceError::Usage(_) | ProduceError::Plan(_))) => {
            eprintln!("error: {error}");
            return Ok(Exit::Usage);
        }
        Err(error) => return Err(error.into()),
    };
    if live {
        eprint!("\r");
    }
    let recovered = match summary.recovered {
        0 => String::new(),
        count => format!(", {count} of an earlier run found in the log and entered in the ledger"),
    };
    let passed_over = match summary.passed_over {
        0 => String::new(),
        count => format!(", {count} of the input passed over and NOT sent (see the warnings)"),
    };
    eprintln!("{} events acknowledged{recovered}{passed_over}", summary.sent);
    Ok(Exit::Fine)
}

/// The topic to write to: the only one, or that one of several which is asked for.
fn topic_of(stream: &StreamDef, asked: Option<&str>) -> Result<String, String> {
    let (name, topics) = (&stream.name, stream.topics_shown());
    match (asked, stream.topics_named().as_slice()) {
        (Some(topic), _) if stream.reads(topic) => Ok(topic.to_owned()),
        (Some(topic), _) => Err(format!("stream {name} does not read topic '{topic}', but {topics}")),
        (None, [only]) => Ok(only.clone()),
        (None, _) => {
            Err(format!("stream {name} reads several topics, {topics}: say with --topic which one to write to"))
        }
    }
}

/// Says what holds the run up, and what it passes over.
fn tell(progress: &Progress) {
    match &progress.waiting {
        Some(Waiting::Log(waiting)) => tracing::warn!(waiting, "the log does not take events; trying again"),
        Some(Waiting::Ledger(waiting)) => {
            tracing::warn!(waiting, "the ledger cannot be written, so nothing more is sent; trying again");
        }
        None => {}
    }
    if let Some(what) = &progress.passed_over {
        tracing::warn!(what, "something of the input was NOT sent");
    }
}

fn producer_name(args: &Args) -> String {
    match (&args.producer, &args.ledger) {
        (Some(name), _) => name.clone(),
        (None, Some(_)) => "producer".to_owned(),
        (None, None) => format!("producer-{}", &SystemIds.fresh()[..8]),
    }
}

fn source(args: &Args) -> Source {
    if let Some(kind) = args.generate {
        return Source::Generate(GenerateOptions {
            kind: match kind {
                Generator::Stocks => GeneratorKind::Stocks,
                Generator::ApiUsage => GeneratorKind::ApiUsage,
                Generator::Bench => GeneratorKind::Bench,
            },
            shares: Some(Shares { duplicates: args.duplicates, late: args.late, malformed: args.malformed }),
            count: args.count,
            seed: args.seed,
            start_time_us: args.start_time,
            uuid_ids: args.ids == IdForm::Uuid,
        });
    }
    let path = args.input.clone().unwrap_or_default();
    let ends = |ending: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
    let format = match args.input_format {
        Some(InputFormat::Csv) => produce::InputFormat::Csv,
        Some(InputFormat::Json) => produce::InputFormat::JsonLines,
        Some(InputFormat::JsonArray) => produce::InputFormat::JsonArray,
        None if ends("csv") => produce::InputFormat::Csv,
        None if ends("json") && !args.follow => produce::json_format_of(&path),
        None => produce::InputFormat::JsonLines,
    };
    let from = if path.as_os_str() == "-" { InputFrom::Stdin } else { InputFrom::Path(path) };
    Source::Input(InputOptions {
        from,
        format,
        follow: args.follow,
        speed: args.speed,
        key: args.key.clone(),
        array: None,
    })
}
