//! The checker checked: little traces, written by hand, of what is right and of each thing that is wrong.

use super::model::Disk;
use super::rules::{Replay, Rule};
use std::path::Path;

const NONE: [Rule; 0] = [];
const TABLE: &str = "/r/lake/silver/t";
const LOG: &str = "/r/lake/silver/t/_delta_log";
const DAY: &str = "/r/lake/silver/t/d=1";
const PARTITION: &str = "/r/log/t/0";

/// A disk with a table and a partition that were there before.
fn disk() -> Disk {
    let mut disk = Disk::new(Path::new("/r"));
    for path in ["/r/lake", "/r/lake/silver", TABLE, LOG, DAY, "/r/log", "/r/log/t", PARTITION] {
        disk.was_there(Path::new(path), 0);
    }
    disk.was_there(Path::new("/r/log/t/topic.json"), 9);
    disk.was_there(Path::new("/r/log/t/0/durable"), 56);
    disk
}

/// A file made and written by a thread.
fn written(thread: u32, path: &str) -> String {
    format!(
        "{thread} openat(AT_FDCWD</r>, \"{path}\", O_WRONLY|O_CREAT|O_CLOEXEC, 0666) = 3<{path}>\n\
         {thread} write(3<{path}>, \"\"..., 7) = 7\n"
    )
}

fn synced(thread: u32, path: &str) -> String {
    format!("{thread} fsync(3<{path}>) = 0\n")
}

fn linked(thread: u32, from: &str, to: &str) -> String {
    format!(
        "{thread} linkat(AT_FDCWD</r>, \"{from}\", AT_FDCWD</r>, \"{to}\", 0) = 0\n{thread} unlink(\"{from}\") = 0\n"
    )
}

fn renamed(from: &str, to: &str) -> String {
    format!("1 rename(\"{from}\", \"{to}\") = 0\n")
}

fn entry(table: &str, version: u32) -> String {
    format!("{table}/_delta_log/{version:020}.json")
}

/// An entry up to its link, its bytes durable.
fn entry_linked(thread: u32, table: &str, version: u32) -> String {
    let temporary = format!("{table}/_delta_log/.wt-{version}.tmp");
    let name = entry(table, version);
    [written(thread, &temporary), synced(thread, &temporary), linked(thread, &temporary, &name)].concat()
}

/// The rules broken by processes, one after the other; whether the last one ends well.
fn broken(traces: &[&[String]], ended_well: bool) -> Vec<Rule> {
    let mut replay = Replay::new(disk());
    for (at, trace) in traces.iter().enumerate() {
        replay.play(&trace.concat(), Path::new("/r"), ended_well && at + 1 == traces.len(), &|_| 7);
    }
    replay.broken().into_iter().collect()
}

fn data() -> String {
    format!("{DAY}/part-1.parquet")
}

#[test]
fn a_commit_that_syncs_everything_in_its_order_breaks_no_rule() {
    let file = data();
    let commit = [
        written(1, &file),
        synced(1, &file),
        synced(1, DAY),
        entry_linked(1, TABLE, 1),
        synced(1, LOG),
        entry_linked(1, TABLE, 2),
        synced(1, LOG),
    ];
    assert_eq!(broken(&[&commit], true), NONE);
}

#[test]
fn a_data_file_or_its_name_that_is_not_durable_at_the_link_is_found() {
    let file = data();
    let without_bytes = [written(1, &file), synced(1, DAY), entry_linked(1, TABLE, 1)];
    assert_eq!(broken(&[&without_bytes], false), [Rule::DataBeforeEntry]);
    let without_name = [written(1, &file), synced(1, &file), entry_linked(1, TABLE, 1)];
    assert_eq!(broken(&[&without_name], false), [Rule::DataBeforeEntry]);
    let before_the_last_write = [synced(1, &file), written(1, &file)];
    let early = [written(1, &file), before_the_last_write.concat(), synced(1, DAY), entry_linked(1, TABLE, 1)];
    assert_eq!(broken(&[&early], false), [Rule::DataBeforeEntry]);
}

#[test]
fn a_folder_that_is_not_durable_in_its_parent_is_found() {
    let day = format!("{TABLE}/d=2");
    let file = format!("{day}/part-1.parquet");
    let made = format!("1 mkdir(\"{day}\", 0777) = 0\n");
    let staged = [written(1, &file), synced(1, &file), synced(1, &day)].concat();
    let all = [made.clone(), synced(1, TABLE), staged.clone(), entry_linked(1, TABLE, 1), synced(1, LOG)];
    assert_eq!(broken(&[&all], true), NONE);
    let without = [made.clone(), staged.clone(), entry_linked(1, TABLE, 1)];
    assert_eq!(broken(&[&without], false), [Rule::DataBeforeEntry]);
    let left_by_a_dead_one = [staged, entry_linked(1, TABLE, 1)];
    assert_eq!(broken(&[&[made], &left_by_a_dead_one], false), [Rule::DataBeforeEntry]);
}

