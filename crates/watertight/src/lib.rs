//! The command line of `watertight`, and the wiring of the crates behind it.
//!
//! Contract: data goes to standard output, notices and logs to standard error, and the exit code says what happened.
//! Nothing here computes: commands read arguments, wire adapters to the pipeline, and print. A library, so that the
//! crash tests run this very program with faults planted at its durable steps, and by a wrong clock (`crates/chaos`).

mod cli;
mod demo;
mod status;
mod wiring;

use std::process::ExitCode;
use std::sync::Arc;
use watertight_adapters::system::SystemClock;
use watertight_core::port::Clock;
use watertight_core::steps::Steps;

/// What of its outside the program is given. What users run is given the default, and holds no way to plant another.
#[derive(Clone)]
pub struct Outside {
    /// The way to take durable steps.
    pub steps: Steps,
    /// The wall clock, as far as anything is written by it.
    pub clock: Arc<dyn Clock>,
}

impl Default for Outside {
    /// Steps with nothing behind them, and the system's clock.
    fn default() -> Self {
        Self { steps: Steps::default(), clock: Arc::new(SystemClock) }
    }
}

/// Reads the process's arguments, runs the command, gives its exit code.
#[must_use]
pub fn run(outside: &Outside) -> ExitCode {
    cli::main(outside)
}
