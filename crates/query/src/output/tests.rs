//! Each format against values that are easily got wrong.

use super::*;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
    ListArray, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use std::sync::Arc;

fn batch() -> RecordBatch {
    let price =
        Decimal128Array::from(vec![Some(123_456_789_012_345_678), None]).with_precision_and_scale(18, 4).unwrap();
    let at = TimestampMicrosecondArray::from(vec![Some(1_763_718_480_123_400), Some(-1)]).with_timezone("UTC");
    let flags = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), Some(vec![])]);
    let nested = StructArray::from(vec![(
        Arc::new(Field::new("a", DataType::Utf8, true)),
        Arc::new(StringArray::from(vec![Some("x\"y"), None])) as ArrayRef,
    )]);
    let dictionary: DictionaryArray<Int32Type> = vec![Some("b"), None].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("name", Arc::new(StringArray::from(vec![Some("a,\"b\"\n\u{1b}[31m"), Some("")]))),
        ("view", Arc::new(StringViewArray::from(vec![Some("é"), None]))),
        ("n", Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))),
        ("f", Arc::new(Float64Array::from(vec![Some(0.1 + 0.2), Some(f64::NAN)]))),
        ("ok", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("price", Arc::new(price)),
        ("at", Arc::new(at)),
        ("naive", Arc::new(TimestampNanosecondArray::from(vec![Some(1), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(20_413), Some(-1)]))),
        ("raw", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\x00\xff{"), Some(b"")]))),
        ("flags", Arc::new(flags)),
        ("nested", Arc::new(nested)),
        ("dict", Arc::new(dictionary)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn written(format: Format, batch: &RecordBatch) -> String {
    let mut out = Vec::new();
    let rows = format.write(&batch.schema(), [Ok(batch.clone())].into_iter(), &mut out).unwrap();
    assert_eq!(rows, batch.num_rows() as u64);
    String::from_utf8(out).unwrap()
}

#[test]
fn json_lines_are_exact_and_parse() {
    let text = written(Format::Json, &batch());
    let expected = concat!(
        r#"{"name":"a,\"b\"\n\u001b[31m","view":"é","n":9223372036854775807,"f":0.30000000000000004,"ok":true,"#,
        r#""price":12345678901234.5678,"at":"2025-11-21T09:48:00.1234Z","naive":"1970-01-01T00:00:00.000000001","#,
        r#""day":"2025-11-21","raw":"AP97","flags":[1,null],"nested":{"a":"x\"y"},"dict":"b"}"#,
        "\n",
        r#"{"name":"","view":null,"n":null,"f":"NaN","ok":null,"price":null,"at":"1969-12-31T23:59:59.999999Z","#,
        r#""naive":null,"day":"1969-12-31","raw":"","flags":[],"nested":{"a":null},"dict":null}"#,
        "\n"
    );
    assert_eq!(text, expected);
    assert_eq!(text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count(), 2);
}

#[test]
fn csv_quotes_what_needs_it_and_tells_empty_from_null() {
    let text = written(Format::Csv, &batch());
    let expected = concat!(
        "name,view,n,f,ok,price,at,naive,day,raw,flags,nested,dict\n",
        "\"a,\"\"b\"\"\n\u{1b}[31m\",é,9223372036854775807,0.30000000000000004,true,12345678901234.5678,",
        "2025-11-21T09:48:00.1234Z,1970-01-01T00:00:00.000000001,2025-11-21,AP97,\"[1,null]\",",
        "\"{\"\"a\"\":\"\"x\\\"\"y\"\"}\",b\n",
        "\"\",,,NaN,,,1969-12-31T23:59:59.999999Z,,1969-12-31,\"\",[],\"{\"\"a\"\":null}\",\n"
    );
    assert_eq!(text, expected);
}

#[test]
fn tables_are_aligned_and_leave_the_terminal_alone() {
    let narrow = batch().project(&[0, 2, 9]).unwrap();
    let expected = concat!(
        " name              |                   n | raw\n",
        "-------------------+---------------------+--------\n",
        " a,\"b\"\\n\\u{1b}[31m | 9223372036854775807 | 00ff7b\n",
        "                   |                NULL |\n",
        "(2 rows)\n"
    );
    assert_eq!(written(Format::Table, &narrow), expected);
}

#[test]
fn repeated_names_stay_apart_in_json_and_many_rows_stream_through_a_table() {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1500));
    let schema =
        Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, false), Field::new("x", DataType::Int64, false)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::clone(&column), column]).unwrap();
    assert!(written(Format::Json, &batch).starts_with("{\"x\":0,\"x_2\":0}\n"));
    let table = written(Format::Table, &batch);
    assert_eq!(table.lines().count(), 1503);
    assert!(table.ends_with(" 1499 | 1499\n(1500 rows)\n"));
}

#[test]
fn years_far_away_keep_their_sign() {
    assert_eq!(cell::date(0), "1970-01-01");
    assert_eq!(cell::date(11_016), "2000-02-29");
    assert_eq!(cell::date(2_932_897), "+10000-01-01");
    assert_eq!(cell::date(-719_529), "-0001-12-31");
}
