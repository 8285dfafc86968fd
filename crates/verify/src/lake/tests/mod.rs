//! Faults planted in a log, each found at its version.

mod again;
mod checkpoints;

use super::little_log::{DAY, LittleLog, POSITION, add, append, foreign, found, metadata, ours, part};
use super::{Origin, PositionKey};
use crate::finding::Code;
use serde_json::json;
use std::fs;

#[test]
fn an_untouched_log_gives_nothing_and_its_state() {
    let (table, kept) = LittleLog::plain().observe();
    let table = table.unwrap();
    assert!(found(&kept).is_empty(), "{:?}", found(&kept));
    assert!(kept.unable.is_empty());
    assert_eq!((table.version, table.checkpoint, table.commits.len()), (3, None, 4));
    assert_eq!(table.live.keys().cloned().collect::<Vec<_>>(), [part(1), part(2), part(3)]);
    assert_eq!(table.live[&part(2)].version, 2);
    assert_eq!(table.txns[POSITION], 30);
    assert_eq!((table.committed_at_us(2), table.committed_at_us(9)), (2_000_000, 0));
    assert!(table.commits[1].is_append() && !table.commits[0].is_append());
}

#[test]
fn a_version_that_is_missing_is_named() {
    let little = LittleLog::plain();
    fs::remove_file(little.entry_path(2)).unwrap();
    let (table, kept) = little.observe();
    assert_eq!(found(&kept), [(Code::VersionMissing, Some(2), None)]);
    assert_eq!(table.unwrap().commits.iter().map(|commit| commit.version).collect::<Vec<_>>(), [0, 1, 3]);
}

#[test]
fn a_log_without_its_beginning_is_a_finding_and_cannot_be_checked() {
    let little = LittleLog::plain();
    fs::remove_file(little.entry_path(0)).unwrap();
    let (table, kept) = little.observe();
    assert_eq!(found(&kept), [(Code::VersionMissing, Some(0), None)]);
    assert!(table.unwrap_err().why.contains("version 0"));
    let (table, kept) = LittleLog::empty().observe();
    assert_eq!((found(&kept), table.is_err()), (vec![(Code::VersionMissing, Some(0), None)], true));
}

#[test]
fn a_gap_of_any_length_is_bounded() {
    let little = LittleLog::plain();
    little.entry(u64::MAX - 1, &append(4, &[]));
    let (table, kept) = little.observe();
    assert_eq!(found(&kept), [(Code::VersionMissing, Some(4), None)]);
    assert_eq!(table.unwrap().version, u64::MAX - 1);
}

#[test]
fn a_torn_entry_is_named_and_its_whole_lines_are_used() {
    let little = LittleLog::plain();
    let bytes = fs::read(little.entry_path(2)).unwrap();
    fs::write(little.entry_path(2), &bytes[..bytes.len() - 20]).unwrap();
    let (table, kept) = little.observe();
    let file = "_delta_log/00000000000000000002.json";
    assert_eq!(found(&kept), [(Code::EntryUnreadable, Some(2), Some(file))]);
    let table = table.unwrap();
    assert_eq!((table.commits[2].txns.len(), table.commits[2].adds.len(), table.live.len()), (1, 0, 2));
    fs::write(little.entry_path(2), b"").unwrap();
    let (_, kept) = little.observe();
    let codes = [Code::EntryUnreadable, Code::BooksUnreadable];
    assert_eq!(kept.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), codes);
}

#[test]
fn an_entry_that_is_no_file_is_not_opened() {
    let little = LittleLog::plain();
    let elsewhere = little.lake().join("elsewhere.json");
    fs::rename(little.entry_path(2), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, little.entry_path(2)).unwrap();
    let (_, kept) = little.observe();
    assert_eq!((kept.counts[&Code::EntryUnreadable], kept.findings[0].place.version), (1, Some(2)));
}

#[test]
fn an_entry_that_lost_a_line_is_named() {
    let little = LittleLog::plain();
    let mut lines = append(2, &[add(&part(2), 20)]);
    lines.pop();
    little.entry(2, &lines);
    let (_, kept) = little.observe();
    let file = "_delta_log/00000000000000000002.json";
    assert_eq!(found(&kept), [(Code::EntryIncomplete, Some(2), Some(file))]);
    assert!(kept.findings[0].what.contains("written with 3 actions, and holds 2"), "{}", kept.findings[0].what);
}

