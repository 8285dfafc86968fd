//! `watertight sql`: queries over the tables, one or at a prompt.

use super::Exit;
use super::pipeline_file;
use crate::wiring;
use anyhow::{Context as _, bail};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use watertight_query::{Repl, Session};

/// Arguments of `sql`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Tables are bronze.<stream>, bronze.<stream>_dlq, silver.<stream>, gold.<model> and ops.<table>.
Several statements are separated by ';'. They are answered one after another, until one fails; an empty line stands
between two answers, in every format.
Ctrl-C ends the query under way; the prompt comes back, and without one the command ends with 1.

Examples:
  watertight sql -f pipeline.yaml \"select count(*) from silver.stock_ticks\"
  watertight sql -f pipeline.yaml --format csv < runbook.sql")]
pub(crate) struct Args {
    /// The pipeline file.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The query, or several; without one, a prompt with history on a terminal, and else statements from standard input.
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
            if watertight_query::split(query).0.is_empty() {
                bail!("there is no statement in the query");
            }
            interrupt_on_ctrl_c(&session)?;
            answer_all(&session, format, query, &mut out)?;
        }
        None if !std::io::stdin().is_terminal() => {
            let text = std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?;
            interrupt_on_ctrl_c(&session)?;
            answer_all(&session, format, &text, &mut out)?;
        }
        None => {
            interrupt_on_ctrl_c(&session)?;
            let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".watertight_history"));
            Repl::new(&session, format).run(history.as_deref(), &mut out)?;
        }
    }
    Ok(Exit::Fine)
}

/// Runs the statements one after another, until one fails. Where there are several, an empty line is between two
/// answers, and an error names its statement.
fn answer_all(
    session: &Session,
    format: watertight_query::Format,
    text: &str,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (statements, _) = watertight_query::split(text);
    for (index, statement) in statements.iter().enumerate() {
        if index > 0 {
            out.write_all(b"\n").context("could not write the rows")?;
        }
        let answered = session.stream(statement).and_then(|rows| {
            let schema = rows.schema();
            format.write(&schema, rows, out)
        });
        match answered {
            Ok(_) => {}
            Err(error) if statements.len() == 1 => return Err(error.into()),
            Err(error) => {
                let place = format!("statement {} of {}", index + 1, statements.len());
                return Err(anyhow::Error::from(error).context(place));
            }
        }
    }
    Ok(())
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
