//! A status as text for people.

use super::gather::{Status, StreamStatus};
use super::headroom::Headroom;
use super::health_file::Reading;
use std::fmt::{Display, Write as _};
use watertight_pipeline::runtime::Condition;

/// A status as lines of text; `now_us` turns commit times into ages.
#[must_use]
pub(crate) fn render(status: &Status, now_us: i64) -> String {
    let mut text = String::new();
    let by = status.run_by.as_deref().map_or("not running".to_owned(), |by| format!("run by {by}"));
    let _infallible = writeln!(text, "pipeline {} ({by})\nlog {}", status.pipeline, status.log);
    if let Some(verified) = &status.verified {
        let _infallible = writeln!(text, "{}", verified.line(now_us));
    }
    for stream in &status.streams {
        render_stream(&mut text, stream, now_us);
    }
    for model in &status.models {
        let closed = match model.closed_until_us {
            Some(us) => format!("closed until {}", instant(us)),
            None if model.error.is_some() => "closed until ?".to_owned(),
            None => "nothing closed yet".to_owned(),
        };
        let _infallible = writeln!(
            text,
            "\nmodel {}: {} rows, {closed}, last commit {}{}{}",
            model.model,
            known(&model.unreadable, "gold", model.rows),
            known(&model.unreadable, "gold", age(model.last_commit_us, now_us)),
            condition(model.reading.as_ref()),
            unreadable(model.error.as_deref())
        );
    }
    text
}

fn render_stream(text: &mut String, stream: &StreamStatus, now_us: i64) {
    let outcome = stream.outcome;
    let silver = |value: &dyn Display| known(&stream.unreadable, "silver", value);
    let _infallible = writeln!(
        text,
        "\nstream {} ({} {}){}{}\n  in log {}  bronze {}  silver {}  duplicates {}  dead letters {}  late {}  lost {}  lag {}\n  \
         unknown fields {}  watermark {}  last commit {}",
        stream.stream,
        if stream.partitions.iter().any(|p| p.topic.is_some()) { "topics" } else { "topic" },
        stream.topic,
        condition(stream.reading.as_ref()),
        unreadable(stream.error.as_deref()),
        known(&stream.unreadable, "log", stream.in_log),
        known(&stream.unreadable, "bronze", stream.bronze),
        silver(&outcome.silver),
        silver(&outcome.duplicates),
        silver(&outcome.dead_letters),
        silver(&outcome.late),
        silver(&outcome.lost),
        known(&stream.unreadable, "log", silver(&stream.lag)),
        silver(&outcome.unknown_fields),
        silver(&stream.watermark_us.map_or("none".to_owned(), instant)),
        silver(&age(stream.last_commit_us, now_us)),
    );
    let wide = stream.partitions.iter().map(|p| p.shown().len()).max().unwrap_or(0).max(9);
    let _infallible = writeln!(
        text,
        "  {:>wide$} {:>12} {:>12} {:>12} {:>12} {:>8} {:>14}  watermark",
        "partition", "earliest", "next", "bronze", "silver", "lag", "headroom"
    );
    for p in &stream.partitions {
        let at = |position: Option<i64>| position.map_or("-".to_owned(), |at| at.to_string());
        let watermark = silver(&p.watermark_us.map_or("none".to_owned(), instant));
        let idle = if p.idle { " (idle)" } else { "" };
        let _infallible = writeln!(
            text,
            "  {:>wide$} {:>12} {:>12} {:>12} {:>12} {:>8} {:>14}  {watermark}{idle}",
            p.shown(),
            p.earliest,
            p.next,
            known(&stream.unreadable, "bronze", at(p.bronze)),
            silver(&at(p.silver)),
            silver(&p.lag),
            p.headroom.as_ref().map_or_else(|| "-".to_owned(), Headroom::short)
        );
    }
    for p in &stream.partitions {
        if p.held_back > 0 {
            let _infallible = writeln!(
                text,
                "  partition {}: A TRANSACTION IS OPEN before offset {}: {} offsets behind it are not read until its producer \
                 ends it, or its time runs out; if it stays, find it with kafka-transactions.sh find-hanging",
                p.shown(),
                p.next,
                p.held_back
            );
        }
        if let Some(stopped) = &p.stopped {
            let _infallible = writeln!(text, "  partition {} STOPPED: {stopped}", p.shown());
        } else if let Some(told) = p.headroom.as_ref().and_then(|headroom| headroom.told(p.earliest)) {
            let _infallible = writeln!(text, "  partition {}: {told}", p.shown());
        }
    }
}

/// A value of `table`, or that it could not be read.
fn known(unreadable: &[&str], table: &str, value: impl Display) -> String {
    if unreadable.contains(&table) { "?".to_owned() } else { value.to_string() }
}

fn unreadable(error: Option<&str>) -> String {
    error.map_or(String::new(), |error| format!("  UNREADABLE: {error}"))
}

fn condition(reading: Option<&Reading>) -> String {
    if let Some(Reading { condition: Condition::Running, rebuilding: Some(rebuilding), .. }) = reading {
        return format!("  REBUILDING: {} of {} rows read", rebuilding.done, rebuilding.of);
    }
    match reading.map(|reading| &reading.condition) {
        None | Some(Condition::Running | Condition::Done) => String::new(),
        Some(Condition::Waiting { error }) => format!("  WAITING: {error}"),
        Some(Condition::Failed { error }) => format!("  FAILED: {error}"),
    }
}

/// An instant in RFC 3339, to the second below which nobody reads a table.
#[must_use]
fn instant(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| format!("{us} us"), |time| format!("{time:.3}"))
}

fn age(us: Option<i64>, now_us: i64) -> String {
    us.map_or("never".to_owned(), |us| format!("{:.1} s ago", (now_us - us) as f64 / 1e6))
}
