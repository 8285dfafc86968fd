//! Expect: what must have become of a record, computed anew.
//!
//! A stream's [`definition`] comes from `ops.definitions`; [`judge`] reads a payload with serde_json into [`Value`]s and
//! has its checks evaluated by DataFusion; [`time`] computes watermarks and late flags from offset order and recorded
//! decisions; [`derived`] is what silver adds to a row, and [`matches()`] holds a value against a table's cell.
//!
//! Pure: no clock, no files (but for the definitions' table), nothing of the pipeline's code.

mod arrays;
mod checks;
mod decode;
pub mod definition;
pub mod derived;
#[cfg(test)]
mod fixture;
mod identity;
mod json;
pub mod judge;
mod matching;
pub mod time;

pub use matching::{extra_matches, matches};

use std::fmt;

/// Stands where a row has no value.
static NULL: Value = Value::Null;

/// A value of a declared column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Null.
    Null,
    /// Boolean.
    Boolean(bool),
    /// Int or long.
    Integer(i64),
    /// Float; compared by its bits.
    Float(f32),
    /// Double; compared by its bits.
    Double(f64),
    /// Decimal, unscaled.
    Decimal(i128),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Days since the epoch.
    Date(i32),
    /// Microseconds since the epoch.
    Instant(i64),
    /// List.
    List(Vec<Value>),
    /// Fields in the order of the definition.
    Struct(Vec<Value>),
}

/// A record that is a valid event.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedRow {
    /// Values of the declared columns, in the definition's order.
    pub values: Vec<Value>,
    /// The event's id as text, as silver's `event_id` (or the id column, cast to text) has it.
    pub event_id: String,
    /// Event time, microseconds.
    pub event_time_us: i64,
    /// The fields that the definition does not name, as JSON; `None` where there are none. Compared by [`extra_matches`], as
    /// JSON and not as text; an object in it that repeats a key stands as a list of its members.
    pub extra: Option<serde_json::Value>,
}

/// What must become of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A row, unless its id was there before.
    Row(Box<ExpectedRow>),
    /// A dead letter with these reasons, in this order.
    DeadLetter(Vec<String>),
    /// It cannot be said, and why: nested deeper than serde_json reads, or longer than an Arrow array holds. Its event time,
    /// which may move watermarks, is unknown too.
    Unjudged(String),
}

/// A record, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What must become of it.
    pub outcome: Outcome,
    /// The time that counts for its partition's watermark: also of a dead letter whose event time is right
    /// (docs/DEAD_LETTERS.md, "Not dead letters").
    pub event_time_us: Option<i64>,
}

impl fmt::Display for Value {
    /// For findings: never a payload, so text and bytes are shown by their length only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value}"),
            Self::Decimal(value) => write!(f, "{value} (unscaled)"),
            Self::Text(text) => write!(f, "text of {} bytes", text.len()),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Date(days) => write!(f, "day {days}"),
            Self::Instant(us) => write!(f, "{us} µs"),
            Self::List(items) => write!(f, "list of {}", items.len()),
            Self::Struct(_) => f.write_str("struct"),
        }
    }
}
