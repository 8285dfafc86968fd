//! Rows split by the UTC day they belong to: a commit writes one file per day.

use arrow::array::{BooleanArray, BooleanBufferBuilder, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take_record_batch};
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
    by_day.into_iter().map(|(day, picked)| Ok((day, picked_rows(rows, picked)?))).collect()
}

/// These rows, in ascending order. Most of all rows lie in long runs, which are copied whole; of few, each is.
fn picked_rows(rows: &RecordBatch, picked: Vec<u32>) -> Result<RecordBatch, ArrowError> {
    let all = rows.num_rows();
    if picked.len() * 2 < all || picked.last().is_some_and(|last| *last as usize >= all) {
        return take_record_batch(rows, &UInt32Array::from(picked));
    }
    let mut mask = BooleanBufferBuilder::new(all);
    mask.append_n(all, false);
    picked.iter().for_each(|row| mask.set_bit(*row as usize, true));
    filter_record_batch(rows, &BooleanArray::new(mask.finish(), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use std::sync::Arc;

    #[test]
    fn each_row_goes_to_its_day_once_and_in_order_however_the_days_are_mixed() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let texts: ArrayRef = Arc::new(StringArray::from_iter((0..100).map(|n| (n % 7 > 0).then(|| format!("t{n}")))));
        let rows = RecordBatch::try_from_iter_with_nullable([("n", numbers, false), ("t", texts, true)]).expect("rows");
        let ways: [fn(i32) -> i32; 4] = [|_| 3, |n| i32::from(n % 10 == 4), |n| n / 50, |n| n % 4 - 2];
        for day_of in ways {
            let split = by_day(&rows, (0..100).map(day_of)).expect("as many days");
            assert!(split.is_sorted_by_key(|(day, _)| *day));
            let mut seen = Vec::new();
            for (day, rows) in &split {
                let numbers = rows.column(0).as_primitive::<Int64Type>().values().to_vec();
                assert!(numbers.is_sorted() && numbers.iter().all(|n| day_of(*n as i32) == *day));
                let texts = rows.column(1).as_string::<i32>();
                let of = |n: &i64| (n % 7 > 0).then(|| format!("t{n}"));
                assert!(numbers.iter().zip(texts).all(|(n, text)| of(n).as_deref() == text));
                seen.extend(numbers);
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..100).collect::<Vec<i64>>());
        }
    }
}
