//! Chunks → bronze rows. Pure.

use crate::feed::{Chunk, utc_day};
use arrow::array::{
    ArrayRef, BinaryBuilder, Date32Array, Int32Builder, Int64Builder, ListBuilder, RecordBatch, StringArray,
    StringBuilder, StructBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use std::sync::Arc;
use watertight_core::record::decode_headers;

/// Builds the bronze rows of `chunks`, in their order. All chunks share one `ingested_at_us`.
///
/// # Errors
/// Only where the schema is not bronze's: a defect.
pub fn bronze_batch(
    schema: &SchemaRef,
    topic: &str,
    chunks: &[Chunk],
    ingested_at_us: i64,
) -> Result<RecordBatch, ArrowError> {
    let rows: usize = chunks.iter().map(|chunk| chunk.records.len()).sum();
    let bytes: usize = chunks.iter().map(|chunk| chunk.records.byte_len()).sum();
    let mut partition = Int32Builder::with_capacity(rows);
    let mut offset = Int64Builder::with_capacity(rows);
    let mut incarnation = StringBuilder::with_capacity(rows, rows * 36);
    let mut leader_epoch = Int32Builder::with_capacity(rows);
    let mut timestamp = TimestampMicrosecondBuilder::with_capacity(rows);
    let mut key = BinaryBuilder::with_capacity(rows, bytes / 16);
    let mut value = BinaryBuilder::with_capacity(rows, bytes);
    let mut headers = header_builder();
    for chunk in chunks {
        for (row, meta) in chunk.records.metas().iter().enumerate() {
            partition.append_value(chunk.partition);
            offset.append_value(meta.offset);
            incarnation.append_value(&chunk.incarnation);
            leader_epoch.append_option((meta.leader_epoch >= 0).then_some(meta.leader_epoch));
            timestamp.append_value(meta.timestamp_ms.saturating_mul(1000));
            key.append_option(chunk.records.key(row));
            value.append_option(chunk.records.value(row));
            append_headers(&mut headers, chunk.records.headers(row));
        }
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(topic, rows))),
        Arc::new(partition.finish()),
        Arc::new(offset.finish()),
        Arc::new(incarnation.finish()),
        Arc::new(leader_epoch.finish()),
        Arc::new(timestamp.finish().with_timezone("UTC")),
        Arc::new(key.finish()),
        Arc::new(headers.finish()),
        Arc::new(value.finish()),
        Arc::new(TimestampMicrosecondArray::from_value(ingested_at_us, rows).with_timezone("UTC")),
        Arc::new(Date32Array::from_value(utc_day(ingested_at_us), rows)),
    ];
    RecordBatch::try_new(schema.clone(), columns)
}

fn header_builder() -> ListBuilder<StructBuilder> {
    use arrow::datatypes::{DataType, Field, Fields};
    let fields =
        Fields::from(vec![Field::new("key", DataType::Utf8, true), Field::new("value", DataType::Binary, true)]);
    let item = Field::new("element", DataType::Struct(fields.clone()), true);
    ListBuilder::new(StructBuilder::from_fields(fields, 0)).with_field(item)
}

fn append_headers(list: &mut ListBuilder<StructBuilder>, encoded: &[u8]) {
    let headers = if encoded.is_empty() { None } else { decode_headers(encoded) };
    let Some(headers) = headers else {
        list.append_null();
        return;
    };
    for (name, value) in headers {
        let item = list.values();
        if let Some(names) = item.field_builder::<StringBuilder>(0) {
            names.append_value(String::from_utf8_lossy(name));
        }
        if let Some(values) = item.field_builder::<BinaryBuilder>(1) {
            values.append_option(value);
        }
        item.append(true);
    }
    list.append(true);
}