#[test]
fn a_rename_before_the_bytes_are_durable_is_found_and_caches_are_spared() {
    let (temporary, path) = ("/r/lake/_w.json.tmp", "/r/lake/_w.json");
    let right = [written(1, temporary), synced(1, temporary), renamed(temporary, path), synced(1, "/r/lake")];
    assert_eq!(broken(&[&right], true), NONE);
    let early = [written(1, temporary), renamed(temporary, path), synced(1, path), synced(1, "/r/lake")];
    assert_eq!(broken(&[&early], true), [Rule::BytesBeforeName]);
    let state = "/r/lake/_watertight/state";
    let cache = [
        written(1, &format!("{state}/x/blob-w.tmp")),
        renamed(&format!("{state}/x/blob-w.tmp"), &format!("{state}/x/blob-w")),
    ];
    assert_eq!(broken(&[&cache], true), NONE);
}

#[test]
fn a_sync_counts_at_its_end_and_only_for_what_was_written_before_it_began() {
    let (temporary, path) = ("/r/lake/_w.json.tmp", "/r/lake/_w.json");
    let begins = format!("2 fsync(3<{temporary}> <unfinished ...>\n");
    let ends = "2 <... fsync resumed>) = 0\n".to_owned();
    let in_time = [written(1, temporary), begins.clone(), ends.clone(), renamed(temporary, path)];
    assert_eq!(broken(&[&in_time], false), NONE);
    let not_ended = [written(1, temporary), begins.clone(), renamed(temporary, path), ends.clone()];
    assert_eq!(broken(&[&not_ended], false), [Rule::BytesBeforeName]);
    let begun_too_early = [
        format!("1 openat(AT_FDCWD</r>, \"{temporary}\", O_WRONLY|O_CREAT|O_CLOEXEC, 0666) = 3<{temporary}>\n"),
        begins,
        format!("1 write(3<{temporary}>, \"\"..., 7) = 7\n"),
        ends,
        renamed(temporary, path),
    ];
    assert_eq!(broken(&[&begun_too_early], false), [Rule::BytesBeforeName]);
}

#[test]
fn the_next_entry_waits_for_the_name_of_the_one_before_by_thread() {
    let other = "/r/lake/bronze/u";
    let made =
        ["/r/lake/bronze", other, "/r/lake/bronze/u/_delta_log"].map(|f| format!("2 mkdir(\"{f}\", 0777) = 0\n"));
    let durable = [synced(2, "/r/lake"), synced(2, "/r/lake/bronze"), synced(2, other)].concat();
    let side_by_side = [
        made.concat(),
        durable,
        entry_linked(1, TABLE, 1),
        entry_linked(2, other, 0),
        synced(1, LOG),
        entry_linked(1, TABLE, 2),
    ];
    assert_eq!(broken(&[&side_by_side], false), NONE);
    let too_soon = [entry_linked(1, TABLE, 1), entry_linked(1, TABLE, 2)];
    assert_eq!(broken(&[&too_soon], false), [Rule::EntryBeforeNext]);
    let state = [entry_linked(1, TABLE, 1), written(1, "/r/lake/_watertight/state/x/delta-1")];
    assert_eq!(broken(&[&state], false), [Rule::EntryBeforeNext]);
}

#[test]
fn an_entry_of_a_dead_process_is_made_durable_before_what_was_read_of_it_goes_on() {
    let name = entry(TABLE, 1);
    let dies = [entry_linked(1, TABLE, 1)];
    let read = format!("5 openat(AT_FDCWD</r>, \"{name}\", O_RDONLY|O_CLOEXEC) = 3<{name}>\n");
    let careful = [read.clone(), synced(5, LOG), entry_linked(5, TABLE, 2)];
    assert_eq!(broken(&[&dies, &careful], false), NONE);
    let trusting = [read, entry_linked(5, TABLE, 2)];
    assert_eq!(broken(&[&dies, &trusting], false), [Rule::EntryBeforeNext]);
}

#[test]
fn a_write_within_which_a_process_died_counts_where_bytes_came_of_it() {
    let segment = format!("{PARTITION}/00000000000000000000.seg");
    let opened = format!("1 openat(AT_FDCWD</r>, \"{segment}\", O_RDWR|O_CREAT, 0666) = 3<{segment}>\n");
    let dies = [opened, format!("1 pwritev(3<{segment}>, [...], 2, 0) = ?\n")];
    let mark = format!("1 pwrite64(4<{PARTITION}/durable>, \"\"..., 56, 0) = 56\n");
    assert_eq!(broken(&[&dies, &[synced(1, PARTITION), mark.clone()]], false), [Rule::LogBeforeMark]);
    assert_eq!(
        broken(&[&dies[..1], std::slice::from_ref(&mark)], false),
        NONE,
        "a segment without bytes holds nothing"
    );
    assert_eq!(broken(&[&dies, &[synced(1, &segment), synced(1, PARTITION), mark]], false), NONE);
}

