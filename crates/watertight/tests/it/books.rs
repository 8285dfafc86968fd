//! The books as users read them: the table `ops.commits`.

use super::{fine, produce_notes, scratch};
use std::path::Path;

const PIPELINE: &str = "
pipeline: notes
log: { local: { path: data/log } }
lake: data/lake
streams:
  notes:
    event_id: id
    partitions: 1
    event_time: { column: at, watermark: 1 min }
    columns:
      id: { type: string, required: true }
      at: { type: timestamp, required: true }
models:
  per_minute: { from: notes, window: 1 min, sql: \"SELECT window_start, count(*) AS notes FROM notes GROUP BY window_start\" }
";

/// The rows of an answer.
fn sql(dir: &Path, query: &str) -> Vec<String> {
    super::sql(dir, "p.yaml", query).lines().skip(1).map(str::to_owned).collect()
}

/// Bytes of the Parquet files below a table's folder.
fn bytes_of_files(table: &Path) -> u64 {
    let entries = std::fs::read_dir(table).expect("the folder").map(|entry| entry.expect("an entry").path());
    let size = |path: std::path::PathBuf| {
        if path.ends_with("_delta_log") {
            0
        } else if path.is_dir() {
            bytes_of_files(&path)
        } else {
            path.metadata().expect("a file").len()
        }
    };
    entries.map(size).sum()
}

#[test]
fn every_append_says_its_bytes_and_how_long_its_steps_took() {
    let dir = scratch();
    let dir = dir.path();
    std::fs::write(dir.join("p.yaml"), PIPELINE).expect("written");
    // One day more than a commit of silver may touch, twice: several commits in one run. One line is a dead letter.
    let line = |day: i64| {
        let date = jiff::civil::date(2025, 1, 1) + jiff::Span::new().days(day);
        format!("{{\"id\":\"e{day}\",\"at\":\"{date}T00:00:00Z\"}}\n")
    };
    let lines: String = (0..130).map(line).chain(["not json\n".to_owned()]).collect();
    produce_notes(dir, &[], &lines);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);

    for (table, steps) in [
        ("bronze.notes", &["fetch_us", "build_us"][..]),
        ("bronze.notes_dlq", &["build_us"][..]),
        ("silver.notes", &["fold_us", "build_us"][..]),
        ("gold.per_minute", &["fold_us", "build_us"][..]),
    ] {
        let with_rows = format!("from ops.commits where table_name = '{table}' and kind = 'append' and rows_added > 0");
        assert!(!sql(dir, &format!("select version {with_rows}")).is_empty(), "{table}");
        for step in steps.iter().chain(&["write_us", "sync_us"]) {
            let unknown = sql(dir, &format!("select version {with_rows} and {step} is null"));
            assert!(unknown.is_empty(), "{step} of {table} {unknown:?}");
        }
        let unwritten = sql(dir, &format!("select version {with_rows} and (write_us = 0 or bytes = 0)"));
        assert!(unwritten.is_empty(), "{table} {unwritten:?}");
        let once = format!("select distinct version, bytes from ops.commits where table_name = '{table}'");
        let said = sql(dir, &format!("select sum(bytes) as bytes from ({once})"));
        let (schema, name) = table.split_once('.').expect("a schema and a table");
        let found = bytes_of_files(&dir.join("data/lake").join(schema).join(name));
        assert_eq!(said, [found.to_string()], "{table}");
    }
    // What is cut into several commits was judged once, for the first of them.
    let judged =
        sql(dir, "select distinct version from ops.commits where table_name = 'silver.notes' and judge_us > 0");
    assert!(!judged.is_empty());
    let appends = "from ops.commits where table_name = 'silver.notes' and kind = 'append' order by version";
    let entries = sql(dir, &format!("select version, entry_us_before > 0 as known {appends}"));
    assert!(entries.len() > 2 && entries[0] == "1,", "nobody was there to measure the first one: {entries:?}");
    assert!(entries[1..].iter().all(|row| row.ends_with(",true")), "{entries:?}");
    fine(dir, &["verify", "-f", "p.yaml"]);
}
