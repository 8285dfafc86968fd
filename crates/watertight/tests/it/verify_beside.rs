//! What lies beside the tables that `watertight verify` looks at: the log, files that it writes and reads, a lake that is not
//! there yet, and what it leaves for `status`.

use super::running::{Running, until};
use super::verify::{LEDGER, PIPELINE, bring, codes, files, lake, status, verify};
use super::{fine, scratch, watertight};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn unable(report: &Value) -> String {
    report["unable"].to_string()
}

#[test]
fn a_log_that_is_gone_or_not_to_be_read_is_told_and_the_tables_alone_still_balance() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    fs::rename(dir.join("log"), dir.join("kept")).expect("moved");
    let (code, report) = verify(dir, &[]);
    assert_eq!((code, report["verdict"].as_str(), codes(&report).len()), (Some(2), Some("unable"), 0), "{report}");
    assert!(
        unable(&report).contains("has no topic notes, so that the table's offsets could not be held against the log")
    );
    assert_eq!(report["unable"][0]["place"]["table"], "bronze.notes");
    assert_eq!(verify(dir, &["--table", "gold.per_minute"]).0, Some(0), "nothing was to be held against the log");
    let alone = watertight(dir, &["verify", "--lake", "data/lake"]);
    assert_eq!(alone.code, Some(0), "{}{}", alone.out, alone.err);
    // What nobody can read, the system's owner included: a link to itself.
    fs::create_dir(dir.join("log")).expect("made");
    std::os::unix::fs::symlink("notes", dir.join("log/notes")).expect("linked");
    let (code, report) = verify(dir, &[]);
    assert!(code == Some(2) && unable(&report).contains("cannot read the file of topic notes"), "{report}");
    fs::remove_dir_all(dir.join("log")).expect("removed");
    fs::rename(dir.join("kept"), dir.join("log")).expect("moved back");
    assert_eq!(verify(dir, &[]).0, Some(0));
}

#[test]
fn definitions_that_are_gone_are_named_and_nothing_else_is_said_to_be_missing() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    fs::remove_dir_all(dir.join("data/lake/ops/definitions")).expect("removed");
    let (code, report) = verify(dir, &[]);
    assert_eq!((code, codes(&report)), (Some(1), vec!["log.table_missing", "definitions.missing"]), "{report}");
    let told = unable(&report);
    assert!(told.contains("ops.definitions, which has the model's SQL, is not there: restore it"), "{told}");
    assert!(!told.contains("silver"), "{told}");
}

#[test]
fn a_schema_behind_a_link_is_told_as_such_by_all_that_needs_it() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    fs::rename(dir.join("data/lake/silver"), dir.join("elsewhere")).expect("moved");
    std::os::unix::fs::symlink(dir.join("elsewhere"), dir.join("data/lake/silver")).expect("linked");
    let (code, report) = verify(dir, &[]);
    assert_eq!((code, codes(&report).len()), (Some(2), 0), "{report}");
    let told = unable(&report);
    assert!(told.contains("a symbolic link stands in the place of silver.notes"), "{told}");
    assert!(told.contains("silver.notes, which the model reads, lies behind a symbolic link"), "{told}");
    assert!(!told.contains("backup"), "{told}");
    assert_eq!(
        report["streams"],
        Value::Array(Vec::new()),
        "nothing is \"not yet in silver\": silver was not looked at"
    );
}

