//! The SQL of users' runbooks, as it stands, through `watertight sql`. DuckDB runs the same file in
//! `tests/readers/runbook.py`.

use super::{fine, scratch, watertight, watertight_with_input};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The four statements.
const RUNBOOK: &str = include_str!("../../../../tests/readers/runbook.sql");
/// The day that they name: the events' own day here.
const DAY: &str = "2026-01-28";
const PIPELINE: &str = "x/pipeline.yaml";

/// What the producer wrote down, by other code than the pipeline's.
struct Produced {
    /// Of each partition: first and last offset, and how many.
    offsets: BTreeMap<i64, (i64, i64, i64)>,
    /// Rows of silver.
    rows: usize,
    late: BTreeSet<String>,
    /// Reasons of each dead letter, as JSON, with the number of letters that have them.
    reasons: BTreeMap<String, usize>,
}

/// The statements, each with this day in the place of the one it names.
fn statements(day: &str) -> Vec<String> {
    let found: Vec<String> =
        RUNBOOK.split(';').map(str::trim).filter(|sql| !sql.is_empty()).map(|sql| sql.replace(DAY, day)).collect();
    assert_eq!(found.len(), 4, "{found:?}");
    found
}

/// The rows of an answer.
fn rows(dir: &Path, statement: &str) -> Vec<Value> {
    let out = fine(dir, &["sql", "-f", PIPELINE, "--format", "json", &format!("{statement};")]);
    out.lines().map(|line| serde_json::from_str(line).expect("each line is a row")).collect()
}

/// The rows of each answer to several statements: an empty line stands between two answers.
fn answers(out: &str) -> Vec<Vec<Value>> {
    let lines: Vec<&str> = out.lines().collect();
    let rows = |lines: &[&str]| -> Vec<Value> {
        lines.iter().map(|line| serde_json::from_str(line).expect("a row")).collect()
    };
    lines.split(|line| line.is_empty()).map(rows).collect()
}

fn today(dir: &Path) -> String {
    let rows = rows(dir, "select current_date as day");
    rows[0]["day"].as_str().expect("a date").to_owned()
}

fn produce_and_run(dir: &Path) {
    let produce = "produce -f x/pipeline.yaml --stream api_usage_events --generate api-usage --count 2000 --seed 7 \
                   --duplicates 5% --late 3% --malformed 1% --start-time 2026-01-28T10:00:00Z --ledger l --truth t";
    fine(dir, &produce.split_whitespace().collect::<Vec<_>>());
    fine(dir, &["run", "-f", PIPELINE, "--until-caught-up", "--close-windows"]);
}

fn lines(dir: &Path, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.join(file)).expect("the producer wrote it");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn produced(dir: &Path) -> Produced {
    let ledger = std::fs::read_to_string(dir.join("l")).expect("the producer wrote it");
    let mut offsets: BTreeMap<i64, (i64, i64, i64)> = BTreeMap::new();
    // Behind the header: sequence, id, partition, offset.
    for line in ledger.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let number = |at: usize| fields[at].parse::<i64>().expect("a number");
        let (partition, offset) = (number(2), number(3));
        let (first, last, count) = offsets.entry(partition).or_insert((offset, offset, 0));
        (*first, *last, *count) = ((*first).min(offset), (*last).max(offset), *count + 1);
    }
    let silver = lines(dir, "t/silver.jsonl");
    let id = |row: &Value| row["event_id"].as_str().expect("an id").to_owned();
    let late = silver.iter().filter(|row| row["late"] == true).map(id).collect();
    let mut reasons = BTreeMap::new();
    for letter in lines(dir, "t/dead_letters.jsonl") {
        *reasons.entry(letter["reasons"].to_string()).or_insert(0) += 1;
    }
    Produced { offsets, rows: silver.len(), late, reasons }
}