#[test]
fn a_mark_or_a_ledger_ahead_of_the_log_is_found() {
    let segment = format!("{PARTITION}/00000000000000000000.seg");
    let mark = format!("1 pwrite64(4<{PARTITION}/durable>, \"\"..., 56, 0) = 56\n");
    let right = [written(1, &segment), synced(1, &segment), synced(1, PARTITION), mark.clone()];
    assert_eq!(broken(&[&right], true), NONE, "a mark itself may be lost");
    let without_name = [written(1, &segment), synced(1, &segment), mark.clone()];
    assert_eq!(broken(&[&without_name], false), [Rule::LogBeforeMark]);
    let without_bytes = [written(1, &segment), synced(1, PARTITION), mark];
    assert_eq!(broken(&[&without_bytes], false), [Rule::LogBeforeMark]);
    let ledger = "/r/a.ledger";
    let begun =
        [written(1, "/r/a.new"), synced(1, "/r/a.new"), linked(1, "/r/a.new", ledger), synced(1, "/r")].concat();
    let line = format!("1 write(5<{ledger}>, \"\"..., 7) = 7\n");
    let appended = [written(1, &segment), synced(1, &segment), synced(1, PARTITION)].concat();
    let acked = [begun.clone(), appended.clone(), line.clone(), synced(1, ledger)];
    assert_eq!(broken(&[&acked], true), NONE);
    let before_the_log = [begun.clone(), written(1, &segment), line.clone()];
    assert_eq!(broken(&[&before_the_log], false), [Rule::LogBeforeLedger]);
    let unsynced = [begun, appended, line];
    assert_eq!(broken(&[&unsynced], true), [Rule::LogBeforeLedger]);
}

#[test]
fn a_topic_before_its_partitions_and_a_removal_before_the_new_base_are_found() {
    let made = "1 mkdir(\"/r/log/t/1\", 0777) = 0\n".to_owned();
    let mark = written(1, "/r/log/t/1/durable");
    let durable = [synced(1, "/r/log/t"), synced(1, "/r/log/t/1/durable"), synced(1, "/r/log/t/1")];
    let file = [written(1, "/r/log/t/topic.json.new"), synced(1, "/r/log/t/topic.json.new")].concat();
    let named = renamed("/r/log/t/topic.json.new", "/r/log/t/topic.json");
    let right = [made.clone(), durable[0].clone(), mark.clone(), durable[1..].concat(), file.clone(), named.clone()];
    assert_eq!(broken(&[&right], false), NONE);
    for (missing, sync) in durable.iter().enumerate() {
        let mut syncs = durable.clone();
        syncs[missing].clear();
        let trace = [made.clone(), syncs[0].clone(), mark.clone(), syncs[1..].concat(), file.clone(), named.clone()];
        assert!(broken(&[&trace], false).contains(&Rule::PartitionsBeforeTopic), "without {sync}");
    }
    let state = "/r/lake/_watertight/state/x";
    let (temporary, base, old) = (format!("{state}/base-2.tmp"), format!("{state}/base-2"), format!("{state}/base-1"));
    let replaced = [written(1, &temporary), synced(1, &temporary), renamed(&temporary, &base)].concat();
    let removed = format!("1 unlink(\"{old}\") = 0\n");
    let begun = [written(1, &old), synced(1, &old), synced(1, state)].concat();
    let right = [begun.clone(), replaced.clone(), synced(1, state), removed.clone()];
    assert_eq!(broken(&[&right], true), NONE);
    assert_eq!(broken(&[&[begun, replaced, removed]], false), [Rule::BaseBeforeRemoval]);
}

#[test]
fn what_is_not_durable_when_a_process_ends_well_is_found() {
    let right = [written(1, "/r/x"), synced(1, "/r/x"), synced(1, "/r"), written(1, "/r/log/lock~")];
    assert_eq!(broken(&[&right], true), NONE);
    assert_eq!(broken(&[&[written(1, "/r/x"), synced(1, "/r/x")]], true), [Rule::AllAtExit]);
    assert_eq!(broken(&[&[written(1, "/r/x"), synced(1, "/r")]], true), [Rule::AllAtExit]);
    let removed = [written(1, "/r/x"), synced(1, "/r/x"), synced(1, "/r"), "1 unlink(\"/r/x\") = 0\n".to_owned()];
    assert_eq!(broken(&[&removed], true), [Rule::AllAtExit]);
}
