//! A stream of several topics from outside: produced to by name, read by a pattern, shown by topic, and verified; also
//! where the stream began with one of them, and goes back to it.

use super::{fine, scratch, watertight, watertight_with_input};
use serde_json::Value;
use std::fs;
use std::path::Path;

const PIPELINE: &str = "
pipeline: shop
log: { local: { path: log } }
lake: data/lake
commit: { interval: 50 ms }
streams:
  orders:
    TOPICS
    partitions: 2
    event_id: id
    event_time: { column: at, watermark: 1 min }
    columns:
      id: { type: string, required: true }
      at: { type: timestamp, required: true }
models:
  per_minute: { from: orders, window: 1 min, sql: \"SELECT window_start, count(*) AS orders FROM orders GROUP BY window_start\" }
";

fn reads(dir: &Path, topics: &str) {
    fs::write(dir.join("p.yaml"), PIPELINE.replace("TOPICS", topics)).expect("written");
}

/// Orders of these numbers, a minute later every ten, to a topic; acknowledged in its own ledger.
fn produce(dir: &Path, topic: &str, numbers: std::ops::Range<u32>) {
    let event = |n: u32| format!("{{\"id\":\"o{n}\",\"at\":\"2026-03-01T10:{:02}:00Z\"}}\n", n / 10);
    let lines: String = numbers.map(event).collect();
    let ledger = format!("{topic}.ledger");
    let arguments = [
        "produce",
        "-f",
        "p.yaml",
        "--stream",
        "orders",
        "--topic",
        topic,
        "--input",
        "-",
        "--ledger",
        ledger.as_str(),
    ];
    let produced = watertight_with_input(dir, &arguments, &lines);
    assert_eq!(produced.code, Some(0), "{}", produced.err);
}

/// Runs until all is read; then everything must balance, with the ledgers of these topics.
fn run_and_verify(dir: &Path, topics: &[&str]) {
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    let ledgers: Vec<String> = topics.iter().map(|topic| format!("{topic}.ledger")).collect();
    let mut arguments = vec!["verify", "-f", "p.yaml"];
    arguments.extend(ledgers.iter().flat_map(|ledger| ["--ledger", ledger.as_str()]));
    let answer = watertight(dir, &arguments);
    assert_eq!(answer.code, Some(0), "{topics:?}: {}{}", answer.out, answer.err);
    assert!(answer.out.contains("balanced: nothing is lost, doubled or altered"), "{}", answer.out);
}

/// The rows of a query, without the header.
fn rows(dir: &Path, query: &str) -> Vec<String> {
    let answer = fine(dir, &["sql", "-f", "p.yaml", "--format", "csv", query]);
    answer.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn topics_are_read_by_a_pattern_and_everything_balances_before_meanwhile_and_after() {
    let dir = scratch();
    let dir = dir.path();
    reads(dir, "topic: orders-eu");
    produce(dir, "orders-eu", 0..40);
    run_and_verify(dir, &["orders-eu"]);

    reads(dir, "topics: { pattern: \"orders-.*\" }");
    produce(dir, "orders-us", 20..80);
    produce(dir, "orders-eu", 80..100);
    run_and_verify(dir, &["orders-eu", "orders-us"]);
    produce(dir, "orders-jp", 90..120);
    run_and_verify(dir, &["orders-eu", "orders-us", "orders-jp"]);
    assert_eq!(rows(dir, "select count(*), count(distinct event_id) from silver.orders"), ["120,120"]);
    let topics = "select distinct _kafka_topic from bronze.orders order by 1";
    assert_eq!(rows(dir, topics), ["orders-eu", "orders-jp", "orders-us"]);
    let told = rows(dir, "select _kafka_topic, count(*) from silver.orders group by 1 order by 1 nulls first");
    assert_eq!(told.first().map(String::as_str), Some(",40"), "rows from before name none: {told:?}");
    assert!(told.iter().any(|row| row.starts_with("orders-us,")), "{told:?}");

    reads(dir, "topic: orders-eu");
    produce(dir, "orders-eu", 120..130);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    run_and_verify(dir, &["orders-eu", "orders-us", "orders-jp"]);
    assert_eq!(rows(dir, "select count(*) from silver.orders"), ["130"]);
    let late = rows(dir, "select count(*) from silver.orders where not _is_late_arriving");
    assert_eq!(rows(dir, "select sum(orders) from gold.per_minute"), late, "each row that is on time is in a window");
}

#[test]
fn what_is_lost_of_one_topic_is_found_and_named() {
    let dir = scratch();
    let dir = dir.path();
    reads(dir, "topics: [orders-us, orders-eu]");
    produce(dir, "orders-eu", 0..20);
    produce(dir, "orders-us", 20..40);
    run_and_verify(dir, &["orders-eu", "orders-us"]);
    let before = super::verify::files(&dir.join("data/lake/silver/orders"));
    produce(dir, "orders-us", 40..41);
    run_and_verify(dir, &["orders-eu", "orders-us"]);
    let after = super::verify::files(&dir.join("data/lake/silver/orders"));
    let newest = after.difference(&before).next().expect("a new file");
    fs::remove_file(newest).expect("removed");
    let answer = watertight(dir, &["verify", "-f", "p.yaml", "--format", "json", "--ledger", "orders-us.ledger"]);
    let report: Value = serde_json::from_str(&answer.out).expect("JSON");
    let codes: Vec<&str> =
        report["findings"].as_array().into_iter().flatten().filter_map(|found| found["code"].as_str()).collect();
    assert_eq!(answer.code, Some(1));
    for code in ["rows.lost", "log.file_missing"] {
        assert!(codes.contains(&code), "{code}: {report}");
    }
}

#[test]
fn a_producer_says_which_topic_and_status_shows_each() {
    let dir = scratch();
    let dir = dir.path();
    reads(dir, "topics: { pattern: \"orders-.*\" }");
    let to = |topic: &[&str]| {
        let arguments = [&["produce", "-f", "p.yaml", "--stream", "orders", "--input", "-"], topic].concat();
        watertight_with_input(dir, &arguments, "")
    };
    let unsaid = to(&[]);
    assert_eq!(unsaid.code, Some(2), "{}", unsaid.err);
    assert!(unsaid.err.contains("say with --topic which one"), "{}", unsaid.err);
    let another = to(&["--topic", "returns"]);
    assert_eq!(another.code, Some(2), "{}", another.err);
    assert!(another.err.contains("does not read topic 'returns'"), "{}", another.err);
    produce(dir, "orders-eu", 0..10);
    produce(dir, "orders-us", 10..30);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    let text = fine(dir, &["status", "-f", "p.yaml"]);
    assert!(text.contains("stream orders (topics /orders-.*/)") && text.contains(" orders-us/1 "), "{text}");
    let json: Value = serde_json::from_str(&fine(dir, &["status", "-f", "p.yaml", "--format", "json"])).expect("JSON");
    let partitions = json["streams"][0]["partitions"].as_array().expect("a list");
    let of = |topic: &str| -> i64 {
        let of_topic = partitions.iter().filter(|one| one["topic"] == topic);
        of_topic.map(|one| one["silver"].as_i64().expect("a position")).sum()
    };
    assert_eq!((partitions.len(), of("orders-eu"), of("orders-us")), (4, 10, 20), "{json}");
    assert_eq!(json["streams"][0]["lag"], 0, "{json}");
}

#[test]
fn rows_that_name_another_topic_than_their_commit_are_found() {
    let dir = scratch();
    let dir = dir.path();
    reads(dir, "topics: [orders-us, orders-eu]");
    produce(dir, "orders-eu", 0..5);
    produce(dir, "orders-us", 5..10);
    run_and_verify(dir, &["orders-eu", "orders-us"]);
    let log = dir.join("data/lake/silver/orders/_delta_log");
    let is_entry = |path: &std::path::PathBuf| path.extension().is_some_and(|ending| ending == "json");
    let mut entries: Vec<_> = fs::read_dir(log).expect("listed").map(|entry| entry.expect("an entry").path()).collect();
    entries.retain(is_entry);
    entries.sort();
    let (said, other) = (r#""topic":"orders-us""#, r#""topic":"orders-eu""#);
    let of_us = |path: &&std::path::PathBuf| fs::read_to_string(path).expect("read").contains(said);
    let entry = entries.iter().rev().find(of_us).expect("a commit of that topic");
    let text = fs::read_to_string(entry).expect("read");
    fs::write(entry, text.replace(said, other)).expect("written");
    let answer = watertight(dir, &["verify", "-f", "p.yaml", "--format", "json"]);
    let report: Value = serde_json::from_str(&answer.out).expect("JSON");
    assert_eq!(answer.code, Some(1));
    let is_it = |found: &&Value| found["code"] == "rows.derived" && found.to_string().contains("_kafka_topic");
    assert!(report["findings"].as_array().into_iter().flatten().any(|found| is_it(&found)), "{report}");
}
