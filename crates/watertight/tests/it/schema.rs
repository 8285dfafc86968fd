//! `watertight schema`.

use super::{scratch, watertight};
use std::io::Read as _;
use std::process::{Command, Stdio};

#[test]
fn the_printed_schema_is_the_committed_one() {
    let answer = watertight(scratch().path(), &["schema"]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    assert_eq!(answer.out, include_str!("../../../../schema/pipeline.schema.json"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let status = child.wait().expect("it ends");
    let mut err = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut err).expect("text");
    assert!(status.success() && err.is_empty(), "{status} {err}");
}
