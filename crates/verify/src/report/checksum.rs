//! The checksum of a set of rows, the same in whatever order and files they stand (docs/VERIFY.md, "Checksums of rows").
//!
//! A row is the bytes of its values in a given order of columns; its checksum is xxh3-128 (seed 0) of them, and a set's
//! checksum the sum of its rows' modulo 2^128, written as 32 hex digits. Each value begins with a byte: 0 for null, and
//! nothing follows; 1, and then, little-endian:
//!
//! | type | bytes |
//! |---|---|
//! | boolean | one, 0 or 1 |
//! | byte, short, integer, long; date (days); timestamp (µs) | i64 |
//! | float, double | their IEEE bits, 4 or 8 bytes |
//! | decimal | the unscaled number, i128 |
//! | string, binary | length (u64), bytes |
//! | array | number of elements (u64), each element as a value |
//! | struct | each field as a value |
//! | map | number of entries (u64), of each the key and the value as values |

use crate::finding::{Place, Unable};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, LargeBinaryArray, LargeStringArray, StringArray, StringViewArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType,
};
use xxhash_rust::xxh3::xxh3_128;

/// Columns may be nested as deep as this: a schema is input, and is walked by recursion.
const DEPTH_MAX: usize = 64;

/// A set of rows: how many, and their checksum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableChecksum {
    /// Rows.
    pub rows: u64,
    /// Sum modulo 2^128.
    pub sum: u128,
}

impl TableChecksum {
    /// Adds a row by its checksum.
    pub fn add(&mut self, row: u128) {
        self.rows = self.rows.saturating_add(1);
        self.sum = self.sum.wrapping_add(row);
    }

    /// Adds another set.
    pub fn merge(&mut self, other: Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// The sum as 32 hex digits.
    #[must_use]
    pub fn hex(&self) -> String {
        format!("{:032x}", self.sum)
    }
}

/// The rows of a batch, to be taken one by one.
pub struct RowChecksums<'a> {
    columns: Vec<Column<'a>>,
    bytes: Vec<u8>,
}

impl<'a> RowChecksums<'a> {
    /// Over these columns, in this order.
    ///
    /// # Errors
    /// For a type that no table of ours has.
    pub fn new(columns: &'a [ArrayRef]) -> Result<Self, Unable> {
        let columns: Result<_, _> = columns.iter().map(|column| Column::new(column.as_ref(), 0)).collect();
        Ok(Self { columns: columns?, bytes: Vec::new() })
    }

    /// The checksum of a row of the batch; `row` must be one of its rows.
    pub fn row_checksum(&mut self, row: usize) -> u128 {
        self.bytes.clear();
        for column in &self.columns {
            column.encode(row, &mut self.bytes);
        }
        xxh3_128(&self.bytes)
    }
}

struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Boolean(&'a BooleanArray),
    Byte(&'a Int8Array),
    Short(&'a Int16Array),
    Integer(&'a Int32Array),
    Long(&'a Int64Array),
    Date(&'a arrow::array::Date32Array),
    Timestamp(&'a arrow::array::TimestampMicrosecondArray),
    Float(&'a Float32Array),
    Double(&'a Float64Array),
    Decimal(&'a Decimal128Array),
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Bytes(&'a BinaryArray),
    LargeBytes(&'a LargeBinaryArray),
    BytesView(&'a BinaryViewArray),
    Struct(Vec<Column<'a>>),
    List(&'a [i32], Box<Column<'a>>),
    LargeList(&'a [i64], Box<Column<'a>>),
    Map(&'a [i32], Vec<Column<'a>>),
}

impl<'a> Column<'a> {
    fn new(array: &'a dyn Array, depth: usize) -> Result<Self, Unable> {
        if depth > DEPTH_MAX {
            return Err(unable(format!("columns are nested deeper than {DEPTH_MAX}; no checksum is defined for them")));
        }
        let fields = |fields: &'a [ArrayRef]| -> Result<Vec<Self>, Unable> {
            fields.iter().map(|field| Self::new(field.as_ref(), depth + 1)).collect()
        };
        let values = match array.data_type() {
            DataType::Boolean => Values::Boolean(array.as_boolean()),
            DataType::Int8 => Values::Byte(array.as_primitive::<Int8Type>()),
            DataType::Int16 => Values::Short(array.as_primitive::<Int16Type>()),
            DataType::Int32 => Values::Integer(array.as_primitive::<Int32Type>()),
            DataType::Int64 => Values::Long(array.as_primitive::<Int64Type>()),
            DataType::Date32 => Values::Date(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Values::Timestamp(array.as_primitive::<TimestampMicrosecondType>())
            }
            DataType::Float32 => Values::Float(array.as_primitive::<Float32Type>()),
            DataType::Float64 => Values::Double(array.as_primitive::<Float64Type>()),
            DataType::Decimal128(_, _) => Values::Decimal(array.as_primitive::<Decimal128Type>()),
            DataType::Utf8 => Values::Text(array.as_string::<i32>()),
            DataType::LargeUtf8 => Values::LargeText(array.as_string::<i64>()),
            DataType::Utf8View => Values::TextView(array.as_string_view()),
            DataType::Binary => Values::Bytes(array.as_binary::<i32>()),
            DataType::LargeBinary => Values::LargeBytes(array.as_binary::<i64>()),
            DataType::BinaryView => Values::BytesView(array.as_binary_view()),
            DataType::Struct(_) => Values::Struct(fields(array.as_struct().columns())?),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Values::List(list.value_offsets(), Box::new(Self::new(list.values().as_ref(), depth + 1)?))
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                Values::LargeList(list.value_offsets(), Box::new(Self::new(list.values().as_ref(), depth + 1)?))
            }
            DataType::Map(_, _) => {
                let map = array.as_map();
                Values::Map(map.value_offsets(), fields(map.entries().columns())?)
            }
            other => return Err(unable(format!("no checksum is defined for columns of type {other}"))),
        };
        Ok(Self { nulls: array.nulls(), values })
    }

    fn encode(&self, row: usize, out: &mut Vec<u8>) {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.push(0);
            return;
        }
        out.push(1);
        let long = |value: i64| value.to_le_bytes();
        match &self.values {
            Values::Boolean(array) => out.push(u8::from(array.value(row))),
            Values::Byte(array) => out.extend(long(array.value(row).into())),
            Values::Short(array) => out.extend(long(array.value(row).into())),
            Values::Integer(array) => out.extend(long(array.value(row).into())),
            Values::Long(array) => out.extend(long(array.value(row))),
            Values::Date(array) => out.extend(long(array.value(row).into())),
            Values::Timestamp(array) => out.extend(long(array.value(row))),
            Values::Float(array) => out.extend(array.value(row).to_bits().to_le_bytes()),
            Values::Double(array) => out.extend(array.value(row).to_bits().to_le_bytes()),
            Values::Decimal(array) => out.extend(array.value(row).to_le_bytes()),
            Values::Text(array) => bytes(array.value(row).as_bytes(), out),
            Values::LargeText(array) => bytes(array.value(row).as_bytes(), out),
            Values::TextView(array) => bytes(array.value(row).as_bytes(), out),
            Values::Bytes(array) => bytes(array.value(row), out),
            Values::LargeBytes(array) => bytes(array.value(row), out),
            Values::BytesView(array) => bytes(array.value(row), out),
            Values::Struct(fields) => fields.iter().for_each(|field| field.encode(row, out)),
            Values::List(offsets, items) => {
                let at = |index: usize| offsets.get(index).map_or(0, |offset| usize::try_from(*offset).unwrap_or(0));
                elements(at(row)..at(row + 1), std::slice::from_ref(&**items), out);
            }
            Values::LargeList(offsets, items) => {
                let at = |index: usize| offsets.get(index).map_or(0, |offset| usize::try_from(*offset).unwrap_or(0));
                elements(at(row)..at(row + 1), std::slice::from_ref(&**items), out);
            }
            Values::Map(offsets, entries) => {
                let at = |index: usize| offsets.get(index).map_or(0, |offset| usize::try_from(*offset).unwrap_or(0));
                elements(at(row)..at(row + 1), entries, out);
            }
        }
    }
}

/// Length and bytes.
fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Number of elements, and of each what the columns hold.
fn elements(range: std::ops::Range<usize>, columns: &[Column<'_>], out: &mut Vec<u8>) {
    out.extend((range.len() as u64).to_le_bytes());
    for element in range {
        columns.iter().for_each(|column| column.encode(element, out));
    }
}

/// The name of a column's type as Delta has it: what the bytes of its values are by the table above.
#[must_use]
pub fn type_name(data_type: &DataType) -> String {
    let named = match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 => "byte",
        DataType::Int16 => "short",
        DataType::Int32 => "integer",
        DataType::Int64 => "long",
        DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary",
        DataType::Date32 => "date",
        DataType::Timestamp(_, _) => "timestamp",
        DataType::Decimal128(precision, scale) => return format!("decimal({precision},{scale})"),
        DataType::List(item) | DataType::LargeList(item) => return format!("array<{}>", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|field| format!("{}:{}", field.name(), type_name(field.data_type()))).collect();
            return format!("struct<{}>", fields.join(","));
        }
        DataType::Map(entries, _) => return format!("map<{}>", type_name(entries.data_type())),
        other => return other.to_string(),
    };
    named.to_owned()
}

fn unable(why: String) -> Unable {
    Unable { place: Place::default(), why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ListArray, StructArray};
    use arrow::datatypes::Field;
    use std::sync::Arc;

    fn of(columns: &[ArrayRef]) -> TableChecksum {
        let rows = columns[0].len();
        let mut checksums = RowChecksums::new(columns).expect("types that are known");
        let mut sum = TableChecksum::default();
        (0..rows).for_each(|row| sum.add(checksums.row_checksum(row)));
        sum
    }

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn the_bytes_of_a_row_are_those_of_the_document() {
        let decimal = Decimal128Array::from(vec![-5]).with_precision_and_scale(18, 4).expect("fits");
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])]);
        let columns: Vec<ArrayRef> = vec![
            texts(&[Some("ab")]),
            texts(&[None]),
            Arc::new(Int32Array::from(vec![-2])),
            Arc::new(decimal),
            Arc::new(BooleanArray::from(vec![true])),
            Arc::new(Float32Array::from(vec![1.0])),
            Arc::new(list),
        ];
        let mut bytes = vec![1, 2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b', 0, 1];
        bytes.extend((-2_i64).to_le_bytes());
        bytes.push(1);
        bytes.extend((-5_i128).to_le_bytes());
        bytes.extend([1, 1, 1, 0, 0, 0x80, 0x3f]);
        bytes.extend([1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(of(&columns), TableChecksum { rows: 1, sum: xxh3_128(&bytes) });
    }

    #[test]
    fn order_does_not_matter_and_every_row_does() {
        let both = of(&[texts(&[Some("a"), Some("b")])]);
        assert_eq!(both, of(&[texts(&[Some("b"), Some("a")])]));
        for other in [&[Some("a")][..], &[Some("a"), Some("c")], &[Some("a"), None], &[Some("a"), Some("b"), Some("b")]]
        {
            assert_ne!(both, of(&[texts(other)]), "{other:?}");
        }
    }

    #[test]
    fn values_do_not_run_into_their_neighbours() {
        let one = of(&[texts(&[Some("ab")]), texts(&[Some("c")])]);
        assert_ne!(one, of(&[texts(&[Some("a")]), texts(&[Some("bc")])]));
        assert_ne!(of(&[texts(&[None]), texts(&[Some("")])]), of(&[texts(&[Some("")]), texts(&[None])]));
    }

    #[test]
    fn how_arrow_holds_text_does_not_matter() {
        let views: ArrayRef = Arc::new(StringViewArray::from(vec!["a text that is longer than twelve bytes"]));
        let large: ArrayRef = Arc::new(LargeStringArray::from(vec!["a text that is longer than twelve bytes"]));
        let plain = of(&[texts(&[Some("a text that is longer than twelve bytes")])]);
        assert_eq!((plain, plain), (of(&[views]), of(&[large])));
    }

    #[test]
    fn a_null_struct_hides_what_its_fields_hold() {
        let field = Arc::new(Field::new("x", DataType::Int32, true));
        let of_struct = |value: i32, valid: bool| {
            let values: ArrayRef = Arc::new(Int32Array::from(vec![value]));
            let nulls = NullBuffer::from(vec![valid]);
            let array: ArrayRef =
                Arc::new(StructArray::new(vec![Arc::clone(&field)].into(), vec![values], Some(nulls)));
            of(&[array])
        };
        assert_eq!(of_struct(1, false), of_struct(2, false));
        assert_ne!(of_struct(1, true), of_struct(2, true));
    }

    #[test]
    fn a_type_without_a_definition_is_refused() {
        let columns: Vec<ArrayRef> = vec![Arc::new(arrow::array::NullArray::new(1))];
        assert!(RowChecksums::new(&columns).is_err());
    }
}
