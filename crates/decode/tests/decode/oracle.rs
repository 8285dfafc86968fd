//! An independent oracle: a tree from serde_json, numbers by writing them out in full, times by jiff. Random documents, whole and
//! damaged, must be accepted and rejected alike, with equal values, reasons and leftovers.

mod model;
mod tree;

use crate::stream::{column, decode_all, decode_bytes, outcome, stream};
use model::{Expected, expect};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use tree::Tree;
use watertight_core::schema::{Column, ColumnType, DuplicateKeys, StreamDef, TimestampForm};

const RULES: [DuplicateKeys; 3] = [DuplicateKeys::Reject, DuplicateKeys::First, DuplicateKeys::Last];

/// A column of every type, short keys, so that random documents hit them.
fn definition(rule: DuplicateKeys) -> StreamDef {
    let inner = ColumnType::Struct(vec![("s".to_owned(), ColumnType::String), ("i".to_owned(), ColumnType::Int)]);
    let mut def = stream([
        column("b", ColumnType::Boolean),
        column("i", ColumnType::Int),
        column("l", ColumnType::Long),
        column("f", ColumnType::Float),
        column("d", ColumnType::Double),
        Column { required: true, ..column("m", ColumnType::Decimal { precision: 9, scale: 3 }) },
        column("w", ColumnType::Decimal { precision: 38, scale: 20 }),
        column("day", ColumnType::Date),
        column("at", ColumnType::Timestamp(TimestampForm::Rfc3339)),
        column("es", ColumnType::Timestamp(TimestampForm::EpochSeconds)),
        column("ns", ColumnType::Timestamp(TimestampForm::EpochNanos)),
        column("bin", ColumnType::Binary),
        column("all", ColumnType::List(Box::new(ColumnType::Long))),
        column("o", ColumnType::Struct(vec![("a".to_owned(), ColumnType::Long), ("in".to_owned(), inner.clone())])),
        column("rows", ColumnType::List(Box::new(inner))),
        column("p.x", ColumnType::Long),
        column("p.q.y", ColumnType::String),
    ]);
    def.payload.depth_max = 5;
    def.payload.duplicate_keys = rule;
    def
}

fn compare(def: &StreamDef, bytes: &[u8]) {
    let got = decode_bytes(def, bytes);
    let document = String::from_utf8_lossy(bytes);
    match expect(def, bytes) {
        Expected::Broken(codes) => {
            let reasons = got.row.expect_err("a broken document is rejected");
            assert_eq!(reasons.len(), 1, "{document}");
            assert!(codes.contains(&reasons[0].as_str()), "{reasons:?}, not {codes:?}: {document}");
            assert_eq!(got.time, None, "{document}");
        }
        Expected::Rejected { mut reasons, time } => {
            let mut given = got.row.expect_err("a document with reasons against it is rejected");
            given.sort();
            reasons.sort();
            assert_eq!(given, reasons, "{document}");
            assert_eq!(got.time, time, "{document}");
        }
        Expected::Accepted { cells, extra, time } => {
            let mut row = got.row.unwrap_or_else(|reasons| panic!("{reasons:?} against {document}"));
            let left = match row.pop() {
                Some(crate::read::Value::Text(json)) => Some(tree::parse(json.as_bytes()).expect("_extra is JSON")),
                _ => None,
            };
            assert_eq!(row, cells, "{document}");
            assert_eq!(left.map(Tree::sorted), extra.map(Tree::sorted), "{document}");
            assert_eq!(got.time, Some(time), "{document}");
        }
    }
}

fn number_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (-3_i64..2000).prop_map(|n| n.to_string()),
        2 => any::<i64>().prop_map(|n| n.to_string()),
        3 => "-?(0|[1-9][0-9]{0,6})\\.[0-9]{1,5}",
        2 => "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,22})?([eE][+-]?[0-9]{1,2})?",
        1 => any::<f64>().prop_filter("JSON has no other", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
        1 => Just("1e400".to_owned()),
    ]
}

fn string_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z]{0,12}",
        1 => "\\PC{0,20}",
        1 => any::<String>(),
        1 => "[A-Za-z0-9+/]{0,9}={0,2}",
        2 => "(19|20)[0-9]{2}-(0[1-9]|1[0-3])-([0-2][0-9]|3[01])",
        2 => "(0000|20[0-9]{2}|9999)-(0[1-9]|1[0-3])-([0-2][0-9]|3[01])[Tt ]([01][0-9]|2[0-5]):[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?([zZ]|[+-]([01][0-9]|2[0-4]):[0-6][0-9])?",
        2 => number_text(),
    ]
}

fn value() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        1 => Just(Tree::Null),
        2 => any::<bool>().prop_map(Tree::Boolean),
        5 => number_text().prop_map(Tree::Number),
        4 => string_text().prop_map(Tree::Text),
    ];
    leaf.prop_recursive(5, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Tree::List),
            prop::collection::vec(("(a|in|s|i|x|q|y|z|u)", inner), 0..5).prop_map(Tree::Object),
        ]
    })
}

