//! Bronze: every record once, at its offset, byte for byte.

use super::cell::{bytes_at, integer_at, text_at};
use super::expected::Expected;
use super::report::Check;
use crate::error::ProduceError;
use crate::generate::Item;
use watertight_core::port::Lake;

pub(super) fn check(expected: &Expected, lake: &dyn Lake, stream: &str) -> Result<Check, ProduceError> {
    let mut check = Check::new("bronze", expected.records());
    let mut seen = vec![false; expected.truth.count as usize];
    let mut item = Item::default();
    let columns = ["_kafka_partition", "_kafka_offset", "_log_incarnation", "_key", "_raw_value"];
    let there = super::each_batch(lake, "bronze", stream, &columns, |batch| {
        for row in 0..batch.num_rows() {
            check.found += 1;
            let (Some(partition), Some(offset)) =
                (integer_at(batch, "_kafka_partition", row), integer_at(batch, "_kafka_offset", row))
            else {
                check.fault("rows without a position", String::new);
                continue;
            };
            let name = || format!("{partition}/{offset}");
            let Some(sequence) = expected.at(partition as i32, offset) else {
                let what = if expected.has_ledger() { "rows that the ledger does not know" } else { "rows too many" };
                check.fault(what, name);
                continue;
            };
            if std::mem::replace(&mut seen[sequence as usize], true) {
                check.fault("rows twice", name);
                continue;
            }
            expected.plan.item(sequence, &mut item);
            if bytes_at(batch, "_raw_value", row) != item.value.as_deref() {
                check.fault("rows with other bytes", name);
            }
            if bytes_at(batch, "_key", row) != item.key.as_deref() {
                check.fault("rows with another key", name);
            }
            if text_at(batch, "_log_incarnation", row) != Some(expected.truth.header.incarnation.as_str()) {
                check.fault("rows of another incarnation", name);
            }
        }
        Ok(())
    })?;
    if !there {
        check.fault("table missing", || format!("bronze.{stream}"));
        return Ok(check);
    }
    for (_, (partition, offset)) in expected.all().filter(|(sequence, _)| !seen[*sequence as usize]) {
        check.fault("rows missing", || format!("{partition}/{offset}"));
    }
    Ok(check)
}
