//! `ids`: what memory and a start cost with many ids in the duplicate index.
//!
//! Contract: the events hold an id and a time and nothing else, all different, so that what is measured is the index.
//! Tables are made anew by the measured program (which is the first figure, `fill`); then each round starts it once
//! with its checkpoint and once without its state folder, which it must read back from the tables. There is nothing to do in
//! either: what is measured is the start.

use crate::amount::{self, mib};
use crate::bench::{Bench, CommonArgs};
use crate::cache::folder_bytes;
use crate::child::{Feed, Usage};
use crate::input::FORMAT;
use crate::lake;
use crate::log::LogPlace;
use crate::program::{PIPELINE_FILE, Program};
use crate::progress::{Deadline, about, rounds};
use crate::statistics::{Spread, text_of};
use crate::table;
use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ChildStdin;
use tempfile::TempDir;

/// Name of the stream, and of its topic in a local log.
pub(crate) const STREAM: &str = "ids";
/// Partitions of its topic.
pub(crate) const PARTITIONS: i32 = 8;
/// Event time of the first event, milliseconds: 2026-01-05. One a millisecond: a day holds 86 million.
const START_MS: u64 = 1_767_571_200_000;
/// Seconds that making, and reading, and reading back a million ids take, generously: to say how long it will take.
const MAKING_S: f64 = 5.0;
const FILL_S: f64 = 5.0;
const START_S: f64 = 2.0;

/// Arguments of `ids`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ids in the index.
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = amount::count)]
    #[arg(default_values = ["1M", "10M"])]
    pub(crate) counts: Vec<u64>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// It read all events into empty tables.
    Fill,
    /// It started from its checkpoint.
    FromCheckpoint,
    /// It started without a state folder.
    FromTables,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::FromCheckpoint => "start, checkpoint",
            Self::FromTables => "start, tables only",
        }
    }
}

#[derive(Debug, Clone, Serialize)]
struct Run {
    round: u32,
    ids: u64,
    kind: Kind,
    /// Bytes of the state folder afterwards.
    state_bytes: u64,
    #[serde(flatten)]
    usage: Usage,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Summary {
    ids: u64,
    kind: Kind,
    wall_s: Option<Spread>,
    cpu_s: Option<Spread>,
    peak_mib: Option<Spread>,
    state_bytes_per_id: Option<Spread>,
}

#[derive(Serialize)]
struct Measured {
    runs: Vec<Run>,
    summary: Vec<Summary>,
}

/// Tables with so many ids, for this measurement only.
struct Filled {
    ids: u64,
    place: TempDir,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    let mut bench = Bench::set_up(&args.common)?;
    let all = args.counts.iter().sum::<u64>() as f64 / 1e6;
    let missing = args.counts.iter().filter(|count| !bench.cache.has(&name_of(**count)));
    let missing = missing.sum::<u64>() as f64 / 1e6;
    let starts_s = f64::from(args.common.runs()) * (all * START_S + 2.0 * args.counts.len() as f64);
    let takes = about(missing * MAKING_S + all * FILL_S + starts_s);
    bench.progress.say(&format!(
        "{} rounds of starts with {} numbers of ids: {takes}",
        args.common.runs(),
        args.counts.len()
    ));
    let (mut filled, mut runs) = (Vec::new(), Vec::new());
    for ids in &args.counts {
        let log = log_of(&mut bench, *ids)?;
        bench.progress.show(&format!("filling the index with {} ids", amount::grouped(*ids)));
        let place = bench.cache.scratch()?;
        write_pipeline(place.path(), &LogPlace::Local(log), STREAM, "")?;
        let usage = fill(&bench.program, place.path(), *ids, bench.deadline)?;
        let state_bytes = folder_bytes(&place.path().join("state"))?;
        runs.push(Run { round: 0, ids: *ids, kind: Kind::Fill, state_bytes, usage });
        filled.push(Filled { ids: *ids, place });
    }
    rounds(args.common.runs(), bench.deadline, &mut bench.progress, |round, progress| {
        let first = round as usize % filled.len();
        for one in filled[first..].iter().chain(&filled[..first]) {
            for kind in [Kind::FromCheckpoint, Kind::FromTables] {
                let count = amount::grouped(one.ids);
                progress.show(&format!("round {} of {}: {count} ids, {}", round + 1, args.common.runs(), kind.name()));
                let (usage, state_bytes) = start(&bench.program, one.place.path(), kind, bench.deadline)
                    .with_context(|| format!("no start with {count} ids"))?;
                runs.push(Run { round, ids: one.ids, kind, state_bytes, usage });
            }
        }
        Ok(())
    })?;
    let summary = summaries(&runs, &args.counts);
    let text = table_of(&summary);
    bench.report("ids", "what memory and a start cost with many ids", &text, &Measured { runs, summary })
}

fn name_of(ids: u64) -> String {
    format!("ids-v{FORMAT}-{}", amount::short(ids))
}

/// Writes the pipeline file into `folder`; `more` are lines for its end.
pub(crate) fn write_pipeline(folder: &Path, log: &LogPlace, topic: &str, more: &str) -> Result<()> {
    let text = format!(
        "pipeline: ids\nlog: {}\nlake: lake\nstate: state\nstreams:\n  {STREAM}:\n    topic: {topic}\n    \
         partitions: {PARTITIONS}\n    event_id: event_id\n    \
         event_time: {{ column: ts, watermark: 10 min }}\n    columns:\n      \
         event_id: {{ type: string, required: true }}\n      \
         ts: {{ type: timestamp, format: epoch_ms, required: true }}\n{more}",
        log.yaml()?
    );
    let path = folder.join(PIPELINE_FILE);
    std::fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))
}

