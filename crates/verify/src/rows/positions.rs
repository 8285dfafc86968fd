//! The columns of a batch that say where its rows come from.

use arrow::array::{Array, AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};

/// Partition, offset and (bronze, dead letters) incarnation of a batch's rows.
pub(crate) struct Positions<'a> {
    partitions: &'a Int32Array,
    offsets: &'a Int64Array,
    incarnations: Option<&'a StringArray>,
}

impl<'a> Positions<'a> {
    /// Takes the columns; `None` where there are none, or they may be null.
    pub(crate) fn of(batch: &'a RecordBatch) -> Option<Self> {
        let partitions = batch.column_by_name("_kafka_partition")?.as_primitive_opt::<Int32Type>()?;
        let offsets = batch.column_by_name("_kafka_offset")?.as_primitive_opt::<Int64Type>()?;
        let incarnations = match batch.column_by_name("_log_incarnation") {
            Some(column) => Some(column.as_string_opt::<i32>()?),
            None => None,
        };
        let nulls = partitions.null_count() + offsets.null_count() + incarnations.map_or(0, Array::null_count);
        (nulls == 0).then_some(Self { partitions, offsets, incarnations })
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Partition and offset of a row of the batch.
    pub(crate) fn at(&self, row: usize) -> (i32, i64) {
        (self.partitions.value(row), self.offsets.value(row))
    }

    /// Incarnation of a row of the batch, or "" where the table does not have it.
    pub(crate) fn incarnation(&self, row: usize) -> &'a str {
        self.incarnations.map_or("", |incarnations| incarnations.value(row))
    }
}
