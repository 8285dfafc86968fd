//! Folded records → the rows of silver and of dead letters, split by partition day.

use super::fold::{DeadLetter, Folded, Piece};
use crate::feed::{Chunk, DayRows, by_day, utc_day};
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, ListBuilder, RecordBatch,
    StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;
use std::collections::BTreeMap;
use std::sync::Arc;
use watertight_core::schema::SILVER_TOPIC;

/// Reason code on silver rows whose time is beyond the tolerated future.
pub(super) const FUTURE_FLAG: &str = "future_event_time";

/// The silver rows, oldest day first. `topic` is what they name as theirs, in a stream of several.
///
/// # Errors
/// Only where the schema does not fit the definition: a defect.
pub(super) fn silver_rows(
    schema: &SchemaRef,
    folded: &Folded,
    definition: i32,
    topic: Option<&str>,
) -> Result<Vec<DayRows>, ArrowError> {
    let mut days: BTreeMap<i32, Vec<RecordBatch>> = BTreeMap::new();
    for piece in &folded.pieces {
        days.entry(piece.day).or_default().push(piece_rows(schema, piece, definition, topic)?);
    }
    days.into_iter().map(|(day, pieces)| Ok((day, concat_batches(schema, &pieces)?))).collect()
}

fn list_of_strings() -> ListBuilder<StringBuilder> {
    ListBuilder::new(StringBuilder::new()).with_field(Field::new("element", DataType::Utf8, true))
}

/// Columns are found by name, so that a table that has more columns than the definition still fits.
fn piece_rows(
    schema: &SchemaRef,
    piece: &Piece,
    definition: i32,
    topic: Option<&str>,
) -> Result<RecordBatch, ArrowError> {
    let rows = piece.meta.len();
    let meta = &piece.meta;
    let mut flags = list_of_strings();
    for one in meta {
        if one.future {
            flags.values().append_value(FUTURE_FLAG);
        }
        flags.append(true);
    }
    let flags = flags.finish();
    let column = |field: &Arc<Field>| -> Option<ArrayRef> {
        let seconds = |m: &super::fold::RowMeta| (m.log_time_us - m.event_time_us) as f64 / 1e6;
        Some(match field.name().as_str() {
            "_event_time" => Arc::new(
                TimestampMicrosecondArray::from_iter_values(meta.iter().map(|m| m.event_time_us)).with_timezone("UTC"),
            ),
            "_is_late_arriving" => Arc::new(BooleanArray::from_iter(meta.iter().map(|m| Some(m.late)))),
            "_arrival_delay_seconds" => Arc::new(Float64Array::from_iter_values(meta.iter().map(seconds))),
            "_quality_flags" => Arc::new(flags.clone()),
            "_kafka_partition" => Arc::new(Int32Array::from_iter_values(meta.iter().map(|m| m.partition))),
            "_kafka_offset" => Arc::new(Int64Array::from_iter_values(meta.iter().map(|m| m.offset))),
            "_schema_version" => Arc::new(Int32Array::from_value(definition, rows)),
            SILVER_TOPIC => match topic {
                Some(topic) => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(topic, rows))) as ArrayRef,
                None => arrow::array::new_null_array(field.data_type(), rows),
            },
            "_event_date" => Arc::new(Date32Array::from_iter_values(meta.iter().map(|m| utc_day(m.event_time_us)))),
            name => match piece.columns.column_by_name(name) {
                Some(declared) => Arc::clone(declared),
                None if name == "event_id" => Arc::new(piece.event_ids.clone()),
                None => arrow::array::new_null_array(field.data_type(), rows),
            },
        })
    };
    let columns = schema.fields().iter().filter_map(column).collect();
    RecordBatch::try_new(schema.clone(), columns)
}

/// The dead letters, oldest day first.
///
/// # Errors
/// Only where the schema is not that of dead letters: a defect.
pub(super) fn dead_letter_rows(
    schema: &SchemaRef,
    topic: &str,
    chunks: &[Chunk],
    letters: &[DeadLetter],
    definition: i32,
) -> Result<Vec<DayRows>, ArrowError> {
    if letters.is_empty() {
        return Ok(Vec::new());
    }
    let (mut key, mut value, mut flags) = (BinaryBuilder::new(), BinaryBuilder::new(), list_of_strings());
    for letter in letters {
        let records = &chunks[letter.chunk].records;
        key.append_option(records.key(letter.row));
        value.append_option(records.value(letter.row));
        letter.reasons.iter().for_each(|reason| flags.values().append_value(reason));
        flags.append(true);
    }
    let of = |l: &DeadLetter| &chunks[l.chunk];
    let meta = |l: &DeadLetter| chunks[l.chunk].records.metas()[l.row];
    let micros = |values: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(letters.iter().map(|_| topic))),
        Arc::new(Int32Array::from_iter_values(letters.iter().map(|l| of(l).partition))),
        Arc::new(Int64Array::from_iter_values(letters.iter().map(|l| meta(l).offset))),
        Arc::new(StringArray::from_iter_values(letters.iter().map(|l| of(l).incarnation.as_ref()))),
        micros(letters.iter().map(|l| meta(l).timestamp_ms.saturating_mul(1000)).collect()),
        Arc::new(key.finish()),
        Arc::new(value.finish()),
        Arc::new(flags.finish()),
        Arc::new(Int32Array::from_value(definition, letters.len())),
        micros(letters.iter().map(|l| of(l).ingested_at_us).collect()),
        Arc::new(Date32Array::from_iter_values(letters.iter().map(|l| utc_day(of(l).ingested_at_us)))),
    ];
    let all = RecordBatch::try_new(schema.clone(), columns)?;
    by_day(&all, letters.iter().map(|l| utc_day(of(l).ingested_at_us)))
}
