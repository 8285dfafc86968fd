//! Rows split by the UTC day they belong to: a commit writes one file per day.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use std::collections::BTreeMap;

/// Rows of one partition day.
pub type DayRows = (i32, RecordBatch);

/// Splits rows by day, oldest first; within a day the order stays. `days` has one entry per row.
///
/// # Errors
/// Only where `days` is longer than the rows: a defect.
pub fn by_day(rows: &RecordBatch, days: impl Iterator<Item = i32>) -> Result<Vec<DayRows>, ArrowError> {
    let mut by_day: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
    for (row, day) in (0_u32..).zip(days) {
        by_day.entry(day).or_default().push(row);
    }
    if by_day.len() == 1 {
        return Ok(by_day.into_keys().map(|day| (day, rows.clone())).collect());
    }
    let pick = |(day, picked): (i32, Vec<u32>)| Ok((day, take_record_batch(rows, &UInt32Array::from(picked))?));
    by_day.into_iter().map(pick).collect()
}
