//! Rows as bronze and silver stage them: the tables' schemas are core's, the values what the pipeline puts there.

use anyhow::{Context as _, Result};
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, ListBuilder, RecordBatch,
    StringArray, StringBuilder, TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, SchemaRef};
use std::sync::Arc;
use watertight_core::record::Records;
use watertight_core::schema::bronze_schema;
use watertight_decode::Decoded;

/// The day that all rows are of: 2026-01-05, days since the epoch.
pub(super) const DAY: i32 = 20_458;
const INGESTED_US: i64 = 1_767_571_200_000_000;
const INCARNATION: &str = "b846be61-c2b9-4e4b-9891-8132c1448edb";

/// The records as rows of bronze.
pub(super) fn bronze_rows(records: &Records) -> Result<RecordBatch> {
    let rows = records.len();
    let schema = Arc::new(bronze_schema());
    let (mut key, mut value) = (BinaryBuilder::new(), BinaryBuilder::new());
    for row in 0..rows {
        key.append_option(records.key(row));
        value.append_option(records.value(row));
    }
    let (key, value): (ArrayRef, ArrayRef) = (Arc::new(key.finish()), Arc::new(value.finish()));
    let metas = records.metas();
    let column = |field: &Arc<Field>| -> Result<ArrayRef> {
        Ok(match field.name().as_str() {
            "_kafka_topic" => repeated("bench", rows),
            "_kafka_partition" => Arc::new(Int32Array::from_value(3, rows)),
            "_kafka_offset" => Arc::new(Int64Array::from_iter_values(metas.iter().map(|meta| meta.offset))),
            "_log_incarnation" => repeated(INCARNATION, rows),
            "_kafka_timestamp" => times(metas.iter().map(|meta| meta.timestamp_ms * 1_000).collect()),
            "_key" => Arc::clone(&key),
            "_raw_value" => Arc::clone(&value),
            "_ingested_at" => times(vec![INGESTED_US; rows]),
            "_event_date" => Arc::new(Date32Array::from_value(DAY, rows)),
            name => absent(field, rows).with_context(|| format!("bronze has a column {name} that the kernel lacks"))?,
        })
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// What was decoded of the records as rows of silver.
pub(super) fn silver_rows(schema: &SchemaRef, records: &Records, decoded: &Decoded) -> Result<RecordBatch> {
    let rows = decoded.rows.len();
    let mut flags = ListBuilder::new(StringBuilder::new()).with_field(Field::new("element", DataType::Utf8, true));
    (0..rows).for_each(|_| flags.append(true));
    let flags: ArrayRef = Arc::new(flags.finish());
    let metas = || decoded.rows.iter().map(|row| records.metas()[*row as usize]);
    let event_times: Vec<i64> = decoded.rows.iter().map(|row| decoded.event_time_us[*row as usize]).collect();
    let delays = metas().zip(&event_times).map(|(meta, time_us)| (meta.timestamp_ms * 1_000 - time_us) as f64 / 1e6);
    let delays: ArrayRef = Arc::new(Float64Array::from_iter_values(delays));
    let column = |field: &Arc<Field>| -> Result<ArrayRef> {
        Ok(match field.name().as_str() {
            "_event_time" => times(event_times.clone()),
            "_is_late_arriving" => Arc::new(BooleanArray::from_iter((0..rows).map(|row| Some(row % 1_000 == 7)))),
            "_arrival_delay_seconds" => Arc::clone(&delays),
            "_quality_flags" => Arc::clone(&flags),
            "_kafka_partition" => Arc::new(Int32Array::from_value(3, rows)),
            "_kafka_offset" => Arc::new(Int64Array::from_iter_values(metas().map(|meta| meta.offset))),
            "_schema_version" => Arc::new(Int32Array::from_value(1, rows)),
            "_event_date" => Arc::new(Date32Array::from_value(DAY, rows)),
            name => match decoded.columns.column_by_name(name) {
                Some(declared) => Arc::clone(declared),
                None => {
                    absent(field, rows).with_context(|| format!("silver has a column {name} that the kernel lacks"))?
                }
            },
        })
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// A column that is null in the benchmark; `None` where it may not be.
fn absent(field: &Field, rows: usize) -> Option<ArrayRef> {
    field.is_nullable().then(|| new_null_array(field.data_type(), rows))
}

fn repeated(text: &str, rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
}

fn times(us: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(us).with_timezone("UTC"))
}
