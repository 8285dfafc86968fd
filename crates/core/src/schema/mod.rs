//! Definitions: what a stream's columns, identity, time and checks are, and what a model computes.
//!
//! These are the normalised forms that the pipeline file is turned into, that `ops.definitions` keeps, and that
//! every stage works from. They serialise to the same JSON text for the same meaning: a version is that text.

mod name;
mod tables;
mod topics;

pub use name::{NameError, check_name};
pub use tables::{
    BRONZE_PARTITION, DLQ_PARTITION, GAPS_PARTITION, GOLD_PARTITION, SILVER_TOPIC, bronze_schema, dlq_schema,
    gaps_schema, gold_extra_fields, silver_extra_fields, silver_schema, utc_timestamp,
};
pub use topics::{TOPICS_MAX, TopicPattern, Topics};

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Type of a declared column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// UTF-8 text.
    String,
    /// true or false.
    Boolean,
    /// 32-bit signed integer.
    Int,
    /// 64-bit signed integer.
    Long,
    /// 32-bit float.
    Float,
    /// 64-bit float.
    Double,
    /// Exact decimal of `precision` digits (1–38), `scale` of them after the point.
    Decimal {
        /// All digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// Calendar date, JSON text `YYYY-MM-DD`.
    Date,
    /// An instant, stored in microseconds UTC.
    Timestamp(TimestampForm),
    /// Bytes, JSON text in base64.
    Binary,
    /// A list of one type; its items may be null.
    List(Box<ColumnType>),
    /// Named fields, each may be null.
    Struct(Vec<(String, ColumnType)>),
}

/// How a timestamp is written in the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestampForm {
    /// RFC 3339 text with a zone.
    Rfc3339,
    /// Number of seconds since the epoch; a fraction is allowed down to microseconds.
    EpochSeconds,
    /// Number of milliseconds since the epoch.
    EpochMillis,
    /// Number of microseconds since the epoch.
    EpochMicros,
    /// Number of nanoseconds since the epoch; digits below a microsecond are cut.
    EpochNanos,
}

impl ColumnType {
    /// The Arrow type in which the column is kept in memory and in Parquet.
    #[must_use]
    pub fn arrow(&self) -> DataType {
        match self {
            Self::String => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
            Self::Date => DataType::Date32,
            Self::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
            Self::Binary => DataType::Binary,
            Self::List(item) => DataType::List(Arc::new(Field::new("element", item.arrow(), true))),
            Self::Struct(fields) => DataType::Struct(Fields::from_iter(
                fields.iter().map(|(name, kind)| Field::new(name, kind.arrow(), true)),
            )),
        }
    }
}

/// A declared column of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Column name in silver; passes [`check_name`].
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// A record without it (absent or JSON null) is a dead letter `missing:<name>`.
    pub required: bool,
    /// Keys from the top of the JSON object to the value; `[name]` unless declared.
    pub path: Vec<String>,
}

/// Where an event's identity comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventIdRule {
    /// The text of this declared column.
    Column(String),
    /// A hash of these declared columns, for events that bring no id.
    Hash(Vec<String>),
}

/// Where an event's time comes from and how late it may be. Units are microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTimeRule {
    /// A declared column of type timestamp.
    pub column: String,
    /// A partition's watermark trails its largest event time by this much.
    pub watermark_delay_us: i64,
    /// Event times beyond the log's or our own clock by more than this are flagged and move no watermark.
    pub future_tolerance_us: i64,
    /// A partition without records for this long no longer holds the stream's watermark back.
    pub idle_after_us: i64,
    /// Earliest event time that is believed; before it, a dead letter `event_time_out_of_bounds`.
    pub not_before_us: i64,
    /// Latest event time (exclusive) that is believed; from it on, a dead letter `event_time_out_of_bounds`.
    pub not_after_us: i64,
}

/// A check: a boolean SQL expression over the declared columns; NULL passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Name; a failure is a dead letter `check:<name>`.
    pub name: String,
    /// The expression.
    pub sql: String,
}

/// What wins when a JSON object repeats a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateKeys {
    /// The record is a dead letter `duplicate_key:<name>`.
    Reject,
    /// The first value counts.
    First,
    /// The last value counts.
    Last,
}

/// Bounds of a single payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadLimits {
    /// Longer payloads are dead letters `oversize`.
    pub bytes_max: u32,
    /// Deeper nesting is a dead letter `too_deep`.
    pub depth_max: u16,
    /// What wins when a key is repeated in the object's top level or on a declared path.
    pub duplicate_keys: DuplicateKeys,
}

/// Where reading begins at the first start of a stream. It is decided once for every partition; from then on the tables
/// say where to go on. A partition that is added later is read from 0, and so is a topic that was made anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StartAt {
    /// At the first offset that the log keeps.
    #[default]
    Earliest,
    /// Behind the last record: only what comes from then on.
    Latest,
    /// At the first record that bears this timestamp in the log, or a later one; where none does, behind the last.
    Time {
        /// Milliseconds since the epoch.
        ms: i64,
    },
    /// At these offsets, by partition; one that is not named begins as with [`StartAt::Earliest`].
    Offsets(BTreeMap<i32, i64>),
}

/// A stream: its topic or topics, its bronze, silver and dead letters. How it is read (`topics`, `start`,
/// `fail_on_data_loss`) is no part of what a row means: it is not kept in `ops.definitions`, and changing it makes no new
/// version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamDef {
    /// Stream name; the tables are named after it.
    pub name: String,
    /// Topic in the event log; empty where `topics` says which.
    pub topic: String,
    /// The topics, where it reads several.
    #[serde(skip)]
    pub topics: Option<Topics>,
    /// Number of partitions when a topic is created by us.
    pub partitions: i32,
    /// Identity.
    pub event_id: EventIdRule,
    /// Time.
    pub event_time: EventTimeRule,
    /// Declared columns, in table order.
    pub columns: Vec<Column>,
    /// Checks, in order.
    pub checks: Vec<Check>,
    /// Bounds of a payload.
    pub payload: PayloadLimits,
    /// Where a first start begins.
    #[serde(skip)]
    pub start: StartAt,
    /// Whether a partition stops where offsets are gone that were not read; if not, they are declared lost, and it goes on.
    #[serde(skip, default = "by_default")]
    pub fail_on_data_loss: bool,
}

/// What holds unless the pipeline file says otherwise, and of definitions that are read back.
fn by_default() -> bool {
    true
}

impl StreamDef {
    /// The index of a declared column.
    #[must_use]
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// A gold model: a SELECT over one stream, grouped by its window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelDef {
    /// Model name; the table is `gold.<name>`.
    pub name: String,
    /// Stream it reads.
    pub from: String,
    /// Window length in microseconds; windows are aligned to the epoch, `[start, start + length)`.
    pub window_us: i64,
    /// The SELECT, in DataFusion's SQL, over a table named like the stream with silver's columns, `window_start` and `window_end`.
    pub sql: String,
}
