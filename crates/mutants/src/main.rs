//! `watertight-mutants`: lists the kinds of faults, plants one, shows how it is found, or runs a whole campaign against a
//! built program.

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::path::PathBuf;
use std::process::ExitCode;
use watertight_mutants::{Campaign, Show, campaign, kinds, show};

/// Plants faults in lakes and sees whether `watertight verify` finds them.
#[derive(Debug, Parser)]
#[command(name = "watertight-mutants", version)]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The kinds of faults, with the codes that are right for each.
    List,
    /// Plants one fault in a lake, in place, and says what and where.
    Plant {
        /// Which kind; `list` names them.
        kind: String,
        /// The lake's folder: a copy, as it is altered.
        #[arg(long, value_name = "DIR")]
        lake: PathBuf,
        /// Ledgers of its producers, which some kinds alter.
        #[arg(long, value_name = "FILE")]
        ledger: Vec<PathBuf>,
        /// Chooses the place.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// Says it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Plants one fault in tables that balance, in place, and has a program find it; exit 1 if it doesn't.
    Show {
        /// Which kind; `list` names them.
        kind: String,
        /// The program that is to find it.
        #[arg(long, value_name = "PATH")]
        program: PathBuf,
        /// The pipeline file.
        #[arg(short = 'f', long, value_name = "FILE")]
        file: PathBuf,
        /// The lake that the file names: a copy, as it is altered.
        #[arg(long, value_name = "DIR")]
        lake: PathBuf,
        /// Ledgers of its producers, which some kinds alter.
        #[arg(long, value_name = "FILE")]
        ledger: Vec<PathBuf>,
        /// Chooses the place.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
    },
    /// Makes random lakes, plants every kind in copies of them, and verifies all; exit 1 if anything was missed.
    Campaign {
        /// The program that is to find them.
        #[arg(long, value_name = "PATH")]
        program: PathBuf,
        /// Times that each kind is planted.
        #[arg(long, value_name = "N", default_value_t = 20)]
        each: usize,
        /// Untouched lakes, in which nothing may be found.
        #[arg(long, value_name = "N", default_value_t = 200)]
        lakes: usize,
        /// Lakes of these that faults are planted in copies of.
        #[arg(long, value_name = "N", default_value_t = 12)]
        bases: usize,
        /// First seed.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// Only this kind; may be given more than once.
        #[arg(long, value_name = "NAME")]
        kind: Vec<String>,
        /// Runs at once.
        #[arg(long, value_name = "N", default_value_t = 2)]
        threads: usize,
        /// Keep lakes in which something went wrong, under the folder for temporary files.
        #[arg(long)]
        keep: bool,
        /// Write the figures here.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(action: Action) -> Result<ExitCode> {
    match action {
        Action::List => {
            for mutant in kinds::all() {
                println!("{:<32} {}\n{:<32} → {}", mutant.name, mutant.means, "", mutant.codes.join(", "));
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Plant { kind, lake, ledger, seed, json } => {
            let mutant = kinds::named(&kind)?;
            let Some(planted) = kinds::plant(mutant, &lake, &ledger, &mut StdRng::seed_from_u64(seed))? else {
                bail!("{} has no place for {kind}; nothing was altered", lake.display());
            };
            if json {
                println!("{}", serde_json::to_string_pretty(&planted)?);
            } else {
                println!("{}", show::in_words(mutant, &planted));
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Show { kind, program, file, lake, ledger, seed } => {
            let mutant = kinds::named(&kind)?;
            let show = Show { program, pipeline: file, lake, ledgers: ledger, seed, report_shown: true };
            let named = show.run(mutant, &mut std::io::stdout())?;
            Ok(if named { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Action::Campaign { program, each, lakes, bases, seed, kind, threads, keep, json } => {
            let program = program.canonicalize().with_context(|| format!("{} is not there", program.display()))?;
            let scratch = campaign::scratch(&std::env::temp_dir())?;
            let campaign = Campaign {
                program,
                seed,
                lakes,
                bases,
                each,
                kinds: kind,
                threads,
                scratch: scratch.clone(),
                keep_missed: keep,
            };
            let figures = campaign.run()?;
            println!("{figures}");
            if let Some(file) = json {
                let text = serde_json::to_string_pretty(&figures)?;
                std::fs::write(&file, text + "\n").with_context(|| format!("{} cannot be written", file.display()))?;
            }
            if keep {
                println!("what went wrong is in {}", scratch.display());
            } else {
                std::fs::remove_dir_all(&scratch)?;
            }
            Ok(if figures.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}
