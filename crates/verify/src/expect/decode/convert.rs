//! A JSON value as the value of a column. A flaw is noted and the work goes on, so that all flaws are found.
//!
//! The table of what each type takes is in the documentation of the pipeline's decoder (`crates/decode/src/lib.rs`).
//! Recursion follows the declared type.

use super::flaw::{Flaw, Flaws};
use super::paths::pick;
use super::{base64, instant, number};
use crate::expect::Value;
use crate::expect::definition::{ColumnType, DuplicateKeys, TimestampForm};
use crate::expect::json::{Json, Member};

/// The value of a column or of what it nests; [`Value::Null`] stands where there is a flaw.
pub(crate) fn convert(kind: &ColumnType, json: &Json, rule: DuplicateKeys, flaws: &mut Flaws) -> Value {
    match (kind, json) {
        (_, Json::Null) => Value::Null,
        (ColumnType::List(item), Json::List(items)) => {
            Value::List(items.iter().map(|json| convert(item, json, rule, flaws)).collect())
        }
        (ColumnType::Struct(fields), Json::Object(members)) => {
            Value::Struct(fields.iter().map(|field| convert_field(field, members, rule, flaws)).collect())
        }
        (kind, json) => plain(kind, json).unwrap_or_else(|flaw| {
            flaws.add(flaw);
            Value::Null
        }),
    }
}

fn convert_field(
    (name, kind): &(String, ColumnType),
    members: &[Member],
    rule: DuplicateKeys,
    flaws: &mut Flaws,
) -> Value {
    pick(members, name, rule).map_or(Value::Null, |json| convert(kind, json, rule, flaws))
}

fn plain(kind: &ColumnType, json: &Json) -> Result<Value, Flaw> {
    match (kind, json) {
        (ColumnType::String, Json::Text(text)) => Ok(Value::Text(text.clone())),
        (ColumnType::Boolean, Json::Boolean(value)) => Ok(Value::Boolean(*value)),
        (ColumnType::Int, Json::Number(text)) => {
            number::integer(text, i32::MIN.into(), i32::MAX.into()).map(Value::Integer)
        }
        (ColumnType::Long, Json::Number(text)) => number::integer(text, i64::MIN, i64::MAX).map(Value::Integer),
        (ColumnType::Float, Json::Number(text)) => number::float(text).map(Value::Float),
        (ColumnType::Double, Json::Number(text)) => number::double(text).map(Value::Double),
        (ColumnType::Decimal { precision, scale }, Json::Number(text) | Json::Text(text)) => {
            number::decimal(text, *precision, *scale).map(Value::Decimal)
        }
        (ColumnType::Date, Json::Text(text)) => instant::date(text).map(Value::Date),
        (ColumnType::Timestamp(TimestampForm::Rfc3339), Json::Text(text)) => instant::rfc3339(text).map(Value::Instant),
        (ColumnType::Timestamp(form), Json::Number(text)) => {
            number::micros(text, *form).and_then(instant::in_years).map(Value::Instant)
        }
        (ColumnType::Binary, Json::Text(text)) => base64::decode(text).map(Value::Bytes),
        _ => Err(Flaw::Type),
    }
}
