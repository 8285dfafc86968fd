//! The `watertight` program.

mod memory;

fn main() -> std::process::ExitCode {
    memory::keep_freed();
    watertight::run(&watertight::Outside::default())
}
