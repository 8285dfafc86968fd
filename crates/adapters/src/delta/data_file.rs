//! Data files: rows of one partition day as Parquet, written durably and read back.
//!
//! Format: one row group per million rows, zstd 1, no partition column, no Arrow schema. Integers, times and short
//! decimals DELTA_BINARY_PACKED, text and bytes DELTA_LENGTH_BYTE_ARRAY, a dictionary where a sample of a text column
//! shows few values; pages of 128 KiB or little more; statistics where a reader can use them (not for bytes and nested
//! values).
//!
//! Contract: a file that was answered is whole and durable; one that failed is removed.

use super::schema::canonical_type;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_core::port::{ErrorKind, PortError};
use watertight_core::steps::{DELTA_DATA_SYNC, DELTA_DATA_WRITE, Steps};

/// Text values looked at to choose between a dictionary and plain lengths.
const SAMPLE_MAX: usize = 256;
/// Bytes at which a page ends, looked at once for about as many. The library copies a page four times on its way into
/// the file, and allocates most of its buffers anew for each: of this size they stay in the processor's cache, and in
/// the allocator. Payloads compress about 2 % worse than in pages of a megabyte, the library's default.
const PAGE_BYTES: usize = 128 << 10;

/// Brings rows into the table's columns without the partition column: order, types, nulls for columns the table
/// kept but the rows no longer have.
///
/// # Errors
/// `Bug` where the rows don't fit: a column the table lacks, a type that differs, a null where none may be, another day.
pub(crate) fn conform(
    rows: &RecordBatch,
    columns: &Schema,
    partition: &str,
    partition_days: i32,
) -> Result<RecordBatch, PortError> {
    let bug = |what: String| PortError::new(ErrorKind::Bug, format!("rows to be staged {what}"));
    let days = rows.column_by_name(partition).and_then(|days| days.as_primitive_opt::<Date32Type>());
    let days = days.ok_or_else(|| bug(format!("lack the partition column {partition} of type date")))?;
    if rows.num_rows() == 0 || days.null_count() > 0 || days.values().iter().any(|day| *day != partition_days) {
        return Err(bug(format!("are none, or not all of day {partition_days}")));
    }
    let schema = rows.schema();
    if let Some(unknown) = schema.fields().iter().find(|field| columns.field_with_name(field.name()).is_err()) {
        return Err(bug(format!("have a column '{}' that the table lacks", unknown.name())));
    }
    let fields: Vec<&Arc<Field>> = columns.fields().iter().filter(|field| field.name() != partition).collect();
    let mut arrays = Vec::with_capacity(fields.len());
    for field in &fields {
        arrays.push(match rows.column_by_name(field.name()) {
            Some(array) => cast_to(array, field)
                .map_err(|what| bug(format!("have a column '{}' that does not fit: {what}", field.name())))?,
            None if field.is_nullable() => new_null_array(field.data_type(), rows.num_rows()),
            None => return Err(bug(format!("lack the column '{}'", field.name()))),
        });
    }
    let schema = Arc::new(Schema::new(fields.into_iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>()));
    RecordBatch::try_new(schema, arrays).map_err(|error| bug(format!("don't fit the table: {error}")))
}

fn cast_to(array: &ArrayRef, field: &Field) -> Result<ArrayRef, String> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    let canonical = canonical_type(field.name(), array.data_type()).map_err(|error| error.message)?;
    if canonical != *field.data_type() {
        return Err(format!("it is {}, the table's is {}", array.data_type(), field.data_type()));
    }
    cast(array, field.data_type()).map_err(|error| error.to_string())
}

/// Casts, failing where a value does not survive.
pub(super) fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, arrow::error::ArrowError> {
    cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })
}

/// A file that was written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub size: u64,
    /// How long its fsync took.
    pub sync: Duration,
}

/// Writes `rows` to a new file and fsyncs it. The directory is not fsynced.
///
/// # Errors
/// As the operating system says; nothing is left.
pub(super) fn write(path: &Path, rows: &RecordBatch, steps: &Steps) -> Result<Written, PortError> {
    let what = || format!("writing data file {}", path.display());
    let mut created = false;
    let written = write_to(path, rows, steps, &mut created);
    if written.is_err() && created {
        std::fs::remove_file(path).ok();
    }
    written.map_err(|error| parquet_error(what(), error, ErrorKind::Bug))
}

fn write_to(path: &Path, rows: &RecordBatch, steps: &Steps, created: &mut bool) -> Result<Written, ParquetError> {
    let options = ArrowWriterOptions::new().with_properties(properties(rows)?).with_skip_arrow_metadata(true);
    let mut written = None;
    steps.take(DELTA_DATA_WRITE, || {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        *created = true;
        let mut writer = ArrowWriter::try_new_with_options(file, rows.schema(), options)?;
        writer.write(rows)?;
        writer.finish()?;
        written = Some(writer);
        Ok::<(), ParquetError>(())
    })?;
    let Some(writer) = &written else { return Ok(Written::default()) };
    let file = writer.inner();
    let began = Instant::now();
    steps.take(DELTA_DATA_SYNC, || file.sync_all())?;
    let sync = began.elapsed();
    Ok(Written { size: file.metadata()?.len(), sync })
}

