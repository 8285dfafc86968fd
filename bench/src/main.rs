//! `watertight-bench`: what an event, a commit and a start cost, measured on whole runs of the real program.
//!
//! Contract: each figure comes from children of this process, measured from outside, in interleaved rounds; the limit
//! that they are held against (L0) is this same binary, run as a child that only reads the log. Nothing here judges a
//! figure, and no test depends on one.

mod amount;
mod behind;
mod bench;
mod breakdown;
mod cache;
mod child;
mod ids;
mod input;
mod lake;
mod levels;
mod machine;
mod proc_files;
mod program;
mod progress;
mod statistics;
mod table;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The program's own allocator, so that L0 is held to the same one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures whole runs of the watertight program.
#[derive(Debug, Parser)]
#[command(name = "watertight-bench", version, arg_required_else_help = true)]
#[command(after_help = "\
Input is made once and kept in $WATERTIGHT_CACHE/bench (default ~/.cache/watertight/bench); delete that folder to make it
anew. Measure release builds of both programs, on a machine that does nothing else.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What an event costs: reading the log alone (L0), with bronze (L1), silver (L2) and gold (L3).
    Levels(levels::Args),
    /// What a commit and a start cost behind many versions.
    Behind(behind::Args),
    /// What memory and a start cost with many ids in the duplicate index.
    Ids(ids::Args),
    /// L0: read a local log once and add up its checksum; the sum is printed as JSON.
    ReadLog(levels::read_log::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Levels(args) => levels::execute(&args),
        Command::Behind(args) => behind::execute(&args),
        Command::Ids(args) => ids::execute(&args),
        Command::ReadLog(args) => levels::read_log::execute(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_not_given_has_the_documented_value() {
        let Command::Levels(args) = Cli::parse_from(["watertight-bench", "levels"]).command else {
            panic!("levels was asked for");
        };
        assert_eq!((args.events, args.common.runs, args.levels.len()), (2_000_000, 5, 4));
        let Command::Behind(args) = Cli::parse_from(["watertight-bench", "behind"]).command else {
            panic!("behind was asked for");
        };
        assert_eq!(args.versions, [10, 1_000, 10_000]);
        let Command::Ids(args) = Cli::parse_from(["watertight-bench", "ids", "--counts", "500k,2M"]).command else {
            panic!("ids was asked for");
        };
        assert_eq!(args.counts, [500_000, 2_000_000]);
    }
}
