//! The Arrow schemas of the tables. The partition column is part of the schema and comes last; writers leave it
//! out of the Parquet files, as Delta wants.

use super::StreamDef;
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use std::sync::Arc;

/// Partition column of bronze and silver.
pub const BRONZE_PARTITION: &str = "_event_date";
/// Partition column of dead letters.
pub const DLQ_PARTITION: &str = "_dlq_date";
/// Partition column of the gaps of a stream.
pub const GAPS_PARTITION: &str = "_declared_date";
/// Partition column of gold.
pub const GOLD_PARTITION: &str = "_window_date";

/// Timestamps everywhere: microseconds, UTC, with the zone.
#[must_use]
pub fn utc_timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

fn string_list() -> DataType {
    DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)))
}

fn headers_type() -> DataType {
    let header = DataType::Struct(Fields::from(vec![
        Field::new("key", DataType::Utf8, true),
        Field::new("value", DataType::Binary, true),
    ]));
    DataType::List(Arc::new(Field::new("element", header, true)))
}

fn position_fields() -> Vec<Field> {
    vec![
        Field::new("_kafka_topic", DataType::Utf8, false),
        Field::new("_kafka_partition", DataType::Int32, false),
        Field::new("_kafka_offset", DataType::Int64, false),
        Field::new("_log_incarnation", DataType::Utf8, false),
    ]
}

/// `bronze.<stream>`: every record as it came.
#[must_use]
pub fn bronze_schema() -> Schema {
    let mut fields = position_fields();
    fields.extend([
        Field::new("_leader_epoch", DataType::Int32, true),
        Field::new("_kafka_timestamp", utc_timestamp(), false),
        Field::new("_key", DataType::Binary, true),
        Field::new("_headers", headers_type(), true),
        Field::new("_raw_value", DataType::Binary, true),
        Field::new("_ingested_at", utc_timestamp(), false),
        Field::new(BRONZE_PARTITION, DataType::Date32, false),
    ]);
    Schema::new(fields)
}

/// `bronze.<stream>_dlq`: dead letters, with their bytes and the reasons.
#[must_use]
pub fn dlq_schema() -> Schema {
    let mut fields = position_fields();
    fields.extend([
        Field::new("_kafka_timestamp", utc_timestamp(), false),
        Field::new("_key", DataType::Binary, true),
        Field::new("_raw_value", DataType::Binary, true),
        Field::new("_quality_flags", string_list(), false),
        Field::new("_schema_version", DataType::Int32, false),
        Field::new("_ingested_at", utc_timestamp(), false),
        Field::new(DLQ_PARTITION, DataType::Date32, false),
    ]);
    Schema::new(fields)
}

/// The column of silver that names a row's topic. Streams that read several have it, and those that once did; rows from
/// before, and those of all other streams, need none.
pub const SILVER_TOPIC: &str = "_kafka_topic";

/// The columns that silver adds after the declared ones, in order, the partition column last.
#[must_use]
pub fn silver_extra_fields() -> Vec<Field> {
    vec![
        Field::new("_event_time", utc_timestamp(), false),
        Field::new("_is_late_arriving", DataType::Boolean, false),
        Field::new("_arrival_delay_seconds", DataType::Float64, false),
        Field::new("_quality_flags", string_list(), false),
        Field::new("_kafka_partition", DataType::Int32, false),
        Field::new("_kafka_offset", DataType::Int64, false),
        Field::new("_schema_version", DataType::Int32, false),
        Field::new("_extra", DataType::Utf8, true),
        Field::new(BRONZE_PARTITION, DataType::Date32, false),
    ]
}

/// `silver.<stream>`: the declared columns, `event_id` (first, unless it is declared), and ours.
///
/// Declared columns are nullable in the table even when required: a later definition may drop the requirement
/// without a change of schema.
#[must_use]
pub fn silver_schema(def: &StreamDef) -> Schema {
    let mut fields = Vec::new();
    if def.column_index("event_id").is_none() {
        fields.push(Field::new("event_id", DataType::Utf8, true));
    }
    fields.extend(def.columns.iter().map(|column| Field::new(&column.name, column.kind.arrow(), true)));
    fields.extend(silver_extra_fields());
    if def.topics.is_some() {
        fields.insert(fields.len() - 1, Field::new(SILVER_TOPIC, DataType::Utf8, true));
    }
    Schema::new(fields)
}

/// `silver.<stream>_gaps`: the stretches of offsets that were declared lost, one row each.
#[must_use]
pub fn gaps_schema() -> Schema {
    Schema::new(vec![
        Field::new("_kafka_topic", DataType::Utf8, false),
        Field::new("_kafka_partition", DataType::Int32, false),
        Field::new("_log_incarnation", DataType::Utf8, false),
        Field::new("from_offset", DataType::Int64, false),
        Field::new("to_offset", DataType::Int64, false),
        Field::new("cause", DataType::Utf8, false),
        Field::new("declared_at", utc_timestamp(), false),
        Field::new(GAPS_PARTITION, DataType::Date32, false),
    ])
}

/// The columns that gold adds after the model's own, in order, the partition column last.
#[must_use]
pub fn gold_extra_fields() -> Vec<Field> {
    vec![
        Field::new("_computed_by", DataType::Utf8, false),
        Field::new("_model_version", DataType::Int32, false),
        Field::new(GOLD_PARTITION, DataType::Date32, false),
    ]
}
