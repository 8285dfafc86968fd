//! Copies that are whole, and each way in which one may not be; those of a table that was made anew.

use super::{COUNTS, Copied, Former, Kept, read, read_again};
use crate::books::Books;
use crate::finding::{Code, Findings};
use crate::lake::Origin;
use crate::rows::little_table::{DAY_US, LIFE, LittleTable, PIPELINE, TOPIC, codes, found, request, utc};
use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use std::collections::BTreeMap;
use std::sync::Arc;

const TABLE: &str = "bronze.orders";
/// The id of every little table.
const ID: &str = "table-id";

/// A row of the copy.
#[derive(Clone)]
struct Row {
    /// Begins the ids of the commits.
    made: &'static str,
    table_id: Option<&'static str>,
    version: i64,
    partition: Option<i32>,
    from: Option<i64>,
    checksum: Option<String>,
    /// Of the columns that came later: null in all of them where this is.
    bytes: Option<i64>,
    books: String,
}

fn books(made: &str, version: i64) -> String {
    let entry = |partition: i32| {
        let from = version * 10;
        let outcome = serde_json::json!({"records": 10});
        let checksum = format!("{partition:032x}");
        serde_json::json!({"partition": partition, "from": from, "to": from + 10, "outcome": outcome, "checksum": checksum})
    };
    let entries = if version == 0 { vec![] } else { vec![entry(0), entry(1)] };
    serde_json::json!({
        "format": 1, "kind": "append", "commit_id": format!("{made}-{version}"), "pipeline": PIPELINE, "topic": TOPIC,
        "incarnation": LIFE, "definition": 1, "entries": entries, "rows": 20, "bytes": 100, "took": {"judge_us": 5},
        "closed_until_us": version * 10,
    })
    .to_string()
}

/// Copies of versions 0, 1 and 2.
fn whole() -> Vec<Row> {
    of("id", None)
}

/// The same of a table whose commits' ids begin so.
fn of(made: &'static str, table_id: Option<&'static str>) -> Vec<Row> {
    let row = |version: i64, partition: Option<i32>| Row {
        made,
        table_id,
        version,
        partition,
        from: partition.map(|_| version * 10),
        checksum: partition.map(|partition| format!("{partition:032x}")),
        bytes: Some(100),
        books: books(made, version),
    };
    vec![row(0, None), row(1, Some(0)), row(1, Some(1)), row(2, Some(0)), row(2, Some(1))]
}

fn batch(rows: &[Row]) -> RecordBatch {
    let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(|_| text))) };
    let long = |of: &dyn Fn(&Row) -> Option<i64>| -> ArrayRef { Arc::new(Int64Array::from_iter(rows.iter().map(of))) };
    let text =
        |of: &dyn Fn(&Row) -> Option<String>| -> ArrayRef { Arc::new(StringArray::from_iter(rows.iter().map(of))) };
    let partitions: ArrayRef = Arc::new(Int32Array::from_iter(rows.iter().map(|row| row.partition)));
    let definitions: ArrayRef = Arc::new(Int32Array::from_iter_values(rows.iter().map(|_| 1)));
    let copied = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|_| DAY_US)).with_timezone("UTC");
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("table_name".to_owned(), same(TABLE)),
        ("version".to_owned(), long(&|row| Some(row.version))),
        ("kind".to_owned(), same("append")),
        ("commit_id".to_owned(), text(&|row| Some(format!("{}-{}", row.made, row.version)))),
        ("topic".to_owned(), same(TOPIC)),
        ("incarnation".to_owned(), same(LIFE)),
        ("definition".to_owned(), definitions),
        ("kafka_partition".to_owned(), partitions),
        ("from_offset".to_owned(), long(&|row| row.from)),
        ("to_offset".to_owned(), long(&|row| row.partition.map(|_| row.version * 10 + 10))),
    ];
    for (name, _) in COUNTS {
        let count = if name == "records" { 10 } else { 0 };
        columns.push((name.to_owned(), long(&|row| row.partition.map(|_| count))));
    }
    columns.push(("checksum".to_owned(), text(&|row| row.checksum.clone())));
    columns.push(("rows_added".to_owned(), long(&|_| Some(20))));
    columns.push(("bytes".to_owned(), long(&|row| row.bytes)));
    columns.push(("judge_us".to_owned(), long(&|row| row.bytes.map(|_| 5))));
    columns.push(("fold_us".to_owned(), long(&|_| None)));
    columns.push(("unknown_fields".to_owned(), long(&|row| row.bytes.and(row.partition).map(|_| 0))));
    columns.push(("table_id".to_owned(), text(&|row| row.table_id.map(str::to_owned))));
    columns.push(("books".to_owned(), text(&|row| Some(row.books.clone()))));
    columns.push(("copied_at".to_owned(), Arc::new(copied)));
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("rows")
}

