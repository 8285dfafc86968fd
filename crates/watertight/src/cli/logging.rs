//! Logs: to standard error, filtered by `WATERTIGHT_LOG`, as text or as one JSON object per line.

use anyhow::Context as _;
use std::io::{self, IsTerminal as _};
use tracing_subscriber::EnvFilter;

const FILTER_VARIABLE: &str = "WATERTIGHT_LOG";
const FILTER_DEFAULT: &str = "info,buoyant_kernel=warn,buoyant_kernel_engine=warn";

/// How logs are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people; in colour on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging; an unreadable filter is an error of the command line.
pub(crate) fn start(format: LogFormat) -> anyhow::Result<()> {
    let written = std::env::var(FILTER_VARIABLE).ok().filter(|filter| !filter.is_empty());
    let filter = EnvFilter::try_new(written.as_deref().unwrap_or(FILTER_DEFAULT))
        .with_context(|| format!("{FILTER_VARIABLE} is not a filter; write a level such as info, or target=level"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => logs.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}
