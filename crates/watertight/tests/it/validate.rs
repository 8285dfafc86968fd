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

/// A misspelt key, three bad checks of four, a model of no stream, one with a bad file and one with bad SQL in place.
const BAD_SQL: &str = "\
pipeline: market
log: { local: { path: data/log } }
lake: data/lake
streams:
  ticks:
    event_id: id
    event_time: { column: ts, watermark: 2 h }
    topik: ticks
    columns: { id: string, price: double, ts: timestamp }
    checks:
      cheap: pric < 100
      fine: price > 0
      known: id IN ('a',
      long: |-
        price > 0
        AND id = 'a' FROM x
models:
  lost: { from: tick, window: 1 min, sql: models/bad.sql }
  bad: { from: ticks, window: 1 min, sql: models/bad.sql }
  typo: { from: ticks, window: 1 min, sql: models/typo.sql }
  here: { from: ticks, window: 1 min, sql: SELECT window_start FROM ticks }
";

fn bad_sql(dir: &std::path::Path) -> super::Answer {
    fs::create_dir(dir.join("models")).expect("a folder");
    fs::write(dir.join("bad.yaml"), BAD_SQL).expect("write");
    let bad = "SELECT window_start,\n  count(*) AS n,\n  max(pric) AS high\nFROM ticks\nGROUP BY window_start\n";
    fs::write(dir.join("models/bad.sql"), bad).expect("write");
    let typo = "\n-- a comment\nSELECT window_start, maxx(price) AS high\nFROM ticks GROUP BY window_start\n";
    fs::write(dir.join("models/typo.sql"), typo).expect("write");
    watertight(dir, &["validate", "bad.yaml"])
}

#[test]
fn problems_of_sql_stand_among_the_others_each_at_its_check_or_model() {
    let dir = scratch();
    let answer = bad_sql(dir.path());
    assert_eq!(answer.code, Some(78));
    let places: Vec<&str> = answer.err.lines().map(|line| line.split(": error: ").next().unwrap_or_default()).collect();
    let want =
        ["8:5", "11:14", "13:14", "15:9", "18:17", "19:43", "20:44", "21:44"].map(|place| format!("bad.yaml:{place}"));
    assert_eq!(places[..places.len() - 1], want, "{}", answer.err);
    for part in [
        "bad.yaml:8:5: error: unknown key 'topik' in a stream; did you mean 'topic'?",
        "bad.yaml:11:14: error: check 'cheap': unknown column 'pric'; did you mean 'price'?",
        "bad.yaml:13:14: error: check 'known': not valid SQL: expected",
        "bad.yaml:15:9: error: check 'long', line 2, column ",
        "bad.yaml:18:17: error: no stream 'tick' is declared; did you mean 'ticks'?",
        "bad.yaml:21:44: error: model 'here': it doesn't aggregate; ",
        "8 problems in bad.yaml",
    ] {
        assert!(answer.err.contains(part), "{}", answer.err);
    }
    for word in ["Schema error", "No field named", "Valid fields", "sql parser error", "Invalid function"] {
        assert!(!answer.err.contains(word), "{}", answer.err);
    }
}

#[test]
fn an_error_in_an_sql_file_names_the_file_with_line_and_column() {
    let dir = scratch();
    let answer = bad_sql(dir.path());
    for part in [
        "bad.yaml:19:43: error: models/bad.sql:3:7: unknown column 'pric'; did you mean 'ticks.price'?",
        "bad.yaml:20:44: error: models/typo.sql:3:22: unknown function 'maxx'; did you mean 'max'?",
    ] {
        assert!(answer.err.contains(part), "{}", answer.err);
    }
    fs::write(dir.path().join("models/bad.sql"), "SELECT window_start,\n  count(* FROM ticks").expect("write");
    let answer = watertight(dir.path(), &["validate", "bad.yaml"]);
    assert!(answer.err.contains("error: models/bad.sql:2:11: not valid SQL: expected"), "{}", answer.err);
}

#[test]
fn what_the_planner_gives_no_place_for_is_placed_by_its_name_and_said_in_plain_words() {
    let dir = scratch();
    fs::write(
        dir.path().join("p.yaml"),
        "pipeline: market\nlog: { local: { path: data/log } }\nlake: data/lake\nstreams:\n  ticks:\n    event_id: id\n    \
         event_time: { column: ts, watermark: 2 h }\n    columns: { id: string, price: \"decimal(18,4)\", ts: timestamp }\n\
         models:\n  m: { from: ticks, window: 1 min, sql: m.sql }\n",
    )
    .expect("write");
    for (column, told) in [
        ("sum(id) AS s", "m.sql:3:3: there is no sum(string)"),
        ("sum(price, price) AS s", "m.sql:3:3: there is no sum(decimal(18, 4), decimal(18, 4))"),
        ("max(price) - min(ts) AS d", "m.sql: decimal(18, 4) - timestamp cannot be computed; "),
        ("count(*) AS n, max(price) AS n", "m.sql: columns 2 and 3 of the SELECT have the same name; "),
        ("cast(max(price) AS foo) AS n", "m.sql:3:22: there is no type foo"),
        ("first_value(price) AS f", "m.sql:3:3: first_value() depends on the order of rows; "),
    ] {
        let sql = format!("SELECT\n  window_start,\n  {column}\nFROM ticks\nGROUP BY window_start\n");
        fs::write(dir.path().join("m.sql"), sql).expect("write");
        let answer = watertight(dir.path(), &["validate", "p.yaml"]);
        assert_eq!(answer.code, Some(78), "{column}: {}", answer.out);
        assert!(answer.err.starts_with(&format!("p.yaml:10:41: error: {told}")), "{column}: {}", answer.err);
        for word in ["Internal error", "DataFusion", "Decimal128", "Utf8", "Candidate"] {
            assert!(!answer.err.contains(word), "{column}: {}", answer.err);
        }
    }
}

#[test]
fn a_signing_key_that_verify_would_refuse_is_a_problem_and_is_not_shown() {
    let dir = scratch();
    let dir = dir.path();
    let file = "pipeline: signed\nlog: { local: { path: data/log } }\nlake: data/lake\nstreams:\n  ticks:\n    event_id: \
                id\n    event_time: { column: ts, watermark: 2 h }\n    columns: { id: string, ts: timestamp }\n";
    let validated = |key: &str| {
        fs::write(dir.join("p.yaml"), format!("{file}certificates: {{ {key} }}\n")).expect("write");
        watertight(dir, &["validate", "p.yaml"])
    };
    assert_eq!(watertight(dir, &["keygen", "auditor.key"]).code, Some(0));
    fs::write(dir.join("no.key"), "hunter2\n").expect("write");
    let right = validated("signing_key_file: auditor.key");
    assert_eq!((right.code, right.err.as_str()), (Some(0), ""));
    for (key, told) in [
        ("signing_key: hunter2", "p.yaml:9:30: error: verify cannot sign with it: not a key: "),
        ("signing_key_file: no.key", "p.yaml:9:35: error: verify cannot sign with it: not a key: "),
        ("signing_key_file: auditor.key.pub", "p.yaml:9:35: error: verify cannot sign with it: this is a public key; "),
    ] {
        let answer = validated(key);
        assert_eq!(answer.code, Some(78), "{key}");
        assert!(answer.err.starts_with(told) && !answer.err.contains("hunter2"), "{key}: {}", answer.err);
    }
}

#[test]
fn properties_of_kafka_that_a_guarantee_rests_on_are_told_with_their_places_before_any_broker_is_asked() {
    let dir = scratch();
    let dir = dir.path();
    fs::write(
        dir.join("p.yaml"),
        "pipeline: market\nlog:\n  kafka:\n    bootstrap: 127.0.0.1:1\n    properties:\n      acks: 1\n      linger.ms: 5\n      \
         isolation.level: read_uncommitted\nlake: data/lake\nstreams:\n  ticks:\n    event_id: id\n    event_time: { column: \
         ts, watermark: 2 h }\n    columns: { id: string, ts: timestamp }\n",
    )
    .expect("write");
    for arguments in [&["validate", "p.yaml"][..], &["run", "-f", "p.yaml"]] {
        let answer = watertight(dir, arguments);
        assert_eq!(answer.code, Some(78), "{arguments:?}: {}", answer.err);
        for line in [
            "p.yaml:6:7: error: 'acks' can only be 'all': without it a record could be in the log twice, ",
            "p.yaml:8:7: error: 'isolation.level' can only be 'read_committed': what an aborted transaction wrote ",
        ] {
            assert!(answer.err.contains(line), "{arguments:?}: {}", answer.err);
        }
    }
    assert!(!dir.join("data").exists(), "nothing was begun");
}

#[test]
fn a_misspelt_level_of_logs_is_a_wrong_command_line() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(["validate", "nowhere.yaml"])
        .current_dir(scratch().path())
        .env("WATERTIGHT_LOG", "loud")
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("'loud' is not a level; write one of off, error, warn, info, debug, trace"), "{told}");
}
