//! Logs: to standard error, filtered by `WATERTIGHT_LOG`, as text or as one JSON object per line.

use anyhow::{Context as _, bail};
use std::io::{self, IsTerminal as _};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

const FILTER_VARIABLE: &str = "WATERTIGHT_LOG";
const FILTER_DEFAULT: &str = "info,buoyant_kernel=warn,buoyant_kernel_engine=warn";

const LEVELS: &str = "off, error, warn, info, debug, trace";

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
    let filter = filter(written.as_deref().unwrap_or(FILTER_DEFAULT))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => logs.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Levels and `target=level`. A word alone must be a level: the library takes any other for a target of which
/// everything is logged, and with it a misspelt level.
fn filter(written: &str) -> anyhow::Result<EnvFilter> {
    let word = |part: &&str| !part.contains(['=', '[']);
    for part in written.split(',').map(str::trim).filter(word) {
        if !part.is_empty() && part.parse::<LevelFilter>().is_err() {
            bail!(
                "{FILTER_VARIABLE}: '{}' is not a level; write one of {LEVELS}, or target=level",
                part.escape_debug()
            );
        }
    }
    EnvFilter::try_new(written)
        .with_context(|| format!("{FILTER_VARIABLE} is not a filter; write one of {LEVELS}, or target=level"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused_with_the_list_of_levels() {
        for wrong in ["loud", "info,loud", "watertight_pipeline", "9", "watertight=loud"] {
            let error = filter(wrong).expect_err(wrong).to_string();
            assert!(error.contains(LEVELS) && error.contains(FILTER_VARIABLE), "{error}");
        }
        for right in [FILTER_DEFAULT, "off", "WARN", "warn,watertight_pipeline=debug", "info,", "watertight[run]=trace"]
        {
            filter(right).unwrap_or_else(|error| panic!("{right}: {error}"));
        }
    }
}
