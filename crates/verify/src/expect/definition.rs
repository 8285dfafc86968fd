//! Definitions: what a stream's columns, identity, time and checks were, and what a model computed, as `ops.definitions`
//! keeps them.
//!
//! Each row of the table holds one version of one definition as JSON and the place from which on it was in force. The
//! types here are read anew from that JSON; keys that are not known are passed over. A row that cannot be understood is a
//! finding, and its version is missing from then on: rows that name it cannot be judged.

mod table;

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Type of a declared column.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// UTF-8 text.
    String,
    /// true or false.
    Boolean,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    Long,
    /// 32-bit float.
    Float,
    /// 64-bit float.
    Double,
    /// Exact decimal.
    Decimal {
        /// All digits, 1 to 38.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// Day.
    Date,
    /// Instant, microseconds UTC.
    Timestamp(TimestampForm),
    /// Bytes.
    Binary,
    /// List of one type.
    List(Box<ColumnType>),
    /// Named fields.
    Struct(Vec<(String, ColumnType)>),
}

/// How a timestamp stands in the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestampForm {
    /// RFC 3339 text with a zone.
    Rfc3339,
    /// Seconds since the epoch, with a fraction down to microseconds.
    EpochSeconds,
    /// Milliseconds since the epoch.
    EpochMillis,
    /// Microseconds since the epoch.
    EpochMicros,
    /// Nanoseconds since the epoch, cut to microseconds.
    EpochNanos,
}

/// A declared column.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Column {
    /// Name in silver.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Whether a record without it is a dead letter.
    pub required: bool,
    /// Keys from the top of the payload to its value.
    pub path: Vec<String>,
}

/// Where an event's id comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventId {
    /// This column.
    Column(String),
    /// A hash of these.
    Hash(Vec<String>),
}

/// Where an event's time comes from, and how late it may be; microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EventTime {
    /// A declared timestamp or date.
    pub column: String,
    /// The watermark trails the largest event time by this.
    pub watermark_delay_us: i64,
    /// Times beyond the clocks by more than this are flagged and move nothing.
    pub future_tolerance_us: i64,
    /// Silence after which a partition is idle.
    pub idle_after_us: i64,
    /// Earliest time that is believed.
    pub not_before_us: i64,
    /// Latest time that is believed, exclusive.
    pub not_after_us: i64,
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Check {
    /// Name; failing it is the reason `check:<name>`.
    pub name: String,
    /// Boolean SQL expression over the declared columns.
    pub sql: String,
}

/// What counts where a key is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateKeys {
    /// The record is a dead letter.
    Reject,
    /// The first.
    First,
    /// The last.
    Last,
}

/// Bounds of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Payload {
    /// Longest.
    pub bytes_max: u32,
    /// Deepest; the payload's own object is level 1.
    pub depth_max: u16,
    /// Rule for repeated keys.
    pub duplicate_keys: DuplicateKeys,
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StreamDefinition {
    /// Name.
    pub name: String,
    /// Topic.
    pub topic: String,
    /// Partitions when the topic was made; it can have more.
    pub partitions: i32,
    /// Identity.
    pub event_id: EventId,
    /// Time.
    pub event_time: EventTime,
    /// Columns in table order.
    pub columns: Vec<Column>,
    /// Checks in order.
    pub checks: Vec<Check>,
    /// Bounds of a payload.
    pub payload: Payload,
}

impl StreamDefinition {
    /// The index of a declared column.
    #[must_use]
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// A model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ModelDefinition {
    /// Name.
    pub name: String,
    /// The stream it reads.
    pub from: String,
    /// Window length, microseconds.
    pub window_us: i64,
    /// Its SELECT.
    pub sql: String,
}

/// The place from which on a definition was in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct InForceFrom {
    /// The topic's incarnation then; of several topics, that of the first by name.
    pub incarnation: String,
    /// Silver's next offset by partition. A partition that is not named had none yet: the definition holds from its
    /// first record on.
    #[serde(default)]
    pub positions: BTreeMap<i32, i64>,
    /// The same of the other topics that the stream read then, by incarnation.
    #[serde(default)]
    pub others: BTreeMap<String, BTreeMap<i32, i64>>,
    /// Of a model: windows that end at or before this were written by versions before; `None` where nothing was written.
    #[serde(default)]
    pub closed_until_us: Option<i64>,
}

