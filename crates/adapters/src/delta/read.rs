//! Reading data files back in the table's columns.
//!
//! Contract: rows come in file order; columns the file lacks are null, the partition column is its day. A file that is
//! missing, of another size, or does not decode is `Corrupt` and named; a path that leaves the table's folder is
//! refused before anything is opened.

use super::data_file::{cast, parquet_error};
use arrow::array::{ArrayRef, Date32Array, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use watertight_core::port::{DataFile, ErrorKind, PortError};

/// Rows per batch.
const BATCH_ROWS: usize = 16_384;

/// Where a data file named in the log lies.
///
/// # Errors
/// `Corrupt` where the path is absolute, has a scheme, or climbs out of the table.
pub(super) fn locate(table_root: &Path, path: &str) -> Result<PathBuf, PortError> {
    let refuse = || {
        PortError::new(
            ErrorKind::Corrupt,
            format!("the log names the file '{}', which is not below its table", path.escape_default()),
        )
    };
    let decoded = percent_decoded(path).ok_or_else(refuse)?;
    let inside = decoded.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && !part.contains('\0'));
    if !inside || decoded.contains("://") {
        return Err(refuse());
    }
    Ok(table_root.join(decoded))
}

fn percent_decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// The number of rows a data file's footer tells.
pub(super) fn rows_in_footer(path: &Path) -> Result<u64, PortError> {
    let metadata = ArrowReaderMetadata::load(&open(path)?, options()).map_err(|error| corrupt(path, error))?;
    Ok(u64::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or(0))
}

fn options() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

fn open(path: &Path) -> Result<File, PortError> {
    File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => PortError::caused(
            ErrorKind::Corrupt,
            format!("data file {} is missing: restore it from a copy", path.display()),
            error,
        ),
        _ => PortError::io(format!("opening data file {}", path.display()), error),
    })
}

fn corrupt(path: &Path, error: parquet::errors::ParquetError) -> PortError {
    parquet_error(format!("data file {} is damaged, restore it from a copy", path.display()), error, ErrorKind::Corrupt)
}

/// A data file's batches.
pub(super) struct Batches {
    reader: ParquetRecordBatchReader,
    wanted: SchemaRef,
    partition: String,
    partition_days: i32,
    path: PathBuf,
}

impl Batches {
    /// Opens `file`; `wanted` are columns of the table.
    pub(super) fn open(
        table_root: &Path,
        file: &DataFile,
        wanted: SchemaRef,
        partition: &str,
    ) -> Result<Self, PortError> {
        let path = locate(table_root, &file.path)?;
        let opened = open(&path)?;
        let size = opened.metadata().map_err(|error| PortError::io("reading a data file's size", error))?.len();
        let differs = |what: &str, found: u64, told: u64| {
            let name = path.display();
            let message =
                format!("data file {name} has {found} {what} but was written with {told}: restore it from a copy");
            PortError::new(ErrorKind::Corrupt, message)
        };
        if size != file.size {
            return Err(differs("bytes", size, file.size));
        }
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(opened, options())
            .map_err(|error| corrupt(&path, error))?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        if file.rows != 0 && rows != file.rows {
            return Err(differs("rows", rows, file.rows));
        }
        let roots: Vec<usize> = (0..builder.schema().fields().len())
            .filter(|root| wanted.field_with_name(builder.schema().field(*root).name()).is_ok())
            .collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
        let reader = reader.map_err(|error| corrupt(&path, error))?;
        Ok(Self { reader, wanted, partition: partition.to_owned(), partition_days: file.partition_days, path })
    }

    fn shape(&self, batch: &RecordBatch) -> Result<RecordBatch, PortError> {
        let rows = batch.num_rows();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.wanted.fields().len());
        for field in self.wanted.fields() {
            arrays.push(if field.name() == &self.partition {
                Arc::new(Date32Array::from_value(self.partition_days, rows))
            } else {
                match batch.column_by_name(field.name()) {
                    Some(array) if array.data_type() == field.data_type() => Arc::clone(array),
                    Some(array) => cast(array, field.data_type()).map_err(|error| corrupt(&self.path, error.into()))?,
                    None => new_null_array(field.data_type(), rows),
                }
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.wanted), arrays, &options)
            .map_err(|error| corrupt(&self.path, error.into()))
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, PortError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(match batch {
            Ok(batch) => self.shape(&batch),
            Err(error) => Err(corrupt(&self.path, error.into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leaves_its_table_is_refused() {
        let root = Path::new("/lake/t");
        assert_eq!(locate(root, "d=2026-01-01/a%20b.parquet").unwrap(), root.join("d=2026-01-01/a b.parquet"));
        for bad in
            ["../x", "a/../../x", "/etc/passwd", "%2e%2e/x", "a%2f..%2f..%2fx", "s3://b/x", "", "a//b", "%zz", "x%0"]
        {
            assert_eq!(locate(root, bad).unwrap_err().kind, ErrorKind::Corrupt, "{bad}");
        }
    }
}
