//! `produce` from outside: what it refuses, what it reads, and that nothing is left behind.

use super::{fine, scratch, watertight};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PIPELINE: &str = "
pipeline: notes
log: { local: { path: data/log } }
lake: data/lake
streams:
  notes:
    event_id: id
    partitions: 2
    event_time: { column: at, watermark: 1 min }
    columns:
      id: { type: string, required: true }
      at: { type: timestamp, required: true }
      n: { type: string }
";

fn notes(dir: &Path) {
    std::fs::write(dir.join("p.yaml"), PIPELINE).expect("written");
}

/// Runs `produce` into the stream of [`notes`].
fn produce(dir: &Path, more: &[&str]) -> super::Answer {
    let arguments: Vec<&str> = ["produce", "-f", "p.yaml", "--stream", "notes"].iter().chain(more).copied().collect();
    watertight(dir, &arguments)
}

fn event(id: &str) -> String {
    format!("{{\"id\":\"{id}\",\"at\":\"2026-03-01T10:00:00Z\"}}\n")
}

#[test]
fn options_that_do_not_fit_end_with_2_and_an_unknown_stream_is_told_with_those_there_are() {
    let dir = scratch();
    let dir = dir.path();
    notes(dir);
    let unknown = watertight(dir, &["produce", "-f", "p.yaml", "--stream", "note", "--input", "-"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.err);
    assert!(unknown.err.contains("no stream 'note'; it has notes"), "{}", unknown.err);
    for (more, said) in [
        (&["--generate", "stocks"][..], "cannot generate stocks for this stream"),
        (&["--input", "x.json", "--input-format", "json-array", "--follow"][..], "an array has an end"),
        (&["--input", "x.json", "--key", "absent"][..], "no column 'absent'"),
        (&["--generate", "stocks", "--speed", "60x"][..], "cannot be used with"),
    ] {
        let answer = produce(dir, more);
        assert_eq!(answer.code, Some(2), "{more:?}: {}", answer.err);
        assert!(answer.err.contains(said), "{more:?}: {}", answer.err);
    }
}

#[test]
fn json_lines_in_a_file_named_json_are_read_as_lines_and_a_document_as_its_elements() {
    let dir = scratch();
    let dir = dir.path();
    notes(dir);
    std::fs::write(dir.join("lines.json"), format!("\u{feff}{}{}", event("a"), event("b"))).expect("written");
    std::fs::write(dir.join("array.json"), format!("[{},{}]", event("c"), event("d"))).expect("written");
    for file in ["lines.json", "array.json"] {
        let answer = produce(dir, &["--input", file]);
        assert_eq!(answer.code, Some(0), "{}", answer.err);
        assert!(answer.err.contains("2 events acknowledged"), "{}", answer.err);
    }
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    let rows = fine(dir, &["sql", "-f", "p.yaml", "--format", "csv", "select event_id from silver.notes order by 1"]);
    assert_eq!(rows, "event_id\na\nb\nc\nd\n");
    std::fs::write(dir.join("text.json"), "nonsense\n").expect("written");
    let answer = produce(dir, &["--input", "text.json"]);
    assert_eq!(answer.code, Some(1));
    assert!(answer.err.contains("--input-format json"), "{}", answer.err);
}

#[test]
fn a_stray_quote_in_csv_costs_no_row_and_an_open_one_is_an_error_with_its_line() {
    let dir = scratch();
    let dir = dir.path();
    notes(dir);
    let at = "2026-03-01T10:00:00Z";
    std::fs::write(dir.join("in.csv"), format!("id,at,n\na,{at},5\" pipe\nb,{at},x\nc,{at},y\n")).expect("written");
    let answer = produce(dir, &["--input", "in.csv"]);
    assert!(answer.code == Some(0) && answer.err.contains("3 events acknowledged"), "{}", answer.err);
    std::fs::write(dir.join("open.csv"), format!("id,at,n\nd,{at},\"open\ne,{at},x\n")).expect("written");
    let answer = produce(dir, &["--input", "open.csv"]);
    assert_eq!(answer.code, Some(1), "{}", answer.err);
    assert!(answer.err.contains("open.csv") && answer.err.contains("a quote in line 2"), "{}", answer.err);
}

#[test]
fn a_file_that_was_written_anew_is_not_read_on_with_its_old_ledger() {
    let dir = scratch();
    let dir = dir.path();
    notes(dir);
    let resume = ["--input", "in.jsonl", "--ledger", "l"];
    std::fs::write(dir.join("in.jsonl"), event("a") + &event("b")).expect("written");
    assert_eq!(produce(dir, &resume).code, Some(0));
    std::fs::write(dir.join("in.jsonl"), event("a") + &event("b") + &event("c")).expect("written");
    let grown = produce(dir, &resume);
    assert!(grown.code == Some(0) && grown.err.contains("1 events acknowledged"), "{}", grown.err);
    std::fs::write(dir.join("in.jsonl"), ["x", "y", "z", "w"].map(event).concat()).expect("written");
    let anew = produce(dir, &resume);
    assert_eq!(anew.code, Some(1), "{}", anew.err);
    assert!(anew.err.contains("in.jsonl") && anew.err.contains("begin a new ledger"), "{}", anew.err);
}

#[test]
fn a_raised_number_of_partitions_is_there_for_the_next_event() {
    let dir = scratch();
    let dir = dir.path();
    notes(dir);
    std::fs::write(dir.join("in.jsonl"), event("a")).expect("written");
    assert_eq!(produce(dir, &["--input", "in.jsonl"]).code, Some(0));
    let partition = |number: u32| dir.join(format!("data/log/notes/{number}")).is_dir();
    assert!(partition(1) && !partition(2));
    std::fs::write(dir.join("p.yaml"), PIPELINE.replace("partitions: 2", "partitions: 6")).expect("written");
    assert_eq!(produce(dir, &["--input", "in.jsonl"]).code, Some(0));
    assert!(partition(5) && !partition(6));
}

#[test]
fn a_truth_is_refused_for_a_changed_model_and_on_a_topic_that_holds_records() {
    let dir = scratch();
    let dir = dir.path();
    fine(dir, &["init", "stocks", "x"]);
    let pipeline = ["produce", "-f", "x/pipeline.yaml", "--stream", "stock_ticks", "--generate", "stocks"];
    let produce = |more: &[&str]| {
        let arguments: Vec<&str> = pipeline.iter().chain(&["--count", "50"]).chain(more).copied().collect();
        watertight(dir, &arguments)
    };
    let sql = dir.join("x/models/candles_1m.sql");
    let standard = std::fs::read_to_string(&sql).expect("the example");
    std::fs::write(&sql, standard.replace("max(price)", "max(price) + 1")).expect("written");
    let answer = produce(&["--truth", "t"]);
    assert_eq!(answer.code, Some(2), "{}", answer.err);
    assert!(answer.err.contains("model candles_1m") && !dir.join("t").exists(), "{}", answer.err);
    std::fs::write(&sql, standard).expect("written");
    assert_eq!(produce(&["--truth", "t"]).code, Some(0));
    let answer = produce(&["--truth", "t2", "--ledger", "l"]);
    assert_eq!(answer.code, Some(2), "{}", answer.err);
    assert!(answer.err.contains("held records before") && !dir.join("l").exists(), "{}", answer.err);
}

/// Processes in whose command line `text` stands.
fn processes_with(text: &str) -> usize {
    let entries = std::fs::read_dir("/proc").expect("listed").flatten();
    let said = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).contains(text);
    entries.filter(|entry| said(&entry.path().join("cmdline"))).count()
}

#[test]
fn a_demo_that_is_asked_to_stop_leaves_no_process_behind() {
    let dir = scratch();
    let target = dir.path().join("demo");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(["demo", "--for", "60s", "--dir"])
        .arg(&target)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let text = target.join("pipeline.yaml").display().to_string();
    let began = Instant::now();
    while processes_with(&text) < 2 {
        assert!(began.elapsed() < Duration::from_secs(30), "the producer and the pipeline are started");
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = Command::new("kill").arg(demo.id().to_string()).status().expect("kill runs");
    assert!(asked.success());
    let ended = demo.wait().expect("ends");
    assert_eq!((ended.code(), processes_with(&text)), (Some(1), 0));
}
