//! Statements against a small lake.

use crate::test_lake::TestLake;
use crate::{Format, QueryError, Session};
use arrow::array::{
    ArrayRef, BinaryArray, Decimal128Array, Float64Array, Int64Array, ListArray, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Int32Type};
use std::sync::Arc;
use watertight_core::port::DataFile;
use watertight_core::schema::utc_timestamp;

const TICKS: (&str, &str) = ("silver", "ticks");

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// Two days of ticks: 2025-11-21 with a 1, b 2; 2025-11-22 with a 3.
fn ticks() -> Arc<TestLake> {
    let lake = TestLake::new();
    lake.table(
        "silver",
        "ticks",
        vec![Field::new("symbol", DataType::Utf8, true), Field::new("n", DataType::Int64, true)],
    );
    lake.add(TICKS, 20_413, vec![("symbol", texts(["a", "b"])), ("n", ints([1, 2]))], "");
    lake.add(TICKS, 20_414, vec![("symbol", texts(["a"])), ("n", ints([3]))], "");
    lake
}

fn csv(session: &Session, sql: &str) -> Result<String, QueryError> {
    let rows = session.stream(sql)?;
    let mut out = Vec::new();
    Format::Csv.write(&rows.schema(), rows, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[track_caller]
fn shows(session: &Session, sql: &str, expected: &str) {
    match csv(session, sql) {
        Ok(found) => assert_eq!(found, expected, "{sql}"),
        Err(error) => panic!("{sql}: {error}"),
    }
}

#[test]
fn rows_come_with_their_partition_value_through_any_sql() {
    let lake = ticks();
    let session = lake.session();
    shows(
        &session,
        "select * from silver.ticks order by n",
        "symbol,n,day\na,1,2025-11-21\nb,2,2025-11-21\na,3,2025-11-22\n",
    );
    shows(&session, "select day, n from ticks where n > 1 order by n;", "day,n\n2025-11-21,2\n2025-11-22,3\n");
    shows(
        &session,
        "select symbol, count(*) c, sum(n) s from ticks group by symbol order by 1",
        "symbol,c,s\na,2,4\nb,1,2\n",
    );
    shows(&session, "select count(*) from ticks where day = date '2025-11-22'", "count(*)\n1\n");
    shows(
        &session,
        "with t as (select symbol, n, lag(n) over (partition by symbol order by n) p from ticks) select n - p d from t where p is not null",
        "d\n2\n",
    );
    assert_eq!(session.run("select n from ticks limit 2").unwrap().iter().map(|b| b.num_rows()).sum::<usize>(), 2);
    assert_eq!(
        session.run("select n from ticks where n > 100").unwrap().iter().map(|b| b.num_rows()).sum::<usize>(),
        0
    );
}

#[test]
fn a_column_that_a_file_does_not_have_reads_as_null() {
    let lake = ticks();
    let columns = [("symbol", DataType::Utf8), ("n", DataType::Int64), ("venue", DataType::Utf8)];
    lake.table("silver", "ticks", columns.map(|(name, kind)| Field::new(name, kind, true)).to_vec());
    lake.add(TICKS, 20_414, vec![("symbol", texts(["c"])), ("n", ints([4])), ("venue", texts(["x"]))], "");
    let session = lake.session();
    shows(&session, "select n, venue from ticks order by n", "n,venue\n1,\n2,\n3,\n4,x\n");
    shows(&session, "select count(*) c from ticks where venue is null", "c\n3\n");
    shows(&session, "select n from ticks where venue = 'x'", "n\n4\n");
}

/// A live file that is not there: a query passes only if it did not open it.
fn absent(day: i32, stats: &str) -> DataFile {
    DataFile { path: "absent.parquet".into(), partition_days: day, size: 1000, rows: 1, stats: stats.into() }
}

#[test]
fn files_that_a_filter_rules_out_are_not_opened() {
    let lake = ticks();
    let stats = r#"{"numRecords":1,"minValues":{"symbol":"x","n":100},"maxValues":{"symbol":"y","n":200},"nullCount":{"symbol":0,"n":0}}"#;
    lake.add_file(TICKS, absent(20_500, stats));
    let session = lake.session();
    for ruled_out in [
        "select * from ticks where day < date '2025-12-01'",
        "select * from ticks where day between date '2025-11-21' and date '2025-11-22'",
        "select * from ticks where n < 100",
        "select * from ticks where symbol = 'a'",
        "select * from ticks where symbol in ('a', 'b') and n > 0",
        "select * from ticks where n is null",
    ] {
        assert!(session.run(ruled_out).is_ok(), "{ruled_out}: {:?}", session.run(ruled_out));
    }
    for needed in ["select * from ticks", "select * from ticks where n = 150", "select * from ticks where symbol > 'w'"]
    {
        match session.run(needed) {
            Err(QueryError::Run(text)) => assert!(text.contains("not found"), "{text}"),
            other => panic!("{needed}: {other:?}"),
        }
    }
}

#[test]
fn statistics_are_bounds_and_never_hide_a_row() {
    let lake = TestLake::new();
    let fields = vec![
        Field::new("f", DataType::Float64, true),
        Field::new("at", utc_timestamp(), true),
        Field::new("price", DataType::Decimal128(18, 4), true),
    ];
    lake.table("silver", "odd", fields);
    let at = TimestampMicrosecondArray::from(vec![1_763_718_480_123_999]).with_timezone("UTC");
    let price = Decimal128Array::from(vec![12_345]).with_precision_and_scale(18, 4).unwrap();
    let columns: Vec<(&str, ArrayRef)> =
        vec![("f", Arc::new(Float64Array::from(vec![f64::NAN]))), ("at", Arc::new(at)), ("price", Arc::new(price))];
    // The maximum of `at` cut to milliseconds, as some writers do; NaN in no bound; a decimal rounded by its writer.
    let stats = r#"{"minValues":{"f":1.0,"at":"2025-11-21T09:48:00.123Z","price":1.23449},"maxValues":{"f":5.0,"at":"2025-11-21T09:48:00.123Z","price":1.23451}}"#;
    lake.add(("silver", "odd"), 20_413, columns, stats);
    let session = lake.session();
    shows(&session, "select count(*) c from odd where f > 10", "c\n1\n");
    shows(&session, "select count(*) c from odd where at > timestamp '2025-11-21T09:48:00.1235Z'", "c\n1\n");
    shows(&session, "select count(*) c from odd where price = 1.2345", "c\n1\n");
    lake.add_file(("silver", "odd"), absent(20_413, r#"{"minValues":{"at":"2025-11-22T00:00:00Z","price":7.5},"maxValues":{"at":"2025-11-22T00:00:00Z","price":9.25}}"#));
    shows(&session, "select price from odd where at < timestamp '2025-11-22T00:00:00Z'", "price\n1.2345\n");
    shows(&session, "select price from odd where price < cast(7.5 as decimal(18,4))", "price\n1.2345\n");
}

#[test]
fn a_statement_sees_one_version_however_often_it_names_the_table() {
    let lake = ticks();
    let adding = Arc::downgrade(&lake);
    *lake.on_look.lock().unwrap() = Some(Box::new(move || {
        let lake = adding.upgrade().unwrap();
        lake.add(TICKS, 20_414, vec![("symbol", texts(["z"])), ("n", ints([9]))], "");
    }));
    let session = lake.session();
    let sql = "select a, b, c from (select count(*) a from ticks) p, (select count(*) b from silver.ticks) q, \
        (select count(*) c from ticks x join TICKS y on x.n = y.n and x.n < 3) r";
    shows(&session, sql, "a,b,c\n4,4,2\n");
    assert_eq!(*lake.looks.lock().unwrap(), 1);
    shows(&session, sql, "a,b,c\n5,5,2\n");
}

#[test]
fn whatever_would_change_something_is_refused() {
    let lake = ticks();
    let session = lake.session();
    for (sql, what) in [
        ("insert into silver.ticks values ('a', 1, date '2025-11-21')", "INSERT"),
        ("explain analyze insert into silver.ticks select * from silver.ticks", "INSERT"),
        ("delete from silver.ticks", "DELETE"),
        ("update silver.ticks set n = 1", "UPDATE"),
        ("copy silver.ticks to '/tmp/watertight-never.csv' stored as csv", "COPY"),
        ("copy (select 1) to '/tmp/watertight-never.parquet' stored as parquet", "COPY"),
        ("create table silver.x as select 1", "CREATE"),
        ("create view v as select 1", "CREATE"),
        ("create external table e stored as parquet location '/tmp/'", "CREATE"),
        ("create schema s", "CREATE"),
        ("drop table silver.ticks", "DROP"),
        ("set datafusion.execution.batch_size = 1", "SET"),
        ("prepare p as select 1", "PREPARE"),
    ] {
        match session.run(sql) {
            Err(error @ QueryError::ReadOnly(_)) => {
                let text = error.to_string();
                assert!(text.starts_with(what) && text.contains("only reads"), "{sql}: {text}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    assert!(!std::path::Path::new("/tmp/watertight-never.csv").exists());
    shows(&session, "select count(*) c from ticks", "c\n3\n");
}

#[test]
fn errors_name_what_is_wrong_and_what_there_is() {
    let lake = ticks();
    lake.table("bronze", "ticks", vec![Field::new("n", DataType::Int64, true)]);
    let session = lake.session();
    let text = |sql: &str| csv(&session, sql).unwrap_err().to_string();
    for sql in [
        "select * from silver.tick",
        "select * from silvr.ticks",
        "select 1 from ticks where exists (select 1 from nope)",
    ] {
        assert!(matches!(session.run(sql), Err(QueryError::NoSuchTable { .. })), "{sql}");
        assert!(text(sql).ends_with("there are: bronze.ticks, silver.ticks"), "{}", text(sql));
    }
    assert!(text("select pric from ticks").contains("pric"), "{}", text("select pric from ticks"));
    assert!(text("select pric from ticks").contains("ticks.n"), "{}", text("select pric from ticks"));
    assert!(matches!(session.run("selec 1"), Err(QueryError::Statement(_))));
    assert!(matches!(session.run("select 1; select 2"), Err(QueryError::Statement(_))));
    assert!(matches!(
        session.run("select cast('x' as int) from ticks"),
        Err(QueryError::Run(_) | QueryError::Statement(_))
    ));
    *lake.unreadable.lock().unwrap() = Some("ticks");
    assert_eq!(text("select * from ticks"), "table silver.ticks cannot be read: log entry 3 is torn");
    let empty = TestLake::new();
    let error = empty.session().run("select * from x").unwrap_err().to_string();
    assert_eq!(error, "there is no table 'silver.x'; the lake has no tables yet, run the pipeline first");
}

#[test]
fn a_table_that_is_there_and_cannot_be_had_is_not_said_to_be_missing() {
    let lake = ticks();
    let silver = lake.root().join("silver");
    for folder in ["emptied/_delta_log", "no_log/day=2025-11-21", "no_folder"] {
        std::fs::create_dir_all(silver.join(folder)).unwrap();
    }
    std::fs::write(silver.join("no_folder/_delta_log"), "").unwrap();
    // A link to itself can be looked into by nobody, the system's owner included.
    std::os::unix::fs::symlink("circle", silver.join("circle")).unwrap();
    std::os::unix::fs::symlink("gold", lake.root().join("gold")).unwrap();
    let session = lake.session();
    for (table, why) in [
        ("silver.emptied", "its Delta log holds no version"),
        ("silver.no_log", "there is no folder "),
        ("silver.no_folder", "there is no folder "),
        ("silver.circle", "silver/circle: "),
        ("gold.candles", "gold: "),
    ] {
        let error = session.run(&format!("select * from {table}")).unwrap_err();
        assert!(matches!(error, QueryError::Table { .. }), "{table}: {error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("table {table} cannot be read: ")) && text.contains(why), "{text}");
        assert!(matches!(session.columns(table), Err(QueryError::Table { .. })), "{table}");
    }
    for missing in ["silver.nope", "silvr.ticks", "\"..\".\"silver\"", "\"../silver\".no_log"] {
        let error = session.run(&format!("select * from {missing}")).unwrap_err();
        assert!(matches!(error, QueryError::NoSuchTable { .. }), "{missing}: {error}");
    }
}

#[test]
fn a_damaged_file_and_a_file_outside_the_table_are_errors() {
    let lake = ticks();
    std::fs::write(lake.root().join("silver/ticks/bad.parquet"), [0; 1000]).unwrap();
    lake.add_file(TICKS, DataFile { path: "bad.parquet".into(), ..absent(20_600, "") });
    let session = lake.session();
    assert!(matches!(session.run("select * from ticks"), Err(QueryError::Run(_))));
    shows(&session, "select count(*) c from ticks where day < date '2026-01-01'", "c\n3\n");
    for outside in
        ["../other/x.parquet", "/etc/passwd", "file:///etc/passwd", "%2e%2e/%2e%2e/x.parquet", "http://127.0.0.1/x"]
    {
        let lake = ticks();
        lake.add_file(TICKS, DataFile { path: outside.into(), ..absent(20_413, "") });
        let refused = lake.session().run("select 1 from ticks");
        assert!(matches!(refused, Err(QueryError::Table { .. })), "{outside}: {refused:?}");
    }
}

#[test]
fn nested_values_bytes_and_names_in_capitals_are_read() {
    let lake = TestLake::new();
    let item = Arc::new(Field::new("element", DataType::Int32, true));
    let inner = Fields::from(vec![Field::new("a", DataType::Utf8, true)]);
    let fields = vec![
        Field::new("flags", DataType::List(Arc::clone(&item)), true),
        Field::new("nested", DataType::Struct(inner.clone()), true),
        Field::new("raw", DataType::Binary, true),
    ];
    lake.table("bronze", "Ticks", fields);
    let flags = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), Some(2)])]);
    let (_, offsets, values, nulls) = flags.into_parts();
    let flags = ListArray::new(item, offsets, values, nulls);
    let nested = StructArray::new(inner, vec![texts(["x"])], None);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("flags", Arc::new(flags)),
        ("nested", Arc::new(nested)),
        ("raw", Arc::new(BinaryArray::from_vec(vec![b"\xff\x00"]))),
    ];
    lake.add(("bronze", "Ticks"), 20_413, columns, "");
    let session = lake.session();
    shows(
        &session,
        "select flags, flags[2] f, nested['a'] a, raw from bronze.ticks where nested['a'] = 'x' and array_has(flags, 1)",
        "flags,f,a,raw\n\"[1,2]\",2,x,/wA=\n",
    );
    shows(&session, "select count(*) c from bronze.\"Ticks\"", "c\n1\n");
}

#[test]
fn tables_are_listed_and_described_also_when_there_are_none() {
    let lake = ticks();
    lake.table("ops", "commits", vec![Field::new("n", DataType::Int64, true)]);
    std::fs::create_dir_all(lake.root().join("silver/no_table")).unwrap();
    let session = lake.session();
    assert_eq!(session.tables(), ["ops.commits", "silver.ticks"]);
    shows(
        &session,
        "select table_schema s, table_name t from information_schema.tables where table_schema <> 'information_schema' order by 1",
        "s,t\nops,commits\nsilver,ticks\n",
    );
    assert!(csv(&session, "show tables").unwrap().contains("silver,ticks"));
    assert!(csv(&session, "describe silver.ticks").unwrap().contains("symbol"));
    assert!(csv(&session, "explain select * from ticks").unwrap().contains("part-0.parquet"));
    shows(&session, "select count(*) c from ops.commits", "c\n0\n");
    shows(&session, "select * from ops.commits", "n,day\n");
    assert_eq!(TestLake::new().session().tables(), [""; 0]);
    assert_eq!(session.columns("ticks").unwrap().fields().len(), 3);
    assert!(matches!(session.columns("gold.x"), Err(QueryError::NoSuchTable { .. })));
}

#[test]
fn many_rows_are_streamed_and_a_query_may_be_left_before_its_end() {
    let lake = ticks();
    for _ in 0..20 {
        lake.add(TICKS, 20_414, vec![("symbol", texts(vec!["q"; 10_000])), ("n", ints(0..10_000))], "");
    }
    let session = lake.session();
    let mut rows = session.stream("select * from ticks").unwrap();
    assert!(rows.next().unwrap().unwrap().num_rows() <= 8192);
    drop(rows);
    shows(&session, "select count(*) c, count(distinct n) d from ticks", "c,d\n200003,10000\n");
}

#[test]
fn a_query_that_is_busy_ends_when_it_is_interrupted_and_the_session_goes_on() {
    let lake = ticks();
    for _ in 0..10 {
        lake.add(TICKS, 20_414, vec![("symbol", texts(vec!["q"; 10_000])), ("n", ints(0..10_000))], "");
    }
    let session = lake.session();
    let interrupt = session.interrupt();
    let (raised_at, raised) = std::sync::mpsc::channel();
    let raiser = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_secs(1));
        raised_at.send(std::time::Instant::now()).unwrap();
        interrupt.raise();
    });
    // Ten thousand million pairs, none of which is a row: the plan gives nothing back for half a minute.
    let found = session.run("select count(*) from ticks x, ticks y where (x.n * y.n) % 7 = 9");
    let took = raised.recv().unwrap().elapsed();
    raiser.join().unwrap();
    assert!(matches!(found, Err(QueryError::Interrupted)), "{found:?}");
    assert!(took < std::time::Duration::from_secs(3), "{took:?}");
    assert!(matches!(session.run("select 1"), Err(QueryError::Interrupted)), "it stays until it is cleared");
    session.interrupt().clear();
    shows(&session, "select count(*) c from ticks", "c\n100003\n");
}

