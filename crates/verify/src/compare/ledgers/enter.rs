//! What is put beside the lines of ledgers: the positions that tables hold, and the ids of silver.

use super::join::{Known, Named, SILVER, incarnation_key, ledger_id};
use crate::compare::conservation::{id_texts, positions, typed};
use crate::finding::{Place, Unable};
use crate::lake::Table;
use crate::request::Request;
use crate::rows::DataFile;
use crate::spill::Buckets;
use arrow::array::{Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use std::collections::{BTreeMap, BTreeSet};

/// Shows the batches of every live file of a table; gives the files that cannot be opened. That was told when the files
/// were looked at.
fn batches(
    table: &Table,
    columns: &[&str],
    each: &mut dyn FnMut(&RecordBatch) -> Result<Result<(), String>, Unable>,
) -> Result<BTreeSet<String>, Unable> {
    let mut failed = BTreeSet::new();
    for (path, file) in &table.live {
        let place = || Place::table(&table.name.to_string()).in_file(path);
        let Ok(open) = DataFile::open(table, file) else {
            failed.insert(path.clone());
            continue;
        };
        for batch in open.batches(columns) {
            let batch = batch.map_err(|problem| Unable { place: place(), why: problem.to_string() })?;
            each(&batch)?.map_err(|why| Unable { place: place(), why })?;
        }
    }
    Ok(failed)
}

/// Enters the positions that a table holds.
pub(super) fn rows(
    table: &Table,
    kind: u8,
    incarnations: &BTreeMap<u64, &str>,
    request: &Request,
    known: &mut Buckets<Known>,
) -> Result<BTreeSet<String>, Unable> {
    batches(table, &["_kafka_partition", "_kafka_offset", "_log_incarnation"], &mut |batch| {
        let read = positions(batch).and_then(|positions| {
            let of: StringArray = typed(batch, "_log_incarnation", &DataType::Utf8)?;
            Ok((positions, of))
        });
        let ((partitions, offsets), of) = match read {
            Ok(read) => read,
            Err(why) => return Ok(Err(why)),
        };
        let mut cached: Option<(&str, u64)> = None;
        for row in 0..batch.num_rows() {
            if of.is_null(row) || !request.scope.has_partition(partitions.value(row)) {
                continue;
            }
            let name = of.value(row);
            let key = match cached {
                Some((same, key)) if same == name => key,
                _ => incarnation_key(name),
            };
            cached = Some((name, key));
            if incarnations.contains_key(&key) {
                known.push(Known::of(key, (partitions.value(row), offsets.value(row)), kind, 0, 0))?;
            }
        }
        Ok(Ok(()))
    })
}

/// Enters the ids of silver.
pub(super) fn silver_ids(table: &Table, named: &mut Buckets<Named>) -> Result<BTreeSet<String>, Unable> {
    batches(table, &["event_id", "_kafka_partition", "_kafka_offset"], &mut |batch| {
        let (ids, (partitions, offsets)) = match id_texts(batch).and_then(|ids| Ok((ids, positions(batch)?))) {
            Ok(read) => read,
            Err(why) => return Ok(Err(why)),
        };
        for row in (0..ids.len()).filter(|row| ids.is_valid(*row)) {
            let id = ledger_id(ids.value(row));
            let (partition, offset) = (partitions.value(row), offsets.value(row));
            named.push(Named { id, kind: SILVER, partition, offset, ledger: 0 })?;
        }
        Ok(Ok(()))
    })
}
