//! Whether a cell of a table holds what it must.
//!
//! Every layout of a type is taken: texts and bytes in any of Arrow's layouts, timestamps by their instant. Floats are
//! compared by their bits, so that -0 is not 0 and NaN is NaN. A decimal's scale is the column's, which the definition
//! shares; a column of another scale is a matter of the schema.

use super::Value;
use super::json::{Json, PARSER_DEPTH_MAX, Read, read};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

/// Whether row `row` of `array` holds `value`. A row that is not there, or an array of another type, does not.
#[must_use]
pub fn matches(value: &Value, array: &dyn Array, row: usize) -> bool {
    if row >= array.len() {
        return false;
    }
    if array.is_null(row) || *value == Value::Null {
        return array.is_null(row) && *value == Value::Null;
    }
    match value {
        Value::Null => false,
        Value::Boolean(value) => array.as_boolean_opt().is_some_and(|cells| cells.value(row) == *value),
        Value::Integer(value) => integer(array, row) == Some(*value),
        Value::Float(value) => {
            array.as_primitive_opt::<Float32Type>().is_some_and(|cells| cells.value(row).to_bits() == value.to_bits())
        }
        Value::Double(value) => {
            array.as_primitive_opt::<Float64Type>().is_some_and(|cells| cells.value(row).to_bits() == value.to_bits())
        }
        Value::Decimal(value) => unscaled(array, row) == Some(*value),
        Value::Text(text) => text_at(array, row) == Some(text.as_str()),
        Value::Bytes(bytes) => bytes_at(array, row) == Some(bytes.as_slice()),
        Value::Date(days) => array.as_primitive_opt::<Date32Type>().is_some_and(|cells| cells.value(row) == *days),
        Value::Instant(us) => instant_us(array, row) == Some(i128::from(*us)),
        Value::List(items) => items_at(array, row).is_some_and(|cells| {
            cells.len() == items.len()
                && items.iter().enumerate().all(|(index, item)| matches(item, cells.as_ref(), index))
        }),
        Value::Struct(fields) => array.as_struct_opt().is_some_and(|cells| {
            cells.num_columns() == fields.len()
                && fields.iter().zip(cells.columns()).all(|(field, column)| matches(field, column.as_ref(), row))
        }),
    }
}

/// Whether the text of `_extra` says what it must: as JSON, members in any order.
#[must_use]
pub fn extra_matches(expected: Option<&serde_json::Value>, text: Option<&str>) -> bool {
    match (expected, text) {
        (None, None) => true,
        (Some(expected), Some(text)) => match read(text, PARSER_DEPTH_MAX) {
            Read::Value(json @ Json::Object(_)) => json.comparable() == *expected,
            _ => false,
        },
        _ => false,
    }
}

fn integer(array: &dyn Array, row: usize) -> Option<i64> {
    let int = || array.as_primitive_opt::<Int32Type>().map(|cells| i64::from(cells.value(row)));
    array.as_primitive_opt::<Int64Type>().map(|cells| cells.value(row)).or_else(int)
}

fn unscaled(array: &dyn Array, row: usize) -> Option<i128> {
    let wide = || array.as_primitive_opt::<Decimal256Type>().and_then(|cells| cells.value(row).to_i128());
    array.as_primitive_opt::<Decimal128Type>().map(|cells| cells.value(row)).or_else(wide)
}

fn text_at(array: &dyn Array, row: usize) -> Option<&str> {
    match array.data_type() {
        DataType::Utf8 => array.as_string_opt::<i32>().map(|cells| cells.value(row)),
        DataType::LargeUtf8 => array.as_string_opt::<i64>().map(|cells| cells.value(row)),
        DataType::Utf8View => array.as_string_view_opt().map(|cells| cells.value(row)),
        _ => None,
    }
}

fn bytes_at(array: &dyn Array, row: usize) -> Option<&[u8]> {
    match array.data_type() {
        DataType::Binary => array.as_binary_opt::<i32>().map(|cells| cells.value(row)),
        DataType::LargeBinary => array.as_binary_opt::<i64>().map(|cells| cells.value(row)),
        DataType::BinaryView => array.as_binary_view_opt().map(|cells| cells.value(row)),
        _ => None,
    }
}

