//! `behind`: what a commit and a start cost when there are many versions behind them.
//!
//! Contract: tables with so many versions are made once, by the program, and kept; each run works on a copy, with
//! events that were left unread for it. An epoch's time is the one between two commits of bronze, as their books bear
//! it: while there is a backlog it holds one round of fetching, bronze and silver, and nothing else. Commits are small,
//! so that what an epoch costs whatever is in it is what is seen.

use crate::amount::{self, mib};
use crate::bench::{Bench, CommonArgs};
use crate::breakdown::{self, STEPS};
use crate::cache::copy_folder;
use crate::child::Usage;
use crate::input::{FORMAT, Pipeline, START, STREAM};
use crate::lake;
use crate::log::LogPlace;
use crate::program::Program;
use crate::progress::{Deadline, ProgressLine, about, rounds};
use crate::statistics::{Spread, quantile, text_of};
use crate::table;
use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use watertight_adapters::system::SystemClock;
use watertight_core::port::Clock as _;

/// Records in one commit, about: few, so that ten thousand versions are made in minutes.
const ROWS_PER_COMMIT: u64 = 50;
/// Epochs that are measured in one run: enough for a median that a checkpoint now and then does not move.
const EPOCHS: u64 = 200;
/// An interval that is never over before the rows are there.
const COMMIT_YAML: &str = "commit: { interval: 10 s, max_rows: 50 }\n";
/// Each attempt leaves at most a tenth of the versions to the next, so a handful reaches any number.
const ATTEMPTS_MAX: u64 = 20;
/// Seconds of one epoch, generously, with every sync on a slow disk: to say how long it will take.
const EPOCH_S: f64 = 0.03;
/// Seconds of a run beside its epochs: its start, and the copy of one version.
const RUN_S: f64 = 1.0;
const COPY_S: f64 = 0.001;

/// Arguments of `behind`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Versions behind the commits that are measured; ratios are to the first of them.
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = amount::count)]
    #[arg(default_values = ["10", "1000", "10000"])]
    pub(crate) versions: Vec<u64>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// One run behind so many versions.
#[derive(Debug, Clone, Serialize)]
struct Run {
    round: u32,
    /// As asked for.
    versions: u64,
    /// Versions of bronze at the start, the same or a few more.
    versions_found: u64,
    /// From one commit to the next, milliseconds, in order.
    epochs_ms: Vec<f64>,
    /// Where an epoch's time went: medians by step, microseconds; empty where the books don't say.
    steps_us: BTreeMap<&'static str, f64>,
    /// From the start of the process to the first commit, seconds.
    first_commit_s: f64,
    #[serde(flatten)]
    usage: Usage,
}

/// All runs behind so many versions.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Summary {
    versions: u64,
    /// Medians of the runs, milliseconds.
    epoch_ms: Option<Spread>,
    /// Those as multiples of the median behind the first number of versions, in the same round.
    times_first: Option<Spread>,
    /// 95th percentiles of the runs, milliseconds.
    epoch_p95_ms: Option<Spread>,
    /// Medians of the runs by step, microseconds.
    steps_us: BTreeMap<&'static str, Spread>,
    first_commit_s: Option<Spread>,
    peak_mib: Option<Spread>,
}

#[derive(Serialize)]
struct Measured {
    rows_per_commit: u64,
    runs: Vec<Run>,
    summary: Vec<Summary>,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    let mut bench = Bench::set_up(&args.common)?;
    let missing = args.versions.iter().filter(|versions| !bench.cache.has(&name_of(**versions)));
    let making_s: f64 = missing.map(|versions| *versions as f64 * EPOCH_S + RUN_S).sum();
    let run_s = |versions: &u64| EPOCHS as f64 * EPOCH_S + RUN_S + *versions as f64 * COPY_S;
    let round_s: f64 = args.versions.iter().map(run_s).sum();
    let takes = about(making_s + round_s * f64::from(args.common.runs()));
    bench.progress.say(&format!(
        "{} rounds behind {} numbers of versions: {takes}",
        args.common.runs(),
        args.versions.len()
    ));
    let mut kept = Vec::new();
    for versions in &args.versions {
        let (program, deadline, progress) = (&bench.program, bench.deadline, &mut bench.progress);
        let made = bench.cache.made(&name_of(*versions), |folder| make(program, folder, *versions, deadline, progress));
        kept.push((*versions, made.with_context(|| format!("{versions} versions could not be made"))?));
    }
    let mut runs = Vec::new();
    rounds(args.common.runs(), bench.deadline, &mut bench.progress, |round, progress| {
        let first = round as usize % kept.len();
        for (versions, folder) in kept[first..].iter().chain(&kept[..first]) {
            progress.show(&format!("round {} of {}: {versions} versions", round + 1, args.common.runs()));
            let place = bench.cache.scratch()?;
            runs.push(measure(&bench.program, folder, place.path(), (round, *versions), bench.deadline)?);
        }
        Ok(())
    })?;
    let summary = summaries(&runs, &args.versions);
    let text = format!(
        "{}\nwhere an epoch's time goes, by the books of its commits: medians, microseconds\n{}",
        table_of(&summary),
        steps_of(&summary)
    );
    let measured = Measured { rows_per_commit: ROWS_PER_COMMIT, runs, summary };
    bench.report("behind", "what a commit and a start cost behind many versions", &text, &measured)
}

