//! The key, id and time of a record that comes as JSON.
//!
//! Contract: reads, never changes. A record that cannot be read has no key, and an id made of its number.

use crate::error::ProduceError;
use crate::generate::Item;
use serde_json::Value;
use watertight_core::record::partition_for_key;
use watertight_core::schema::{ColumnType, EventIdRule, StreamDef, TimestampForm};

/// Separates the texts of several columns in one key; does not occur in ordinary text.
const SEPARATOR: u8 = 0x1f;

#[derive(Debug)]
pub(crate) struct Extract {
    key: Vec<Vec<String>>,
    id: Vec<Vec<String>>,
    time: Option<(Vec<String>, Option<TimestampForm>)>,
    producer: String,
    partitions: i32,
}

impl Extract {
    pub(crate) fn new(
        stream: &StreamDef,
        key: Option<&str>,
        producer: &str,
        partitions: i32,
        timed: bool,
    ) -> Result<Self, ProduceError> {
        let path = |name: &str| {
            let column = stream.columns.iter().find(|column| column.name == name);
            column
                .map(|column| column.path.clone())
                .ok_or_else(|| ProduceError::Usage(format!("stream '{}' declares no column '{name}'", stream.name)))
        };
        let id = match &stream.event_id {
            EventIdRule::Column(name) => vec![path(name)?],
            EventIdRule::Hash(names) => names.iter().map(|name| path(name)).collect::<Result<_, _>>()?,
        };
        let key = key.map_or_else(|| Ok(id.clone()), |name| path(name).map(|path| vec![path]))?;
        let time = stream.columns.iter().find(|column| timed && column.name == stream.event_time.column);
        let time = time.and_then(|column| match column.kind {
            ColumnType::Timestamp(form) => Some((column.path.clone(), Some(form))),
            ColumnType::Date => Some((column.path.clone(), None)),
            _ => None,
        });
        Ok(Self { key, id, time, producer: producer.to_owned(), partitions })
    }

    /// Fills in id, key and partition of `item`, whose value and number are set; returns the event time where pacing
    /// needs it.
    pub(crate) fn describe(&self, item: &mut Item) -> Option<i64> {
        let parsed: Option<Value> = item.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
        item.id.clear();
        let found = parsed.as_ref().is_some_and(|value| push_texts(&mut item.id, &self.id, value));
        if !found {
            item.id.clear();
            item.id.extend_from_slice(format!("{}-{}", self.producer, item.sequence).as_bytes());
        }
        let mut key = item.key.take().unwrap_or_default();
        key.clear();
        let found = parsed.as_ref().is_some_and(|value| push_texts(&mut key, &self.key, value));
        item.partition = match found {
            true => partition_for_key(&key, self.partitions),
            false => (item.sequence % self.partitions.max(1) as u64) as i32,
        };
        item.key = found.then_some(key);
        let (path, form) = self.time.as_ref()?;
        time_us(lookup(parsed.as_ref()?, path)?, *form)
    }
}

fn lookup<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

/// Appends the texts at `paths`; false where one is absent or null.
fn push_texts(out: &mut Vec<u8>, paths: &[Vec<String>], value: &Value) -> bool {
    for (index, path) in paths.iter().enumerate() {
        if index > 0 {
            out.push(SEPARATOR);
        }
        match lookup(value, path) {
            None | Some(Value::Null) => return false,
            Some(Value::String(text)) => out.extend_from_slice(text.as_bytes()),
            Some(other) => out.extend_from_slice(other.to_string().as_bytes()),
        }
    }
    true
}

/// The event time, µs; without a form it is a date's midnight.
fn time_us(value: &Value, form: Option<TimestampForm>) -> Option<i64> {
    let number = || value.as_f64();
    let Some(form) = form else {
        let date: jiff::civil::Date = value.as_str()?.parse().ok()?;
        return Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond());
    };
    Some(match form {
        TimestampForm::Rfc3339 => value.as_str()?.parse::<jiff::Timestamp>().ok()?.as_microsecond(),
        TimestampForm::EpochSeconds => (number()? * 1e6) as i64,
        TimestampForm::EpochMillis => (number()? * 1e3) as i64,
        TimestampForm::EpochMicros => number()? as i64,
        TimestampForm::EpochNanos => (number()? / 1e3) as i64,
    })
}
