//! The step `instructions`: what decoding, the duplicate index and encoding take, counted and held against what was accepted.
//!
//! Purpose: callgrind counts the instructions of each kernel of `watertight-bench` on the same events, once at work and once
//! idle; the difference per event may be at most [`ALLOWED`] above the count in `bench/instructions.json`. A count depends on
//! the code, its build and the compiler, and not on the machine's load, so it can fail a test where a time cannot.
//! The build is that of the tests (profile dev), so that none is made for this alone.
//!
//! Counts of another compiler, C compiler, valgrind, target or instruction set are not comparable. Where this machine is not
//! what the repository names (its rustc is not the one of `rust-toolchain.toml`, its C compiler or valgrind is not the one of
//! the file, or its processor lacks what the other had), that is said, and the step passes. Where the repository itself has
//! moved to another toolchain since, the step fails: whoever moves it accepts new counts.
//! Never: writes the file, unless told to by `cargo xtask bench --callgrind --accept`.

mod counts;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::verify::Tally;
use crate::workspace::{Workspace, captured, host_triple, shown};
use counts::{Conditions, Counts, Judgement, judge};

/// The kernels, as `watertight-bench kernel` names them.
const KERNELS: [&str; 4] = ["decode", "index", "bronze", "silver"];
/// What was accepted.
const FILE: &str = "bench/instructions.json";
/// Share by which a count may be above what was accepted.
const ALLOWED: f64 = 0.05;
/// Instruction sets for which code of ours, or of what we use, is chosen at run time.
const CHOSEN_BY: [&str; 4] = ["avx2", "bmi2", "pclmulqdq", "sse4_2"];

/// The step of verify.
pub(crate) fn check(workspace: &Workspace) -> Result<Tally> {
    let found = count(workspace)?;
    let path = workspace.root.join(FILE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("{FILE} cannot be read; {}", accepting()))?;
    let accepted = Counts::read(&text).with_context(|| format!("{FILE} cannot be read; {}", accepting()))?;
    let judgement = judge(&accepted, &found, &pinned(workspace)?, ALLOWED);
    print!("{}", counts::table(&accepted, &found));
    Ok(match judgement {
        Judgement::NotComparable(why) => {
            println!("NOT compared: {why}");
            Tally::check(Vec::new())
        }
        Judgement::Compared { notes, problems } => {
            notes.iter().for_each(|note| println!("{note}"));
            Tally::check(problems.into_iter().map(|problem| format!("{problem}; {}", accepting())).collect())
        }
    })
}

/// The same as a command.
pub(crate) fn show(workspace: &Workspace) -> Result<ExitCode> {
    let tally = check(workspace)?;
    tally.problems.iter().for_each(|problem| println!("✗ {problem}"));
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Counts, and keeps the counts.
pub(crate) fn accept(workspace: &Workspace) -> Result<ExitCode> {
    let found = count(workspace)?;
    if !found.conditions.rustc.starts_with(&format!("rustc {} ", pinned(workspace)?)) {
        bail!(
            "{} is not the compiler that rust-toolchain.toml names; counts are kept of that one only",
            found.conditions.rustc
        );
    }
    let path = workspace.root.join(FILE);
    std::fs::write(&path, found.text()).with_context(|| format!("{} cannot be written", path.display()))?;
    print!("{}", found.text());
    println!("written to {FILE}; commit it with what it is due to");
    Ok(ExitCode::SUCCESS)
}

fn accepting() -> String {
    "accept new counts, if they are meant, with `cargo xtask bench --callgrind --accept`".to_owned()
}

/// Builds, and counts each kernel.
fn count(workspace: &Workspace) -> Result<Counts> {
    captured(workspace.command("valgrind").arg("--version"))
        .context("callgrind counts instructions, and there is no valgrind; `setup/install.sh test` installs it")?;
    // The whole workspace is named, so that dependencies have the features that the tests' build gives them.
    shown(workspace.cargo().args(["build", "--locked", "--workspace", "--bin", "watertight-bench"]))?;
    let scratch = workspace.target.join(format!("instructions-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).with_context(|| format!("{} cannot be made", scratch.display()))?;
    let counted = count_in(workspace, &scratch);
    std::fs::remove_dir_all(&scratch).with_context(|| format!("{} cannot be removed", scratch.display()))?;
    counted
}

fn count_in(workspace: &Workspace, scratch: &Path) -> Result<Counts> {
    let program = workspace.target.join("debug/watertight-bench");
    let input = scratch.join("events");
    captured(workspace.command(&program).arg("kernel-input").arg(&input))?;
    let mut counts = Counts::new(conditions(workspace)?);
    for kernel in KERNELS {
        let run = Run { workspace, program: &program, input: &input, out: scratch.join("callgrind.out"), kernel };
        let (idle, _) = run.count(&["--idle"])?;
        let (busy, events) = run.count(&[])?;
        let per_event =
            counts::per_event(busy, idle, events).with_context(|| format!("kernel {kernel} did nothing"))?;
        counts.add(kernel, per_event);
    }
    Ok(counts)
}

/// One kernel under callgrind.
struct Run<'a> {
    workspace: &'a Workspace,
    program: &'a Path,
    input: &'a Path,
    out: PathBuf,
    kernel: &'a str,
}

impl Run<'_> {
    /// Instructions of the whole process, all its threads, and the number of events that it says it took.
    fn count(&self, more: &[&str]) -> Result<(u64, u64)> {
        let mut command = self.workspace.command("valgrind");
        command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", self.out.display()));
        command.arg(self.program).args(["kernel", self.kernel, "--input"]).arg(self.input).args(more);
        let output = captured(&mut command)?;
        let events = output.trim().parse().with_context(|| format!("kernel {} printed no number", self.kernel))?;
        let told = std::fs::read_to_string(&self.out).context("callgrind wrote nothing")?;
        Ok((counts::total(&told).context("callgrind's file has no total")?, events))
    }
}

fn conditions(workspace: &Workspace) -> Result<Conditions> {
    let rustc = version(workspace, "rustc")?;
    let (cc, valgrind) = (Some(version(workspace, "cc")?), Some(version(workspace, "valgrind")?));
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let sets = counts::instruction_sets(&processor, &CHOSEN_BY);
    Ok(Conditions { rustc, cc, valgrind, target: host_triple(workspace)?, sets })
}

/// The first line of what a program says of its version.
fn version(workspace: &Workspace, program: &str) -> Result<String> {
    let told = captured(workspace.command(program).arg("--version"))?;
    Ok(told.lines().next().unwrap_or_default().trim().to_owned())
}

/// The compiler's version that the repository names.
fn pinned(workspace: &Workspace) -> Result<String> {
    let path = workspace.root.join("rust-toolchain.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let file: toml::Table = text.parse().with_context(|| format!("{} is no TOML", path.display()))?;
    let channel = file.get("toolchain").and_then(|toolchain| toolchain.get("channel")).and_then(toml::Value::as_str);
    Ok(channel.with_context(|| format!("{} names no channel", path.display()))?.to_owned())
}
