//! Finding the rows of a few offsets again: which files hold them, and their times.

use super::scan::unable;
use crate::finding::Findings;
use crate::lake::{LiveFile, Table};
use crate::rows::{DataFile, FileFacts, FileProblem, Positions, TableFacts};
use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use std::collections::{BTreeMap, BTreeSet};

/// Incarnation, partition, offset.
pub(super) type Wanted = (String, i32, i64);

/// Rows kept of one offset.
const ROWS_MAX: usize = 16;

/// A row that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) file: String,
    pub(super) version: u64,
    pub(super) timestamp_us: Option<i64>,
}

/// The rows of these offsets; only files whose ranges have one of them are read.
pub(super) fn rows(
    table: &Table,
    facts: &TableFacts,
    wanted: &[Wanted],
    findings: &Findings,
) -> BTreeMap<Wanted, Vec<Found>> {
    let mut by_key: BTreeMap<(&str, i32), BTreeSet<i64>> = BTreeMap::new();
    for (incarnation, partition, offset) in wanted {
        by_key.entry((incarnation.as_str(), *partition)).or_default().insert(*offset);
    }
    let mut found = BTreeMap::new();
    for file in table.live.values() {
        let Some(facts) = facts.get(&file.add.path) else { continue };
        if holds(facts, &by_key)
            && let Err(problem) = look(table, file, &by_key, &mut found)
        {
            unable(problem, table, file, findings);
        }
    }
    found
}

fn holds(facts: &FileFacts, by_key: &BTreeMap<(&str, i32), BTreeSet<i64>>) -> bool {
    facts.held.iter().any(|((incarnation, partition), held)| {
        let offsets = by_key.get(&(incarnation.as_str(), *partition));
        offsets.is_some_and(|offsets| held.first <= held.last && offsets.range(held.first..=held.last).next().is_some())
    })
}

fn look(
    table: &Table,
    file: &LiveFile,
    by_key: &BTreeMap<(&str, i32), BTreeSet<i64>>,
    found: &mut BTreeMap<Wanted, Vec<Found>>,
) -> Result<(), FileProblem> {
    let columns = ["_kafka_partition", "_kafka_offset", "_log_incarnation", "_kafka_timestamp"];
    for batch in DataFile::open(table, file)?.batches(&columns) {
        let batch = batch?;
        let Some(positions) = Positions::of(&batch) else { continue };
        let times = batch
            .column_by_name("_kafka_timestamp")
            .and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
        for row in 0..positions.len() {
            let (partition, offset) = positions.at(row);
            let incarnation = positions.incarnation(row);
            if !by_key.get(&(incarnation, partition)).is_some_and(|offsets| offsets.contains(&offset)) {
                continue;
            }
            let rows = found.entry((incarnation.to_owned(), partition, offset)).or_default();
            if rows.len() < ROWS_MAX {
                let timestamp_us = times.filter(|times| times.is_valid(row)).map(|times| times.value(row));
                rows.push(Found { file: file.add.path.clone(), version: file.version, timestamp_us });
            }
        }
    }
    Ok(())
}