#[test]
fn a_path_through_a_file_is_named_by_verify_and_run() {
    let dir = scratch();
    let dir = dir.path();
    fs::write(dir.join("p.yaml"), PIPELINE).expect("written");
    fs::write(dir.join("data"), "").expect("written");
    let verified = watertight(dir, &["verify", "-f", "p.yaml"]);
    assert!(verified.code == Some(2) && verified.err.contains("a part of this path is a file"), "{}", verified.err);
    let run = watertight(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(run.err.contains("/data is there and is not a folder: move it away"), "{}", run.err);
    let asked = watertight(dir, &["sql", "-f", "p.yaml", "select 1 from silver.notes"]);
    assert!(asked.code == Some(1) && asked.err.contains("silver.notes cannot be read"), "{}", asked.err);
}

#[test]
fn a_certificate_says_whether_it_is_signed_and_replaces_nothing_without_force() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    fine(dir, &["keygen", "key"]);
    let certify =
        |more: &[&str]| watertight(dir, &[&["verify", "-f", "p.yaml", "--certificate", "c.json"], more].concat());
    let plain = certify(&[]);
    assert_eq!(plain.code, Some(0), "{}", plain.err);
    assert!(plain.err.starts_with("certificate: written to c.json, not signed: give --key"), "{}", plain.err);
    let first = fs::read(dir.join("c.json")).expect("written");
    let again = certify(&["--key", "key"]);
    assert!(again.code == Some(2) && again.err.contains("c.json is there already"), "{}", again.err);
    assert!(again.err.contains("--force") && again.out.is_empty(), "{}", again.err);
    assert_eq!(fs::read(dir.join("c.json")).expect("read"), first);
    let signed = certify(&["--key", "key", "--force"]);
    assert_eq!(signed.code, Some(0), "{}", signed.err);
    let public = fs::read_to_string(dir.join("key.pub")).expect("read");
    let public = public.trim().rsplit(':').next().expect("digits");
    assert!(signed.err.contains(&format!("written to c.json, signed; the public key is {public}")), "{}", signed.err);
    assert_ne!(fs::read(dir.join("c.json")).expect("read"), first);
    assert!(!dir.join("c.json.part").exists());
}

#[test]
fn no_answer_is_written_over_another_or_over_what_is_read() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    let (ledger, pipeline) = (fs::read(dir.join(LEDGER)).expect("read"), fs::read(dir.join("p.yaml")).expect("read"));
    for (arguments, told) in [
        (&["--report", "r", "--certificate", "./r"][..], "name the same file"),
        (&["--report", "p.yaml"][..], "--report would overwrite p.yaml, which --file reads"),
        (&["--ledger", LEDGER, "--report", LEDGER][..], "which --ledger reads"),
        (&["--report", "nowhere/r"][..], "there is no folder nowhere"),
        (&["--certificate", "data"][..], "is no regular file"),
        (&["--ledger", "acked-*.jsonl"][..], "cannot read the ledger acked-*.jsonl"),
        (&["--ledger", "data"][..], "is a folder"),
    ] {
        let answer = watertight(dir, &[&["verify", "-f", "p.yaml"], arguments].concat());
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""), "{arguments:?}: {}", answer.err);
        assert!(answer.err.contains(told), "{arguments:?}: {}", answer.err);
    }
    assert!(!dir.join("r").exists() && status(dir).1.is_null(), "nothing was checked");
    assert_eq!(
        (fs::read(dir.join(LEDGER)).expect("read"), fs::read(dir.join("p.yaml")).expect("read")),
        (ledger, pipeline)
    );
}

#[test]
fn what_a_ledger_or_a_certificate_adds_is_not_left_as_a_verdict_on_the_tables() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    for key in ["key", "other"] {
        fine(dir, &["keygen", key]);
    }
    fine(dir, &["verify", "-f", "p.yaml", "--certificate", "c.json", "--key", "key"]);
    fs::write(dir.join("torn.ledger"), "no ledger\n").expect("written");
    let ledger = fs::read_to_string(dir.join(LEDGER)).expect("read");
    let middle = ledger.lines().count() / 2;
    let other = |line: &str| {
        let mut fields: Vec<&str> = line.split('\t').collect();
        fields[1] = "another-id";
        fields.join("\t")
    };
    let lines = ledger.lines().enumerate();
    let lines = lines.map(|(at, line)| if at == middle { other(line) } else { line.to_owned() });
    let altered: String = lines.map(|line| format!("{line}\n")).collect();
    fs::write(dir.join("altered.ledger"), altered).expect("written");
    for (arguments, code) in [
        (&["--against", "c.json", "--public-key", "other.pub"][..], 1),
        (&["--ledger", "altered.ledger"][..], 1),
        (&["--ledger", "torn.ledger"][..], 2),
    ] {
        assert_eq!(verify(dir, arguments).0, Some(code), "{arguments:?}");
        let (text, verified) = status(dir);
        assert_eq!(
            (verified["verdict"].as_str(), verified["findings"].as_u64()),
            (Some("balanced"), Some(0)),
            "{text}"
        );
        assert_eq!(verified["not_checked"].as_u64(), Some(0), "{verified}");
    }
    // What is wrong with the tables is left, whatever else was given.
    let first = files(&dir.join("data/lake/silver/notes")).into_iter().next().expect("a file");
    fs::remove_file(first).expect("removed");
    assert_eq!(verify(dir, &["--ledger", LEDGER]).0, Some(1));
    assert_eq!(status(dir).1["verdict"].as_str(), Some("findings"));
}

