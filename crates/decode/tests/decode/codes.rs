//! Every reason code, from exact payloads.

use crate::stream::{column, decode, decode_all, decode_bytes, outcome, reasons, stream};
use watertight_core::schema::{Column, ColumnType, DuplicateKeys, EventIdRule, StreamDef};
use watertight_decode::{DECLARED_DEPTH_MAX, DecodeSetupError, Decoder};

fn plain() -> StreamDef {
    let price = Column { required: true, ..column("price", ColumnType::Decimal { precision: 6, scale: 2 }) };
    let place = ColumnType::Struct(vec![("lat".to_owned(), ColumnType::Double)]);
    stream([
        price,
        column("count", ColumnType::Long),
        column("properties.mag", ColumnType::Double),
        column("place", place),
    ])
}

#[test]
fn every_code_comes_from_the_payload_it_names() {
    let def = plain();
    for (payload, expected) in [
        ("", "empty"),
        (" \t\r\n", "empty"),
        ("{", "invalid_json"),
        ("nothing", "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1} x"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1}{}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":NaN}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":Infinity}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":-Infinity}"#, "invalid_json"),
        (r#"{"id":"\ud800","ts":1,"price":1}"#, "invalid_json"),
        (r#"{"id":"\udc00","ts":1,"price":1}"#, "invalid_json"),
        (r#"{"id":"\ud800\u0041","ts":1,"price":1}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1,"x":"\ud800"}"#, "invalid_json"),
        (r#"{"id":"\x41","ts":1,"price":1}"#, "invalid_json"),
        (r#"{"id":"\u00g1","ts":1,"price":1}"#, "invalid_json"),
        ("{\"id\":\"a\nb\",\"ts\":1,\"price\":1}", "invalid_json"),
        ("{\"id\":\"a\0b\",\"ts\":1,\"price\":1}", "invalid_json"),
        (r#"{"id":"a","ts":01,"price":1}"#, "invalid_json"),
        (r#"{"id":"a","ts":1.,"price":1}"#, "invalid_json"),
        (r#"{"id":"a","ts":.1,"price":1}"#, "invalid_json"),
        (r#"{"id":"a","ts":+1,"price":1}"#, "invalid_json"),
        (r#"{"id":"a","ts":1e,"price":1}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1,}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1,"x":[1,]}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1,"x":[1}}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1,"x":{"a":1]}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1,"x":{"a"}}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1,"x":{1:1}}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1,"x":tru}"#, "invalid_json"),
        (r#"{"id":"a","ts":1,"price":1,'x':1}"#, "invalid_json"),
        (r#"{"id":"a","ts":1 "price":1}"#, "invalid_json"),
        (r#"{"id" "a","ts":1,"price":1}"#, "invalid_json"),
        ("\u{feff}{}", "invalid_json"),
        ("[1]", "not_an_object"),
        ("\"text\"", "not_an_object"),
        ("1.5e3", "not_an_object"),
        ("null", "not_an_object"),
        ("[1] 2", "invalid_json"),
        (r#"{"x":[[[[[[[[]]]]]]]]}"#, "too_deep"),
        (r#"[[[[[[[[[1]]]]]]]]]"#, "too_deep"),
        (r#"{"id":"a","ts":1,"price":1,"price":1}"#, "duplicate_key:price"),
        (r#"{"id":"a","ts":1,"price":1,"pr\u0069ce":1}"#, "duplicate_key:price"),
        (r#"{"id":"a","ts":1,"price":1,"x":1,"y":2,"\u0078":3}"#, "duplicate_key:x"),
        (r#"{"id":"a","ts":1,"price":1,"properties":{"mag":1,"mag":2}}"#, "duplicate_key:mag"),
        (r#"{"id":"a","ts":1,"price":1,"properties":{"z":1,"z":2}}"#, "duplicate_key:z"),
        (r#"{"id":"a","ts":1,"price":1,"properties":{},"properties":{}}"#, "duplicate_key:properties"),
        (r#"{"id":"a","ts":1,"price":1,"place":{"lat":1,"lat":2}}"#, "duplicate_key:lat"),
        (r#"{"id":"a","ts":1,"price":1,"place":{"w":1,"w":2}}"#, "duplicate_key:w"),
        (r#"{"id":"a","ts":1}"#, "missing:price"),
        (r#"{"id":"a","ts":1,"price":null}"#, "missing:price"),
        (r#"{"ts":1,"price":1}"#, "missing_event_id"),
        (r#"{"id":null,"ts":1,"price":1}"#, "missing_event_id"),
        (r#"{"id":"","ts":1,"price":1}"#, "missing_event_id"),
        (r#"{"id":7,"ts":1,"price":1}"#, "type:id"),
        (r#"{"id":"a","price":1}"#, "missing_event_time"),
        (r#"{"id":"a","ts":null,"price":1}"#, "missing_event_time"),
        (r#"{"id":"a","ts":"1","price":1}"#, "type:ts"),
        (r#"{"id":"a","ts":1e30,"price":1}"#, "range:ts"),
        (r#"{"id":"a","ts":0.5,"price":1}"#, "precision:ts"),
        (r#"{"id":"a","ts":1000000,"price":1}"#, "event_time_out_of_bounds"),
        (r#"{"id":"a","ts":-1000001,"price":1}"#, "event_time_out_of_bounds"),
        (r#"{"id":"a","ts":1,"price":true}"#, "type:price"),
        (r#"{"id":"a","ts":1,"price":"1e"}"#, "type:price"),
        (r#"{"id":"a","ts":1,"price":10000}"#, "range:price"),
        (r#"{"id":"a","ts":1,"price":0.001}"#, "precision:price"),
        (r#"{"id":"a","ts":1,"price":1,"count":1.5}"#, "precision:count"),
        (r#"{"id":"a","ts":1,"price":1,"properties":[]}"#, "type:mag"),
        (r#"{"id":"a","ts":1,"price":1,"place":[]}"#, "type:place"),
        (r#"{"id":"a","ts":1,"price":1,"place":{"lat":1e999}}"#, "range:place"),
    ] {
        assert_eq!(reasons(&def, payload), [expected], "{payload}");
    }
}

#[test]
fn what_lies_just_inside_every_limit_is_accepted() {
    let def = plain();
    for payload in [
        r#"{"id":"a","ts":1,"price":1}"#,
        " \t\r\n{ \"id\" : \"a\" , \"ts\" : 1 , \"price\" : \"1.10\" } \n",
        r#"{"price":1.000,"ts":999999,"id":"\ud83d\ude00"}"#,
        r#"{"id":"a","ts":-1000000,"price":-9999.99,"count":9223372036854775807}"#,
        r#"{"id":"a","ts":1e0,"price":1,"x":[[[[[[[]]]]]]]}"#,
        r#"{"id":"a","ts":1,"price":1,"properties":null,"place":null,"count":null}"#,
        r#"{"id":"a","ts":1,"price":1,"x":{"a":1,"a":2}}"#,
        r#"{"\u0069d":"a","ts":1,"price":1}"#,
        "{\"id\":\"\u{7f}\",\"ts\":1,\"price\":1}",
    ] {
        assert_eq!(reasons(&def, payload), Vec::<String>::new(), "{payload}");
    }
}

#[test]
fn bytes_that_are_no_text_are_told_apart() {
    let mut def = plain();
    let decoded = decode_all(&def, &[None, Some(b""), Some(b"{\"id\":\"\xff\"}"), Some(b"\xff")]);
    let of = |row: usize| outcome(&decoded, row).row.expect_err("none of these is accepted");
    assert_eq!([of(0), of(1), of(2), of(3)].concat(), ["tombstone", "empty", "not_utf8", "not_utf8"]);
    // Surrogates and overlong forms in UTF-8's own clothes.
    for bytes in [
        &b"{\"x\":\"\xed\xa0\x80\"}"[..],
        b"{\"x\":\"\xc0\xaf\"}",
        b"{\"x\":\"\xf5\x80\x80\x80\"}",
        b"{\"x\":\"\xe2\x82\"}",
    ] {
        assert_eq!(decode_bytes(&def, bytes).row, Err(vec!["not_utf8".to_owned()]));
    }
    let payload = r#"{"id":"a","ts":1,"price":1}"#;
    def.payload.bytes_max = payload.len() as u32;
    assert!(decode(&def, payload).row.is_ok());
    assert_eq!(reasons(&def, &format!("{payload} ")), ["oversize"]);
    assert_eq!(reasons(&def, &" ".repeat(payload.len() + 1)), ["oversize"]);
}

#[test]
fn all_reasons_are_given_in_the_order_of_the_columns() {
    let def = plain();
    assert_eq!(
        reasons(&def, r#"{"z":1,"z":1,"ts":"x","count":1.5,"place":{"lat":"x","lat":1},"properties":7,"count":2}"#),
        [
            "duplicate_key:count",
            "duplicate_key:z",
            "duplicate_key:lat",
            "missing_event_id",
            "type:ts",
            "missing:price",
            "precision:count",
            "type:mag",
            "type:place"
        ]
    );
    let list = stream([column("all", ColumnType::List(Box::new(ColumnType::Int)))]);
    let payload = r#"{"id":"a","ts":1,"all":[1.5,"x",3000000000,null,2.5]}"#;
    assert_eq!(reasons(&list, payload), ["type:all", "range:all", "precision:all"]);
}

#[test]
fn repeated_keys_are_named_within_bounds() {
    let def = plain();
    let long = "k".repeat(200);
    let named = reasons(&def, &format!(r#"{{"id":"a","ts":1,"price":1,"{long}":1,"{long}":1}}"#));
    assert_eq!(named, [format!("duplicate_key:{}", "k".repeat(64))]);
    let many: String = (0..100).map(|key| format!(r#","k{key:02}":1,"k{key:02}":2"#)).collect();
    let named = reasons(&def, &format!(r#"{{"id":"a","ts":1,"price":1{many}}}"#));
    assert_eq!(named.len(), 16);
    assert_eq!((named[0].as_str(), named[15].as_str()), ("duplicate_key:k00", "duplicate_key:k15"));
}

#[test]
fn an_event_time_counts_even_when_the_record_does_not() {
    let def = plain();
    for (payload, time) in [
        (r#"{"id":"a","ts":5,"price":1}"#, Some(5)),
        (r#"{"ts":5}"#, Some(5)),
        (r#"{"ts":5,"price":"x","properties":1,"place":1}"#, Some(5)),
        (r#"{"ts":5,"price":"x"} x"#, None),
        (r#"{"ts":5,"price":"x","ts":5}"#, None),
        (r#"{"ts":5,"place":{"a":1,"a":1}}"#, None),
        (r#"{"ts":1000000}"#, None),
        (r#"{"ts":"5"}"#, None),
        (r#"{"id":"a","price":1}"#, None),
        (r#"{"ts":5,"x":[[[[[[[[]]]]]]]]}"#, None),
        (r#"[{"ts":5}]"#, None),
    ] {
        assert_eq!(decode(&def, payload).time, time, "{payload}");
    }
}

#[test]
fn the_first_or_the_last_of_repeated_keys_wins_where_that_is_declared() {
    let mut def = plain();
    let payload = r#"{"id":"a","id":"b","ts":1,"ts":2,"price":1,"price":"x",
        "properties":{"mag":1,"mag":2,"u":1,"u":2},"properties":{"mag":3,"v":1},
        "place":{"lat":1,"w":1,"lat":2,"w":2},"place":{"lat":3,"lat":4,"w":3},"z":1,"z":2}"#;
    def.payload.duplicate_keys = DuplicateKeys::First;
    let first = decode(&def, payload);
    assert_eq!(
        first,
        decode(&def, r#"{"id":"a","ts":1,"price":1,"properties":{"mag":1,"u":1},"place":{"lat":1,"w":1},"z":1}"#)
    );
    assert_eq!(first.time, Some(1));
    def.payload.duplicate_keys = DuplicateKeys::Last;
    let last = decode(&def, &payload.replace(r#""price":1,"price":"x""#, r#""price":"x","price":1"#));
    assert_eq!(
        last,
        decode(&def, r#"{"id":"b","ts":2,"price":1,"properties":{"mag":3,"v":1},"place":{"lat":4,"w":3},"z":2}"#)
    );
    assert!(last.row.is_ok());
    // An object on the way may give way to null or to something it can't be.
    assert!(decode(&def, r#"{"id":"a","ts":1,"price":1,"properties":{"mag":"x"},"properties":null}"#).row.is_ok());
    let misplaced = r#"{"id":"a","ts":1,"price":1,"properties":{"mag":1},"properties":3}"#;
    assert_eq!(reasons(&def, misplaced), ["type:mag"]);
    def.payload.duplicate_keys = DuplicateKeys::First;
    assert!(decode(&def, misplaced).row.is_ok());
}

#[test]
fn a_hashed_id_is_missing_only_when_all_its_columns_are() {
    let mut def = stream([column("a", ColumnType::String), column("b", ColumnType::Long)]);
    def.event_id = EventIdRule::Hash(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(reasons(&def, r#"{"ts":1,"a":null}"#), ["missing_event_id"]);
    assert_eq!(reasons(&def, r#"{"ts":1,"b":"x"}"#), ["type:b"]);
    for payload in [r#"{"ts":1,"a":""}"#, r#"{"ts":1,"b":0}"#] {
        assert!(decode(&def, payload).row.is_ok(), "{payload}");
    }
}

#[test]
fn definitions_that_contradict_themselves_are_refused() {
    let error = |def: &StreamDef| Decoder::new(def).expect_err("the definition is unsound");
    let list = || ColumnType::List(Box::new(ColumnType::Long));
    let path = |name: &str, path: &[&str], kind: ColumnType| Column {
        path: path.iter().map(|key| (*key).to_owned()).collect(),
        ..column(name, kind)
    };
    let deep = (0..=DECLARED_DEPTH_MAX).fold(ColumnType::Long, |item, _| ColumnType::List(Box::new(item)));
    for (columns, expected) in [
        (vec![column("id", ColumnType::Long)], DecodeSetupError::RepeatedColumn("id".to_owned())),
        (vec![path("a", &[], ColumnType::Long)], DecodeSetupError::EmptyPath("a".to_owned())),
        (
            vec![path("a", &["k"; DECLARED_DEPTH_MAX + 1], ColumnType::Long)],
            DecodeSetupError::TooNested("a".to_owned()),
        ),
        (vec![column("a", deep)], DecodeSetupError::TooNested("a".to_owned())),
        (
            vec![column("p.x", ColumnType::Long), column("p", list())],
            DecodeSetupError::PathInsidePath { outer: "p".to_owned(), inner: "x".to_owned() },
        ),
        (
            vec![path("a", &["k"], list()), path("b", &["k"], ColumnType::Long)],
            DecodeSetupError::SharedNested("a".to_owned(), "b".to_owned()),
        ),
        (
            vec![column("d", ColumnType::Decimal { precision: 39, scale: 0 })],
            DecodeSetupError::BadDecimal { column: "d".to_owned(), precision: 39, scale: 0 },
        ),
        (
            vec![column("d", ColumnType::List(Box::new(ColumnType::Decimal { precision: 3, scale: 4 })))],
            DecodeSetupError::BadDecimal { column: "d".to_owned(), precision: 3, scale: 4 },
        ),
        (vec![column("s", ColumnType::Struct(Vec::new()))], DecodeSetupError::BadStruct("s".to_owned())),
    ] {
        assert_eq!(error(&stream(columns)), expected);
    }
    let mut def = stream([column("l", list())]);
    def.event_time.column = "id".to_owned();
    assert_eq!(error(&def), DecodeSetupError::EventTime("id".to_owned()));
    def.event_time.column = "ts".to_owned();
    def.event_id = EventIdRule::Column("l".to_owned());
    assert_eq!(error(&def), DecodeSetupError::EventId("l".to_owned()));
    def.event_id = EventIdRule::Hash(vec!["id".to_owned(), "nowhere".to_owned()]);
    assert_eq!(error(&def), DecodeSetupError::EventId("nowhere".to_owned()));
    def.event_id = EventIdRule::Hash(Vec::new());
    assert_eq!(error(&def), DecodeSetupError::EmptyHash);
}
