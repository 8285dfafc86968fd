//! Bounds of a column as Delta's statistics write them, and values they are held against.
//!
//! Decimals and integers are read digit by digit, never through a double. Times are compared as microseconds.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::kernels::cast_utils::Parser;
use arrow::compute::{max, max_boolean, max_string, min, min_boolean, min_string};
use arrow::datatypes::{
    ArrowNumericType, ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::fmt;

/// Which of the two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// `minValues`.
    Least,
    /// `maxValues`.
    Most,
}

/// A bound, in the column's units: unscaled decimals, days, microseconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bound {
    Exact(i128),
    /// A decimal that another program wrote through a double: believed to its precision only.
    Rounded(i128),
    Float(f64),
    Text(String),
    Boolean(bool),
}

/// A value of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Exact(i128),
    Float(f64),
    Text(&'a str),
    Boolean(bool),
}

/// Who wrote the statistics: others are known to floor upper bounds of times, and to write decimals through doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// The pipeline.
    Ours,
    /// Another program.
    Other,
}

impl Bound {
    /// Reads a bound of a column; `Err` where it is no value of the column's type, `Ok(None)` where the type has no
    /// bounds
    /// that could be compared.
    pub(super) fn read(json: &Json, kind: &DataType, side: Side, writer: Writer) -> Result<Option<Self>, ()> {
        let number = |scale: u32| match json {
            Json::Number(number) => exact(&number.to_string(), scale, side).ok_or(()),
            _ => Err(()),
        };
        let bound = match kind {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Self::Exact(number(0)?),
            DataType::Decimal128(_, scale) => {
                let value = number(u32::try_from(*scale).map_err(drop)?)?;
                if writer == Writer::Ours { Self::Exact(value) } else { Self::Rounded(value) }
            }
            // In the column's own precision: 0.1 as a float is not 0.1 as a double.
            DataType::Float32 => Self::Float(json.to_string().parse::<f32>().map_err(drop)?.into()),
            DataType::Float64 => Self::Float(json.to_string().parse().map_err(drop)?),
            DataType::Boolean => Self::Boolean(json.as_bool().ok_or(())?),
            DataType::Utf8 => Self::Text(json.as_str().ok_or(())?.to_owned()),
            DataType::Date32 => {
                let days = json.as_str().and_then(Date32Type::parse).ok_or(())?;
                Self::Exact(days.into())
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let us = json.as_str().and_then(instant_us).ok_or(())?;
                // An upper bound that was floored to its millisecond still holds for all of it.
                let slack = i64::from(side == Side::Most && writer == Writer::Other) * 999;
                Self::Exact(us.saturating_add(slack).into())
            }
            _ => return Ok(None),
        };
        Ok(Some(bound))
    }

    /// Whether a value is beyond the bound.
    pub(super) fn excludes(&self, value: Value<'_>, side: Side) -> bool {
        let order = match (value, self) {
            (Value::Exact(value), Self::Exact(bound)) => Some(value.cmp(bound)),
            (Value::Exact(value), Self::Rounded(bound)) => {
                // A double has 15 digits at least.
                let near = value.abs_diff(*bound) <= value.unsigned_abs() / 1_000_000_000_000_000 + 1;
                if near { Some(Ordering::Equal) } else { Some(value.cmp(bound)) }
            }
            (Value::Float(value), Self::Float(bound)) => value.partial_cmp(bound),
            (Value::Text(value), Self::Text(bound)) => Some(value.cmp(bound)),
            (Value::Boolean(value), Self::Boolean(bound)) => Some(value.cmp(bound)),
            _ => None,
        };
        matches!((order, side), (Some(Ordering::Less), Side::Least) | (Some(Ordering::Greater), Side::Most))
    }
}

impl fmt::Display for Bound {
    /// For findings: text is shown by its length only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(value) | Self::Rounded(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "a text of {} bytes", text.len()),
            Self::Boolean(value) => write!(f, "{value}"),
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "a text of {} bytes", text.len()),
            Self::Boolean(value) => write!(f, "{value}"),
        }
    }
}