/// An error of the Parquet library: what the operating system said, or else `kind`.
pub(super) fn parquet_error(what: String, error: ParquetError, kind: ErrorKind) -> PortError {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) if error.kind() != io::ErrorKind::UnexpectedEof => PortError::io(what, *error),
            Ok(error) => PortError::caused(kind, format!("{what}: {error}"), error),
            Err(source) => PortError::caused(kind, format!("{what}: {source}"), source),
        },
        error => PortError::caused(kind, format!("{what}: {error}"), error),
    }
}

fn properties(rows: &RecordBatch) -> Result<WriterProperties, ParquetError> {
    let few: HashSet<String> = rows
        .schema()
        .fields()
        .iter()
        .zip(rows.columns())
        .filter(|(_, column)| has_few_values(column))
        .map(|(field, _)| field.name().clone())
        .collect();
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("watertight version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_data_page_row_count_limit(usize::MAX)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_write_batch_size(8192);
    let parquet = ArrowSchemaConverter::new().convert(&rows.schema())?;
    for leaf in parquet.columns() {
        let path = leaf.path().clone();
        let top = path.parts().len() == 1;
        let encoding = match leaf.physical_type() {
            Type::INT32 | Type::INT64 => Encoding::DELTA_BINARY_PACKED,
            Type::BYTE_ARRAY => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            _ => Encoding::PLAIN,
        };
        let bytes = leaf.physical_type() == Type::BYTE_ARRAY && leaf.logical_type_ref().is_none();
        if top && few.contains(path.string().as_str()) {
            builder = builder.set_column_dictionary_enabled(path.clone(), true);
        }
        if !top || bytes {
            builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        builder = builder.set_column_encoding(path, encoding);
    }
    Ok(builder.build())
}

/// Whether an even sample of a text column shows each value eight times or more.
fn has_few_values(column: &ArrayRef) -> bool {
    let Some(texts) = column.as_string_opt::<i32>() else { return false };
    let step = (texts.len() / SAMPLE_MAX).max(1);
    let sample: Vec<&str> =
        (0..texts.len()).step_by(step).filter(|row| texts.is_valid(*row)).map(|row| texts.value(row)).collect();
    sample.len() >= 64 && sample.iter().collect::<HashSet<_>>().len() * 8 <= sample.len()
}

/// The columns to be read: the table's, in the order asked for; all where `names` is empty.
pub(crate) fn projection(columns: &SchemaRef, names: &[&str]) -> Result<SchemaRef, PortError> {
    if names.is_empty() {
        return Ok(Arc::clone(columns));
    }
    let field = |name: &&str| {
        columns.field_with_name(name).cloned().map_err(|_| {
            PortError::new(ErrorKind::Bug, format!("column '{name}' is asked for, but the table has none"))
        })
    };
    Ok(Arc::new(Schema::new(names.iter().map(field).collect::<Result<Vec<_>, _>>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, Int64Array, StringArray};

    fn columns() -> Schema {
        Schema::new(vec![
            Field::new("a", DataType::Int64, false),
            Field::new("gone", DataType::Utf8, true),
            Field::new("d", DataType::Date32, false),
        ])
    }

    fn rows(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn rows_are_brought_into_the_tables_columns_and_missing_nullable_ones_are_null() {
        let d: ArrayRef = Arc::new(Date32Array::from(vec![5, 5]));
        let a: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let fitted = conform(&rows(vec![("d", Arc::clone(&d)), ("a", a)]), &columns(), "d", 5).unwrap();
        assert_eq!(fitted.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), ["a", "gone"]);
        assert_eq!(fitted.column(1).null_count(), 2);
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        let d: ArrayRef = Arc::new(Date32Array::from(vec![5]));
        let a: ArrayRef = Arc::new(Int64Array::from(vec![Some(1)]));
        let null: ArrayRef = Arc::new(Int64Array::from(vec![None]));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let (d, a) = (|| Arc::clone(&d), || Arc::clone(&a));
        for (bad, day) in [
            (rows(vec![("a", a())]), 5),
            (rows(vec![("a", a()), ("d", d())]), 6),
            (rows(vec![("d", d())]), 5),
            (rows(vec![("a", Arc::clone(&text)), ("d", d())]), 5),
            (rows(vec![("a", a()), ("d", d()), ("x", text)]), 5),
            (RecordBatch::try_from_iter_with_nullable([("a", null, true), ("d", d(), false)]).unwrap(), 5),
            (rows(vec![("a", a()), ("d", d())]).slice(0, 0), 5),
        ] {
            assert_eq!(conform(&bad, &columns(), "d", day).unwrap_err().kind, ErrorKind::Bug);
        }
    }

    #[test]
    fn a_text_column_of_few_values_gets_a_dictionary_and_one_of_many_does_not() {
        let few: ArrayRef = Arc::new(StringArray::from_iter_values((0..1000).map(|i| format!("s{}", i % 7))));
        let many: ArrayRef = Arc::new(StringArray::from_iter_values((0..1000).map(|i| format!("s{i}"))));
        assert!(has_few_values(&few) && !has_few_values(&many));
    }
}
