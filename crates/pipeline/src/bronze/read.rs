//! Bronze read back as chunks, in the order in which it was committed: how the stages behind it catch up.

use crate::feed::Chunk;
use arrow::array::{Array, AsArray, BinaryArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use std::collections::BTreeMap;
use std::sync::Arc;
use watertight_core::books::{CommitKind, Entry};
use watertight_core::port::{ErrorKind, LakeCommit, LakeTable, PortError};
use watertight_core::record::Records;

const COLUMNS: [&str; 6] =
    ["_kafka_partition", "_kafka_offset", "_kafka_timestamp", "_key", "_raw_value", "_ingested_at"];

/// First number of commits looked at behind the newest one for where a reader is.
const LOOK_BACK_FIRST: u64 = 64;

/// The commits of bronze, oldest first, that hold what lies between `positions` and `ends` (next offsets by partition of
/// this incarnation of the topic); and some before them, because they are looked for from the newest one backwards, in growing steps.
///
/// # Errors
/// When the log of bronze cannot be read.
pub fn commits_between(
    bronze: &dyn LakeTable,
    incarnation: &str,
    positions: &BTreeMap<i32, i64>,
    ends: &BTreeMap<i32, i64>,
) -> Result<Vec<LakeCommit>, PortError> {
    let ours = |commit: &LakeCommit| commit.books.as_ref().is_some_and(|books| books.incarnation == incarnation);
    let newest = bronze.state().version;
    let mut look_back = LOOK_BACK_FIRST;
    loop {
        let after = newest.checked_sub(look_back);
        let mut commits = bronze.commits_after(after)?;
        commits.retain(ours);
        let mut firsts: BTreeMap<i32, i64> = BTreeMap::new();
        for entry in commits.iter().filter_map(|c| c.books.as_ref()).flat_map(|b| &b.entries) {
            firsts.entry(entry.partition).or_insert(entry.from);
        }
        let reaches = |(partition, to): (&i32, &i64)| {
            let at = positions.get(partition).copied();
            at == Some(*to) || at.is_some_and(|at| firsts.get(partition).is_some_and(|first| *first <= at))
        };
        if after.is_none() || ends.iter().all(reaches) {
            return Ok(commits);
        }
        look_back *= 4;
    }
}

/// Reads one bronze commit back as chunks, leaving out offsets below `positions` (next offset by partition), and those
/// from `ends` on: with `Some`, partitions that are not in it are left out altogether.
///
/// # Errors
/// `Corrupt` where a file does not hold what the books say it holds.
pub fn chunks_between(
    bronze: &dyn LakeTable,
    commit: &LakeCommit,
    positions: &BTreeMap<i32, i64>,
    ends: Option<&BTreeMap<i32, i64>>,
) -> Result<Vec<Chunk>, PortError> {
    let Some(books) = commit.books.as_ref().filter(|books| books.kind == CommitKind::Append) else {
        return Ok(Vec::new());
    };
    let wanted: Vec<Entry> = books.entries.iter().filter_map(|entry| between(entry, positions, ends)).collect();
    let entries: BTreeMap<i32, &Entry> = wanted.iter().map(|entry| (entry.partition, entry)).collect();
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let mut records: BTreeMap<i32, Records> = BTreeMap::new();
    let mut ingested: BTreeMap<i32, i64> = BTreeMap::new();
    for file in &commit.files {
        for batch in bronze.read(file, &COLUMNS)? {
            collect(&batch?, &entries, &mut records, &mut ingested);
        }
    }
    let incarnation: Arc<str> = books.incarnation.as_str().into();
    let mut chunks = Vec::new();
    for (partition, entry) in entries {
        let from = entry.from;
        let rows = records.remove(&partition).unwrap_or_default();
        let at = ingested.get(&partition).copied().unwrap_or(books.ingested_at_us);
        let chunk = Chunk::new(incarnation.clone(), partition, (from, entry.to), rows, entry.gaps.clone(), at);
        let (no_record, lost) = chunk.without_record(from, entry.to);
        let covered = (entry.to - from).unsigned_abs();
        if covered != chunk.records.len() as u64 + no_record + lost {
            let message = format!(
                "bronze version {}: partition {partition} should cover {from}..{} but its files hold {} records; \
                 run `watertight status` and restore the file from a copy",
                commit.version,
                entry.to,
                chunk.records.len()
            );
            return Err(PortError::new(ErrorKind::Corrupt, message));
        }
        chunks.push(chunk);
    }
    Ok(chunks)
}

/// What is wanted of an entry: the same with a narrower range. `None` where nothing is. One that covers nothing says where
/// its partition begins, and is wanted by whoever has no position there yet.
fn between(entry: &Entry, positions: &BTreeMap<i32, i64>, ends: Option<&BTreeMap<i32, i64>>) -> Option<Entry> {
    let at = positions.get(&entry.partition).copied();
    let begins = at.is_none() && entry.from == entry.to;
    let from = at.unwrap_or(entry.from).max(entry.from);
    let to = match ends {
        None => entry.to,
        Some(ends) => entry.to.min(*ends.get(&entry.partition)?),
    };
    (from < to || (begins && from == to)).then(|| Entry { from, to, ..entry.clone() })
}

fn collect(
    batch: &RecordBatch,
    entries: &BTreeMap<i32, &Entry>,
    records: &mut BTreeMap<i32, Records>,
    ingested: &mut BTreeMap<i32, i64>,
) {
    let partitions = batch.column(0).as_primitive::<Int32Type>();
    let offsets = batch.column(1).as_primitive::<Int64Type>();
    let timestamps = batch.column(2).as_primitive::<TimestampMicrosecondType>();
    let keys: &BinaryArray = batch.column(3).as_binary();
    let values: &BinaryArray = batch.column(4).as_binary();
    let times = batch.column(5).as_primitive::<TimestampMicrosecondType>();
    for row in 0..batch.num_rows() {
        let (partition, offset) = (partitions.value(row), offsets.value(row));
        if entries.get(&partition).is_none_or(|entry| !(entry.from..entry.to).contains(&offset)) {
            continue;
        }
        let key = keys.is_valid(row).then(|| keys.value(row));
        let value = values.is_valid(row).then(|| values.value(row));
        let into = records.entry(partition).or_default();
        into.push(offset, timestamps.value(row).div_euclid(1000), -1, key, value, None);
        ingested.insert(partition, times.value(row));
    }
}
