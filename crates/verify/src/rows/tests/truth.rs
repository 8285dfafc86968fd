//! What an entry says of a file, planted wrong in each way.

use crate::finding::{Code, Findings};
use crate::lake::Origin;
use crate::rows::little_table::{DAY_US, LIFE, LittleTable, bronze_rows, codes, found, rows, statistics, utc};
use crate::rows::{DataFile, Held, checksum};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int32Array, Int64Array, ListBuilder, RecordBatch,
    StringArray, StringBuilder, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Field, Schema};
use std::sync::Arc;

/// A table of one file of ten rows, whose entry or file was changed.
fn with_stats(change: impl FnOnce(&mut serde_json::Value)) -> Vec<crate::finding::Finding> {
    let mut little = LittleTable::bronze();
    let rows = rows(3, 100..110);
    let mut stats: serde_json::Value = serde_json::from_str(&statistics(&rows)).expect("JSON");
    change(&mut stats);
    let add = little.write(&bronze_rows(&rows), &stats.to_string());
    let books = little.books(&rows, &[]);
    little.commit(Origin::Ours(Box::new(books)), vec![add], &[]);
    let findings = Findings::default();
    little.facts(&findings);
    found(findings)
}

#[test]
fn a_file_that_is_as_its_entry_says_gives_its_facts_and_no_finding() {
    let mut little = LittleTable::bronze();
    little.append(&[(0, 5, "a"), (0, 6, "b"), (1, 9, "c")]);
    let findings = Findings::default();
    let facts = little.facts(&findings);
    assert_eq!(found(findings), []);
    let facts = facts.values().next().expect("facts");
    let sum = checksum::record(0, 5, None, Some(b"a")).wrapping_add(checksum::record(0, 6, None, Some(b"b")));
    assert_eq!(facts.held.get(&(LIFE.to_owned(), 0)), Some(&Held { first: 5, last: 6, rows: 2, checksum: sum }));
    assert_eq!((facts.rows, facts.held.len(), facts.flags.len()), (3, 2, 0));
}

#[test]
fn statistics_that_exclude_a_row_are_told_with_its_offset() {
    for (bounds, value, offset) in [("minValues", 101, 100), ("maxValues", 108, 109)] {
        let findings = with_stats(|stats| stats[bounds]["_kafka_offset"] = value.into());
        assert_eq!(codes(&findings), [Code::Statistics]);
        let place = &findings[0].place;
        assert_eq!((place.partition, place.offsets), (Some(3), Some((offset, offset + 1))), "{bounds}");
        assert_eq!(place.column.as_deref(), Some("_kafka_offset"));
    }
    assert_eq!(with_stats(|stats| stats["minValues"]["_kafka_offset"] = 0.into()), []);
}

#[test]
fn a_wrong_count_of_nulls_or_rows_is_told() {
    let findings = with_stats(|stats| stats["nullCount"]["_raw_value"] = 1.into());
    assert_eq!(codes(&findings), [Code::Statistics]);
    let findings = with_stats(|stats| stats["numRecords"] = 11.into());
    assert_eq!(codes(&findings), [Code::FileRows]);
    assert_eq!(findings[0].what, "the entry says 11 rows, the file holds 10");
}

#[test]
fn statistics_of_times_are_true_to_the_millisecond() {
    // The newest row's time is 109 × 1001 µs behind the day's beginning.
    assert_eq!(with_stats(|stats| stats["maxValues"]["_kafka_timestamp"] = "2024-10-04T00:00:00.110Z".into()), []);
    let findings = with_stats(|stats| stats["maxValues"]["_kafka_timestamp"] = "2024-10-04T00:00:00.109Z".into());
    assert_eq!(codes(&findings), [Code::Statistics]);
}

#[test]
fn offsets_that_go_down_in_a_file_of_ours_are_told_with_both() {
    let mut little = LittleTable::bronze();
    little.append(&[(0, 1, "a"), (1, 0, "b"), (0, 4, "c"), (0, 3, "d"), (0, 2, "e"), (0, 5, "f")]);
    let findings = Findings::default();
    little.facts(&findings);
    let findings = found(findings);
    assert_eq!(codes(&findings), [Code::OffsetsOrder]);
    assert_eq!((findings[0].place.partition, findings[0].place.offsets), (Some(0), Some((2, 5))));
    let mut little = LittleTable::bronze();
    little.rewrite(&[(0, 2, "a"), (0, 1, "b")], &[]);
    let findings = Findings::default();
    little.facts(&findings);
    assert_eq!(found(findings), []);
}

#[test]
fn rows_on_another_date_than_their_time_says_are_told() {
    let mut little = LittleTable::bronze();
    little.append(&rows(0, 7..9));
    for live in little.table.live.values_mut() {
        live.add.partition_values.insert("_event_date".to_owned(), Some("2024-10-05".to_owned()));
    }
    let findings = Findings::default();
    little.facts(&findings);
    let findings = found(findings);
    assert_eq!(codes(&findings), [Code::RowDate]);
    assert_eq!((findings[0].place.partition, findings[0].place.offsets), (Some(0), Some((7, 9))));
}

