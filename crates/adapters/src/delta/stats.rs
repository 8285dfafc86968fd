//! Delta statistics of a data file: number of rows, bounds and null counts, as JSON text.
//!
//! Contract: every bound holds for every row (a reader skips files by them): timestamps are floored and raised to
//! whole milliseconds, a shortened text maximum is raised, decimals are written digit by digit. What has no safe
//! bound has none: columns with a NaN or an infinity, binary, boolean, lists, structs, years outside 1–9999.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::compute::{max, min};
use arrow::datatypes::{
    ArrowNumericType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use serde_json::{Map, Number, Value};

/// Characters of a text bound; longer texts are cut.
const TEXT_CHARS_MAX: usize = 32;

/// The statistics of `rows` (the columns that are in the file).
pub(super) fn of(rows: &RecordBatch) -> String {
    let (mut lows, mut highs, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        if !matches!(field.data_type(), DataType::Struct(_)) {
            nulls.insert(field.name().clone(), Value::from(column.null_count()));
        }
        let (low, high) = bounds(column);
        lows.extend(low.map(|low| (field.name().clone(), low)));
        highs.extend(high.map(|high| (field.name().clone(), high)));
    }
    let mut stats = Map::new();
    stats.insert("numRecords".to_owned(), Value::from(rows.num_rows()));
    stats.insert("minValues".to_owned(), Value::Object(lows));
    stats.insert("maxValues".to_owned(), Value::Object(highs));
    stats.insert("nullCount".to_owned(), Value::Object(nulls));
    Value::Object(stats).to_string()
}

type Bounds = (Option<Value>, Option<Value>);

fn bounds(column: &ArrayRef) -> Bounds {
    match column.data_type() {
        DataType::Int8 => numbers::<Int8Type>(column, |v| Some(Value::from(v))),
        DataType::Int16 => numbers::<Int16Type>(column, |v| Some(Value::from(v))),
        DataType::Int32 => numbers::<Int32Type>(column, |v| Some(Value::from(v))),
        DataType::Int64 => numbers::<Int64Type>(column, |v| Some(Value::from(v))),
        DataType::Float32 => floats(column.as_primitive::<Float32Type>().iter().flatten().map(f64::from)),
        DataType::Float64 => floats(column.as_primitive::<Float64Type>().iter().flatten()),
        DataType::Decimal128(_, scale) => {
            let scale = usize::try_from(*scale).unwrap_or(0);
            numbers::<Decimal128Type>(column, |v| decimal_text(v, scale).parse::<Number>().ok().map(Value::Number))
        }
        DataType::Date32 => numbers::<Date32Type>(column, |v| date_text(v).map(Value::from)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => timestamps(column.as_primitive()),
        DataType::Utf8 => {
            let (low, high) = texts(column.as_string()).unzip();
            (low.map(lower_text), high.and_then(upper_text).map(Value::from))
        }
        _ => (None, None),
    }
}

/// The smallest and the largest text, in one pass; `None` where there is none. Texts are in the order of their bytes,
/// and most are told apart by the first eight of them.
fn texts(values: &StringArray) -> Option<(&str, &str)> {
    let mut all = values.iter().flatten().map(|text| (first_bytes(text), text));
    let first = all.next()?;
    let (mut low, mut high) = (first, first);
    for text in all {
        if text < low {
            low = text;
        } else if text > high {
            high = text;
        }
    }
    Some((low.1, high.1))
}

/// The first eight bytes as a number that is in their order; a shorter text is filled up with zeros, so that it is
/// never above one that it is a beginning of.
fn first_bytes(text: &str) -> u64 {
    let bytes = text.as_bytes();
    if let Some(first) = bytes.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut filled = [0; 8];
    filled[..bytes.len()].copy_from_slice(bytes);
    u64::from_be_bytes(filled)
}

fn numbers<T: ArrowNumericType>(column: &ArrayRef, show: impl Fn(T::Native) -> Option<Value>) -> Bounds {
    let values = column.as_primitive::<T>();
    (min(values).and_then(&show), max(values).and_then(&show))
}

fn floats(values: impl Iterator<Item = f64>) -> Bounds {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        if !value.is_finite() {
            return (None, None);
        }
        (low, high) = (low.min(value), high.max(value));
    }
    // Infinite where there was no value: then no JSON number comes of it.
    (Number::from_f64(low).map(Value::Number), Number::from_f64(high).map(Value::Number))
}

fn timestamps(values: &PrimitiveArray<TimestampMicrosecondType>) -> Bounds {
    let low = min(values).and_then(|us| timestamp_text(us.div_euclid(1000)));
    let high = max(values).and_then(|us| timestamp_text(us.div_euclid(1000) + i64::from(us.rem_euclid(1000) != 0)));
    (low.map(Value::from), high.map(Value::from))
}

fn timestamp_text(ms: i64) -> Option<String> {
    let at = timestamp_us_to_datetime(ms.checked_mul(1000)?)?;
    let text = at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    (text.len() == 24 && !text.starts_with("0000")).then_some(text)
}

/// `YYYY-MM-DD`; `None` outside the years 1–9999.
pub(super) fn date_text(days: i32) -> Option<String> {
    let text = date32_to_datetime(days)?.format("%Y-%m-%d").to_string();
    (text.len() == 10 && !text.starts_with("0000")).then_some(text)
}

fn decimal_text(value: i128, scale: usize) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn lower_text(text: &str) -> Value {
    Value::from(text.chars().take(TEXT_CHARS_MAX).collect::<String>())
}

/// A text that no value beginning like `text` is above: the cut text with its last character raised.
fn upper_text(text: &str) -> Option<String> {
    let mut chars: Vec<char> = text.chars().take(TEXT_CHARS_MAX + 1).collect();
    if chars.len() <= TEXT_CHARS_MAX {
        return Some(text.to_owned());
    }
    chars.truncate(TEXT_CHARS_MAX);
    while let Some(last) = chars.pop() {
        let next = if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Decimal128Array, Float64Array, StringArray, TimestampMicrosecondArray};
    use std::sync::Arc;

    fn stats(column: ArrayRef) -> Value {
        let rows = RecordBatch::try_from_iter_with_nullable([("c", column, true)]).unwrap();
        serde_json::from_str(&of(&rows)).unwrap()
    }

    #[test]
    fn timestamps_are_floored_and_raised_to_milliseconds_also_before_the_epoch() {
        let values = TimestampMicrosecondArray::from(vec![Some(-1_500), None, Some(1_700_000_000_000_001)]);
        let stats = stats(Arc::new(values.with_timezone("UTC")));
        assert_eq!(stats["minValues"]["c"], "1969-12-31T23:59:59.998Z");
        assert_eq!(stats["maxValues"]["c"], "2023-11-14T22:13:20.001Z");
        assert_eq!((&stats["nullCount"]["c"], &stats["numRecords"]), (&Value::from(1), &Value::from(3)));
        let whole = TimestampMicrosecondArray::from(vec![2_000]).with_timezone("UTC");
        assert_eq!(self::stats(Arc::new(whole))["maxValues"]["c"], "1970-01-01T00:00:00.002Z");
        let outside = TimestampMicrosecondArray::from(vec![253_402_300_799_999_999]).with_timezone("UTC");
        let stats = self::stats(Arc::new(outside));
        assert_eq!(stats["minValues"]["c"], "9999-12-31T23:59:59.999Z");
        assert!(stats["maxValues"].get("c").is_none());
    }

    #[test]
    fn decimals_keep_every_digit() {
        let values = vec![-5_i128, 99_999_999_999_999_999_999_999_999_999_999_999_999];
        let column = Decimal128Array::from(values).with_precision_and_scale(38, 4).unwrap();
        let stats = stats(Arc::new(column));
        assert_eq!(stats["minValues"]["c"].to_string(), "-0.0005");
        assert_eq!(stats["maxValues"]["c"].to_string(), "9999999999999999999999999999999999.9999");
        assert_eq!(decimal_text(-12, 0), "-12");
    }

    #[test]
    fn a_nan_an_infinity_or_nothing_but_nulls_leaves_the_bounds_out() {
        for values in [vec![Some(1.0), Some(f64::NAN)], vec![Some(f64::INFINITY)], vec![None]] {
            let stats = stats(Arc::new(Float64Array::from(values)));
            assert!(stats["minValues"].get("c").is_none() && stats["maxValues"].get("c").is_none());
        }
        let stats = stats(Arc::new(Float64Array::from(vec![2.5, -1.0])));
        assert_eq!((stats["minValues"]["c"].as_f64(), stats["maxValues"]["c"].as_f64()), (Some(-1.0), Some(2.5)));
    }

    #[test]
    fn the_bounds_of_texts_are_the_smallest_and_the_largest_by_their_bytes() {
        let ordered =
            ["", "\0", "a", "a\0", "aaaaaaa", "aaaaaaa\0", "aaaaaaaa", "aaaaaaaab", "aaaaaaab", "é", "\u{10FFFF}"];
        assert!(ordered.is_sorted());
        for from in 0..ordered.len() {
            for to in from..ordered.len() {
                let (mut forwards, mut backwards) = (ordered[from..=to].to_vec(), ordered[from..=to].to_vec());
                backwards.reverse();
                forwards.rotate_left((to - from) / 2);
                for shown in [forwards, backwards] {
                    let values = StringArray::from_iter(shown.iter().map(Some).chain([None]));
                    assert_eq!(texts(&values), Some((ordered[from], ordered[to])));
                }
            }
        }
        assert_eq!(texts(&StringArray::from(vec![None::<&str>])), None);
    }

    #[test]
    fn a_shortened_text_maximum_is_still_above_every_value() {
        for text in ["x".repeat(40), "é".repeat(33), format!("{}\u{10FFFF}tail", "a".repeat(31))] {
            let stats = stats(Arc::new(StringArray::from(vec![text.as_str()])));
            let (low, high) = (stats["minValues"]["c"].as_str().unwrap(), stats["maxValues"]["c"].as_str().unwrap());
            assert!(low <= text.as_str() && text.as_str() <= high, "{low} {text} {high}");
            assert!(high.chars().count() <= TEXT_CHARS_MAX);
        }
        assert_eq!(upper_text(&"\u{10FFFF}".repeat(40)), None);
        assert_eq!(upper_text("short").as_deref(), Some("short"));
    }
}
