//! Values as Arrow arrays: what checks and ids are computed over.
//!
//! The types are those of silver's declared columns. A value that is not of the column's type stands as null; decoding
//! never gives one.

use super::definition::ColumnType;
use super::{NULL, Value};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
    Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use std::sync::Arc;

/// The Arrow type of a declared type.
pub(crate) fn arrow_type(kind: &ColumnType) -> DataType {
    match kind {
        ColumnType::String => DataType::Utf8,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Int => DataType::Int32,
        ColumnType::Long => DataType::Int64,
        ColumnType::Float => DataType::Float32,
        ColumnType::Double => DataType::Float64,
        ColumnType::Decimal { precision, scale } => {
            DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX))
        }
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        ColumnType::Binary => DataType::Binary,
        ColumnType::List(item) => DataType::List(Arc::new(item_field(item))),
        ColumnType::Struct(fields) => DataType::Struct(struct_fields(fields)),
    }
}

fn item_field(item: &ColumnType) -> Field {
    Field::new("element", arrow_type(item), true)
}

fn struct_fields(fields: &[(String, ColumnType)]) -> Fields {
    fields.iter().map(|(name, kind)| Field::new(name, arrow_type(kind), true)).collect()
}

/// The array of a column's values.
///
/// # Errors
/// Where Arrow refuses the type or the values: a decimal type that does not exist, more than fits in one array.
pub(crate) fn array(kind: &ColumnType, values: &[&Value]) -> Result<ArrayRef, String> {
    macro_rules! of {
        ($array:ty, $variant:ident, $value:ident => $cell:expr) => {
            values
                .iter()
                .map(|value| match value {
                    Value::$variant($value) => Some($cell),
                    _ => None,
                })
                .collect::<$array>()
        };
    }
    Ok(match kind {
        ColumnType::String => Arc::new(of!(StringArray, Text, text => text.as_str())),
        ColumnType::Boolean => Arc::new(of!(BooleanArray, Boolean, value => *value)),
        ColumnType::Int => {
            // Decoding has held it against 32 bits.
            Arc::new(of!(Int32Array, Integer, value => i32::try_from(*value).unwrap_or_default()))
        }
        ColumnType::Long => Arc::new(of!(Int64Array, Integer, value => *value)),
        ColumnType::Float => Arc::new(of!(Float32Array, Float, value => *value)),
        ColumnType::Double => Arc::new(of!(Float64Array, Double, value => *value)),
        ColumnType::Decimal { precision, scale } => {
            let scale = i8::try_from(*scale).map_err(|error| error.to_string())?;
            let unscaled = of!(Decimal128Array, Decimal, value => *value);
            Arc::new(unscaled.with_precision_and_scale(*precision, scale).map_err(|error| error.to_string())?)
        }
        ColumnType::Date => Arc::new(of!(Date32Array, Date, days => *days)),
        ColumnType::Timestamp(_) => Arc::new(of!(TimestampMicrosecondArray, Instant, us => *us).with_timezone("UTC")),
        ColumnType::Binary => Arc::new(of!(BinaryArray, Bytes, bytes => bytes.as_slice())),
        ColumnType::List(item) => list(item, values)?,
        ColumnType::Struct(fields) => structs(fields, values)?,
    })
}

fn list(item: &ColumnType, values: &[&Value]) -> Result<ArrayRef, String> {
    let mut items: Vec<&Value> = Vec::new();
    let mut lengths = Vec::with_capacity(values.len());
    let mut valid = Vec::with_capacity(values.len());
    for value in values {
        let of_list: &[Value] = if let Value::List(of_list) = value { of_list } else { &[] };
        lengths.push(of_list.len());
        valid.push(matches!(value, Value::List(_)));
        items.extend(of_list);
    }
    if i32::try_from(items.len()).is_err() {
        return Err("more items of lists than one array holds".to_owned());
    }
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = Some(NullBuffer::from(valid));
    let array = ListArray::try_new(Arc::new(item_field(item)), offsets, array(item, &items)?, nulls);
    Ok(Arc::new(array.map_err(|error| error.to_string())?))
}

fn structs(fields: &[(String, ColumnType)], values: &[&Value]) -> Result<ArrayRef, String> {
    let mut columns = Vec::with_capacity(fields.len());
    for (index, (_, kind)) in fields.iter().enumerate() {
        let of_field: Vec<&Value> = values
            .iter()
            .map(|value| match value {
                Value::Struct(of_struct) => of_struct.get(index).unwrap_or(&NULL),
                _ => &NULL,
            })
            .collect();
        columns.push(array(kind, &of_field)?);
    }
    let valid: Vec<bool> = values.iter().map(|value| matches!(value, Value::Struct(_))).collect();
    let length = valid.len();
    let nulls = Some(NullBuffer::from(valid));
    let array = StructArray::try_new_with_length(struct_fields(fields), columns, nulls, length);
    Ok(Arc::new(array.map_err(|error| error.to_string())?))
}
