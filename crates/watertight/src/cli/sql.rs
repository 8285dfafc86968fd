//! `watertight sql`: queries over the tables, one or at a prompt.

use super::Exit;
use super::pipeline_file;
use crate::wiring;
use anyhow::Context as _;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use watertight_query::{Repl, Session};

/// Arguments of `sql`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Tables are bronze.<stream>, bronze.<stream>_dlq, silver.<stream>, gold.<model> and ops.<table>.
Ctrl-C ends the query under way; the prompt comes back, and without one the command ends with 1.

Example:
  watertight sql -f pipeline.yaml \"select count(*) from silver.stock_ticks\"")]
pub(crate) struct Args {
    /// The pipeline file.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The query; without one, a prompt with history on a terminal, and else statements from standard input.
    pub(crate) query: Option<String>,
    /// How rows are written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// What a shell gives for a program that Ctrl-C ended.
const EXIT_INTERRUPTED: i32 = 130;

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
    let config = pipeline_file::load(&args.file)?;
    let session = Session::new(wiring::open_lake(&config), &config.lake)?;
    let format = match args.format {
        Format::Table => watertight_query::Format::Table,
        Format::Json => watertight_query::Format::Json,
        Format::Csv => watertight_query::Format::Csv,
    };
    let mut out = std::io::stdout().lock();
    match &args.query {
        Some(query) => {
            interrupt_on_ctrl_c(&session)?;
            let rows = session.stream(query)?;
            format.write(&rows.schema(), rows, &mut out)?;
        }
        None if !std::io::stdin().is_terminal() => {
            let text = std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?;
            let (statements, _) = watertight_query::split(&text);
            interrupt_on_ctrl_c(&session)?;
            for statement in statements.into_iter().filter(|statement| !statement.trim().is_empty()) {
                let rows = session.stream(statement)?;
                format.write(&rows.schema(), rows, &mut out)?;
            }
        }
        None => {
            interrupt_on_ctrl_c(&session)?;
            let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".watertight_history"));
            Repl::new(&session, format).run(history.as_deref(), &mut out)?;
        }
    }
    Ok(Exit::Fine)
}

/// Ctrl-C ends the query under way. One that comes before the last took effect ends the process: output may be blocked,
/// or a table may take long to open.
fn interrupt_on_ctrl_c(session: &Session) -> anyhow::Result<()> {
    let interrupt = session.interrupt();
    let mut signals = Signals::new([SIGINT]).context("Ctrl-C could not be caught")?;
    let watch = move || {
        for _ in signals.forever() {
            if interrupt.is_raised() {
                std::process::exit(EXIT_INTERRUPTED);
            }
            interrupt.raise();
        }
    };
    std::thread::Builder::new().name("interrupts".to_owned()).spawn(watch).context("no thread for Ctrl-C")?;
    Ok(())
}
