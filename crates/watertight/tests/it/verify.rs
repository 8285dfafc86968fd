//! `watertight verify` on a small lake of its own: balanced, at fault, not to be checked; certificates; following a run.

use super::running::{Running, until};
use super::{fine, produce_notes, scratch, sql, watertight};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) const PIPELINE: &str = "
pipeline: notes
log: { local: { path: log } }
lake: data/lake
commit: { interval: 50 ms }
streams:
  notes:
    partitions: 2
    event_id: id
    event_time: { column: at, watermark: 1 min }
    columns:
      id: { type: string, required: true }
      at: { type: timestamp, required: true }
models:
  per_minute: { from: notes, window: 1 min, sql: \"SELECT window_start, count(*) AS notes FROM notes GROUP BY window_start\" }
";

pub(super) const LEDGER: &str = "acked.ledger";

/// A lake with rows in every table: thirty events, two of them twice, and one that is none.
pub(super) fn lake(dir: &Path) {
    fs::write(dir.join("p.yaml"), PIPELINE).expect("written");
    let event = |n: u32| format!("{{\"id\":\"e{n}\",\"at\":\"2026-03-01T10:0{}:00Z\"}}\n", n / 5);
    let lines: String = (0..30).chain(0..2).map(event).collect();
    produce(dir, &(lines + "not json\n"));
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
}

pub(super) fn produce(dir: &Path, lines: &str) {
    produce_notes(dir, &["--ledger", LEDGER], lines);
}

/// Brings one more event into the tables.
pub(super) fn bring(dir: &Path, id: &str) {
    produce(dir, &format!("{{\"id\":\"{id}\",\"at\":\"2026-03-01T11:00:00Z\"}}\n"));
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
}

/// As [`bring`]; gives the file of silver that it is in, its partition and its offset.
pub(super) fn one_more(dir: &Path, id: &str) -> (PathBuf, i64, i64) {
    let before = files(&dir.join("data/lake/silver/notes"));
    bring(dir, id);
    let file = files(&dir.join("data/lake/silver/notes")).difference(&before).next().expect("a new file").clone();
    let query = format!("select _kafka_partition, _kafka_offset from silver.notes where event_id = '{id}'");
    let row = sql(dir, "p.yaml", &query);
    let row = row.lines().nth(1).and_then(|row| row.split_once(',')).expect("a row");
    (file, row.0.parse().expect("a partition"), row.1.parse().expect("an offset"))
}

/// The data files of a table.
pub(super) fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("_delta_log") {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "parquet") {
            found.insert(path);
        }
    }
    found
}

/// Exit code and report.
pub(super) fn verify(dir: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let all = [&["verify", "-f", "p.yaml", "--format", "json"], arguments].concat();
    let answer = watertight(dir, &all);
    let report = serde_json::from_str(&answer.out).unwrap_or_else(|e| panic!("{e}: {}{}", answer.out, answer.err));
    assert!(!answer.err.contains("panicked"), "{}", answer.err);
    (answer.code, report)
}

pub(super) fn codes(report: &Value) -> Vec<&str> {
    report["findings"].as_array().into_iter().flatten().filter_map(|finding| finding["code"].as_str()).collect()
}

