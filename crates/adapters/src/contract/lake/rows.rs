//! Rows, specifications and requests for the suite.

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder, StructArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use std::sync::Arc;
use watertight_core::books::{Books, Checksum, Entry, PartitionTime, TimeDecision, Watermarks};
use watertight_core::port::{CommitRequest, DataFile, LakeTable, TableSpec};
use watertight_core::position::{PositionKey, PositionStep};

/// A specification: an id, a text, and the partition column.
pub(crate) fn spec() -> TableSpec {
    TableSpec {
        schema_name: "silver".to_owned(),
        table: "ticks".to_owned(),
        columns: Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("note", DataType::Utf8, true),
            Field::new("_event_date", DataType::Date32, false),
        ])),
        partition_column: "_event_date".to_owned(),
        pipeline: "11111111-2222-4333-8444-555555555555".to_owned(),
    }
}

/// `count` rows of [`spec`] from id `first`.
pub(crate) fn some_rows(first: i64, count: i64, day: i32) -> RecordBatch {
    let ids: Vec<i64> = (first..first + count).collect();
    let notes: StringArray = ids.iter().map(|id| (id % 3 != 0).then(|| format!("note {id}"))).collect();
    let days = Date32Array::from_value(day, ids.len());
    RecordBatch::try_new(spec().columns, vec![Arc::new(Int64Array::from(ids)), Arc::new(notes), Arc::new(days)])
        .unwrap()
}

/// A step of a partition.
pub(crate) fn step(partition: i32, from: Option<i64>, to: i64) -> PositionStep {
    let key =
        PositionKey { pipeline: spec().pipeline, topic: "ticks".to_owned(), incarnation: "i1".to_owned(), partition };
    PositionStep { key, from, to }
}

/// A request with full books.
pub(crate) fn request(id: &str, steps: Vec<PositionStep>, files: Vec<DataFile>) -> CommitRequest {
    let mut books = Books::append(&spec().pipeline, id.to_owned());
    books.topic = "ticks".to_owned();
    books.rows = files.iter().map(|file| file.rows).sum();
    books.ingested_at_us = 1_700_000_000_000_001;
    for step in &steps {
        let (partition, from) = (step.key.partition, step.from.unwrap_or(0));
        let checksum = Checksum(u128::MAX - 7);
        books.entries.push(Entry { partition, from, to: step.to, checksum, ..Entry::default() });
    }
    books.decisions.push(TimeDecision::Lifted { topic: String::new(), partition: 1, at: 9, watermark_us: Some(-5) });
    let time = PartitionTime { watermark_us: Some(1_700_000_000_000_003), idle: true };
    books.watermarks = Some(Watermarks { stream_us: Some(1), partitions: [(3, time)].into(), ..Watermarks::default() });
    CommitRequest { steps, files, books, timestamp_us: 1_700_000_000_123_456 }
}

/// All rows of all live files.
pub(crate) fn rows_of(table: &dyn LakeTable, columns: &[&str]) -> RecordBatch {
    let mut batches = Vec::new();
    for file in table.live_files().unwrap() {
        batches.extend(table.read(&file, columns).unwrap().map(Result::unwrap));
    }
    let schema = batches.first().map_or_else(|| table.columns(), RecordBatch::schema);
    concat_batches(&schema, &batches).unwrap()
}

