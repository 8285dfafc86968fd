//! The demo from outside: how it ends.

use super::{scratch, watertight};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a kill, a restart and windows that close.
const TIME: &str = "10s";

#[test]
fn a_demo_ends_with_the_account_of_verify_wherever_its_folder_is_named_from() {
    let dir = scratch();
    let answer = watertight(dir.path(), &["demo", "--for", TIME, "--dir", "shown"]);
    assert_eq!(answer.code, Some(0), "{}{}", answer.out, answer.err);
    let mut rest = answer.out.as_str();
    for said in [
        "(SIGKILL)",
        "\n  it adds up\n",
        "\ngold candles_5s",
        "\nthe tables verified, ",
        "\nconservation   silver.stock_ticks",
        "\nledgers ",
        "\nbalanced: nothing is lost, doubled or altered\n",
        "\nto look further:\n",
        " verify -f ",
    ] {
        let Some(at) = rest.find(said) else { panic!("'{said}' is missing in\n{}", answer.out) };
        rest = &rest[at + said.len()..];
    }
    assert!(!answer.out.contains("differs") && !answer.out.contains('\u{1b}'), "{}", answer.out);
}

/// Counts a null too many in the statistics of silver's first file: the books add up, and no row is read amiss.
fn alter_statistics(demo: &Path) {
    let entry = demo.join("data/lake/silver/stock_ticks/_delta_log/00000000000000000001.json");
    let began = Instant::now();
    while !entry.exists() {
        assert!(began.elapsed() < Duration::from_secs(20), "the first commit comes");
        std::thread::sleep(Duration::from_millis(10));
    }
    let text = std::fs::read_to_string(&entry).expect("read");
    let (true_count, wrong) = (r#"\"nullCount\":{\"event_id\":0"#, r#"\"nullCount\":{\"event_id\":1"#);
    let altered = text.replacen(true_count, wrong, 1);
    assert_ne!(altered, text, "the entry counts nulls");
    // In one step, as the demo reads it meanwhile.
    let beside = demo.join("altered.json");
    std::fs::write(&beside, altered).expect("written");
    std::fs::rename(beside, entry).expect("renamed");
}

#[test]
fn a_demo_fails_by_what_verify_finds_even_where_all_else_adds_up() {
    let dir = scratch();
    let target = dir.path().join("demo");
    let demo = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(["demo", "--for", TIME, "--dir"])
        .arg(&target)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    alter_statistics(&target);
    let ended = demo.wait_with_output().expect("ends");
    let out = String::from_utf8(ended.stdout).expect("output is UTF-8");
    assert_eq!(ended.status.code(), Some(1), "{out}");
    assert!(out.contains("\n  it adds up\n") && !out.contains("differs"), "{out}");
    assert!(out.contains("FAULT log.statistics") && out.contains("\nFINDINGS: 1 fault of 1 kind\n"), "{out}");
}
