//! Rows of a Parquet file, read whole, altered cell by cell, and written as the file was.

use anyhow::{Context as _, Result, bail};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
    new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat, concat_batches, take_record_batch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Every row of a file.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<RecordBatch> {
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let schema = Arc::clone(builder.schema());
    let mut batches = Vec::new();
    for batch in builder.build()? {
        batches.push(batch?);
    }
    Ok(concat_batches(&schema, &batches)?)
}

/// Writes rows to `path`, compressed and signed as the file `like` is (which may be the same). Gives its bytes.
///
/// # Errors
/// When `like` cannot be read or `path` not be written.
pub fn write(path: &Path, like: &Path, rows: &RecordBatch) -> Result<u64> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(like)?)?;
    let metadata = Arc::clone(builder.metadata());
    drop(builder);
    let mut properties = WriterProperties::builder();
    if let Some(writer) = metadata.file_metadata().created_by() {
        properties = properties.set_created_by(writer.to_owned());
    }
    if let Some(column) = metadata.row_groups().first().and_then(|group| group.columns().first()) {
        properties = properties.set_compression(column.compression());
    }
    let options = ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
    let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
    let mut writer = ArrowWriter::try_new_with_options(file, rows.schema(), options)?;
    writer.write(rows)?;
    writer.close()?;
    Ok(std::fs::metadata(path)?.len())
}

/// A value of a cell, in a form that does not depend on its width.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Null.
    Null,
    /// Integers, dates, instants (µs), decimals (unscaled).
    Whole(i128),
    /// Float and double.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Boolean.
    Flag(bool),
    /// List of text.
    Texts(Vec<String>),
    /// Something else, which is not altered.
    Other,
}

