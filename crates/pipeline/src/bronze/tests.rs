use super::bronze_batch;
use crate::feed::Chunk;
use arrow::array::{Array, AsArray};
use std::sync::Arc;
use watertight_core::record::{Records, encode_headers};
use watertight_core::schema::bronze_schema;

#[test]
fn every_record_is_kept_as_it_came_null_and_empty_apart() {
    let mut headers = Vec::new();
    encode_headers(&[("a", Some(b"1")), ("a", None)], &mut headers);
    let mut records = Records::default();
    records.push(5, 1_500, -1, None, Some(b"\xff\x00not json"), None);
    records.push(6, -1, 3, Some(b""), None, Some(&headers));
    let chunk = Chunk::new("inc".into(), 2, (5, 7), records, Vec::new(), 86_400_000_000);
    let schema = Arc::new(bronze_schema());
    let batch = bronze_batch(&schema, "t", &[chunk], 86_400_000_000).expect("fits");
    let column = |name: &str| batch.column_by_name(name).expect("a bronze column").clone();
    let values = column("_raw_value");
    assert_eq!(values.as_binary::<i32>().value(0), b"\xff\x00not json");
    assert!(values.is_null(1), "a tombstone stays null");
    assert!(column("_key").is_null(0));
    assert_eq!(column("_key").as_binary::<i32>().value(1), b"", "an empty key is not null");
    assert!(column("_leader_epoch").is_null(0));
    assert!(column("_headers").is_null(0));
    let second = column("_headers").as_list::<i32>().value(1);
    let second = second.as_struct();
    assert_eq!((second.len(), second.column(1).null_count()), (2, 1), "both headers, one of them null");
    let times = column("_kafka_timestamp");
    let times = times.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    assert_eq!((times.value(0), times.value(1)), (1_500_000, -1_000));
    assert_eq!(column("_event_date").as_primitive::<arrow::datatypes::Date32Type>().value(0), 1);
}
