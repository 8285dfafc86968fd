//! The windows of a table in stretches that fit in memory: by day of `window_start`, and within a day as many as its
//! rows make necessary. Files are chosen by their entry's partition value and the bounds of `_event_time` in its
//! statistics, as every reader of Delta does; that those are true is the check of files.

use super::eras::Era;
use super::provider::window_start;
use crate::lake::{LiveFile, Table};
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::BTreeMap;

/// A UTC day.
const DAY_US: i64 = 86_400_000_000;
/// Rows of gold that are computed and compared at once: with their keys some 200 MB.
const ROWS_MAX: u64 = 500_000;
/// Rows of silver that are taken for one row of gold where gold's own number is smaller: a gold that lacks most of its
/// rows must not make a stretch that fills memory.
const SILVER_ROWS_PER_ROW: u64 = 16;
/// Parts of a day at most: each reads its files again.
const PARTS_MAX: u64 = 4_096;
/// Statistics hold milliseconds; another program's largest value may be rounded down.
const ROUNDED_US: i64 = 1_000;

/// Windows that start in `from_us..to_us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Day on which they start.
    pub day: i32,
    /// First window's start.
    pub from_us: i64,
    /// Start of the window after the last.
    pub to_us: i64,
}

/// A file with what its entry says of its rows' times.
#[derive(Debug)]
pub(super) struct Dated<'a> {
    /// The file.
    pub file: &'a LiveFile,
    /// Its partition's day; `None` where that is not known.
    pub day: Option<i32>,
    /// Rows.
    pub rows: u64,
    /// Least and largest `_event_time`, as far as its statistics have them.
    bounds: (Option<i64>, Option<i64>),
}

/// The live files of a table by this partition column.
pub(super) fn dated<'a>(table: &'a Table, partition: &str) -> Vec<Dated<'a>> {
    table.live.values().map(|file| read_entry(file, partition)).collect()
}

fn read_entry<'a>(file: &'a LiveFile, partition: &str) -> Dated<'a> {
    let day = file.add.partition_values.get(partition).and_then(Option::as_deref).and_then(day_of);
    let stats: serde_json::Value =
        file.add.stats.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let time = |bound: &str| -> Option<i64> {
        let text = stats.get(bound)?.get("_event_time")?.as_str()?;
        text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
    };
    let largest = time("maxValues").map(|largest| largest.saturating_add(ROUNDED_US));
    let rows = stats.get("numRecords").and_then(serde_json::Value::as_u64).unwrap_or(ROWS_MAX);
    Dated { file, day, rows, bounds: (time("minValues"), largest) }
}

impl Dated<'_> {
    /// Whether it may hold rows of silver with event times in `from_us..to_us`.
    pub(super) fn may_hold(&self, from_us: i64, to_us: i64) -> bool {
        let days = utc_day(from_us)..=utc_day(to_us.saturating_sub(1));
        let (least, largest) = self.bounds;
        self.day.is_none_or(|day| days.contains(&i64::from(day)))
            && least.is_none_or(|least| least < to_us)
            && largest.is_none_or(|largest| largest >= from_us)
    }
}

/// Days since the epoch of `2026-11-25`.
fn day_of(text: &str) -> Option<i32> {
    let date: Date = text.parse().ok()?;
    i32::try_from(date.duration_since(Date::constant(1970, 1, 1)).as_hours().div_euclid(24)).ok()
}

fn utc_day(time_us: i64) -> i64 {
    time_us.div_euclid(DAY_US)
}

/// The stretches of an era, ascending. `silver` and `gold` say on which days there are rows, and how many.
pub(super) fn stretches(era: &Era, window_us: i64, silver: &[Dated<'_>], gold: &[Dated<'_>]) -> Vec<Stretch> {
    let mut days: BTreeMap<i32, (u64, u64)> = BTreeMap::new();
    for file in silver {
        // A file whose day is not known is read for every day that another one has.
        let Some(day) = file.day else { continue };
        for window_day in window_days(day, window_us).into_iter().flatten() {
            let rows = &mut days.entry(window_day).or_default().0;
            *rows = rows.saturating_add(file.rows);
        }
    }
    for file in gold {
        let Some(day) = file.day else { continue };
        let rows = &mut days.entry(day).or_default().1;
        *rows = rows.saturating_add(file.rows);
    }
    let parts =
        |(silver, gold): (u64, u64)| gold.max(silver / SILVER_ROWS_PER_ROW).div_ceil(ROWS_MAX).clamp(1, PARTS_MAX);
    days.into_iter().flat_map(|(day, rows)| of_day(era, window_us, day, parts(rows))).collect()
}

