//! A run's tables, row by row, against what the generator says must come out.
//!
//! Contract: the comparison is the program's own command, whose expected rows are computed by the code that makes the
//! events, and which shares nothing with what decodes, deduplicates or aggregates them. The truth names the life of the topic
//! that was produced into; a copy of it in Kafka has another, which is put in its place.

use crate::child;
use crate::input::STREAM;
use crate::lake;
use crate::program::{PIPELINE_FILE, Program};
use crate::progress::Deadline;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::Path;

/// The file of a truth that says what it was computed from.
const TRUTH_FILE: &str = "truth.json";

/// Fails unless the tables in `place` are exactly what must come out of the input whose truth is in `truth`.
pub(crate) fn check(
    program: &Program,
    place: &Path,
    truth: &Path,
    all_windows: bool,
    deadline: Deadline,
) -> Result<()> {
    let bronze = lake::newest(&place.join("lake"), "bronze", STREAM)?;
    let incarnation = bronze.books.context("bronze has no commit")?.incarnation;
    let here = place.join("truth");
    adapt(truth, &here, &incarnation)?;
    let mut command = program.command(place, &["compare", "-f", PIPELINE_FILE, "--truth", "truth"]);
    if all_windows {
        command.arg("--all-windows");
    }
    match child::run(command, place, deadline, None) {
        Ok(_) => Ok(()),
        Err(error) => {
            let told = std::fs::read_to_string(place.join("stdout")).unwrap_or_default();
            Err(error).with_context(|| format!("the tables are not what must come out:\n{told}"))
        }
    }
}

/// A truth in folder `to` that is the one in `from`, but for the life of the topic.
fn adapt(from: &Path, to: &Path, incarnation: &str) -> Result<()> {
    let failed = || format!("could not make a truth in {}", to.display());
    std::fs::create_dir(to).with_context(failed)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("could not read {}", from.display()))? {
        let entry = entry.with_context(failed)?;
        if entry.file_name() != TRUTH_FILE {
            std::os::unix::fs::symlink(entry.path(), to.join(entry.file_name())).with_context(failed)?;
        }
    }
    let text = std::fs::read_to_string(from.join(TRUTH_FILE)).with_context(failed)?;
    std::fs::write(to.join(TRUTH_FILE), in_life(&text, incarnation)?).with_context(failed)
}

fn in_life(truth: &str, incarnation: &str) -> Result<String> {
    let mut truth: Value = serde_json::from_str(truth).context("the truth is no JSON; delete the kept input")?;
    match truth.pointer_mut("/header/incarnation") {
        Some(named) if named.is_string() => *named = Value::String(incarnation.to_owned()),
        _ => bail!("the truth names no life of its topic; delete the kept input"),
    }
    Ok(serde_json::to_string(&truth)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_life_of_the_topic_is_another() {
        let truth = r#"{"format":1,"header":{"topic":"t","incarnation":"a","start":18446744073709551615},"count":3}"#;
        assert_eq!(in_life(truth, "b/").expect("named"), truth.replace(r#""a""#, r#""b/""#));
        assert!(in_life(r#"{"header":{}}"#, "b").is_err() && in_life("", "b").is_err());
    }

    #[test]
    fn the_rest_of_a_truth_is_the_kept_one() {
        let dir = tempfile::tempdir().expect("scratch");
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::create_dir(&from).expect("made");
        std::fs::write(from.join("truth.json"), r#"{"header":{"incarnation":"a"}}"#).expect("written");
        std::fs::write(from.join("silver.jsonl"), "rows\n").expect("written");
        adapt(&from, &to, "b").expect("made");
        assert_eq!(std::fs::read_to_string(to.join("silver.jsonl")).expect("there"), "rows\n");
        assert_eq!(std::fs::read_to_string(to.join("truth.json")).expect("there"), r#"{"header":{"incarnation":"b"}}"#);
        assert_eq!(
            std::fs::read_to_string(from.join("truth.json")).expect("there"),
            r#"{"header":{"incarnation":"a"}}"#
        );
    }
}
