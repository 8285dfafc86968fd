//! Faults planted in a table's folder and log, each found at its version and file.

use super::check;
use crate::finding::{Code, Findings, Kept, Severity};
use crate::lake::little_log::{
    DAY, LittleLog, POSITION, SCHEMA, add, append, create, foreign, found, metadata, ours, part,
};
use crate::lake::{Table, TableName};
use crate::request::{Bound, Request, Scope};
use serde_json::{Value, json};
use std::fs;

fn request(little: &LittleLog, scope: Scope) -> Request {
    Request {
        lake: little.lake().to_path_buf(),
        scope,
        ledgers: Vec::new(),
        scratch: little.lake().to_path_buf(),
        memory_bytes_max: 1 << 20,
        threads: 1,
        now_us: 0,
    }
}

/// What both observing and checking find, and the versions looked at.
fn checked_within(little: &LittleLog, scope: Scope) -> (Kept, u64) {
    let findings = Findings::default();
    let name = TableName { schema: "silver".to_owned(), name: "ticks".to_owned() };
    let table = Table::observe(little.lake(), &name, &findings).unwrap();
    let part = check(&table, &request(little, scope), &findings);
    assert_eq!((part.check.as_str(), part.of.as_str(), part.unit.as_str()), ("Delta log", "silver.ticks", "versions"));
    (findings.into_kept(), part.looked_at)
}

fn checked(little: &LittleLog) -> Kept {
    checked_within(little, Scope::default()).0
}

fn whats(kept: &Kept) -> String {
    kept.findings.iter().map(|finding| finding.what.as_str()).collect::<Vec<_>>().join("; ")
}

#[test]
fn an_untouched_table_gives_nothing() {
    let (kept, looked_at) = checked_within(&LittleLog::plain(), Scope::default());
    assert!(kept.findings.is_empty() && kept.unable.is_empty(), "{:?}", kept.findings);
    assert_eq!(looked_at, 4);
}

#[test]
fn a_file_that_is_gone_is_named() {
    let little = LittleLog::plain();
    let path = part(2);
    fs::remove_file(little.folder().join(&path)).unwrap();
    assert_eq!(found(&checked(&little)), [(Code::FileMissing, Some(2), Some(path.as_str()))]);
    fs::create_dir(little.folder().join(&path)).unwrap();
    assert_eq!(found(&checked(&little)), [(Code::FileMissing, Some(2), Some(path.as_str()))]);
}

#[test]
fn a_folder_that_is_gone_is_named_by_its_files() {
    let little = LittleLog::plain();
    fs::remove_dir_all(little.folder().join(DAY)).unwrap();
    assert_eq!(checked(&little).counts[&Code::FileMissing], 3);
    fs::write(little.folder().join(DAY), b"").unwrap();
    assert_eq!(checked(&little).counts[&Code::FileMissing], 3);
}

#[test]
fn a_file_of_another_length_is_named_with_both_lengths() {
    let little = LittleLog::plain();
    little.file(&part(2), 19);
    let kept = checked(&little);
    assert_eq!(found(&kept), [(Code::FileSize, Some(2), Some(part(2).as_str()))]);
    assert_eq!(kept.findings[0].what, "the entry says 20 bytes, the file has 19");
}

#[test]
fn a_partition_that_the_folder_gainsays_is_named() {
    let other = json!({"_event_date": "2026-11-24"});
    for (values, said) in [(other, "2026-11-24"), (json!({"_event_date": null}), "null"), (json!({}), "no value")] {
        let little = LittleLog::plain();
        let mut file = add(&part(2), 20);
        file["add"]["partitionValues"] = values;
        little.entry(2, &append(2, &[file]));
        let kept = checked(&little);
        assert_eq!(found(&kept), [(Code::FilePartition, Some(2), Some(part(2).as_str()))]);
        assert!(whats(&kept).contains(said), "{}", whats(&kept));
        assert_eq!(kept.findings[0].place.column.as_deref(), Some("_event_date"));
    }
}

#[test]
fn files_that_no_version_names_are_notes() {
    let little = LittleLog::plain();
    little.entry(4, &foreign(&[json!({"remove": {"path": part(1), "dataChange": false}})]));
    let orphans = [format!("{DAY}/dead.parquet"), "_delta_log/.wt-1.tmp".to_owned(), "stray.parquet".to_owned()];
    for orphan in &orphans {
        little.file(orphan, 5);
    }
    little.file("_event_date=2026-11-25/README", 5);
    let outside = little.lake().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("a.parquet"), b"x").unwrap();
    std::os::unix::fs::symlink(&outside, little.folder().join("linked")).unwrap();
    let kept = checked(&little);
    let mut named: Vec<String> = kept
        .findings
        .iter()
        .filter(|finding| finding.code == Code::Orphan)
        .filter_map(|finding| finding.place.file.clone())
        .collect();
    named.sort();
    let mut expected = orphans.to_vec();
    expected.sort();
    assert_eq!(named, expected);
    assert!(kept.findings.iter().all(|finding| finding.code.severity() == Severity::Note), "{:?}", kept.findings);
    assert!(whats(&kept).contains("5 bytes, 0 s old"), "{}", whats(&kept));
}

