//! From events to rows, as a user does it.

use super::{fine, scratch, watertight, watertight_with_input};
use std::path::Path;

const PIPELINE: &str = "
pipeline: notes
log: { local: { path: data/log } }
lake: data/lake
streams:
  notes:
    event_id: id
    event_time: { column: at, watermark: 1 min }
    columns:
      id: { type: string, required: true }
      at: { type: timestamp, required: true }
      n: { type: long }
    checks: { small: \"n < 100\" }
models:
  per_minute: { from: notes, window: 1 min, sql: \"SELECT window_start, count(*) AS notes FROM notes GROUP BY window_start\" }
";

const FIVE: &str = r#"{"id":"a","at":"2026-03-01T10:00:00Z","n":1}
{"id":"b","at":"2026-03-01T10:00:30Z","n":2,"more":{"x":1}}
{"id":"a","at":"2026-03-01T10:00:00Z","n":1}
{"id":"c","at":"2026-03-01T10:05:00Z","n":500}
not json
"#;

fn notes(dir: &Path) {
    std::fs::write(dir.join("p.yaml"), PIPELINE).expect("written");
    let produced = watertight_with_input(dir, &["produce", "-f", "p.yaml", "--stream", "notes", "--input", "-"], FIVE);
    assert_eq!(produced.code, Some(0), "{}", produced.err);
}

fn sql(dir: &Path, file: &str, query: &str) -> String {
    fine(dir, &["sql", "-f", file, "--format", "csv", query])
}

#[test]
fn five_lines_of_ones_own_become_rows_duplicates_and_dead_letters() {
    let dir = scratch();
    let dir = dir.path();
    notes(dir);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_eq!(
        sql(dir, "p.yaml", "select event_id, n, _extra from silver.notes order by 1"),
        "event_id,n,_extra\na,1,\nb,2,\"{\"\"more\"\":{\"\"x\"\":1}}\"\n"
    );
    assert_eq!(sql(dir, "p.yaml", "select count(*) as c from bronze.notes"), "c\n5\n");
    let letters = sql(dir, "p.yaml", "select _quality_flags[1] as why from bronze.notes_dlq order by 1");
    assert_eq!(letters, "why\ncheck:small\ninvalid_json\n");
    assert_eq!(sql(dir, "p.yaml", "select notes from gold.per_minute"), "notes\n2\n");
    let status = fine(dir, &["status", "-f", "p.yaml", "--format", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).expect("status is JSON");
    let outcome = &status["streams"][0]["outcome"];
    assert_eq!((outcome["silver"].as_u64(), outcome["duplicates"].as_u64()), (Some(2), Some(1)), "{status}");
    assert_eq!(status["streams"][0]["lag"].as_i64(), Some(0));
}

#[test]
fn a_second_run_finds_nothing_to_do_and_changes_nothing() {
    let dir = scratch();
    let dir = dir.path();
    notes(dir);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    let count = "select count(*) as c, count(distinct event_id) as d from silver.notes";
    let before = sql(dir, "p.yaml", count);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    assert_eq!(sql(dir, "p.yaml", count), before);
}

#[test]
fn an_event_that_comes_again_after_the_state_folder_was_deleted_is_still_a_duplicate() {
    let dir = scratch();
    let dir = dir.path();
    notes(dir);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    std::fs::remove_dir_all(dir.join("data/lake/_watertight/state")).expect("there is one");
    let again = watertight_with_input(dir, &["produce", "-f", "p.yaml", "--stream", "notes", "--input", "-"], FIVE);
    assert_eq!(again.code, Some(0), "{}", again.err);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    assert_eq!(sql(dir, "p.yaml", "select count(*) as c from silver.notes"), "c\n2\n");
    assert_eq!(sql(dir, "p.yaml", "select count(*) as c from bronze.notes"), "c\n10\n");
}

#[test]
fn a_changed_definition_is_numbered_and_holds_from_the_next_record() {
    let dir = scratch();
    let dir = dir.path();
    notes(dir);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    std::fs::write(
        dir.join("p.yaml"),
        PIPELINE.replace("n < 100", "n < 1000").replace("n: { type: long }", "n: { type: long }\n      m: string"),
    )
    .expect("written");
    let more = r#"{"id":"d","at":"2026-03-01T10:06:00Z","n":500,"m":"x"}"#;
    let produced = watertight_with_input(dir, &["produce", "-f", "p.yaml", "--stream", "notes", "--input", "-"], more);
    assert_eq!(produced.code, Some(0), "{}", produced.err);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    assert_eq!(
        sql(dir, "p.yaml", "select event_id, m, _schema_version as v from silver.notes order by 1"),
        "event_id,m,v\na,,1\nb,,1\nd,x,2\n"
    );
    let versions = sql(dir, "p.yaml", "select version from ops.definitions where kind = 'stream' order by 1");
    assert_eq!(versions, "version\n1\n2\n");
}

#[test]
fn a_model_that_fails_stops_alone_and_catches_up_once_it_is_fixed() {
    let dir = scratch();
    let dir = dir.path();
    let broken = PIPELINE.replace(
        "  per_minute:",
        "  broken: { from: notes, window: 1 min, sql: \"SELECT window_start, sum(cast(id AS bigint)) AS ids FROM notes GROUP BY window_start\" }\n  per_minute:",
    );
    notes(dir);
    std::fs::write(dir.join("p.yaml"), broken).expect("written");
    let ran = watertight(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_eq!(ran.code, Some(1), "a failed model is not passed over in silence");
    assert!(ran.err.contains("model broken stopped"), "{}", ran.err);
    assert_eq!(sql(dir, "p.yaml", "select notes from gold.per_minute"), "notes\n2\n");
    let status = fine(dir, &["status", "-f", "p.yaml"]);
    assert!(status.contains("model broken") && status.contains("FAILED"), "{status}");
    let fixed = std::fs::read_to_string(dir.join("p.yaml")).expect("there").replace("cast(id AS bigint)", "n");
    std::fs::write(dir.join("p.yaml"), fixed).expect("written");
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_eq!(sql(dir, "p.yaml", "select ids from gold.broken"), "ids\n3\n");
}

#[test]
fn a_model_that_cannot_be_planned_stops_alone_and_keeps_no_command_from_its_work() {
    let dir = scratch();
    let dir = dir.path();
    let broken = "  broken: { from: notes, window: 1 min, sql: \"SELECT window_start, sum(nope) AS s FROM notes GROUP BY window_start\" }\n  per_minute:";
    notes(dir);
    std::fs::write(dir.join("p.yaml"), PIPELINE.replace("  per_minute:", broken)).expect("written");
    assert_eq!(watertight(dir, &["validate", "p.yaml"]).code, Some(78));
    let ran = watertight(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("model broken stopped") && ran.err.contains("nope"), "{}", ran.err);
    assert_eq!(sql(dir, "p.yaml", "select notes from gold.per_minute"), "notes\n2\n");
    let status = fine(dir, &["status", "-f", "p.yaml"]);
    assert!(status.contains("model broken") && status.contains("FAILED"), "{status}");
    std::fs::write(dir.join("p.yaml"), PIPELINE.replace("  per_minute:", &broken.replace("nope", "n")))
        .expect("written");
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_eq!(sql(dir, "p.yaml", "select s from gold.broken"), "s\n3\n");
}

#[test]
fn one_pipeline_runs_once_and_the_second_is_told_who_holds_it() {
    let dir = scratch();
    let dir = dir.path();
    notes(dir);
    let mut first = std::process::Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(["run", "-f", "p.yaml"])
        .current_dir(dir)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    let lock = dir.join("data/lake/_watertight/lock");
    let began = std::time::Instant::now();
    while std::fs::read_to_string(&lock).unwrap_or_default().is_empty() {
        assert!(began.elapsed().as_secs() < 20, "the first run takes its lock");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let second = watertight(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    first.kill().expect("killed");
    first.wait().expect("reaped");
    assert_eq!(second.code, Some(1));
    assert!(second.err.contains(&format!("process {}", first.id())), "{}", second.err);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
}

#[test]
fn generated_events_of_each_kind_come_out_exactly_as_their_truth_says() {
    for (example, stream, kind) in [("stocks", "stock_ticks", "stocks"), ("api-usage", "api_usage_events", "api-usage")]
    {
        let dir = scratch();
        let dir = dir.path();
        fine(dir, &["init", example, "x"]);
        let produce = [
            "produce",
            "-f",
            "x/pipeline.yaml",
            "--stream",
            stream,
            "--generate",
            kind,
            "--count",
            "30000",
            "--duplicates",
            "5%",
            "--late",
            "3%",
            "--malformed",
            "0.5%",
            "--seed",
            "11",
            "--ledger",
            "l",
            "--truth",
            "t",
        ];
        fine(dir, &produce);
        fine(dir, &["run", "-f", "x/pipeline.yaml", "--until-caught-up", "--close-windows"]);
        fine(dir, &["compare", "-f", "x/pipeline.yaml", "--truth", "t", "--ledger", "l", "--all-windows"]);
    }
}

#[test]
fn a_difference_is_found_and_named() {
    let dir = scratch();
    let dir = dir.path();
    fine(dir, &["init", "stocks", "x"]);
    let produce = [
        "produce",
        "-f",
        "x/pipeline.yaml",
        "--stream",
        "stock_ticks",
        "--generate",
        "stocks",
        "--count",
        "500",
        "--truth",
        "t",
    ];
    fine(dir, &produce);
    fine(dir, &["run", "-f", "x/pipeline.yaml", "--until-caught-up", "--close-windows"]);
    let truth = dir.join("t/silver.jsonl");
    let text = std::fs::read_to_string(&truth).expect("written by produce");
    let shorter: Vec<&str> = text.lines().skip(1).collect();
    std::fs::write(&truth, shorter.join("\n")).expect("written");
    let answer = watertight(dir, &["compare", "-f", "x/pipeline.yaml", "--truth", "t", "--all-windows"]);
    assert_eq!(answer.code, Some(1), "{}", answer.out);
    assert!(answer.out.contains("differs"), "{}", answer.out);
}

/// The same events, other batch sizes and restarts: the same rows.
#[test]
fn batch_sizes_and_restarts_leave_no_trace_in_the_rows() {
    const SILVER: &str = "select event_id, price, _is_late_arriving, _event_time from silver.stock_ticks order by 1";
    const GOLD: &str =
        "select window_start, symbol, open, high, low, close, volume, trades from gold.candles_1m order by 1, 2";
    let mut tables: Vec<(String, String)> = Vec::new();
    for rows_max in ["500_000", "997", "61"] {
        let dir = scratch();
        let dir = dir.path();
        fine(dir, &["init", "stocks", "x"]);
        let file = dir.join("x/pipeline.yaml");
        let text = std::fs::read_to_string(&file).expect("the example");
        assert!(text.contains("interval: 1 s"), "the example says when it commits");
        std::fs::write(&file, text.replace("interval: 1 s", &format!("interval: 1 s, max_rows: {rows_max}")))
            .expect("written");
        for count in ["2000", "6000"] {
            fine(
                dir,
                &[
                    "produce",
                    "-f",
                    "x/pipeline.yaml",
                    "--stream",
                    "stock_ticks",
                    "--generate",
                    "stocks",
                    "--count",
                    count,
                    "--late",
                    "5%",
                    "--malformed",
                    "1%",
                    "--start-time",
                    "2026-03-01T12:00:00Z",
                    "--ledger",
                    "l",
                ],
            );
            fine(dir, &["run", "-f", "x/pipeline.yaml", "--until-caught-up"]);
        }
        fine(dir, &["run", "-f", "x/pipeline.yaml", "--until-caught-up", "--close-windows"]);
        tables.push((sql(dir, "x/pipeline.yaml", SILVER), sql(dir, "x/pipeline.yaml", GOLD)));
    }
    assert!(tables[0].0.lines().count() > 5_000, "there are rows to compare");
    assert!(tables.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn retention_spares_what_the_pipeline_has_not_read() {
    let dir = scratch();
    let dir = dir.path();
    fine(dir, &["init", "stocks", "x"]);
    let file = dir.join("x/pipeline.yaml");
    let text = std::fs::read_to_string(&file).expect("the example");
    let log = "log: { local: { path: data/log, segment_bytes: 64 KiB, retention: { bytes: 1 MiB } } }";
    let small: Vec<&str> = text.lines().map(|line| if line.starts_with("log:") { log } else { line }).collect();
    let text = small.join("\n").replace("interval: 1 s", "interval: 50 ms, max_rows: 500");
    assert!(text.contains("segment_bytes") && text.contains("max_rows"), "the example was changed");
    std::fs::write(&file, text).expect("written");
    let (pipeline, count) = ("x/pipeline.yaml", "120000");
    let produce = [
        "produce",
        "-f",
        pipeline,
        "--stream",
        "stock_ticks",
        "--generate",
        "stocks",
        "--count",
        count,
        "--truth",
        "t",
    ];
    fine(dir, &produce);
    fine(dir, &["run", "-f", pipeline, "--until-caught-up", "--close-windows"]);
    fine(dir, &["compare", "-f", pipeline, "--truth", "t", "--all-windows"]);
}

#[test]
fn a_damaged_block_costs_its_offsets_which_are_named_and_counted_as_lost() {
    let dir = scratch();
    let dir = dir.path();
    fine(dir, &["init", "stocks", "x"]);
    let pipeline = "x/pipeline.yaml";
    fine(dir, &["produce", "-f", pipeline, "--stream", "stock_ticks", "--generate", "stocks", "--count", "5000"]);
    let partition = dir.join("x/data/log/stock-ticks/0");
    let segment = std::fs::read_dir(&partition).expect("listed").filter_map(Result::ok).map(|entry| entry.path());
    let segment = segment.into_iter().find(|path| path.extension().is_some_and(|e| e == "seg")).expect("a segment");
    let mut bytes = std::fs::read(&segment).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).expect("written");
    let ran = watertight(dir, &["run", "-f", pipeline, "--until-caught-up"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("offsets are lost"), "{}", ran.err);
    let status = fine(dir, &["status", "-f", pipeline, "--format", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    let stream = &status["streams"][0];
    let number = |value: &serde_json::Value| value.as_u64().expect("a number");
    assert!(number(&stream["outcome"]["lost"]) > 0, "{status}");
    assert_eq!(number(&stream["outcome"]["lost"]) + number(&stream["bronze"]), 5000, "{status}");
    let lost = number(&stream["outcome"]["lost"]);
    let listed = "select _kafka_partition as p, sum(to_offset - from_offset) as lost, cause from silver.stock_ticks_gaps \
                  group by 1, 3";
    assert_eq!(sql(dir, pipeline, listed), format!("p,lost,cause\n0,{lost},damaged\n"));
    let verified = fine(dir, &["verify", "-f", pipeline]);
    assert!(verified.contains(" declared lost; nothing else is lost, doubled or altered"), "{verified}");
    assert!(verified.contains("offsets.declared"), "{verified}");
}

#[test]
fn windows_close_when_every_partition_has_fallen_idle() {
    let dir = scratch();
    let dir = dir.path();
    notes(dir);
    std::fs::write(dir.join("p.yaml"), PIPELINE.replace("watermark: 1 min", "watermark: 1 min, idle_after: 300 ms"))
        .expect("written");
    fine(dir, &["run", "-f", "p.yaml", "--for", "2s"]);
    assert_eq!(sql(dir, "p.yaml", "select notes from gold.per_minute"), "notes\n2\n");
}

#[test]
fn a_commit_touches_64_event_dates_at_most_and_the_books_of_each_are_copied_once() {
    let dir = scratch();
    let dir = dir.path();
    std::fs::write(dir.join("p.yaml"), PIPELINE.replace("event_id: id", "event_id: id\n    partitions: 1"))
        .expect("written");
    let line = |day: i64| {
        let date = jiff::civil::date(2025, 1, 1) + jiff::Span::new().days(day);
        format!("{{\"id\":\"e{day}\",\"at\":\"{date}T00:00:00Z\"}}\n")
    };
    let lines: String = (0..200).map(line).collect();
    let produced =
        watertight_with_input(dir, &["produce", "-f", "p.yaml", "--stream", "notes", "--input", "-"], &lines);
    assert_eq!(produced.code, Some(0), "{}", produced.err);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_eq!(sql(dir, "p.yaml", "select count(*) as c from silver.notes"), "c\n200\n");
    assert_eq!(sql(dir, "p.yaml", "select sum(notes) as c from gold.per_minute"), "c\n200\n");
    let commits = "from ops.commits where table_name = 'silver.notes' and kind = 'append' and to_offset is not null";
    assert_eq!(sql(dir, "p.yaml", &format!("select count(*) as c, max(silver) as most {commits}")), "c,most\n4,64\n");
    let copies = "select table_name, version, count(*) from ops.commits group by 1, 2 having count(*) > 1";
    assert_eq!(sql(dir, "p.yaml", copies).lines().count(), 1, "one partition: one row a commit");
}

#[test]
fn a_run_that_is_asked_to_stop_commits_what_it_read_and_ends_with_0() {
    let dir = scratch();
    let dir = dir.path();
    notes(dir);
    let mut runner = std::process::Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(["run", "-f", "p.yaml"])
        .current_dir(dir)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    let silver = dir.join("data/lake/silver/notes/_delta_log/00000000000000000001.json");
    let began = std::time::Instant::now();
    while !silver.exists() {
        assert!(began.elapsed().as_secs() < 20, "the first commit comes");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let asked = std::process::Command::new("kill").arg(runner.id().to_string()).status().expect("kill runs");
    assert!(asked.success());
    assert_eq!(runner.wait().expect("ends").code(), Some(0));
    assert_eq!(sql(dir, "p.yaml", "select count(*) as c from silver.notes"), "c\n2\n");
}

/// Open windows come from the checkpoint, or are rebuilt where it is gone or damaged: the rows are the same.
#[test]
fn open_windows_survive_restarts_with_their_checkpoint_without_it_and_with_a_damaged_one() {
    const GOLD: &str =
        "select window_start, symbol, open, high, low, close, volume, trades from gold.candles_1m order by 1, 2";
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Checkpoint {
        Kept,
        Deleted,
        Damaged,
    }
    let mut tables = Vec::new();
    for checkpoint in [Checkpoint::Kept, Checkpoint::Deleted, Checkpoint::Damaged] {
        let dir = scratch();
        let dir = dir.path();
        fine(dir, &["init", "stocks", "x"]);
        let windows = dir.join("x/data/lake/_watertight/state/gold.candles_1m.windows/blob-windows");
        for count in ["1500", "3000", "4500"] {
            fine(
                dir,
                &[
                    "produce",
                    "-f",
                    "x/pipeline.yaml",
                    "--stream",
                    "stock_ticks",
                    "--generate",
                    "stocks",
                    "--count",
                    count,
                    "--rate",
                    "1000000/s",
                    "--start-time",
                    "2026-03-01T12:00:00Z",
                    "--ledger",
                    "l",
                ],
            );
            let ran = watertight(dir, &["run", "-f", "x/pipeline.yaml", "--until-caught-up"]);
            assert_eq!(ran.code, Some(0), "{}", ran.err);
            let told = ran.err.contains("rebuilding the open windows");
            assert_eq!(told, checkpoint == Checkpoint::Damaged && count != "1500", "{}", ran.err);
            let mut bytes = std::fs::read(&windows).expect("open windows were saved");
            match checkpoint {
                Checkpoint::Kept => {}
                Checkpoint::Deleted => std::fs::remove_file(&windows).expect("removed"),
                Checkpoint::Damaged => {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    std::fs::write(&windows, bytes).expect("written");
                }
            }
        }
        fine(dir, &["run", "-f", "x/pipeline.yaml", "--until-caught-up", "--close-windows"]);
        tables.push(sql(dir, "x/pipeline.yaml", GOLD));
    }
    assert!(tables[0].lines().count() > 10, "{}", tables[0]);
    assert!(tables.windows(2).all(|pair| pair[0] == pair[1]));
}
