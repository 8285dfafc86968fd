//! Committing: compare and set, rebase, idempotence, other programs; and reading back what was committed.

use super::{Foreign, LakeBench, all_types, request, rows_of, some_rows, spec, step};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;
use watertight_core::port::{CommitOutcome, DataFile, ErrorKind, LakeTable, TableSpec};

fn committed(table: &mut dyn LakeTable, id: &str, from: Option<i64>, to: i64) -> DataFile {
    let file = table.stage(3, &some_rows(from.unwrap_or(0), to - from.unwrap_or(0), 3)).unwrap();
    table.commit(&request(id, vec![step(0, from, to)], vec![file.clone()])).unwrap();
    file
}

pub(super) fn a_commit_makes_positions_and_files_visible_together(bench: &impl LakeBench) {
    let mut table = bench.lake().open(&spec()).unwrap();
    let mut other = bench.lake().open(&spec()).unwrap();
    let files = vec![table.stage(3, &some_rows(0, 4, 3)).unwrap(), table.stage(-4, &some_rows(4, 1, -4)).unwrap()];
    other.refresh().unwrap();
    assert!(other.live_files().unwrap().is_empty(), "a staged file is not live");
    let steps = vec![step(0, None, 3), step(7, None, 2)];
    assert_eq!(table.commit(&request("a", steps, files.clone())).unwrap(), CommitOutcome::Committed(1));
    let state = other.refresh().unwrap().clone();
    assert_eq!((&state, state.version), (table.state(), 1));
    assert_eq!(state.positions.values().copied().collect::<Vec<_>>(), [3, 2]);
    let mut live = other.live_files().unwrap();
    live.sort_by_key(|file| -file.partition_days);
    assert_eq!(live, files);
    // A commit of nothing but its books is one too.
    assert_eq!(table.commit(&request("b", vec![], vec![])).unwrap(), CommitOutcome::Committed(2));
    assert_eq!(table.state().last_append_version, Some(2));
}

pub(super) fn rows_of_every_type_read_back_equal(bench: &impl LakeBench) {
    let (spec, rows) = all_types(1000, 19_000);
    let mut table = bench.lake().open(&spec).unwrap();
    let file = table.stage(19_000, &rows).unwrap();
    assert_eq!((file.rows, file.partition_days), (1000, 19_000));
    table.commit(&request("a", vec![step(0, None, 1000)], vec![file])).unwrap();
    let table = bench.lake().open(&spec).unwrap();
    assert_eq!(rows_of(table.as_ref(), &[]), rows);
}

pub(super) fn columns_are_read_in_the_order_asked_for(bench: &impl LakeBench) {
    let mut table = bench.lake().open(&spec()).unwrap();
    committed(table.as_mut(), "a", None, 5);
    let read = rows_of(table.as_ref(), &["_event_date", "id"]);
    assert_eq!(read, some_rows(0, 5, 3).project(&[2, 0]).unwrap());
    assert_eq!(rows_of(table.as_ref(), &["_event_date"]).num_rows(), 5);
    let file = &table.live_files().unwrap()[0];
    assert_eq!(table.read(file, &["nothing"]).err().unwrap().kind, ErrorKind::Bug);
    let gone = DataFile { path: "_event_date=2026-01-01/gone.parquet".to_owned(), ..file.clone() };
    let error = table.read(&gone, &[]).err().unwrap();
    assert!(error.kind == ErrorKind::Corrupt && error.message.contains("gone.parquet"), "{error}");
}

pub(super) fn the_same_commit_again_is_applied_once(bench: &impl LakeBench) {
    let mut table = bench.lake().open(&spec()).unwrap();
    let file = table.stage(3, &some_rows(0, 2, 3)).unwrap();
    let first = request("a", vec![step(0, None, 2)], vec![file]);
    table.commit(&first).unwrap();
    committed(table.as_mut(), "b", Some(2), 4);
    assert_eq!(table.commit(&first).unwrap(), CommitOutcome::AlreadyCommitted(1));
    let mut again = bench.lake().open(&spec()).unwrap();
    assert_eq!(again.commit(&first).unwrap(), CommitOutcome::AlreadyCommitted(1));
    assert_eq!(again.live_files().unwrap().len(), 2);
}

pub(super) fn a_commit_without_positions_is_applied_once_also_after_reopening(bench: &impl LakeBench) {
    let mut table = bench.lake().open(&spec()).unwrap();
    let file = table.stage(3, &some_rows(0, 2, 3)).unwrap();
    let first = request("a", vec![], vec![file]);
    assert_eq!(table.commit(&first).unwrap(), CommitOutcome::Committed(1));
    for n in 0..3 {
        table.commit(&request(&format!("b{n}"), vec![], vec![])).unwrap();
    }
    let mut again = bench.lake().open(&spec()).unwrap();
    assert_eq!(again.commit(&first).unwrap(), CommitOutcome::AlreadyCommitted(1));
    assert_eq!(again.state().version, 4);
}