/// Microseconds since the epoch; `None` for an instant between two of them.
fn instant_us(array: &dyn Array, row: usize) -> Option<i128> {
    let DataType::Timestamp(unit, _) = array.data_type() else { return None };
    let scaled = |count: i64, factor: i128| i128::from(count) * factor;
    match unit {
        TimeUnit::Second => array.as_primitive_opt::<TimestampSecondType>().map(|c| scaled(c.value(row), 1_000_000)),
        TimeUnit::Millisecond => {
            array.as_primitive_opt::<TimestampMillisecondType>().map(|cells| scaled(cells.value(row), 1_000))
        }
        TimeUnit::Microsecond => {
            array.as_primitive_opt::<TimestampMicrosecondType>().map(|cells| scaled(cells.value(row), 1))
        }
        TimeUnit::Nanosecond => {
            let ns = array.as_primitive_opt::<TimestampNanosecondType>().map(|cells| cells.value(row))?;
            (ns % 1_000 == 0).then(|| i128::from(ns / 1_000))
        }
    }
}

fn items_at(array: &dyn Array, row: usize) -> Option<ArrayRef> {
    let large = || array.as_list_opt::<i64>().map(|lists| lists.value(row));
    array.as_list_opt::<i32>().map(|lists| lists.value(row)).or_else(large)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::arrays::array;
    use crate::expect::definition::{ColumnType, TimestampForm};
    use arrow::array::{Decimal128Array, Float64Array, LargeStringArray, StringViewArray, TimestampNanosecondArray};

    #[test]
    fn a_value_matches_its_own_cell_and_no_other() {
        let structs =
            ColumnType::Struct(vec![("a".to_owned(), ColumnType::Long), ("b".to_owned(), ColumnType::String)]);
        let pair = |a: i64, b: Value| Value::Struct(vec![Value::Integer(a), b]);
        for (kind, one, other) in [
            (ColumnType::String, Value::Text("a".into()), Value::Text("b".into())),
            (ColumnType::Boolean, Value::Boolean(true), Value::Boolean(false)),
            (ColumnType::Int, Value::Integer(1), Value::Integer(2)),
            (ColumnType::Long, Value::Integer(i64::MAX), Value::Integer(i64::MAX - 1)),
            (ColumnType::Float, Value::Float(0.0), Value::Float(-0.0)),
            (ColumnType::Double, Value::Double(0.1), Value::Double(0.1_f64.next_up())),
            (ColumnType::Decimal { precision: 38, scale: 2 }, Value::Decimal(12_345), Value::Decimal(12_346)),
            (ColumnType::Date, Value::Date(1), Value::Date(2)),
            (ColumnType::Timestamp(TimestampForm::Rfc3339), Value::Instant(1), Value::Instant(2)),
            (ColumnType::Binary, Value::Bytes(vec![0]), Value::Bytes(vec![])),
            (
                ColumnType::List(Box::new(ColumnType::Long)),
                Value::List(vec![Value::Integer(1), Value::Null]),
                Value::List(vec![Value::Integer(1)]),
            ),
            (structs, pair(1, Value::Null), pair(1, Value::Text(String::new()))),
        ] {
            let cells = array(&kind, &[&one, &other, &Value::Null]).unwrap();
            let found = |value: &Value| [0, 1, 2, 3].map(|row| matches(value, cells.as_ref(), row));
            assert_eq!(found(&one), [true, false, false, false], "{kind:?}");
            assert_eq!(found(&other), [false, true, false, false], "{kind:?}");
            assert_eq!(found(&Value::Null), [false, false, true, false], "{kind:?}");
        }
    }

    #[test]
    fn other_layouts_of_the_same_value_match_and_other_types_do_not() {
        let text = Value::Text("a".to_owned());
        assert!(matches(&text, &LargeStringArray::from(vec!["a"]), 0));
        assert!(matches(&text, &StringViewArray::from(vec!["a"]), 0));
        assert!(matches(&Value::Instant(-1), &TimestampNanosecondArray::from(vec![-1_000]), 0));
        assert!(!matches(&Value::Instant(0), &TimestampNanosecondArray::from(vec![1]), 0));
        assert!(!matches(&Value::Integer(1), &Decimal128Array::from(vec![1]), 0));
        assert!(matches(&Value::Double(f64::NAN), &Float64Array::from(vec![f64::NAN]), 0));
    }

    #[test]
    fn extra_is_compared_as_json() {
        let expected = serde_json::json!({"a": 1, "b": {"c": [null]}});
        assert!(extra_matches(Some(&expected), Some(r#"{ "b":{"c":[null]}, "a":1 }"#)));
        for text in [r#"{"a":1}"#, r#"{"a":1.0,"b":{"c":[null]}}"#, r#"{"a":1,"b":{"c":[null]}"#, "[]"] {
            assert!(!extra_matches(Some(&expected), Some(text)), "{text}");
        }
        assert!(extra_matches(None, None));
        assert!(!extra_matches(None, Some("{}")) && !extra_matches(Some(&expected), None));
    }
}
