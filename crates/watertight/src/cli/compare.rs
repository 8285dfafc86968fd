//! `watertight compare`: the tables against what the producer says must be in them.

use super::Exit;
use std::path::PathBuf;

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
    anyhow::bail!("compare is not wired in this build ({})", args.file.display())
}