pub(super) fn status(dir: &Path) -> (String, Value) {
    let json = fine(dir, &["status", "-f", "p.yaml", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    (fine(dir, &["status", "-f", "p.yaml"]), json["verified"].clone())
}

#[test]
fn a_balanced_lake_is_0_and_a_lost_row_is_1_and_named_to_the_offset() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    let (file, partition, offset) = one_more(dir, "last");
    let balanced = watertight(dir, &["verify", "-f", "p.yaml", "--ledger", LEDGER]);
    assert_eq!(balanced.code, Some(0), "{}{}", balanced.out, balanced.err);
    assert!(balanced.out.contains("balanced: nothing is lost, doubled or altered"), "{}", balanced.out);
    fs::remove_file(file).expect("removed");
    let (code, report) = verify(dir, &["--ledger", LEDGER]);
    assert_eq!((code, report["verdict"].as_str()), (Some(1), Some("findings")), "{report}");
    let lost = report["findings"].as_array().expect("a list").iter().find(|found| found["code"] == "rows.lost");
    let place = &lost.unwrap_or_else(|| panic!("{report}"))["place"];
    assert_eq!(place["table"], "silver.notes");
    assert_eq!((place["partition"].as_i64(), place["offsets"][0].as_i64()), (Some(partition), Some(offset)));
    assert_eq!(place["offsets"][1].as_i64(), Some(offset + 1));
    assert!(codes(&report).contains(&"log.file_missing"), "{report}");
}

#[test]
fn one_byte_of_a_file_and_one_line_of_a_ledger_are_faults() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    for table in ["bronze/notes", "silver/notes", "gold/per_minute"] {
        let file = files(&dir.join("data/lake").join(table)).into_iter().next().expect("a file");
        let whole = fs::read(&file).expect("read");
        let mut bytes = whole.clone();
        // The first byte of a page: others are for hints that no reader needs, and change no row.
        bytes[4] ^= 0xff;
        fs::write(&file, &bytes).expect("written");
        let (code, report) = verify(dir, &[]);
        let of_table = |found: &&Value| found["place"]["table"] == table.replace('/', ".");
        let told = report["findings"].as_array().expect("a list").iter().filter(of_table).count();
        assert!(code == Some(1) && told > 0, "{table}: {report}");
        fs::write(&file, &whole).expect("restored");
    }
    assert_eq!(verify(dir, &["--ledger", LEDGER]).0, Some(0));
    let ledger = fs::read_to_string(dir.join(LEDGER)).expect("read");
    let without: String =
        ledger.lines().filter(|line| !line.starts_with("7\t")).map(|line| format!("{line}\n")).collect();
    assert!(without.len() < ledger.len());
    fs::write(dir.join("short.ledger"), without).expect("written");
    let (code, report) = verify(dir, &["--ledger", "short.ledger"]);
    assert_eq!((code, codes(&report)), (Some(1), vec!["ledger.extra"]), "{report}");
}

#[test]
fn what_is_no_lake_or_lies_behind_a_link_is_2_and_no_finding_and_a_table_that_is_gone_is_one() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    fs::create_dir(dir.join("empty")).expect("made");
    for (lake, why) in [("p.yaml", "is no folder"), ("empty", "there is no table")] {
        let answer = watertight(dir, &["verify", "--lake", lake]);
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""), "{}", answer.err);
        assert!(answer.err.contains(why), "{}", answer.err);
    }
    fs::rename(dir.join("data/lake/silver"), dir.join("elsewhere")).expect("moved");
    let (code, report) = verify(dir, &[]);
    assert_eq!((code, codes(&report)), (Some(1), vec!["log.table_missing"]), "{report}");
    assert_eq!(report["findings"][0]["place"]["table"], "silver.notes");
    assert!(report["unable"].to_string().contains("as it lacks silver.notes"), "{report}");
    std::os::unix::fs::symlink(dir.join("elsewhere"), dir.join("data/lake/silver")).expect("linked");
    let (code, report) = verify(dir, &[]);
    assert_eq!((code, report["verdict"].as_str(), codes(&report).len()), (Some(2), Some("unable"), 0), "{report}");
    assert!(report["unable"].to_string().contains("leads out of the lake's folder"), "{report}");
}

#[test]
fn the_report_has_the_keys_of_the_published_schema() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    let (_, report) = verify(dir, &["--ledger", LEDGER]);
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/verify.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).expect("read")).expect("JSON");
    let keys: BTreeSet<&String> = report.as_object().expect("an object").keys().collect();
    assert_eq!(keys, schema["properties"].as_object().expect("an object").keys().collect());
}

