//! `watertight status`: what it says when something is missing, damaged, full, or dead; and Ctrl-C in `sql`.

use super::running::{Running, until};
use super::{fine, produce_notes, scratch, watertight};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const PIPELINE: &str = "
pipeline: notes
log: { local: { path: log } }
lake: data/lake
commit: { interval: 50 ms }
streams:
  notes:
    event_id: id
    event_time: { column: at, watermark: 1 min }
    columns:
      id: { type: string, required: true }
      at: { type: timestamp, required: true }
models:
  per_minute: { from: notes, window: 1 min, sql: \"SELECT window_start, count(*) AS notes FROM notes GROUP BY window_start\" }
";

fn pipeline(dir: &Path) {
    std::fs::write(dir.join("p.yaml"), PIPELINE).expect("written");
}

fn produce(dir: &Path, ids: std::ops::Range<u32>) {
    let lines: String = ids.map(|n| format!("{{\"id\":\"e{n}\",\"at\":\"2026-03-01T10:00:00Z\"}}\n")).collect();
    produce_notes(dir, &[], &lines);
}

fn json(dir: &Path) -> (Option<i32>, serde_json::Value) {
    let answer = watertight(dir, &["status", "-f", "p.yaml", "--format", "json"]);
    (answer.code, serde_json::from_str(&answer.out).unwrap_or_else(|e| panic!("{e}: {}{}", answer.out, answer.err)))
}

fn text(dir: &Path) -> String {
    watertight(dir, &["status", "-f", "p.yaml"]).out
}

/// Everything below a folder with its content; of folders the name.
fn listing(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(listing(&path));
            found.insert(path, Vec::new());
        } else {
            let content = std::fs::read(&path).expect("read");
            found.insert(path, content);
        }
    }
    found
}

/// A mounted folder; `None` where this process may not mount, such as for another user than root.
struct Mount(PathBuf);

