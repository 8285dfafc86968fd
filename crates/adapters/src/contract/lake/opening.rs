//! Opening: creation, ownership, following the specification, state after a restart.

use super::{LakeBench, all_types, request, rows_of, some_rows, spec, step};
use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use std::sync::Arc;
use watertight_core::port::{CommitOutcome, ErrorKind, TableSpec};

fn with_fields(fields: Vec<Field>) -> TableSpec {
    TableSpec { columns: Arc::new(Schema::new(fields)), ..spec() }
}

fn with_new_column() -> TableSpec {
    let mut fields: Vec<Field> = spec().columns.fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.insert(0, Field::new("added", DataType::Int64, true));
    with_fields(fields)
}

pub(super) fn a_new_table_has_its_columns_and_nothing_else(bench: &impl LakeBench) {
    let (spec, _) = all_types(1, 0);
    let table = bench.lake().open(&spec).unwrap();
    assert_eq!(table.columns(), spec.columns);
    let state = table.state();
    assert_eq!((state.version, state.positions.len(), &state.last_append), (0, 0, &None));
    assert_eq!(state.configuration["watertight.pipeline"], spec.pipeline);
    assert!(table.live_files().unwrap().is_empty());
    let commits = table.commits_after(None).unwrap();
    assert_eq!((commits.len(), commits[0].version, commits[0].files.len()), (1, 0, 0));
}

pub(super) fn a_table_of_another_pipeline_is_refused(bench: &impl LakeBench) {
    bench.lake().open(&spec()).unwrap();
    let other = TableSpec { pipeline: "99999999-2222-4333-8444-555555555555".to_owned(), ..spec() };
    assert_eq!(bench.lake().open(&other).err().unwrap().kind, ErrorKind::Stop);
}

pub(super) fn a_table_that_is_not_there_is_looked_at_as_none(bench: &impl LakeBench) {
    assert!(bench.lake().look("silver", "ticks").unwrap().is_none());
    bench.lake().open(&spec()).unwrap();
    assert!(bench.lake().look("silver", "ticks").unwrap().is_some());
}

pub(super) fn a_table_keeps_its_id_and_one_that_is_made_anew_has_another(bench: &impl LakeBench) {
    let mut table = bench.lake().open(&spec()).unwrap();
    let id = table.state().id.clone();
    assert!(!id.is_empty());
    let file = table.stage(3, &some_rows(0, 2, 3)).unwrap();
    table.commit(&request("a", vec![step(0, None, 2)], vec![file])).unwrap();
    assert_eq!(bench.lake().open(&with_new_column()).unwrap().state().id, id);
    assert_eq!(bench.lake().look("silver", "ticks").unwrap().unwrap().state().id, id);
    let beside = TableSpec { table: "quotes".to_owned(), ..spec() };
    assert_ne!(bench.lake().open(&beside).unwrap().state().id, id);
    bench.remove();
    let anew = bench.lake().open(&spec()).unwrap();
    assert_eq!(anew.state().version, 0);
    assert_ne!(anew.state().id, id);
}

pub(super) fn a_table_opened_for_reading_refuses_to_write(bench: &impl LakeBench) {
    let mut writer = bench.lake().open(&spec()).unwrap();
    let mut looked = bench.lake().look("silver", "ticks").unwrap().unwrap();
    let file = writer.stage(3, &some_rows(0, 2, 3)).unwrap();
    writer.commit(&request("a", vec![step(0, None, 2)], vec![file])).unwrap();
    assert_eq!(looked.state().version, 0);
    assert_eq!(looked.refresh().unwrap().positions, writer.state().positions);
    assert_eq!(rows_of(looked.as_ref(), &[]), some_rows(0, 2, 3));
    assert_eq!(looked.state().last_append, writer.state().last_append);
    assert_eq!(looked.stage(3, &some_rows(0, 1, 3)).unwrap_err().kind, ErrorKind::Bug);
    assert_eq!(looked.commit(&request("b", vec![], vec![])).unwrap_err().kind, ErrorKind::Bug);
}

