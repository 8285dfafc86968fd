//! `cargo xtask`: everything around the product that is not the product.
//!
//! One command equals CI: `cargo xtask verify` runs every check and prints one table and one line of totals. Each
//! check is also a command of its own. Nothing here is linked into the binary users run, nothing here depends on our
//! own crates but `crates/lab`, and nothing here writes into the repository but what it is told to: accepted counts of
//! instructions, and the figures that a measurement is to put into a document.

mod bench;
mod documents;
mod features;
mod instructions;
mod lab;
mod layers;
mod licences;
mod profile;
mod readers;
mod registries;
mod sizes;
mod soak;
mod tests_step;
mod tree;
mod unchecked;
mod verify;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::verify::Selection;
use crate::workspace::Workspace;

const HELP: &str = "\
cargo xtask <command>

  verify [--only a,b] [--skip a,b] [--fail-fast]   everything CI runs, then a table and `N passed, N failed`
  steps                                            the names of verify's steps and what each of them checks
  soak --minutes N                                 kills and seeds for as long as asked
  lab up [--brokers 1|3] [--dir DIR]               real Kafka on this machine, until `lab down`; prints its address
  lab status [--format json] | down | install      what runs; ends it; puts Kafka into the cache
  bench [levels|latency|recover|behind|ids] [ARGUMENTS]
                                                   measures release builds (`bench levels --help` says how)
  bench --profile L1|L2|L3 [ARGUMENTS]             where the CPU time of a level goes, by perf
  bench --callgrind [--accept]                     counts instructions of the kernels, and keeps the counts
  unchecked [--only N..M]                          switches each check of bytes off once: does a test fail?
  layers | features | sizes | licences | registries | documents | instructions | readers
                                                   one check alone
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<ExitCode> {
    let Some((command, rest)) = arguments.split_first() else {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    };
    match command.as_str() {
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        "steps" => {
            for step in verify::STEPS {
                println!("{:<12} {}", step.name, step.purpose);
            }
            Ok(ExitCode::SUCCESS)
        }
        "verify" => verify::run(&Workspace::locate()?, &Selection::parse(rest)?),
        "bench" => bench::run(&Workspace::locate()?, rest),
        "unchecked" => unchecked::run(&Workspace::locate()?, &unchecked::part(rest)?),
        "lab" => lab::run(rest),
        "soak" => soak::run(&Workspace::locate()?, soak::minutes(rest)?),
        name if verify::STEPS.iter().any(|step| step.name == name) => {
            if let Some(unexpected) = rest.first() {
                bail!("`{name}` takes no arguments, but was given `{unexpected}`");
            }
            verify::run(&Workspace::locate()?, &Selection::only(name))
        }
        other => bail!("unknown command `{other}`; `cargo xtask help` lists them"),
    }
}
