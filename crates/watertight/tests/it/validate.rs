//! `watertight validate`.

use super::{scratch, watertight};
use serde_json::Value;
use std::fs;

const BAD: &str = "\
pipeline: market
log: { local: { path: data/log } }
lake: data/lake
streams:
  ticks:
    event_id: id
    event_time: { column: ts, watermark: 2 hours }
    colums: { id: string }
    columns: { id: string, ts: \"${TIMESTAMP_TYPE_THAT_IS_NOT_SET}\" }
";

#[test]
fn all_problems_are_listed_with_their_places() {
    let dir = scratch();
    fs::write(dir.path().join("bad.yaml"), BAD).expect("write");
    let answer = watertight(dir.path(), &["validate", "bad.yaml"]);
    assert_eq!(answer.code, Some(78));
    assert!(answer.out.is_empty(), "{}", answer.out);
    for line in [
        "bad.yaml:7:42: error: 'hours' is not a unit of duration; did you mean 'h'?",
        "bad.yaml:8:5: error: unknown key 'colums' in a stream; did you mean 'columns'?",
        "bad.yaml:9:32: error: variable TIMESTAMP_TYPE_THAT_IS_NOT_SET is not set; ",
        "3 problems in bad.yaml",
    ] {
        assert!(answer.err.contains(line), "{}", answer.err);
    }
}

#[test]
fn problems_as_json_go_to_standard_output() {
    let dir = scratch();
    fs::write(dir.path().join("bad.yaml"), BAD).expect("write");
    let answer = watertight(dir.path(), &["validate", "-f", "bad.yaml", "--format", "json"]);
    assert_eq!(answer.code, Some(78));
    let object: Value = serde_json::from_str(&answer.out).expect("json");
    assert_eq!(object["valid"], false);
    assert_eq!(object["problems"].as_array().expect("problems").len(), 3);
    assert_eq!(object["problems"][1]["path"], "streams.ticks.colums");
    assert_eq!((&object["problems"][1]["line"], &object["problems"][1]["column"]), (&8.into(), &5.into()));
    assert_eq!(object["pipeline"], Value::Null);
}

#[test]
fn a_right_file_is_summed_up_with_the_tables_it_would_write() {
    let dir = scratch();
    watertight(dir.path(), &["init", "stocks", "."]);
    let answer = watertight(dir.path(), &["validate", "pipeline.yaml"]);
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    for part in
        ["pipeline stocks", "topic stock-ticks, 4 partitions, 6 columns, 1 check", "window 1 min", "gold.candles_1m"]
    {
        assert!(answer.out.contains(part), "{}", answer.out);
    }
    let answer = watertight(dir.path(), &["validate", "pipeline.yaml", "--format", "json"]);
    let object: Value = serde_json::from_str(&answer.out).expect("json");
    let tables = serde_json::json!([
        "bronze.stock_ticks",
        "bronze.stock_ticks_dlq",
        "silver.stock_ticks",
        "gold.candles_1m",
        "ops.commits",
        "ops.definitions"
    ]);
    assert_eq!((&object["valid"], &object["pipeline"]["tables"]), (&true.into(), &tables));
}

#[test]
fn a_file_that_is_not_there_is_a_problem_of_the_configuration() {
    let answer = watertight(scratch().path(), &["validate", "nowhere.yaml"]);
    assert_eq!(answer.code, Some(78));
    assert!(answer.err.starts_with("nowhere.yaml: error: cannot read the pipeline file: "), "{}", answer.err);
}

#[test]
fn variables_come_from_the_environment() {
    let dir = scratch();
    fs::write(dir.path().join("good.yaml"), BAD.replace("hours", "h").replace("    colums: { id: string }\n", ""))
        .expect("write");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(["validate", "good.yaml"])
        .current_dir(dir.path())
        .env("TIMESTAMP_TYPE_THAT_IS_NOT_SET", "timestamp")
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
