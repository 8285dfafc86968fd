//! The kernels whose instructions are counted: decoding, the duplicate index, encoding bronze and silver.
//!
//! Contract: `kernel` runs one of them on a file of events, on one thread, a fixed number of times; `--idle` only prepares.
//! The difference of the two, counted by callgrind, is the kernel: it depends on the code, its build and the compiler, and
//! not on the machine's load. Nothing here measures time. `cargo xtask bench --callgrind` counts and compares.

mod batches;
mod file;

use crate::amount;
use crate::input;
use anyhow::{Context as _, Result, ensure};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use watertight_adapters::delta::DeltaLake;
use watertight_adapters::system::{SystemClock, SystemIds};
use watertight_core::port::{Lake as _, LakeTable, TableSpec};
use watertight_core::schema::{BRONZE_PARTITION, bronze_schema, silver_schema};
use watertight_decode::Decoder;
use watertight_state::{DuplicateIndex, IdHasher, IdKey, IndexOptions, Seen};

/// Identity of the pipeline that the kernels stand for; the duplicate index's key is made of it.
const PIPELINE: &str = "018f3c1e-0000-7000-8000-000000000001";
/// How often a kernel goes over the events.
const TIMES: u64 = 4;
/// Ids that are in the index before.
const IDS_BEFORE: u64 = 100_000;

/// Arguments of `kernel-input`.
#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// The file to write.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Events in it.
    #[arg(long, value_name = "COUNT", default_value = "10k", value_parser = amount::count)]
    events: u64,
}

/// Arguments of `kernel`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which.
    #[arg(value_enum)]
    kernel: Kernel,
    /// The file that `kernel-input` wrote.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Prepare, and do nothing.
    #[arg(long)]
    idle: bool,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kernel {
    /// Payloads into columns.
    Decode,
    /// Ids hashed and looked up, 5 % of them known.
    Index,
    /// Records into a Parquet file of bronze.
    Bronze,
    /// Rows into a Parquet file of silver.
    Silver,
}

pub(crate) fn write_input(args: &InputArgs) -> Result<()> {
    file::write(&args.file, args.events)
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    let times = if args.idle { 0 } else { TIMES };
    let events = match args.kernel {
        Kernel::Decode => decode(&args.input, times),
        Kernel::Index => index(times),
        Kernel::Bronze => bronze(&args.input, times),
        Kernel::Silver => silver(&args.input, times),
    }?;
    println!("{events}");
    Ok(())
}

/// Answers how many events were decoded, as all kernels answer how many they took.
fn decode(input: &Path, times: u64) -> Result<u64> {
    let (records, mut decoder) = (file::read(input)?, Decoder::new(&input::definition()?)?);
    let mut done = 0;
    for _ in 0..times {
        let decoded = black_box(decoder.decode(black_box(&records)));
        ensure!(
            !decoded.rows.is_empty() && !decoded.rejected.is_empty(),
            "the input has no valid or no malformed events"
        );
        done += records.len() as u64;
    }
    Ok(done)
}

fn index(times: u64) -> Result<u64> {
    let place = scratch()?;
    let hasher = IdHasher::new(PIPELINE);
    let mut index = DuplicateIndex::new(IndexOptions::new(place.path()));
    let keys = |ids: &[String]| ids.iter().map(|id| hasher.hash(id.as_bytes())).collect::<Vec<IdKey>>();
    let before = crate::ids::uuids(0..IDS_BEFORE);
    let mark = index.mark();
    index.insert_batch(&keys(&before), &mut Vec::new())?;
    index.commit(mark)?;
    let new = IDS_BEFORE / 10;
    // Prepared whether they are used or not: the difference to `--idle` is the index alone.
    let batches: Vec<Vec<String>> = (0..TIMES)
        .map(|number| {
            let first = IDS_BEFORE + number * new;
            let mut ids = crate::ids::uuids(first..first + new);
            ids.iter_mut().step_by(20).zip(&before).for_each(|(id, known)| id.clone_from(known));
            ids
        })
        .collect();
    let (mut done, mut answers) = (0, Vec::with_capacity(new as usize));
    for ids in batches.iter().take(times as usize) {
        let keys = keys(ids);
        let mark = index.mark();
        answers.clear();
        index.insert_batch(&keys, &mut answers)?;
        index.commit(mark)?;
        let known = answers.iter().filter(|seen| **seen == Seen::Duplicate).count() as u64;
        ensure!(known == new.div_ceil(20), "the index knows {known} ids of {new}; it should know 5 %");
        done += new;
    }
    Ok(done)
}

fn bronze(input: &Path, times: u64) -> Result<u64> {
    let records = file::read(input)?;
    let rows = batches::bronze_rows(&records)?;
    let place = scratch()?;
    let mut table = open(place.path(), "bronze", Arc::new(bronze_schema()))?;
    let mut done = 0;
    for _ in 0..times {
        let file = table.stage(batches::DAY, black_box(&rows))?;
        ensure!(file.rows == rows.num_rows() as u64, "a file of bronze has {} rows", file.rows);
        done += file.rows;
    }
    Ok(done)
}

fn silver(input: &Path, times: u64) -> Result<u64> {
    let (records, definition) = (file::read(input)?, input::definition()?);
    let decoded = Decoder::new(&definition)?.decode(&records);
    let schema = Arc::new(silver_schema(&definition));
    let rows = batches::silver_rows(&schema, &records, &decoded)?;
    let place = scratch()?;
    let mut table = open(place.path(), "silver", schema)?;
    let mut done = 0;
    for _ in 0..times {
        let file = table.stage(batches::DAY, black_box(&rows))?;
        ensure!(file.rows == rows.num_rows() as u64, "a file of silver has {} rows", file.rows);
        done += file.rows;
    }
    Ok(done)
}

fn open(lake: &Path, schema_name: &str, columns: arrow::datatypes::SchemaRef) -> Result<Box<dyn LakeTable>> {
    let lake = DeltaLake::open(lake, Arc::new(SystemClock), Arc::new(SystemIds));
    let spec = TableSpec {
        schema_name: schema_name.to_owned(),
        table: input::STREAM.to_owned(),
        columns,
        partition_column: BRONZE_PARTITION.to_owned(),
        pipeline: PIPELINE.to_owned(),
    };
    Ok(lake.open(&spec)?)
}

fn scratch() -> Result<TempDir> {
    tempfile::tempdir().context("no folder could be made for temporary files; set TMPDIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_takes_all_events_each_time_and_none_when_idle() {
        let dir = tempfile::tempdir().expect("scratch");
        let input = dir.path().join("events");
        file::write(&input, 2_000).expect("written");
        assert_eq!(decode(&input, TIMES).expect("decoded"), 2_000 * TIMES);
        assert_eq!(bronze(&input, TIMES).expect("encoded"), 2_000 * TIMES);
        let rows = silver(&input, TIMES).expect("encoded");
        assert!(rows > 1_900 * TIMES && rows < 2_000 * TIMES, "malformed events have no row: {rows}");
        assert_eq!(index(TIMES).expect("looked up"), IDS_BEFORE / 10 * TIMES);
        assert_eq!(
            (decode(&input, 0).expect("idle"), silver(&input, 0).expect("idle"), index(0).expect("idle")),
            (0, 0, 0)
        );
    }
}
