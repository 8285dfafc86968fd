//! Decode: a payload becomes the values of its columns, or every reason why it is none.
//!
//! Written from docs/DEAD_LETTERS.md and the tables of the pipeline's decoder, over serde_json's reading of the payload.
//! Two things it cannot say: what a document holds that is nested deeper than serde_json goes (127 levels) where the
//! definition allows that, and what a payload beyond [`PAYLOAD_BYTES_MAX`] holds. Those are [`Decoded::Unjudged`].

mod base64;
mod convert;
mod flaw;
mod instant;
mod leftover;
mod number;
mod paths;
mod repeats;

use super::Value;
use super::definition::{Column, ColumnType, DuplicateKeys, EventId, StreamDefinition};
use super::json::{Json, Member, PARSER_DEPTH_MAX, Read, read};
use convert::convert;
use flaw::{Flaw, Flaws};
use leftover::leftover;
use paths::{Found, Paths, find, is_nested};
use repeats::repeated_keys;

/// Longest payload that is taken apart: Arrow counts the bytes of texts in 31 bits.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 << 30;

const DAY_US: i64 = 86_400_000_000;

/// What a payload is, before checks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Decoded {
    /// A row.
    Row { values: Vec<Value>, extra: Option<serde_json::Value>, event_time_us: i64 },
    /// A dead letter.
    DeadLetter { reasons: Vec<String>, event_time_us: Option<i64> },
    /// It cannot be said; why.
    Unjudged(String),
}

impl Decoded {
    fn only(reason: &str) -> Self {
        Self::DeadLetter { reasons: vec![reason.to_owned()], event_time_us: None }
    }
}

/// Decodes by one definition.
#[derive(Debug)]
pub(crate) struct Decoder {
    definition: StreamDefinition,
    paths: Paths,
}

impl Decoder {
    /// For a definition.
    ///
    /// # Errors
    /// Where it contradicts itself.
    pub(crate) fn new(definition: &StreamDefinition) -> Result<Self, String> {
        check(definition)?;
        Ok(Self { paths: Paths::of(&definition.columns)?, definition: definition.clone() })
    }

    /// What a payload is.
    pub(crate) fn decode(&self, payload: Option<&[u8]>) -> Decoded {
        let limits = self.definition.payload;
        let Some(bytes) = payload else { return Decoded::only("tombstone") };
        if u32::try_from(bytes.len()).map_or(true, |length| length > limits.bytes_max) {
            return Decoded::only("oversize");
        }
        if bytes.len() > PAYLOAD_BYTES_MAX {
            return Decoded::Unjudged(format!("a payload of {} bytes is not decoded here", bytes.len()));
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return Decoded::only("not_utf8") };
        if text.trim_matches([' ', '\t', '\n', '\r']).is_empty() {
            return Decoded::only("empty");
        }
        match read(text, limits.depth_max.into()) {
            Read::Value(Json::Object(members)) => self.fields(&members),
            Read::Value(_) => Decoded::only("not_an_object"),
            Read::Invalid => Decoded::only("invalid_json"),
            Read::TooDeep => Decoded::only("too_deep"),
            Read::BeyondParser => {
                Decoded::Unjudged(format!("a payload nested deeper than {PARSER_DEPTH_MAX} levels is not decoded here"))
            }
        }
    }

