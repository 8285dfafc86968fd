//! The tables read back as text, and what differs between two lakes.

use super::scene::{PIPELINE, Scene, unheard};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::collections::BTreeMap;
use std::sync::Arc;
use watertight_core::books::{Books, CommitKind};
use watertight_core::port::{Lake, LakeTable};
use watertight_pipeline::ops::{CommitCopier, CopiedTable};
use watertight_pipeline::runtime::Stop;

/// The tables that must not depend on faults. (`ops.commits` does: its rows are of commits, whose number may differ.)
const TABLES: [&str; 5] = ["bronze.notes", "bronze.notes_dlq", "silver.notes", "gold.per_minute", "ops.definitions"];

/// The rows of tables by name, each sorted.
pub(crate) type Tables = BTreeMap<String, Vec<String>>;

pub(crate) fn look(lake: &dyn Lake, table: &str) -> Option<Box<dyn LakeTable>> {
    let (schema_name, table) = table.split_once('.').expect("a schema and a table");
    lake.look(schema_name, table).expect("no fault is left")
}

/// The books of a table's appends, oldest first.
pub(crate) fn books(lake: &dyn Lake, table: &str) -> Vec<Books> {
    let commits = look(lake, table).expect("the table is there").commits_after(None).expect("no fault is left");
    let books = commits.into_iter().filter_map(|commit| commit.books);
    books.filter(|books| books.kind == CommitKind::Append).collect()
}

/// All rows of a table, sorted; `columns` empty = all columns. A null is told from an empty text.
pub(crate) fn rows(lake: &dyn Lake, table: &str, columns: &[&str]) -> Vec<String> {
    let Some(table) = look(lake, table) else { return vec!["(there is no such table)".to_owned()] };
    let options = FormatOptions::new().with_null("NULL");
    let mut rows = Vec::new();
    for file in table.live_files().expect("no fault is left") {
        for batch in table.read(&file, columns).expect("no fault is left") {
            let batch = batch.expect("no fault is left");
            let schema = batch.schema();
            let named: Vec<(&String, ArrayFormatter<'_>)> = schema
                .fields()
                .iter()
                .zip(batch.columns())
                .map(|(field, column)| {
                    (field.name(), ArrayFormatter::try_new(column.as_ref(), &options).expect("a printable column"))
                })
                .collect();
            for row in 0..batch.num_rows() {
                let values: Vec<String> =
                    named.iter().map(|(name, column)| format!("{name}={}", column.value(row))).collect();
                rows.push(values.join(", "));
            }
        }
    }
    rows.sort();
    rows
}

/// Every row of every table that must not depend on faults.
pub(crate) fn all(lake: &dyn Lake) -> Tables {
    TABLES.iter().map(|table| ((*table).to_owned(), rows(lake, table, &[]))).collect()
}

/// What differs, by table; empty where nothing does.
pub(crate) fn differences(found: &Tables, expected: &Tables) -> Vec<String> {
    let mut all = Vec::new();
    for (table, expected) in expected {
        let none = Vec::new();
        let found = found.get(table).unwrap_or(&none);
        if found == expected {
            continue;
        }
        let more = |these: &[String], than: &[String]| {
            these.iter().find(|row| count(these, row) > count(than, row)).cloned().unwrap_or_default()
        };
        all.push(format!(
            "{table}: {} rows instead of {}; missing: [{}]; too many: [{}]",
            found.len(),
            expected.len(),
            more(expected, found),
            more(found, expected)
        ));
    }
    all
}

fn count(rows: &[String], row: &str) -> usize {
    rows.iter().filter(|one| one.as_str() == row).count()
}

/// Completes the copy of the books, as the next run would, and says where a commit is not in it exactly once.
pub(crate) fn books_not_copied_once(scene: &Scene) -> Vec<String> {
    let names = [("bronze", "notes"), ("bronze", "notes_dlq"), ("silver", "notes"), ("gold", "per_minute")];
    let sources = names.map(|(schema, table)| CopiedTable { schema_name: schema.into(), table: table.into() });
    let (health, stop) = (unheard(), Stop::default());
    let opened = CommitCopier::open(Arc::new(scene.lake.clone()), PIPELINE, sources.to_vec());
    if let Err(error) = opened.expect("no fault is left").turn(&scene.committer(&health, &stop)) {
        return vec![format!("the copy of the books could not be completed: {error}")];
    }
    let mut expected = Vec::new();
    for (schema, table) in names {
        let name = format!("{schema}.{table}");
        let Some(table) = look(&scene.lake, &name) else { continue };
        for commit in table.commits_after(None).expect("no fault is left") {
            let entries = commit.books.map(|books| books.entries).unwrap_or_default();
            let line =
                |partition: &str| format!("table_name={name}, version={}, kafka_partition={partition}", commit.version);
            if entries.is_empty() {
                expected.push(line("NULL"));
            }
            expected.extend(entries.iter().map(|entry| line(&entry.partition.to_string())));
        }
    }
    expected.sort();
    let mut copied = rows(&scene.lake, "ops.commits", &["table_name", "version", "kafka_partition"]);
    copied.retain(|row| names.iter().any(|(schema, table)| row.starts_with(&format!("table_name={schema}.{table},"))));
    let tables = |rows: Vec<String>| -> Tables { [("ops.commits".to_owned(), rows)].into() };
    differences(&tables(copied), &tables(expected))
}

#[test]
fn a_row_dropped_doubled_or_changed_is_a_difference() {
    let tables = |rows: &[&str]| -> Tables {
        [("silver.notes".to_owned(), rows.iter().map(|row| (*row).to_owned()).collect())].into()
    };
    let expected = tables(&["a", "b", "c"]);
    assert_eq!(differences(&expected, &expected), Vec::<String>::new());
    for (planted, said) in [
        (&["a", "c"][..], "2 rows instead of 3; missing: [b]; too many: []"),
        (&["a", "b", "b", "c"][..], "4 rows instead of 3; missing: []; too many: [b]"),
        (&["a", "b", "d"][..], "3 rows instead of 3; missing: [c]; too many: [d]"),
        (&[][..], "0 rows instead of 3; missing: [a]; too many: []"),
    ] {
        assert_eq!(differences(&tables(planted), &expected), [format!("silver.notes: {said}")]);
    }
    assert_eq!(differences(&Tables::new(), &expected).len(), 1, "a table that is missing altogether");
}
