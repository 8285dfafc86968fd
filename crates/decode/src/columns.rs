//! Arrow builders for the declared types: cells of accepted records in, arrays out.
//!
//! Contract: a builder takes one cell per record, and a cell that its own type was converted to; it is filled only from
//! rows known to be good, so nothing is ever taken back.

use crate::convert::{Cell, Row};
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int32Builder, Int64Builder, ListArray, StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};
use std::sync::Arc;
use watertight_core::schema::ColumnType;

/// A builder of one column or of what it nests.
#[derive(Debug)]
pub(crate) enum Builder {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Binary(BinaryBuilder),
    List { field: FieldRef, items: Box<Builder>, lengths: Vec<usize>, valid: Vec<bool> },
    Struct { fields: Fields, columns: Vec<Builder>, valid: Vec<bool> },
}

impl Builder {
    /// A builder with room for `rows` values, of `bytes` bytes in all where they are text or binary or nest such; what
    /// is nested gets even parts of it.
    pub(crate) fn new(kind: &ColumnType, rows: usize, bytes: usize) -> Self {
        match (kind, kind.arrow()) {
            (ColumnType::String, _) => Self::Text(StringBuilder::with_capacity(rows, bytes)),
            (ColumnType::Boolean, _) => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            (ColumnType::Int, _) => Self::Int(Int32Builder::with_capacity(rows)),
            (ColumnType::Long, _) => Self::Long(Int64Builder::with_capacity(rows)),
            (ColumnType::Float, _) => Self::Float(Float32Builder::with_capacity(rows)),
            (ColumnType::Double, _) => Self::Double(Float64Builder::with_capacity(rows)),
            (ColumnType::Decimal { .. }, data_type) => {
                Self::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(data_type))
            }
            (ColumnType::Date, _) => Self::Date(Date32Builder::with_capacity(rows)),
            (ColumnType::Timestamp(_), data_type) => {
                Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(data_type))
            }
            (ColumnType::Binary, _) => Self::Binary(BinaryBuilder::with_capacity(rows, bytes)),
            (ColumnType::List(item), DataType::List(field)) => Self::List {
                field,
                items: Box::new(Self::new(item, 0, bytes)),
                lengths: Vec::with_capacity(rows),
                valid: Vec::with_capacity(rows),
            },
            (ColumnType::Struct(declared), DataType::Struct(fields)) => Self::Struct {
                fields,
                columns: declared
                    .iter()
                    .map(|(_, kind)| Self::new(kind, rows, bytes / declared.len().max(1)))
                    .collect(),
                valid: Vec::with_capacity(rows),
            },
            (ColumnType::List(_) | ColumnType::Struct(_), other) => {
                unreachable!("a list or struct is kept as one in Arrow, not as {other}")
            }
        }
    }

    /// Bytes of text or binary held so far, what is nested included.
    pub(crate) fn byte_len(&self) -> usize {
        match self {
            Self::Text(builder) => builder.values_slice().len(),
            Self::Binary(builder) => builder.values_slice().len(),
            Self::List { items, .. } => items.byte_len(),
            Self::Struct { columns, .. } => columns.iter().map(Self::byte_len).sum(),
            _ => 0,
        }
    }

    /// Appends a column's cell.
    #[inline]
    pub(crate) fn append(&mut self, cell: Cell, text: &str, row: &Row) {
        match cell {
            Cell::Nested(mut place) => self.append_tape(&mut place, text, row),
            cell => self.append_plain(cell, text, row),
        }
    }

    #[inline]
    fn append_plain(&mut self, cell: Cell, text: &str, row: &Row) {
        match (self, cell) {
            (Self::Text(builder), Cell::Payload(start, end)) => {
                builder.append_value(&text[start as usize..end as usize]);
            }
            (Self::Text(builder), Cell::Resolved(start, end)) => {
                builder.append_value(&row.resolved[start as usize..end as usize]);
            }
            (Self::Long(builder), Cell::Long(value)) => builder.append_value(value),
            (Self::Timestamp(builder), Cell::Long(value)) => builder.append_value(value),
            (Self::Decimal(builder), Cell::Decimal(value)) => builder.append_value(value),
            (Self::Double(builder), Cell::Double(value)) => builder.append_value(value),
            (Self::Float(builder), Cell::Double(value)) => builder.append_value(value as f32),
            (Self::Int(builder), Cell::Long(value)) => builder.append_value(value as i32),
            (Self::Date(builder), Cell::Long(value)) => builder.append_value(value as i32),
            (Self::Boolean(builder), Cell::Boolean(value)) => builder.append_value(value),
            (Self::Binary(builder), Cell::Bytes(start, end)) => {
                builder.append_value(&row.bytes[start as usize..end as usize]);
            }
            (builder, _) => builder.append_null(),
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Text(builder) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::Int(builder) => builder.append_null(),
            Self::Long(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Double(builder) => builder.append_null(),
            Self::Decimal(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Binary(builder) => builder.append_null(),
            Self::List { lengths, valid, .. } => {
                lengths.push(0);
                valid.push(false);
            }
            Self::Struct { columns, valid, .. } => {
                columns.iter_mut().for_each(Self::append_null);
                valid.push(false);
            }
        }
    }

    fn append_tape(&mut self, place: &mut usize, text: &str, row: &Row) {
        let cell = row.tape.get(*place).copied().unwrap_or(Cell::Null);
        *place += 1;
        match (self, cell) {
            (Self::List { items, lengths, valid, .. }, Cell::Items(count)) => {
                lengths.push(count);
                valid.push(true);
                for _ in 0..count {
                    items.append_tape(place, text, row);
                }
            }
            (Self::Struct { columns, valid, .. }, Cell::Fields) => {
                valid.push(true);
                for column in columns {
                    column.append_tape(place, text, row);
                }
            }
            (builder, cell) => builder.append_plain(cell, text, row),
        }
    }

    /// The array of all that was appended.
    pub(crate) fn finish(self) -> ArrayRef {
        match self {
            Self::Text(mut builder) => Arc::new(builder.finish()),
            Self::Boolean(mut builder) => Arc::new(builder.finish()),
            Self::Int(mut builder) => Arc::new(builder.finish()),
            Self::Long(mut builder) => Arc::new(builder.finish()),
            Self::Float(mut builder) => Arc::new(builder.finish()),
            Self::Double(mut builder) => Arc::new(builder.finish()),
            Self::Decimal(mut builder) => Arc::new(builder.finish()),
            Self::Date(mut builder) => Arc::new(builder.finish()),
            Self::Timestamp(mut builder) => Arc::new(builder.finish()),
            Self::Binary(mut builder) => Arc::new(builder.finish()),
            Self::List { field, items, lengths, valid } => {
                let offsets = OffsetBuffer::from_lengths(lengths);
                let array = ListArray::try_new(field, offsets, items.finish(), nulls(valid));
                Arc::new(array.expect("lengths, items and validity were appended together"))
            }
            Self::Struct { fields, columns, valid } => {
                let columns = columns.into_iter().map(Self::finish).collect();
                let length = valid.len();
                let array = StructArray::try_new_with_length(fields, columns, nulls(valid), length);
                Arc::new(array.expect("fields and validity were appended together"))
            }
        }
    }
}

fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0)
}
