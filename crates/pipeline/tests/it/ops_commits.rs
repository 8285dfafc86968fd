//! What `ops.commits` says of a commit beside its counts: bytes, how long each step took, and of which table of that name.

use super::rows::{look, rows};
use super::scene::{DAY_US, NOW_US, PIPELINE, Scene, TOPIC, live, part_one, words};
use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use watertight_core::books::Books;
use watertight_core::port::{Clock, CommitRequest, Lake, TableSpec, TableState};
use watertight_core::position::{PositionKey, PositionStep};
use watertight_core::schema::utc_timestamp;
use watertight_pipeline::runtime::Parts;

/// Microseconds that go by from one look at the watch to the next.
const TICK_US: i64 = 7;
const TABLES: [&str; 4] = ["bronze.notes", "bronze.notes_dlq", "silver.notes", "gold.per_minute"];

/// A clock whose time of day stands, and whose watch goes on by a tick with each look at it.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now_us(&self) -> i64 {
        NOW_US
    }

    fn monotonic_us(&self) -> i64 {
        self.0.fetch_add(TICK_US, Ordering::SeqCst)
    }
}

/// Events of one partition, read to the end by that clock.
fn ticked() -> Scene {
    let scene = Scene::new();
    scene.append(TOPIC, &part_one());
    let parts = Parts { clock: Arc::new(Ticking(AtomicI64::new(0))), ..scene.parts() };
    assert_eq!(words(&live(&scene.setup(), &parts)), Vec::<String>::new());
    scene
}

#[test]
fn how_long_each_step_took_by_the_given_clock_stands_beside_the_counts() {
    let scene = ticked();
    let times = ["fetch_us", "judge_us", "fold_us", "build_us", "write_us", "sync_us", "entry_us_before"];
    let copied = rows(&scene.lake, "ops.commits", &[&["table_name", "kind", "records"][..], &times[..]].concat());
    let of = |table: &str| -> Vec<String> {
        let begins = format!("table_name={table}, kind=append, ");
        copied.iter().filter_map(|row| row.strip_prefix(&begins)).map(str::to_owned).collect()
    };
    // The lake in memory measures nothing of its own.
    let expected = |[fetch, judge, fold, build]: [Option<usize>; 4]| {
        let text = |ticks: Option<usize>| ticks.map_or("NULL".to_owned(), |ticks| (ticks as i64 * TICK_US).to_string());
        format!(
            "fetch_us={}, judge_us={}, fold_us={}, build_us={}, write_us=NULL, sync_us=NULL, entry_us_before=NULL",
            text(fetch),
            text(judge),
            text(fold),
            text(build)
        )
    };
    let all_end_with = |rows: &[String], end: &str| !rows.is_empty() && rows.iter().all(|row| row.ends_with(end));
    let (bronze, letters, gold) = (of("bronze.notes"), of("bronze.notes_dlq"), of("gold.per_minute"));
    // Checksums are one lap, rows another.
    assert!(all_end_with(&bronze, &expected([Some(1), None, None, Some(2)])), "{bronze:?}");
    assert!(all_end_with(&letters, &expected([None, None, None, Some(1)])), "{letters:?}");
    let silver = of("silver.notes");
    let (decided, judged): (Vec<String>, Vec<String>) =
        silver.iter().cloned().partition(|row| row.starts_with("records=NULL"));
    assert!(all_end_with(&judged, &expected([None, Some(1), Some(1), Some(1)])), "{judged:?}");
    assert!(all_end_with(&decided, &expected([None, None, None, Some(1)])), "the end of input: {decided:?}");
    // Every silver commit was folded; then the windows were closed. (The first has a row more, of an empty partition.)
    let folds = silver.iter().filter(|row| !row.starts_with("records=0,")).count() + 1;
    assert!(gold.len() == 1 && all_end_with(&gold, &expected([None, None, Some(folds), Some(1)])), "{gold:?}");
}

#[test]
fn the_bytes_of_a_commit_are_those_of_its_files() {
    let scene = ticked();
    let mut expected = Vec::new();
    for table in TABLES {
        let commits = look(&scene.lake, table).expect("opened at the start").commits_after(None);
        for commit in commits.expect("no fault is left") {
            let size: u64 = commit.files.iter().map(|file| file.size).sum();
            let said = if commit.version == 0 { "NULL".to_owned() } else { size.to_string() };
            let rows = commit.books.map_or(1, |books| books.entries.len().max(1));
            let row = format!("table_name={table}, version={}, bytes={said}", commit.version);
            expected.extend(std::iter::repeat_n(row, rows));
        }
    }
    expected.sort();
    assert_eq!(rows(&scene.lake, "ops.commits", &["table_name", "version", "bytes"]), expected);
    assert!(expected.iter().any(|row| !row.ends_with("=NULL") && !row.ends_with("=0")), "{expected:?}");
}

/// The columns before bytes and times, in an order of their own.
fn columns_of_before() -> Schema {
    let text = |name: &str, null: bool| Field::new(name, DataType::Utf8, null);
    let mut fields =
        vec![text("books", true), text("table_name", false), Field::new("version", DataType::Int64, false)];
    fields.push(text("kind", false));
    fields.extend(["commit_id", "topic", "incarnation", "checksum"].map(|name| text(name, true)));
    fields.extend(["definition", "kafka_partition"].map(|name| Field::new(name, DataType::Int32, true)));
    let counts = ["records", "no_record", "lost", "silver", "duplicates", "dead_letters", "withheld", "erased", "late"];
    let whole = ["from_offset", "to_offset", "future", "rows_added"];
    fields.extend(counts.iter().chain(&whole).map(|name| Field::new(*name, DataType::Int64, true)));
    fields.push(Field::new("copied_at", utc_timestamp(), false));
    fields.push(Field::new("_copied_date", DataType::Date32, false));
    Schema::new(fields)
}