#[test]
fn what_maintain_may_change_gives_nothing() {
    let little = LittleLog::plain();
    let new = r#"{"name":"new","type":"long","nullable":true},{"name":"event_id""#;
    let wider = SCHEMA.replace(r#"{"name":"event_id""#, new);
    little.entry(4, &ours(4, "maintain", &[metadata(&wider)]));
    let kept = checked(&little);
    assert!(kept.findings.is_empty(), "{:?}", kept.findings);
}

#[test]
fn each_change_of_a_definition_that_does_not_fit_is_named() {
    let settings = |key: &str, value: Value| {
        let mut changed = metadata(SCHEMA);
        changed["metaData"]["configuration"][key] = value;
        changed
    };
    let field = |key: &str, value: Value| {
        let mut changed = metadata(SCHEMA);
        changed["metaData"][key] = value;
        changed
    };
    let schema = |from: &str, to: &str| metadata(&SCHEMA.replace(from, to));
    let price = r#"{"name":"price","type":"decimal(18,4)","nullable":true,"metadata":{}},"#;
    let required = r#"{"name":"r","type":"long","nullable":false},"#;
    let twice = r#"{"name":"EVENT_ID","type":"string","nullable":true},"#;
    let changes = [
        (schema(price, ""), "the column was there, and is gone"),
        (schema("18,4", "20,4"), "the column was Decimal128(18, 4) and became Decimal128(20, 4)"),
        (schema(price, &price.replace("true", "false")), "could be null, and no longer can"),
        (schema(price, &format!("{price}{required}")), "is new and can't be null"),
        (schema(price, &format!("{price}{twice}")), "there twice"),
        (field("id", json!("table-2")), "the table's id was table-1 and became table-2"),
        (field("partitionColumns", json!(["price"])), "was partitioned by _event_date and is by price"),
        (field("partitionColumns", json!(["x"])), "does not have it"),
        (settings("watertight.pipeline", json!("q")), "watertight.pipeline was p and became q"),
        (settings("delta.enableExpiredLogCleanup", json!("true")), "must be false and is true"),
        (settings("delta.setTransactionRetentionDuration", json!("interval 1 day")), "positions expire"),
        (json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7}}), "reader 3, writer 7"),
        (json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 1}}), "became reader 1, writer 1"),
    ];
    for (action, what) in changes {
        let little = LittleLog::empty();
        little.entry(0, &create());
        little.entry(1, &ours(1, "maintain", &[action]));
        let kept = checked(&little);
        assert!(whats(&kept).contains(what), "{what}: {}", whats(&kept));
        let all = found(&kept);
        assert!(all.iter().all(|one| *one == (Code::SchemaChange, Some(1), None)), "{all:?}");
    }
}

#[test]
fn a_rewrite_of_others_is_a_note_and_their_rows_are_a_fault() {
    let removed = |change: bool| json!({"remove": {"path": part(1), "dataChange": change}});
    let added = |change: bool| {
        let mut file = add(&format!("{DAY}/theirs.parquet"), 10);
        file["add"]["dataChange"] = json!(change);
        file
    };
    let position = |id: &str| json!({"txn": {"appId": id, "version": 1}});
    let mut other = metadata(SCHEMA);
    other["metaData"]["configuration"]["delta.appendOnly"] = json!("true");
    let commits = [
        (vec![removed(false), added(false)], Code::ForeignCommit),
        (vec![], Code::ForeignCommit),
        (vec![position("spark/1")], Code::ForeignCommit),
        (vec![added(true)], Code::ForeignChange),
        (vec![removed(true)], Code::ForeignChange),
        (vec![position(POSITION)], Code::ForeignChange),
        (vec![position("watertight/p/t/i/7")], Code::ForeignChange),
    ];
    for (actions, code) in commits {
        let little = LittleLog::plain();
        little.file(&format!("{DAY}/theirs.parquet"), 10);
        little.entry(4, &foreign(&actions));
        let mut kept = checked(&little);
        kept.findings.retain(|finding| finding.code != Code::Orphan);
        assert_eq!(found(&kept), [(code, Some(4), None)]);
        assert!(whats(&kept).contains("OPTIMIZE by delta-rs:py-1.6.6"), "{}", whats(&kept));
    }
    let little = LittleLog::plain();
    little.entry(4, &foreign(&[other]));
    let kept = checked(&little);
    assert_eq!(found(&kept), [(Code::SchemaChange, Some(4), None), (Code::ForeignCommit, Some(4), None)]);
}

#[test]
fn a_commit_that_does_what_its_kind_never_does_is_a_fault() {
    let remove = json!({"remove": {"path": part(1), "dataChange": true}});
    for kind in ["append", "maintain", "compact"] {
        let little = LittleLog::plain();
        little.entry(4, &ours(4, kind, std::slice::from_ref(&remove)));
        assert_eq!(found(&checked(&little)), [(Code::ForeignChange, Some(4), None)], "{kind}");
    }
    let little = LittleLog::plain();
    little.entry(4, &ours(4, "replace", &[remove]));
    assert!(checked(&little).findings.is_empty());
}

#[test]
fn versions_out_of_scope_get_no_finding() {
    let little = LittleLog::plain();
    fs::remove_file(little.folder().join(part(1))).unwrap();
    little.entry(4, &foreign(&[]));
    let all = checked_within(&little, Scope::default());
    assert_eq!((all.0.findings.len(), all.1), (2, 5));
    let since = Scope { since: Some(Bound::Version(2)), ..Scope::default() };
    let (kept, looked_at) = checked_within(&little, since);
    assert_eq!((found(&kept), looked_at), (vec![(Code::ForeignCommit, Some(4), None)], 3));
    let until = Scope { until: Some(Bound::Version(3)), ..Scope::default() };
    let (kept, looked_at) = checked_within(&little, until);
    assert_eq!((found(&kept).len(), kept.findings[0].code, looked_at), (1, Code::FileMissing, 4));
}