#[test]
fn the_four_statements_of_a_runbook_run_as_they_stand_and_say_what_was_produced() {
    // Bronze and dead letters lie on the day of producing: where midnight passes meanwhile, once more.
    for _ in 0..2 {
        let dir = scratch();
        let dir = dir.path();
        fine(dir, &["init", "api-usage", "x"]);
        let day = today(dir);
        produce_and_run(dir);
        let offsets = rows(dir, &statements(&day)[0]);
        let of_events = statements(DAY);
        let (doubled, late) = (rows(dir, &of_events[1]), rows(dir, &of_events[2]));
        let (letters, produced) = (rows(dir, &of_events[3]), produced(dir));
        // All four in one argument, as they stand in the document, but for the day of the first.
        let together = RUNBOOK.replacen(DAY, &day, 1);
        let together = answers(&fine(dir, &["sql", "-f", PIPELINE, "--format", "json", &together]));
        if today(dir) != day {
            continue;
        }
        offsets_are(&offsets, &produced);
        assert_eq!(doubled, Vec::<Value>::new());
        let once = rows(dir, &of_events[1].replace("> 1", "= 1"));
        assert_eq!(once.len(), produced.rows, "it looks at every row");
        late_is(dir, &late, &produced);
        assert_eq!(together.iter().map(Vec::len).collect::<Vec<_>>(), [4, 0, 1, 10]);
        assert_eq!(together[2], late);
        letters_are(&letters, produced.reasons);
        return;
    }
    panic!("midnight passed twice");
}

fn offsets_are(answer: &[Value], produced: &Produced) {
    let number = |row: &Value, column: &str| row[column].as_i64().expect("a number");
    let told = answer.iter().map(|row| {
        assert_eq!(number(row, "expected_count"), number(row, "actual_count"), "no hole in {row}");
        let ends = (number(row, "min_offset"), number(row, "max_offset"), number(row, "actual_count"));
        (number(row, "_kafka_partition"), ends)
    });
    assert_eq!(told.collect::<BTreeMap<_, _>>(), produced.offsets);
    assert_eq!(answer.len(), 4, "a row for each partition");
}

fn late_is(dir: &Path, answer: &[Value], produced: &Produced) {
    assert_eq!(answer.len(), 1);
    assert!(!produced.late.is_empty() && produced.late.len() < produced.rows, "some are late and some are not");
    assert_eq!(answer[0]["late_event_count"].as_u64(), Some(produced.late.len() as u64));
    let all = rows(dir, "select event_id, _arrival_delay_seconds as delay from silver.api_usage_events");
    let of_late = |row: &&Value| row["event_id"].as_str().is_some_and(|id| produced.late.contains(id));
    let delays = all.iter().filter(of_late).map(|row| row["delay"].as_f64().expect("a number"));
    let mean = delays.sum::<f64>() / produced.late.len() as f64;
    let told = answer[0]["avg_delay_sec"].as_f64().expect("a number");
    assert!((told / mean - 1.0).abs() < 1e-9, "{told} is not {mean}");
}

fn letters_are(answer: &[Value], mut reasons: BTreeMap<String, usize>) {
    let letters: usize = reasons.values().sum();
    assert!(letters > 10, "there are more than the limit: {letters}");
    assert_eq!(answer.len(), 10);
    for row in answer {
        let left = reasons.get_mut(&row["_quality_flags"].to_string());
        let left = left.filter(|left| **left > 0).unwrap_or_else(|| panic!("no such letter was produced: {row}"));
        *left -= 1;
    }
}

#[test]
fn several_statements_are_answered_apart_until_one_fails_and_the_error_names_it() {
    let dir = scratch();
    let dir = dir.path();
    fine(dir, &["init", "api-usage", "x"]);
    let two = "select 1 as a; select 2 as a where false;";
    assert_eq!(fine(dir, &["sql", "-f", PIPELINE, "--format", "json", two]), "{\"a\":1}\n\n");
    assert_eq!(fine(dir, &["sql", "-f", PIPELINE, "--format", "csv", two]), "a\n1\n\na\n");
    let piped = watertight_with_input(dir, &["sql", "-f", PIPELINE, "--format", "csv"], two);
    assert_eq!((piped.code, piped.out.as_str()), (Some(0), "a\n1\n\na\n"), "{}", piped.err);
    let failed = watertight(dir, &["sql", "-f", PIPELINE, "--format", "csv", "select 1 as a; selec 2; select 3"]);
    assert_eq!((failed.code, failed.out.as_str()), (Some(1), "a\n1\n\n"), "{}", failed.err);
    assert!(failed.err.starts_with("error: statement 2 of 3: "), "{}", failed.err);
    let none = watertight(dir, &["sql", "-f", PIPELINE, "; -- nothing"]);
    assert!(none.code == Some(1) && none.err.contains("no statement in the query"), "{}", none.err);
}

#[test]
fn the_statements_of_the_document_are_those_that_are_tested() {
    let document = include_str!("../../../../docs/VERIFY.md");
    assert!(document.contains(&format!("```sql\n{RUNBOOK}```\n")), "docs/VERIFY.md shows other statements");
}
