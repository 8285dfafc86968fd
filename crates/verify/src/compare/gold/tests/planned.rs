//! Planning: what can be recomputed, by which key, and which version closed which window.

use super::super::eras::{Era, InForce};
use super::*;
use crate::books::Books;
use crate::lake::{Commit, Metadata, Origin, Table, TableName};
use crate::request::Bound;
use arrow::array::AsArray;
use arrow::datatypes::{Decimal128Type, Int64Type};

#[test]
fn the_key_is_what_the_sql_groups_by_with_the_window_first() {
    let sql = "SELECT symbol, window_end, window_start, count(*) AS trades FROM ticks
        GROUP BY window_start, window_end, symbol";
    assert_eq!(plan(sql).unwrap().keys(), ["window_start", "symbol", "window_end"]);
    let nested = "SELECT * FROM (SELECT window_start, upper(symbol) AS symbol, sum(volume) AS volume FROM ticks
        GROUP BY window_start, upper(symbol)) WHERE volume > 0";
    assert_eq!(plan(nested).unwrap().keys(), ["window_start", "symbol"]);
}

#[test]
fn what_cannot_be_computed_by_windows_is_refused() {
    for (sql, why) in [
        ("SELECT window_start, count(*) AS trades FROM ticks GROUP BY window_start LIMIT 3", "more than a SELECT"),
        ("SELECT window_start, count(*) AS trades FROM ticks GROUP BY window_start ORDER BY 1", "more than a SELECT"),
        ("SELECT count(*) AS trades FROM ticks", "does not select the window_start"),
        ("SELECT window_start FROM ticks", "aggregates 0 times"),
        ("SELECT window_start, count(*) AS trades FROM other GROUP BY window_start", "other"),
        ("SELECT window_start, first_value(volume) AS volume FROM ticks GROUP BY window_start", "no ORDER BY"),
        ("SELECT window_start, count(*) AS elsewhere FROM ticks GROUP BY window_start", "not in the table"),
        ("SELECT window_start, sum(nope) AS volume FROM ticks GROUP BY window_start", "nope"),
        ("CREATE TABLE t AS SELECT 1", "more than a SELECT"),
    ] {
        let refused = plan(sql).err().unwrap_or_else(|| panic!("{sql} was planned"));
        assert!(refused.contains(why), "{sql}: {refused}");
    }
}

#[test]
fn equal_times_are_ordered_by_partition_and_offset() {
    let model = plan(CANDLES).unwrap();
    let rows: [Tick; 4] = [
        ("A", 4, 1, 5, false, 2, 7),
        ("A", 3, 1, 5, false, 1, 9),
        ("A", 2, 1, 5, false, 1, 8),
        ("A", 1, 1, 6, false, 0, 0),
    ];
    for shift in 0..rows.len() {
        let mut turned = rows;
        turned.rotate_left(shift);
        let computed = run(&model, &turned, Which::OnTime(BTreeMap::new())).unwrap();
        assert_eq!(computed.num_rows(), 1);
        let open = computed.column_by_name("open").unwrap().as_primitive::<Decimal128Type>();
        assert_eq!(open.value(0), 2, "turned by {shift}");
    }
}

#[test]
fn windows_outside_the_stretch_are_not_computed() {
    let model = plan(CANDLES).unwrap();
    let rows: [Tick; 3] =
        [("A", 1, 1, -1, false, 0, 0), ("A", 1, 2, 0, false, 0, 1), ("A", 1, 4, 10 * MINUTE, false, 0, 2)];
    let computed = run(&model, &rows, Which::OnTime(BTreeMap::new())).unwrap();
    assert_eq!(computed.column_by_name("volume").unwrap().as_primitive::<Int64Type>().values(), &[2]);
}