/// The value of a cell; null where there is no such column.
#[must_use]
pub fn get(rows: &RecordBatch, column: &str, row: usize) -> Cell {
    let Some(array) = rows.column_by_name(column) else { return Cell::Null };
    if array.is_null(row) {
        return Cell::Null;
    }
    match array.data_type() {
        DataType::Int32 => Cell::Whole(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Cell::Whole(array.as_primitive::<Int64Type>().value(row).into()),
        DataType::Date32 => Cell::Whole(array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Cell::Whole(array.as_primitive::<TimestampMicrosecondType>().value(row).into())
        }
        DataType::Decimal128(_, _) => Cell::Whole(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Float32 => Cell::Real(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Cell::Real(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Cell::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::Boolean => Cell::Flag(array.as_boolean().value(row)),
        DataType::List(item) if *item.data_type() == DataType::Utf8 => {
            let items = array.as_list::<i32>().value(row);
            Cell::Texts(items.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect())
        }
        _ => Cell::Other,
    }
}

/// A whole number of a cell.
#[must_use]
pub fn whole(rows: &RecordBatch, column: &str, row: usize) -> Option<i64> {
    match get(rows, column, row) {
        Cell::Whole(value) => i64::try_from(value).ok(),
        _ => None,
    }
}

/// Text of a cell.
#[must_use]
pub fn text(rows: &RecordBatch, column: &str, row: usize) -> Option<String> {
    match get(rows, column, row) {
        Cell::Text(text) => Some(text),
        _ => None,
    }
}

/// Bytes of a cell.
#[must_use]
pub fn bytes(rows: &RecordBatch, column: &str, row: usize) -> Option<Vec<u8>> {
    match get(rows, column, row) {
        Cell::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

/// Partition and offset of a row.
#[must_use]
pub fn position(rows: &RecordBatch, row: usize) -> Option<(i32, i64)> {
    let partition = whole(rows, "_kafka_partition", row)?;
    Some((i32::try_from(partition).ok()?, whole(rows, "_kafka_offset", row)?))
}

/// The rows with one cell altered.
///
/// # Errors
/// When there is no such column, or the value does not fit it.
pub fn set(rows: &RecordBatch, column: &str, row: usize, cell: &Cell) -> Result<RecordBatch> {
    let (index, field) = rows.schema_ref().column_with_name(column).with_context(|| format!("no column {column}"))?;
    let array = one(field.data_type(), cell).with_context(|| format!("column {column}"))?;
    let old = rows.column(index);
    let (before, behind) = (old.slice(0, row), old.slice(row + 1, old.len() - row - 1));
    let mut columns = rows.columns().to_vec();
    columns[index] = concat(&[before.as_ref(), array.as_ref(), behind.as_ref()])?;
    Ok(RecordBatch::try_new(rows.schema(), columns)?)
}

fn one(kind: &DataType, cell: &Cell) -> Result<ArrayRef> {
    Ok(match (kind, cell) {
        (_, Cell::Null) => new_null_array(kind, 1),
        (DataType::Int32, Cell::Whole(value)) => Arc::new(Int32Array::from(vec![i32::try_from(*value)?])),
        (DataType::Int64, Cell::Whole(value)) => Arc::new(Int64Array::from(vec![i64::try_from(*value)?])),
        (DataType::Date32, Cell::Whole(value)) => Arc::new(Date32Array::from(vec![i32::try_from(*value)?])),
        (DataType::Timestamp(TimeUnit::Microsecond, zone), Cell::Whole(value)) => {
            let array = TimestampMicrosecondArray::from(vec![i64::try_from(*value)?]);
            Arc::new(array.with_timezone_opt(zone.clone()))
        }
        (DataType::Decimal128(precision, scale), Cell::Whole(value)) => {
            Arc::new(Decimal128Array::from(vec![*value]).with_precision_and_scale(*precision, *scale)?)
        }
        (DataType::Float32, Cell::Real(value)) => Arc::new(Float32Array::from(vec![*value as f32])),
        (DataType::Float64, Cell::Real(value)) => Arc::new(Float64Array::from(vec![*value])),
        (DataType::Utf8, Cell::Text(text)) => Arc::new(StringArray::from(vec![text.as_str()])),
        (DataType::Binary, Cell::Bytes(bytes)) => Arc::new(BinaryArray::from(vec![bytes.as_slice()])),
        (DataType::Boolean, Cell::Flag(flag)) => Arc::new(BooleanArray::from(vec![*flag])),
        (DataType::List(item), Cell::Texts(texts)) => {
            let values: ArrayRef = Arc::new(StringArray::from(texts.iter().map(String::as_str).collect::<Vec<_>>()));
            let offsets = OffsetBuffer::from_lengths([texts.len()]);
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, None)?)
        }
        _ => bail!("{cell:?} is no value of {kind}"),
    })
}

/// These rows, in this order; a row may come more than once.
///
/// # Errors
/// When there is no such row.
pub fn select(rows: &RecordBatch, order: &[usize]) -> Result<RecordBatch> {
    let order = UInt64Array::from(order.iter().map(|row| *row as u64).collect::<Vec<_>>());
    Ok(take_record_batch(rows, &order)?)
}

/// All rows but `from..to`.
///
/// # Errors
/// As [`select`].
pub fn without(rows: &RecordBatch, from: usize, to: usize) -> Result<RecordBatch> {
    let order: Vec<usize> = (0..rows.num_rows()).filter(|row| !(from..to).contains(row)).collect();
    select(rows, &order)
}

/// All rows, with `row` twice.
///
/// # Errors
/// As [`select`].
pub fn doubled(rows: &RecordBatch, row: usize) -> Result<RecordBatch> {
    let mut order: Vec<usize> = (0..rows.num_rows()).collect();
    order.insert(row, row);
    select(rows, &order)
}

/// `rows` and then `more`.
///
/// # Errors
/// When the columns are not the same.
pub fn joined(rows: &RecordBatch, more: &RecordBatch) -> Result<RecordBatch> {
    Ok(concat_batches(&rows.schema(), [rows, more])?)
}

/// An instant as `2026-11-25T02:55:00Z`.
#[must_use]
pub fn instant(us: i64) -> String {
    arrow::temporal_conversions::timestamp_us_to_datetime(us)
        .map_or_else(|| us.to_string(), |at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None]));
        let prices = Decimal128Array::from(vec![10_i128, 20, 30]).with_precision_and_scale(18, 4).unwrap();
        let prices: ArrayRef = Arc::new(prices);
        RecordBatch::try_from_iter_with_nullable([("n", numbers, true), ("price", prices, true)]).unwrap()
    }

    #[test]
    fn one_cell_is_altered_and_no_other() {
        let altered = set(&rows(), "price", 1, &Cell::Whole(21)).unwrap();
        let prices: Vec<Cell> = (0..3).map(|row| get(&altered, "price", row)).collect();
        assert_eq!(prices, [Cell::Whole(10), Cell::Whole(21), Cell::Whole(30)]);
        assert_eq!(altered.column(0), rows().column(0));
        let null = set(&rows(), "n", 0, &Cell::Null).unwrap();
        assert_eq!((get(&null, "n", 0), get(&null, "n", 1)), (Cell::Null, Cell::Whole(2)));
        assert!(set(&rows(), "n", 0, &Cell::Text("x".to_owned())).is_err());
    }

    #[test]
    fn rows_are_dropped_and_doubled_where_asked() {
        let whole = |rows: &RecordBatch| (0..rows.num_rows()).map(|row| whole(rows, "price", row)).collect::<Vec<_>>();
        assert_eq!(whole(&without(&rows(), 0, 2).unwrap()), [Some(30)]);
        assert_eq!(whole(&doubled(&rows(), 1).unwrap()), [Some(10), Some(20), Some(20), Some(30)]);
    }

    #[test]
    fn an_instant_is_written_to_the_second() {
        assert_eq!(instant(1_795_575_300_000_000), "2026-11-25T02:55:00Z");
    }
}