impl InForceFrom {
    /// The positions in a life of a topic; `None` where it was not read then.
    fn in_life(&self, incarnation: &str) -> Option<&BTreeMap<i32, i64>> {
        if self.incarnation == incarnation { Some(&self.positions) } else { self.others.get(incarnation) }
    }
}

/// One version of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version<T> {
    /// Its number.
    pub version: i32,
    /// The definition.
    pub definition: T,
    /// From where on.
    pub from: InForceFrom,
}

type Versions<T> = BTreeMap<String, BTreeMap<i32, Version<T>>>;

/// All definitions there ever were, as far as they can be read.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    streams: Versions<StreamDefinition>,
    models: Versions<ModelDefinition>,
    /// Versions of streams that are there and cannot be understood.
    unreadable: BTreeSet<(String, i32)>,
    /// The tables of all streams and models that have a row, `schema.name`.
    tables: BTreeSet<String>,
}

impl Definitions {
    /// One version of a stream.
    #[must_use]
    pub fn stream(&self, name: &str, version: i32) -> Option<&StreamDefinition> {
        self.streams.get(name)?.get(&version).map(|found| &found.definition)
    }

    /// One version of a model.
    #[must_use]
    pub fn model(&self, name: &str, version: i32) -> Option<&ModelDefinition> {
        self.models.get(name)?.get(&version).map(|found| &found.definition)
    }

    /// All versions of a stream, ascending.
    #[must_use]
    pub fn stream_versions(&self, name: &str) -> Vec<&Version<StreamDefinition>> {
        self.streams.get(name).map(|versions| versions.values().collect()).unwrap_or_default()
    }

    /// All versions of a model, ascending.
    #[must_use]
    pub fn models(&self, name: &str) -> Vec<&Version<ModelDefinition>> {
        self.models.get(name).map(|versions| versions.values().collect()).unwrap_or_default()
    }

    /// The stream that a model reads, by its newest version.
    #[must_use]
    pub fn source_of(&self, model: &str) -> Option<&str> {
        self.models.get(model)?.values().next_back().map(|newest| newest.definition.from.as_str())
    }

    /// The tables of every stream and model that was ever in force, whether its definition can be understood or not. A
    /// pipeline makes them before it enters the definition.
    #[must_use]
    pub fn tables(&self) -> &BTreeSet<String> {
        &self.tables
    }

    /// The version of a stream that judged the record at this offset, by the positions from which versions were in force.
    /// `None` where that cannot be told, as the version behind it is missing or unreadable: it may have begun before.
    ///
    /// Of an incarnation under which no version was recorded, this says the newest one if all were recorded under one
    /// other incarnation (the topic was made anew since); otherwise it cannot be told from here, and is `None`: the books
    /// of silver's commits name the version too.
    #[must_use]
    pub fn stream_in_force(&self, name: &str, incarnation: &str, partition: i32, offset: i64) -> Option<i32> {
        let versions = self.streams.get(name)?;
        let found = known_in_force(versions, incarnation, partition, offset)?;
        let next = found.saturating_add(1);
        let is_last = versions.range(next..).next().is_none() && !self.has_unreadable_from(name, next);
        (is_last || versions.contains_key(&next)).then_some(found)
    }

    fn has_unreadable_from(&self, name: &str, version: i32) -> bool {
        self.unreadable.range((name.to_owned(), version)..).next().is_some_and(|(of, _)| of == name)
    }
}

/// The version in force among those that are known.
fn known_in_force(
    versions: &BTreeMap<i32, Version<StreamDefinition>>,
    incarnation: &str,
    partition: i32,
    offset: i64,
) -> Option<i32> {
    let of_it: Vec<_> =
        versions.values().filter_map(|version| Some((version.version, version.from.in_life(incarnation)?))).collect();
    let Some((first, _)) = of_it.first() else {
        let mut all = versions.values();
        let newest = all.next_back()?;
        return all.all(|other| other.from.incarnation == newest.from.incarnation).then_some(newest.version);
    };
    let begun = |(_, from): &&(i32, &BTreeMap<i32, i64>)| from.get(&partition).is_none_or(|begin| *begin <= offset);
    match of_it.iter().rev().find(begun) {
        Some((version, _)) => Some(*version),
        // The incarnation began under the version before its own first.
        None => versions.range(..*first).next_back().map(|(version, _)| *version),
    }
}

#[cfg(test)]
mod tests;