pub(super) fn a_lost_answer_is_resolved_by_reading_back(bench: &impl LakeBench) {
    let mut table = bench.lake().open(&spec()).unwrap();
    let mut other = bench.lake().open(&spec()).unwrap();
    let file = table.stage(3, &some_rows(0, 2, 3)).unwrap();
    let asked = request("a", vec![step(0, None, 2)], vec![file]);
    bench.lose_next_answer();
    assert_eq!(table.commit(&asked).unwrap_err().kind, ErrorKind::Unknown);
    // Meanwhile another process goes on from there.
    other.refresh().unwrap();
    committed(other.as_mut(), "b", Some(2), 4);
    assert_eq!(table.commit(&asked).unwrap(), CommitOutcome::AlreadyCommitted(1));
    assert_eq!(table.state().version, 2);
    assert_eq!(rows_of(table.as_ref(), &[]), some_rows(0, 4, 3));
}

pub(super) fn a_commit_that_moves_no_position_is_fenced_by_the_append_it_follows(bench: &impl LakeBench) {
    let mut winner = bench.lake().open(&spec()).unwrap();
    committed(winner.as_mut(), "a", None, 3);
    let mut loser = bench.lake().open(&spec()).unwrap();
    let decision = |id: &str, table: &dyn LakeTable| {
        let mut asked = request(id, vec![], vec![]);
        asked.books.carry(table.state().last_append.as_ref(), 1);
        asked
    };
    let asked = decision("l", loser.as_ref());
    winner.commit(&decision("w", winner.as_ref())).unwrap();
    assert_eq!(loser.commit(&asked).unwrap_err().kind, ErrorKind::Fenced);
    assert_eq!(loser.commit(&asked).unwrap_err().kind, ErrorKind::Fenced);
    assert_eq!(loser.state(), winner.state());
    // Worked out anew upon what it has now read, and repeated after a lost answer, it is made once.
    let again = decision("l2", loser.as_ref());
    bench.lose_next_answer();
    assert_eq!(loser.commit(&again).unwrap_err().kind, ErrorKind::Unknown);
    assert_eq!(loser.commit(&again).unwrap(), CommitOutcome::AlreadyCommitted(3));
}

pub(super) fn the_loser_of_a_race_is_fenced_and_changes_nothing(bench: &impl LakeBench) {
    let mut winner = bench.lake().open(&spec()).unwrap();
    let mut loser = bench.lake().open(&spec()).unwrap();
    let file = loser.stage(3, &some_rows(0, 2, 3)).unwrap();
    committed(winner.as_mut(), "w", None, 3);
    let asked = request("l", vec![step(0, None, 2)], vec![file.clone()]);
    assert_eq!(loser.commit(&asked).unwrap_err().kind, ErrorKind::Fenced);
    assert_eq!(loser.commit(&asked).unwrap_err().kind, ErrorKind::Fenced);
    assert_eq!(loser.state(), winner.state());
    winner.refresh().unwrap();
    assert_eq!((winner.state().version, rows_of(winner.as_ref(), &[]).num_rows()), (1, 3));
    // From the position it has now read, it goes on.
    assert_eq!(
        loser.commit(&request("l2", vec![step(0, Some(3), 5)], vec![file])).unwrap(),
        CommitOutcome::Committed(2)
    );
}

pub(super) fn every_commit_between_is_checked_for_moved_positions(bench: &impl LakeBench) {
    let mut stale = bench.lake().open(&spec()).unwrap();
    let mut other = bench.lake().open(&spec()).unwrap();
    other.commit(&request("p0", vec![step(0, None, 1)], vec![])).unwrap();
    for n in 0..3 {
        let from = (n > 0).then_some(n);
        other.commit(&request(&format!("p1-{n}"), vec![step(1, from, n + 1)], vec![])).unwrap();
    }
    let fenced = stale.commit(&request("s", vec![step(0, None, 1), step(2, None, 1)], vec![]));
    assert_eq!(fenced.unwrap_err().kind, ErrorKind::Fenced);
    assert_eq!(stale.state().positions.len(), 2);
}

pub(super) fn a_commit_is_rebased_over_commits_that_moved_none_of_its_positions(bench: &impl LakeBench) {
    let mut late = bench.lake().open(&spec()).unwrap();
    let mut other = bench.lake().open(&spec()).unwrap();
    other.commit(&request("p1", vec![step(1, None, 9)], vec![])).unwrap();
    let mut fields: Vec<Field> = spec().columns.fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.insert(0, Field::new("added", DataType::Utf8, true));
    bench.lake().open(&TableSpec { columns: Arc::new(Schema::new(fields)), ..spec() }).unwrap();
    let file = late.stage(3, &some_rows(0, 2, 3)).unwrap();
    let made = late.commit(&request("p0", vec![step(0, None, 2)], vec![file])).unwrap();
    assert_eq!(made, CommitOutcome::Committed(3));
    assert_eq!((late.state().positions.len(), late.columns().fields().len()), (2, 4));
    other.refresh().unwrap();
    assert_eq!(other.state(), late.state());
}

