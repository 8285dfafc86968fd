//! The figures of `levels` as a picture: SVG, written by hand.
//!
//! One row per level on a logarithmic axis of CPU time per event: a bar to the median with a line from the smallest to the
//! largest round, and the references as marks that say what they are. Nothing is drawn that the table does not say.

use super::Level;
use super::reference::{self, Range};
use super::report::Summary;
use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
/// Where the axis begins and ends.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 900.0;
/// Head above the first row, height of a row, and foot below the last.
const HEAD: f64 = 92.0;
const ROW: f64 = 86.0;
const FOOT: f64 = 96.0;
/// Bar of a row, from the row's top.
const BAR_TOP: f64 = 20.0;
const BAR_HEIGHT: f64 = 28.0;

const OURS: &str = "#2563eb";
const FLOOR: &str = "#0f766e";
const SPARK: &str = "#b45309";
const GOAL: &str = "#6b7280";

/// Microseconds → the picture's horizontal.
#[derive(Debug, Clone, Copy)]
struct Axis {
    /// Decades: powers of ten at its ends.
    from: i32,
    to: i32,
}

impl Axis {
    /// Wide enough for all of `values`, which are above zero.
    fn over(values: &[f64]) -> Self {
        let logs = values.iter().filter(|value| **value > 0.0).map(|value| value.log10());
        let (mut from, mut to) = (-1, 1);
        for log in logs {
            from = from.min(log.floor() as i32);
            to = to.max(log.ceil() as i32);
        }
        Self { from, to }
    }

