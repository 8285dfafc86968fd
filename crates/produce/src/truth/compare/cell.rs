//! Single cells of a batch, read without assumptions about who wrote them.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, UInt32Type, UInt64Type,
};
use serde_json::Value;
use watertight_core::schema::{ColumnType, TimestampForm};

/// A number: exact, `mantissa / 10^scale`, or a float.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Exact { mantissa: i128, scale: u32 },
    Float(f64),
}

impl Number {
    /// Reads decimal text, an exponent allowed; `None` where it is none or too long.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let mut mantissa: i128 = format!("{whole}{part}").parse().ok()?;
        let mut scale = part.len() as i32 - exponent;
        while scale < 0 {
            mantissa = mantissa.checked_mul(10)?;
            scale += 1;
        }
        Some(Self::Exact { mantissa, scale: scale as u32 })
    }

    fn as_f64(self) -> f64 {
        match self {
            Self::Exact { mantissa, scale } => mantissa as f64 / 10_f64.powi(scale as i32),
            Self::Float(value) => value,
        }
    }

    /// The mantissa at another scale; `None` where digits would be lost.
    fn at_scale(self, wanted: u32) -> Option<i128> {
        let Self::Exact { mantissa, scale } = self else { return None };
        if wanted >= scale {
            return mantissa.checked_mul(10_i128.checked_pow(wanted - scale)?);
        }
        let unit = 10_i128.checked_pow(scale - wanted)?;
        (mantissa % unit == 0).then_some(mantissa / unit)
    }

    /// Exactly, where both are exact; to 1e-9 relative otherwise.
    pub(super) fn equals(&self, other: &Self) -> bool {
        if let (Self::Exact { scale: one, .. }, Self::Exact { scale: two, .. }) = (self, other) {
            let scale = *one.max(two);
            return self.at_scale(scale).is_some() && self.at_scale(scale) == other.at_scale(scale);
        }
        let (one, two) = (self.as_f64(), other.as_f64());
        (one - two).abs() <= 1e-9 * one.abs().max(two.abs())
    }
}

pub(super) fn text_at<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let array = batch.column_by_name(column)?.as_string_opt::<i32>()?;
    array.is_valid(row).then(|| array.value(row))
}

pub(super) fn bytes_at<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a [u8]> {
    let array = batch.column_by_name(column)?.as_binary_opt::<i32>()?;
    array.is_valid(row).then(|| array.value(row))
}

/// The texts of a list; a null list is empty, a null item an empty text.
pub(super) fn texts_at(batch: &RecordBatch, column: &str, row: usize) -> Vec<String> {
    let Some(lists) = batch.column_by_name(column).and_then(|array| array.as_list_opt::<i32>()) else {
        return Vec::new();
    };
    if lists.is_null(row) {
        return Vec::new();
    }
    let items = lists.value(row);
    let texts = items.as_string_opt::<i32>();
    texts.into_iter().flat_map(|texts| texts.iter().map(|text| text.unwrap_or("").to_owned())).collect()
}

pub(super) fn integer_at(batch: &RecordBatch, column: &str, row: usize) -> Option<i64> {
    match number_at(batch, column, row)? {
        Number::Exact { mantissa, scale: 0 } => i64::try_from(mantissa).ok(),
        _ => None,
    }
}

pub(super) fn number_at(batch: &RecordBatch, column: &str, row: usize) -> Option<Number> {
    number(batch.column_by_name(column)?, row)
}

fn number(array: &ArrayRef, row: usize) -> Option<Number> {
    if array.is_null(row) {
        return None;
    }
    let whole = |mantissa: i128| Number::Exact { mantissa, scale: 0 };
    Some(match array.data_type() {
        DataType::Int32 => whole(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => whole(array.as_primitive::<Int64Type>().value(row).into()),
        DataType::UInt32 => whole(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => whole(array.as_primitive::<UInt64Type>().value(row).into()),
        DataType::Float32 => Number::Float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Number::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => Number::Exact {
            mantissa: array.as_primitive::<Decimal128Type>().value(row),
            scale: u32::try_from(*scale).ok()?,
        },
        _ => return None,
    })
}

pub(super) fn time_us_at(batch: &RecordBatch, column: &str, row: usize) -> Option<i64> {
    time_us(batch.column_by_name(column)?, row)
}

fn time_us(array: &ArrayRef, row: usize) -> Option<i64> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Some(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Some(array.as_primitive::<TimestampMillisecondType>().value(row) * 1_000)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Some(array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1_000))
        }
        _ => None,
    }
}

/// Whether the cell holds what the JSON value says, by the declared type. Binary is not compared: generated events hold none.
pub(super) fn matches(array: &ArrayRef, row: usize, value: Option<&Value>, kind: &ColumnType) -> bool {
    let value = match value {
        None | Some(Value::Null) => return array.is_null(row),
        Some(value) => value,
    };
    if array.is_null(row) {
        return false;
    }
    match kind {
        ColumnType::String => array.as_string_opt::<i32>().is_some_and(|a| Some(a.value(row)) == value.as_str()),
        ColumnType::Boolean => array.as_boolean_opt().is_some_and(|a| Some(a.value(row)) == value.as_bool()),
        ColumnType::Float => {
            let single = array.as_primitive_opt::<Float32Type>();
            single.is_some_and(|a| value.to_string().parse() == Ok(a.value(row)))
        }
        ColumnType::Double => {
            let double = array.as_primitive_opt::<Float64Type>();
            double.is_some_and(|a| value.to_string().parse() == Ok(a.value(row)))
        }
        ColumnType::Int | ColumnType::Long | ColumnType::Decimal { .. } => {
            let wanted = Number::parse(&value.to_string());
            let found = number(array, row).filter(|found| matches!(found, Number::Exact { .. }));
            matches!((found, wanted), (Some(found), Some(wanted)) if found.equals(&wanted))
        }
        ColumnType::Timestamp(TimestampForm::Rfc3339) => {
            let wanted: Option<jiff::Timestamp> = value.as_str().and_then(|text| text.parse().ok());
            wanted.is_some() && time_us(array, row) == wanted.map(jiff::Timestamp::as_microsecond)
        }
        ColumnType::Timestamp(_) => time_us(array, row).is_some(),
        ColumnType::Date => {
            let wanted: Option<jiff::civil::Date> = value.as_str().and_then(|text| text.parse().ok());
            let days = array.as_primitive_opt::<Date32Type>().map(|a| i64::from(a.value(row)));
            let epoch = jiff::civil::date(1970, 1, 1);
            days.is_some() && days == wanted.and_then(|date| Some(i64::from(epoch.until(date).ok()?.get_days())))
        }
        ColumnType::Binary => array.as_binary_opt::<i32>().is_some(),
        ColumnType::List(item) => {
            let items = array.as_list_opt::<i32>().map(|lists| lists.value(row));
            let wanted = value.as_array();
            matches!((items, wanted), (Some(items), Some(wanted)) if items.len() == wanted.len()
                && wanted.iter().enumerate().all(|(index, value)| matches(&items, index, Some(value), item)))
        }
        ColumnType::Struct(fields) => array.as_struct_opt().is_some_and(|parts| {
            fields.iter().all(|(name, kind)| {
                parts.column_by_name(name).is_some_and(|part| matches(part, row, value.get(name), kind))
            })
        }),
    }
}