/// A table with versions 0, 1 and 2 whose commits' ids begin so.
fn table(made: &str) -> LittleTable {
    let mut little = LittleTable::bronze();
    little.alter(0, |books| books.commit_id = format!("{made}-0"));
    for version in 1..3 {
        let books = Books { kind: "append".to_owned(), commit_id: format!("{made}-{version}"), ..little.blank() };
        little.commit(Origin::Ours(Box::new(books)), Vec::new(), &[]);
    }
    little
}

/// Reads the copies of these rows; the copier's own position says three versions, and the table there is the one they
/// are of.
fn copied(rows: &[Row]) -> (Copied, Vec<Code>) {
    copied_batch(&batch(rows), &[("versions", 3)], Some(&table("id")))
}

/// Reads copies where the copier stands at these positions, with this table there.
fn copied_batch(batch: &RecordBatch, reached: &[(&str, i64)], there: Option<&LittleTable>) -> (Copied, Vec<Code>) {
    let little = ops_commits(batch, reached);
    let findings = Findings::default();
    let tables = there.map(|there| (TABLE.to_owned(), &there.table)).into_iter().collect();
    let copied = read(&little.table, &tables, &request(), &findings);
    (copied, codes(&found(findings)))
}

/// `ops.commits` with these rows in a file, where the copier stands at these positions.
fn ops_commits(batch: &RecordBatch, reached: &[(&str, i64)]) -> LittleTable {
    let mut fields: Vec<Field> = batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    assert_eq!(fields.iter().find(|field| field.name() == "copied_at").map(Field::data_type), Some(&utc()));
    fields.push(Field::new("_copied_date", DataType::Date32, false));
    let mut little = LittleTable::new("ops", "commits", Arc::new(Schema::new(fields)), "_copied_date");
    append(&mut little, batch, reached);
    little
}

/// Copies more.
fn append(little: &mut LittleTable, batch: &RecordBatch, reached: &[(&str, i64)]) {
    let add = little.write(batch, "{}");
    let appended = Books { kind: "append".to_owned(), ..little.blank() };
    little.commit(Origin::Ours(Box::new(appended)), vec![add], &[]);
    for (incarnation, next) in reached {
        little.table.txns.insert(format!("watertight/{PIPELINE}/ops.commits:{TABLE}/{incarnation}/0"), *next);
    }
}

/// What a look finds that has these rows from the looks before, and how many files it read.
fn look(little: &LittleTable, kept: &mut Kept) -> (Copied, Vec<Code>, u64) {
    let (findings, before, there) = (Findings::default(), kept.files_read, table("id"));
    let tables = BTreeMap::from([(TABLE.to_owned(), &there.table)]);
    let copied = read_again(&little.table, &tables, &request(), kept, &findings);
    (copied, codes(&found(findings)), kept.files_read - before)
}

/// The commit ids of the copies that the table there is held against.
fn ids(copied: &Copied) -> Vec<&str> {
    copied.copies.values().filter_map(|copy| copy.books.as_ref()).map(|books| books.commit_id.as_str()).collect()
}

#[test]
fn whole_copies_are_read_by_table_and_version() {
    let (copied, codes) = copied(&whole());
    assert_eq!(codes, []);
    let copy = copied.copies.get(&(TABLE.to_owned(), 2)).and_then(|copied| copied.books.as_ref()).expect("copied");
    assert_eq!((copy.commit_id.as_str(), copy.entries.len(), copy.rows), ("id-2", 2, 20));
    assert_eq!((copied.former.len(), copied.named.iter().map(String::as_str).collect::<Vec<_>>()), (0, vec![TABLE]));
}