impl Mount {
    fn new(at: &Path, rounds: &[&[&str]]) -> Option<Self> {
        let mut mounted = None;
        for arguments in rounds {
            let ran = Command::new("mount").args(*arguments).arg(at).stderr(Stdio::null()).status();
            if !ran.is_ok_and(|status| status.success()) {
                eprintln!("not tested here: mount {arguments:?} is not allowed");
                return None;
            }
            let _ = mounted.get_or_insert_with(|| Self(at.to_owned()));
        }
        mounted
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn status_of_a_pipeline_that_never_ran_is_zeros_and_makes_nothing() {
    let dir = scratch();
    let dir = dir.path();
    pipeline(dir);
    let before = listing(dir);
    let (code, status) = json(dir);
    assert_eq!(code, Some(0));
    assert_eq!(status["streams"][0]["in_log"].as_i64(), Some(0), "{status}");
    assert_eq!(status["streams"][0]["outcome"]["unknown_fields"].as_u64(), Some(0), "{status}");
    assert!(status["streams"][0]["error"].is_null() && status["run_by"].is_null(), "{status}");
    assert!(text(dir).contains("(not running)"));
    assert_eq!(listing(dir), before);
    produce(dir, 0..3);
    let before = listing(dir);
    assert_eq!(json(dir).1["streams"][0]["lag"].as_i64(), Some(3));
    assert_eq!(listing(dir), before, "nor where there is a log and no table");
}

#[test]
fn status_changes_nothing_and_needs_no_right_to_write() {
    let dir = scratch();
    let dir = dir.path();
    pipeline(dir);
    produce(dir, 0..3);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    let (before, said) = (listing(dir), json(dir));
    assert_eq!(said.1["streams"][0]["bronze"].as_u64(), Some(3), "{}", said.1);
    let partitions = said.1["streams"][0]["partitions"].as_array().expect("a list");
    let headroom: Vec<i64> = partitions.iter().filter_map(|one| one["headroom"]["records"].as_i64()).collect();
    assert_eq!((headroom.len(), headroom.iter().sum::<i64>()), (partitions.len(), 3), "{}", said.1);
    assert_eq!(listing(dir), before);
    let at = dir.to_str().expect("UTF-8");
    let Some(_mount) = Mount::new(dir, &[&["--bind", at], &["-o", "remount,ro,bind"]]) else { return };
    assert!(std::fs::write(dir.join("x"), "").is_err(), "it is read-only");
    assert_eq!(json(dir), said);
}

#[test]
fn a_damaged_table_is_named_and_all_the_rest_is_shown() {
    let dir = scratch();
    let dir = dir.path();
    pipeline(dir);
    produce(dir, 0..3);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    let log = dir.join("data/lake/silver/notes/_delta_log");
    let entries = listing(&log).into_keys().filter(|path| path.extension().is_some_and(|e| e == "json"));
    let newest = entries.max().expect("an entry");
    let whole = std::fs::read(&newest).expect("read");
    std::fs::write(&newest, &whole[..whole.len() / 2]).expect("written");
    let (code, status) = json(dir);
    assert_eq!(code, Some(1));
    let stream = &status["streams"][0];
    let error = stream["error"].as_str().expect("an error");
    assert!(error.starts_with("silver: ") && error.contains("damaged"), "{error}");
    assert_eq!(stream["unreadable"], serde_json::json!(["silver"]));
    assert_eq!((stream["bronze"].as_u64(), stream["in_log"].as_i64()), (Some(3), Some(3)), "{status}");
    assert!(status["models"][0]["error"].is_null(), "{status}");
    assert_eq!(status["models"][0]["rows"].as_u64(), Some(1), "{status}");
    let text = text(dir);
    assert!(text.contains("UNREADABLE: silver: ") && text.contains("bronze 3  silver ?"), "{text}");
    std::fs::write(&newest, &whole).expect("restored");
    assert_eq!(json(dir).0, Some(0));
}

#[test]
fn a_damaged_topic_leaves_the_tables_to_be_shown() {
    let dir = scratch();
    let dir = dir.path();
    pipeline(dir);
    produce(dir, 0..3);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    let topic = dir.join("log/notes/topic.json");
    std::fs::write(&topic, "{").expect("written");
    let (code, status) = json(dir);
    assert_eq!((code, status["streams"][0]["bronze"].as_u64()), (Some(1), Some(3)), "{status}");
    assert!(status["streams"][0]["error"].as_str().is_some_and(|error| error.starts_with("log: ")), "{status}");
}

/// The lake on a disk that fills up while the pipeline runs.
#[test]
fn a_full_disk_is_told_while_it_lasts_and_not_after_the_process_was_killed() {
    let dir = scratch();
    let dir = dir.path();
    pipeline(dir);
    let disk = dir.join("data");
    std::fs::create_dir(&disk).expect("made");
    let Some(_mount) = Mount::new(&disk, &[&["-t", "tmpfs", "-o", "size=8m", "tmpfs"]]) else { return };
    produce(dir, 0..3);
    let mut running = Running::start(dir, &["run", "-f", "p.yaml"]);
    until(dir, "three rows in silver", || {
        (json(dir).1["streams"][0]["outcome"]["silver"].as_u64() == Some(3)).then_some(())
    });
    let mut filler = std::fs::File::create(disk.join("filler")).expect("made");
    let mut produced = 3;
    until(dir, "WAITING is shown", || {
        // Again and again: the pipeline may have freed a temporary file.
        for block in [64 << 10, 4096, 1] {
            while std::io::Write::write_all(&mut filler, &vec![1_u8; block]).is_ok() {}
        }
        produce(dir, produced..produced + 1);
        produced += 1;
        text(dir).contains("WAITING: ").then_some(())
    });
    let said = json(dir).1;
    assert_eq!(said["streams"][0]["reading"]["condition"], "waiting", "{said}");
    running.kill();
    let text = text(dir);
    assert!(text.contains("(not running)") && !text.contains("WAITING"), "{text}");
    drop(filler); // Space is given back once nobody has the file open.
    std::fs::remove_file(disk.join("filler")).expect("freed");
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    assert_eq!(json(dir).1["streams"][0]["outcome"]["silver"].as_u64(), Some(u64::from(produced)));
}

#[test]
fn ctrl_c_ends_a_query_that_is_under_way_with_1_and_says_so() {
    let dir = scratch();
    let dir = dir.path();
    pipeline(dir);
    // Minutes of work, none of which gives a row.
    let query = "with n as (select unnest(range(0, 100000)) a), m as (select unnest(range(0, 400000)) b) \
                 select count(*) from n, m where (a * b) % 7 = 9";
    let mut running = Running::start(dir, &["sql", "-f", "p.yaml", query]);
    std::thread::sleep(Duration::from_secs(3));
    assert!(running.is_at_work(), "it ended before it was told to");
    running.signal("INT");
    let (code, said) = (running.ended(), running.said());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("interrupted"), "{said}");
}