const FOLLOW: [&str; 6] = ["verify", "-f", "p.yaml", "--follow", "--every", "100ms"];

#[test]
fn to_follow_a_lake_that_is_not_there_ends_with_2_at_once_or_when_it_was_waited_for() {
    let dir = scratch();
    let dir = dir.path();
    fs::write(dir.join("p.yaml"), PIPELINE).expect("written");
    let at_once = watertight(dir, &FOLLOW);
    assert_eq!((at_once.code, at_once.out.as_str()), (Some(2), ""), "{}", at_once.err);
    assert!(at_once.err.contains("there is no lake at data/lake") && at_once.err.contains("--wait"), "{}", at_once.err);
    let waited = watertight(dir, &[&FOLLOW[..], &["--wait", "1s"]].concat());
    assert_eq!((waited.code, waited.out.as_str()), (Some(2), ""), "{}", waited.err);
    assert_eq!(waited.err.matches("waiting: there is no lake at data/lake").count(), 1, "{}", waited.err);
    lake(dir);
    let table = watertight(dir, &[&FOLLOW[..], &["--table", "silver.other"]].concat());
    assert!(table.code == Some(2) && table.err.contains("there is no table silver.other"), "{}", table.err);
}

fn rounds(dir: &Path) -> String {
    fs::read_to_string(dir.join("verify.out")).unwrap_or_default()
}

#[test]
fn a_lake_that_is_waited_for_is_followed_and_one_that_goes_away_is_told_once() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    let (there, away) = (dir.join("data/lake"), dir.join("data/away"));
    fs::rename(&there, &away).expect("moved");
    let following = Running::start(dir, &[&FOLLOW[..], &["--wait", "5 min"]].concat());
    until(dir, "that it waits", || {
        fs::read_to_string(dir.join("verify.err")).is_ok_and(|err| err.contains("waiting: ")).then_some(())
    });
    assert_eq!(rounds(dir), "");
    fs::rename(&away, &there).expect("moved back");
    until(dir, "a balanced round", || rounds(dir).contains(": balanced").then_some(()));
    bring(dir, "more");
    let before = rounds(dir).lines().count();
    until(dir, "a round that has seen all", || {
        let told = rounds(dir);
        let news = told.lines().skip(1).any(|line| line.contains("new version"));
        let seen = told.lines().count() >= before + 2 && told.trim_end().ends_with("nothing new: balanced");
        (news && seen).then_some(())
    });
    fs::rename(&there, &away).expect("moved");
    let failed = || rounds(dir).matches("the lake could not be looked at: NOT ABLE TO CHECK").count();
    until(dir, "three rounds without a lake", || (failed() >= 3).then_some(()));
    assert_eq!(rounds(dir).matches("not checked: the lake: there is no lake").count(), 1, "{}", rounds(dir));
    fs::rename(&away, &there).expect("moved back");
    let before = rounds(dir).len();
    until(dir, "a round with the lake", || rounds(dir)[before..].contains("nothing new: balanced").then_some(()));
    assert_eq!(following.stop(), Some(0), "{}", rounds(dir));
}
