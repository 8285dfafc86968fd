//! Generated events: what a run writes, as a pure function of its [`PlanSpec`].
//!
//! Contract: item `i` of a plan is always the same bytes, id, key and partition, and can be made without those
//! before it; so a restarted producer continues exactly, and the truth can be computed again at any time.
//! Nothing here reads a clock or entropy, and nothing is shared with the code that decodes events.

mod api_usage;
mod bench;
mod draw;
mod fields;
mod items;
mod malformed;
mod plan;
mod schedule;
mod source;
mod stocks;
mod text;

pub(crate) use api_usage::push_customer;
pub(crate) use bench::TYPES as BENCH_TYPES;
pub use items::{ItemRef, Items};
pub(crate) use plan::{Body, Event, Item, Plan, Role};
pub(crate) use source::Generated;
pub(crate) use text::push_escaped;

use serde::{Deserialize, Serialize};
use watertight_core::schema::{Check, Column, EventIdRule, StreamDef};

/// What is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GeneratorKind {
    /// Ticks of a stock market; key = symbol.
    Stocks,
    /// Calls of a metered API; key = customer.
    ApiUsage,
    /// The events of the benchmark; key = user.
    Bench,
}

impl GeneratorKind {
    /// Name as on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stocks => "stocks",
            Self::ApiUsage => "api-usage",
            Self::Bench => "bench",
        }
    }

    /// The shares that are planted unless others are asked for. The benchmark's are those of BENCHMARK.md.
    #[must_use]
    pub fn default_shares(self) -> Shares {
        match self {
            Self::Stocks | Self::ApiUsage => Shares { duplicates: 0.0, late: 0.0, malformed: 0.0 },
            Self::Bench => Shares { duplicates: 0.05, late: 0.03, malformed: 0.005 },
        }
    }
}

/// Shares of all items, each in `0..=1`, together at most 0.9.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shares {
    /// Byte-equal copies of an earlier valid event.
    pub duplicates: f64,
    /// Out of order: for stocks and api-usage two thirds are behind their partition's watermark and one third within it;
    /// for the benchmark one thirtieth is behind.
    pub late: f64,
    /// Events that must become dead letters.
    pub malformed: f64,
}

/// Everything that items depend on. Kept in the ledger's header and in the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanSpec {
    /// What is generated.
    pub kind: GeneratorKind,
    /// Seed.
    pub seed: u64,
    /// What is planted.
    pub shares: Shares,
    /// Name of the producer, part of every id.
    pub producer: String,
    /// Whether ids are UUIDs (always, for the benchmark) instead of `<producer>-<sequence>`.
    pub uuid_ids: bool,
    /// Event time of item 0, microseconds.
    pub start_time_us: i64,
    /// Event time between two items, nanoseconds (≥ 1).
    pub spacing_ns: u64,
    /// Number of partitions keys are spread over.
    pub partitions: i32,
    /// The stream's watermark delay, microseconds.
    pub watermark_delay_us: i64,
    /// The stream's identity rule.
    pub event_id: EventIdRule,
    /// The stream's event time column.
    pub event_time: String,
    /// The stream's declared columns.
    pub columns: Vec<Column>,
    /// The stream's checks.
    pub checks: Vec<Check>,
}

impl PlanSpec {
    /// The part that comes from the stream's definition; the rest is to be filled in.
    #[must_use]
    pub fn for_stream(stream: &StreamDef, kind: GeneratorKind, producer: &str) -> Self {
        Self {
            kind,
            seed: 1,
            shares: kind.default_shares(),
            producer: producer.to_owned(),
            uuid_ids: false,
            start_time_us: 0,
            spacing_ns: default_spacing_ns(kind),
            partitions: stream.partitions,
            watermark_delay_us: stream.event_time.watermark_delay_us,
            event_id: stream.event_id.clone(),
            event_time: stream.event_time.column.clone(),
            columns: stream.columns.clone(),
            checks: stream.checks.clone(),
        }
    }
}

/// Event time between two items where no rate is given: 1 ms, for the benchmark 50 µs, so that a million events
/// span minutes.
#[must_use]
pub(crate) fn default_spacing_ns(kind: GeneratorKind) -> u64 {
    match kind {
        GeneratorKind::Stocks | GeneratorKind::ApiUsage => 1_000_000,
        GeneratorKind::Bench => 50_000,
    }
}

/// Why a plan cannot be made: all reasons at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot generate {kind} for this stream: {}", reasons.join("; "))]
pub struct PlanError {
    /// What was to be generated.
    pub kind: &'static str,
    /// One sentence each.
    pub reasons: Vec<String>,
}

#[cfg(test)]
mod tests;
