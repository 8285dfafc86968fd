//! `watertight-planted`: the program as users have it, with faults planted at its durable steps and a wrong clock, both
//! by the environment.
//!
//! It exists for the tests of this crate, which kill it, cut its power and spoil its steps. Users never get it.

mod clock;
mod planted;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let clock = clock::of_environment(watertight::Outside::default().clock);
    watertight::run(&watertight::Outside { steps: planted::steps(), clock })
}
