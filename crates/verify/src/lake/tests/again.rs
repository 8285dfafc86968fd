//! A log that is looked at again: only what is new is read, and what is another is found.

use crate::finding::{Code, Kept};
use crate::lake::little_log::{LittleLog, add, append, foreign, found, part};
use crate::lake::{Logs, Table};
use std::fs;

/// Looks at the log, gives the table back, and says how many files were read.
fn look(little: &LittleLog, logs: &mut Logs) -> (Table, Kept, u64) {
    let before = logs.files_read();
    let (table, kept) = little.observe_with(logs);
    let table = table.unwrap();
    logs.keep([table.clone()]);
    (table, kept, logs.files_read() - before)
}

fn same(one: &Table, other: &Table) -> bool {
    (&one.commits, &one.live, &one.txns, one.version) == (&other.commits, &other.live, &other.txns, other.version)
}

#[test]
fn a_second_look_reads_the_new_entries_only_and_sees_the_same_table() {
    let (little, mut logs) = (LittleLog::plain(), Logs::default());
    let (first, _, read) = look(&little, &mut logs);
    assert_eq!((first.version, read), (3, 4));
    let (second, kept, read) = look(&little, &mut logs);
    assert!(same(&first, &second) && found(&kept).is_empty() && read == 0, "{read} files were read again");
    for version in 4..=5 {
        little.file(&part(version), 10 * version);
        little.entry(version, &append(version, &[add(&part(version), 10 * version)]));
        let (grown, kept, read) = look(&little, &mut logs);
        assert_eq!((grown.version, read), (version, 1));
        assert!(same(&grown, &little.observe().0.unwrap()) && found(&kept).is_empty(), "as who reads all of it");
    }
}

#[test]
fn an_entry_that_is_another_or_gone_is_found_by_the_next_look() {
    let (little, mut logs) = (LittleLog::plain(), Logs::default());
    look(&little, &mut logs);
    // A new file under the old name: another inode.
    let copy = little.log().join("copy");
    fs::copy(little.entry_path(2), &copy).unwrap();
    fs::rename(&copy, little.entry_path(2)).unwrap();
    assert_eq!(look(&little, &mut logs).2, 1);
    assert_eq!(look(&little, &mut logs).2, 0);
    little.entry(2, &foreign(&[add(&part(2), 20)]));
    let (altered, _, read) = look(&little, &mut logs);
    assert_eq!((altered.commits[2].is_append(), read), (false, 1));
    fs::remove_file(little.entry_path(1)).unwrap();
    let (_, kept, read) = look(&little, &mut logs);
    assert_eq!((found(&kept), read), (vec![(Code::VersionMissing, Some(1), None)], 0));
}

#[test]
fn what_was_wrong_is_told_by_every_look() {
    let (little, mut logs) = (LittleLog::plain(), Logs::default());
    little.entry(4, &append(4, &[add("../out.parquet", 1)]));
    let bytes = fs::read(little.entry_path(2)).unwrap();
    fs::write(little.entry_path(2), &bytes[..bytes.len() - 20]).unwrap();
    let first = look(&little, &mut logs).1;
    let (_, second, read) = look(&little, &mut logs);
    assert_eq!((first.findings.len() > 1, &first.findings, read), (true, &second.findings, 2));
    // Added twice: that follows from entries of which each is right, and which are kept.
    let (little, mut logs) = (LittleLog::plain(), Logs::default());
    little.entry(4, &append(4, &[add(&part(2), 20)]));
    for read in [5, 0] {
        let (_, kept, now) = look(&little, &mut logs);
        let codes: Vec<Code> = kept.findings.iter().map(|finding| finding.code).collect();
        assert_eq!((codes, now), (vec![Code::AddedTwice], read));
    }
}

#[test]
fn a_path_that_now_leads_out_of_the_folder_is_found_although_its_entry_is_kept() {
    let (little, elsewhere, mut logs) = (LittleLog::plain(), tempfile::tempdir().unwrap(), Logs::default());
    look(&little, &mut logs);
    fs::remove_file(little.folder().join(part(3))).unwrap();
    fs::write(elsewhere.path().join("x"), "x").unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("x"), little.folder().join(part(3))).unwrap();
    let (_, kept, _) = look(&little, &mut logs);
    assert_eq!(found(&kept), [(Code::PathEscapes, Some(3), Some(part(3).as_str()))]);
}

#[test]
fn what_is_not_given_back_is_read_again() {
    let (little, mut logs) = (LittleLog::plain(), Logs::default());
    look(&little, &mut logs);
    assert!(little.observe_with(&mut logs).0.is_ok());
    assert_eq!(look(&little, &mut logs).2, 4);
}