/// The least and the largest value of an array; `None` where there is none, or the type has no order that counts here.
/// Floats that are no numbers are passed over.
pub(super) fn extremes(array: &ArrayRef) -> Option<(Value<'_>, Value<'_>)> {
    match array.data_type() {
        DataType::Int8 => exacts::<Int8Type>(array),
        DataType::Int16 => exacts::<Int16Type>(array),
        DataType::Int32 => exacts::<Int32Type>(array),
        DataType::Int64 => exacts::<Int64Type>(array),
        DataType::Date32 => exacts::<Date32Type>(array),
        DataType::Decimal128(..) => exacts::<Decimal128Type>(array),
        DataType::Timestamp(TimeUnit::Microsecond, _) => exacts::<TimestampMicrosecondType>(array),
        DataType::Float32 => floats(array.as_primitive_opt::<Float32Type>()?.iter().flatten().map(f64::from)),
        DataType::Float64 => floats(array.as_primitive_opt::<Float64Type>()?.iter().flatten()),
        DataType::Boolean => {
            let values = array.as_boolean_opt()?;
            Some((Value::Boolean(min_boolean(values)?), Value::Boolean(max_boolean(values)?)))
        }
        DataType::Utf8 => {
            let texts = array.as_string_opt::<i32>()?;
            Some((Value::Text(min_string(texts)?), Value::Text(max_string(texts)?)))
        }
        _ => None,
    }
}

fn exacts<T: ArrowNumericType>(array: &ArrayRef) -> Option<(Value<'_>, Value<'_>)>
where
    T::Native: Into<i128>,
{
    let values = array.as_primitive_opt::<T>()?;
    Some((Value::Exact(min(values)?.into()), Value::Exact(max(values)?.into())))
}

fn floats<'a>(values: impl Iterator<Item = f64>) -> Option<(Value<'a>, Value<'a>)> {
    let mut numbers = values.filter(|value| !value.is_nan());
    let first = numbers.next()?;
    let (least, most) = numbers.fold((first, first), |(least, most), value| (least.min(value), most.max(value)));
    Some((Value::Float(least), Value::Float(most)))
}

/// The value in a row; `None` where it is null or has no order that counts here.
pub(super) fn value_at(array: &ArrayRef, row: usize) -> Option<Value<'_>> {
    if row >= array.len() || array.is_null(row) {
        return None;
    }
    fn exact_at<T: ArrowPrimitiveType>(array: &ArrayRef, row: usize) -> Option<Value<'_>>
    where
        T::Native: Into<i128>,
    {
        let values: &PrimitiveArray<T> = array.as_primitive_opt::<T>()?;
        Some(Value::Exact(values.value(row).into()))
    }
    match array.data_type() {
        DataType::Int8 => exact_at::<Int8Type>(array, row),
        DataType::Int16 => exact_at::<Int16Type>(array, row),
        DataType::Int32 => exact_at::<Int32Type>(array, row),
        DataType::Int64 => exact_at::<Int64Type>(array, row),
        DataType::Date32 => exact_at::<Date32Type>(array, row),
        DataType::Decimal128(..) => exact_at::<Decimal128Type>(array, row),
        DataType::Timestamp(TimeUnit::Microsecond, _) => exact_at::<TimestampMicrosecondType>(array, row),
        DataType::Float32 => Some(Value::Float(array.as_primitive_opt::<Float32Type>()?.value(row).into())),
        DataType::Float64 => Some(Value::Float(array.as_primitive_opt::<Float64Type>()?.value(row))),
        DataType::Boolean => Some(Value::Boolean(array.as_boolean_opt()?.value(row))),
        DataType::Utf8 => Some(Value::Text(array.as_string_opt::<i32>()?.value(row))),
        _ => None,
    }
}

/// An instant as statistics write it: with a zone, or without one in UTC.
fn instant_us(text: &str) -> Option<i64> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(instant.as_microsecond());
    }
    let local = text.parse::<jiff::civil::DateTime>().ok()?;
    let instant = jiff::tz::Offset::UTC.to_timestamp(local).ok()?;
    Some(instant.as_microsecond())
}