#[test]
fn a_path_out_of_the_folder_is_named_and_never_live() {
    let escapes =
        ["../secret.parquet", "/etc/passwd", "%2e%2e/secret.parquet", "file:///etc/passwd", "linked/a.parquet"];
    for path in escapes {
        let little = LittleLog::plain();
        let outside = little.lake().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("a.parquet"), b"secret").unwrap();
        std::os::unix::fs::symlink(&outside, little.folder().join("linked")).unwrap();
        little.entry(4, &append(4, &[add(path, 6)]));
        little.entry(5, &ours(5, "replace", &[json!({"remove": {"path": path, "dataChange": true}})]));
        let (table, kept) = little.observe();
        let named = [(Code::PathEscapes, Some(4), Some(path)), (Code::PathEscapes, Some(5), Some(path))];
        assert_eq!(found(&kept), named);
        let table = table.unwrap();
        assert_eq!((table.live.len(), table.commits[4].adds.len(), table.commits[5].removes.len()), (3, 0, 0));
    }
}

#[test]
fn a_file_that_is_added_twice_is_named() {
    let little = LittleLog::plain();
    little.entry(4, &append(4, &[add(&part(1), 10)]));
    little.entry(5, &append(5, &[add(&format!("{DAY}/./new.parquet"), 1), add(&format!("{DAY}/new.parquet"), 1)]));
    let (_, kept) = little.observe();
    let (old, new) = (part(1), format!("{DAY}/new.parquet"));
    assert_eq!(
        found(&kept),
        [(Code::AddedTwice, Some(4), Some(old.as_str())), (Code::AddedTwice, Some(5), Some(new.as_str()))]
    );
}

#[test]
fn a_file_that_is_removed_may_be_added_again() {
    let little = LittleLog::plain();
    let gone = json!({"remove": {"path": part(1), "dataChange": false}});
    little.entry(4, &foreign(&[gone]));
    little.entry(5, &append(5, &[add(&part(1), 10)]));
    let (table, kept) = little.observe();
    assert!(found(&kept).is_empty(), "{:?}", found(&kept));
    let table = table.unwrap();
    assert_eq!(table.live[&part(1)].version, 5);
    assert_eq!(table.commits[4].origin, Origin::Foreign("OPTIMIZE by delta-rs:py-1.6.6".to_owned()));
}

#[test]
fn a_commit_of_ours_without_readable_books_is_named() {
    for books in [json!(null), json!({"format": 9}), json!("x")] {
        let little = LittleLog::plain();
        let mut lines = append(2, &[add(&part(2), 20)]);
        lines[0]["commitInfo"]["watertight"] = books;
        little.entry(2, &lines);
        let (_, kept) = little.observe();
        assert_eq!(found(&kept), [(Code::BooksUnreadable, Some(2), None)]);
    }
}

#[test]
fn a_schema_that_cannot_be_read_is_named_and_the_one_before_stays() {
    for (schema, code) in [
        ("{\"type\":\"struct\"}", Code::EntryUnreadable),
        (r#"{"type":"struct","fields":[{"name":"v","type":"variant"}]}"#, Code::SchemaChange),
    ] {
        let little = LittleLog::plain();
        little.entry(4, &ours(4, "maintain", &[metadata(schema)]));
        let (table, kept) = little.observe();
        assert_eq!(found(&kept), [(code, Some(4), None)]);
        assert_eq!(table.unwrap().metadata.columns.fields().len(), 3);
    }
}

#[test]
fn a_deletion_vector_is_named() {
    let little = LittleLog::plain();
    let mut file = add(&part(4), 40);
    file["add"]["deletionVector"] = json!({"storageType": "u", "pathOrInlineDv": "x", "sizeInBytes": 1});
    little.entry(4, &append(4, &[file]));
    let (_, kept) = little.observe();
    assert_eq!(found(&kept), [(Code::SchemaChange, Some(4), Some(part(4).as_str()))]);
}

#[test]
fn a_hint_to_a_checkpoint_that_is_not_there_is_named() {
    let little = LittleLog::plain();
    fs::write(little.log().join("_last_checkpoint"), br#"{"version":2,"size":9}"#).unwrap();
    let (_, kept) = little.observe();
    assert_eq!(found(&kept), [(Code::CheckpointDiffers, None, Some("_delta_log/_last_checkpoint"))]);
    for torn in ["", "{\"vers"] {
        fs::write(little.log().join("_last_checkpoint"), torn).unwrap();
        assert!(found(&little.observe().1).is_empty(), "{torn:?}");
    }
}

#[test]
fn positions_of_ours_are_told_from_others() {
    let key = PositionKey::parse(POSITION).unwrap();
    let parts = (key.pipeline.as_str(), key.topic.as_str(), key.incarnation.as_str(), key.partition);
    assert_eq!(parts, ("p", "t", "i", 0));
    for other in ["", "watertight", "watertight/p/t/i", "watertight/p/t/i/x", "watertight/p/t/i/0/0", "spark/p/t/i/0"] {
        assert_eq!(PositionKey::parse(other), None, "{other}");
    }
}