    fn fields(&self, members: &[Member]) -> Decoded {
        let rule = self.definition.payload.duplicate_keys;
        let columns = &self.definition.columns;
        let repeated = match rule {
            DuplicateKeys::Reject => repeated_keys(columns, &self.paths, members),
            DuplicateKeys::First | DuplicateKeys::Last => Vec::new(),
        };
        let mut reasons: Vec<String> = repeated.iter().map(|key| format!("duplicate_key:{key}")).collect();
        let mut values = Vec::with_capacity(columns.len());
        let mut event_time_us = None;
        let mut parts_of_id = 0_usize;
        for column in columns {
            let mut flaws = Flaws::default();
            let value = match find(members, &column.path, rule) {
                Found::Value(json) => convert(&column.kind, json, rule, &mut flaws),
                Found::Absent => Value::Null,
                Found::Misplaced => {
                    flaws.add(Flaw::Type);
                    Value::Null
                }
            };
            parts_of_id += usize::from(self.is_part_of_id(column) && !(flaws.is_empty() && value == Value::Null));
            if flaws.is_empty() {
                self.demands(column, &value, &mut reasons, &mut event_time_us);
            } else {
                reasons.extend(flaws.reasons(&column.name));
            }
            values.push(value);
        }
        if matches!(self.definition.event_id, EventId::Hash(_)) && parts_of_id == 0 {
            reasons.push("missing_event_id".to_owned());
        }
        if !repeated.is_empty() {
            event_time_us = None;
        }
        match event_time_us {
            Some(event_time_us) if reasons.is_empty() => {
                Decoded::Row { extra: leftover(columns, &self.paths, members, rule), values, event_time_us }
            }
            None if reasons.is_empty() => Decoded::Unjudged("the definition gives the record no event time".to_owned()),
            event_time_us => Decoded::DeadLetter { reasons, event_time_us },
        }
    }

    fn is_part_of_id(&self, column: &Column) -> bool {
        matches!(&self.definition.event_id, EventId::Hash(names) if names.contains(&column.name))
    }

    /// What is demanded of a sound value: that it is there, and that the event time is believed.
    fn demands(&self, column: &Column, value: &Value, reasons: &mut Vec<String>, event_time_us: &mut Option<i64>) {
        let rule = &self.definition.event_time;
        let is_id = matches!(&self.definition.event_id, EventId::Column(name) if *name == column.name);
        let is_time = rule.column == column.name;
        let us = match value {
            Value::Null => {
                reasons.extend(is_id.then(|| "missing_event_id".to_owned()));
                reasons.extend(is_time.then(|| "missing_event_time".to_owned()));
                reasons.extend((column.required && !is_id && !is_time).then(|| format!("missing:{}", column.name)));
                return;
            }
            Value::Text(text) if is_id && text.is_empty() => return reasons.push("missing_event_id".to_owned()),
            Value::Instant(us) => *us,
            // A day stands for its midnight, UTC.
            Value::Date(days) => i64::from(*days).saturating_mul(DAY_US),
            _ => return,
        };
        if is_time {
            if (rule.not_before_us..rule.not_after_us).contains(&us) {
                *event_time_us = Some(us);
            } else {
                reasons.push("event_time_out_of_bounds".to_owned());
            }
        }
    }
}

/// What the pipeline demands of a definition before it is in force, as far as decoding leans on it.
fn check(definition: &StreamDefinition) -> Result<(), String> {
    let columns = &definition.columns;
    for (index, column) in columns.iter().enumerate() {
        if columns.iter().take(index).any(|earlier| earlier.name == column.name) {
            return Err(format!("column '{}' is declared twice", column.name));
        }
        check_type(&column.name, &column.kind)?;
    }
    let kind = |name: &String| columns.iter().find(|column| column.name == *name).map(|column| &column.kind);
    match kind(&definition.event_time.column) {
        Some(ColumnType::Timestamp(_) | ColumnType::Date) => {}
        _ => return Err(format!("the event time '{}' is no timestamp or date", definition.event_time.column)),
    }
    let of_id = match &definition.event_id {
        EventId::Column(name) => std::slice::from_ref(name),
        EventId::Hash(names) => names.as_slice(),
    };
    if of_id.is_empty() || of_id.iter().any(|name| kind(name).is_none_or(is_nested)) {
        return Err("the event id names no column, or one that is not plain".to_owned());
    }
    Ok(())
}

fn check_type(column: &str, kind: &ColumnType) -> Result<(), String> {
    match kind {
        ColumnType::Decimal { precision, scale } if !(1..=38).contains(precision) || scale > precision => {
            Err(format!("column '{column}' is decimal({precision},{scale})"))
        }
        ColumnType::List(item) => check_type(column, item),
        ColumnType::Struct(fields) if fields.is_empty() => Err(format!("column '{column}' holds an empty struct")),
        ColumnType::Struct(fields) => fields.iter().try_for_each(|(_, kind)| check_type(column, kind)),
        _ => Ok(()),
    }
}