/// `ops.commits` without the columns that came later, with these rows: table, version, kind, commit id. What moves with
/// them is the copier's position of then.
fn copied_before(scene: &Scene, copies: &[(&str, i64, &str, &str)]) -> Arc<Schema> {
    let columns = Arc::new(columns_of_before());
    let spec = TableSpec {
        schema_name: "ops".into(),
        table: "commits".into(),
        columns: columns.clone(),
        partition_column: "_copied_date".into(),
        pipeline: PIPELINE.into(),
    };
    let mut table = scene.lake.open(&spec).expect("a new table");
    let day = i32::try_from(NOW_US / DAY_US).expect("days");
    let text = |of: fn(&(&str, i64, &str, &str)) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(copies.iter().map(of)))
    };
    let copied_at = TimestampMicrosecondArray::from_value(NOW_US, copies.len()).with_timezone("UTC");
    let old: Vec<(&str, ArrayRef)> = vec![
        ("table_name", text(|copy| copy.0.to_owned())),
        ("version", Arc::new(Int64Array::from_iter_values(copies.iter().map(|copy| copy.1)))),
        ("kind", text(|copy| copy.2.to_owned())),
        ("commit_id", text(|copy| copy.3.to_owned())),
        ("copied_at", Arc::new(copied_at)),
        ("_copied_date", Arc::new(Date32Array::from_value(day, copies.len()))),
    ];
    let file = table.stage(day, &RecordBatch::try_from_iter(old).expect("rows")).expect("staged");
    let step = |copy: &(&str, i64, &str, &str)| {
        let (topic, incarnation) = (format!("ops.commits:{}", copy.0), "versions".to_owned());
        let key = PositionKey { pipeline: PIPELINE.to_owned(), topic, incarnation, partition: 0 };
        PositionStep { key, from: None, to: copy.1 + 1 }
    };
    let steps = copies.iter().map(step).collect();
    let books = Books { rows: copies.len() as u64, ..Books::append(PIPELINE, "before".into()) };
    table.commit(&CommitRequest { steps, files: vec![file], books, timestamp_us: NOW_US }).expect("committed");
    columns
}

#[test]
fn a_table_of_before_gets_the_columns_and_its_rows_are_null_there() {
    let scene = Scene::new();
    scene.append(TOPIC, &part_one());
    let columns = copied_before(&scene, &[("bronze.before", 3, "append", "id-3")]);

    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    let later = ["table_name", "kind", "bytes", "build_us", "unknown_fields", "table_id"];
    let copied = rows(&scene.lake, "ops.commits", &later);
    let before = "table_name=bronze.before, kind=append, bytes=NULL, build_us=NULL, unknown_fields=NULL, table_id=NULL";
    assert!(copied.iter().any(|row| row == before), "{copied:?}");
    let new: Vec<&String> =
        copied.iter().filter(|row| row.starts_with("table_name=bronze.notes, kind=append, ")).collect();
    assert!(!new.is_empty() && new.iter().all(|row| !row.contains("=NULL")), "{copied:?}");
    let kept = look(&scene.lake, "ops.commits").expect("it is there").columns();
    assert!(columns.fields().iter().all(|field| kept.field_with_name(field.name()).is_ok()), "{kept:?}");
}

/// The rows of a version of a table that name the table's id so.
fn copies(scene: &Scene, table: &str, version: u64) -> Vec<String> {
    let of = format!("table_name={table}, version={version}, table_id=");
    let copied = rows(&scene.lake, "ops.commits", &["table_name", "version", "table_id"]);
    copied.iter().filter_map(|row| row.strip_prefix(&of)).map(str::to_owned).collect()
}

#[test]
fn copies_from_before_ids_are_gone_on_with_where_they_are_of_this_very_table() {
    let scene = Scene::new();
    scene.append(TOPIC, &part_one());
    // Tables in memory are made by a commit of this id.
    copied_before(&scene, &[("bronze.notes", 0, "create", "Create"), ("silver.notes", 0, "create", "of another")]);
    for life in ["first", "second"] {
        assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
        let id = |table: &str| look(&scene.lake, table).expect("it is there").state().id.clone();
        let (bronze, silver) = (id("bronze.notes"), id("silver.notes"));
        assert_eq!(copies(&scene, "bronze.notes", 0), ["NULL"], "{life}");
        let next = copies(&scene, "bronze.notes", 1);
        assert!(!next.is_empty() && next.iter().all(|named| *named == bronze), "{life}: {next:?}");
        assert_eq!(copies(&scene, "silver.notes", 0), ["NULL".to_owned(), silver], "{life}");
    }
}

#[test]
fn gold_that_was_removed_is_made_again_from_silver_and_copied_from_its_beginning() {
    let scene = Scene::with_all_events();
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    let gold = |scene: &Scene| rows(&scene.lake, "gold.per_minute", &[]);
    let state = |scene: &Scene| look(&scene.lake, "gold.per_minute").expect("it is there").state().clone();
    let (before, former) = (gold(&scene), state(&scene));
    assert!(scene.lake.remove("gold.per_minute"));
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    assert_eq!(gold(&scene), before);
    let anew = state(&scene);
    assert!(former.id != anew.id && former.version > 0 && anew.version > 0);
    for version in 0..=former.version.max(anew.version) {
        let of = |state: &TableState| (version <= state.version).then(|| state.id.clone());
        let mut expected: Vec<String> = [of(&former), of(&anew)].into_iter().flatten().collect();
        expected.sort();
        assert_eq!(copies(&scene, "gold.per_minute", version), expected, "version {version}");
    }
}
