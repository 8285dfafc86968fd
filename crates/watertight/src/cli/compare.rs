//! `watertight compare`: the tables against what the producer says must be in them.

use super::Exit;
use super::{output, pipeline_file};
use crate::wiring;
use serde_json::json;
use std::path::PathBuf;
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
    let lake = wiring::open_lake(&config);
    let comparison = compare(&args.truth, lake.as_ref(), stream, &config.models, &options)?;
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