/// A specification with every type that a table can hold, and rows of it with nulls and extremes.
pub(crate) fn all_types(count: i64, day: i32) -> (TableSpec, RecordBatch) {
    let at = |i: i64| i % 5 != 4; // every fifth is null
    let n = |i: i64, value: i64| at(i).then_some(value);
    let rows = 0..count;
    let texts: Vec<Option<String>> =
        rows.clone().map(|i| at(i).then(|| format!("{}é{i}", "long text ".repeat((i % 9) as usize)))).collect();
    let decimals = |precision, scale, value: i128| -> ArrayRef {
        let values = rows.clone().map(|i| at(i).then(|| (value - i128::from(i)) * if i % 2 == 0 { 1 } else { -1 }));
        Arc::new(values.collect::<Decimal128Array>().with_precision_and_scale(precision, scale).unwrap())
    };
    let times = rows.clone().map(|i| n(i, (i - 3) * 86_400_000_000 * 200 - 1));
    let bytes: Vec<Option<Vec<u8>>> = rows.clone().map(|i| at(i).then(|| vec![0, 255, i as u8])).collect();
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(rows.clone().map(|i| Some(format!("e-{i}"))).collect::<StringArray>())),
        ("flag", Arc::new(rows.clone().map(|i| at(i).then_some(i % 2 == 0)).collect::<BooleanArray>())),
        ("tiny", Arc::new(rows.clone().map(|i| n(i, i).map(|v| v as i8)).collect::<Int8Array>())),
        ("short", Arc::new(rows.clone().map(|i| n(i, -i).map(|v| v as i16)).collect::<Int16Array>())),
        (
            "int",
            Arc::new(rows.clone().map(|i| n(i, i64::from(i32::MIN) + i).map(|v| v as i32)).collect::<Int32Array>()),
        ),
        ("long", Arc::new(rows.clone().map(|i| n(i, i64::MAX - i)).collect::<Int64Array>())),
        ("float", Arc::new(rows.clone().map(|i| n(i, i).map(|v| v as f32 / 10.0)).collect::<Float32Array>())),
        ("double", Arc::new(rows.clone().map(|i| n(i, i).map(|v| v as f64 / -3.0)).collect::<Float64Array>())),
        ("small_decimal", decimals(9, 2, 999_999_999)),
        ("price", decimals(18, 4, 999_999_999_999_999_999)),
        ("wide_decimal", decimals(38, 10, 99_999_999_999_999_999_999_999_999_999_999_999_999)),
        ("day", Arc::new(rows.clone().map(|i| n(i, i * 1000 - 2000).map(|v| v as i32)).collect::<Date32Array>())),
        ("at", Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))),
        ("text", Arc::new(StringArray::from(texts))),
        ("raw", Arc::new(bytes.iter().map(Option::as_deref).collect::<BinaryArray>())),
    ];
    columns.push(("tags", tags(count)));
    columns.push(("headers", headers(count)));
    columns.push(("place", place(count)));
    columns.push(("_event_date", Arc::new(Date32Array::from_value(day, count as usize))));
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), !matches!(*name, "id" | "_event_date")))
        .collect();
    assert!(
        fields.iter().any(|field| matches!(field.data_type(), DataType::Timestamp(TimeUnit::Microsecond, Some(_))))
    );
    let schema = Arc::new(Schema::new(fields));
    let rows =
        RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, array)| array).collect()).unwrap();
    (TableSpec { columns: schema, table: "all_types".to_owned(), ..spec() }, rows)
}

fn tags(count: i64) -> ArrayRef {
    let element = Field::new("element", DataType::Utf8, true);
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(element);
    for i in 0..count {
        for item in 0..i % 4 {
            lists.values().append_option((item != 1).then(|| format!("tag{item}")));
        }
        lists.append(i % 5 != 4);
    }
    Arc::new(lists.finish())
}

fn headers(count: i64) -> ArrayRef {
    let fields =
        Fields::from(vec![Field::new("key", DataType::Utf8, true), Field::new("value", DataType::Binary, true)]);
    let total = count as usize * 2;
    let keys: StringArray = (0..total).map(|i| (i % 7 != 0).then(|| format!("k{i}"))).collect();
    let values: BinaryArray = (0..total).map(|i| (i % 3 != 0).then_some([i as u8, 0])).collect();
    let items = StructArray::new(fields.clone(), vec![Arc::new(keys), Arc::new(values)], None);
    let offsets = OffsetBuffer::from_lengths((0..count).map(|_| 2));
    let element = Arc::new(Field::new("element", DataType::Struct(fields), true));
    Arc::new(arrow::array::ListArray::new(element, offsets, Arc::new(items), None))
}

fn place(count: i64) -> ArrayRef {
    let fields =
        Fields::from(vec![Field::new("lat", DataType::Float64, true), Field::new("name", DataType::Utf8, true)]);
    let lat = Float64Array::new(ScalarBuffer::from((0..count).map(|i| i as f64).collect::<Vec<_>>()), None);
    let names: StringArray = (0..count).map(|i| (i % 3 != 0).then_some("here")).collect();
    let nulls = NullBuffer::from((0..count).map(|i| i % 6 != 0).collect::<Vec<_>>());
    Arc::new(StructArray::new(fields, vec![Arc::new(lat), Arc::new(names)], Some(nulls)))
}
