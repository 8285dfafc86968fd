//! The command line of `watertight`, and the wiring of the crates behind it.
//!
//! Contract: data goes to standard output, notices and logs to standard error, and the exit code says what happened.
//! Nothing here computes: commands read arguments, wire adapters to the pipeline, and print. A library, so that the
//! crash tests run this very program with faults planted at its durable steps (`crates/chaos`).

mod cli;
mod demo;
mod status;
mod wiring;

use std::process::ExitCode;
use watertight_core::steps::Steps;

/// Reads the process's arguments, runs the command, gives its exit code. Every durable step is taken through `steps`.
#[must_use]
pub fn run(steps: &Steps) -> ExitCode {
    cli::main(steps)
}
