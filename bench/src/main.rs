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
mod document;
mod ids;
mod input;
mod kernels;
mod lake;
mod latency;
mod levels;
mod live;
mod log;
mod machine;
mod proc_files;
mod program;
mod progress;
mod recover;
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
    /// How long an event takes to be visible in silver, at a rate of its own, and what memory does meanwhile.
    Latency(latency::Args),
    /// How long it takes from SIGKILL until the lag is what it was, with many ids in the duplicate index.
    Recover(recover::Args),
    /// L0: read a local log once and add up its checksum; the sum is printed as JSON.
    ReadLog(levels::read_log::Args),
    /// L0: read a Kafka topic once with a bare consumer and add up its checksum; the sum is printed as JSON.
    ReadKafka(levels::read_kafka::Args),
    /// Run one kernel on a file of events, for `cargo xtask bench --callgrind`; prints how many events it took.
    Kernel(kernels::Args),
    /// Write the file of events that `kernel` takes.
    KernelInput(kernels::InputArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Levels(args) => levels::execute(&args),
        Command::Behind(args) => behind::execute(&args),
        Command::Ids(args) => ids::execute(&args),
        Command::Latency(args) => latency::execute(&args),
        Command::Recover(args) => recover::execute(&args),
        Command::ReadLog(args) => levels::read_log::execute(&args),
        Command::ReadKafka(args) => levels::read_kafka::execute(&args),
        Command::Kernel(args) => kernels::execute(&args),
        Command::KernelInput(args) => kernels::write_input(&args),
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
    use crate::log::LogKind;
    use clap::CommandFactory as _;
    use std::time::Duration;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_not_given_has_the_documented_value() {
        let Command::Levels(args) = Cli::parse_from(["watertight-bench", "levels"]).command else {
            panic!("levels was asked for");
        };
        assert_eq!((args.events, args.common.runs(), args.levels.len()), (2_000_000, 5, 4));
        let Command::Behind(args) = Cli::parse_from(["watertight-bench", "behind"]).command else {
            panic!("behind was asked for");
        };
        assert_eq!(args.versions, [10, 1_000, 10_000]);
        let Command::Ids(args) = Cli::parse_from(["watertight-bench", "ids", "--counts", "500k,2M"]).command else {
            panic!("ids was asked for");
        };
        assert_eq!(args.counts, [500_000, 2_000_000]);
        let line = ["watertight-bench", "latency", "--interval", "1s,200ms", "--for", "60s"];
        let Command::Latency(args) = Cli::parse_from(line).command else { panic!("latency was asked for") };
        assert_eq!(args.interval, [Duration::from_secs(1), Duration::from_millis(200)]);
        assert_eq!((args.rate, args.lasts, args.log.log), (20_000, Duration::from_secs(60), LogKind::Kafka));
        let Command::Recover(args) = Cli::parse_from(["watertight-bench", "recover", "--log", "local"]).command else {
            panic!("recover was asked for");
        };
        assert_eq!((args.ids, args.rate, args.log.log), (10_000_000, 20_000, LogKind::Local));
    }
}
