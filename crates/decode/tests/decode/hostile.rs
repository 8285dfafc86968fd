//! Bytes that mean harm: none may panic, recurse without bound, or cost more than its length warrants.

use crate::read::text;
use crate::stream::{column, decode, decode_all, decode_bytes, outcome, reasons, stream};
use proptest::prelude::*;
use watertight_core::schema::{ColumnType, DuplicateKeys, StreamDef};

const DOCUMENT: &str = r#"{"id":"caf\u00e9 \ud83d\ude00 grüße","ts":-1.5e2,"amount":12.340,"tags":["a",null,"b"],"place":{"lat":1.5e-3,"in":{"k":[true,false]}},"p":{"q":{"x":"y"}},"unknown":{"a":[{},[],""],"b":-0}}"#;

fn definition() -> StreamDef {
    let inner = ColumnType::Struct(vec![("k".to_owned(), ColumnType::List(Box::new(ColumnType::Boolean)))]);
    let place = ColumnType::Struct(vec![("lat".to_owned(), ColumnType::Double), ("in".to_owned(), inner)]);
    stream([
        column("amount", ColumnType::Decimal { precision: 9, scale: 2 }),
        column("tags", ColumnType::List(Box::new(ColumnType::String))),
        column("place", place),
        column("p.q.x", ColumnType::String),
    ])
}

#[test]
fn a_document_cut_anywhere_is_invalid() {
    let def = definition();
    assert!(decode(&def, DOCUMENT).row.is_ok());
    let cuts: Vec<&[u8]> = (1..DOCUMENT.len()).map(|end| &DOCUMENT.as_bytes()[..end]).collect();
    let decoded = decode_all(&def, &cuts.iter().map(|cut| Some(*cut)).collect::<Vec<_>>());
    assert_eq!(decoded.columns.num_rows(), 0);
    for (index, cut) in cuts.iter().enumerate() {
        let code = if std::str::from_utf8(cut).is_ok() { "invalid_json" } else { "not_utf8" };
        assert_eq!(outcome(&decoded, index).row, Err(vec![code.to_owned()]), "cut after {} bytes", cut.len());
    }
}

#[test]
fn a_byte_too_many_anywhere_is_never_read_over() {
    // A stray structural byte either breaks the document or lies inside a string.
    let def = definition();
    for place in 0..=DOCUMENT.len() {
        for byte in *b"{}[]" {
            let mut bytes = DOCUMENT.as_bytes().to_vec();
            bytes.insert(place, byte);
            let json = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
            let expected = if json {
                None
            } else if std::str::from_utf8(&bytes).is_ok() {
                Some("invalid_json")
            } else {
                Some("not_utf8")
            };
            let reasons = decode_bytes(&def, &bytes).row.err().unwrap_or_default();
            let broken = reasons.iter().map(String::as_str).find(|code| ["invalid_json", "not_utf8"].contains(code));
            assert_eq!(broken, expected, "{} at {place}", char::from(byte));
        }
    }
}

