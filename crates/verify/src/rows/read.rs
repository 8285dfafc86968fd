//! Reading a file's batches: bounded in rows and bytes, in the table's columns, never panicking.

use super::fit::{Fitted, Source, convert};
use super::hostile::{Pages, check_chunk, check_open_pages, damaged, guarded};
use super::open::Opened;
use super::{BATCH_ROWS, FileProblem};
use crate::finding::Code;
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a batch takes in memory, by the mean length of its file's rows.
const BATCH_BYTES: u64 = 64 << 20;
/// What a batch may take where one value is repeated in every row.
const BATCH_BYTES_MAX: u64 = 256 << 20;

/// The batches of a file.
pub(super) struct Batches {
    reader: Option<ParquetRecordBatchReader>,
    problem: Option<FileProblem>,
    columns: Vec<Fitted>,
    schema: SchemaRef,
    seen: u64,
    rows: u64,
}

impl Batches {
    /// Begins to read; a problem found by then is the first item.
    pub(super) fn begin(opened: Opened, names: &[&str]) -> Self {
        let wanted = |fitted: &Fitted| {
            matches!(fitted.source, Source::Partition(_))
                || names.is_empty()
                || names.contains(&fitted.field.name().as_str())
        };
        let columns: Vec<Fitted> = opened.columns.iter().filter(|fitted| wanted(fitted)).cloned().collect();
        let fields: Vec<Field> = columns.iter().map(|fitted| fitted.field.as_ref().clone()).collect();
        let rows = opened.rows;
        let begun = if rows == 0 { Ok(None) } else { reader(opened, &columns).map(Some) };
        let (reader, problem) = match begun {
            Ok(reader) => (reader, None),
            Err(problem) => (None, Some(problem)),
        };
        Self { reader, problem, columns, schema: Arc::new(Schema::new(fields)), seen: 0, rows }
    }

    fn ended(&mut self) -> Option<Result<RecordBatch, FileProblem>> {
        self.reader = None;
        let (seen, rows) = (self.seen, self.rows);
        let what = format!("its footer says {rows} rows, its pages hold {seen}");
        (seen != rows).then_some(Err(FileProblem::Wrong { code: Code::FileUnreadable, what }))
    }

    /// A batch as it was read, in the table's columns.
    fn in_the_tables_columns(&self, read: &RecordBatch) -> Result<RecordBatch, FileProblem> {
        let rows = read.num_rows();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for Fitted { field, source } in &self.columns {
            let array = match source {
                Source::Missing => new_null_array(field.data_type(), rows),
                Source::Partition(one) => {
                    let zeros = UInt32Array::from_value(0, rows);
                    take(one, &zeros, None).map_err(|error| damaged(format!("its partition value: {error}")))?
                }
                Source::File(_) => {
                    let array = read.column_by_name(field.name());
                    convert(array.ok_or_else(|| damaged(format!("column '{}' was not read", field.name())))?, field)?
                }
            };
            if !field.is_nullable() && array.null_count() > 0 {
                let row = (0..rows).find(|row| array.is_null(*row)).unwrap_or(0) as u64;
                let what = format!(
                    "column '{}', which may not be null, is null in row {} of the file",
                    field.name(),
                    self.seen + row
                );
                return Err(FileProblem::Wrong { code: Code::FileSchema, what });
            }
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| damaged(format!("its columns do not make rows: {error}")))
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, FileProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(problem) = self.problem.take() {
            return Some(Err(problem));
        }
        let reader = self.reader.as_mut()?;
        let read = match guarded(|| reader.next()) {
            Ok(None) => return self.ended(),
            Ok(Some(Ok(batch))) => Ok(batch),
            Ok(Some(Err(error))) => Err(damaged(format!("after {} rows: {error}", self.seen))),
            Err(problem) => Err(problem),
        };
        let batch = read.and_then(|batch| guarded(|| self.in_the_tables_columns(&batch))?);
        match &batch {
            Ok(batch) => self.seen += batch.num_rows() as u64,
            Err(_) => self.reader = None,
        }
        Some(batch)
    }
}

fn reader(opened: Opened, columns: &[Fitted]) -> Result<ParquetRecordBatchReader, FileProblem> {
    let roots: BTreeSet<usize> = columns
        .iter()
        .filter_map(|fitted| match fitted.source {
            Source::File(root) => Some(root),
            Source::Missing | Source::Partition(_) => None,
        })
        .collect();
    let batch_rows = batch_rows(&opened, &roots)?;
    let Opened { file, metadata, .. } = opened;
    let built = guarded(|| {
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
        ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_projection(mask)
            .with_batch_size(batch_rows)
            .build()
    })?;
    built.map_err(|error| damaged(format!("its columns cannot be read: {error}")))
}

/// Checks the pages of the columns that are read, and says how many rows of them fit in a batch.
fn batch_rows(opened: &Opened, roots: &BTreeSet<usize>) -> Result<usize, FileProblem> {
    let schema = opened.metadata.parquet_schema();
    let leaves: Vec<usize> =
        (0..schema.num_columns()).filter(|leaf| roots.contains(&schema.get_column_root_idx(*leaf))).collect();
    let (mut bytes, mut repeats) = (0_u64, 0_u64);
    for group in opened.metadata.metadata().row_groups() {
        let rows = group.num_rows().unsigned_abs();
        let mut open: Vec<Pages> = Vec::with_capacity(leaves.len());
        for leaf in &leaves {
            let chunk = group.columns().get(*leaf).ok_or_else(|| damaged("a row group lacks a column"))?;
            open.push(check_chunk(&opened.file, &opened.path, opened.bytes, chunk, rows)?);
        }
        check_open_pages(&open)?;
        bytes = open.iter().map(|pages| pages.total).fold(bytes, u64::saturating_add);
        repeats = repeats.max(open.iter().map(|pages| pages.repeats).fold(0, u64::saturating_add));
    }
    let mean = bytes / opened.rows.max(1);
    let fit = (BATCH_BYTES / mean.max(1)).min(BATCH_BYTES_MAX / repeats.max(1));
    Ok(usize::try_from(fit).unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS))
}