fn name_of(versions: u64) -> String {
    format!("behind-v{FORMAT}-{versions}")
}

/// Makes tables with at least so many versions, and leaves events unread behind them.
fn make(
    program: &Program,
    folder: &Path,
    versions: u64,
    deadline: Deadline,
    progress: &mut ProgressLine,
) -> Result<()> {
    Pipeline { log: &LogPlace::beside(), topic: STREAM, model: false, more: COMMIT_YAML }.write(folder)?;
    let lake_folder = folder.join("lake");
    let mut found = 0;
    for attempt in 1..=ATTEMPTS_MAX {
        progress.show(&format!("making {versions} versions, kept for later runs: {found} so far"));
        produce(program, folder, (versions - found) * ROWS_PER_COMMIT, attempt, deadline)?;
        program.run(folder, &[], deadline)?;
        found = lake::newest(&lake_folder, "bronze", STREAM)?.version;
        if found >= versions {
            // Half as many again as are needed: commits take a few records more than they are told to.
            return produce(program, folder, EPOCHS * ROWS_PER_COMMIT * 3 / 2, attempt + 1, deadline);
        }
    }
    bail!("{ATTEMPTS_MAX} attempts gave {found} versions; look at `commit` of the program, it does not keep max_rows")
}

/// Each attempt has a seed of its own, and so ids of its own: none of its events is a duplicate.
fn produce(program: &Program, folder: &Path, events: u64, attempt: u64, deadline: Deadline) -> Result<()> {
    let (count, seed, name) = (events.to_string(), attempt.to_string(), format!("bench-{attempt}"));
    let args = ["--generate", "bench", "--count", &count, "--seed", &seed, "--start-time", START, "--producer", &name];
    program.produce(folder, STREAM, &args, deadline, None).map(|_| ())
}

/// One run on a copy of the tables in `folder`.
fn measure(
    program: &Program,
    folder: &Path,
    place: &Path,
    (round, versions): (u32, u64),
    deadline: Deadline,
) -> Result<Run> {
    let (log, lake_folder) = (LogPlace::Local(folder.join("log")), place.join("lake"));
    copy_folder(&folder.join("lake"), &lake_folder)?;
    Pipeline { log: &log, topic: STREAM, model: false, more: COMMIT_YAML }.write(place)?;
    let versions_found = lake::newest(&lake_folder, "bronze", STREAM)?.version;
    let letters = format!("{STREAM}_dlq");
    let beside = [("bronze", letters.as_str()), ("silver", STREAM)];
    let found = |(schema_name, table): (&str, &str)| -> Result<u64> {
        Ok(lake::newest(&lake_folder, schema_name, table)?.version)
    };
    let beside_found = beside.map(found).into_iter().collect::<Result<Vec<u64>>>()?;
    // The copy is on the disk before anything is measured; otherwise the first syncs would wait for it.
    rustix::fs::sync();
    let began_us = SystemClock.now_us();
    let finished = program.run(place, &[], deadline).with_context(|| format!("no run behind {versions} versions"))?;
    let commits = lake::appends(&lake_folder, "bronze", STREAM, Some(versions_found))?;
    let times_us: Vec<i64> = commits.iter().map(|books| books.committed_at_us).collect();
    ensure!(
        times_us.len() as u64 >= EPOCHS / 2,
        "a run made only {} commits; delete {} to make it anew",
        times_us.len(),
        folder.display()
    );
    let first_us = times_us.first().context("a run made no commit of bronze; look at the program")?;
    let appends = |((schema_name, table), after)| lake::appends(&lake_folder, schema_name, table, Some(after));
    let beside = beside.into_iter().zip(beside_found).map(appends).collect::<Result<Vec<_>>>()?;
    Ok(Run {
        round,
        versions,
        versions_found,
        epochs_ms: differences_ms(&times_us),
        steps_us: breakdown::medians(&breakdown::epochs(full(&commits), &beside)),
        first_commit_s: (first_us - began_us) as f64 / 1e6,
        usage: finished.usage,
    })
}

/// All but the last: that epoch may hold fewer records than the others.
fn full<T>(commits: &[T]) -> &[T] {
    &commits[..commits.len().saturating_sub(1)]
}