pub(super) fn a_commit_is_rebased_over_another_programs_compaction(bench: &impl LakeBench) {
    let mut table = bench.lake().open(&spec()).unwrap();
    let file = committed(table.as_mut(), "a", None, 2);
    bench.foreign(&Foreign::Rewrites(&file));
    committed(table.as_mut(), "b", Some(2), 4);
    assert_eq!(table.state().version, 3);
    let live = table.live_files().unwrap();
    assert_eq!(live.len(), 2);
    assert!(live.iter().all(|found| found.path != file.path && found.rows == 2), "{live:?}");
    let commits = table.commits_after(Some(1)).unwrap();
    assert_eq!((commits[0].version, &commits[0].books, commits[0].files.len()), (2, &None, 0));
    assert_eq!(bench.lake().open(&spec()).unwrap().state(), table.state());
}

pub(super) fn another_programs_changes_stop_the_table(bench: &impl LakeBench) {
    let mut table = bench.lake().open(&spec()).unwrap();
    let file = committed(table.as_mut(), "a", None, 2);
    let mut second = bench.lake().open(&spec()).unwrap();
    bench.foreign(&Foreign::Rewrites(&file));
    second.refresh().unwrap();
    bench.foreign(&Foreign::Removes(&file));
    assert_eq!(table.refresh().unwrap_err().kind, ErrorKind::Stop);
    assert_eq!(table.state().version, 2, "the table stands before the change");
    let asked = request("b", vec![step(0, Some(2), 3)], vec![]);
    assert_eq!(second.commit(&asked).unwrap_err().kind, ErrorKind::Stop);
    assert_eq!(second.commit(&asked).unwrap_err().kind, ErrorKind::Stop);
    assert_eq!(bench.lake().open(&spec()).err().unwrap().kind, ErrorKind::Stop);
    let looked = bench.lake().look("silver", "ticks").unwrap().unwrap();
    assert_eq!(looked.state().version, 3, "reading goes on");
}

pub(super) fn an_own_commit_below_another_programs_change_is_still_found(bench: &impl LakeBench) {
    for (id, change) in [("a", 0), ("b", 1)] {
        let mut table = bench.lake().open(&TableSpec { ..spec() }).unwrap();
        let from = (change > 0).then_some(1);
        let file = table.stage(3, &some_rows(change, 1, 3)).unwrap();
        let asked = request(id, vec![step(0, from, change + 1)], vec![file.clone()]);
        bench.lose_next_answer();
        assert_eq!(table.commit(&asked).unwrap_err().kind, ErrorKind::Unknown);
        match change {
            0 => bench.foreign(&Foreign::Rewrites(&file)),
            _ => bench.foreign(&if id == "b" { Foreign::SetsSchema } else { Foreign::Adds(&file) }),
        }
        assert!(matches!(table.commit(&asked).unwrap(), CommitOutcome::AlreadyCommitted(_)));
    }
    let error = bench.lake().open(&spec()).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Stop);
}

pub(super) fn commits_are_told_oldest_first_with_their_files(bench: &impl LakeBench) {
    let mut table = bench.lake().open(&spec()).unwrap();
    let one = committed(table.as_mut(), "a", None, 2);
    let two = committed(table.as_mut(), "b", Some(2), 3);
    let told = table.commits_after(None).unwrap();
    assert_eq!(told.iter().map(|commit| commit.version).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!((&told[1].files, &told[2].files), (&vec![one], &vec![two]));
    assert_eq!(told[2].books, table.state().last_append);
    assert_eq!(table.commits_after(Some(1)).unwrap(), told[2..]);
    assert!(table.commits_after(Some(2)).unwrap().is_empty());
}

pub(super) fn a_step_back_or_a_foreign_position_is_a_defect(bench: &impl LakeBench) {
    let mut table = bench.lake().open(&spec()).unwrap();
    committed(table.as_mut(), "a", None, 5);
    let mut foreign = step(0, Some(5), 6);
    foreign.key.pipeline = "other".to_owned();
    let mut unnamed = request("", vec![], vec![]);
    unnamed.books.commit_id.clear();
    for bad in [
        request("back", vec![step(0, Some(5), 4)], vec![]),
        request("foreign", vec![foreign], vec![]),
        request("twice", vec![step(0, Some(5), 6), step(0, Some(5), 7)], vec![]),
        unnamed,
    ] {
        assert_eq!(table.commit(&bad).unwrap_err().kind, ErrorKind::Bug);
    }
    assert_eq!(bench.lake().open(&spec()).unwrap().state().version, 1);
}

pub(super) fn rows_of_another_day_or_shape_are_not_staged(bench: &impl LakeBench) {
    let mut table = bench.lake().open(&spec()).unwrap();
    let rows = some_rows(0, 2, 3);
    let empty: RecordBatch = rows.slice(0, 0);
    for (day, bad) in
        [(4, &rows), (3, &empty), (3, &rows.project(&[0, 1]).unwrap()), (3, &rows.project(&[1, 2]).unwrap())]
    {
        assert_eq!(table.stage(day, bad).unwrap_err().kind, ErrorKind::Bug);
    }
}
