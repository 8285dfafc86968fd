//! `watertight status`: where the pipeline stands, from the tables and the log, whether it runs or not.

use super::Exit;
use super::{output, pipeline_file};
use crate::status::{Ages, gather, render};
use crate::wiring;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;
use watertight_adapters::ownership::RunLock;
use watertight_adapters::system::SystemClock;
use watertight_core::port::Clock as _;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with 1 when a table or the log cannot be read; all that can is shown.")]
pub(crate) struct Args {
    /// The pipeline file.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Show it again every second, until stopped; as JSON, one object per line.
    #[arg(long)]
    pub(crate) watch: bool,
}

/// How a status is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

const EVERY: Duration = Duration::from_secs(1);

pub(super) fn execute(args: &Args) -> anyhow::Result<Exit> {
    let config = pipeline_file::load(&args.file)?;
    let (log, lake) = (wiring::look_at_log(&config), wiring::open_lake(&config));
    let mut ages = Ages::default();
    loop {
        let mut status = gather(&config, &log, lake.as_ref(), RunLock::holder(&config.lake));
        if let Ok(log) = &log {
            ages.fill(&mut status, log.as_ref());
        }
        let text = match args.format {
            Format::Text => render(&status, SystemClock.now_us()),
            Format::Json => format!("{}\n", serde_json::to_string(&status)?),
        };
        if args.watch && args.format == Format::Text && std::io::stdout().is_terminal() {
            output::print("\x1b[2J\x1b[H")?;
        }
        output::print(&text)?;
        if !args.watch {
            return Ok(if status.is_whole() { Exit::Fine } else { Exit::Failed });
        }
        std::thread::sleep(EVERY);
    }
}
