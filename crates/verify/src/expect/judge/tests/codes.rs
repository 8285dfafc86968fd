//! Every reason, from exact payloads: the examples of docs/DEAD_LETTERS.md, and more.

use super::*;
use crate::expect::definition::{ColumnType, DuplicateKeys, EventId, TimestampForm};
use crate::expect::fixture::{check, column, required};

/// The stream of docs/DEAD_LETTERS.md.
fn documented() -> StreamDefinition {
    let mut definition = stream([
        required("at", ColumnType::Timestamp(TimestampForm::Rfc3339)),
        required("amount", ColumnType::Decimal { precision: 6, scale: 2 }),
        column("items", ColumnType::Int),
    ]);
    definition.columns.retain(|column| column.name != "ts");
    definition.columns[0].required = true;
    definition.event_time.column = "at".to_owned();
    definition.event_time.not_before_us = 1_577_836_800_000_000;
    definition.event_time.not_after_us = 9_214_646_400_000_000;
    definition.payload.bytes_max = 200;
    definition.payload.depth_max = 3;
    definition.checks = vec![check("positive", "amount > 0")];
    definition
}

#[test]
fn the_documented_examples_give_the_documented_reasons() {
    let definition = documented();
    let of = |payload: &str| reasons(&definition, &payload.replace("TS", r#""at":"2026-11-20T10:00:00Z""#));
    for (payload, expected) in [
        (r#"{"id":"a",TS,"amount":1}"#, &[][..]),
        ("   ", &["empty"][..]),
        (r#"{"id":"a",TS,"amount":NaN}"#, &["invalid_json"][..]),
        (r#"{"id":"a",TS,"amount":1,"x":{"y":{"z":{}}}}"#, &["too_deep"][..]),
        ("[1,2]", &["not_an_object"][..]),
        (r#"{"id":"a",TS,"amount":1,"amount":2}"#, &["duplicate_key:amount"][..]),
        (r#"{"id":"a",TS}"#, &["missing:amount"][..]),
        (r#"{TS,"amount":1}"#, &["missing_event_id"][..]),
        (r#"{"id":"a","amount":1}"#, &["missing_event_time"][..]),
        (r#"{"id":"a",TS,"amount":true}"#, &["type:amount"][..]),
        (r#"{"id":"a",TS,"amount":12345.6}"#, &["range:amount"][..]),
        (r#"{"id":"a",TS,"amount":1,"items":3000000000}"#, &["range:items"][..]),
        (r#"{"id":"a","at":"2026-02-30T10:00:00Z","amount":1}"#, &["range:at"][..]),
        (r#"{"id":"a",TS,"amount":0.001}"#, &["precision:amount"][..]),
        (r#"{"id":"a",TS,"amount":1,"items":1.5}"#, &["precision:items"][..]),
        (r#"{"id":"a","at":"2019-12-31T23:59:59Z","amount":1}"#, &["event_time_out_of_bounds"][..]),
        (r#"{"id":"a",TS,"amount":0}"#, &["check:positive"][..]),
        (
            r#"{"id":7,"at":"yesterday","amount":"x","items":1e99}"#,
            &["type:id", "type:at", "type:amount", "range:items"][..],
        ),
    ] {
        assert_eq!(of(payload), expected, "{payload}");
    }
    let raw = |bytes| judge_bytes(&definition, bytes).outcome;
    let only = |reason: &str| Outcome::DeadLetter(vec![reason.to_owned()]);
    assert_eq!(raw(None), only("tombstone"));
    assert_eq!(raw(Some(&[b' '; 259])), only("oversize"));
    assert_eq!(raw(Some(b"{\"id\":\"\xff\"}")), only("not_utf8"));
}

fn plain() -> StreamDefinition {
    let place = ColumnType::Struct(vec![("lat".to_owned(), ColumnType::Double)]);
    stream([
        required("price", ColumnType::Decimal { precision: 6, scale: 2 }),
        column("count", ColumnType::Long),
        column("properties.mag", ColumnType::Double),
        column("place", place),
    ])
}

#[test]
fn what_is_wrong_is_told_apart() {
    let definition = plain();
    for (payload, expected) in [
        ("{", "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1} x"#, "invalid_json"),
        (r#"{"id":"\ud800","ts":1,"price":1}"#, "invalid_json"),
        (r#"{"id":"\udc00","ts":1,"price":1}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1,"x":"\ud800\u0041"}"#, "invalid_json"),
        ("{\"id\":\"a\nb\",\"ts\":1,\"price\":1}", "invalid_json"),
        (r#"{"id":"a","ts":01,"price":1}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1,}"#, "invalid_json"),
        ("\u{feff}{}", "invalid_json"),
        ("[1] 2", "invalid_json"),
        ("null", "not_an_object"),
        (r#"{"x":[[[[[[[[]]]]]]]]}"#, "too_deep"),
        ("[[[[[[[[[1]]]]]]]]]", "too_deep"),
        (r#"{"id":"a","ts":1,"price":1,"pr\u0069ce":1}"#, "duplicate_key:price"),
        (r#"{"id":"a","ts":1,"price":1,"x":1,"y":2,"\u0078":3}"#, "duplicate_key:x"),
        (r#"{"id":"a","ts":1,"price":1,"properties":{"mag":1,"mag":2}}"#, "duplicate_key:mag"),
        (r#"{"id":"a","ts":1,"price":1,"properties":{"z":1,"z":2}}"#, "duplicate_key:z"),
        (r#"{"id":"a","ts":1,"price":1,"properties":{},"properties":{"z":1,"z":2}}"#, "duplicate_key:properties"),
        (r#"{"id":"a","ts":1,"price":1,"place":{"lat":1,"lat":2}}"#, "duplicate_key:lat"),
        (r#"{"id":"a","ts":1,"price":1,"place":{"w":1,"w":2}}"#, "duplicate_key:w"),
        (r#"{"id":"","ts":1,"price":1}"#, "missing_event_id"),
        (r#"{"id":"a","ts":"1","price":1}"#, "type:ts"),
        (r#"{"id":"a","ts":1e30,"price":1}"#, "range:ts"),
        (r#"{"id":"a","ts":0.5,"price":1}"#, "precision:ts"),
        (r#"{"id":"a","ts":1000000,"price":1}"#, "event_time_out_of_bounds"),
        (r#"{"id":"a","ts":1,"price":"1e"}"#, "type:price"),
        (r#"{"id":"a","ts":1,"price":1,"properties":[]}"#, "type:mag"),
        (r#"{"id":"a","ts":1,"price":1,"place":[]}"#, "type:place"),
        (r#"{"id":"a","ts":1,"price":1,"place":{"lat":1e999}}"#, "range:place"),
    ] {
        assert_eq!(reasons(&definition, payload), [expected], "{payload}");
    }
    for payload in [
        " \t\r\n{ \"id\" : \"a\" , \"ts\" : 1 , \"price\" : \"1.10\" } \n",
        r#"{"id":"a","ts":-1000000,"price":-9999.99,"count":9223372036854775807}"#,
        r#"{"id":"a","ts":1e0,"price":1,"x":[[[[[[[]]]]]]]}"#,
        r#"{"id":"a","ts":1,"price":1,"properties":null,"place":null,"count":null}"#,
        r#"{"id":"a","ts":1,"price":1,"x":{"a":1,"a":2}}"#,
        "{\"id\":\"\u{7f}\",\"ts\":1,\"price\":1}",
    ] {
        assert_eq!(reasons(&definition, payload), Vec::<String>::new(), "{payload}");
    }
}

#[test]
fn all_reasons_are_given_repeated_keys_first_then_by_column() {
    let payload = r#"{"z":1,"z":1,"ts":"x","count":1.5,"place":{"lat":"x","lat":1},"properties":7,"count":2}"#;
    let expected = [
        "duplicate_key:count",
        "duplicate_key:z",
        "duplicate_key:lat",
        "missing_event_id",
        "type:ts",
        "missing:price",
        "precision:count",
        "type:mag",
        "type:place",
    ];
    assert_eq!(reasons(&plain(), payload), expected);
    let list = stream([column("all", ColumnType::List(Box::new(ColumnType::Int)))]);
    let payload = r#"{"id":"a","ts":1,"all":[1.5,"x",3000000000,null,2.5]}"#;
    assert_eq!(reasons(&list, payload), ["type:all", "range:all", "precision:all"]);
}

#[test]
fn repeated_keys_are_named_within_bounds() {
    let long = "k".repeat(200);
    let named = reasons(&plain(), &format!(r#"{{"id":"a","ts":1,"price":1,"{long}":1,"{long}":1}}"#));
    assert_eq!(named, [format!("duplicate_key:{}", "k".repeat(64))]);
    let many: String = (0..100).map(|key| format!(r#","k{key:02}":1,"k{key:02}":2"#)).collect();
    let named = reasons(&plain(), &format!(r#"{{"id":"a","ts":1,"price":1{many}}}"#));
    assert_eq!(named.len(), 16);
    assert_eq!((named[0].as_str(), named[15].as_str()), ("duplicate_key:k00", "duplicate_key:k15"));
}

#[test]
fn an_event_time_counts_even_when_the_record_does_not() {
    let mut definition = plain();
    definition.checks = vec![check("positive", "price > 0")];
    for (payload, time) in [
        (r#"{"id":"a","ts":5,"price":1}"#, Some(5)),
        (r#"{"id":"a","ts":5,"price":0}"#, Some(5)),
        (r#"{"ts":5}"#, Some(5)),
        (r#"{"ts":5,"price":"x","properties":1,"place":1}"#, Some(5)),
        (r#"{"ts":5,"price":"x"} x"#, None),
        (r#"{"ts":5,"price":"x","ts":5}"#, None),
        (r#"{"ts":5,"place":{"a":1,"a":1}}"#, None),
        (r#"{"ts":1000000}"#, None),
        (r#"{"ts":"5"}"#, None),
        (r#"[{"ts":5}]"#, None),
    ] {
        assert_eq!(judge(&definition, payload).event_time_us, time, "{payload}");
    }
}

#[test]
fn the_first_or_the_last_of_repeated_keys_counts_where_that_is_declared() {
    let mut definition = plain();
    let payload = r#"{"id":"a","id":"b","ts":1,"ts":2,"price":1,"price":"x",
        "properties":{"mag":1,"mag":2,"u":1,"u":2},"properties":{"mag":3,"v":1},
        "place":{"lat":1,"w":1,"lat":2,"w":2},"place":{"lat":3,"lat":4,"w":3},"z":1,"z":2}"#;
    definition.payload.duplicate_keys = DuplicateKeys::First;
    let first = r#"{"id":"a","ts":1,"price":1,"properties":{"mag":1,"u":1},"place":{"lat":1,"w":1},"z":1}"#;
    assert_eq!(judge(&definition, payload), judge(&definition, first));
    assert!(matches!(judge(&definition, first).outcome, Outcome::Row(_)));
    definition.payload.duplicate_keys = DuplicateKeys::Last;
    let payload = payload.replace(r#""price":1,"price":"x""#, r#""price":"x","price":1"#);
    let last = r#"{"id":"b","ts":2,"price":1,"properties":{"mag":3,"v":1},"place":{"lat":4,"w":3},"z":2}"#;
    assert_eq!(judge(&definition, &payload), judge(&definition, last));
    assert!(matches!(judge(&definition, last).outcome, Outcome::Row(_)));
    let misplaced = r#"{"id":"a","ts":1,"price":1,"properties":{"mag":1},"properties":3}"#;
    assert_eq!(reasons(&definition, misplaced), ["type:mag"]);
}

#[test]
fn a_hashed_id_is_missing_only_when_all_its_columns_are() {
    let mut definition = stream([column("a", ColumnType::String), column("b", ColumnType::Long)]);
    definition.event_id = EventId::Hash(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(reasons(&definition, r#"{"ts":1,"a":null}"#), ["missing_event_id"]);
    assert_eq!(reasons(&definition, r#"{"ts":1,"b":"x"}"#), ["type:b"]);
    assert_eq!(row(&definition, r#"{"ts":1,"a":""}"#).event_id.len(), 32);
}

#[test]
fn what_nests_deeper_than_the_parser_goes_is_not_judged() {
    let mut definition = plain();
    definition.payload.depth_max = 512;
    let nested = |depth: usize| format!(r#"{{"id":"a","ts":1,"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(reasons(&definition, &nested(126)), ["missing:price"]);
    assert!(matches!(judge(&definition, &nested(127)).outcome, Outcome::Unjudged(_)));
}

#[test]
fn a_record_is_judged_the_same_alone_and_among_others() {
    let mut definition = plain();
    definition.checks = vec![check("ratio", "100 / count > 1")];
    let payloads: Vec<String> =
        (0..5_000).map(|n| format!(r#"{{"id":"e{n}","ts":{n},"price":{},"count":{}}}"#, n % 3, n % 7)).collect();
    let payloads: Vec<Option<&[u8]>> = payloads.iter().map(|payload| Some(payload.as_bytes())).collect();
    let judge = Judge::new(&definition).unwrap();
    let together = judge.judge(&payloads).unwrap();
    for at in [0, 1, 7, 4095, 4096, 4999] {
        assert_eq!(judge.judge(&payloads[at..=at]).unwrap()[0], together[at], "{at}");
    }
    let failing = together.iter().filter(|judged| matches!(judged.outcome, Outcome::DeadLetter(_))).count();
    assert_eq!(failing, 715, "a count of 0 divides nothing");
}

#[test]
fn definitions_that_contradict_themselves_are_refused() {
    let list = || ColumnType::List(Box::new(ColumnType::Long));
    let renamed = |name: &str| Column { name: name.to_owned(), ..column("k", list()) };
    for columns in [
        vec![column("id", ColumnType::Long)],
        vec![Column { path: Vec::new(), ..column("a", ColumnType::Long) }],
        vec![column("p.x", ColumnType::Long), column("p", list())],
        vec![column("p", list()), column("p.x", ColumnType::Long)],
        vec![renamed("a"), renamed("b")],
        vec![column("d", ColumnType::Decimal { precision: 39, scale: 0 })],
        vec![column("s", ColumnType::Struct(Vec::new()))],
    ] {
        assert!(Judge::new(&stream(columns.clone())).is_err(), "{columns:?}");
    }
    let mut definition = stream([]);
    definition.event_time.column = "id".to_owned();
    assert!(Judge::new(&definition).is_err());
}
