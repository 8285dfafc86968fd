//! What the figures are read beside: the goals, the floor, and what a user would pick instead.
//!
//! Floor and Spark were measured on another day, on a machine of the kind CI has (2 shared cores; shared/LAB.md, §8 and §9,
//! November 2026), on the same events. Machines are shared and differ, so they are references and no part of a ratio.

use super::Level;
use super::report::Summary;
use crate::table;

/// CPU time in microseconds per event, or CPU-seconds per million: the lowest and the highest that was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    /// Lowest.
    pub(crate) low: f64,
    /// Highest.
    pub(crate) high: f64,
}

const fn range(low: f64, high: f64) -> Range {
    Range { low, high }
}

/// The references of one level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reference {
    /// CPU as a multiple of L0's that is wanted at most.
    pub(crate) goal_times_l0: Option<f64>,
    /// What the stages above reading cost at least, in memory and on one thread: no writes, no fsync, no books. Not measured
    /// for silver without gold.
    pub(crate) floor_above_l0: Option<Range>,
    /// Spark 4.2 with Delta 4.4: whole runs over two million events, start and stop included.
    pub(crate) spark_whole: Option<Range>,
    /// The same, what one event more costs.
    pub(crate) spark_marginal: Option<Range>,
}

/// The references of a level.
pub(crate) fn of(level: Level) -> Reference {
    let (goal, floor, whole, marginal) = match level {
        Level::L0 => (None, None, None, None),
        Level::L1 => (Some(2.5), Some(range(1.1, 1.3)), Some(range(37.0, 42.0)), Some(range(19.0, 19.0))),
        Level::L2 => (Some(3.5), None, Some(range(94.0, 119.0)), Some(range(79.0, 79.0))),
        Level::L3 => (Some(4.0), Some(range(2.6, 2.95)), Some(range(124.0, 143.0)), Some(range(70.0, 89.0))),
    };
    Reference { goal_times_l0: goal, floor_above_l0: floor, spark_whole: whole, spark_marginal: marginal }
}

/// Median CPU of the level in microseconds per event.
pub(crate) fn median_us(summaries: &[Summary], level: Level) -> Option<f64> {
    summaries.iter().find(|summary| summary.level == level)?.cpu_s_per_million.map(|spread| spread.median)
}

/// The references for people, with the medians beside them; empty where no level has any.
pub(crate) fn table(summaries: &[Summary]) -> String {
    let header =
        ["level", "× L0", "goal", "CPU µs above L0", "floor", "Spark, whole run ÷ this", "Spark, marginal ÷ this"];
    let l0_us = median_us(summaries, Level::L0);
    let mut rows = Vec::new();
    for summary in summaries.iter().filter(|summary| summary.level != Level::L0) {
        let (reference, us) = (of(summary.level), summary.cpu_s_per_million.map(|spread| spread.median));
        let above = us.zip(l0_us).map(|(us, l0_us)| us - l0_us);
        // The lower end, so that nothing is flattered.
        let times = |range: Option<Range>| range.zip(us).map(|(range, us)| range.low / us);
        rows.push(vec![
            summary.level.name().to_owned(),
            number(summary.times_l0.map(|spread| spread.median), 2),
            reference.goal_times_l0.map_or_else(dash, |goal| format!("≤ {goal:.1}")),
            number(above, 2),
            reference.floor_above_l0.map_or_else(dash, |floor| format!("{}–{}", floor.low, floor.high)),
            number(times(reference.spark_whole), 0),
            number(times(reference.spark_marginal), 0),
        ]);
    }
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "beside the references (floor and Spark: shared/LAB.md, another machine of this kind)\n{}",
        table::render(&header, &rows)
    )
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(dash, |value| format!("{value:.digits$}"))
}

fn dash() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Spread;

    fn summary(level: Level, us: f64, times: f64) -> Summary {
        Summary {
            level,
            cpu_s_per_million: Spread::of(&[us]),
            times_l0: Spread::of(&[times]),
            events_per_s: None,
            peak_mib: None,
            written_bytes_per_event: None,
            lake_bytes_per_event: None,
        }
    }

    #[test]
    fn ratios_to_spark_are_of_its_lowest_figures() {
        let text = table(&[summary(Level::L0, 1.25, 1.0), summary(Level::L1, 2.5, 2.0)]);
        let line = text.lines().next_back().expect("a line");
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>(),
            ["L1", "2.00", "≤", "2.5", "1.25", "1.1–1.3", "15", "8"]
        );
    }

    #[test]
    fn what_was_not_measured_is_a_dash_and_reading_alone_has_no_references() {
        let text = table(&[summary(Level::L2, 4.0, 3.0)]);
        let line = text.lines().next_back().expect("a line");
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["L2", "3.00", "≤", "3.5", "–", "–", "24", "20"]);
        assert_eq!(table(&[summary(Level::L0, 1.0, 1.0)]), "");
    }
}