/// A value that suits the column, more often than not.
fn suiting(kind: &ColumnType) -> BoxedStrategy<Tree> {
    let good = match kind {
        ColumnType::String => string_text().prop_map(Tree::Text).boxed(),
        ColumnType::Boolean => any::<bool>().prop_map(Tree::Boolean).boxed(),
        ColumnType::Date => "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|2[0-9])".prop_map(Tree::Text).boxed(),
        ColumnType::Timestamp(TimestampForm::Rfc3339) => {
            "20[0-9]{2}-(0[1-9]|1[0-2])-2[0-8][Tt ][01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?([zZ]|[+-][01][0-9]:[0-5][0-9])"
                .prop_map(Tree::Text)
                .boxed()
        }
        ColumnType::Binary => "([A-Za-z0-9+/]{4}){0,4}".prop_map(Tree::Text).boxed(),
        ColumnType::List(item) => prop::collection::vec(suiting(item), 0..4).prop_map(Tree::List).boxed(),
        ColumnType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|(name, kind)| (Just(name.clone()), suiting(kind))).collect();
            let unknown = prop::collection::vec(("(z|u|y)", value()), 0..2);
            let members = (fields, unknown).prop_map(|(mut fields, unknown)| {
                fields.extend(unknown);
                fields
            });
            members.prop_map(Tree::Object).boxed()
        }
        _ => (0_i64..1000).prop_map(|n| Tree::Number(n.to_string())).boxed(),
    };
    prop_oneof![30 => good, 1 => value(), 1 => Just(Tree::Null)].boxed()
}

/// A document: most declared members, in any order, some unknown ones, some twice.
fn document() -> impl Strategy<Value = Tree> {
    let def = definition(DuplicateKeys::Reject);
    let way = ColumnType::Struct(vec![("y".to_owned(), ColumnType::String)]);
    let paths = ColumnType::Struct(vec![("x".to_owned(), ColumnType::Long), ("q".to_owned(), way)]);
    let declared: Vec<BoxedStrategy<(String, Tree)>> = def
        .columns
        .iter()
        .filter(|column| column.path.len() == 1)
        .map(|column| (Just(column.path[0].clone()), suiting(&column.kind)).boxed())
        .chain([(Just("p".to_owned()), suiting(&paths)).boxed()])
        .collect();
    let unknown = prop::collection::vec((prop_oneof![6 => "(z|u|größe|key)", 1 => "(p|o|id)"], value()), 0..3);
    (declared, unknown, any::<u64>(), 0_u8..4).prop_map(|(mut members, unknown, order, kept)| {
        members.extend(unknown);
        let mut state = order | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        if kept > 0 {
            members.retain(|_| next() % 12 != 0);
        }
        if kept > 1 {
            for place in (1..members.len()).rev() {
                members.swap(place, next() % (place + 1));
            }
        }
        Tree::Object(members)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_documents_decode_as_the_oracle_says(tree in document(), style in any::<u64>()) {
        let text = tree.write(style);
        for rule in RULES {
            compare(&definition(rule), text.as_bytes());
        }
    }

    #[test]
    fn random_values_decode_as_the_oracle_says(tree in value(), style in any::<u64>()) {
        compare(&definition(DuplicateKeys::Last), tree.write(style).as_bytes());
    }

    #[test]
    fn damaged_documents_decode_as_the_oracle_says(
        tree in document(),
        style in any::<u64>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4, prop::sample::select(b"{}[]\",:\\0-+.eEtu /\x00\x1f\xc3\xa9".to_vec())), 1..4),
    ) {
        let mut bytes = tree.write(style).into_bytes();
        for (place, kind, byte) in damage {
            let place = place.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                2 => { bytes.remove(place); }
                _ => bytes.truncate(place.max(1)),
            }
            if bytes.is_empty() {
                break;
            }
        }
        compare(&definition(DuplicateKeys::First), &bytes);
    }

    #[test]
    fn a_record_decodes_the_same_alone_and_among_others(trees in prop::collection::vec((document(), any::<u64>()), 1..8)) {
        let def = definition(DuplicateKeys::Last);
        let texts: Vec<String> = trees.iter().map(|(tree, style)| tree.write(*style)).collect();
        let payloads: Vec<Option<&[u8]>> = texts.iter().map(|text| Some(text.as_bytes())).collect();
        let together = decode_all(&def, &payloads);
        prop_assert_eq!(together.rows.len() + together.rejected.len(), texts.len());
        prop_assert!(together.rows.is_sorted() && together.rejected.is_sorted_by_key(|rejected| rejected.row));
        for (index, text) in texts.iter().enumerate() {
            prop_assert_eq!(outcome(&together, index), decode_bytes(&def, text.as_bytes()));
        }
    }

    #[test]
    fn instants_written_by_jiff_are_read_back(us in -62_135_000_000_000_000_i64..253_402_000_000_000_000, offset in -1439_i32..1440) {
        let def = stream([column("at", ColumnType::Timestamp(TimestampForm::Rfc3339))]);
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::Offset::from_seconds(offset * 60).expect("less than a day"));
        let instant = jiff::Timestamp::from_microsecond(us).expect("in range").to_zoned(zone);
        let text = instant.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string();
        let row = decode_bytes(&def, format!(r#"{{"id":"a","ts":1,"at":"{text}"}}"#).as_bytes()).row.expect("accepted");
        prop_assert_eq!(&row[2], &crate::read::Value::Integer(us.into()));
    }
}

#[test]
fn the_oracle_accepts_and_rejects_a_fair_share() {
    // A generator whose documents were all rejected would prove little.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut accepted, mut rejected) = (0, 0);
    for _ in 0..400 {
        let tree = document().new_tree(&mut runner).expect("a document").current();
        match expect(&definition(DuplicateKeys::Last), tree.write(0).as_bytes()) {
            Expected::Accepted { .. } => accepted += 1,
            _ => rejected += 1,
        }
    }
    assert!(accepted > 60 && rejected > 60, "{accepted} accepted, {rejected} rejected");
}