#[test]
fn an_error_while_running_quotes_no_value() {
    let sql = "SELECT window_start, sum(cast(symbol AS bigint)) AS volume FROM ticks GROUP BY window_start";
    let failed = run(&plan(sql).unwrap(), &[("SECRET", 1, 1, 0, false, 0, 0)], Which::OnTime(BTreeMap::new()));
    match failed {
        Err(Failure::Query(why)) => assert!(!why.contains("SECRET"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn approximate_columns_are_known() {
    let sql = "SELECT window_start, approx_median(volume) + 1 AS volume, count(*) AS trades FROM ticks
        GROUP BY window_start";
    assert_eq!(plan(sql).unwrap().approximate(), ["volume"]);
}

fn append(version: u64, definition: i32, closed_until_us: i64, follows: Option<&str>) -> Commit {
    let books = Books {
        kind: "append".to_owned(),
        follows: follows.map(str::to_owned),
        definition,
        closed_until_us: Some(closed_until_us),
        ..Books::default()
    };
    Commit {
        version,
        timestamp_us: 0,
        origin: Origin::Ours(Box::new(books)),
        adds: Vec::new(),
        removes: Vec::new(),
        txns: Vec::new(),
        metadata: None,
        protocol: None,
    }
}

fn table(commits: Vec<Commit>) -> Table {
    Table {
        name: TableName { schema: "gold".to_owned(), name: "candles".to_owned() },
        folder: std::path::PathBuf::new(),
        version: commits.last().map_or(0, |commit| commit.version),
        commits,
        checkpoint: None,
        live: BTreeMap::new(),
        txns: BTreeMap::new(),
        metadata: Metadata {
            id: String::new(),
            schema_string: String::new(),
            columns: Arc::new(gold()),
            partition_columns: Vec::new(),
            configuration: BTreeMap::new(),
        },
    }
}

fn era(version: i32, after_us: i64, until_us: i64) -> Era {
    Era { version, after_us, until_us }
}

const CHANGED: [InForce; 2] =
    [InForce { version: 1, closed_until_us: None }, InForce { version: 2, closed_until_us: Some(20) }];

#[test]
fn a_window_belongs_to_the_version_that_closed_it() {
    let commits = vec![append(1, 1, 10, None), append(2, 1, 20, Some("a")), append(3, 2, 30, Some("b"))];
    let closed = Closed::of(&table(commits), &CHANGED, &Scope::default());
    assert_eq!(closed.eras, [era(1, i64::MIN, 20), era(2, 20, 30)]);
    assert!(closed.outdated.is_empty());
    assert_eq!((closed.until_us(), closed.closed_by(20), closed.closed_by(21)), (Some(30), Some(2), Some(3)));
    assert!(closed.judges(30) && !closed.judges(31));
}

#[test]
fn a_table_that_was_built_again_is_of_the_newest_version() {
    let closed = Closed::of(&table(vec![append(1, 2, 30, None)]), &CHANGED, &Scope::default());
    assert_eq!(closed.eras, [era(2, i64::MIN, 30)]);
    assert!(closed.outdated.is_empty());
}

#[test]
fn what_a_former_table_had_closed_is_expected_of_the_one_that_was_made_anew() {
    let expected = |commits: Vec<Commit>, until_us: i64, scope: &Scope| {
        let mut closed = Closed::of(&table(commits), &CHANGED, scope);
        closed.expect(until_us, &CHANGED, scope);
        closed.eras
    };
    let all = Scope::default();
    assert_eq!(expected(vec![append(1, 2, 30, None)], 30, &all), [era(2, i64::MIN, 30)]);
    assert_eq!(expected(vec![append(1, 2, 20, None)], 30, &all), [era(2, i64::MIN, 30)]);
    assert_eq!(expected(vec![append(1, 1, 20, None)], 30, &all), [era(1, i64::MIN, 20), era(2, 20, 30)]);
    assert_eq!(expected(Vec::new(), 30, &all), [era(2, i64::MIN, 30)], "nothing was rebuilt");
    let since = Scope { since: Some(Bound::Version(1)), ..Scope::default() };
    assert_eq!(expected(Vec::new(), 30, &since), []);
}

#[test]
fn a_commit_by_a_version_that_was_replaced_is_named() {
    let commits = vec![append(1, 1, 20, None), append(2, 1, 30, Some("a"))];
    let closed = Closed::of(&table(commits), &CHANGED, &Scope::default());
    assert_eq!(closed.outdated, [(2, 1, 2)]);
}

#[test]
fn where_entries_are_gone_the_definitions_say_who_closed_what() {
    let closed = Closed::of(&table(vec![append(7, 2, 40, Some("gone"))]), &CHANGED, &Scope::default());
    assert_eq!(closed.eras, [era(1, i64::MIN, 20), era(2, 20, 40)]);
}

#[test]
fn only_what_the_scope_names_is_judged() {
    let commits = vec![append(1, 1, 10, None), append(2, 1, 20, Some("a")), append(3, 2, 30, Some("b"))];
    let scope = Scope { since: Some(Bound::Version(2)), until: Some(Bound::Version(2)), ..Scope::default() };
    let closed = Closed::of(&table(commits), &CHANGED, &scope);
    assert_eq!(closed.eras, [era(1, 10, 20)]);
    assert_eq!(closed.until_us(), Some(30));
}
