use super::*;
use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use std::cell::RefCell;
use std::sync::Arc;

const STREAM: &str = r#"{"name":"ticks","topic":"stock-ticks","partitions":4,"event_id":{"column":"id"},
    "event_time":{"column":"ts","watermark_delay_us":60000000,"future_tolerance_us":600000000,"idle_after_us":30000000,
    "not_before_us":0,"not_after_us":9214646400000000},"columns":[
    {"name":"id","type":"string","required":true,"path":["id"]},
    {"name":"price","type":{"decimal":{"precision":18,"scale":4}},"required":true,"path":["p","price"]},
    {"name":"all","type":{"list":{"struct":[["a","int"],["b",{"timestamp":"epoch_nanos"}]]}},"required":false,"path":["all"]},
    {"name":"ts","type":{"timestamp":"rfc3339"},"required":true,"path":["ts"]}],
    "checks":[{"name":"positive","sql":"price > 0"}],
    "payload":{"bytes_max":1048576,"depth_max":64,"duplicate_keys":"reject"},"of_a_later_version":[1]}"#;
const MODEL: &str = r#"{"name":"candles","from":"ticks","window_us":60000000,"sql":"SELECT 1"}"#;

/// Definitions of rows of (kind, name, version, definition, in force from), and what was said to be missing.
fn definitions(rows: &[(&str, &str, i32, &str, &str)]) -> (Definitions, Vec<String>) {
    let column = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let batch = RecordBatch::try_from_iter([
        ("kind", column(rows.iter().map(|row| row.0).collect())),
        ("name", column(rows.iter().map(|row| row.1).collect())),
        ("version", Arc::new(Int32Array::from(rows.iter().map(|row| row.2).collect::<Vec<_>>())) as ArrayRef),
        ("definition", column(rows.iter().map(|row| row.3).collect())),
        ("in_force_from", column(rows.iter().map(|row| row.4).collect())),
    ])
    .unwrap();
    let missing = RefCell::new(Vec::new());
    let mut definitions = Definitions::default();
    definitions.take(&batch, &|what| missing.borrow_mut().push(what));
    (definitions, missing.into_inner())
}

#[test]
fn a_definition_is_read_as_the_pipeline_writes_it() {
    let from = r#"{"incarnation":"one","positions":{"0":5,"3":0},"closed_until_us":null}"#;
    let (read, missing) = definitions(&[("stream", "ticks", 1, STREAM, from), ("model", "candles", 1, MODEL, from)]);
    assert_eq!(missing, Vec::<String>::new());
    let stream = read.stream("ticks", 1).unwrap();
    assert_eq!(stream.event_id, EventId::Column("id".to_owned()));
    assert_eq!(stream.columns[1].kind, ColumnType::Decimal { precision: 18, scale: 4 });
    let fields =
        vec![("a".to_owned(), ColumnType::Int), ("b".to_owned(), ColumnType::Timestamp(TimestampForm::EpochNanos))];
    assert_eq!(stream.columns[2].kind, ColumnType::List(Box::new(ColumnType::Struct(fields))));
    assert_eq!(stream.payload.duplicate_keys, DuplicateKeys::Reject);
    assert_eq!(read.model("candles", 1).unwrap().window_us, 60_000_000);
    assert_eq!(read.models("candles")[0].from.positions, BTreeMap::from([(0, 5), (3, 0)]));
    assert_eq!(read.models("candles")[0].from.closed_until_us, None);
    assert!(read.stream("ticks", 2).is_none() && read.stream("x", 1).is_none());
}

#[test]
fn rows_that_cannot_be_understood_are_named() {
    let from = r#"{"incarnation":"one","positions":{}}"#;
    let other = MODEL.replace("60000000", "1");
    let (read, missing) = definitions(&[
        ("stream", "ticks", 1, "{", from),
        ("stream", "ticks", 2, STREAM, "[]"),
        ("view", "v", 1, "{}", from),
        ("model", "candles", 1, MODEL, from),
        ("model", "candles", 1, MODEL, from),
        ("model", "candles", 1, &other, from),
    ]);
    assert_eq!(missing.len(), 4, "{missing:?}");
    assert!(missing[0].contains("the text of version 1 of stream ticks"), "{missing:?}");
    assert!(missing[1].contains("in_force_from of version 2 of stream ticks"), "{missing:?}");
    assert!(missing[2].contains("neither stream nor model"), "{missing:?}");
    assert!(missing[3].contains("twice"), "{missing:?}");
    let named: Vec<&str> = read.tables().iter().map(String::as_str).collect();
    assert_eq!(named, ["bronze.ticks", "bronze.ticks_dlq", "gold.candles", "silver.ticks"], "but no table of a view");
    assert!(read.stream_versions("ticks").is_empty());
    assert_eq!(read.model("candles", 1).unwrap().window_us, 60_000_000, "the first one counts");
}

