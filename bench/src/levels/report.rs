//! What the runs of all rounds say together.

use super::{Level, Measured, Run};
use crate::amount::mib;
use crate::statistics::{Spread, text_of};
use crate::table;
use serde::Serialize;

/// One level over all rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// Level.
    pub(crate) level: Level,
    /// CPU-seconds per million events.
    pub(crate) cpu_s_per_million: Option<Spread>,
    /// CPU time as a multiple of L0's of the same round.
    pub(crate) times_l0: Option<Spread>,
    /// Events per second of wall time, start and end of the process included.
    pub(crate) events_per_s: Option<Spread>,
    /// Largest resident memory, MiB.
    pub(crate) peak_mib: Option<Spread>,
    /// Bytes sent to storage per event.
    pub(crate) written_bytes_per_event: Option<Spread>,
    /// Bytes in the lake's folder afterwards, per event.
    pub(crate) lake_bytes_per_event: Option<Spread>,
}

/// One summary per level, in the given order.
pub(crate) fn summaries(measured: &Measured, levels: &[Level]) -> Vec<Summary> {
    let events = measured.events as f64;
    let of = |level: Level, value: &dyn Fn(&Run) -> Option<f64>| {
        let values: Vec<f64> = measured.runs.iter().filter(|run| run.level == level).filter_map(value).collect();
        Spread::of(&values)
    };
    let l0_of = |round: u32| {
        let same = measured.runs.iter().find(|run| run.level == Level::L0 && run.round == round)?;
        Some(same.usage.cpu_s).filter(|cpu_s| *cpu_s > 0.0)
    };
    let summary = |level: Level| Summary {
        level,
        cpu_s_per_million: of(level, &|run| Some(run.usage.cpu_s / events * 1e6)),
        times_l0: of(level, &|run| l0_of(run.round).map(|l0| run.usage.cpu_s / l0)),
        events_per_s: of(level, &|run| Some(events / run.usage.wall_s)),
        peak_mib: of(level, &|run| run.usage.peak_resident_bytes.map(mib)),
        written_bytes_per_event: of(level, &|run| run.usage.written_bytes.map(|bytes| bytes as f64 / events)),
        lake_bytes_per_event: of(level, &|run| (level != Level::L0).then(|| run.lake_bytes as f64 / events)),
    };
    levels.iter().map(|level| summary(*level)).collect()
}

/// The summaries for people: medians, smallest and largest in parentheses.
pub(crate) fn table(summaries: &[Summary]) -> String {
    let header = ["level", "CPU-s per million", "× L0", "events/s", "peak MiB", "written B/event", "lake B/event"];
    let row = |summary: &Summary| {
        vec![
            summary.level.name().to_owned(),
            text_of(summary.cpu_s_per_million, 2),
            text_of(summary.times_l0, 2),
            text_of(summary.events_per_s, 0),
            text_of(summary.peak_mib, 0),
            text_of(summary.written_bytes_per_event, 0),
            text_of(summary.lake_bytes_per_event, 0),
        ]
    };
    table::render(&header, &summaries.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Usage;
    use crate::levels::read_log::LogSum;

    fn run(round: u32, level: Level, cpu_s: f64) -> Run {
        let usage = Usage {
            cpu_s,
            user_s: cpu_s,
            system_s: 0.0,
            wall_s: 2.0,
            peak_resident_bytes: Some(64 << 20),
            written_bytes: None,
        };
        Run { round, level, usage, lake_bytes: 100_000_000 }
    }

    fn measured(runs: Vec<Run>) -> Measured {
        Measured { on: "a log", log: LogSum::default(), events: 1_000_000, runs, summary: Vec::new() }
    }

    #[test]
    fn a_ratio_is_one_of_two_runs_of_the_same_round() {
        // In the second round the machine was three times slower for all; the ratio of medians would not be 2.
        let runs = vec![
            run(0, Level::L0, 1.0),
            run(0, Level::L1, 2.0),
            run(1, Level::L0, 3.0),
            run(1, Level::L1, 6.0),
            run(2, Level::L0, 1.0),
            run(2, Level::L1, 2.5),
        ];
        let summaries = summaries(&measured(runs), &[Level::L0, Level::L1]);
        assert_eq!(summaries[0].times_l0, Spread::of(&[1.0, 1.0, 1.0]));
        assert_eq!(summaries[1].times_l0, Some(Spread { median: 2.0, min: 2.0, max: 2.5 }));
        assert_eq!(summaries[1].cpu_s_per_million, Some(Spread { median: 2.5, min: 2.0, max: 6.0 }));
        assert_eq!(summaries[1].events_per_s.map(|rate| rate.median), Some(500_000.0));
        assert_eq!(summaries[1].lake_bytes_per_event.map(|bytes| bytes.median), Some(100.0));
        assert_eq!(summaries[0].lake_bytes_per_event, None);
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let summaries = summaries(&measured(vec![run(0, Level::L2, 3.0)]), &[Level::L2]);
        let text = table(&summaries);
        let line: Vec<&str> = text.lines().next_back().expect("a line").split_whitespace().collect();
        assert_eq!((line[0], line[1], line[3]), ("L2", "3.00", "–"), "{text}");
        assert!(text.contains("64 (64–64)"), "{text}");
    }
}
