//! The golden table: what each type takes from which JSON text, and why it refuses the rest.

use crate::read::{Value, text};
use crate::stream::{column, decode, decode_all, outcome, stream};
use watertight_core::record::Records;
use watertight_core::schema::{Column, ColumnType, TimestampForm};
use watertight_decode::{Decoded, Decoder};

/// The value of column `v` when the payload holds this JSON, or the only reason against it.
fn take(kind: &ColumnType, json: &str) -> Result<Value, String> {
    let def = stream([column("v", kind.clone())]);
    match decode(&def, &format!(r#"{{"id":"a","ts":1,"v":{json}}}"#)).row {
        Ok(cells) => Ok(cells[2].clone()),
        Err(reasons) => {
            assert_eq!(reasons.len(), 1, "{json}: {reasons:?}");
            Err(reasons[0].trim_end_matches(":v").to_owned())
        }
    }
}

fn check(kind: &ColumnType, cases: &[(&str, Result<Value, &str>)]) {
    for (json, expected) in cases {
        assert_eq!(take(kind, json), expected.clone().map_err(str::to_owned), "{kind:?} from {json}");
    }
    assert_eq!(take(kind, "null"), Ok(Value::Null), "{kind:?}");
}

#[test]
fn text_and_booleans() {
    check(
        &ColumnType::String,
        &[
            (r#""""#, Ok(text(""))),
            (r#""h\u00e9 \ud83d\ude00 \"\\\/\b\f\n\r\t""#, Ok(text("hé 😀 \"\\/\u{8}\u{c}\n\r\t"))),
            (r#""a\u0000b""#, Ok(text("a\0b"))),
            ("\"grüße 東京 0123456789 0123456789\"", Ok(text("grüße 東京 0123456789 0123456789"))),
            ("1", Err("type")),
            ("true", Err("type")),
            ("[]", Err("type")),
            ("{}", Err("type")),
        ],
    );
    check(
        &ColumnType::Boolean,
        &[
            ("true", Ok(Value::Boolean(true))),
            ("false", Ok(Value::Boolean(false))),
            ("1", Err("type")),
            (r#""true""#, Err("type")),
        ],
    );
}

#[test]
fn integers_and_floats() {
    let int = |value: i128| Ok(Value::Integer(value));
    check(
        &ColumnType::Int,
        &[
            ("0", int(0)),
            ("-2147483648", int(-2_147_483_648)),
            ("2147483647", int(2_147_483_647)),
            ("2147483648", Err("range")),
            ("1.0", int(1)),
            ("1e3", int(1000)),
            ("12.50e1", int(125)),
            ("1.5", Err("precision")),
            (r#""1""#, Err("type")),
            ("true", Err("type")),
        ],
    );
    check(
        &ColumnType::Long,
        &[
            ("9223372036854775807", int(i64::MAX.into())),
            ("-9223372036854775808", int(i64::MIN.into())),
            ("9223372036854775808", Err("range")),
            ("1E400", Err("range")),
            ("1e-400", Err("precision")),
            ("0.0e-400", int(0)),
            ("9007199254740993", int(9_007_199_254_740_993)),
        ],
    );
    let double = |value: f64| Ok(Value::Double(value.to_bits()));
    check(
        &ColumnType::Double,
        &[
            ("1", double(1.0)),
            ("-0", double(-0.0)),
            ("0.1", double(0.1)),
            ("1.7976931348623157e308", double(f64::MAX)),
            ("1e309", Err("range")),
            ("-1e309", Err("range")),
            ("5e-324", double(5e-324)),
            ("1e-400", double(0.0)),
            (r#""1""#, Err("type")),
            (r#""NaN""#, Err("type")),
        ],
    );
    check(
        &ColumnType::Float,
        &[
            ("0.1", Ok(Value::Float(0.1_f32.to_bits()))),
            // Rounding by way of 64 bits would yield the neighbour.
            ("1.00000017881393432617187499", Ok(Value::Float(1.000_000_1_f32.to_bits()))),
            ("3.4028235e38", Ok(Value::Float(f32::MAX.to_bits()))),
            ("3.5e38", Err("range")),
        ],
    );
}

#[test]
fn decimals() {
    let int = |value: i128| Ok(Value::Integer(value));
    check(
        &ColumnType::Decimal { precision: 6, scale: 2 },
        &[
            ("12.34", int(1234)),
            (r#""12.34""#, int(1234)),
            (r#""1234e-2""#, int(1234)),
            (r#""\u0031""#, int(100)),
            ("0.1e1", int(100)),
            ("-9999.9900", int(-999_999)),
            ("10000", Err("range")),
            ("1e40", Err("range")),
            ("0.005", Err("precision")),
            (r#""0.005""#, Err("precision")),
            (r#""""#, Err("type")),
            (r#"" 1""#, Err("type")),
            (r#""+1""#, Err("type")),
            (r#""1,5""#, Err("type")),
            (r#""0x1""#, Err("type")),
            (r#""true""#, Err("type")),
            (r#""\"1\"""#, Err("type")),
            ("false", Err("type")),
        ],
    );
    let digits = "12345678901234567890123456789012345678";
    let all: i128 = digits.parse().expect("38 digits fit");
    let wide = ColumnType::Decimal { precision: 38, scale: 19 };
    let pointed = format!("{}.{}", &digits[..19], &digits[19..]);
    check(
        &wide,
        &[
            (&pointed, int(all)),
            (&format!("-{pointed}000"), int(-all)),
            (&format!("\"{digits}e-19\""), int(all)),
            (&format!("{pointed}1"), Err("precision")),
            (&format!("1{pointed}"), Err("range")),
        ],
    );
}

#[test]
fn dates_and_timestamps() {
    let int = |value: i128| Ok(Value::Integer(value));
    check(
        &ColumnType::Date,
        &[
            (r#""1970-01-02""#, int(1)),
            (r#""1969\u002d12-31""#, int(-1)),
            (r#""2023-02-29""#, Err("range")),
            (r#""2023-2-9""#, Err("type")),
            (r#""2023-02-09T00:00:00Z""#, Err("type")),
            ("19723", Err("type")),
        ],
    );
    check(
        &ColumnType::Timestamp(TimestampForm::Rfc3339),
        &[
            (r#""2023-11-14T22:13:20.123456Z""#, int(1_700_000_000_123_456)),
            (r#""2023-11-14 22:13:20.1234567z""#, int(1_700_000_000_123_456)),
            (r#""2023-11-15t03:43:20+05:30""#, int(1_700_000_000_000_000)),
            (r#""2016-12-31T23:59:60Z""#, Err("type")),
            (r#""2023-11-14T25:13:20Z""#, Err("range")),
            (r#""2023-11-14T22:13:20""#, Err("type")),
            ("1700000000", Err("type")),
        ],
    );
    for (form, one_second, finest, too_fine) in [
        (TimestampForm::EpochSeconds, "1", "0.000001", "0.0000001"),
        (TimestampForm::EpochMillis, "1e3", "0.001", "0.0001"),
        (TimestampForm::EpochMicros, "1000000", "1", "0.1"),
    ] {
        check(
            &ColumnType::Timestamp(form),
            &[
                (one_second, int(1_000_000)),
                (finest, int(1)),
                (too_fine, Err("precision")),
                ("1e18", Err("range")),
                ("1e300", Err("range")),
                (r#""1""#, Err("type")),
            ],
        );
    }
    check(
        &ColumnType::Timestamp(TimestampForm::EpochNanos),
        &[
            ("1700000000123456789", int(1_700_000_000_123_456)),
            ("-1", int(-1)),
            ("0.5", int(0)),
            ("1e21", Err("range")),
        ],
    );
    check(
        &ColumnType::Timestamp(TimestampForm::EpochSeconds),
        &[
            ("253402300799.999999", int(253_402_300_799_999_999)),
            ("253402300800", Err("range")),
            ("-62135596800", int(-62_135_596_800_000_000)),
            ("-62135596800.000001", Err("range")),
        ],
    );
}

#[test]
fn binary() {
    let bytes = |value: &[u8]| Ok(Value::Bytes(value.to_vec()));
    check(
        &ColumnType::Binary,
        &[
            (r#""""#, bytes(b"")),
            (r#""AP+/""#, bytes(b"\x00\xff\xbf")),
            (r#""YQ==""#, bytes(b"a")),
            (r#""YQ""#, bytes(b"a")),
            (r#""YWI\u003d""#, bytes(b"ab")),
            (r#""YR==""#, Err("type")),
            (r#""YQ=""#, Err("type")),
            (r#""YQ===""#, Err("type")),
            (r#""Y""#, Err("type")),
            (r#""-_8""#, Err("type")),
            (r#""YQ== ""#, Err("type")),
            ("1", Err("type")),
        ],
    );
}

#[test]
fn lists_and_structs() {
    let int = |value: i128| Value::Integer(value);
    let longs = ColumnType::List(Box::new(ColumnType::Long));
    check(
        &longs,
        &[
            ("[]", Ok(Value::List(vec![]))),
            ("[ 1 , null , 3 ]", Ok(Value::List(vec![int(1), Value::Null, int(3)]))),
            ("[1,\"2\"]", Err("type")),
            ("[1,[2]]", Err("type")),
            ("{}", Err("type")),
            ("1", Err("type")),
        ],
    );
    let place = ColumnType::Struct(vec![
        ("name".to_owned(), ColumnType::String),
        ("points".to_owned(), ColumnType::List(Box::new(longs))),
        ("in".to_owned(), ColumnType::Struct(vec![("k".to_owned(), ColumnType::Binary)])),
    ]);
    let rows = [
        (
            r#"{"in":{"k":"YQ"},"points":[[1,2],null,[],[null]],"name":"a\tb"}"#,
            Value::Struct(vec![
                text("a\tb"),
                Value::List(vec![
                    Value::List(vec![int(1), int(2)]),
                    Value::Null,
                    Value::List(vec![]),
                    Value::List(vec![Value::Null]),
                ]),
                Value::Struct(vec![Value::Bytes(b"a".to_vec())]),
            ]),
        ),
        ("{}", Value::Struct(vec![Value::Null, Value::Null, Value::Null])),
        ("null", Value::Null),
        (
            r#"{"in":{},"name":null,"points":[]}"#,
            Value::Struct(vec![Value::Null, Value::List(vec![]), Value::Struct(vec![Value::Null])]),
        ),
    ];
    // All in one batch, so that offsets and validity of one row can't hide in another's.
    let def = stream([column("v", place.clone())]);
    let payloads = rows.each_ref().map(|(json, _)| format!(r#"{{"v":{json},"ts":1,"id":"a"}}"#));
    let decoded = decode_all(&def, &payloads.each_ref().map(|payload| Some(payload.as_bytes())));
    for (index, (json, value)) in rows.into_iter().enumerate() {
        assert_eq!(outcome(&decoded, index).row.expect("accepted")[2], value, "{json}");
    }
    for json in [r#"{"name":1}"#, r#"{"points":[1]}"#, r#"{"points":{}}"#, r#"{"in":[]}"#, "[]", "\"x\""] {
        assert_eq!(take(&place, json), Err("type".to_owned()), "{json}");
    }
    let structs = ColumnType::List(Box::new(ColumnType::Struct(vec![("a".to_owned(), ColumnType::Boolean)])));
    let a = |value| Value::Struct(vec![value]);
    check(
        &structs,
        &[(r#"[{"a":true},null,{}]"#, Ok(Value::List(vec![a(Value::Boolean(true)), Value::Null, a(Value::Null)])))],
    );
}

#[test]
fn columns_are_in_the_declared_order_and_type_and_any_order_of_keys_fills_them() {
    let def = stream([
        Column { name: "raw".to_owned(), ..column("amount", ColumnType::String) },
        Column { name: "exact".to_owned(), ..column("amount", ColumnType::Decimal { precision: 9, scale: 1 }) },
        column("a.b.c", ColumnType::Long),
        column("a.a_key_longer_than_sixteen_bytes", ColumnType::Long),
        column("a.a_key_longer_than_sixteen_bytem", ColumnType::Long),
        column("\"quoted\" and \\", ColumnType::Long),
        column("größe", ColumnType::Long),
    ]);
    let schema = Decoder::new(&def).expect("sound").schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names[2..4], ["raw", "exact"]);
    assert_eq!(names.last(), Some(&"_extra"));
    for (field, column) in std::iter::zip(schema.fields(), &def.columns) {
        assert_eq!(*field.data_type(), column.kind.arrow());
    }
    let payloads = [
        r#"{"id":"i","ts":1,"amount":"1.5","a":{"b":{"c":1},"a_key_longer_than_sixteen_bytes":2,"a_key_longer_than_sixteen_bytem":3},"\"quoted\" and \\":4,"größe":5}"#,
        r#"{"gr\u00f6\u00dfe":5,"\u0022quoted\" and \\":4,"a":{"a_key_longer_than_sixteen_bytem":3,"a_key_longer_than_sixteen_bytes":2,"b":{"c":1}},"amount":"1.5","ts":1,"id":"i"}"#,
    ];
    let int = |value: i128| Value::Integer(value);
    let expected = vec![text("i"), int(1), text("1.5"), int(15), int(1), int(2), int(3), int(4), int(5), Value::Null];
    for payload in payloads {
        assert_eq!(decode(&def, payload).row, Ok(expected.clone()), "{payload}");
    }
    assert_eq!(decode(&def, r#"{"id":"i","ts":1,""quoted" and \":4}"#).row, Err(vec!["invalid_json".to_owned()]));
}

#[test]
fn a_date_as_the_event_time_is_its_midnight() {
    let mut def = stream([column("day", ColumnType::Date)]);
    def.event_time.column = "day".to_owned();
    let mut records = Records::default();
    for (offset, day) in ["2000-01-03", "1969-12-31", "2000-02-30"].into_iter().enumerate() {
        let payload = format!(r#"{{"id":"a","ts":1,"day":"{day}"}}"#);
        records.push(offset as i64, 0, -1, None, Some(payload.as_bytes()), None);
    }
    (def.event_time.not_before_us, def.event_time.not_after_us) = (0, i64::MAX);
    let decoded = Decoder::new(&def).unwrap().decode(&records);
    assert_eq!(decoded.event_time_us, [946_857_600_000_000, Decoded::NO_TIME, Decoded::NO_TIME]);
}