#[test]
fn a_row_that_is_missing_doubled_or_altered_is_told() {
    let altered = |change: fn(&mut Vec<Row>)| {
        let mut rows = whole();
        change(&mut rows);
        copied(&rows).1
    };
    let changes: [fn(&mut Vec<Row>); 11] = [
        |rows| drop(rows.remove(1)),
        |rows| rows.push(rows[4].clone()),
        |rows| rows[2].from = Some(11),
        |rows| rows[2].checksum = None,
        |rows| rows[2].bytes = Some(99),
        |rows| rows[2].bytes = None,
        |rows| rows[3].books = rows[3].books.replace("id-2", "id-3"),
        |rows| rows[0].books = "{".to_owned(),
        |rows| rows.truncate(3),
        |rows| rows.retain(|row| row.version != 1),
        |rows| rows[3].table_id = Some("another"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let codes = altered(change);
        assert!(!codes.is_empty() && codes.iter().all(|code| *code == Code::BooksCopy), "{number}: {codes:?}");
    }
}

#[test]
fn copies_of_before_have_neither_bytes_nor_times_and_their_table_may_lack_the_columns() {
    let before = |row: Row| {
        let mut books: serde_json::Value = serde_json::from_str(&row.books).expect("JSON");
        let keys = books.as_object_mut().expect("an object");
        assert!(keys.remove("bytes").is_some() && keys.remove("took").is_some());
        Row { bytes: None, books: books.to_string(), ..row }
    };
    let batch = batch(&whole().into_iter().map(before).collect::<Vec<_>>());
    let codes = |batch: &RecordBatch| copied_batch(batch, &[("versions", 3)], Some(&table("id"))).1;
    assert_eq!(codes(&batch), [], "null in each of them");
    let came_later = |name: &str| name == "table_id" || super::LATER.iter().any(|(later, _)| *later == name);
    let kept: Vec<usize> =
        (0..batch.num_columns()).filter(|column| !came_later(batch.schema().field(*column).name())).collect();
    assert_eq!(batch.num_columns() - kept.len(), 5);
    assert_eq!(codes(&batch.project(&kept).expect("columns of it")), [], "without them");
}

#[test]
fn copies_of_a_table_that_was_removed_are_told_from_those_of_the_one_that_was_made_anew() {
    let former = |id: Option<&str>| Former {
        table: TABLE.to_owned(),
        id: id.map(str::to_owned),
        version: 2,
        closed_until_us: BTreeMap::from([(1, 20)]),
    };
    for (old, reached) in [(None, "versions"), (Some("another"), "another")] {
        let rows = [of("old", old), of("new", Some(ID))].concat();
        let (copied, codes) = copied_batch(&batch(&rows), &[(reached, 3), (ID, 3)], Some(&table("new")));
        assert_eq!(codes, [], "{old:?}");
        assert_eq!(ids(&copied), ["new-0", "new-1", "new-2"]);
        assert_eq!(copied.former, [former(old)]);
    }
    // Before any of its commits is copied.
    let (copied, codes) = copied_batch(&batch(&of("old", None)), &[("versions", 3)], Some(&table("new")));
    assert_eq!((codes, ids(&copied).len(), copied.former), (vec![], 0, vec![former(None)]));
}

#[test]
fn copies_go_on_under_the_tables_id_where_those_from_before_it_end() {
    let mut rows = whole();
    rows[3].table_id = Some(ID);
    rows[4].table_id = Some(ID);
    for there in [Some(table("id")), None] {
        let (copied, codes) = copied_batch(&batch(&rows), &[("versions", 2), (ID, 3)], there.as_ref());
        assert_eq!((codes, copied.former.len()), (vec![], 0));
        assert_eq!(ids(&copied).len(), if there.is_some() { 3 } else { 0 });
    }
    // Of the ones from before, one is gone.
    rows.remove(0);
    let codes = copied_batch(&batch(&rows), &[("versions", 2), (ID, 3)], Some(&table("id"))).1;
    assert_eq!(codes, [Code::BooksCopy]);
}

#[test]
fn copies_of_a_table_that_was_taken_over_and_removed_before_its_next_commit_are_of_its_id() {
    let rows = [of("old", None), of("new", Some(ID))].concat();
    let read = |taken_over: i64, there: Option<&LittleTable>| {
        copied_batch(&batch(&rows), &[("versions", 3), ("another", taken_over), (ID, 3)], there)
    };
    let (copied, codes) = read(3, Some(&table("new")));
    assert_eq!((codes, ids(&copied)), (vec![], vec!["new-0", "new-1", "new-2"]));
    assert_eq!(copied.former.iter().map(|former| former.id.as_deref()).collect::<Vec<_>>(), [Some("another")]);
    // The name has no table, and none of its commits was copied under an id.
    let reached = [("versions", 3), ("another", 3)];
    assert_eq!(copied_batch(&batch(&of("old", None)), &reached, None).1, []);
    // A position that is not where they end takes nothing over.
    assert_eq!(read(4, Some(&table("new"))).1, [Code::BooksCopy]);
}

#[test]
fn copies_from_before_are_of_a_former_table_also_where_the_log_of_the_new_one_begins_behind_them() {
    let mut there = table("new");
    let books = Books { kind: "append".to_owned(), commit_id: "new-3".to_owned(), ..there.blank() };
    there.commit(Origin::Ours(Box::new(books)), Vec::new(), &[]);
    there.table.commits.retain(|commit| commit.version > 2);
    let rows = [of("old", None), of("new", Some(ID))].concat();
    let (copied, codes) = copied_batch(&batch(&rows), &[("versions", 3), (ID, 3)], Some(&there));
    assert_eq!((codes, ids(&copied)), (vec![], vec!["new-0", "new-1", "new-2"]));
    assert_eq!(copied.former.len(), 1);
    let (copied, codes) = copied_batch(&batch(&of("old", None)), &[("versions", 3), (ID, 3)], Some(&there));
    assert_eq!((codes, copied.former.len()), (vec![], 0), "nothing says that they are another's");
}

#[test]
fn oldest_versions_that_neither_the_log_nor_the_copies_have_are_not_known_and_any_others_are_lacking() {
    let told = |rows: &[Row], cleaned_up_to: Option<u64>| {
        let (mut there, little) = (table("id"), ops_commits(&batch(rows), &[(ID, 3)]));
        if let Some(at) = cleaned_up_to {
            let _copies = there.clean_up(at);
        }
        let (findings, tables) = (Findings::default(), BTreeMap::from([(TABLE.to_owned(), &there.table)]));
        read(&little.table, &tables, &request(), &findings);
        let kept = findings.into_kept();
        (codes(&kept.findings), kept.unable.len())
    };
    let rows = of("id", Some(ID));
    assert_eq!(told(&rows[3..], Some(1)), (vec![], 1));
    assert_eq!(told(&rows[3..], Some(0)), (vec![Code::BooksCopy], 0), "the log has version 1");
    assert_eq!(told(&rows[3..], None), (vec![Code::BooksCopy], 0));
    let holed = [&rows[..1], &rows[3..]].concat();
    assert_eq!(told(&holed, Some(1)), (vec![Code::BooksCopy], 0), "version 1 was copied after version 0");
    assert_eq!(told(&rows, Some(1)), (vec![], 0));
}

#[test]
fn an_id_that_was_altered_makes_no_former_table() {
    let rows = of("id", Some("another"));
    let (copied, codes) = copied_batch(&batch(&rows), &[("another", 3)], Some(&table("id")));
    assert_eq!((codes, ids(&copied).len(), copied.former.len()), (vec![Code::BooksCopy], 3, 0));
    let codes = copied_batch(&batch(&rows), &[("versions", 3)], Some(&table("id"))).1;
    assert!(!codes.is_empty() && codes.iter().all(|code| *code == Code::BooksCopy), "no position is theirs: {codes:?}");
}

#[test]
fn a_later_look_reads_the_files_that_are_new_and_finds_what_one_that_reads_all_finds() {
    let (rows, mut kept) = (whole(), Kept::default());
    let mut little = ops_commits(&batch(&rows[..2]), &[("versions", 1)]);
    // One of the two rows of version 1 is there, and copied too early: nothing of that is in the rows themselves.
    let first = look(&little, &mut kept);
    assert_eq!((&first.1[..], first.2), (&[Code::BooksCopy, Code::BooksCopy][..], 1));
    assert_eq!(look(&little, &mut kept), (first.0, first.1, 0), "it is told again");
    append(&mut little, &batch(&rows[2..]), &[("versions", 3)]);
    let (copied, codes, read) = look(&little, &mut kept);
    assert_eq!((codes, ids(&copied).len(), read), (vec![], 3, 1));
    assert_eq!(look(&little, &mut Kept::default()), (copied, vec![], 2));
    assert_eq!(look(&little, &mut kept).2, 0);
    // A file is another by now; one is gone.
    let path = little.table.folder.join(little.table.live.keys().next().expect("a file"));
    let file = std::fs::File::options().write(true).open(&path).expect("opened");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("another time");
    assert_eq!(look(&little, &mut kept).2, 2);
    let last = little.table.live.keys().next_back().cloned().expect("a file");
    little.table.live.remove(&last);
    let (_, codes, read) = look(&little, &mut kept);
    assert!(!codes.is_empty() && read == 1, "{codes:?}, {read}");
}

#[test]
fn rows_in_which_something_was_found_are_read_and_told_again() {
    let (mut rows, mut kept) = (whole(), Kept::default());
    rows[2].from = Some(11);
    let little = ops_commits(&batch(&rows), &[("versions", 3)]);
    for _ in 0..2 {
        let (_, codes, read) = look(&little, &mut kept);
        assert_eq!((codes, read), (vec![Code::BooksCopy], 1));
    }
}