/// The log with this many events.
pub(crate) fn log_of(bench: &mut Bench, ids: u64) -> Result<PathBuf> {
    bench.progress.show(&format!("making {} events, kept for later runs", amount::grouped(ids)));
    let (program, deadline) = (&bench.program, bench.deadline);
    let made = bench.cache.made(&name_of(ids), |folder| {
        write_pipeline(folder, &LogPlace::beside(), STREAM, "")?;
        let feed: Feed = Box::new(move |stdin: ChildStdin| write_events(BufWriter::with_capacity(1 << 18, stdin), ids));
        program.produce(folder, STREAM, &["--input", "-", "--input-format", "json"], deadline, Some(feed))?;
        Ok(())
    });
    made.map(|folder| folder.join("log"))
}

fn write_events(mut out: impl Write, ids: u64) -> io::Result<()> {
    for number in 0..ids {
        writeln!(out, "{}", event(number))?;
    }
    out.flush()
}

/// Event `number`; no two have the same id.
pub(crate) fn event(number: u64) -> String {
    format!(r#"{{"event_id":"{}","ts":{}}}"#, uuid(number), START_MS + number)
}

/// The ids of these events.
pub(crate) fn uuids(numbers: Range<u64>) -> Vec<String> {
    numbers.map(uuid).collect()
}

/// A text of the form of a version 4 UUID, of two mixed halves: none of `number`'s is another's within any count that a
/// disk holds.
fn uuid(number: u64) -> String {
    let (high, low) = (mix(number), mix(number ^ 0x5851_F42D_4C95_7F2D));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xFFFF,
        high & 0xFFF,
        low >> 52,
        low & 0xFFFF_FFFF_FFFF
    )
}

/// The finaliser of SplitMix64: a permutation of 64 bits without a visible pattern.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Reads all events into empty tables, as the pipeline file in `place` says; every one of them must have become a row.
pub(crate) fn fill(program: &Program, place: &Path, ids: u64, deadline: Deadline) -> Result<Usage> {
    let finished = program.run(place, &[], deadline).context("the index could not be filled")?;
    all_rows(place, ids)?;
    Ok(finished.usage)
}

/// Fails unless silver has exactly so many rows, and nothing was taken for a duplicate or for no event.
pub(crate) fn all_rows(place: &Path, ids: u64) -> Result<()> {
    let totals =
        lake::newest(&place.join("lake"), "silver", STREAM)?.books.map(|books| books.totals).unwrap_or_default();
    ensure!(
        totals.silver == ids && totals.records == ids,
        "silver has {} rows of {ids} ({} duplicates, {} dead letters); look at the program before its figures",
        totals.silver,
        totals.duplicates,
        totals.dead_letters
    );
    Ok(())
}

