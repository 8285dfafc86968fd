//! `cargo xtask bench --profile LEVEL [ARGUMENTS]`: where the CPU time of an event goes.
//!
//! Purpose: `watertight-bench levels` runs one level once, as always, its broker beside it, but the program is run under
//! `perf record`. The samples become one table: thread, what it was at, its share, and how much of that was the kernel
//! handing out memory. The stacks are kept, folded, for any tool that draws flame graphs.
//! Contract: a sample counts once, under the first line of [`GROUPS`] that one of its frames fits. Shares are of CPU
//! time, and hold on a machine that does other work too; the figures that `levels` prints here are those of a program
//! that is watched, and no measurement.
//! Never: asks for rights. Where the kernel allows no profiling, perf says so.

mod stacks;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bench::release;
use crate::workspace::{Workspace, shown};
use stacks::{Profile, read};

/// Samples per second of CPU time.
const SAMPLES_PER_S: u32 = 997;
/// Bytes of stack kept with each, enough for librdkafka's and Parquet's callers.
const STACK: &str = "dwarf,8192";
/// What can be profiled: L0 is a consumer of the benchmark itself.
const LEVELS: [&str; 3] = ["L1", "L2", "L3"];

/// What a sample is counted under: the name, and texts one of which a frame holds. The first that fits.
const GROUPS: &[(&str, &[&str])] = &[
    ("zstd", &["ZSTD_compress"]),
    ("file: write", &["append_column_from_pages", "SerializedRowGroupWriter"]),
    ("file: fsync", &["sync_all", "fsync"]),
    ("Parquet: text and bytes", &["ByteArrayEncoder"]),
    ("Parquet: pages and numbers", &["add_data_page", "write_mini_batch", "ArrowWriter", "ArrowRowGroupWriter"]),
    ("Delta: statistics", &["delta::stats"]),
    ("Delta: the rest", &["delta::"]),
    ("bronze: rows", &["bronze_batch"]),
    ("checksums", &["record_checksum"]),
    ("decode", &["watertight_decode"]),
    ("checks", &["pipeline::checks"]),
    ("duplicate index", &["watertight_state"]),
    ("models", &["pipeline::gold", "runtime::models"]),
    ("silver: select rows", &["fold::piece", "by_day"]),
    ("silver: fold", &["SilverFold"]),
    ("silver: the rest", &["pipeline::silver"]),
    ("reader: headers", &["rd_kafka_message_headers", "rd_kafka_headers_destroy"]),
    ("reader: take from the queue", &["rd_kafka_consume_batch_queue"]),
    ("reader: give back", &["rd_kafka_message_destroy", "rd_kafka_op_destroy"]),
    ("records: copy", &["record::Records"]),
    ("reader: the rest", &["kafka::reader"]),
    ("client: unpack", &["LZ4", "rd_kafka_lz4", "ZSTD_decompress", "snappy", "inflate"]),
    ("client: CRC", &["crc32c"]),
    ("client: receive", &["recvmsg"]),
    ("client: parse", &["rd_kafka_msgset_reader"]),
    ("client: the rest", &["rd_kafka"]),
];

/// Runs and reports. `arguments`: the level, and what else `levels` is given.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let Some((level, rest)) = arguments.split_first() else { bail!("name a level: L1, L2 or L3") };
    let level = level.to_uppercase();
    if !LEVELS.contains(&level.as_str()) {
        bail!("{level} cannot be profiled; name L1, L2 or L3");
    }
    let programs = release(workspace)?;
    let folder = workspace.target.join("profile").join(&level);
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let (samples, figures) = (folder.join("perf.data"), folder.join("levels.json"));
    let wrapper = wrapper(&folder, &programs.join("watertight"), &samples)?;
    let mut command = workspace.command(programs.join("watertight-bench"));
    command.args(["levels", "--runs", "1", "--levels", &level]).args(rest);
    command.arg("--program").arg(&wrapper).arg("--json").arg(&figures);
    shown(command.current_dir(std::env::current_dir().context("the current folder is gone")?))?;
    let mut perf = workspace.command("perf");
    perf.args(["script", "--no-inline", "-F", "comm,tid,time,ip,sym", "-i"]).arg(&samples);
    let profile = read(&mut perf)?;
    let folded = folder.join("stacks.folded");
    fs::write(&folded, profile.folded()).with_context(|| format!("{} cannot be written", folded.display()))?;
    print!("{}", table(&level, &profile, events(&figures)?));
    println!("\nstacks for a flame graph: {}", folded.display());
    Ok(ExitCode::SUCCESS)
}

/// A program that is `watertight`, with perf beside its `run`.
fn wrapper(folder: &Path, program: &Path, samples: &Path) -> Result<PathBuf> {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let (program, samples) = (quoted(program), quoted(samples));
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = run ] || exec {program} \"$@\"\n\
         exec perf record -q -e cpu-clock -F {SAMPLES_PER_S} --call-graph {STACK} -o {samples} -- {program} \"$@\"\n"
    );
    let path = folder.join("watertight");
    fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// How many events were read, as the benchmark says.
fn events(figures: &Path) -> Result<u64> {
    let text = fs::read_to_string(figures).with_context(|| format!("{} cannot be read", figures.display()))?;
    let figures: Value = serde_json::from_str(&text).context("the benchmark's figures are no JSON")?;
    figures.pointer("/measured/events").and_then(Value::as_u64).context("the benchmark's figures name no events")
}

/// The table, largest first.
fn table(level: &str, profile: &Profile, events: u64) -> String {
    let us = |samples: u64| samples as f64 / f64::from(SAMPLES_PER_S) / events.max(1) as f64 * 1e6;
    let share = |samples: u64| 100.0 * samples as f64 / profile.all.max(1) as f64;
    let all = profile.all;
    let mut out = format!("{level}: {all} samples, {events} events, {:.2} µs of CPU an event\n\n", us(all));
    out.push_str("| thread | what | share | of it new memory | µs per event |\n|---|---|---|---|---|\n");
    for (thread, group, counted) in profile.groups() {
        let (part, paged) = (share(counted.samples), share(counted.paged));
        let us = us(counted.samples);
        out.push_str(&format!("| {thread} | {group} | {part:.1} % | {paged:.1} % | {us:.3} |\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::stacks::parse;
    use super::*;

    #[test]
    fn a_table_says_what_each_thread_was_at() {
        let text = "rdk:broker1     7 1.5: \n\tff LZ4_decompress_safe\n\tff rd_kafka_msgset_reader_v2\n\n\
                    stream bench     9 1.6: \n\tff clear_page_erms\n\tff exc_page_fault\n\
                    \tff parquet::ArrowWriter<W>::write\n\n";
        let profile = parse(text.as_bytes()).unwrap();
        let table = table("L1", &profile, 1_000);
        assert!(table.starts_with("L1: 2 samples, 1000 events, 2.01 µs of CPU an event"), "{table}");
        assert!(table.contains("| rdk:broker1 | client: unpack | 50.0 % | 0.0 % | 1.003 |"), "{table}");
        assert!(table.contains("| stream bench | Parquet: pages and numbers | 50.0 % | 50.0 % | 1.003 |"), "{table}");
    }

    #[test]
    fn only_levels_of_the_program_are_profiled() {
        let workspace = Workspace::locate().unwrap();
        for wrong in [vec![], vec!["L0".to_owned()], vec!["--events".to_owned()]] {
            assert!(run(&workspace, &wrong).is_err(), "{wrong:?}");
        }
    }
}