#[test]
fn a_certificate_holds_while_rows_are_added_and_not_once_one_is_gone() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    for key in ["key", "other"] {
        fine(dir, &["keygen", key]);
    }
    fine(dir, &["verify", "-f", "p.yaml", "--certificate", "c.json", "--key", "key"]);
    let against = ["--against", "c.json", "--public-key", "key.pub"];
    let (code, report) = verify(dir, &against);
    assert_eq!(code, Some(0), "{report}");
    assert!(report["certificate"]["signature"].as_str().is_some_and(|s| s.ends_with("the key that was given")));
    signed_by_the_key_of_the_pipeline_file(dir);
    one_more(dir, "last");
    assert_eq!(verify(dir, &against).0, Some(0));
    let (code, report) = verify(dir, &["--against", "c.json", "--public-key", "other.pub"]);
    assert_eq!((code, codes(&report)), (Some(1), vec!["certificate.signature"]), "{report}");
    let (code, report) = verify(dir, &["--against", "c.json", "--quick"]);
    assert_eq!(code, Some(0), "{report}");
    let books = report["parts"].as_array().expect("a list").iter();
    let books = books.filter(|part| part["check"] == "books" && part["of"] == "silver.notes");
    let looked_at: Vec<_> = books.map(|part| part["looked_at"].as_u64()).collect();
    assert_eq!(looked_at, [Some(1)], "only the commit behind the certificate");
    let first = files(&dir.join("data/lake/bronze/notes")).into_iter().next().expect("a file");
    fs::remove_file(first).expect("removed");
    assert_eq!(verify(dir, &against).0, Some(1));
    let (code, report) = verify(dir, &["--against", "c.json", "--quick"]);
    assert_eq!((code, codes(&report)), (Some(1), vec!["log.file_missing"]), "{report}");
}

fn signed_by_the_key_of_the_pipeline_file(dir: &Path) {
    let named = format!("{PIPELINE}certificates: {{ signing_key_file: key }}\n");
    fs::write(dir.join("named.yaml"), named).expect("written");
    fine(dir, &["verify", "-f", "named.yaml", "--certificate", "named.json"]);
    let (code, report) = verify(dir, &["--against", "named.json", "--public-key", "key.pub"]);
    assert_eq!(code, Some(0), "{report}");
    assert!(report["certificate"]["signature"].as_str().is_some_and(|s| s.ends_with("the key that was given")));
    fs::write(dir.join("damaged"), "no key").expect("written");
    let bad = fs::read_to_string(dir.join("named.yaml")).expect("read").replace("file: key", "file: damaged");
    fs::write(dir.join("bad.yaml"), bad).expect("written");
    let refused = watertight(dir, &["verify", "-f", "bad.yaml", "--certificate", "bad.json"]);
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    assert!(refused.err.contains("certificates.signing_key") && !refused.err.contains("no key"), "{}", refused.err);
    assert!(!dir.join("bad.json").exists());
}

#[test]
fn status_shows_the_last_verdict_over_the_whole_lake() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    let (file, ..) = one_more(dir, "last");
    assert!(status(dir).1.is_null());
    assert_eq!(verify(dir, &[]).0, Some(0));
    let (text, verified) = status(dir);
    assert_eq!(
        (verified["verdict"].as_str(), verified["findings"].as_u64()),
        (Some("balanced"), Some(0)),
        "{verified}"
    );
    assert!(verified["tables"]["silver.notes"].as_u64().is_some_and(|version| version > 1), "{verified}");
    assert!(text.contains("\nverified: balanced, ") && text.contains(" ago, up to bronze.notes v"), "{text}");
    fs::remove_file(file).expect("removed");
    assert_eq!(verify(dir, &[]).0, Some(1));
    assert_eq!(verify(dir, &["--table", "bronze.notes", "--quick"]).0, Some(0));
    let (text, verified) = status(dir);
    assert_eq!(verified["verdict"].as_str(), Some("findings"), "a look at a part hides nothing: {verified}");
    assert!(text.contains(" findings, ") && text.contains(": run `watertight verify` for them"), "{text}");
}