fn one_column(name: &str, array: ArrayRef) -> RecordBatch {
    let all = bronze_rows(&rows(0, 0..2));
    let fields: Vec<Arc<Field>> = all.schema().fields().iter().cloned().collect();
    let (mut fields, mut arrays) = (fields, all.columns().to_vec());
    let field = Arc::new(Field::new(name, array.data_type().clone(), true));
    match fields.iter().position(|field| field.name() == name) {
        Some(at) => (fields[at], arrays[at]) = (field, array),
        None => {
            fields.push(field);
            arrays.push(array);
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("rows")
}

fn code_of(rows: &RecordBatch) -> Vec<Code> {
    let mut little = LittleTable::bronze();
    let add = little.write(rows, "{}");
    little.commit(Origin::Foreign("a test".to_owned()), vec![add], &[]);
    let findings = Findings::default();
    little.facts(&findings);
    codes(&found(findings))
}

#[test]
fn columns_that_do_not_fit_are_told_and_times_of_another_unit_fit() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    assert_eq!(code_of(&one_column("unknown", Arc::clone(&text))), [Code::FileSchema]);
    assert_eq!(code_of(&one_column("_kafka_offset", text)), [Code::FileSchema]);
    let null: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    assert_eq!(code_of(&one_column("_kafka_offset", null)), [Code::FileSchema]);
    let times = TimestampMillisecondArray::from(vec![DAY_US / 1000, DAY_US / 1000]).with_timezone("UTC");
    assert_eq!(code_of(&one_column("_ingested_at", Arc::new(times))), []);
    let all = bronze_rows(&rows(0, 0..2));
    let lacking = all.project(&[0, 1, 2, 3, 4, 5, 6]).expect("columns");
    assert_eq!(code_of(&lacking), [Code::FileSchema]);
}

#[test]
fn a_column_that_the_file_lacks_is_null_and_the_partition_column_comes_last() {
    let mut little = LittleTable::bronze();
    let all = bronze_rows(&rows(0, 0..2));
    let add = little.write(&all.project(&[7, 0, 1, 2, 3, 4, 6]).expect("columns"), "{}");
    little.commit(Origin::Foreign("a test".to_owned()), vec![add], &[]);
    let live = little.table.live.values().next().expect("a file");
    let open = || DataFile::open(&little.table, live).expect("opened");
    let whole = open().batches(&[]).next().expect("a batch").expect("read");
    assert_eq!(whole.schema(), little.table.metadata.columns);
    assert_eq!(whole.column(5).null_count(), 2);
    assert_eq!(whole.column(8).as_primitive::<Date32Type>().values().to_vec(), [20_000, 20_000]);
    let some = open().batches(&["_raw_value", "_kafka_offset", "_key"]).next().expect("a batch").expect("read");
    let names: Vec<String> = some.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["_kafka_offset", "_key", "_raw_value", "_event_date"]);
}

fn silver() -> (LittleTable, RecordBatch) {
    let list = DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)));
    let fields = vec![
        Field::new("event_id", DataType::Utf8, true),
        Field::new("amount", DataType::Decimal128(38, 4), true),
        Field::new("_event_time", utc(), false),
        Field::new("_is_late_arriving", DataType::Boolean, false),
        Field::new("_quality_flags", list, false),
        Field::new("_kafka_partition", DataType::Int32, false),
        Field::new("_kafka_offset", DataType::Int64, false),
        Field::new("_extra", DataType::Utf8, true),
    ];
    let mut flags = ListBuilder::new(StringBuilder::new()).with_field(Field::new("element", DataType::Utf8, true));
    flags.append(true);
    flags.values().append_value("future_event_time");
    flags.append(true);
    let amounts = Decimal128Array::from(vec![Some(99_999_999_999_999_999_999_999_999_999_999_999_999), None]);
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["id-1", "id-2"])),
        Arc::new(amounts.with_precision_and_scale(38, 4).expect("fits")),
        Arc::new(TimestampMicrosecondArray::from(vec![DAY_US, DAY_US + 1]).with_timezone("UTC")),
        Arc::new(BooleanArray::from(vec![true, false])),
        Arc::new(flags.finish()),
        Arc::new(Int32Array::from(vec![0, 0])),
        Arc::new(Int64Array::from(vec![4, 6])),
        Arc::new(StringArray::from(vec![None, Some("{}")])),
    ];
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields.clone())), arrays).expect("rows");
    let mut all = fields;
    all.push(Field::new("_event_date", DataType::Date32, false));
    (LittleTable::new("silver", "orders", Arc::new(Schema::new(all)), "_event_date"), rows)
}

fn silver_with(stats: &str) -> Vec<crate::finding::Finding> {
    let (mut little, rows) = silver();
    let add = little.write(&rows, stats);
    let books = crate::books::Books { kind: "append".to_owned(), rows: 2, ..little.blank() };
    little.commit(Origin::Ours(Box::new(books)), vec![add], &[]);
    let findings = Findings::default();
    let facts = little.facts(&findings);
    let facts = facts.values().next().expect("facts");
    assert_eq!(facts.flags.get(&0), Some(&[1, 1, 1]));
    assert_eq!(facts.held.get(&(String::new(), 0)), Some(&Held { first: 4, last: 6, rows: 2, checksum: 0 }));
    found(findings)
}

#[test]
fn decimals_are_compared_to_the_last_digit_and_texts_by_their_bytes() {
    let stats = |amount: &str, id: &str| {
        format!(r#"{{"numRecords":2,"maxValues":{{"amount":{amount},"event_id":"{id}"}},"nullCount":{{"amount":1}}}}"#)
    };
    let true_amount = "9999999999999999999999999999999999.9999";
    assert_eq!(silver_with(&stats(true_amount, "id-3")), []);
    assert_eq!(silver_with(&stats(true_amount, "ie")), []);
    let findings = silver_with(&stats("9999999999999999999999999999999999.9998", "id-3"));
    assert_eq!(codes(&findings), [Code::Statistics]);
    assert!(findings[0].what.contains(", by 1:"), "{}", findings[0].what);
    let findings = silver_with(&stats(true_amount, "id-1"));
    assert_eq!(codes(&findings), [Code::Statistics]);
    assert!(!findings[0].what.contains("id-"), "no value of a row is told");
}
