//! How a file's columns fit the table's, and one of them is brought into the table's type.
//!
//! Columns are found by name. Kinds of text and of bytes that differ only in how Arrow lays them out fit, and so do
//! times of another unit or without a zone, which other writers make of ours; nothing else is converted: a number that
//! had to be rounded would hide a difference.

use super::FileProblem;
use crate::finding::Code;
use arrow::array::{Array, ArrayRef, AsArray, StringArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where the values of a column of the table come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// The file's root column of this number.
    File(usize),
    /// The file does not have it: null.
    Missing,
    /// The entry's partition value: an array of one.
    Partition(ArrayRef),
}

/// A column of the table, and where its values come from.
#[derive(Debug, Clone)]
pub(super) struct Fitted {
    pub(super) field: FieldRef,
    pub(super) source: Source,
}

fn wrong(what: String) -> FileProblem {
    FileProblem::Wrong { code: Code::FileSchema, what }
}

/// Fits the file's root columns to the table's, in the table's order, partition columns last.
pub(super) fn columns(
    file: &Schema,
    table: &SchemaRef,
    partition_columns: &[String],
    values: &BTreeMap<String, Option<String>>,
) -> Result<Vec<Fitted>, FileProblem> {
    let mut by_name: BTreeMap<&str, (usize, &DataType)> = BTreeMap::new();
    for (number, field) in file.fields().iter().enumerate() {
        if by_name.insert(field.name(), (number, field.data_type())).is_some() {
            return Err(wrong(format!("the file has the column '{}' twice", field.name())));
        }
        if table.field_with_name(field.name()).is_err() {
            return Err(wrong(format!("the file has a column '{}', which the table has not", field.name())));
        }
    }
    let is_partition = |field: &&FieldRef| partition_columns.contains(field.name());
    let mut fitted = Vec::new();
    for field in table.fields().iter().filter(|field| !is_partition(field)) {
        let source = match by_name.get(field.name().as_str()) {
            Some((number, kind)) if fits(kind, field.data_type()) => Source::File(*number),
            Some((_, kind)) => {
                let (name, wanted) = (field.name(), field.data_type());
                return Err(wrong(format!("column '{name}' is {kind} in the file, {wanted} in the table")));
            }
            None if field.is_nullable() => Source::Missing,
            None => return Err(wrong(format!("the file lacks the column '{}', which may not be null", field.name()))),
        };
        fitted.push(Fitted { field: Arc::clone(field), source });
    }
    for field in table.fields().iter().filter(is_partition) {
        let value = values.get(field.name()).and_then(Option::as_deref);
        let source = Source::Partition(partition_value(field, value)?);
        fitted.push(Fitted { field: Arc::clone(field), source });
    }
    Ok(fitted)
}

fn partition_value(field: &Field, value: Option<&str>) -> Result<ArrayRef, FileProblem> {
    let bad = |what: String| FileProblem::Wrong { code: Code::FilePartition, what };
    let Some(text) = value else {
        if field.is_nullable() {
            return Ok(new_null_array(field.data_type(), 1));
        }
        return Err(bad(format!("its entry has no value for the partition column '{}'", field.name())));
    };
    let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let one: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let cast = cast_with_options(&one, field.data_type(), &strict());
    match cast {
        Ok(one) if *field.data_type() != DataType::Date32 || is_date => Ok(one),
        _ => Err(bad(format!(
            "its entry's value for the partition column '{}' is no {}",
            field.name(),
            field.data_type()
        ))),
    }
}

fn strict() -> CastOptions<'static> {
    CastOptions { safe: false, ..CastOptions::default() }
}

/// Whether values of a type in a file are values of the table's type.
fn fits(file: &DataType, table: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Decimal32, Decimal64, Decimal128, Decimal256, LargeBinary, LargeList, LargeUtf8, List, Map,
        Struct, Timestamp, Utf8, Utf8View,
    };
    match (file, table) {
        (Utf8 | LargeUtf8 | Utf8View, Utf8) | (Binary | LargeBinary | BinaryView, Binary) => true,
        (Timestamp(..), Timestamp(TimeUnit::Microsecond, _)) => true,
        (
            Decimal32(digits, scale) | Decimal64(digits, scale) | Decimal128(digits, scale) | Decimal256(digits, scale),
            Decimal128(table_digits, table_scale),
        ) => digits == table_digits && scale == table_scale,
        (List(item) | LargeList(item), List(table_item)) => fits(item.data_type(), table_item.data_type()),
        (Struct(fields), Struct(table_fields)) => {
            fields.len() == table_fields.len()
                && fields.iter().zip(table_fields).all(|(field, table_field)| {
                    field.name() == table_field.name() && fits(field.data_type(), table_field.data_type())
                })
        }
        (Map(entries, _), Map(table_entries, _)) => match (entries.data_type(), table_entries.data_type()) {
            (Struct(pair), Struct(table_pair)) => {
                pair.len() == table_pair.len()
                    && pair.iter().zip(table_pair).all(|(one, other)| fits(one.data_type(), other.data_type()))
            }
            _ => false,
        },
        (file, table) => file == table,
    }
}

/// Brings a column as it was read into the table's type.
pub(super) fn convert(array: &ArrayRef, field: &Field) -> Result<ArrayRef, FileProblem> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    let failed = |_| wrong(format!("column '{}' holds values that are no {}", field.name(), field.data_type()));
    let DataType::Timestamp(TimeUnit::Microsecond, zone) = field.data_type() else {
        return cast_with_options(array, field.data_type(), &strict()).map_err(failed);
    };
    // Instants are kept as they are: a zone says how they are shown, and one without a zone was written in UTC.
    let DataType::Timestamp(_, read_zone) = array.data_type() else {
        return Err(wrong(format!("column '{}' holds no times", field.name())));
    };
    let micros = DataType::Timestamp(TimeUnit::Microsecond, read_zone.clone());
    let micros = cast_with_options(array, &micros, &strict()).map_err(failed)?;
    let Some(times) = micros.as_primitive_opt::<TimestampMicrosecondType>() else {
        return Err(wrong(format!("column '{}' holds no times", field.name())));
    };
    Ok(Arc::new(times.clone().with_timezone_opt(zone.clone())))
}