/// The rounds that were told so far.
fn rounds(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("verify.out")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

const FOLLOW: [&str; 8] = ["verify", "-f", "p.yaml", "--follow", "--every", "200ms", "--format", "json"];

#[test]
fn what_a_running_pipeline_commits_is_verified_round_after_round() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    let pipeline = Running::start(dir, &["run", "-f", "p.yaml"]);
    let following = Running::start(dir, &FOLLOW);
    let first = until(dir, "a first round", || rounds(dir).first().cloned());
    assert_eq!((first["ids"].as_str(), first["verdict"].as_str()), (Some("all"), Some("balanced")), "{first}");
    assert!(first["records"].as_u64().is_some_and(|records| records >= 33), "{first}");
    for n in 0..20 {
        produce(
            dir,
            &format!(
                "{{\"id\":\"n{n}\",\"at\":\"2026-03-01T11:{n:02}:00Z\"}}\n{{\"id\":\"e{n}\",\"at\":\"2026-03-01T11:00:00Z\"}}\n"
            ),
        );
    }
    let records =
        |rounds: &[Value]| -> u64 { rounds.iter().skip(1).filter_map(|round| round["records"].as_u64()).sum() };
    let told = until(dir, "forty new records, in rounds of their own", || {
        let told = rounds(dir);
        (records(&told) >= 40).then_some(told)
    });
    let newer = told.iter().skip(1).find(|round| round["new_versions"].as_u64() > Some(0)).expect("a round with news");
    assert_eq!(newer["ids"], "new", "{newer}");
    let (text, verified) = status(dir);
    assert_eq!((verified["verdict"].as_str(), verified["following"].as_bool()), (Some("balanced"), Some(true)));
    assert!(text.contains("\nverified: balanced, "), "{text}");
    assert_eq!(following.stop(), Some(0), "{:?}", rounds(dir));
    let told = rounds(dir);
    let last = told.last().expect("a round");
    assert_eq!((last["ids"].as_str(), last["verdict"].as_str()), (Some("all"), Some("balanced")), "{last}");
    assert!(told.iter().all(|round| round["faults"].as_u64() == Some(0)), "{told:?}");
    assert_eq!(status(dir).1["following"].as_bool(), Some(false));
    assert_eq!(pipeline.stop(), Some(0));
}

#[test]
fn a_fault_that_a_round_finds_is_told_once_and_decides_the_exit_code() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    let (_, partition, offset) = one_more(dir, "last");
    let following = Running::start(dir, &FOLLOW);
    until(dir, "a first round", || rounds(dir).first().cloned());
    // A round that has news looks at older files too.
    let newest = files(&dir.join("data/lake/bronze/notes")).into_iter().next_back().expect("a file");
    fs::remove_file(newest).expect("removed");
    bring(dir, "newer");
    let found =
        until(dir, "a round with a fault", || rounds(dir).into_iter().find(|round| round["verdict"] == "findings"));
    assert_eq!(codes(&found), ["log.file_missing"], "{found}");
    assert_eq!(following.stop(), Some(1));
    let told = rounds(dir);
    let missing = told.iter().flat_map(codes).filter(|code| *code == "log.file_missing").count();
    assert_eq!(missing, 1, "{told:?}");
    assert!(status(dir).0.contains("run `watertight verify` for them"));
    // What the file held is told by who looks at all rows again.
    let (_, report) = verify(dir, &[]);
    let lost = |found: &&Value| found["code"] == "offsets.lost";
    let lost = report["findings"].as_array().expect("a list").iter().find(lost).unwrap_or_else(|| panic!("{report}"));
    let (place, at) = (&lost["place"], (Some(partition), Some(offset)));
    assert_eq!((place["partition"].as_i64(), place["offsets"][0].as_i64()), at, "{report}");
}
