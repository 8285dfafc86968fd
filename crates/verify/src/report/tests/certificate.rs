//! Certificates: what is signed, what a tampered one is worth, and tables held against one.

use super::super::certificate::{Certificate, CertifiedRange, CertifiedTable, Refused, Signed, certify};
use super::super::signature::{PublicKey, SigningKey};
use super::super::sums::{Offsets, Selection, Task, over};
use super::{Row, full, judged, little_columns, little_table, request, statement};
use crate::finding::Code;
use crate::lake::Table;
use crate::request::Silent;
use serde_json::Value;

fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

fn signed() -> String {
    Certificate::new(statement(), Some(&key())).and_then(|certificate| certificate.to_text()).expect("JSON")
}

fn worth(text: &str, known: Option<&PublicKey>) -> Signed {
    Certificate::parse(text).expect("a certificate").signed(known)
}

/// Every value in a document that is no object or array, by its JSON pointer.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| leaves(member, &format!("{path}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| leaves(item, &format!("{path}/{index}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

fn altered(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_i64().expect("an integer") + 1),
        Value::String(text) if text.ends_with('0') => Value::from(text.replace('0', "1")),
        Value::String(text) => Value::from(format!("{}0", &text[..text.len() - 1])),
        other => panic!("no leaf: {other}"),
    }
}

#[test]
fn a_signature_by_a_known_key_holds_and_by_an_unknown_one_is_not_taken_for_it() {
    let (text, public, other) = (signed(), key().public(), SigningKey::from_seed(&[8; 32]).public());
    assert_eq!(worth(&text, Some(&public)), Signed::ByKnown(public.to_string()));
    assert_eq!(worth(&text, None), Signed::BySomeone(public.to_string()));
    assert_eq!(worth(&text, None).to_string(), format!("signed by {public}, not checked against a known key"));
    assert!(matches!(worth(&text, Some(&other)), Signed::Wrong(_)));
}

#[test]
fn every_altered_value_is_found() {
    let document: Value = serde_json::from_str(&signed()).expect("JSON");
    let mut paths = Vec::new();
    leaves(&document, "", &mut paths);
    assert!(paths.len() > 40, "{paths:?}");
    let public = key().public();
    for path in paths {
        let mut tampered = document.clone();
        let leaf = tampered.pointer_mut(&path).expect("a leaf");
        *leaf = altered(leaf);
        // What is no certificate any more is found too: it cannot be read.
        let Ok(certificate) = Certificate::parse(&tampered.to_string()) else { continue };
        assert!(matches!(certificate.signed(Some(&public)), Signed::Wrong(_)), "{path}");
    }
}

#[test]
fn a_member_that_is_added_removed_or_moved_is_found() {
    let public = key().public();
    let document: Value = serde_json::from_str(&signed()).expect("JSON");
    let mut more = document.clone();
    more["statement"]["note"] = Value::from("all is well");
    assert!(matches!(worth(&more.to_string(), Some(&public)), Signed::Wrong(_)));
    let mut fewer = document.clone();
    fewer["statement"]["tables"].as_array_mut().expect("tables").clear();
    assert!(matches!(worth(&fewer.to_string(), Some(&public)), Signed::Wrong(_)));
    let mut unsigned = document;
    unsigned.as_object_mut().expect("an object").remove("signature");
    assert!(
        matches!(worth(&unsigned.to_string(), Some(&public)), Signed::Wrong(_)),
        "a key was given, so one must sign"
    );
    assert_eq!(worth(&unsigned.to_string(), None), Signed::Not);
}

#[test]
fn white_space_between_tokens_does_not_matter() {
    let document: Value = serde_json::from_str(&signed()).expect("JSON");
    let public = key().public();
    assert_eq!(worth(&document.to_string(), Some(&public)), worth(&signed(), Some(&public)));
}