/// Starts with nothing to do. Without the state folder, the one that was there is put back afterwards, so that every
/// start from the checkpoint is from the same one.
fn start(program: &Program, place: &Path, kind: Kind, deadline: Deadline) -> Result<(Usage, u64)> {
    let (state, aside) = (place.join("state"), place.join("state-aside"));
    let moved = |from: &Path, to: &Path| {
        std::fs::rename(from, to).with_context(|| format!("could not move {} to {}", from.display(), to.display()))
    };
    if kind == Kind::FromTables {
        moved(&state, &aside)?;
    }
    // What earlier runs wrote is on the disk; otherwise this one would pay for it.
    rustix::fs::sync();
    let finished = program.run(place, &[], deadline)?;
    let state_bytes = folder_bytes(&state)?;
    if kind == Kind::FromTables {
        std::fs::remove_dir_all(&state).with_context(|| format!("could not remove {}", state.display()))?;
        moved(&aside, &state)?;
    }
    Ok((finished.usage, state_bytes))
}

fn summaries(runs: &[Run], counts: &[u64]) -> Vec<Summary> {
    let of = |(ids, kind): (u64, Kind), value: &dyn Fn(&Run) -> Option<f64>| {
        let values: Vec<f64> = runs.iter().filter(|run| run.ids == ids && run.kind == kind).filter_map(value).collect();
        Spread::of(&values)
    };
    let summary = |ids: u64, kind: Kind| Summary {
        ids,
        kind,
        wall_s: of((ids, kind), &|run| Some(run.usage.wall_s)),
        cpu_s: of((ids, kind), &|run| Some(run.usage.cpu_s)),
        peak_mib: of((ids, kind), &|run| run.usage.peak_resident_bytes.map(mib)),
        state_bytes_per_id: of((ids, kind), &|run| Some(run.state_bytes as f64 / run.ids as f64)),
    };
    let kinds = [Kind::Fill, Kind::FromCheckpoint, Kind::FromTables];
    counts.iter().flat_map(|ids| kinds.map(|kind| summary(*ids, kind))).collect()
}

fn table_of(summaries: &[Summary]) -> String {
    let header = ["ids", "run", "wall s", "CPU s", "peak MiB", "state B/id"];
    let row = |summary: &Summary| {
        vec![
            amount::grouped(summary.ids),
            summary.kind.name().to_owned(),
            text_of(summary.wall_s, 2),
            text_of(summary.cpu_s, 2),
            text_of(summary.peak_mib, 0),
            text_of(summary.state_bytes_per_id, 1),
        ]
    };
    table::render(&header, &summaries.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_event_is_a_line_with_an_id_of_its_own() {
        let mut text = Vec::new();
        write_events(&mut text, 10_000).expect("written");
        let text = String::from_utf8(text).expect("UTF-8");
        let mut ids = HashSet::new();
        for (number, line) in text.lines().enumerate() {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(event["ts"].as_u64(), Some(START_MS + number as u64));
            let id = event["event_id"].as_str().expect("an id").to_owned();
            assert_eq!((id.len(), &id[14..15], &id[19..20]), (36, "4", "a"), "{id}");
            assert!(ids.insert(id), "an id came twice");
        }
        assert_eq!(ids.len(), 10_000);
    }

    #[test]
    fn runs_are_summed_up_by_number_of_ids_and_kind() {
        let usage = |wall_s: f64| Usage {
            cpu_s: 1.0,
            user_s: 1.0,
            system_s: 0.0,
            wall_s,
            peak_resident_bytes: Some(100 << 20),
            written_bytes: None,
        };
        let run = |round, kind, wall_s| Run { round, ids: 10, kind, state_bytes: 130, usage: usage(wall_s) };
        let runs =
            [run(0, Kind::FromCheckpoint, 1.0), run(0, Kind::FromTables, 5.0), run(1, Kind::FromCheckpoint, 3.0)];
        let summaries = summaries(&runs, &[10]);
        assert_eq!(summaries.len(), 3);
        assert_eq!(summaries[0].wall_s, None);
        assert_eq!(summaries[1].wall_s, Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(summaries[2].state_bytes_per_id.map(|bytes| bytes.median), Some(13.0));
        assert!(table_of(&summaries).contains("start, tables only"));
    }
}
