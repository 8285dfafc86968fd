//! The program from outside: the real binary, its output and its exit codes.

mod arguments;
mod init;
mod schema;
mod validate;

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

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch folder")
}
