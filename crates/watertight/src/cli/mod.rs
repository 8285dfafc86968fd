//! The command line: one file per command, each with its arguments and its body.

mod compare;
mod demo;
mod init;
mod keygen;
mod logging;
mod output;
mod pipeline_file;
mod produce;
mod quantity;
mod run;
mod schema;
mod sql;
mod sql_place;
mod status;
mod validate;
mod verify;

pub(crate) use pipeline_file::load as load_pipeline_file;

use crate::Outside;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use watertight_config::Problems;

const EXIT_CODES: &str = "\
Exit codes:
  0   fine
  1   failed, or a comparison found a difference
  2   the command line is wrong; verify: not able to check
  78  the pipeline file is wrong

Environment:
  WATERTIGHT_LOG  what is logged to standard error, such as 'info' (the default) or 'warn,watertight_pipeline=debug'";

/// Events from an event log into bronze, silver and gold tables, each exactly once, and the books to prove it.
#[derive(Debug, Parser)]
#[command(name = "watertight", version, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
#[command(propagate_version = true, arg_required_else_help = true)]
struct Cli {
    /// How logs are written to standard error.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: logging::LogFormat,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the stock market pipeline: killed once, and the books balance.
    Demo(demo::Args),
    /// Write an example pipeline that runs.
    Init(init::Args),
    /// Check a pipeline file, without touching anything else.
    Validate(validate::Args),
    /// Print the JSON Schema of the pipeline file.
    Schema,
    /// Write events into the log: your own, or generated ones.
    Produce(Box<produce::Args>),
    /// Run the pipeline until it is told to stop.
    Run(run::Args),
    /// Show positions, lag, counts and the health of models, whether the pipeline runs or not.
    Status(status::Args),
    /// Query the tables with SQL: one query, or a prompt.
    Sql(sql::Args),
    /// Compare the tables with what `produce --truth` says must be in them.
    Compare(compare::Args),
    /// Find any lost, doubled or altered record in the tables, and name it to the offset.
    Verify(Box<verify::Args>),
    /// Make a pair of keys to sign certificates of `verify` with.
    Keygen(keygen::Args),
}

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: all is well.
    Fine,
    /// 1: it failed, or a comparison found a difference.
    Failed,
    /// 2: the command line is wrong.
    Usage,
    /// 2 of `verify`: what was to be checked could not be; neither fine nor a finding.
    NotChecked,
    /// 78: the pipeline file is wrong (`EX_CONFIG` of sysexits).
    Config,
}

impl Exit {
    fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::Usage | Self::NotChecked => 2,
            Self::Config => 78,
        })
    }
}

/// Reads the command line, runs the command, reports what went wrong.
pub(crate) fn main(outside: &Outside) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and version are answers, the rest is a wrong command line; clap knows where each is printed.
            let exit = if answer.use_stderr() { Exit::Usage } else { Exit::Fine };
            return answer.print().map_or(Exit::Failed, |()| exit).code();
        }
    };
    if let Err(error) = logging::start(cli.log_format) {
        eprintln!("error: {error:#}");
        return Exit::Usage.code();
    }
    match execute(cli.command, outside) {
        Ok(exit) => exit.code(),
        Err(error) => report(&error).code(),
    }
}

fn execute(command: Command, outside: &Outside) -> anyhow::Result<Exit> {
    match command {
        Command::Demo(args) => demo::execute(&args),
        Command::Init(args) => init::execute(&args),
        Command::Validate(args) => validate::execute(&args),
        Command::Schema => schema::execute(),
        Command::Produce(args) => produce::execute(&args, outside),
        Command::Run(args) => run::execute(&args, outside),
        Command::Status(args) => status::execute(&args),
        Command::Sql(args) => sql::execute(&args),
        Command::Compare(args) => compare::execute(&args),
        Command::Verify(args) => verify::execute(&args),
        Command::Keygen(args) => keygen::execute(&args),
    }
}

/// Says what went wrong, unless nobody listens any more.
fn report(error: &anyhow::Error) -> Exit {
    if output::reader_is_gone(error) {
        return Exit::Fine;
    }
    if let Some(problems) = error.downcast_ref::<Problems>() {
        eprintln!("{problems}");
        return Exit::Config;
    }
    eprintln!("error: {}", said_once(error));
    Exit::Failed
}

/// The chain of an error; what one link has said already, the next does not repeat.
fn said_once(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&said);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_argument_says_what_it_does() {
        for command in Cli::command().get_subcommands().filter(|command| command.get_name() != "help") {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }
}
