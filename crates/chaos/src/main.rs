//! `watertight-planted`: the program as users have it, with faults planted at its durable steps by the environment.
//!
//! It exists for the tests of this crate, which kill it, cut its power and spoil its steps. Users never get it.

mod planted;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    watertight::run(&planted::steps())
}
