//! Arrow cells as plain values, to compare with.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};

/// A cell's value. Floats are compared by their bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    /// Integers, dates in days, timestamps in µs, unscaled decimals.
    Integer(i128),
    Float(u32),
    Double(u64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Struct(Vec<Value>),
}

pub(crate) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

pub(crate) fn read_row(batch: &RecordBatch, row: usize) -> Vec<Value> {
    batch.columns().iter().map(|column| read(column, row)).collect()
}

fn read(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => text(array.as_string::<i32>().value(row)),
        DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        DataType::Int32 => Value::Integer(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Value::Integer(array.as_primitive::<Int64Type>().value(row).into()),
        DataType::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(row).to_bits()),
        DataType::Float64 => Value::Double(array.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Decimal128(..) => Value::Integer(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Date32 => Value::Integer(array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(..) => Value::Integer(array.as_primitive::<TimestampMicrosecondType>().value(row).into()),
        DataType::Binary => Value::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Value::List((0..items.len()).map(|item| read(&items, item)).collect())
        }
        DataType::Struct(_) => {
            Value::Struct(array.as_struct().columns().iter().map(|column| read(column, row)).collect())
        }
        other => panic!("no column is kept as {other}"),
    }
}
