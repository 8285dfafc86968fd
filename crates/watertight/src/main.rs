//! The `watertight` program: its command line, and the wiring of the crates behind it.
//!
//! Contract: data goes to standard output, notices and logs to standard error, and the exit code says what happened
//! (see [`cli::Exit`]). Nothing here computes: commands read arguments, wire adapters to the pipeline, and print.

mod cli;
mod demo;
mod status;
mod wiring;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
