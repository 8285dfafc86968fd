//! `watertight verify`, run as a user runs it, and what it says as JSON.

use super::timed;
use crate::expected::Place;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Codes that are worth knowing and no fault: what `verify` may say of a lake that balances.
const NOTES: [&str; 5] = ["log.orphan", "log.table_anew", "log.foreign_commit", "offsets.declared", "gold.late"];

/// One finding.
#[derive(Debug, Clone, Deserialize)]
pub struct Finding {
    /// Its code.
    pub code: String,
    /// Where.
    #[serde(default)]
    pub place: Place,
    /// What was found.
    #[serde(default)]
    pub what: String,
}

/// What `verify --format json` prints.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The verdict, as it is given.
    pub verdict: Value,
    /// Findings.
    pub findings: Vec<Finding>,
    /// How many there are of each code.
    pub counts: BTreeMap<String, u64>,
    /// What could not be checked.
    pub unable: Vec<Value>,
}

/// What a run of `verify` gave.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Exit code; none where a signal ended it.
    pub exit: Option<i32>,
    /// What it printed, where that is a report.
    pub report: Option<Report>,
    /// What it said on standard error.
    pub err: String,
    /// How long it took.
    pub took: Duration,
}

impl Verified {
    /// Findings that are faults.
    pub fn faults(&self) -> impl Iterator<Item = &Finding> {
        let findings = self.report.iter().flat_map(|report| &report.findings);
        findings.filter(|finding| !NOTES.contains(&finding.code.as_str()))
    }

    /// What is wrong with this answer if the lake was not touched; empty where nothing is.
    #[must_use]
    pub fn false_findings(&self) -> Vec<String> {
        let mut wrong: Vec<String> = self.faults().map(told).collect();
        match &self.report {
            None => wrong.push(format!("no report: {}", self.err.trim())),
            Some(report) => wrong.extend(report.unable.iter().map(|unable| format!("unable: {unable}"))),
        }
        if self.exit != Some(0) {
            wrong.push(format!("exit code {:?}", self.exit));
        }
        wrong
    }

    /// What it said, in short.
    #[must_use]
    pub fn told(&self) -> String {
        let first: Vec<String> = self.faults().take(5).map(told).collect();
        let counts = self.report.as_ref().map(|report| format!("{:?}", report.counts)).unwrap_or_default();
        let unable = self.report.iter().flat_map(|report| &report.unable).take(2).map(Value::to_string);
        let unable: Vec<String> = unable.collect();
        let err = self.err.lines().last().unwrap_or_default();
        format!("exit {:?}, {counts} {first:?} unable {unable:?} {err}", self.exit)
    }
}

fn told(finding: &Finding) -> String {
    let place = serde_json::to_string(&finding.place).unwrap_or_default();
    format!("{} at {place}: {}", finding.code, finding.what)
}

/// Which tables are verified.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// A lake by itself: what the log still has is not asked.
    Lake(&'a Path),
    /// The lake and the log of a pipeline file.
    Pipeline(&'a Path),
}

/// Verifies a lake.
///
/// # Errors
/// When the program cannot be started.
pub fn verify(program: &Path, tables: Of<'_>, ledgers: &[PathBuf]) -> Result<Verified> {
    let mut command = Command::new(program);
    command.arg("verify").args(["--format", "json"]);
    match tables {
        Of::Lake(lake) => command.arg("--lake").arg(lake),
        Of::Pipeline(file) => command.arg("-f").arg(file),
    };
    for ledger in ledgers {
        command.arg("--ledger").arg(ledger);
    }
    command.stdin(Stdio::null()).env_remove("WATERTIGHT_LOG").env_remove("WATERTIGHT_STEPS");
    let (output, took) = timed(|| command.output());
    let output = output.with_context(|| format!("{} cannot be started", program.display()))?;
    Ok(Verified {
        exit: output.status.code(),
        report: serde_json::from_slice(&output.stdout).ok(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        took,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_verify_prints_is_read() {
        let text = r#"{"verdict": "faults", "findings": [{"code": "offsets.lost", "place": {"table": "bronze.x",
            "partition": 1, "offsets": [5, 6]}, "what": "x", "severity": "fault"}], "counts": {"offsets.lost": 1}}"#;
        let report: Report = serde_json::from_str(text).unwrap();
        assert_eq!(report.findings[0].place, Place::table("bronze.x").offset((1, 5)));
        let verified = Verified { exit: Some(1), report: Some(report), err: String::new(), took: Duration::ZERO };
        assert_eq!(verified.false_findings().len(), 2);
    }

    #[test]
    fn an_answer_without_a_report_is_not_fine() {
        let verified = Verified { exit: Some(0), report: None, err: String::new(), took: Duration::ZERO };
        assert!(!verified.false_findings().is_empty());
    }
}