#[test]
fn the_signed_bytes_are_the_compact_statement() {
    let certificate = Certificate::new(statement(), None).expect("JSON");
    let bytes = certificate.signed_bytes();
    assert!(
        bytes.starts_with(r#"{"what":"watertight certificate","format":1,"tool":"watertight 0.1.0","at":""#),
        "{bytes}"
    );
    assert!(!bytes.contains('\n'));
    assert_eq!(Certificate::parse(&certificate.to_text().expect("JSON")), Ok(certificate));
}

#[test]
fn what_is_no_certificate_is_refused() {
    let newer = signed().replace("\"format\": 1", "\"format\": 2");
    for text in ["", "[]", "{}", "{\"statement\": 1}", "{\"statement\": {\"what\": \"else\", \"format\": 1}}", &newer] {
        assert!(Certificate::parse(text).is_err(), "{text}");
    }
    let deep = "[".repeat(100_000);
    assert!(Certificate::parse(&deep).is_err());
}

#[test]
fn only_a_balanced_report_of_the_whole_lake_gives_one() {
    let lake = tempfile::tempdir().expect("scratch");
    let mut request = request(lake.path());
    assert_eq!(certify(&full(), &request, &Silent), Err(Refused::NotBalanced));
    assert_eq!(certify(&judged(&[], 1), &request, &Silent), Err(Refused::NotBalanced));
    request.scope.quick = true;
    assert_eq!(certify(&judged(&[], 0), &request, &Silent), Err(Refused::Partial));
    request.scope.quick = false;
    request.scope.partitions = vec![1];
    assert_eq!(certify(&judged(&[], 0), &request, &Silent), Err(Refused::Partial));
}

const ROWS: &[Row<'static>] = &[(0, 0, "a"), (1, 0, "b"), (0, 1, "c"), (0, 2, "d"), (1, 1, "e")];

fn ranges() -> Vec<Offsets<'static>> {
    [(0, 2), (1, 2)].map(|(partition, to)| Offsets { incarnation: "", partition, from: 0, to }).to_vec()
}

fn sums_of(table: &Table, folder: &std::path::Path) -> Vec<super::super::checksum::TableChecksum> {
    let columns = little_columns(table);
    let columns: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let task = Task { table, columns: &columns, selection: Selection::Offsets(ranges()), version_max: None };
    over(&task, &request(folder), &Silent).expect("readable files")
}

#[test]
fn sums_do_not_depend_on_files_and_order_and_leave_out_what_lies_above() {
    let scratch = tempfile::tempdir().expect("scratch");
    let (one, many) = (scratch.path().join("one"), scratch.path().join("many"));
    let whole = sums_of(&little_table(&one, &[ROWS]), &one);
    let shuffled: [&[Row<'_>]; 3] = [&[ROWS[4], ROWS[2]], &[ROWS[3]], &[ROWS[1], ROWS[0]]];
    assert_eq!(whole, sums_of(&little_table(&many, &shuffled), &many));
    assert_eq!(whole.iter().map(|sum| sum.rows).collect::<Vec<_>>(), [2, 2], "offset 2 of partition 0 is above");
}

/// A certificate of the little table of [`ROWS`], and what it says of another one.
fn held_against(rows: &[Row<'_>]) -> Vec<(Code, Option<i32>, String)> {
    let scratch = tempfile::tempdir().expect("scratch");
    let (then, now) = (scratch.path().join("then"), scratch.path().join("now"));
    let table = little_table(&then, &[ROWS]);
    let sums = sums_of(&table, &then);
    let ranges = ranges().into_iter().zip(sums).map(|(range, sum)| CertifiedRange {
        topic: "ticks".to_owned(),
        incarnation: String::new(),
        partition: range.partition,
        from: range.from,
        to: range.to,
        rows: sum.rows,
        rows_checksum: sum.hex(),
        records_checksum: None,
    });
    let certified = CertifiedTable {
        table: "silver.ticks".to_owned(),
        version: 1,
        columns: little_columns(&table),
        ranges: ranges.collect(),
        windows: None,
        not_certified: Vec::new(),
    };
    let table = little_table(&now, &[rows]);
    let kept = super::super::against::held_for_tests(&certified, &table, &request(&now));
    assert!(kept.unable.is_empty(), "{:?}", kept.unable);
    let findings = kept.findings.into_iter();
    findings.map(|finding| (finding.code, finding.place.partition, finding.what)).collect()
}

#[test]
fn rows_that_were_appended_since_change_nothing() {
    let mut rows = ROWS.to_vec();
    rows.extend([(0, 3, "new"), (1, 2, "new"), (2, 0, "new")]);
    let found = held_against(&rows);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_row_that_was_altered_dropped_doubled_or_added_is_found_with_its_partition() {
    let mut altered = ROWS.to_vec();
    altered[2].2 = "C";
    let mut doubled = ROWS.to_vec();
    doubled.push(ROWS[2]);
    let mut swapped = ROWS.to_vec();
    (swapped[0].2, swapped[2].2) = (swapped[2].2, swapped[0].2);
    let mut dropped = ROWS.to_vec();
    dropped.remove(2);
    for (what, rows) in [("altered", altered), ("doubled", doubled), ("swapped", swapped), ("dropped", dropped)] {
        let found = held_against(&rows);
        assert_eq!(found.len(), 1, "{what}: {found:?}");
        assert_eq!((found[0].0, found[0].1), (Code::CertificateChanged, Some(0)), "{what}");
    }
}
