//! The pipeline file from outside: every bad file with its answer, good files with what they mean, one table of keys
//! behind the reader, the schema and the reference, and the problems that others find in its SQL.

mod bad;
mod good;
mod keys;
mod sql;

use std::path::{Path, PathBuf};
use watertight_config::{PipelineConfig, Problems};

fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder)
}

fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("hunter2-hunter2".into()),
        "EMPTY" => Some(String::new()),
        "INJECT" => Some("x: { a: [1, 2] }\ny: &z !t |".into()),
        "ROOT" => Some("/srv/data".into()),
        _ => None,
    }
}

/// Loads a fixture under the name it has in its folder, so that problems show no path of this machine.
fn load(folder: &Path, name: &str) -> Result<PipelineConfig, Problems> {
    watertight_config::load(Path::new(name), &env, &|path| std::fs::read_to_string(folder.join(path)))
}

/// Compares a file of the repository with what it should hold; with `WATERTIGHT_UPDATE=1`, writes it first.
fn same_as_committed(path: &Path, want: &str) {
    if std::env::var_os("WATERTIGHT_UPDATE").is_some() {
        std::fs::write(path, want).expect("write the committed file");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        committed,
        want,
        "{} is out of date: WATERTIGHT_UPDATE=1 cargo test -p watertight-config",
        path.display()
    );
}