pub(super) fn a_new_nullable_column_is_added_and_old_rows_have_null_there(bench: &impl LakeBench) {
    let mut old = bench.lake().open(&spec()).unwrap();
    let file = old.stage(3, &some_rows(0, 2, 3)).unwrap();
    old.commit(&request("a", vec![step(0, None, 2)], vec![file])).unwrap();
    let mut new = bench.lake().open(&with_new_column()).unwrap();
    assert_eq!(new.columns(), with_new_column().columns);
    assert_eq!((new.state().version, new.state().positions.len()), (2, 1));
    assert_eq!(new.state().last_append_version, Some(1));
    assert_eq!(rows_of(new.as_ref(), &[]).column(0).null_count(), 2);
    let rows = some_rows(10, 1, 3);
    let mut columns = rows.columns().to_vec();
    columns.insert(0, Arc::new(Int64Array::from(vec![7])));
    let rows = RecordBatch::try_new(with_new_column().columns, columns).unwrap();
    let file = new.stage(3, &rows).unwrap();
    new.commit(&request("b", vec![step(0, Some(2), 3)], vec![file])).unwrap();
    let added = rows_of(new.as_ref(), &["added"]);
    assert_eq!(added.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [None, None, Some(7)]);
    // A process with the old definition goes on: what it lacks is null.
    let file = old.stage(3, &some_rows(20, 1, 3)).unwrap();
    assert_eq!(old.refresh().unwrap().version, 3);
    assert_eq!(old.columns(), new.columns());
    old.commit(&request("c", vec![step(0, Some(3), 4)], vec![file])).unwrap();
    new.refresh().unwrap();
    assert_eq!(rows_of(new.as_ref(), &["id", "added"]).num_rows(), 4);
}

pub(super) fn a_column_no_longer_declared_stays_and_is_written_as_null(bench: &impl LakeBench) {
    let mut table = bench.lake().open(&spec()).unwrap();
    let file = table.stage(3, &some_rows(1, 1, 3)).unwrap();
    table.commit(&request("a", vec![step(0, None, 2)], vec![file])).unwrap();
    let fewer = with_fields(vec![spec().columns.field(1).clone(), spec().columns.field(2).clone()]);
    let mut table = bench.lake().open(&fewer).unwrap();
    let names: Vec<_> = table.columns().fields().iter().map(|f| (f.name().clone(), f.is_nullable())).collect();
    let expected = [("note", true), ("id", true), ("_event_date", false)];
    assert_eq!(names, expected.map(|(name, null)| (name.to_owned(), null)));
    let rows = some_rows(2, 1, 3).project(&[1, 2]).unwrap();
    let file = table.stage(3, &rows).unwrap();
    table.commit(&request("b", vec![step(0, Some(2), 3)], vec![file])).unwrap();
    let read = rows_of(table.as_ref(), &["id"]);
    assert_eq!(read.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None]);
    let again = bench.lake().open(&fewer).unwrap();
    assert_eq!(again.state().version, table.state().version, "nothing is left to change");
}

pub(super) fn a_changed_type_or_a_new_required_column_stops_with_advice(bench: &impl LakeBench) {
    bench.lake().open(&spec()).unwrap();
    let mut fields: Vec<Field> = spec().columns.fields().iter().map(|field| field.as_ref().clone()).collect();
    fields[0] = Field::new("id", DataType::Utf8, false);
    assert_eq!(bench.lake().open(&with_fields(fields.clone())).err().unwrap().kind, ErrorKind::Stop);
    fields[0] = Field::new("other", DataType::Utf8, false);
    assert_eq!(bench.lake().open(&with_fields(fields)).err().unwrap().kind, ErrorKind::Stop);
    assert_eq!(bench.lake().open(&spec()).unwrap().state().version, 0);
}

pub(super) fn a_specification_that_no_table_can_have_is_refused(bench: &impl LakeBench) {
    let unpartitioned = TableSpec { partition_column: "id".to_owned(), ..spec() };
    let climbing = TableSpec { table: "../ticks".to_owned(), ..spec() };
    let unsigned =
        with_fields(vec![Field::new("n", DataType::UInt64, true), Field::new("_event_date", DataType::Date32, false)]);
    for bad in [unpartitioned, climbing, unsigned] {
        assert_eq!(bench.lake().open(&bad).err().unwrap().kind, ErrorKind::Stop);
    }
    assert!(bench.lake().look("silver", "ticks").unwrap().is_none());
}

pub(super) fn state_and_books_read_back_whole_after_reopening(bench: &impl LakeBench) {
    let mut table = bench.lake().open(&spec()).unwrap();
    for n in 0..5 {
        let file = table.stage(3, &some_rows(n * 2, 2, 3)).unwrap();
        let from = (n > 0).then_some(n * 2);
        let made = table.commit(&request(&format!("c{n}"), vec![step(0, from, n * 2 + 2)], vec![file])).unwrap();
        assert_eq!(made, CommitOutcome::Committed(n as u64 + 1));
    }
    let again = bench.lake().open(&spec()).unwrap();
    assert_eq!(again.state(), table.state());
    let books = again.state().last_append.clone().unwrap();
    assert_eq!(books.entries, request("c4", vec![step(0, Some(8), 10)], vec![]).books.entries);
    assert_eq!((books.commit_id.as_str(), books.decisions.len(), books.rows), ("c4", 1, 2));
    assert_eq!(books.watermarks, request("x", vec![], vec![]).books.watermarks);
    assert_eq!(rows_of(again.as_ref(), &[]), some_rows(0, 10, 3));
}
