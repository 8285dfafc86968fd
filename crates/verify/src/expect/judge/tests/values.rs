//! What each type takes from which JSON, and what is left over.

use super::*;
use crate::expect::definition::{ColumnType, EventId, TimestampForm};
use crate::expect::extra_matches;
use crate::expect::fixture::column;

/// The value of `v`, or the only kind of reason against it.
fn take(kind: &ColumnType, json: &str) -> Result<Value, String> {
    let definition = with(column("v", kind.clone()));
    match judge(&definition, &format!(r#"{{"id":"a","ts":1,"v":{json}}}"#)).outcome {
        Outcome::Row(row) => Ok(row.values[2].clone()),
        Outcome::DeadLetter(reasons) => Err(reasons.join(" ").trim_end_matches(":v").to_owned()),
        Outcome::Unjudged(why) => panic!("{json}: {why}"),
    }
}

fn check(kind: &ColumnType, cases: &[(&str, Result<Value, &str>)]) {
    for (json, expected) in cases {
        assert_eq!(take(kind, json), expected.clone().map_err(str::to_owned), "{kind:?} from {json}");
    }
    assert_eq!(take(kind, "null"), Ok(Value::Null), "{kind:?}");
}

#[test]
fn plain_values() {
    let text = |text: &str| Ok(Value::Text(text.to_owned()));
    check(
        &ColumnType::String,
        &[
            (r#""""#, text("")),
            (r#""h\u00e9 \ud83d\ude00 \"\\\/\b\f\n\r\t\u0000""#, text("hé 😀 \"\\/\u{8}\u{c}\n\r\t\0")),
            ("1", Err("type")),
            ("{}", Err("type")),
        ],
    );
    check(&ColumnType::Boolean, &[("true", Ok(Value::Boolean(true))), ("1", Err("type")), (r#""true""#, Err("type"))]);
    let integer = |value: i64| Ok(Value::Integer(value));
    check(
        &ColumnType::Int,
        &[
            ("-2147483648", integer(-2_147_483_648)),
            ("2147483648", Err("range")),
            ("1.0", integer(1)),
            ("12.50e1", integer(125)),
            ("1.5", Err("precision")),
            (r#""1""#, Err("type")),
        ],
    );
    check(
        &ColumnType::Long,
        &[
            ("9223372036854775807", integer(i64::MAX)),
            ("9223372036854775808", Err("range")),
            ("1E400", Err("range")),
            ("1e-400", Err("precision")),
            ("9007199254740993", integer(9_007_199_254_740_993)),
        ],
    );
    check(
        &ColumnType::Double,
        &[("0.1", Ok(Value::Double(0.1))), ("1e309", Err("range")), ("1e-400", Ok(Value::Double(0.0)))],
    );
    let Ok(Value::Double(zero)) = take(&ColumnType::Double, "-0") else { panic!("-0 is a number") };
    assert!(zero.is_sign_negative());
    check(&ColumnType::Float, &[("0.1", Ok(Value::Float(0.1))), ("3.5e38", Err("range"))]);
    let decimal = |value: i128| Ok(Value::Decimal(value));
    check(
        &ColumnType::Decimal { precision: 6, scale: 2 },
        &[
            ("12.34", decimal(1234)),
            (r#""1234e-2""#, decimal(1234)),
            (r#""\u0031""#, decimal(100)),
            ("-9999.9900", decimal(-999_999)),
            ("10000", Err("range")),
            (r#""0.005""#, Err("precision")),
            (r#"" 1""#, Err("type")),
            (r#""+1""#, Err("type")),
            (r#""""#, Err("type")),
            ("false", Err("type")),
        ],
    );
    let bytes = |bytes: &[u8]| Ok(Value::Bytes(bytes.to_vec()));
    check(
        &ColumnType::Binary,
        &[(r#""AP+/""#, bytes(b"\x00\xff\xbf")), (r#""YWI\u003d""#, bytes(b"ab")), (r#""YR==""#, Err("type"))],
    );
}

#[test]
fn dates_and_timestamps() {
    check(
        &ColumnType::Date,
        &[
            (r#""1969\u002d12-31""#, Ok(Value::Date(-1))),
            (r#""2023-02-29""#, Err("range")),
            (r#""2023-2-9""#, Err("type")),
            ("19723", Err("type")),
        ],
    );
    let instant = |us: i64| Ok(Value::Instant(us));
    check(
        &ColumnType::Timestamp(TimestampForm::Rfc3339),
        &[
            (r#""2023-11-15t03:43:20.1234567+05:30""#, instant(1_700_000_000_123_456)),
            (r#""2016-12-31T23:59:60Z""#, Err("type")),
            (r#""2023-11-14T25:13:20Z""#, Err("range")),
            ("1700000000", Err("type")),
        ],
    );
    check(
        &ColumnType::Timestamp(TimestampForm::EpochSeconds),
        &[
            ("253402300799.999999", instant(253_402_300_799_999_999)),
            ("253402300800", Err("range")),
            ("-62135596800.000001", Err("range")),
            ("0.0000001", Err("precision")),
            (r#""1""#, Err("type")),
        ],
    );
    check(
        &ColumnType::Timestamp(TimestampForm::EpochNanos),
        &[("1700000000123456789", instant(1_700_000_000_123_456)), ("0.5", instant(0)), ("-1", instant(-1))],
    );
}

#[test]
fn lists_and_structs() {
    let longs = ColumnType::List(Box::new(ColumnType::Long));
    let one = |value: Value| Value::List(vec![value]);
    check(
        &longs,
        &[
            ("[]", Ok(Value::List(Vec::new()))),
            ("[null]", Ok(one(Value::Null))),
            ("[1,[2]]", Err("type")),
            ("{}", Err("type")),
        ],
    );
    let fields = vec![("name".to_owned(), ColumnType::String), ("points".to_owned(), longs)];
    check(
        &ColumnType::Struct(fields),
        &[
            (r#"{"points":[1],"name":"a"}"#, Ok(Value::Struct(vec![Value::Text("a".into()), one(Value::Integer(1))]))),
            ("{}", Ok(Value::Struct(vec![Value::Null, Value::Null]))),
            (r#"{"points":{}}"#, Err("type")),
            ("[]", Err("type")),
        ],
    );
}

#[test]
fn an_id_of_any_plain_type_is_text() {
    for (kind, json, id) in [
        (ColumnType::Long, "1e3", "1000"),
        (ColumnType::Decimal { precision: 6, scale: 2 }, "1.5", "1.50"),
        (ColumnType::Binary, r#""YQ""#, "61"),
    ] {
        let mut definition = with(column("v", kind));
        definition.event_id = EventId::Column("v".to_owned());
        assert_eq!(row(&definition, &format!(r#"{{"ts":1,"v":{json}}}"#)).event_id, id);
    }
}

fn left(definition: &StreamDefinition, members: &str) -> Option<serde_json::Value> {
    row(definition, &format!(r#"{{"id":"a","ts":1{members}}}"#)).extra
}

#[test]
fn what_no_column_takes_is_left_over() {
    let plain = stream([]);
    for (members, kept) in [
        ("", None),
        (r#", "a" : 1.50 , "b":null"#, Some(r#"{"a":1.50,"b":null}"#)),
        (r#","\u0061\"":"\u00e9\n""#, Some(r#"{"a\"":"é\n"}"#)),
        (r#","o":{ "x":[1, 2 ,{}] },"e":{}"#, Some(r#"{"o":{"x":[1,2,{}]},"e":{}}"#)),
        (r#","x":{"a":1,"a":2}"#, Some(r#"{"x":{"a":1,"a":2}}"#)),
    ] {
        assert!(extra_matches(left(&plain, members).as_ref(), kept), "{members}");
    }
    let paths = stream([column("p.q.x", ColumnType::Long), column("p.y", ColumnType::Long)]);
    for (members, kept) in [
        (r#","p":{"q":{"x":1},"y":2}"#, None),
        (r#","p":{"q":{}}"#, None),
        (r#","p":null"#, None),
        (r#","p":{"q":null,"z":3}"#, Some(r#"{"p":{"z":3}}"#)),
        (r#","p":{"z":3,"q":{"w":4}},"o":5"#, Some(r#"{"o":5,"p":{"z":3,"q":{"w":4}}}"#)),
    ] {
        assert!(extra_matches(left(&paths, members).as_ref(), kept), "{members}");
    }
    let point = ColumnType::Struct(vec![("x".to_owned(), ColumnType::Long)]);
    let points = ColumnType::List(Box::new(ColumnType::List(Box::new(point.clone()))));
    let nested = stream([column("p.at", point), column("rows", points)]);
    for (members, kept) in [
        (r#","p":{"at":{"x":1}},"rows":[[{"x":1}]]"#, None),
        (r#","p":{"at":{"x":1,"y":2}}"#, Some(r#"{"p":{"at":{"y":2}}}"#)),
        (r#","rows":[[],[{"x":1},{"z":9}],null]"#, Some(r#"{"rows":[null,[null,{"z":9}],null]}"#)),
    ] {
        assert!(extra_matches(left(&nested, members).as_ref(), kept), "{members}");
    }
}
