//! The program from outside: the real binary, its output and its exit codes.

mod arguments;
mod books;
mod demo;
mod init;
mod kafka;
mod kills;
mod models;
mod not_balanced;
mod notes;
mod producing;
mod restarts;
mod rows;
mod runbook_sql;
mod running;
mod schema;
mod secured;
mod segment_log;
mod several_topics;
mod status;
mod stocks;
mod topics;
mod truth;
mod validate;
mod verify;
mod verify_beside;

use std::path::Path;
use std::process::{Command, Stdio};

/// What a run of the program gave.
struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

fn watertight(dir: &Path, arguments: &[&str]) -> Answer {
    let output = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(arguments)
        .current_dir(dir)
        .env_remove("WATERTIGHT_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Answer { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// As [`watertight`], with something on standard input.
fn watertight_with_input(dir: &Path, arguments: &[&str], input: &str) -> Answer {
    let mut child = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input.as_bytes()).expect("it reads its input");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Answer { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs the program; it must end with 0.
fn fine(dir: &Path, arguments: &[&str]) -> String {
    let answer = watertight(dir, arguments);
    assert_eq!(answer.code, Some(0), "{arguments:?}: {}{}", answer.out, answer.err);
    answer.out
}

/// Sends lines to the stream `notes` of `p.yaml`.
fn produce_notes(dir: &Path, more: &[&str], lines: &str) {
    let arguments = [&["produce", "-f", "p.yaml", "--stream", "notes", "--input", "-"], more].concat();
    let produced = watertight_with_input(dir, &arguments, lines);
    assert_eq!(produced.code, Some(0), "{}", produced.err);
}

/// The answer to a query as CSV, with the names of its columns.
fn sql(dir: &Path, file: &str, query: &str) -> String {
    fine(dir, &["sql", "-f", file, "--format", "csv", query])
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch folder")
}