#[test]
fn the_version_in_force_follows_from_the_positions() {
    let one = r#"{"incarnation":"one","positions":{}}"#;
    let two = r#"{"incarnation":"one","positions":{"0":10}}"#;
    let three = r#"{"incarnation":"two","positions":{"0":4,"1":7}}"#;
    let rows = [("stream", "ticks", 1, STREAM, one), ("stream", "ticks", 2, STREAM, two)];
    let (read, _) = definitions(&rows);
    let at = |incarnation, partition, offset| read.stream_in_force("ticks", incarnation, partition, offset);
    assert_eq!((at("one", 0, 9), at("one", 0, 10)), (Some(1), Some(2)));
    assert_eq!(at("one", 1, 0), Some(2), "silver had nothing of partition 1 before");
    assert_eq!(at("two", 0, 0), Some(2), "a topic made anew goes on under the newest");
    let (read, _) = definitions(&[rows[0], rows[1], ("stream", "ticks", 3, STREAM, three)]);
    let at = |incarnation, partition, offset| read.stream_in_force("ticks", incarnation, partition, offset);
    assert_eq!((at("two", 1, 6), at("two", 1, 7)), (Some(2), Some(3)));
    assert_eq!(at("three", 0, 0), None, "it may lie between the others");
    assert_eq!(read.stream_in_force("x", "one", 0, 0), None);
}

#[test]
fn behind_a_version_that_cannot_be_read_nothing_is_told() {
    let from = [r#"{"incarnation":"one","positions":{}}"#, r#"{"incarnation":"one","positions":{"0":10}}"#];
    let third = r#"{"incarnation":"one","positions":{"0":20}}"#;
    for second in [Some("{"), None] {
        let mut rows = vec![("stream", "ticks", 1, STREAM, from[0])];
        rows.extend(second.map(|text| ("stream", "ticks", 2, text, from[1])));
        rows.push(("stream", "ticks", 3, STREAM, third));
        let (read, _) = definitions(&rows);
        assert_eq!(read.stream_in_force("ticks", "one", 0, 5), None);
        assert_eq!(read.stream_in_force("ticks", "one", 0, 20), Some(3));
    }
    let (read, _) = definitions(&[("stream", "ticks", 1, STREAM, from[0]), ("stream", "ticks", 2, "{", from[1])]);
    assert_eq!(read.stream_in_force("ticks", "one", 0, 5), None);
}

#[test]
fn the_stream_of_a_model_is_that_of_its_newest_version() {
    let from = r#"{"incarnation":"one","positions":{}}"#;
    let newer = MODEL.replace("ticks", "quotes");
    let (read, _) = definitions(&[("model", "candles", 1, MODEL, from), ("model", "candles", 2, &newer, from)]);
    assert_eq!((read.source_of("candles"), read.source_of("x")), (Some("quotes"), None));
}

#[test]
fn a_version_is_in_force_in_every_topic_from_where_silver_stood_in_it() {
    let first = r#"{"incarnation":"east","positions":{},"others":{"west":{}}}"#;
    let second = r#"{"incarnation":"east","positions":{"0":5},"others":{"west":{"0":7},"found":{"0":3}}}"#;
    let (read, missing) = definitions(&[("stream", "ticks", 1, STREAM, first), ("stream", "ticks", 2, STREAM, second)]);
    assert_eq!(missing, Vec::<String>::new());
    for (life, begins) in [("east", 5), ("west", 7), ("found", 3)] {
        let at = |offset| read.stream_in_force("ticks", life, 0, offset);
        assert_eq!((at(begins - 1), at(begins)), (Some(1), Some(2)), "{life}");
        assert_eq!(read.stream_in_force("ticks", life, 9, 0), Some(2), "{life}: a partition that had nothing then");
    }
    assert_eq!(read.stream_in_force("ticks", "found later", 0, 0), Some(2), "under the newest");
}