    fn x(self, us: f64) -> f64 {
        let share = (us.log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }
}

/// The picture; `machine` is the line that says where it was measured.
pub(crate) fn svg(title: &str, machine: &str, summaries: &[Summary]) -> String {
    let height = HEAD + ROW * summaries.len() as f64 + FOOT;
    let axis = Axis::over(&values_of(summaries));
    let mut out = String::new();
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13">"#
    );
    let _ = writeln!(out, r##"<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>"##);
    text(&mut out, (LEFT, 28.0), "#111827", "start", title);
    text(&mut out, (LEFT, 48.0), GOAL, "start", machine);
    text(
        &mut out,
        (LEFT, 68.0),
        GOAL,
        "start",
        "CPU time per event, microseconds, all threads of the process; logarithmic",
    );
    grid(&mut out, axis, height);
    for (row, summary) in summaries.iter().enumerate() {
        level(&mut out, axis, HEAD + ROW * row as f64, summary, summaries);
    }
    legend(&mut out, height);
    out.push_str("</svg>\n");
    out
}

fn values_of(summaries: &[Summary]) -> Vec<f64> {
    let mut values = Vec::new();
    for summary in summaries {
        values.extend(summary.cpu_s_per_million.into_iter().flat_map(|spread| [spread.min, spread.max]));
        values.extend(reference::of(summary.level).spark_whole.into_iter().flat_map(|range| [range.low, range.high]));
    }
    values
}

/// A line for each power of ten, and for two and five times it.
fn grid(out: &mut String, axis: Axis, height: f64) {
    let (top, bottom) = (HEAD - 6.0, height - FOOT + 6.0);
    for decade in axis.from..=axis.to {
        for step in [1.0, 2.0, 5.0] {
            let us = step * 10_f64.powi(decade);
            if us > 10_f64.powi(axis.to) * 1.001 {
                continue;
            }
            let (x, colour) = (axis.x(us), if step == 1.0 { "#d1d5db" } else { "#f3f4f6" });
            let _ = writeln!(out, r#"<line x1="{x:.1}" y1="{top}" x2="{x:.1}" y2="{bottom}" stroke="{colour}"/>"#);
            text(out, (x, bottom + 16.0), GOAL, "middle", &plain(us));
        }
    }
}

fn level(out: &mut String, axis: Axis, top: f64, summary: &Summary, all: &[Summary]) {
    let name = summary.level.name();
    let middle = top + BAR_TOP + BAR_HEIGHT / 2.0;
    text(out, (LEFT - 12.0, middle + 4.0), "#111827", "end", name);
    let Some(spread) = summary.cpu_s_per_million else { return };
    let (y, end) = (top + BAR_TOP, axis.x(spread.median));
    let _ = writeln!(
        out,
        r#"<rect x="{LEFT}" y="{y:.1}" width="{:.1}" height="{BAR_HEIGHT}" fill="{OURS}"><title>{name}: median {:.2} µs, {:.2} to {:.2}</title></rect>"#,
        (end - LEFT).max(0.5),
        spread.median,
        spread.min,
        spread.max
    );
    let (from, to) = (axis.x(spread.min), axis.x(spread.max));
    let _ = writeln!(
        out,
        r##"<line x1="{from:.1}" y1="{middle:.1}" x2="{to:.1}" y2="{middle:.1}" stroke="#111827" stroke-width="2"/>"##
    );
    let times = summary.times_l0.filter(|_| summary.level != Level::L0);
    let times = times.map_or_else(String::new, |times| format!(", {:.1} × L0", times.median));
    text(out, (to.max(end) + 8.0, middle + 4.0), "#111827", "start", &format!("{:.2} µs{times}", spread.median));
    references(out, axis, top, summary.level, reference::median_us(all, Level::L0));
}

fn references(out: &mut String, axis: Axis, top: f64, level: Level, l0_us: Option<f64>) {
    let reference = reference::of(level);
    if let Some((goal, l0_us)) = reference.goal_times_l0.zip(l0_us) {
        mark(out, axis, top, GOAL, Range { low: goal * l0_us, high: goal * l0_us }, "goal");
    }
    if let Some((floor, l0_us)) = reference.floor_above_l0.zip(l0_us) {
        mark(out, axis, top, FLOOR, Range { low: l0_us + floor.low, high: l0_us + floor.high }, "floor");
    }
    if let Some(whole) = reference.spark_whole {
        mark(out, axis, top, SPARK, whole, "Spark, whole run");
    }
}

/// A reference line, as wide as what was measured varied, with its name: above the bar that of the goal, below it the others.
fn mark(out: &mut String, axis: Axis, top: f64, colour: &str, range: Range, name: &str) {
    let (from, to) = (axis.x(range.low), axis.x(range.high));
    let (y1, y2) = (top + BAR_TOP - 6.0, top + BAR_TOP + BAR_HEIGHT + 6.0);
    let (width, height) = ((to - from).max(2.0), y2 - y1);
    let _ = writeln!(
        out,
        r#"<rect x="{from:.1}" y="{y1:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}" fill-opacity="0.75"><title>{name}: {} to {} µs</title></rect>"#,
        plain(range.low),
        plain(range.high)
    );
    let y = if name == "goal" { y1 - 4.0 } else { y2 + 13.0 };
    text(out, ((from + to) / 2.0, y), colour, "middle", name);
}

fn legend(out: &mut String, height: f64) {
    let lines = [
        "Bars: medians of interleaved rounds, with a line from the smallest to the largest. Goal: times L0 of these rounds.",
        "Floor: L0 here + what the stages cost at least in memory. Spark 4.2 + Delta 4.4: 2 million of the same events, start and stop included.",
        "Floor and Spark were measured on another machine of this kind (shared/LAB.md), not in these rounds.",
    ];
    for (row, line) in lines.iter().enumerate() {
        text(out, (LEFT, height - 46.0 + 17.0 * row as f64), GOAL, "start", line);
    }
}

fn text(out: &mut String, (x, y): (f64, f64), colour: &str, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(out, r#"<text x="{x:.1}" y="{y:.1}" fill="{colour}" text-anchor="{anchor}">{words}</text>"#);
}

/// A number without digits that say nothing.
fn plain(us: f64) -> String {
    let text = format!("{us:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Spread;

    fn summary(level: Level, us: &[f64], times: f64) -> Summary {
        Summary {
            level,
            cpu_s_per_million: Spread::of(us),
            times_l0: Spread::of(&[times]),
            events_per_s: None,
            peak_mib: None,
            written_bytes_per_event: None,
            lake_bytes_per_event: None,
        }
    }

    #[test]
    fn the_axis_is_logarithmic_and_holds_everything() {
        let axis = Axis::over(&[0.03, 143.0]);
        assert_eq!((axis.from, axis.to), (-2, 3));
        assert_eq!((axis.x(0.01), axis.x(1_000.0)), (LEFT, RIGHT));
        let decade = (RIGHT - LEFT) / 5.0;
        assert!((axis.x(1.0) - axis.x(0.1) - decade).abs() < 1e-9);
        assert_eq!((axis.x(1e-9), axis.x(1e9)), (LEFT, RIGHT));
    }

    #[test]
    fn every_level_and_every_reference_that_there_is_stands_in_the_picture() {
        let summaries = [summary(Level::L0, &[1.2, 1.0, 1.5], 1.0), summary(Level::L3, &[4.0], 3.3)];
        let svg = svg("a <title> & more", "2 cores", &summaries);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
        for part in
            ["a &lt;title&gt; &amp; more", ">L0</text>", ">L3</text>", "4.00 µs, 3.3 × L0", "floor: 3.8 to 4.15 µs"]
        {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(svg.contains("Spark, whole run: 124 to 143 µs") && svg.contains("goal: 4.8 to 4.8 µs"), "{svg}");
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    }

    #[test]
    fn a_level_that_was_not_measured_has_a_name_and_no_bar() {
        let svg = svg("t", "m", &[summary(Level::L1, &[], 1.0)]);
        assert!(svg.contains(">L1</text>") && !svg.contains("L1: median"), "{svg}");
    }

    #[test]
    fn numbers_have_no_idle_digits() {
        assert_eq!(
            (plain(0.05), plain(1.0), plain(200.0), plain(4.149_9)),
            ("0.05".into(), "1".into(), "200".into(), "4.15".into())
        );
    }
}
