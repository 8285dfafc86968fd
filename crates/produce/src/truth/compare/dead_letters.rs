//! Dead letters: each at its offset, with its reasons and its bytes.

use super::cell::{bytes_at, integer_at, texts_at};
use super::expected::{Expected, Place, each_line};
use super::report::Check;
use crate::error::ProduceError;
use crate::generate::Item;
use crate::truth::dead_letters_path;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;
use watertight_core::port::Lake;

#[derive(Deserialize)]
struct Line {
    sequence: u64,
    partition: i32,
    offset: i64,
    reasons: Vec<String>,
}

pub(super) fn check(expected: &Expected, lake: &dyn Lake, stream: &str, folder: &Path) -> Result<Check, ProduceError> {
    let mut wanted: HashMap<Place, (u64, Vec<String>, bool)> = HashMap::new();
    each_line(&dead_letters_path(folder), |line: Line| {
        // The ledger knows better where the record lies.
        let place = expected.place(line.sequence).unwrap_or((line.partition, line.offset));
        let mut reasons = line.reasons;
        reasons.sort();
        wanted.insert(place, (line.sequence, reasons, false));
    })?;
    let table = format!("{stream}_dlq");
    let mut check = Check::new("dead letters", wanted.len() as u64);
    let mut item = Item::default();
    let columns = ["_kafka_partition", "_kafka_offset", "_raw_value", "_quality_flags"];
    let there = super::each_batch(lake, "bronze", &table, &columns, |batch| {
        for row in 0..batch.num_rows() {
            check.found += 1;
            let partition = integer_at(batch, "_kafka_partition", row).unwrap_or(-1);
            let offset = integer_at(batch, "_kafka_offset", row).unwrap_or(-1);
            let name = || format!("{partition}/{offset}");
            let Some((sequence, reasons, seen)) = wanted.get_mut(&(partition as i32, offset)) else {
                check.fault("rows too many", name);
                continue;
            };
            if std::mem::replace(seen, true) {
                check.fault("rows twice", name);
                continue;
            }
            let mut given = texts_at(batch, "_quality_flags", row);
            given.sort();
            if given != *reasons {
                check.fault("rows with other reasons", || {
                    format!("{partition}/{offset} {} instead of {}", given.join("+"), reasons.join("+"))
                });
            }
            expected.plan.item(*sequence, &mut item);
            if bytes_at(batch, "_raw_value", row) != item.value.as_deref() {
                check.fault("rows with other bytes", name);
            }
        }
        Ok(())
    })?;
    if !there && !wanted.is_empty() {
        check.fault("table missing", || format!("bronze.{table}"));
        return Ok(check);
    }
    let mut missing: Vec<_> = wanted.iter().filter(|(_, (_, _, seen))| !seen).collect();
    missing.sort_by_key(|(_, (sequence, _, _))| *sequence);
    for ((partition, offset), (_, reasons, _)) in missing {
        check.fault("rows missing", || format!("{partition}/{offset} {}", reasons.join("+")));
    }
    Ok(check)
}