/// Milliseconds from each time to the next, between full epochs.
fn differences_ms(times_us: &[i64]) -> Vec<f64> {
    full(times_us).windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e3).collect()
}

fn summaries(runs: &[Run], versions: &[u64]) -> Vec<Summary> {
    let median = |run: &Run| Spread::of(&run.epochs_ms).map(|spread| spread.median);
    let first_of = |round: u32| {
        let same = runs.iter().find(|run| run.round == round && Some(&run.versions) == versions.first())?;
        median(same).filter(|median| *median > 0.0)
    };
    let of = |versions: u64, value: &dyn Fn(&Run) -> Option<f64>| {
        let values: Vec<f64> = runs.iter().filter(|run| run.versions == versions).filter_map(value).collect();
        Spread::of(&values)
    };
    let summary = |versions: u64| Summary {
        versions,
        epoch_ms: of(versions, &median),
        times_first: of(versions, &|run| Some(median(run)? / first_of(run.round)?)),
        epoch_p95_ms: of(versions, &|run| quantile(&run.epochs_ms, 0.95)),
        steps_us: STEPS
            .iter()
            .filter_map(|step| Some((*step, of(versions, &|run| run.steps_us.get(step).copied())?)))
            .collect(),
        first_commit_s: of(versions, &|run| Some(run.first_commit_s)),
        peak_mib: of(versions, &|run| run.usage.peak_resident_bytes.map(mib)),
    };
    versions.iter().map(|versions| summary(*versions)).collect()
}

fn table_of(summaries: &[Summary]) -> String {
    let header = ["versions", "epoch ms", "× first", "p95 ms", "to first commit s", "peak MiB"];
    let row = |summary: &Summary| {
        vec![
            amount::grouped(summary.versions),
            text_of(summary.epoch_ms, 2),
            text_of(summary.times_first, 2),
            text_of(summary.epoch_p95_ms, 2),
            text_of(summary.first_commit_s, 2),
            text_of(summary.peak_mib, 0),
        ]
    };
    table::render(&header, &summaries.iter().map(row).collect::<Vec<_>>())
}

fn steps_of(summaries: &[Summary]) -> String {
    let header = [&["versions"][..], &STEPS[..]].concat();
    let row = |summary: &Summary| {
        let steps = STEPS.iter().map(|step| text_of(summary.steps_us.get(step).copied(), 0));
        std::iter::once(amount::grouped(summary.versions)).chain(steps).collect::<Vec<String>>()
    };
    table::render(&header, &summaries.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(round: u32, versions: u64, epochs_ms: &[f64]) -> Run {
        let usage = Usage {
            cpu_s: 1.0,
            user_s: 1.0,
            system_s: 0.0,
            wall_s: 1.0,
            peak_resident_bytes: None,
            written_bytes: None,
        };
        let steps_us = BTreeMap::from([("fsync", 100.0 * f64::from(round + 1))]);
        let epochs_ms = epochs_ms.to_vec();
        Run { round, versions, versions_found: versions, epochs_ms, steps_us, first_commit_s: 0.1, usage }
    }

    #[test]
    fn an_epoch_is_the_time_between_two_commits_and_the_last_one_does_not_count() {
        assert_eq!(differences_ms(&[1_000, 3_500, 5_000, 5_100]), [2.5, 1.5]);
        assert_eq!(differences_ms(&[1_000]), Vec::<f64>::new());
        assert_eq!(differences_ms(&[]), Vec::<f64>::new());
    }

    #[test]
    fn a_ratio_is_to_the_first_number_of_versions_in_the_same_round() {
        let runs = vec![
            run(0, 10, &[2.0, 2.0, 50.0]),
            run(0, 1_000, &[3.0, 3.0, 3.0]),
            run(1, 10, &[4.0, 4.0, 4.0]),
            run(1, 1_000, &[4.0, 4.0, 4.0]),
        ];
        let summaries = summaries(&runs, &[10, 1_000]);
        assert_eq!(summaries[0].times_first, Spread::of(&[1.0, 1.0]));
        assert_eq!(summaries[1].times_first, Spread::of(&[1.5, 1.0]));
        assert_eq!(summaries[0].epoch_p95_ms, Spread::of(&[50.0, 4.0]));
        assert!(table_of(&summaries).contains("1_000"));
        assert_eq!(
            summaries[1].steps_us,
            BTreeMap::from([("fsync", Spread { median: 150.0, min: 100.0, max: 200.0 })])
        );
        let steps = steps_of(&summaries);
        assert!(steps.contains("150 (100–200)") && steps.contains('–'), "{steps}");
    }

    #[test]
    fn the_bound_in_the_pipeline_file_is_the_one_that_is_counted_with() {
        assert!(COMMIT_YAML.contains(&format!("max_rows: {ROWS_PER_COMMIT} ")));
    }
}
