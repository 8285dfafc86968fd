//! The command line as a whole.

use super::{scratch, watertight};

#[test]
fn a_wrong_command_line_ends_with_2_and_help_with_0() {
    let dir = scratch();
    for wrong in [
        &[][..],
        &["frobnicate"],
        &["init", "bonds"],
        &["init", "stocks", "--kafka", "kafka"],
        &["validate"],
        &["produce", "-f", "x.yaml", "--stream", "s"],
        &["produce", "-f", "x.yaml", "--stream", "s", "--generate", "stocks", "--late", "200%"],
        &["produce", "-f", "x.yaml", "--stream", "s", "--input", "-", "--truth", "t"],
        &["produce", "-f", "x.yaml", "--stream", "s", "--input", "-", "--rate", "1/s", "--speed", "2x"],
        &["produce", "-f", "x.yaml", "--stream", "s", "--input", "-", "--seed", "7"],
        &["produce", "-f", "x.yaml", "--stream", "s", "--generate", "bench", "--follow"],
        &["run", "-f", "x.yaml", "--close-windows"],
        &["run", "-f", "x.yaml", "--for", "30"],
        &["sql", "-f", "x.yaml", "--format", "xml"],
        &["status"],
        &["verify"],
        &["verify", "-f", "x.yaml", "--lake", "y"],
        &["verify", "--lake", "y", "--key", "k"],
        &["verify", "--lake", "y", "--public-key", "k"],
        &["verify", "--lake", "y", "--certificate", "c", "--quick"],
        &["verify", "--lake", "y", "--memory", "1 KiB"],
        &["verify", "--lake", "y", "--every", "5s"],
        &["verify", "--lake", "y", "--follow", "--until", "3"],
        &["verify", "--lake", "y", "--follow", "--every", "0s"],
        &["verify", "--lake", "y", "--wait", "5s"],
        &["verify", "--lake", "y", "--force"],
        &["verify", "--lake", "y", "--since", "yesterday"],
        &["keygen"],
    ] {
        let answer = watertight(dir.path(), wrong);
        assert_eq!(answer.code, Some(2), "{wrong:?}: {}", answer.err);
        assert!(answer.out.is_empty(), "{wrong:?}");
    }
    for fine in [&["--help"][..], &["--version"], &["produce", "--help"], &["help", "run"]] {
        let answer = watertight(dir.path(), fine);
        assert_eq!(answer.code, Some(0), "{fine:?}: {}", answer.err);
        assert!(!answer.out.is_empty() && answer.err.is_empty(), "{fine:?}");
    }
}

#[test]
fn the_exit_codes_are_in_the_help() {
    let help = watertight(scratch().path(), &["--help"]).out;
    for line in ["0   fine", "1   failed", "2   the command line is wrong", "78  the pipeline file is wrong"] {
        assert!(help.contains(line), "{help}");
    }
}

#[test]
fn what_cannot_be_checked_is_neither_fine_nor_a_finding() {
    let dir = scratch();
    std::fs::write(dir.path().join("no.json"), "{}").expect("written");
    for args in [&["verify", "--lake", "nowhere"][..], &["verify", "--lake", ".", "--against", "no.json"]] {
        let answer = watertight(dir.path(), args);
        assert_eq!(answer.code, Some(2), "{args:?}: {}", answer.err);
        assert!(answer.out.is_empty() && answer.err.contains("not able to check"), "{args:?}: {}", answer.err);
    }
    let answer = watertight(dir.path(), &["verify", "-f", "nowhere.yaml"]);
    assert_eq!(answer.code, Some(78), "{}", answer.err);
}

#[test]
fn an_unreadable_log_filter_is_a_wrong_command_line() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_watertight"))
        .arg("schema")
        .env("WATERTIGHT_LOG", "watertight=loudest")
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("WATERTIGHT_LOG"));
}
