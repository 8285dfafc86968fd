//! Every row lies on the date that its time says.

use super::positions::Positions;
use crate::finding::{Code, Findings, Place};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use std::collections::BTreeMap;

const DAY_US: i64 = 86_400_000_000;

/// Rows of one partition of the topic (or of a table without offsets) on a wrong date.
struct Misplaced {
    rows: u64,
    time_us: i64,
    offsets: Option<(i64, i64)>,
}

/// Compares the partition column of a file's rows with the column it is the date of.
pub(super) struct Dates {
    time: &'static str,
    date: String,
    misplaced: BTreeMap<Option<i32>, Misplaced>,
    on: Option<i32>,
}

impl Dates {
    /// `date` is the partition column, `time` the column whose UTC date it must be.
    pub(super) fn new(time: &'static str, date: &str) -> Self {
        Self { time, date: date.to_owned(), misplaced: BTreeMap::new(), on: None }
    }

    /// Looks at a batch.
    pub(super) fn look(&mut self, batch: &RecordBatch) {
        let times =
            batch.column_by_name(self.time).and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
        let days = batch.column_by_name(&self.date).and_then(|days| days.as_primitive_opt::<Date32Type>());
        let (Some(times), Some(days)) = (times, days) else { return };
        if days.is_empty() || days.null_count() > 0 {
            return;
        }
        // All rows of a file are on the date of its entry.
        let on = days.value(0);
        self.on = Some(on);
        let fits = |us: i64| us.div_euclid(DAY_US) == i64::from(on);
        if min(times).is_none_or(fits) && max(times).is_none_or(fits) {
            return;
        }
        let positions = Positions::of(batch);
        for row in (0..times.len()).filter(|row| times.is_valid(*row)) {
            let time_us = times.value(row);
            if fits(time_us) {
                continue;
            }
            let position = positions.as_ref().map(|positions| positions.at(row));
            let found = self.misplaced.entry(position.map(|(partition, _)| partition)).or_insert(Misplaced {
                rows: 0,
                time_us,
                offsets: None,
            });
            found.rows += 1;
            if let Some((_, offset)) = position {
                let (least, most) = found.offsets.unwrap_or((offset, offset));
                found.offsets = Some((least.min(offset), most.max(offset)));
            }
        }
    }

    /// Enters what was found.
    pub(super) fn end(self, place: &Place, findings: &Findings) {
        let Some(on) = self.on else { return };
        for (partition, found) in self.misplaced {
            let mut place = place.clone().in_column(&self.date);
            place.partition = partition;
            place.offsets = found.offsets.map(|(least, most)| (least, most.saturating_add(1)));
            let (on, day) = (shown(i64::from(on)), shown(found.time_us.div_euclid(DAY_US)));
            let (date, time, rows) = (&self.date, self.time, found.rows);
            let what =
                format!("{rows} rows lie on {date} {on}, but their {time} is of another day; the first's of {day}");
            findings.add(Code::RowDate, place, what);
        }
    }
}

/// A day since the epoch as a date.
fn shown(day: i64) -> String {
    let instant = day.checked_mul(DAY_US).and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    match instant {
        Some(instant) => instant.to_string().chars().take(10).collect(),
        None => format!("day {day}"),
    }
}