#[test]
fn nesting_is_bounded_without_recursion() {
    let mut def = definition();
    let levels = 200_000;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"a":"#, "}]")] {
        let nested = format!("{}1{}", open.repeat(levels), close.repeat(levels));
        let member = format!(r#"{{"id":"a","ts":1,"x":{nested}}}"#);
        for depth_max in [0, 1, 64, u16::MAX] {
            def.payload.depth_max = depth_max;
            assert_eq!(reasons(&def, &nested), ["too_deep"]);
            assert_eq!(reasons(&def, &member), ["too_deep"]);
            assert_eq!(reasons(&def, &open.repeat(levels)), ["too_deep"]);
        }
    }
    // Exactly as deep as allowed, and one deeper, in an unknown member.
    def.payload.depth_max = u16::MAX;
    for (levels, expected) in [(65_534, vec![]), (65_535, vec!["too_deep"])] {
        let nested = format!(r#"{{"id":"a","ts":1,"x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        assert_eq!(reasons(&def, &nested), expected);
    }
    // The payload's own object is level 1, an object that a path leads through counts like any other.
    for (depth_max, expected) in [(3, vec![]), (2, vec!["too_deep"]), (0, vec!["too_deep"])] {
        def.payload.depth_max = depth_max;
        assert_eq!(reasons(&def, r#"{"id":"a","ts":1,"p":{"q":{"x":"y"}}}"#), expected);
    }
}

#[test]
fn many_unknown_and_repeated_members_are_settled_in_one_pass() {
    let mut def = definition();
    let count = 60_000;
    let members: String = (0..count).map(|key| format!(r#","k{}":{key}"#, key % (count / 2))).collect();
    let payload = format!(r#"{{"id":"a","ts":1{members}}}"#);
    assert_eq!(reasons(&def, &payload).len(), 16);
    for (rule, first) in [(DuplicateKeys::First, 0), (DuplicateKeys::Last, count / 2)] {
        def.payload.duplicate_keys = rule;
        let kept: Vec<String> = (0..count / 2).map(|key| format!(r#""k{key}":{}"#, key + first)).collect();
        let row = decode(&def, &payload).row.expect("accepted");
        assert!(row.last() == Some(&text(&format!("{{{}}}", kept.join(",")))));
    }
    // An object on the way that is begun again and again.
    let again = r#","p":{"q":{"u":1,"x":"y"}}"#.repeat(20_000);
    let row = decode(&def, &format!(r#"{{"id":"a","ts":1{again}}}"#)).row.expect("accepted");
    assert_eq!(row.last(), Some(&text(r#"{"p":{"q":{"u":1}}}"#)));
}

#[test]
fn long_numbers_and_huge_exponents_cost_their_length() {
    let def = definition();
    let digits = "9".repeat(500_000);
    for (amount, expected) in [
        (digits.clone(), vec!["range:amount"]),
        (format!("0.{digits}"), vec!["precision:amount"]),
        (format!("0.{}", "0".repeat(500_000)), vec![]),
        (format!("1e{digits}"), vec!["range:amount"]),
        (format!("1e-{digits}"), vec!["precision:amount"]),
        (format!("0e{digits}"), vec![]),
        (format!("0.{}1e500001", "0".repeat(500_000)), vec![]),
    ] {
        assert_eq!(reasons(&def, &format!(r#"{{"id":"a","ts":1,"amount":{amount}}}"#)), expected);
    }
}

#[test]
fn seeded_damage_never_panics_and_loses_no_record() {
    let alphabet = b"{}[]\",:\\/u0019eE+-. tnf\x00\x1f\x7f\x80\xc3\xff";
    for seed in 1..=40_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) as usize % bound
        };
        let payloads: Vec<Vec<u8>> = (0..200)
            .map(|_| {
                let mut bytes = DOCUMENT.as_bytes().to_vec();
                for _ in 0..=next(6) {
                    let (place, byte) = (next(bytes.len()), alphabet[next(alphabet.len())]);
                    match next(4) {
                        0 => bytes[place] = byte,
                        1 => bytes.insert(place, byte),
                        2 if bytes.len() > 1 => drop(bytes.remove(place)),
                        _ => {
                            let piece = bytes[place..bytes.len().min(place + next(40))].to_vec();
                            let at = next(bytes.len());
                            bytes.splice(at..at, piece);
                        }
                    }
                }
                bytes
            })
            .collect();
        let decoded =
            decode_all(&definition(), &payloads.iter().map(|bytes| Some(bytes.as_slice())).collect::<Vec<_>>());
        for (index, payload) in payloads.iter().enumerate() {
            let accepted = outcome(&decoded, index).row.is_ok();
            let json = serde_json::from_slice::<serde_json::Value>(payload).is_ok();
            assert!(json || !accepted, "seed {seed}: {:?}", String::from_utf8_lossy(payload));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(payloads in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..80)), 0..6)) {
        let payloads: Vec<Option<&[u8]>> = payloads.iter().map(Option::as_deref).collect();
        let decoded = decode_all(&definition(), &payloads);
        prop_assert_eq!(decoded.rows.len() + decoded.rejected.len(), payloads.len());
        prop_assert_eq!(decoded.event_time_us.len(), payloads.len());
        prop_assert_eq!(decoded.columns.num_rows(), decoded.rows.len());
    }

    #[test]
    fn bytes_that_look_like_json_never_panic(payload in "[{\\[\"\\\\:,}\\]0-9eE.+\\-tfn u]{0,60}") {
        let accepted = decode(&definition(), &format!(r#"{{"id":"a","ts":1,{payload}}}"#)).row.is_ok();
        let json = serde_json::from_str::<serde_json::Value>(&format!(r#"{{"id":"a","ts":1,{payload}}}"#)).is_ok();
        prop_assert!(json || !accepted);
    }
}
