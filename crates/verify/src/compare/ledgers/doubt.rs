//! What is in doubt: sent, perhaps written, never acknowledged.
//!
//! A producer writes its ledger behind each append; one that was killed leaves at most the records of that append in the
//! log without a line. They are known by their headers `wt-producer` and `wt-seq`, and by lying behind every offset that
//! the ledger acknowledges in that partition. They may be there, but each sequence once.

use super::lines::Ledger;
use super::{Found, file};
use crate::compare::conservation::{positions, typed};
use crate::compare::stream::Stream;
use crate::finding::{Code, Findings, Place};
use crate::lake::Table;
use crate::rows::DataFile;
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const PRODUCER_HEADER: &str = "wt-producer";
const SEQUENCE_HEADER: &str = "wt-seq";

/// A position, and the incarnation of the topic that it is in.
type At = ((i32, i64), String);

/// Takes what is in doubt out of what no ledger has; tells of sequences that stand there more than once. Where the
/// topic was made anew a position is that of several records, and silver does not tell which of them a row is of: that
/// one of them is in doubt is enough.
pub(super) fn settle(stream: &Stream<'_>, ledgers: &[Ledger], found: &mut Found, findings: &Findings) {
    let behind = |partition: i32, offset: i64| ledgers.iter().any(|ledger| ledger.ends_before(partition, offset));
    let candidates: BTreeSet<(i32, i64)> = found
        .extra
        .union(&found.unledgered)
        .copied()
        .filter(|(partition, offset)| behind(*partition, *offset))
        .collect();
    if candidates.is_empty() {
        return;
    }
    let mut seen: BTreeMap<(usize, u64), (i32, i64)> = BTreeMap::new();
    for (((partition, offset), incarnation), (producer, sequence)) in senders(stream.bronze.0, &candidates) {
        let own = ledgers.iter().position(|ledger| {
            (&ledger.header.producer, &ledger.header.incarnation) == (&producer, &incarnation)
                && ledger.ends_before(partition, offset)
        });
        let Some(own) = own else { continue };
        found.extra.remove(&(partition, offset));
        if let Some((other, at)) = seen.insert((own, sequence), (partition, offset)) {
            let place = Place::table(&stream.bronze.0.name.to_string()).of_partition(partition);
            let place = place.offsets(offset, offset.saturating_add(1));
            let what = format!(
                "sequence {sequence} of producer {producer}, never acknowledged, stands here and at partition {other} \
                 offset {at}: what is in doubt may be there once at most"
            );
            findings.add(Code::LedgerExtra, place, what);
        }
    }
    again(stream, ledgers, &seen, findings);
}

/// Tells of sequences that are acknowledged, and stand behind that once more.
pub(super) fn again(
    stream: &Stream<'_>,
    ledgers: &[Ledger],
    seen: &BTreeMap<(usize, u64), (i32, i64)>,
    findings: &Findings,
) {
    for (number, ledger) in ledgers.iter().enumerate() {
        if !seen.keys().any(|(of, _)| *of == number) {
            continue;
        }
        let mut lines = 0_u64;
        // It was read before; what cannot be read now was told then, or is torn off. A line that came since may be the one
        // that acknowledges the very record in doubt.
        let _ = file::read(&ledger.path, &mut |line| {
            lines = lines.saturating_add(1);
            if lines > ledger.lines {
                return Ok(());
            }
            if let Some((partition, offset)) = seen.get(&(number, line.sequence)) {
                let place = Place::table(&stream.bronze.0.name.to_string()).of_partition(*partition);
                let place = place.offsets(*offset, offset.saturating_add(1)).event(line.id);
                let what = format!(
                    "sequence {} of producer {} was acknowledged at partition {} offset {}, and stands here once more",
                    line.sequence, ledger.header.producer, line.partition, line.offset
                );
                findings.add(Code::LedgerExtra, place, what);
            }
            Ok(())
        });
    }
}

/// Producer and sequence of the records at some positions of bronze, where their headers name them.
fn senders(table: &Table, wanted: &BTreeSet<(i32, i64)>) -> BTreeMap<At, (String, u64)> {
    let mut found = BTreeMap::new();
    for file in table.live.values() {
        let Ok(open) = DataFile::open(table, file) else { continue };
        let columns = ["_kafka_partition", "_kafka_offset", "_log_incarnation", "_headers"];
        for batch in open.batches(&columns).map_while(Result::ok) {
            let Ok((partitions, offsets)) = positions(&batch) else { break };
            let Ok(lives) = typed::<StringArray>(&batch, "_log_incarnation", &DataType::Utf8) else { break };
            for row in 0..batch.num_rows() {
                let position = (partitions.value(row), offsets.value(row));
                if wanted.contains(&position)
                    && lives.is_valid(row)
                    && let Some(sender) = sender(&batch, row)
                {
                    found.insert((position, lives.value(row).to_owned()), sender);
                }
            }
        }
    }
    found
}

/// Who sent a record, by its headers.
fn sender(batch: &RecordBatch, row: usize) -> Option<(String, u64)> {
    let lists = batch.column_by_name("_headers")?.as_list_opt::<i32>()?;
    if lists.is_null(row) {
        return None;
    }
    let headers = lists.value(row);
    let headers = headers.as_struct_opt()?;
    let keys = cast(headers.column_by_name("key")?, &DataType::Utf8).ok()?;
    let keys: &StringArray = keys.as_string_opt::<i32>()?;
    let values = cast(headers.column_by_name("value")?, &DataType::Binary).ok()?;
    let values = values.as_binary_opt::<i32>()?;
    let value = |name: &str| {
        let at = (0..keys.len()).find(|index| keys.is_valid(*index) && keys.value(*index) == name)?;
        let bytes = values.is_valid(at).then(|| values.value(at))?;
        std::str::from_utf8(bytes).ok()
    };
    Some((value(PRODUCER_HEADER)?.to_owned(), value(SEQUENCE_HEADER)?.parse().ok()?))
}

/// The ids that a ledger has at some positions.
pub(super) fn ids_at(path: &Path, wanted: &BTreeSet<(i32, i64)>) -> BTreeMap<(i32, i64), String> {
    let mut ids = BTreeMap::new();
    // It was read before; what cannot be read now only lacks its id.
    let _ = file::read(path, &mut |line| {
        if wanted.contains(&(line.partition, line.offset)) {
            ids.insert((line.partition, line.offset), line.id.to_owned());
        }
        Ok(())
    });
    ids
}