/// The days on which windows start that hold events of this day.
fn window_days(day: i32, window_us: i64) -> [Option<i32>; 2] {
    let start_day = |time_us: i64| i32::try_from(utc_day(window_start(time_us, window_us)?)).ok();
    let Some(begin_us) = i64::from(day).checked_mul(DAY_US) else { return [None, None] };
    let last_us = begin_us.saturating_add(DAY_US - 1);
    let (first, last) = (start_day(begin_us), start_day(last_us));
    [first, last.filter(|_| first != last)]
}

fn of_day(era: &Era, window_us: i64, day: i32, parts: u64) -> Vec<Stretch> {
    let (window, day_us) = (i128::from(window_us.max(1)), i128::from(day) * i128::from(DAY_US));
    let aligned_up = |time: i128| (time + window - 1).div_euclid(window) * window;
    // A window that ends after `after` starts at the boundary at or before it, or later; one that ends at or before
    // `until` starts before the boundary at or before that.
    let first = aligned_up(day_us).max(i128::from(era.after_us).div_euclid(window) * window);
    let end = aligned_up(day_us + i128::from(DAY_US)).min(i128::from(era.until_us).div_euclid(window) * window);
    let windows = (end - first) / window;
    if windows <= 0 {
        return Vec::new();
    }
    let parts = i128::from(parts).min(windows);
    let each = (windows + parts - 1) / parts * window;
    let bounds = (0..parts).map(|part| (first + part * each, (first + (part + 1) * each).min(end)));
    bounds
        .filter(|(from, to)| from < to)
        .filter_map(|(from, to)| {
            Some(Stretch { day, from_us: i64::try_from(from).ok()?, to_us: i64::try_from(to).ok()? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn era(after_us: i64, until_us: i64) -> Era {
        Era { version: 1, after_us, until_us }
    }

    fn bounds(era: &Era, window_us: i64, day: i32, parts: u64) -> Vec<(i64, i64)> {
        of_day(era, window_us, day, parts).into_iter().map(|s| (s.from_us / HOUR, s.to_us / HOUR)).collect()
    }

    #[test]
    fn a_day_ends_where_the_windows_that_closed_end() {
        assert_eq!(bounds(&era(i64::MIN, 48 * HOUR), HOUR, 0, 1), [(0, 24)]);
        assert_eq!(bounds(&era(i64::MIN, 5 * HOUR + 7), HOUR, 0, 1), [(0, 5)]);
        assert_eq!(bounds(&era(3 * HOUR, 5 * HOUR), HOUR, 0, 1), [(3, 5)]);
        assert_eq!(bounds(&era(3 * HOUR + 1, 5 * HOUR), HOUR, 0, 1), [(3, 5)], "what ends at 4 h was not closed then");
        assert!(bounds(&era(i64::MIN, HOUR - 1), HOUR, 0, 1).is_empty());
        assert_eq!(bounds(&era(i64::MIN, 0), HOUR, -1, 1), [(-24, 0)]);
    }

    #[test]
    fn parts_cover_a_day_without_overlap() {
        assert_eq!(bounds(&era(i64::MIN, i64::MAX), HOUR, 0, 5), [(0, 5), (5, 10), (10, 15), (15, 20), (20, 24)]);
        assert_eq!(bounds(&era(i64::MIN, i64::MAX), 12 * HOUR, 0, 5), [(0, 12), (12, 24)]);
    }

    #[test]
    fn a_window_longer_than_a_day_belongs_to_the_day_on_which_it_starts() {
        assert_eq!(window_days(0, 36 * HOUR), [Some(0), None]);
        assert_eq!(window_days(1, 36 * HOUR), [Some(0), Some(1)]);
        assert_eq!(bounds(&era(i64::MIN, i64::MAX), 36 * HOUR, 1, 1), [(36, 72)]);
        assert!(bounds(&era(i64::MIN, i64::MAX), 36 * HOUR, 2, 1).is_empty());
    }

    #[test]
    fn days_are_counted_from_the_epoch() {
        assert_eq!(day_of("1970-01-02"), Some(1));
        assert_eq!(day_of("1969-12-31"), Some(-1));
        assert_eq!(day_of("2026-11-25"), Some(20_782));
        assert_eq!(day_of("__HIVE_DEFAULT_PARTITION__"), None);
    }

    #[test]
    fn days_beyond_what_microseconds_hold_have_no_windows() {
        assert!(of_day(&era(i64::MIN, i64::MAX), HOUR, i32::MAX, 1).is_empty());
        assert_eq!(window_days(i32::MIN, HOUR), [None, None]);
    }
}
