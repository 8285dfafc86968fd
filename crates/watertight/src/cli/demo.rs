//! `watertight demo`: the stock market pipeline before one's eyes, killed once, and the account at its end.

use super::Exit;
use crate::demo;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long events are produced.
    #[arg(long = "for", value_name = "TIME", value_parser = super::quantity::duration, default_value = "30s")]
    run_for: Duration,
    /// Folder for everything the demo writes, which must not be there yet; a new one for temporary files unless given.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn execute(args: &Args) -> anyhow::Result<Exit> {
    demo::show(args.run_for, args.dir.as_deref())
}
