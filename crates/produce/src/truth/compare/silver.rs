//! Silver: each id once, with the right flag, from a copy that could win, and with the values that were sent.

use super::cell::{self, integer_at, text_at};
use super::expected::{Expected, each_line};
use super::report::Check;
use crate::error::ProduceError;
use crate::generate::Item;
use crate::truth::silver_path;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use watertight_core::port::Lake;
use watertight_core::schema::StreamDef;

#[derive(Deserialize)]
struct Line {
    sequence: u64,
    event_id: Box<str>,
    late: bool,
}

struct Wanted {
    sequence: u64,
    late: bool,
    seen: bool,
}

pub(super) fn check(
    expected: &Expected,
    lake: &dyn Lake,
    stream: &StreamDef,
    folder: &Path,
) -> Result<Check, ProduceError> {
    let mut wanted: HashMap<Box<str>, Wanted> = HashMap::new();
    each_line(&silver_path(folder), |line: Line| {
        wanted.insert(line.event_id, Wanted { sequence: line.sequence, late: line.late, seen: false });
    })?;
    let mut check = Check::new("silver", wanted.len() as u64);
    let mut item = Item::default();
    let there = super::each_batch(lake, "silver", &stream.name, &[], |batch| {
        for row in 0..batch.num_rows() {
            check.found += 1;
            let id = text_at(batch, "event_id", row).unwrap_or("");
            let Some(wanted) = wanted.get_mut(id) else {
                check.fault("ids too many", || id.chars().take(80).collect());
                continue;
            };
            if std::mem::replace(&mut wanted.seen, true) {
                check.fault("ids twice", || id.to_owned());
                continue;
            }
            check_row(&mut check, expected, stream, batch, row, wanted, &mut item);
        }
        Ok(())
    })?;
    if !there && !wanted.is_empty() {
        check.fault("table missing", || format!("silver.{}", stream.name));
        return Ok(check);
    }
    let mut missing: Vec<_> = wanted.iter().filter(|(_, wanted)| !wanted.seen).collect();
    missing.sort_by_key(|(_, wanted)| wanted.sequence);
    for (id, _) in missing {
        check.fault("ids missing", || id.to_string());
    }
    Ok(check)
}

fn check_row(
    check: &mut Check,
    expected: &Expected,
    stream: &StreamDef,
    batch: &RecordBatch,
    row: usize,
    wanted: &Wanted,
    item: &mut Item,
) {
    let id = || text_at(batch, "event_id", row).unwrap_or("").to_owned();
    let late = batch.column_by_name("_is_late_arriving").and_then(|array| array.as_boolean_opt());
    if late.map(|flags| flags.is_valid(row) && flags.value(row)) != Some(wanted.late) {
        check.fault("late flags wrong", || format!("{} must be {}", id(), wanted.late));
    }
    let partition = integer_at(batch, "_kafka_partition", row).unwrap_or(-1);
    let offset = integer_at(batch, "_kafka_offset", row).unwrap_or(-1);
    if !expected.may_win(wanted.sequence, partition as i32, offset) {
        check.fault("rows from a copy that cannot win", || format!("{} at {partition}/{offset}", id()));
    }
    expected.plan.item(wanted.sequence, item);
    let payload: Value = item.value.as_deref().and_then(|v| serde_json::from_slice(v).ok()).unwrap_or(Value::Null);
    for column in &stream.columns {
        let value = column.path.iter().try_fold(&payload, |value, name| value.get(name));
        let array = batch.column_by_name(&column.name);
        if !array.is_some_and(|array| cell::matches(array, row, value, &column.kind)) {
            check.fault("values wrong", || format!("{} of {}", column.name, id()));
        }
    }
    let time = batch.column_by_name("_event_time").and_then(|a| a.as_primitive_opt::<TimestampMicrosecondType>());
    let time_us = expected.plan.valid_event(wanted.sequence).map(|event| event.time_us);
    if time.filter(|times| times.is_valid(row)).map(|times| times.value(row)) != time_us {
        check.fault("event times wrong", id);
    }
    if !extra_is_kept(stream, batch, row, &payload) {
        check.fault("unknown fields lost", id);
    }
}

/// Every member that no column is read from must be in `_extra`.
fn extra_is_kept(stream: &StreamDef, batch: &RecordBatch, row: usize, payload: &Value) -> bool {
    let declared = |name: &str| stream.columns.iter().any(|column| column.path.first().is_some_and(|p| p == name));
    let Some(members) = payload.as_object() else { return true };
    let mut unknown = members.iter().filter(|(name, _)| !declared(name)).peekable();
    if unknown.peek().is_none() {
        return true;
    }
    let kept: Option<Value> = text_at(batch, "_extra", row).and_then(|text| serde_json::from_str(text).ok());
    kept.is_some_and(|kept| unknown.all(|(name, value)| kept.get(name) == Some(value)))
}
