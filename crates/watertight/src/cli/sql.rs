//! `watertight sql`: queries over the tables, one or at a prompt.

use super::Exit;
use std::path::PathBuf;

/// Arguments of `sql`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Tables are bronze.<stream>, bronze.<stream>_dlq, silver.<stream>, gold.<model> and ops.<table>.

Example:
  watertight sql -f pipeline.yaml \"select count(*) from silver.stock_ticks\"")]
pub(crate) struct Args {
    /// The pipeline file.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The query; a prompt with history when none is given.
    pub(crate) query: Option<String>,
    /// How rows are written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A table for people.
    #[default]
    Table,
    /// One JSON object per line.
    Json,
    /// Comma-separated values with a header.
    Csv,
}

pub(super) fn execute(args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("sql is not wired in this build ({})", args.file.display())
}
