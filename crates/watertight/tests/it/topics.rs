//! A topic that is deleted and made anew, and one that gets more partitions, as the program meets them.

use super::running::{Running, until};
use super::{fine, produce_notes, scratch, watertight};
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
  per_minute:
    from: notes
    window: 1 min
    sql: SELECT window_start, count(*) AS notes FROM notes GROUP BY window_start
commit: { interval: 50 ms }
";

/// One event for each id, a second apart; the first at that minute.
fn produce<'a>(dir: &Path, minute: u32, ids: impl IntoIterator<Item = &'a str>) {
    let event = |(second, id): (usize, &str)| {
        format!("{{\"id\":\"{id}\",\"at\":\"2026-03-01T10:{minute:02}:{second:02}Z\"}}\n")
    };
    let input: String = ids.into_iter().enumerate().map(event).collect();
    produce_notes(dir, &[], &input);
}

fn sql(dir: &Path, query: &str) -> String {
    super::sql(dir, "p.yaml", query)
}

/// Waits until silver has so many rows; the table may not be there yet.
fn wait_for_rows(dir: &Path, rows: usize) {
    let count = ["sql", "-f", "p.yaml", "--format", "csv", "select count(*) as c from silver.notes"];
    until(dir, "rows in silver", || (watertight(dir, &count).out == format!("c\n{rows}\n")).then_some(()));
}

/// Two lives of the topic with three records each, of which one is a duplicate, are in the tables.
fn assert_both_lives_are_there(dir: &Path) {
    assert_eq!(sql(dir, "select event_id from silver.notes order by 1"), "event_id\na\nb\nc\nd\ne\n");
    let lives = "select count(*) as c, count(distinct _log_incarnation) as lives from bronze.notes";
    assert_eq!(sql(dir, lives), "c,lives\n6,2\n");
    let places = "select _kafka_offset as o, count(*) as c from bronze.notes group by _kafka_offset order by o";
    assert_eq!(sql(dir, places), "o,c\n0,2\n1,2\n2,2\n");
    assert_eq!(sql(dir, "select count(*) as c from bronze.notes_dlq"), "c\n0\n");
    assert_eq!(sql(dir, "select sum(notes) as s from gold.per_minute"), "s\n5\n");
    fine(dir, &["verify", "-f", "p.yaml"]);
}

#[test]
fn a_topic_deleted_between_two_runs_and_made_anew_is_read_from_0_and_nothing_is_lost_or_doubled() {
    let dir = scratch();
    let dir = dir.path();
    std::fs::write(dir.join("p.yaml"), PIPELINE).expect("written");
    produce(dir, 0, ["a", "b", "c"]);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    std::fs::remove_dir_all(dir.join("data/log/notes")).expect("the topic's folder");
    produce(dir, 5, ["d", "a", "e"]);
    let again = ["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"];
    let answer = watertight(dir, &again);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    assert!(answer.err.contains("the topic is not the one that was read before"), "{}", answer.err);
    assert_both_lives_are_there(dir);
    fine(dir, &again);
    assert_both_lives_are_there(dir);
}

#[test]
fn what_bronze_has_of_a_deleted_topic_comes_to_silver_and_gold_before_the_new_one_is_read() {
    let dir = scratch();
    let dir = dir.path();
    std::fs::write(dir.join("p.yaml"), PIPELINE).expect("written");
    produce(dir, 0, ["a", "b", "c"]);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--stages", "bronze"]);
    std::fs::remove_dir_all(dir.join("data/log/notes")).expect("the topic's folder");
    produce(dir, 5, ["d", "a", "e"]);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_both_lives_are_there(dir);
    let first = "select event_id, _kafka_offset as o from silver.notes where event_id in ('a', 'd') order by 1";
    assert_eq!(sql(dir, first), "event_id,o\na,0\nd,0\n", "the a that came first is the one that is kept");
}

/// A window that is open when the topic is made anew, behind one that closed: it is written with a commit of the next
/// life.
#[test]
fn a_window_that_spans_two_lives_of_its_topic_is_what_verify_expects() {
    let dir = scratch();
    let dir = dir.path();
    std::fs::write(dir.join("p.yaml"), PIPELINE).expect("written");
    for (minute, ids) in [(0, ["a", "b"]), (2, ["c", "d"]), (2, ["e", "f"])] {
        produce(dir, minute, ids);
        fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    }
    std::fs::remove_dir_all(dir.join("data/log/notes")).expect("the topic's folder");
    produce(dir, 2, ["g"]);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_eq!(sql(dir, "select notes from gold.per_minute order by window_start"), "notes\n2\n5\n");
    fine(dir, &["verify", "-f", "p.yaml"]);
}

#[test]
fn a_topic_deleted_under_a_running_pipeline_ends_it_with_1_and_the_next_run_reads_the_new_one_from_0() {
    let dir = scratch();
    let dir = dir.path();
    std::fs::write(dir.join("p.yaml"), PIPELINE).expect("written");
    produce(dir, 0, ["a", "b", "c"]);
    let mut running = Running::start(dir, &["run", "-f", "p.yaml"]);
    wait_for_rows(dir, 3);
    std::fs::rename(dir.join("data/log/notes"), dir.join("away")).expect("the topic's folder");
    let ended = running.ended();
    let said = running.said();
    assert_eq!(ended, Some(1), "{said}");
    // Noticed by the reader, or by the question for new partitions.
    let named = said.contains("was removed or made anew") || said.contains("was deleted while it was read");
    assert!(said.contains("error: stream notes: ") && named, "{said}");
    produce(dir, 5, ["d", "a", "e"]);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_both_lives_are_there(dir);
}

#[test]
fn partitions_that_a_producer_adds_are_found_by_the_pipeline_that_runs_and_read_from_0() {
    let dir = scratch();
    let dir = dir.path();
    std::fs::write(dir.join("p.yaml"), PIPELINE).expect("written");
    produce(dir, 0, ["a", "b", "c"]);
    let running = Running::start(dir, &["run", "-f", "p.yaml"]);
    wait_for_rows(dir, 3);
    std::fs::write(dir.join("p.yaml"), PIPELINE.replace("partitions: 1", "partitions: 6")).expect("written");
    let ids: Vec<String> = (0..40).map(|n| format!("n{n}")).collect();
    produce(dir, 5, ids.iter().map(String::as_str));
    wait_for_rows(dir, 43);
    drop(running);
    let added = "select count(distinct _kafka_partition) >= 3 as several from bronze.notes";
    assert_eq!(sql(dir, added), "several\ntrue\n", "the ids are spread over the added partitions too");
    let holes = "select count(*) as c from (select count(*) as n, min(_kafka_offset) as low, \
        max(_kafka_offset) as high from bronze.notes group by _kafka_partition) t where low <> 0 or high + 1 <> n";
    assert_eq!(sql(dir, holes), "c\n0\n");
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    let rows = "select count(*) as c, count(distinct event_id) as d from silver.notes";
    assert_eq!(sql(dir, rows), "c,d\n43,43\n", "a later run finds nothing that was passed over");
}
