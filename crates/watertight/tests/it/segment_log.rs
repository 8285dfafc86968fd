//! The segment log below a whole pipeline: what retention spares, and what damage costs.

use super::stocks::{self, FILE};
use super::{fine, scratch, sql, watertight};

#[test]
fn retention_spares_what_the_pipeline_has_not_read() {
    let dir = scratch();
    let dir = dir.path();
    stocks::init(dir);
    let file = dir.join(FILE);
    let text = std::fs::read_to_string(&file).expect("the example");
    let log = "log: { local: { path: data/log, segment_bytes: 64 KiB, retention: { bytes: 1 MiB } } }";
    let small: Vec<&str> = text.lines().map(|line| if line.starts_with("log:") { log } else { line }).collect();
    let text = small.join("\n").replace("interval: 1 s", "interval: 50 ms, max_rows: 500");
    assert!(text.contains("segment_bytes") && text.contains("max_rows"), "the example was changed");
    std::fs::write(&file, text).expect("written");
    stocks::produce(dir, &["--count", "120000", "--truth", "t"]);
    fine(dir, &["run", "-f", FILE, "--until-caught-up", "--close-windows"]);
    fine(dir, &["compare", "-f", FILE, "--truth", "t", "--all-windows"]);
}

#[test]
fn a_damaged_block_costs_its_offsets_which_are_named_and_counted_as_lost() {
    let dir = scratch();
    let dir = dir.path();
    stocks::init(dir);
    stocks::produce(dir, &["--count", "5000"]);
    let partition = dir.join("x/data/log/stock-ticks/0");
    let segment = std::fs::read_dir(&partition).expect("listed").filter_map(Result::ok).map(|entry| entry.path());
    let segment = segment.into_iter().find(|path| path.extension().is_some_and(|e| e == "seg")).expect("a segment");
    let mut bytes = std::fs::read(&segment).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).expect("written");
    let ran = watertight(dir, &["run", "-f", FILE, "--until-caught-up"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("offsets are lost"), "{}", ran.err);
    let status = fine(dir, &["status", "-f", FILE, "--format", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    let stream = &status["streams"][0];
    let number = |value: &serde_json::Value| value.as_u64().expect("a number");
    assert!(number(&stream["outcome"]["lost"]) > 0, "{status}");
    assert_eq!(number(&stream["outcome"]["lost"]) + number(&stream["bronze"]), 5000, "{status}");
    let lost = number(&stream["outcome"]["lost"]);
    let listed = "select _kafka_partition as p, sum(to_offset - from_offset) as lost, cause from silver.stock_ticks_gaps \
                  group by 1, 3";
    assert_eq!(sql(dir, FILE, listed), format!("p,lost,cause\n0,{lost},damaged\n"));
    let verified = fine(dir, &["verify", "-f", FILE]);
    assert!(verified.contains(" declared lost; nothing else is lost, doubled or altered"), "{verified}");
    assert!(verified.contains("offsets.declared"), "{verified}");
}