#[test]
fn bytes_that_are_no_text_are_counted_and_what_takes_them_for_text_says_what_to_use() {
    let lake = TestLake::new();
    lake.table("bronze", "raw", vec![Field::new("v", DataType::Binary, true)]);
    let bytes = BinaryArray::from_opt_vec(vec![Some(&b"\xff\x00\xfe"[..]), Some("é".as_bytes()), None]);
    lake.add(("bronze", "raw"), 20_413, vec![("v", Arc::new(bytes) as ArrayRef)], "");
    let session = lake.session();
    shows(&session, "select octet_length(v) n from bronze.raw order by n nulls last", "n\n2\n3\n\n");
    shows(&session, "select octet_length('é') a, octet_length(null) b, octet_length(X'00ff') c", "a,b,c\n2,,2\n");
    shows(&session, "select count(*) c from bronze.raw where v = X'ff00fe'", "c\n1\n");
    shows(&session, "select count(*) c from bronze.raw where try_cast(v as varchar) = 'é'", "c\n1\n");
    for as_text in ["length(v)", "cast(v as varchar)", "upper(v)", "substr(v, 1, 3)", "v like 'a%'"] {
        let error = csv(&session, &format!("select {as_text} from bronze.raw")).unwrap_err().to_string();
        assert!(error.contains("octet_length(column)") && error.contains("try_cast"), "{as_text}: {error}");
        assert!(!error.contains("Hint:") && error.lines().count() == 1, "{as_text}: {error}");
    }
    let error = csv(&session, "select octet_length(12)").unwrap_err().to_string();
    assert!(error.contains("octet_length takes one argument, a text or bytes"), "{error}");
}