/// The digits of a JSON number, shifted by `scale`. What is beyond the last digit is rounded into the range that the
/// bound leaves: a maximum down, a minimum up. What is too large for 128 bits becomes the largest.
fn exact(text: &str, scale: u32, side: Side) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let fraction_digits = i64::try_from(fraction.len()).ok()?;
    let shift = i64::from(scale) + i64::from(exponent) - fraction_digits;
    let mut value = Some(0_i128);
    let mut rest = false;
    let count = i64::try_from(whole.len()).ok()? + fraction_digits;
    for (number, digit) in (0_i64..).zip(whole.bytes().chain(fraction.bytes())) {
        // The digits that a negative shift cuts off.
        if count - number <= -shift {
            rest |= digit != b'0';
        } else {
            let step = |value: i128| value.checked_mul(10)?.checked_add(sign * i128::from(digit - b'0'));
            value = value.and_then(step);
        }
    }
    let mut left = shift.max(0);
    while left > 0 && value.is_some_and(|value| value != 0) {
        value = value.and_then(|value| value.checked_mul(10));
        left -= 1;
    }
    let value = value.unwrap_or(if sign < 0 { i128::MIN } else { i128::MAX });
    Some(match (rest, side, sign) {
        (true, Side::Least, 1) => value.saturating_add(1),
        (true, Side::Most, -1) => value.saturating_sub(1),
        _ => value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_every_digit_and_what_is_cut_off_narrows_the_bound() {
        let large = "9999999999999999999999999999999999.9999";
        assert_eq!(exact(large, 4, Side::Most), Some(99_999_999_999_999_999_999_999_999_999_999_999_999));
        for (text, scale, least, most) in [
            ("9.2380", 4, 92_380, 92_380),
            ("-0.0005", 4, -5, -5),
            ("1.23456", 4, 12_346, 12_345),
            ("-1.23456", 4, -12_345, -12_346),
            ("12e2", 1, 12_000, 12_000),
            ("1.5e-3", 2, 1, 0),
            ("7", 0, 7, 7),
            ("1e60", 0, i128::MAX, i128::MAX),
        ] {
            assert_eq!(exact(text, scale, Side::Least), Some(least), "{text}");
            assert_eq!(exact(text, scale, Side::Most), Some(most), "{text}");
        }
        for text in ["", "-", "1x", ".5", "1e", "NaN"] {
            assert_eq!(exact(text, 0, Side::Most), None, "{text}");
        }
    }

    #[test]
    fn a_floored_maximum_of_a_time_holds_for_its_millisecond_where_another_program_wrote_it() {
        let kind = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let json = Json::from("1970-01-01T00:00:00.001Z");
        for (writer, us, excluded) in [
            (Writer::Ours, 1_001, true),
            (Writer::Ours, 1_000, false),
            (Writer::Other, 1_999, false),
            (Writer::Other, 2_000, true),
        ] {
            let bound = Bound::read(&json, &kind, Side::Most, writer).expect("a time").expect("has an order");
            assert_eq!(bound.excludes(Value::Exact(us), Side::Most), excluded, "{writer:?} {us}");
        }
        let least = Bound::read(&json, &kind, Side::Least, Writer::Other).expect("a time").expect("has an order");
        assert!(least.excludes(Value::Exact(999), Side::Least) && !least.excludes(Value::Exact(1_000), Side::Least));
    }

    #[test]
    fn a_shortened_text_bounds_what_begins_like_it() {
        let bound = Bound::Text("abd".to_owned());
        assert!(!bound.excludes(Value::Text("abczzz"), Side::Most) && bound.excludes(Value::Text("abda"), Side::Most));
        assert!(bound.excludes(Value::Text("abc"), Side::Least) && !bound.excludes(Value::Text("abd"), Side::Least));
    }

    #[test]
    fn a_bound_of_another_type_than_the_column_is_told() {
        for kind in [DataType::Int64, DataType::Date32, DataType::Boolean] {
            assert_eq!(Bound::read(&Json::from("x"), &kind, Side::Most, Writer::Ours), Err(()), "{kind}");
        }
        assert_eq!(Bound::read(&Json::from("x"), &DataType::Binary, Side::Most, Writer::Ours), Ok(None));
    }
}
