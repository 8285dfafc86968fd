//! `watertight run`: the pipeline, until it is told to stop.

use super::{Exit, quantity};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
SIGTERM or Ctrl-C: what has been read is committed, then it ends with 0. A second signal ends it at once; nothing is
lost by that either, it only takes longer to start.")]
pub(crate) struct Args {
    /// The pipeline file.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Stop once everything is committed that was in the log at the start or came meanwhile.
    #[arg(long)]
    pub(crate) until_caught_up: bool,
    /// At the end, close the windows that are open, as a recorded decision: no more events will come for them.
    #[arg(long, requires = "until_caught_up")]
    pub(crate) close_windows: bool,
    /// Stop after this time, such as 30s.
    #[arg(long = "for", value_name = "TIME", value_parser = quantity::duration)]
    pub(crate) run_for: Option<Duration>,
}

pub(super) fn execute(args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("run is not wired in this build ({})", args.file.display())
}
