//! Checkpoints of the log: made in the background, used when opening, never trusted.

use crate::contract::lake::{DeltaBench, LakeBench, request, some_rows, spec, step};
use std::fs;
use std::path::PathBuf;
use watertight_core::port::{DataFile, ErrorKind, TableState};

fn checkpoint(bench: &DeltaBench, version: u64) -> PathBuf {
    bench.log().join(format!("{version:020}.checkpoint.parquet"))
}

/// Commits until `to`, every tenth with a file; the handle is dropped, so that a checkpoint under way is finished.
fn commit_to(bench: &DeltaBench, to: i64) -> (TableState, Vec<DataFile>) {
    let mut table = bench.lake().open(&spec()).unwrap();
    let start = table.state().positions.values().next().copied();
    for n in start.unwrap_or(0)..to {
        let files = if n % 10 == 0 { vec![table.stage(3, &some_rows(n, 1, 3)).unwrap()] } else { Vec::new() };
        let from = (n > 0).then_some(n);
        table.commit(&request(&format!("c{n}"), vec![step(0, from, n + 1)], files)).unwrap();
    }
    (table.state().clone(), table.live_files().unwrap())
}

fn assert_reopens(bench: &DeltaBench, state: &TableState, files: &[DataFile]) {
    let table = bench.lake().open(&spec()).unwrap();
    assert_eq!(table.state(), state);
    assert_eq!(table.live_files().unwrap(), files);
}

#[test]
fn a_checkpoint_is_made_every_hundred_commits_and_opening_needs_no_older_entries() {
    let bench = DeltaBench::new();
    let (state, files) = commit_to(&bench, 120);
    assert!(checkpoint(&bench, 100).exists() && bench.log().join("_last_checkpoint").exists());
    assert_eq!(files.len(), 12);
    assert_reopens(&bench, &state, &files);
    (0..=100).for_each(|version| fs::remove_file(bench.entry(version)).unwrap());
    assert_reopens(&bench, &state, &files);
    let table = bench.lake().open(&spec()).unwrap();
    assert_eq!(table.commits_after(Some(100)).unwrap().len(), 20);
    assert_eq!(table.commits_after(Some(99)).unwrap_err().kind, ErrorKind::Stop);
}

#[test]
fn the_books_of_the_newest_append_are_found_below_a_checkpoint() {
    let bench = DeltaBench::new();
    let (state, files) = commit_to(&bench, 100);
    assert!(checkpoint(&bench, 100).exists());
    assert_eq!(state.last_append_version, Some(100));
    assert_reopens(&bench, &state, &files);
    fs::remove_file(bench.entry(100)).unwrap();
    assert_eq!(bench.lake().open(&spec()).err().unwrap().kind, ErrorKind::Stop, "the books are gone");
}

#[test]
fn a_missing_or_torn_last_checkpoint_hint_changes_nothing() {
    let bench = DeltaBench::new();
    let (state, files) = commit_to(&bench, 110);
    let hint = bench.log().join("_last_checkpoint");
    fs::remove_file(&hint).unwrap();
    assert_reopens(&bench, &state, &files);
    fs::write(&hint, b"{\"version\":7").unwrap();
    assert_reopens(&bench, &state, &files);
    let (state, files) = commit_to(&bench, 210);
    assert!(checkpoint(&bench, 200).exists(), "the kernel passes over the torn hint");
    assert_reopens(&bench, &state, &files);
}

#[test]
fn an_unreadable_checkpoint_is_set_aside_and_replaced() {
    for damage in ["cut", "empty", "noise"] {
        let bench = DeltaBench::new();
        let (state, files) = commit_to(&bench, 110);
        let path = checkpoint(&bench, 100);
        let whole = fs::read(&path).unwrap();
        let bytes = match damage {
            "cut" => whole[..whole.len() / 2].to_vec(),
            "empty" => Vec::new(),
            _ => vec![0x5a; whole.len()],
        };
        fs::write(&path, &bytes).unwrap();
        let looked = bench.lake().look("silver", "ticks").unwrap().unwrap();
        assert_eq!((looked.state(), looked.live_files().unwrap()), (&state, files.clone()), "{damage}");
        assert!(path.exists(), "reading changes nothing");
        assert_reopens(&bench, &state, &files);
        let aside = bench.log().join(format!(".damaged-{}", path.file_name().unwrap().to_str().unwrap()));
        assert!(!path.exists() && fs::read(aside).unwrap() == bytes, "{damage}");
        let (state, files) = commit_to(&bench, 112);
        assert!(checkpoint(&bench, 111).exists(), "{damage}: the next commit makes another");
        assert_reopens(&bench, &state, &files);
    }
}

#[test]
fn a_checkpoint_of_which_a_part_is_missing_stands_for_nothing() {
    let bench = DeltaBench::new();
    let (state, files) = commit_to(&bench, 110);
    let whole = checkpoint(&bench, 100);
    let part =
        |number: u32| bench.log().join(format!("00000000000000000100.checkpoint.{number:010}.0000000002.parquet"));
    // Either part holds all of it: read together they say the same.
    fs::copy(&whole, part(1)).unwrap();
    fs::rename(&whole, part(2)).unwrap();
    (0..100).for_each(|version| fs::remove_file(bench.entry(version)).unwrap());
    assert_reopens(&bench, &state, &files);
    fs::remove_file(part(2)).unwrap();
    assert_eq!(bench.lake().open(&spec()).err().unwrap().kind, ErrorKind::Stop, "version 0 is gone");
    fs::copy(part(1), part(2)).unwrap();
    assert_reopens(&bench, &state, &files);
}

#[test]
fn a_checkpoint_without_the_entries_to_replace_it_is_damage_and_is_kept() {
    let bench = DeltaBench::new();
    commit_to(&bench, 110);
    fs::write(checkpoint(&bench, 100), b"x").unwrap();
    fs::remove_file(bench.entry(0)).unwrap();
    assert_eq!(bench.lake().open(&spec()).err().unwrap().kind, ErrorKind::Stop);
    assert!(checkpoint(&bench, 100).exists());
}
